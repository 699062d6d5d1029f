//! What can go wrong with an array.

use crate::{DType, OutOfMemory, Shape, ShapeError};

/// Why there is no such array.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ArrayError {
    /// The extents do not make a shape.
    #[error("{dims:?} is not a shape: {source}")]
    Shape {
        /// The extents.
        dims: Box<[usize]>,
        /// What is wrong with them.
        source: ShapeError,
    },
    /// The elements given are not as many as the shape holds.
    #[error("shape {shape:?} holds {expected} elements, but {found} were given")]
    Length {
        /// The shape asked for.
        shape: Box<[usize]>,
        /// Elements it holds.
        expected: usize,
        /// Elements given.
        found: usize,
    },
    /// A reshape to another number of elements.
    #[error(
        "cannot reshape {from:?} ({} elements) to {to:?} ({} elements)",
        .from.iter().product::<usize>(), .to.iter().product::<usize>()
    )]
    Reshape {
        /// The shape of the array.
        from: Box<[usize]>,
        /// The shape asked for.
        to: Box<[usize]>,
    },
    /// An elementwise operation on arrays of different shapes.
    #[error("cannot {operation} arrays of shapes {left:?} and {right:?}: the shapes must be equal")]
    Mismatch {
        /// The verb: `add`, `compare`, ...
        operation: &'static str,
        /// The shape of the left operand.
        left: Box<[usize]>,
        /// The shape of the right operand.
        right: Box<[usize]>,
    },
    /// More or fewer elements than the one that was asked for.
    #[error("expected exactly one element, but shape {shape:?} has {}", .shape.iter().product::<usize>())]
    NotOne {
        /// The shape of the array.
        shape: Box<[usize]>,
    },
    /// An array to be borrowed whose elements do not stand in row-major order.
    #[error(
        "an array of shape {shape:?} is not dense and row-major, so it cannot be borrowed: copy it"
    )]
    NotDense {
        /// The shape of the array.
        shape: Box<[usize]>,
    },
    /// Another element type than the array's.
    #[error("expected an array of {expected}, found one of {found}")]
    DType {
        /// The type asked for.
        expected: DType,
        /// The array's type.
        found: DType,
    },
    /// Elements that differ by more than a tolerance allows.
    #[error(
        "{count} of {of} elements differ by more than {atol:e} + {rtol:e} * |expected|; the worst is at {index:?}: \
         {found}, expected {expected}"
    )]
    NotClose {
        /// Elements beyond the tolerance.
        count: usize,
        /// Elements compared.
        of: usize,
        /// Relative tolerance.
        rtol: f64,
        /// Absolute tolerance.
        atol: f64,
        /// Where the difference exceeds the tolerance most.
        index: Box<[usize]>,
        /// The element there.
        found: f64,
        /// What it was compared with.
        expected: f64,
    },
    /// The elements do not fit memory.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

impl ArrayError {
    pub(super) fn out_of_memory<T>(elements: usize) -> Self {
        Self::OutOfMemory(OutOfMemory::of::<T>(elements))
    }

    pub(super) fn length(shape: &Shape, found: usize) -> Self {
        Self::Length {
            shape: shape.dims().into(),
            expected: shape.len(),
            found,
        }
    }
}
