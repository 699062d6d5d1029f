//! Conversions to and from the `ndarray` crate's arrays (feature `ndarray`).
//!
//! Fallible both ways: `ndarray` allows ranks beyond ours, and ours may hold an error.

use ndarray::{ArrayBase, ArrayD, ArrayViewD, Data, Dimension, IxDyn};

use super::{Array, ArrayError, ArrayRef};
use crate::{Element, Shape, ShapeError};

/// A copy in row-major order, whatever the source's layout.
impl<T: Element, S: Data<Elem = T>, D: Dimension> TryFrom<&ArrayBase<S, D>> for Array<T> {
    type Error = ArrayError;
    fn try_from(source: &ArrayBase<S, D>) -> Result<Self, ArrayError> {
        Self::from_vec(source.iter().copied().collect(), source.shape())
    }
}

/// Without a copy where the source is dense and row-major.
impl<T: Element, D: Dimension> TryFrom<ndarray::Array<T, D>> for Array<T> {
    type Error = ArrayError;
    fn try_from(source: ndarray::Array<T, D>) -> Result<Self, ArrayError> {
        let dims = source.shape().to_vec();
        if !source.is_standard_layout() {
            return Self::try_from(&source);
        }
        // A sliced array owns elements outside of it, before (`offset`) and after.
        let len = source.len();
        let (mut data, offset) = source.into_raw_vec_and_offset();
        data.truncate(offset.unwrap_or(0) + len);
        data.drain(..offset.unwrap_or(0));
        Self::from_vec(data, dims)
    }
}

/// Without a copy.
impl<T: Element> TryFrom<Array<T>> for ArrayD<T> {
    type Error = ArrayError;
    fn try_from(source: Array<T>) -> Result<Self, ArrayError> {
        let source = source.into_checked()?;
        let shape = source.shape;
        ArrayD::from_shape_vec(IxDyn(shape.dims()), source.data).map_err(|_| refused(&shape))
    }
}

/// Borrowed.
impl<'a, T: Element> TryFrom<ArrayRef<'a, T>> for ArrayViewD<'a, T> {
    type Error = ArrayError;
    fn try_from(source: ArrayRef<'a, T>) -> Result<Self, ArrayError> {
        let source = source.check()?;
        let shape = source.shape_of();
        ArrayViewD::from_shape(IxDyn(shape.dims()), source.as_slice()).map_err(|_| refused(&shape))
    }
}

/// Borrowed; the source must be dense and row-major.
impl<'a, T: Element, S: Data<Elem = T>, D: Dimension> TryFrom<&'a ArrayBase<S, D>>
    for ArrayRef<'a, T>
{
    type Error = ArrayError;
    fn try_from(source: &'a ArrayBase<S, D>) -> Result<Self, ArrayError> {
        let data = source.as_slice().ok_or_else(|| ArrayError::NotDense {
            shape: source.shape().into(),
        })?;
        Self::new(data, source.shape())
    }
}

/// `ndarray` refuses what overflows its index type, and nothing else of ours.
fn refused(shape: &Shape) -> ArrayError {
    ArrayError::Shape {
        dims: shape.dims().into(),
        source: ShapeError::Overflow,
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array3, Axis, IxDyn};

    use super::*;
    use crate::Create;

    #[test]
    fn there_and_back() {
        let ours = Array::from_shape_fn([2, 3, 4], |i| (100 * i[0] + 10 * i[1] + i[2]) as i64);
        let theirs = ArrayD::try_from(ours.clone()).unwrap();
        assert_eq!(theirs[[1, 2, 3]], 123);
        assert_eq!(Array::try_from(&theirs).unwrap(), ours);
        assert_eq!(Array::try_from(theirs).unwrap(), ours);
        assert_eq!(ArrayViewD::try_from(ours.view()).unwrap()[[1, 0, 2]], 102);
    }

    #[test]
    fn layouts_other_than_row_major_are_copied() {
        let m = Array2::from_shape_fn((2, 3), |(i, j)| (10 * i + j) as f64);
        let expected = Array::from([[0.0, 10.0], [1.0, 11.0], [2.0, 12.0]]);
        assert_eq!(Array::try_from(m.t().to_owned()).unwrap(), expected);
        assert_eq!(Array::try_from(&m.t()).unwrap(), expected);
        assert!(matches!(
            ArrayRef::try_from(&m.t()).err(),
            Some(ArrayError::NotDense { .. })
        ));
        let mut tail = Array3::from_shape_fn((4, 1, 2), |(i, _, k)| (2 * i + k) as f32);
        // The macro `s!` allows unsafe code, which this crate forbids.
        tail.slice_axis_inplace(Axis(0), (1..3).into());
        assert_eq!(
            Array::try_from(tail).unwrap(),
            Array::from([[[2.0_f32, 3.0]], [[4.0, 5.0]]])
        );
    }

    #[test]
    fn errors_pass() {
        let deep = ArrayD::<f32>::zeros(IxDyn(&[1; 9]));
        assert!(Array::try_from(deep).is_err());
        assert!(ArrayD::try_from(Array::<f64>::zeros([usize::MAX])).is_err());
        assert_eq!(
            Array::try_from(ArrayD::<f32>::zeros(IxDyn(&[2, 0])))
                .unwrap()
                .shape(),
            [2, 0]
        );
    }
}
