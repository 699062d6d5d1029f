//! Vector norms.

use retrograde_ops::{Binary, Reduce, Unary};

use super::{Axes, Float, Var};
use crate::error::Fault;
use crate::infer;
use crate::list::{List, Value};

/// Norms; an axis out of range or given twice is an error.
///
/// ```
/// # use retrograde_graph::{INFER, Tape, keep};
/// # use retrograde_storage::{Array, Create};
/// # let tape = Tape::new();
/// let x = tape.variable(Array::from([[3.0_f64, -4.0], [0.0, 0.0]]));
/// assert_eq!(x.norm().item()?, 5.0);
/// assert_eq!(x.norm_p(1.0).item()?, 7.0);
/// assert_eq!(x.norm_over(keep(1)).value()?, Array::from([[5.0], [0.0]]));
/// assert_eq!(x.norm_p_over(0, f64::INFINITY).value()?, Array::from([3.0, 4.0]));
/// assert!(x.norm_p(0.0).item().is_err());
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<T: Float> Var<'_, T> {
    /// The Euclidean norm of all elements, `sqrt(sum(x^2))`. The gradient at 0 is 0.
    #[track_caller]
    pub fn norm(self) -> Self {
        self.norm_over(..)
    }
    /// The Euclidean norm over some axes, as [`norm`](Self::norm).
    #[track_caller]
    pub fn norm_over(self, axes: impl Into<Axes>) -> Self {
        self.over("norm", axes, |s, x, over| Ok(s.list.norm(x, over.mask)))
    }

    /// The p-norm of all elements, `sum(|x|^p)^(1/p)`; for infinite `p` the largest `|x|`, and equal ones share the
    /// gradient. The gradient at 0 is 0. An error unless `p > 0`.
    #[track_caller]
    pub fn norm_p(self, p: f64) -> Self {
        self.norm_p_over(.., p)
    }
    /// The p-norm over some axes, as [`norm_p`](Self::norm_p).
    #[track_caller]
    pub fn norm_p_over(self, axes: impl Into<Axes>, p: f64) -> Self {
        self.over("norm_p", axes, |s, x, over| {
            norm_p(&mut s.list, x, over.mask, p)
        })
    }
}

impl List {
    pub(super) fn norm(&mut self, x: Value, mask: u8) -> Value {
        let square = self.unary(Unary::Square, x);
        let sum = self.reduce(Reduce::Sum, square, mask);
        self.root(sum)
    }
}

fn norm_p(list: &mut List, x: Value, mask: u8, p: f64) -> Result<Value, Fault> {
    if p.is_nan() || p <= 0.0 {
        return Err(infer::argument(format!(
            "p must be above 0 (infinity allowed), but it is {p}"
        )));
    }
    if p == 2.0 {
        return Ok(list.norm(x, mask));
    }
    let abs = list.unary(Unary::Abs, x);
    if p == f64::INFINITY {
        infer::not_empty(list.shape(x), mask)?;
        return Ok(list.reduce(Reduce::Max, abs, mask));
    }
    if p == 1.0 {
        return Ok(list.reduce(Reduce::Sum, abs, mask));
    }
    // Powers below 1 have infinite slope at 0, and so has the root of a sum that is 0: no adjoint may reach those.
    let power = power_off_zero(list, abs, p);
    let sum = list.reduce(Reduce::Sum, power, mask);
    Ok(power_off_zero(list, sum, 1.0 / p))
}

/// `x^p` for `x >= 0`, with derivative 0 at 0.
fn power_off_zero(list: &mut List, x: Value, p: f64) -> Value {
    let zero = list.like(0.0, x);
    let p = list.like(p, x);
    let flat = list.binary(Binary::Eq, x, zero);
    let power = list.binary(Binary::Pow, x, p);
    list.select(flat, zero, power)
}
