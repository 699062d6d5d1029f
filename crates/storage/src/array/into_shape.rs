//! What users may write where a shape is wanted.

use super::ArrayError;
use crate::Shape;

/// Anything that names a shape: `[2, 3]`, a slice or vector of extents, a number (rank 1), `()` (a scalar), a [`Shape`].
pub trait IntoShape {
    /// The shape, or an error that prints the extents and says what is wrong.
    fn into_shape(self) -> Result<Shape, ArrayError>;
}

impl IntoShape for Shape {
    fn into_shape(self) -> Result<Shape, ArrayError> {
        Ok(self)
    }
}

impl IntoShape for &[usize] {
    fn into_shape(self) -> Result<Shape, ArrayError> {
        Shape::new(self).map_err(|source| ArrayError::Shape {
            dims: self.into(),
            source,
        })
    }
}

impl<const N: usize> IntoShape for [usize; N] {
    fn into_shape(self) -> Result<Shape, ArrayError> {
        self.as_slice().into_shape()
    }
}

impl<const N: usize> IntoShape for &[usize; N] {
    fn into_shape(self) -> Result<Shape, ArrayError> {
        self.as_slice().into_shape()
    }
}

impl IntoShape for Vec<usize> {
    fn into_shape(self) -> Result<Shape, ArrayError> {
        self.as_slice().into_shape()
    }
}

impl IntoShape for &Vec<usize> {
    fn into_shape(self) -> Result<Shape, ArrayError> {
        self.as_slice().into_shape()
    }
}

impl IntoShape for usize {
    fn into_shape(self) -> Result<Shape, ArrayError> {
        [self].into_shape()
    }
}

impl IntoShape for () {
    fn into_shape(self) -> Result<Shape, ArrayError> {
        Ok(Shape::SCALAR)
    }
}
