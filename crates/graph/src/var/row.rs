//! The row family: every row along an axis becomes another row.

use retrograde_ops::{Binary, Unary};

use super::{Float, Operand, Var};
use crate::error::Fault;
use crate::infer;
use crate::list::{List, Value};
use crate::op::{Attr, Op};

/// Rows of any shape keep it; an axis out of range is an error, and so is a weight that has not the shape of a row.
///
/// ```
/// # use retrograde_graph::{INFER, Tape, keep};
/// # use retrograde_storage::{Array, Create};
/// # let tape = Tape::new();
/// let x = tape.variable(Array::from([[0.0_f64, 0.0], [3.0, 5.0]]));
/// assert!(x.softmax(-1).sum_over(1).value()?.allclose(&Array::ones([2]).cast(), 1e-15, 0.0));
/// assert_eq!(x.log_softmax(1).at(0, 0).value()?, Array::from([-2f64.ln(), -2f64.ln()]));
/// let (weight, bias) = (tape.rec().ones([2]), tape.rec().zeros([2]));
/// assert_eq!(x.layer_norm(weight, bias, 0.0).at(0, 1).value()?, Array::from([-1.0, 1.0]));
/// assert_eq!(x.rms_norm(weight, 0.5).shape()?, [2, 2]);
/// assert!(x.rms_norm(tape.rec().ones([3]), 0.5).value().is_err());
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<'t, T: Float> Var<'t, T> {
    /// `exp x / sum(exp x)` along an axis, safe for any magnitude. A row of negative infinities gives zeros; infinite
    /// elements share all the mass.
    #[track_caller]
    pub fn softmax(self, axis: isize) -> Self {
        self.row("softmax", Op::Softmax, axis)
    }

    /// `x - ln(sum(exp x))` along an axis, more accurate than the logarithm of [`softmax`](Self::softmax). A row of
    /// negative infinities stays so.
    #[track_caller]
    pub fn log_softmax(self, axis: isize) -> Self {
        self.row("log_softmax", Op::LogSoftmax, axis)
    }

    #[track_caller]
    fn row(self, name: &str, op: Op, axis: isize) -> Self {
        self.map(name, |s, x| {
            let shape = s.list.shape(x);
            let axis = infer::axis(shape, axis)?;
            Ok(s.list
                .push(op, &[x], Attr::axes(1 << axis), shape, T::DTYPE))
        })
    }

    /// Rows along the last axis to mean 0 and variance 1, then `weight` and `bias` (of that axis' shape):
    /// `(x - mean) / sqrt(var + eps) weight + bias`.
    #[track_caller]
    pub fn layer_norm(self, weight: Self, bias: Self, eps: impl Operand<'t, T>) -> Self {
        let eps = eps.lift(self.rec);
        let operands = [self.into(), weight.into(), bias.into(), eps.into()];
        self.rec.apply("layer_norm", &operands, |s| {
            let l = &mut s.list;
            let mask = row_mask(l, self.id, &[weight.id, bias.id], eps.id)?;
            let mean = l.mean(self.id, mask);
            let centred = l.sub(self.id, mean);
            let normal = normalised(l, centred, mask, eps.id);
            let scaled = l.mul(normal, weight.id);
            Ok(l.add(scaled, bias.id))
        })
    }

    /// Rows along the last axis divided by their root mean square, then `weight` (of that axis' shape):
    /// `x / sqrt(mean(x^2) + eps) weight`.
    #[track_caller]
    pub fn rms_norm(self, weight: Self, eps: impl Operand<'t, T>) -> Self {
        let eps = eps.lift(self.rec);
        self.rec
            .apply("rms_norm", &[self.into(), weight.into(), eps.into()], |s| {
                let l = &mut s.list;
                let mask = row_mask(l, self.id, &[weight.id], eps.id)?;
                let normal = normalised(l, self.id, mask, eps.id);
                Ok(l.mul(normal, weight.id))
            })
    }
}

/// The last axis as a mask, after the check that the weights fit it.
fn row_mask(list: &List, x: Value, weights: &[Value], eps: Value) -> Result<u8, Fault> {
    let shape = list.shape(x);
    infer::rank_at_least(shape, 1)?;
    let axis = shape.rank() - 1;
    for &w in weights {
        let row = &shape.dims()[axis..];
        if list.dims(w) != row {
            return Err(Fault::shape(format!(
                "weight and bias must have the shape of a row, {row:?}, not {}",
                list.shape(w)
            )));
        }
    }
    eps_is_scalar(list, eps)?;
    Ok(1 << axis)
}

pub(super) fn eps_is_scalar(list: &List, eps: Value) -> Result<(), Fault> {
    let shape = list.shape(eps);
    if shape.rank() == 0 {
        return Ok(());
    }
    Err(Fault::shape(format!("eps must be a scalar, not {shape}")))
}

/// `x / sqrt(mean(x^2) + eps)`.
pub(super) fn normalised(list: &mut List, x: Value, mask: u8, eps: Value) -> Value {
    let square = list.unary(Unary::Square, x);
    let mean = list.mean(square, mask);
    let lifted = list.binary(Binary::Add, mean, eps);
    let factor = list.unary(Unary::Rsqrt, lifted);
    list.mul(x, factor)
}
