//! Arrays from Rust's own collections.

use super::Array;
use crate::{Element, Shape};

/// Of rank 1.
impl<T: Element> From<Vec<T>> for Array<T> {
    fn from(data: Vec<T>) -> Self {
        let shape = Shape::line(data.len());
        Self::assemble(data, shape)
    }
}

/// Of rank 1.
impl<T: Element> From<&[T]> for Array<T> {
    fn from(data: &[T]) -> Self {
        Self::from_slice(data)
    }
}

/// Of rank 1.
impl<T: Element> FromIterator<T> for Array<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        elements.into_iter().collect::<Vec<_>>().into()
    }
}

/// Of rank 1.
impl<T: Element, const N: usize> From<[T; N]> for Array<T> {
    fn from(data: [T; N]) -> Self {
        data.to_vec().into()
    }
}

/// Of shape `[N, M]`.
impl<T: Element, const N: usize, const M: usize> From<[[T; M]; N]> for Array<T> {
    fn from(data: [[T; M]; N]) -> Self {
        Self::from_result(Self::from_vec(data.as_flattened().to_vec(), [N, M]))
    }
}

/// Of shape `[N, M, L]`.
impl<T: Element, const N: usize, const M: usize, const L: usize> From<[[[T; L]; M]; N]>
    for Array<T>
{
    fn from(data: [[[T; L]; M]; N]) -> Self {
        let data = data.as_flattened().as_flattened().to_vec();
        Self::from_result(Self::from_vec(data, [N, M, L]))
    }
}

/// Of shape `[N, M, L, K]`.
impl<T: Element, const N: usize, const M: usize, const L: usize, const K: usize>
    From<[[[[T; K]; L]; M]; N]> for Array<T>
{
    fn from(data: [[[[T; K]; L]; M]; N]) -> Self {
        let data = data.as_flattened().as_flattened().as_flattened().to_vec();
        Self::from_result(Self::from_vec(data, [N, M, L, K]))
    }
}
