//! Composites to primitives: what has a derivative rule of its own (for accuracy, or for its behaviour at infinity) is
//! computed by instructions that fuse.

use retrograde_ops::{Binary, Reduce, Unary};
use retrograde_storage::{DType, Shape};

use crate::list::{List, Value, kept};
use crate::op::{Attr, Op};

/// What softmax and its relatives share, emitted alike by all so that common subexpressions are found.
struct Shifted {
    /// Row maximum, 0 where that is negative infinity.
    max: Value,
    /// `x - max`, 0 where `x` is the maximum, be it infinite.
    centred: Value,
    /// `exp(x - max)`.
    exp: Value,
    /// Sum of `exp` over the row.
    sum: Value,
}

/// `x - max x` is NaN for two infinities of one sign: a row of negative infinities counts as shifted by 0 (so that all
/// exponentials are 0), and the largest element as 0 away from itself (so that positive infinities share the row).
fn shift(list: &mut List, x: Value, axes: u8) -> Shifted {
    let top = list.reduce(Reduce::Max, x, axes);
    let lowest = list.like(f64::NEG_INFINITY, x);
    let zero = list.like(0.0, x);
    let empty = list.binary(Binary::Eq, top, lowest);
    let max = list.select(empty, zero, top);
    let distance = list.sub(x, max);
    let is_max = list.binary(Binary::Eq, x, max);
    let centred = list.select(is_max, zero, distance);
    let exp = list.unary(Unary::Exp, centred);
    let sum = list.reduce(Reduce::Sum, exp, axes);
    Shifted { max, centred, exp, sum }
}

/// Splits a set of axes into runs that are adjacent once axes of extent 1 are left out, innermost first.
fn runs(shape: &Shape, axes: u8) -> Vec<u8> {
    let mut runs = Vec::new();
    let mut open = false;
    for (axis, &d) in shape.dims().iter().enumerate().rev() {
        if d == 1 {
            continue;
        }
        let wanted = axes >> axis & 1 == 1;
        match (wanted, open) {
            (true, true) => *runs.last_mut().expect("a run is open") |= 1 << axis,
            (true, false) => runs.push(1 << axis),
            (false, _) => {}
        }
        open = wanted;
    }
    runs
}

/// Emits primitives for a composite, or returns `None` for what is primitive already.
pub(crate) fn lower(list: &mut List, op: Op, args: &[Value], attr: Attr, shape: Shape, dtype: DType) -> Option<Value> {
    let axes = attr.as_axes();
    match op {
        Op::LogSumExp => {
            let s = shift(list, args[0], axes);
            let ln = list.unary(Unary::Ln, s.sum);
            Some(list.add(ln, s.max))
        }
        Op::Softmax => {
            let s = shift(list, args[0], axes);
            // Strong: a fully masked row has sum 0, and its softmax is zeros.
            Some(list.binary(Binary::DivStrong, s.exp, s.sum))
        }
        Op::LogSoftmax => {
            let s = shift(list, args[0], axes);
            let ln = list.unary(Unary::Ln, s.sum);
            Some(list.sub(s.centred, ln))
        }
        Op::Reduce(kind) => {
            let x = args[0];
            if list.shape(x) == shape {
                return Some(x);
            }
            let runs = runs(&list.shape(x), axes);
            if runs.len() < 2 {
                return None;
            }
            let reduced = runs.iter().fold(x, |x, &run| {
                let shape = kept(list.shape(x), run);
                list.push(Op::Reduce(kind), &[x], Attr::axes(run), shape, dtype)
            });
            Some(reduced)
        }
        // A number is true unless it is 0: a comparison fuses, a cast to another width does not.
        Op::Cast if dtype == DType::Bool && list.dtype(args[0]) != DType::Bool => {
            let from = list.dtype(args[0]);
            let zero = if from.is_float() { list.float(0.0, from) } else { list.int(0, from) };
            Some(list.binary(Binary::Ne, args[0], zero))
        }
        Op::Cast if dtype == list.dtype(args[0]) => Some(args[0]),
        _ => None,
    }
}
