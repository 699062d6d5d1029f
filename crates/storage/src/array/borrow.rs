//! Borrowed arrays.

use super::{Array, ArrayError, IntoShape};
use crate::{Element, Shape};

/// A borrowed dense row-major tensor: a slice and a shape.
///
/// ```
/// use retrograde_storage::ArrayRef;
/// let pixels = [0.0_f32; 12];
/// let image = ArrayRef::new(&pixels, [3, 4])?;
/// assert_eq!(image.shape(), [3, 4]);
/// # Ok::<(), retrograde_storage::ArrayError>(())
/// ```
#[derive(Clone, Copy)]
pub struct ArrayRef<'a, T: Element = f32> {
    // Invariant: `data.len() == shape.len()`; with a fault, the shape is `[0]`.
    data: &'a [T],
    shape: Shape,
    // Of the array borrowed.
    fault: Option<&'a ArrayError>,
}

impl<'a, T: Element> ArrayRef<'a, T> {
    /// Elements in row-major order under a shape of as many.
    pub fn new(data: &'a [T], shape: impl IntoShape) -> Result<Self, ArrayError> {
        let shape = shape.into_shape()?;
        if data.len() == shape.len() {
            Ok(Self::assemble(data, shape, None))
        } else {
            Err(ArrayError::length(&shape, data.len()))
        }
    }

    pub(super) fn assemble(data: &'a [T], shape: Shape, fault: Option<&'a ArrayError>) -> Self {
        debug_assert_eq!(data.len(), shape.len());
        Self { data, shape, fault }
    }

    /// The array, unless the one borrowed holds an error (see [`Array`]).
    pub fn check(self) -> Result<Self, ArrayError> {
        self.fault.map_or(Ok(self), |fault| Err(fault.clone()))
    }

    /// The error that the array borrowed holds in place of elements, if any.
    pub fn error(self) -> Option<&'a ArrayError> {
        self.fault
    }

    /// The extents, outermost first.
    pub fn shape(&self) -> &[usize] {
        self.shape.dims()
    }

    /// The extents as a [`Shape`].
    pub fn shape_of(&self) -> Shape {
        self.shape
    }

    /// The number of dimensions.
    pub fn rank(&self) -> usize {
        self.shape.rank()
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The elements in row-major order.
    pub fn as_slice(&self) -> &'a [T] {
        self.data
    }

    /// The elements' memory.
    pub fn as_bytes(&self) -> &'a [u8] {
        bytemuck::cast_slice(self.data)
    }

    /// The elements in row-major order.
    pub fn iter(&self) -> std::slice::Iter<'a, T> {
        self.data.iter()
    }

    /// The element at `index`, or `None` where there is none.
    pub fn get(&self, index: &[usize]) -> Option<&'a T> {
        self.data.get(self.shape.position(index)?)
    }

    /// The element of an array that has exactly one, whatever its rank.
    pub fn item(&self) -> Result<T, ArrayError> {
        match (self.check()?, self.data) {
            (_, [x]) => Ok(*x),
            _ => Err(ArrayError::NotOne {
                shape: self.shape().into(),
            }),
        }
    }

    /// Slices along the outermost axis; none for a scalar.
    pub fn rows(self) -> Rows<'a, T> {
        let (count, shape) = match self.shape() {
            [] => (0, Shape::SCALAR),
            [count, row @ ..] => (*count, self.shape.tail(row.len())),
        };
        Rows {
            data: self.data,
            shape,
            left: 0..count,
        }
    }

    /// An owned copy.
    pub fn to_array(self) -> Array<T> {
        Array {
            data: self.data.to_vec(),
            shape: self.shape,
            fault: self.fault.cloned().map(Box::new),
        }
    }
}

impl<'a, T: Element> From<&'a Array<T>> for ArrayRef<'a, T> {
    fn from(array: &'a Array<T>) -> Self {
        array.view()
    }
}

/// Of rank 1.
impl<'a, T: Element> From<&'a [T]> for ArrayRef<'a, T> {
    fn from(data: &'a [T]) -> Self {
        Self::assemble(data, Shape::line(data.len()), None)
    }
}

impl<'a, T: Element> IntoIterator for ArrayRef<'a, T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.data.iter()
    }
}

impl<'a, T: Element> IntoIterator for &ArrayRef<'a, T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.data.iter()
    }
}

/// Iterator over the slices of an array along its outermost axis, see [`Array::rows`].
#[derive(Clone)]
pub struct Rows<'a, T: Element> {
    data: &'a [T],
    shape: Shape,
    left: std::ops::Range<usize>,
}

impl<'a, T: Element> Rows<'a, T> {
    fn row(&self, row: usize) -> ArrayRef<'a, T> {
        let len = self.shape.len();
        ArrayRef::assemble(&self.data[row * len..][..len], self.shape, None)
    }
}

impl<'a, T: Element> Iterator for Rows<'a, T> {
    type Item = ArrayRef<'a, T>;
    fn next(&mut self) -> Option<Self::Item> {
        self.left.next().map(|row| self.row(row))
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.left.size_hint()
    }
    fn nth(&mut self, n: usize) -> Option<Self::Item> {
        self.left.nth(n).map(|row| self.row(row))
    }
}

impl<T: Element> DoubleEndedIterator for Rows<'_, T> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.left.next_back().map(|row| self.row(row))
    }
}

impl<T: Element> ExactSizeIterator for Rows<'_, T> {}
