//! Integers and masks that a program computes from literals, or from inputs whose elements were given: which elements
//! a gather reads, which side of a mask is taken.

use std::rc::Rc;

use retrograde_ops::structured::Division;
use retrograde_ops::{Binary, Ternary, Unary};
use retrograde_storage::{DType, Id};

use super::walk::Walk;
use crate::list::{List, Value};
use crate::op::Op;

/// Elements of an integer or bool tensor, where they are known.
pub(crate) type Known = Option<Rc<[i64]>>;

/// Elements of a tensor that are computed for the sake of a pattern.
const MOST_ELEMENTS: usize = 1 << 24;

/// By row: whether its elements decide what others depend on.
pub(super) fn wanted(list: &List, needed: &[bool]) -> Vec<bool> {
    let mut wanted = vec![false; list.len()];
    for v in list.values().rev() {
        let decides = match list.op(v) {
            _ if !needed[v.index()] => None,
            Op::Gather | Op::ScatterAdd => Some(list.arg(v, 1)),
            Op::Ternary(Ternary::Select) => Some(list.arg(v, 0)),
            // Its body has wishes of its own.
            Op::Scan => {
                list.args(v).iter().for_each(|a| wanted[a.index()] = true);
                None
            }
            _ => None,
        };
        if let Some(x) = decides {
            wanted[x.index()] = true;
        }
        if wanted[v.index()] && !list.dtype(v).is_float() {
            list.args(v).iter().for_each(|a| wanted[a.index()] = true);
        }
    }
    wanted
}

/// The elements of `v`, an integer or bool, if those of its operands are known and it is easily computed.
pub(super) fn evaluate(list: &List, v: Value, operand: impl Fn(Value) -> Known) -> Known {
    let (shape, dtype, attr) = (list.shape(v), list.dtype(v), list.attr(v));
    if dtype.is_float() || shape.len() > MOST_ELEMENTS {
        return None;
    }
    let args = list.args(v);
    let known = |i: usize| operand(args[i]);
    let picked = |walk: Walk| -> Known {
        let x = known(0)?;
        Some(walk.positions().map(|p| x[p]).collect())
    };
    // Operand `i` at every element of the result.
    let full = |i: usize| -> Option<Vec<i64>> {
        let x = known(i)?;
        let walk = Walk::broadcast(list.shape(args[i]), shape);
        Some(walk.positions().map(|p| x[p]).collect())
    };
    match list.op(v) {
        Op::Const => Some(Rc::new([attr.as_int()])),
        Op::Iota => Some((0..shape.len() as i64).collect()),
        Op::Reshape | Op::Copy | Op::After | Op::CheckIndex | Op::Detach => known(0),
        Op::Cast if !list.dtype(args[0]).is_float() => {
            let x = known(0)?;
            Some(x.iter().map(|&x| wrapped(dtype, x)).collect())
        }
        Op::Permute => {
            let order = attr.as_order(shape.rank());
            picked(Walk::permuted(list.shape(args[0]), shape, &order))
        }
        Op::Slice => {
            let spec = list.slice_spec(v);
            picked(Walk::sliced(
                list.shape(args[0]),
                shape,
                &spec.start,
                &spec.step,
            ))
        }
        Op::Expand => picked(Walk::broadcast(list.shape(args[0]), shape)),
        Op::Concat => {
            let axis = attr.as_axis();
            let inner: usize = shape.dims()[axis + 1..].iter().product();
            let parts: Vec<(Rc<[i64]>, usize)> = args
                .iter()
                .map(|&x| Some((operand(x)?, list.dims(x)[axis] * inner)))
                .collect::<Option<_>>()?;
            let outer: usize = shape.dims()[..axis].iter().product();
            let blocks = (0..outer).flat_map(|o| {
                parts
                    .iter()
                    .map(move |(x, block)| &x[o * block..][..*block])
            });
            Some(blocks.flatten().copied().collect())
        }
        Op::Unary(Unary::Not) => {
            let x = known(0)?;
            Some(x.iter().map(|&x| i64::from(x == 0)).collect())
        }
        Op::Unary(Unary::Neg) => {
            let x = known(0)?;
            Some(
                x.iter()
                    .map(|&x| wrapped(dtype, x.wrapping_neg()))
                    .collect(),
            )
        }
        Op::Binary(op) => {
            let pairs = full(0)?.into_iter().zip(full(1)?);
            pairs.map(|(x, y)| binary(op, dtype, x, y)).collect()
        }
        Op::Division(what) => {
            let pairs = full(0)?.into_iter().zip(full(1)?);
            let divide = |(x, y): (i64, i64)| {
                // A division by zero is not known, for the run fails.
                (y != 0).then(|| match what {
                    Division::Quotient => x.wrapping_div(y),
                    Division::Remainder => x.wrapping_rem(y),
                })
            };
            pairs.map(divide).collect()
        }
        Op::Ternary(Ternary::Select) => {
            let sides = full(1)?.into_iter().zip(full(2)?);
            let all = full(0)?.into_iter().zip(sides);
            Some(all.map(|(m, (x, y))| if m == 0 { y } else { x }).collect())
        }
        _ => None,
    }
}

fn binary(op: Binary, dtype: DType, x: i64, y: i64) -> Option<i64> {
    Some(match op {
        Binary::Add => wrapped(dtype, x.wrapping_add(y)),
        Binary::Sub => wrapped(dtype, x.wrapping_sub(y)),
        Binary::Mul => wrapped(dtype, x.wrapping_mul(y)),
        Binary::Max => x.max(y),
        Binary::Min => x.min(y),
        Binary::Lt => i64::from(x < y),
        Binary::Le => i64::from(x <= y),
        Binary::Gt => i64::from(x > y),
        Binary::Ge => i64::from(x >= y),
        Binary::Eq => i64::from(x == y),
        Binary::Ne => i64::from(x != y),
        Binary::And => i64::from(x != 0 && y != 0),
        Binary::Or => i64::from(x != 0 || y != 0),
        Binary::Xor => i64::from((x != 0) != (y != 0)),
        // Of floats, or not worth it: an index that is not known may be any.
        _ => return None,
    })
}

/// `x` in an integer type.
fn wrapped(dtype: DType, x: i64) -> i64 {
    match dtype {
        DType::U32 => i64::from(x as u32),
        DType::Bool => i64::from(x != 0),
        DType::I64 | DType::F32 | DType::F64 => x,
    }
}
