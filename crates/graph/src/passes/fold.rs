//! Algebra that is exact for every input, NaN, infinities and negative zero included.
//!
//! Not here, because they are not exact: `x * 0`, `x - x`, `x + 0.0` (turns -0.0 into 0.0), `x / x`, and anything that
//! reassociates. Transcendental functions of literals are not folded either: the kernel's bits are the definition.

use retrograde_ops::{Binary, Unary};
use retrograde_storage::{DType, View};

use super::places::resolve;
use crate::list::{List, Value};
use crate::op::Op;

/// The float that every element of `v` is, if it is a literal, broadcast or not.
pub(crate) fn literal(list: &List, mut v: Value) -> Option<f64> {
    while matches!(list.op(v), Op::Expand | Op::Reshape | Op::Permute) {
        v = list.arg(v, 0);
    }
    (list.op(v) == Op::Const && list.dtype(v).is_float()).then(|| list.attr(v).as_float())
}

/// A literal of `v`'s type and shape.
fn filled(list: &mut List, value: f64, v: Value) -> Value {
    let (shape, dtype) = (list.shape(v), list.dtype(v));
    let literal = list.float(value, dtype);
    list.expand(literal, shape)
}

/// A literal's arithmetic in its own type.
fn evaluate(op: Binary, a: f64, b: f64, dtype: DType) -> Option<f64> {
    macro_rules! arithmetic {
        ($a:expr, $b:expr) => {
            match op {
                Binary::Add => $a + $b,
                Binary::Sub => $a - $b,
                Binary::Mul => $a * $b,
                Binary::Div => $a / $b,
                Binary::MulStrong => {
                    if $a == 0.0 {
                        $a
                    } else {
                        $a * $b
                    }
                }
                Binary::DivStrong => {
                    if $a == 0.0 {
                        $a
                    } else {
                        $a / $b
                    }
                }
                _ => return None,
            }
        };
    }
    match dtype {
        DType::F32 => Some(f64::from(arithmetic!(a as f32, b as f32))),
        DType::F64 => Some(arithmetic!(a, b)),
        _ => None,
    }
}

/// What `v` negates, if it is a negation.
fn negated(list: &List, v: Value) -> Option<Value> {
    (list.op(v) == Op::Unary(Unary::Neg) && list.dtype(v).is_float()).then(|| list.arg(v, 0))
}

/// Negations float out of products and quotients, where they meet another or are absorbed by a sum: adjoints are full
/// of them. Exact, since rounding is symmetric; only the sign of a NaN may change, which no arithmetic promises.
fn signs(list: &mut List, op: Binary, x: Value, y: Value) -> Option<Value> {
    use Binary::{Add, Div, DivStrong, Mul, MulStrong, Sub};
    match (op, negated(list, x), negated(list, y)) {
        (Add, _, Some(b)) => Some(list.sub(x, b)),
        (Add, Some(a), None) => Some(list.sub(y, a)),
        (Sub, _, Some(b)) => Some(list.add(x, b)),
        (Mul | Div, Some(a), Some(b)) => Some(list.binary(op, a, b)),
        // A strong zero keeps the sign of its first operand, so that one alone may give its sign up.
        (Mul | Div | MulStrong | DivStrong, Some(a), None) => {
            let product = list.binary(op, a, y);
            Some(list.unary(Unary::Neg, product))
        }
        (Mul | Div, None, Some(b)) => {
            let product = list.binary(op, x, b);
            Some(list.unary(Unary::Neg, product))
        }
        _ => None,
    }
}

/// The value whose neighbouring cuts `v` joins in their order again: the adjoint of what was cut into queries, keys and
/// values, for instance, whose adjoints one instruction has written side by side.
fn rejoined(list: &mut List, v: Value) -> Option<Value> {
    let (shape, axis) = (list.shape(v), list.attr(v).as_axis());
    let whole = View::dense(shape);
    let (mut base, mut start) = (None, 0);
    for &piece in list.args(v) {
        let (from, view) = resolve(list, piece);
        let len = list.dims(piece)[axis];
        let here = whole.slice(axis, start, 1, len);
        start += len;
        let wide = |axis: usize| view.shape.dims()[axis] > 1;
        let same = |axis: usize| view.strides[axis] == here.strides[axis];
        let in_place =
            view.offset == here.offset && (0..shape.rank()).all(|axis| !wide(axis) || same(axis));
        if *base.get_or_insert(from) != from || !in_place {
            return None;
        }
    }
    let base = base.filter(|&b| list.shape(b).len() == shape.len())?;
    Some(list.reshape(base, shape))
}

/// A value that equals `v` exactly and costs less, if there is one. May append to the list.
pub(crate) fn simplify(list: &mut List, v: Value) -> Option<Value> {
    let shape = list.shape(v);
    let same = |list: &List, x: Value| (list.shape(x) == shape).then_some(x);
    match list.op(v) {
        Op::Binary(op) => {
            let (x, y) = (list.arg(v, 0), list.arg(v, 1));
            let (a, b) = (literal(list, x), literal(list, y));
            if let (Some(a), Some(b)) = (a, b) {
                return evaluate(op, a, b, list.dtype(v)).map(|r| filled(list, r, v));
            }
            match (op, a, b) {
                // Strong or not: `1 d` is `d`, since 1 is not zero; `g 1` is `g`, since a strong zero keeps its sign.
                (Binary::Mul | Binary::MulStrong, Some(1.0), _) => same(list, y),
                (
                    Binary::Mul | Binary::MulStrong | Binary::Div | Binary::DivStrong,
                    _,
                    Some(1.0),
                ) => same(list, x),
                (Binary::Mul | Binary::MulStrong, Some(-1.0), _) if list.shape(y) == shape => {
                    Some(list.unary(Unary::Neg, y))
                }
                (Binary::Mul | Binary::Div, _, Some(-1.0)) if list.shape(x) == shape => {
                    Some(list.unary(Unary::Neg, x))
                }
                // `x - 0.0` is `x`, -0.0 included.
                (Binary::Sub, _, Some(zero)) if zero.to_bits() == 0 => same(list, x),
                // `0.0 / y` and `0.0 y` under a strong zero.
                (Binary::MulStrong | Binary::DivStrong, Some(0.0), _) => same(list, x),
                _ => signs(list, op, x, y),
            }
        }
        Op::Unary(Unary::Neg) => {
            let x = list.arg(v, 0);
            if let Some(a) = literal(list, x) {
                return Some(filled(list, -a, v));
            }
            (list.op(x) == Op::Unary(Unary::Neg)).then(|| list.arg(x, 0))
        }
        Op::Reduce(_) => {
            // Over axes of extent 1 nothing is combined.
            let x = list.arg(v, 0);
            (list.shape(x) == shape).then_some(x)
        }
        Op::Reshape | Op::Expand => {
            let x = list.arg(v, 0);
            same(list, x).or_else(|| {
                // A reshape of a reshape needs the first shape no more.
                let inner = list.op(v) == Op::Reshape && list.op(x) == Op::Reshape;
                inner
                    .then(|| list.arg(x, 0))
                    .map(|source| list.reshape(source, shape))
            })
        }
        Op::Permute => {
            let x = list.arg(v, 0);
            let rank = shape.rank();
            let outer = list.attr(v).as_order(rank);
            if outer.iter().enumerate().all(|(i, &a)| i == a) {
                return Some(x);
            }
            if list.op(x) != Op::Permute {
                return None;
            }
            let inner = list.attr(x).as_order(rank);
            let both: Vec<usize> = outer.iter().map(|&a| inner[a]).collect();
            let source = list.arg(x, 0);
            let identity = both.iter().enumerate().all(|(i, &a)| i == a);
            Some(if identity {
                source
            } else {
                list.permute(source, &both)
            })
        }
        Op::Detach => Some(list.arg(v, 0)),
        Op::Concat => rejoined(list, v),
        _ => None,
    }
}
