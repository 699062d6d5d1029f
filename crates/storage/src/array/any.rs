//! Arrays whose element type is known at run time.

use super::{Array, ArrayError};
use crate::{DType, Element, Shape};

/// An [`Array`] of any element type.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum AnyArray {
    F32(Array<f32>),
    F64(Array<f64>),
    U32(Array<u32>),
    I64(Array<i64>),
    Bool(Array<bool>),
}

/// The same expression for whichever array is inside.
macro_rules! each {
    ($any:expr, $array:ident => $body:expr) => {
        match $any {
            AnyArray::F32($array) => $body,
            AnyArray::F64($array) => $body,
            AnyArray::U32($array) => $body,
            AnyArray::I64($array) => $body,
            AnyArray::Bool($array) => $body,
        }
    };
}

impl AnyArray {
    /// The element type's tag.
    #[inline]
    pub fn dtype(&self) -> DType {
        each!(self, a => a.dtype())
    }

    /// The extents, outermost first.
    pub fn shape(&self) -> &[usize] {
        each!(self, a => a.shape())
    }

    /// The extents as a [`Shape`].
    #[inline]
    pub fn shape_of(&self) -> Shape {
        each!(self, a => a.shape_of())
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        each!(self, a => a.len())
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        each!(self, a => a.is_empty())
    }

    /// The elements' memory, row-major.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        each!(self, a => a.as_bytes())
    }

    /// The array, unless it holds an error (see [`Array`]).
    pub fn check(&self) -> Result<&Self, ArrayError> {
        self.error().map_or(Ok(self), |error| Err(error.clone()))
    }

    /// The error this array holds in place of elements, if any.
    #[inline]
    pub fn error(&self) -> Option<&ArrayError> {
        each!(self, a => a.error())
    }

    /// The array inside, if its elements are `T`.
    pub fn downcast_ref<T: Element>(&self) -> Option<&Array<T>> {
        T::peek(self)
    }

    /// The array inside, to change it, if its elements are `T`.
    pub fn downcast_mut<T: Element>(&mut self) -> Option<&mut Array<T>> {
        T::peek_mut(self)
    }

    /// The array inside, or an error that names both types.
    pub fn downcast<T: Element>(mut self) -> Result<Array<T>, ArrayError> {
        match T::peek_mut(&mut self) {
            Some(array) => Ok(std::mem::take(array)),
            None => Err(ArrayError::DType {
                expected: T::DTYPE,
                found: self.dtype(),
            }),
        }
    }
}

impl<T: Element> From<Array<T>> for AnyArray {
    fn from(array: Array<T>) -> Self {
        T::erase(array)
    }
}

impl std::fmt::Display for AnyArray {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        each!(self, a => a.fmt(f))
    }
}
