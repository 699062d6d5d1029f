//! Elements by their index, and iteration.

use std::ops::{Index, IndexMut};

use super::Array;
use crate::Element;

impl<T: Element> Array<T> {
    /// The element at `index`, or `None` where there is none.
    pub fn get(&self, index: &[usize]) -> Option<&T> {
        self.data.get(self.shape.position(index)?)
    }

    /// The element at `index`, to change it, or `None` where there is none.
    pub fn get_mut(&mut self, index: &[usize]) -> Option<&mut T> {
        self.data.get_mut(self.shape.position(index)?)
    }

    #[track_caller]
    fn position(&self, index: &[usize]) -> usize {
        match self.shape.position(index) {
            Some(position) => position,
            None => panic!(
                "index {index:?} is out of bounds of an array of shape {:?}",
                self.shape
            ),
        }
    }
}

/// `array[[i, j]]`. Panics out of bounds, as indexing must; [`Array::get`] is the checked way.
impl<T: Element, const N: usize> Index<[usize; N]> for Array<T> {
    type Output = T;
    #[track_caller]
    fn index(&self, index: [usize; N]) -> &T {
        &self.data[self.position(&index)]
    }
}

impl<T: Element, const N: usize> IndexMut<[usize; N]> for Array<T> {
    #[track_caller]
    fn index_mut(&mut self, index: [usize; N]) -> &mut T {
        let position = self.position(&index);
        &mut self.data[position]
    }
}

/// `array[i]` of an array of rank 1. Panics out of bounds, as indexing must; [`Array::get`] is the checked way.
impl<T: Element> Index<usize> for Array<T> {
    type Output = T;
    #[track_caller]
    fn index(&self, index: usize) -> &T {
        &self[[index]]
    }
}

impl<T: Element> IndexMut<usize> for Array<T> {
    #[track_caller]
    fn index_mut(&mut self, index: usize) -> &mut T {
        &mut self[[index]]
    }
}

impl<T: Element> IntoIterator for Array<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;
    fn into_iter(self) -> Self::IntoIter {
        self.data.into_iter()
    }
}

impl<'a, T: Element> IntoIterator for &'a Array<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.data.iter()
    }
}

impl<'a, T: Element> IntoIterator for &'a mut Array<T> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.data.iter_mut()
    }
}
