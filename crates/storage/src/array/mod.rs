//! The tensor users hold: [`Array`], dense, row-major, owned, in host memory; [`ArrayRef`] borrows one, [`AnyArray`]
//! forgets its element type.

mod any;
mod arithmetic;
mod borrow;
mod compare;
mod convert;
mod create;
mod display;
mod error;
mod index;
mod into_shape;
#[cfg(feature = "ndarray")]
mod ndarray;

pub use any::AnyArray;
pub use borrow::{ArrayRef, Rows};
pub use create::Create;
pub use error::ArrayError;
pub use into_shape::IntoShape;

use crate::{DType, Element, Shape};

/// An owned tensor: elements in row-major order, and a shape.
///
/// ```
/// use retrograde_storage::Array;
/// let x = Array::arange(4);                        // f32 unless said otherwise
/// let m = Array::from([[1.0_f32, 2.0], [3.0, 4.0]]);
/// assert_eq!(m.shape(), [2, 2]);
/// assert_eq!(m[[1, 0]], 3.0);
/// assert_eq!((2.0 * x).as_slice(), [0.0, 2.0, 4.0, 6.0]);
/// ```
///
/// # Arrays that hold an error
///
/// Constructors such as [`zeros`](Array::zeros) and arithmetic are written inside larger expressions, where a `Result`
/// would be in the way, yet a user may ask for more memory than there is or add shapes that do not match. Such an
/// array holds the [`ArrayError`] instead of elements: its shape is `[0]`, arithmetic passes the first error on, it equals
/// nothing (like NaN, not even itself), it prints the message, and whatever returns a `Result` (here [`check`](Array::check),
/// [`item`](Array::item), [`reshape`](Array::reshape); in the layers above, recording it) returns the error.
#[derive(Clone)]
pub struct Array<T: Element = f32> {
    // Invariant: `data.len() == shape.len()`; with a fault, the shape is `[0]`.
    data: Vec<T>,
    shape: Shape,
    fault: Option<Box<ArrayError>>,
}

impl<T: Element> Array<T> {
    /// Elements and shape that are known to belong together.
    fn assemble(data: Vec<T>, shape: Shape) -> Self {
        debug_assert_eq!(data.len(), shape.len());
        Self {
            data,
            shape,
            fault: None,
        }
    }

    /// The array that holds `error` and no elements.
    pub fn invalid(error: ArrayError) -> Self {
        Self {
            data: Vec::new(),
            shape: Shape::EMPTY,
            fault: Some(Box::new(error)),
        }
    }

    fn from_result(result: Result<Self, ArrayError>) -> Self {
        result.unwrap_or_else(Self::invalid)
    }

    /// The array, unless it holds an error.
    pub fn check(&self) -> Result<&Self, ArrayError> {
        self.fault
            .as_deref()
            .map_or(Ok(self), |fault| Err(fault.clone()))
    }

    /// The error this array holds in place of elements, if any.
    pub fn error(&self) -> Option<&ArrayError> {
        self.fault.as_deref()
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

    /// The element type's tag.
    pub fn dtype(&self) -> DType {
        T::DTYPE
    }

    /// The elements in row-major order.
    pub fn as_slice(&self) -> &[T] {
        &self.data
    }

    /// The elements in row-major order, to change them.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.data
    }

    /// The elements' memory.
    pub fn as_bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.data)
    }

    /// The elements in row-major order, without a copy.
    pub fn into_vec(self) -> Vec<T> {
        self.data
    }

    /// Borrows the whole array.
    pub fn view(&self) -> ArrayRef<'_, T> {
        ArrayRef::assemble(&self.data, self.shape, self.fault.as_deref())
    }

    /// Slices along the outermost axis; none for a scalar.
    pub fn rows(&self) -> Rows<'_, T> {
        self.view().rows()
    }

    /// The element of an array that has exactly one, whatever its rank.
    pub fn item(&self) -> Result<T, ArrayError> {
        self.view().item()
    }

    /// The elements in row-major order.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.data.iter()
    }

    /// The elements in row-major order, to change them.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, T> {
        self.data.iter_mut()
    }

    /// The same elements under another shape of as many, without a copy.
    pub fn reshape(self, shape: impl IntoShape) -> Result<Self, ArrayError> {
        let shape = shape.into_shape()?;
        self.check()?;
        if shape.len() == self.len() {
            Ok(Self { shape, ..self })
        } else {
            Err(ArrayError::Reshape {
                from: self.shape().into(),
                to: shape.dims().into(),
            })
        }
    }

    /// The array of `f(x)` for every element `x`.
    pub fn map<U: Element>(&self, mut f: impl FnMut(T) -> U) -> Array<U> {
        self.build(self.data.iter().map(|&x| f(x)))
    }

    /// The array of `f(x, y)` for the elements at the same place in arrays of the same shape.
    pub fn zip_map<U: Element, V: Element>(
        &self,
        other: &Array<U>,
        mut f: impl FnMut(T, U) -> V,
    ) -> Result<Array<V>, ArrayError> {
        self.check()?;
        other.check()?;
        if self.shape != other.shape {
            return Err(ArrayError::Mismatch {
                operation: "combine",
                left: self.shape().into(),
                right: other.shape().into(),
            });
        }
        let pairs = self.data.iter().zip(&other.data);
        self.build(pairs.map(|(&x, &y)| f(x, y))).into_checked()
    }

    /// Every element as the nearest of another type, as Rust's `as` converts: floats to integers towards zero and
    /// saturating, NaN to 0; to `bool`, whether it is not zero. Other pairs than equal types pass through `f64`.
    pub fn cast<U: Element>(&self) -> Array<U> {
        if let Ok(same) = bytemuck::checked::try_cast_slice::<T, U>(&self.data)
            && T::DTYPE == U::DTYPE
        {
            return self.build(same.iter().copied());
        }
        self.map(|x| U::from_f64(x.to_f64()))
    }

    /// The array, or the error it holds.
    fn into_checked(self) -> Result<Self, ArrayError> {
        match self.fault {
            Some(fault) => Err(*fault),
            None => Ok(self),
        }
    }

    /// An array of this array's shape, or this array's error.
    fn build<U: Element>(&self, elements: impl Iterator<Item = U>) -> Array<U> {
        match self.check() {
            Ok(_) => Array::from_result(Array::collect(self.shape, elements)),
            Err(error) => Array::invalid(error),
        }
    }

    /// An array of as many elements as `shape` says, which `elements` must yield.
    fn collect(shape: Shape, elements: impl Iterator<Item = T>) -> Result<Self, ArrayError> {
        let mut data = Vec::new();
        data.try_reserve_exact(shape.len())
            .map_err(|_| ArrayError::out_of_memory::<T>(shape.len()))?;
        data.extend(elements.take(shape.len()));
        Ok(Self::assemble(data, shape))
    }
}

/// An empty array of shape `[0]`.
impl<T: Element> Default for Array<T> {
    fn default() -> Self {
        Self::assemble(Vec::new(), Shape::EMPTY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "Miri ends a test whose memory cannot be had")]
    fn too_large_a_shape_is_held_and_reported() {
        let a = Array::zeros([usize::MAX]);
        assert!(matches!(a.check(), Err(ArrayError::Shape { .. })));
        assert!(matches!(
            Array::ones([1 << 59]).check(),
            Err(ArrayError::OutOfMemory(_))
        ));
        assert!((2.0 * a + Array::arange(3)).error().is_some());
    }

    #[test]
    fn creation_is_f32_unless_said() {
        assert_eq!(Array::arange(3).dtype(), DType::F32);
        assert_eq!(<Array<i64>>::arange(3), Array::from([0_i64, 1, 2]));
        assert_eq!(Array::eye(2), Array::from([[1.0, 0.0], [0.0, 1.0]]));
    }
}
