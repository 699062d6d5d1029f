//! Making arrays.
//!
//! Rust does not apply `Array`'s default type parameter in expressions, so a generic `Array::arange(4)` would not
//! know its type. Functions whose arguments do not say the element type therefore exist twice: inherent on
//! `Array<f32>` alone, which makes `Array::arange(4)` mean `f32` (the trick of `HashMap::new`), and in the trait
//! [`Create`] for all types, which makes `Array::<f64>::arange(4)` work where the trait is in scope.

use super::{Array, ArrayError, IntoShape};
use crate::{Element, Shape};

/// Constructors of arrays of any element type. `Array<f32>` has them as its own; other types need this trait in scope.
///
/// ```
/// use retrograde_storage::{Array, Create};
/// assert_eq!(Array::arange(3), Array::from([0.0_f32, 1.0, 2.0]));
/// assert_eq!(Array::<f64>::arange(3), Array::from([0.0_f64, 1.0, 2.0]));
/// ```
pub trait Create: Sized {
    /// The element type.
    type Element: Element;

    /// All elements zero (`false`). Too large a shape gives an array that holds the error, see [`Array`].
    fn zeros(shape: impl IntoShape) -> Self;

    /// All elements one (`true`). Too large a shape gives an array that holds the error, see [`Array`].
    fn ones(shape: impl IntoShape) -> Self;

    /// All elements `value`. Too large a shape gives an array that holds the error, see [`Array`].
    fn full(shape: impl IntoShape, value: Self::Element) -> Self;

    /// `[0, 1, ..., n - 1]`.
    fn arange(n: usize) -> Self;

    /// `n` evenly spaced values from `start` to `end`, both included.
    fn linspace(start: f64, end: f64, n: usize) -> Self;

    /// The identity matrix, `[n, n]`.
    fn eye(n: usize) -> Self;
}

impl<T: Element> Create for Array<T> {
    type Element = T;

    fn zeros(shape: impl IntoShape) -> Self {
        Self::from_result(Self::try_zeros(shape))
    }

    fn ones(shape: impl IntoShape) -> Self {
        Self::from_result(Self::try_full(shape, T::from_f64(1.0)))
    }

    fn full(shape: impl IntoShape, value: T) -> Self {
        Self::from_result(Self::try_full(shape, value))
    }

    fn arange(n: usize) -> Self {
        Self::from_result(
            n.into_shape()
                .and_then(|shape| Self::collect(shape, (0..n).map(|i| T::from_f64(i as f64)))),
        )
    }

    fn linspace(start: f64, end: f64, n: usize) -> Self {
        let last = n.saturating_sub(1);
        let step = (end - start) / last as f64;
        let at = |i| match i {
            0 => start,
            i if i == last => end,
            i => start + i as f64 * step,
        };
        Self::from_result(
            n.into_shape()
                .and_then(|shape| Self::collect(shape, (0..n).map(|i| T::from_f64(at(i))))),
        )
    }

    fn eye(n: usize) -> Self {
        let mut eye = Self::zeros([n, n]);
        let one = T::from_f64(1.0);
        // `step_by` rejects 0, and n + 1 cannot overflow where n * n elements exist.
        if !eye.is_empty() {
            eye.data.iter_mut().step_by(n + 1).for_each(|x| *x = one);
        }
        eye
    }
}

impl Array<f32> {
    /// All elements zero. Too large a shape gives an array that holds the error, see [`Array`].
    pub fn zeros(shape: impl IntoShape) -> Self {
        Create::zeros(shape)
    }

    /// All elements one. Too large a shape gives an array that holds the error, see [`Array`].
    pub fn ones(shape: impl IntoShape) -> Self {
        Create::ones(shape)
    }

    /// All elements `value`. Too large a shape gives an array that holds the error, see [`Array`].
    pub fn full(shape: impl IntoShape, value: f32) -> Self {
        Create::full(shape, value)
    }

    /// `[0, 1, ..., n - 1]`.
    pub fn arange(n: usize) -> Self {
        Create::arange(n)
    }

    /// `n` evenly spaced values from `start` to `end`, both included.
    pub fn linspace(start: f64, end: f64, n: usize) -> Self {
        Create::linspace(start, end, n)
    }

    /// The identity matrix, `[n, n]`.
    pub fn eye(n: usize) -> Self {
        Create::eye(n)
    }
}

impl<T: Element> Array<T> {
    /// An array of rank 0.
    pub fn scalar(value: T) -> Self {
        Self::assemble(vec![value], Shape::SCALAR)
    }

    /// Elements in row-major order under a shape of as many.
    pub fn from_vec(data: Vec<T>, shape: impl IntoShape) -> Result<Self, ArrayError> {
        let shape = shape.into_shape()?;
        if data.len() == shape.len() {
            Ok(Self::assemble(data, shape))
        } else {
            Err(ArrayError::length(&shape, data.len()))
        }
    }

    /// A copy of a slice, of rank 1.
    pub fn from_slice(data: &[T]) -> Self {
        data.to_vec().into()
    }

    /// The array whose element at index `i` is `f(i)`, computed in row-major order.
    ///
    /// Too large a shape gives an array that holds the error, see [`Array`].
    pub fn from_shape_fn(shape: impl IntoShape, mut f: impl FnMut(&[usize]) -> T) -> Self {
        let shape = match shape.into_shape() {
            Ok(shape) => shape,
            Err(error) => return Self::invalid(error),
        };
        let rank = shape.rank();
        let mut index = [0; crate::MAX_RANK];
        let elements = (0..shape.len()).map(|_| {
            let value = f(&index[..rank]);
            for axis in (0..rank).rev() {
                index[axis] += 1;
                if index[axis] < shape.dims()[axis] {
                    break;
                }
                index[axis] = 0;
            }
            value
        });
        Self::from_result(Self::collect(shape, elements))
    }

    /// All elements zero (`false`), or an error for too large a shape.
    pub fn try_zeros(shape: impl IntoShape) -> Result<Self, ArrayError> {
        let shape = shape.into_shape()?;
        // Zeroed by the allocator: large arrays touch no page before they are written.
        let data = bytemuck::allocation::try_zeroed_vec(shape.len())
            .map_err(|()| ArrayError::out_of_memory::<T>(shape.len()))?;
        Ok(Self::assemble(data, shape))
    }

    /// All elements `value`, or an error for too large a shape.
    pub fn try_full(shape: impl IntoShape, value: T) -> Result<Self, ArrayError> {
        let shape = shape.into_shape()?;
        Self::collect(shape, std::iter::repeat_n(value, shape.len()))
    }
}
