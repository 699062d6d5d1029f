//! Composite operations as primitives, and reductions in the forms that kernels have.
//!
//! Composites stay whole until here, because their derivative rules are better than the sum of their parts' rules. The
//! parts they share (a row's maximum, its exponentials, their sum) are emitted in identical form, so that common
//! subexpressions of a softmax, a log-sum-exp and their adjoints over one `x` merge.

use retrograde_ops::linalg::Linalg;
use retrograde_ops::{Binary, Reduce, Unary};
use retrograde_storage::{DType, Shape};

use crate::list::{List, Value};
use crate::op::{Attr, Op};

/// Emits what stands for an instruction in `list`, where its operands are `args`. `None`: the instruction is primitive
/// already, push it unchanged.
pub(crate) fn lower(
    list: &mut List,
    op: Op,
    args: &[Value],
    attr: Attr,
    shape: Shape,
    dtype: DType,
) -> Option<Value> {
    if let Some(constant) = of_nothing(list, op, args, shape, dtype) {
        return Some(constant);
    }
    match op {
        Op::Reduce(kind) => reduce(list, kind, args[0], attr.as_axes()),
        Op::LogSumExp => {
            let row = Row::of(list, args[0], attr.as_axes());
            let ln = list.unary(Unary::Ln, row.sum);
            Some(list.add(ln, row.shift))
        }
        // A row without any mass divides 0 by 0, which is 0 here.
        Op::Softmax => {
            let row = Row::of(list, args[0], attr.as_axes());
            Some(list.binary(Binary::DivStrong, row.exp, row.sum))
        }
        // x - shift - ln(sum), in this order: x - (shift + ln(sum)) would round the small logarithm away beside a large
        // shift. A row without any mass is negative infinity throughout.
        Op::LogSoftmax => {
            let row = Row::of(list, args[0], attr.as_axes());
            let zero = list.like(0.0, row.sum);
            let empty = list.binary(Binary::Eq, row.sum, zero);
            let ln = list.unary(Unary::Ln, row.sum);
            let ln = list.select(empty, zero, ln);
            Some(list.sub(row.difference, ln))
        }
        // Its derivative needs the same exponential, written in the same way.
        Op::Unary(Unary::NormalCdf) => {
            let bell = list.exp_of_square(args[0], -0.5);
            Some(list.binary(Binary::NormalCdfOf, args[0], bell))
        }
        Op::PowI => powi(list, args[0], attr.as_int(), shape, dtype),
        Op::Cast if dtype == DType::Bool => {
            let from = list.dtype(args[0]);
            let zero = literal(list, 0.0, from);
            Some(list.binary(Binary::Ne, args[0], zero))
        }
        Op::Binary(op) if list.dtype(args[0]) == DType::Bool => order(list, op, args[0], args[1]),

        // A part of a decomposition is rows of its factors.
        Op::Linalg(op) => list.rows_of_factors(op, args, shape),

        Op::Input
        | Op::Const
        | Op::Uniform
        | Op::Iota
        | Op::Random(_)
        | Op::Unary(_)
        | Op::Binary(_)
        | Op::Ternary(_)
        | Op::Copy
        | Op::Cast
        | Op::Detach
        | Op::ArgMax
        | Op::ArgMin
        | Op::Recurrence
        | Op::CumMax
        | Op::CumArgMax
        | Op::LogCumSumExp
        | Op::Reshape
        | Op::Permute
        | Op::Slice
        | Op::Unslice
        | Op::Expand
        | Op::Concat
        | Op::MatMul
        | Op::ArgSort
        | Op::Custom
        | Op::CustomGrad
        | Op::SearchSorted
        | Op::Attention
        | Op::AttentionGrad
        | Op::Conv2d
        | Op::ConvInput
        | Op::ConvWeight
        | Op::MaxPool
        | Op::MaxPoolInput
        | Op::SumPool
        | Op::SumPoolInput
        | Op::Gather
        | Op::ScatterAdd
        | Op::Scan
        | Op::After
        | Op::Division(_)
        | Op::CheckIndex => None,
    }
}

/// A value without elements has nothing to compute, and an operand without elements nothing to combine: what is left is
/// a constant, so that no group and no kernel has an empty space.
fn of_nothing(
    list: &mut List,
    op: Op,
    args: &[Value],
    shape: Shape,
    dtype: DType,
) -> Option<Value> {
    let empty = |list: &List| args.first().is_some_and(|&x| list.shape(x).is_empty());
    let constant = match op {
        Op::Input => return None,
        _ if shape.is_empty() => 0.0,
        Op::Reduce(Reduce::Sum) | Op::MatMul | Op::ScatterAdd | Op::Unslice if empty(list) => 0.0,
        // No keys, or values without features: nobody is given anything.
        Op::Attention | Op::AttentionGrad if list.shape(args[2]).is_empty() => 0.0,
        // No queries.
        Op::AttentionGrad if list.shape(args[3]).is_empty() => 0.0,
        // Of nothing in one operand there is nothing in the other: no image, no channel, no output.
        Op::Conv2d | Op::ConvInput | Op::ConvWeight if empty(list) => 0.0,
        Op::SearchSorted if empty(list) => 0.0,
        // The empty product of pivots.
        Op::Linalg(Linalg::LogAbsDet) if empty(list) => 0.0,
        Op::Linalg(Linalg::Det | Linalg::SignDet) if empty(list) => 1.0,
        Op::Reduce(Reduce::Prod) if empty(list) => 1.0,
        Op::LogSumExp if empty(list) => f64::NEG_INFINITY,
        // Other reductions refuse to be recorded over nothing, and all other operations have elements to work on.
        _ => return None,
    };
    let constant = literal(list, constant, dtype);
    Some(list.expand(constant, shape))
}

/// A literal of any type.
fn literal(list: &mut List, x: f64, dtype: DType) -> Value {
    if dtype.is_float() {
        list.float(x, dtype)
    } else {
        list.int(x as i64, dtype)
    }
}

/// Masks compared in order, `false` before `true`, by logic: groups hold them as bits and have no order of them.
fn order(list: &mut List, op: Binary, x: Value, y: Value) -> Option<Value> {
    let (op, x, y) = match op {
        Binary::Lt => (Binary::And, list.unary(Unary::Not, x), y),
        Binary::Le => (Binary::Or, list.unary(Unary::Not, x), y),
        Binary::Gt => (Binary::And, x, list.unary(Unary::Not, y)),
        Binary::Ge => (Binary::Or, x, list.unary(Unary::Not, y)),
        _ => return None,
    };
    Some(list.binary(op, x, y))
}

/// What the row family shares.
struct Row {
    /// The row's maximum, but 0 where that is negative infinity, so that subtracting it leaves infinities alone.
    shift: Value,
    /// `x - shift`, 0 where both are infinite: an infinite logit takes all the mass, shared with its equals.
    difference: Value,
    /// `exp(difference)`.
    exp: Value,
    /// The sum of `exp`.
    sum: Value,
}

impl Row {
    fn of(list: &mut List, x: Value, axes: u8) -> Self {
        let max = reduced(list, Reduce::Max, x, axes);
        let nothing = list.like(f64::NEG_INFINITY, x);
        let zero = list.like(0.0, x);
        let empty = list.binary(Binary::Eq, max, nothing);
        let shift = list.select(empty, zero, max);
        let largest = list.binary(Binary::Eq, x, shift);
        let difference = list.sub(x, shift);
        let difference = list.select(largest, zero, difference);
        let exp = list.unary(Unary::Exp, difference);
        let sum = reduced(list, Reduce::Sum, exp, axes);
        Self {
            shift,
            difference,
            exp,
            sum,
        }
    }
}

/// A reduction of any axes.
fn reduced(list: &mut List, kind: Reduce, x: Value, axes: u8) -> Value {
    reduce(list, kind, x, axes).unwrap_or_else(|| list.reduce(kind, x, axes))
}

/// Kernels reduce one run of neighbouring axes; others go run by run, the innermost first. `None` for a single run.
fn reduce(list: &mut List, kind: Reduce, x: Value, axes: u8) -> Option<Value> {
    let runs = runs(list.dims(x), axes);
    match runs.as_slice() {
        [] => Some(x),
        [_] => None,
        runs => Some(runs.iter().fold(x, |x, &run| list.reduce(kind, x, run))),
    }
}

/// The axes to reduce in runs of neighbours, innermost first. Axes of extent 1 need no reduction and separate nothing:
/// one inside a run belongs to it if it was asked for, so that a single run is the whole mask again.
fn runs(dims: &[usize], axes: u8) -> Vec<u8> {
    let mut runs: Vec<u8> = Vec::new();
    let mut open = false;
    for (axis, &extent) in dims.iter().enumerate().rev() {
        let asked = axes >> axis & 1 == 1;
        if extent == 1 {
            if let Some(run) = runs.last_mut().filter(|_| asked) {
                *run |= 1 << axis;
            }
        } else if !asked {
            open = false;
        } else if open {
            *runs.last_mut().expect("an open run is the last") |= 1 << axis;
        } else {
            runs.push(1 << axis);
            open = true;
        }
    }
    // Axes of extent 1 behind the innermost run.
    if let Some(first) = runs.first_mut() {
        let inner = axes & !((1 << first.ilog2()) | ((1u8 << first.ilog2()) - 1));
        *first |= inner;
    }
    runs
}

/// Small exponents by the operations that define them; no other exponent has a unique cheapest chain.
fn powi(list: &mut List, x: Value, n: i64, shape: Shape, dtype: DType) -> Option<Value> {
    match n {
        -1 => Some(list.unary(Unary::Recip, x)),
        0 => {
            let one = list.float(1.0, dtype);
            Some(list.expand(one, shape))
        }
        1 => Some(x),
        2 => Some(list.unary(Unary::Square, x)),
        3 => {
            let square = list.unary(Unary::Square, x);
            Some(list.mul(square, x))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::runs;

    #[test]
    fn runs_are_contiguous_but_for_extents_of_one() {
        assert_eq!(runs(&[2, 3, 4], 0b101), [0b100, 0b001]);
        assert_eq!(runs(&[2, 3, 4], 0b110), [0b110]);
        assert_eq!(runs(&[2, 1, 4], 0b101), [0b101]);
        assert_eq!(runs(&[2, 1, 4], 0b111), [0b111]);
        assert_eq!(runs(&[1, 3, 1], 0b101), []);
        assert_eq!(runs(&[2, 3, 1], 0b101), [0b101]);
        assert_eq!(runs(&[2, 3, 4, 5, 6], 0b10101), [0b10000, 0b00100, 0b00001]);
        assert_eq!(runs(&[0, 3, 4], 0b101), [0b100, 0b001]);
    }
}
