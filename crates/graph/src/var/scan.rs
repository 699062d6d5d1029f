//! Scans: running reductions along one axis.

use super::{Float, Number, Var};
use crate::infer;
use crate::op::Op;

/// Scans keep the shape; an axis out of range is an error.
///
/// ```
/// # use retrograde_graph::{INFER, Tape, keep};
/// # use retrograde_storage::{Array, Create};
/// # let tape = Tape::new();
/// let x = tape.variable(Array::from([1.0_f64, 3.0, 2.0]));
/// assert_eq!(x.cumsum(0).value()?, Array::from([1.0, 4.0, 6.0]));
/// assert_eq!(x.cumprod(0).value()?, Array::from([1.0, 3.0, 6.0]));
/// assert_eq!(x.cummax(-1).value()?, Array::from([1.0, 3.0, 3.0]));
/// assert_eq!(x.logcumsumexp(0).at(0, 0).item()?, 1.0);
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<T: Number> Var<'_, T> {
    /// The running sum along an axis; of integers it wraps.
    #[track_caller]
    pub fn cumsum(self, axis: isize) -> Self {
        self.map("cumsum", |s, x| {
            let shape = s.list.shape(x);
            let axis = infer::axis(shape, axis)?;
            let one = s.list.one(T::DTYPE);
            let ones = s.list.expand(one, shape);
            Ok(s.list.recurrence(ones, x, axis, false))
        })
    }

    /// The running product along an axis; of integers it wraps. The gradient is exact where elements are 0.
    #[track_caller]
    pub fn cumprod(self, axis: isize) -> Self {
        self.map("cumprod", |s, x| {
            let shape = s.list.shape(x);
            let axis = infer::axis(shape, axis)?;
            let n = shape.dims()[axis];
            if n <= 1 {
                return Ok(x);
            }
            // r[0] = x[0], r[i] = x[i] r[i-1]: the first element starts the recurrence and multiplies nothing.
            let first = s.list.narrow(x, axis, 0, 1);
            let start = s.list.widen(first, axis, 0, shape);
            let rest = s.list.narrow(x, axis, 1, n - 1);
            let factors = s.list.widen(rest, axis, 1, shape);
            Ok(s.list.recurrence(factors, start, axis, false))
        })
    }

    /// The running maximum along an axis; from a NaN on, NaN. Of equal elements the first gets the gradient.
    #[track_caller]
    pub fn cummax(self, axis: isize) -> Self {
        self.map("cummax", |s, x| {
            let axis = infer::axis(s.list.shape(x), axis)?;
            Ok(s.list.scan(Op::CumMax, x, axis))
        })
    }
}

impl<T: Float> Var<'_, T> {
    /// `ln(cumsum(exp x))` along an axis, safe for any magnitude.
    #[track_caller]
    pub fn logcumsumexp(self, axis: isize) -> Self {
        self.map("logcumsumexp", |s, x| {
            let axis = infer::axis(s.list.shape(x), axis)?;
            Ok(s.list.scan(Op::LogCumSumExp, x, axis))
        })
    }
}
