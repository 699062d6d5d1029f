//! Which kernels compute an instruction, on what operands.

use retrograde_ops::conv;
use retrograde_ops::structured as kernels;
use retrograde_storage::{DType, View};

use super::attention::Attention;
use super::conv::Conv;
use super::custom::Custom;
use super::linalg::Matrices;
use super::product::Product;
use super::scan::Scan;
use super::sort::Ordering;
use super::structured::Structured;
use super::{Kernel, Kind, Operand};
use crate::list::{List, Value};
use crate::op::{Draw, Op, SliceSpec};
use crate::passes::places::Places;
use crate::run::options::Options;
use crate::{Error, Result};

/// The kernels that compute `v`, in order.
///
/// # Errors
/// An internal one where `v` has no kernel or its operands are not such as the kernel takes: the planner is at fault.
pub(crate) fn kernels(
    list: &List,
    places: &Places,
    v: Value,
    options: Options,
) -> Result<Vec<Kernel>> {
    let level = options.level;
    let arg = |i: usize| Operand::of(list, places, list.arg(v, i));
    let dst = Operand::result(list, v);
    let kinds = match (list.op(v), dst.dtype) {
        (Op::MatMul, DType::F64) => {
            vec![Kind::Product64(Product::new(level, arg(0), arg(1), dst))]
        }
        (Op::MatMul, _) => vec![Kind::Product32(Product::new(level, arg(0), arg(1), dst))],
        (Op::Attention | Op::AttentionGrad, DType::F64) => {
            vec![Kind::Attention64(Attention::new(level, list, places, v))]
        }
        (Op::Attention | Op::AttentionGrad, _) => {
            vec![Kind::Attention32(Attention::new(level, list, places, v))]
        }
        (Op::Custom | Op::CustomGrad, _) => vec![Kind::Custom(Custom::new(list, places, v))],
        (Op::ArgSort, _) => vec![Kind::Ordering(Ordering::Sort {
            src: arg(0),
            dst,
            axis: list.attr(v).as_axis(),
            descending: list.attr(v).is_reverse(),
        })],
        (Op::SearchSorted, _) => vec![Kind::Ordering(Ordering::Search {
            sorted: arg(0),
            values: arg(1),
            dst,
            right: list.attr(v).as_int() == 1,
        })],
        (Op::Linalg(op), _) => vec![Kind::Linalg(Matrices::new(level, op, list, places, v))],
        (op @ (Op::Conv2d | Op::ConvInput | Op::ConvWeight), dtype) => {
            let (x, y) = (arg(0), arg(1));
            // Image, weight, output: one of them is what is computed.
            let (kind, operands) = match op {
                Op::Conv2d => (conv::Kind::Output, [x, y, dst]),
                Op::ConvInput => (conv::Kind::Image, [dst, y, x]),
                _ => (conv::Kind::Weight, [x, dst, y]),
            };
            let window = list.window(v);
            vec![match dtype {
                DType::F64 => Kind::Conv64(Box::new(Conv::new(level, kind, window, &operands))),
                _ => Kind::Conv32(Box::new(Conv::new(level, kind, window, &operands))),
            }]
        }
        (Op::Scan, _) => vec![Kind::Scan(Box::new(Scan::new(options, list, places, v)?))],
        _ => {
            let chosen = structured(list, places, v);
            chosen.into_iter().map(Kind::Structured).collect()
        }
    };
    if kinds.is_empty() {
        let op = list.op(v).name();
        return Err(Error::internal(&format!("{op} has no kernel of its own")));
    }
    let made = kinds.into_iter().map(|kind| {
        let kernel = Kernel::new(v, kind);
        let checked = kernel.check();
        checked.map_err(|e| Error::internal(&e.to_string()))?;
        Ok(kernel)
    });
    made.collect()
}

/// The structured kernels of `v`; none for an instruction that has no such kernels.
fn structured(list: &List, places: &Places, v: Value) -> Vec<Structured> {
    let operand = |v: Value| Operand::of(list, places, v);
    let arg = |i: usize| operand(list.arg(v, i));
    let (attr, dst) = (list.attr(v), Operand::result(list, v));
    let one = match list.op(v) {
        Op::Cast => Structured::Cast { src: arg(0), dst },
        Op::Reshape | Op::Expand | Op::Permute | Op::Detach | Op::Copy | Op::After => {
            let src = arg(0);
            // A reshape that strides cannot say: the elements in row-major order, written densely under the old shape.
            let dst = dst.with(View::dense(src.view.shape));
            Structured::Copy { src, dst }
        }
        Op::Slice => {
            let source = arg(0);
            let window = window(source.view, list.slice_spec(v), list.dims(v));
            let src = source.with(window);
            Structured::Copy { src, dst }
        }
        Op::Unslice => {
            let src = arg(0);
            let window = window(dst.view, list.slice_spec(v), src.view.shape.dims());
            let copy = Structured::Copy {
                src,
                dst: dst.with(window),
            };
            return vec![Structured::Fill { dst, bits: 0 }, copy];
        }
        Op::Concat => {
            let (axis, mut start) = (attr.as_axis(), 0);
            let parts = list.args(v).iter().map(|&a| {
                let src = operand(a);
                let len = src.view.shape.dims()[axis];
                let window = dst.view.slice(axis, start, 1, len);
                start += len;
                Structured::Copy {
                    src,
                    dst: dst.with(window),
                }
            });
            return parts.collect();
        }
        Op::Random(draw) => {
            let (stream, ordinal) = attr.as_draw();
            let random = |draw| Structured::Random {
                dst,
                draw,
                stream,
                ordinal,
            };
            match draw {
                Draw::Uniform => random(kernels::Draw::Uniform),
                Draw::Normal => random(kernels::Draw::Normal),
                Draw::Bits => random(kernels::Draw::Bits),
                Draw::Permutation => Structured::Permutation {
                    dst,
                    stream,
                    ordinal,
                },
            }
        }
        Op::Gather => Structured::Gather {
            src: arg(0),
            index: spread(arg(1), &dst),
            dst,
            axis: attr.as_axis(),
        },
        Op::ScatterAdd => Structured::ScatterAdd {
            src: arg(0),
            index: spread(arg(1), &arg(0)),
            dst,
            axis: attr.as_axis(),
        },
        Op::MaxPool | Op::MaxPoolInput | Op::SumPool | Op::SumPoolInput => Structured::Pool {
            kind: match list.op(v) {
                Op::MaxPool => kernels::Pooling::Max,
                Op::MaxPoolInput => kernels::Pooling::MaxAdjoint,
                Op::SumPool => kernels::Pooling::Sum,
                _ => kernels::Pooling::SumAdjoint,
            },
            window: *list.window(v),
            src: arg(0),
            by: list.args(v).get(1).map(|&by| operand(by)),
            dst,
        },
        Op::Division(what) => Structured::Divide {
            what,
            x: spread(arg(0), &dst),
            y: spread(arg(1), &dst),
            dst,
        },
        Op::CheckIndex => Structured::CheckIndex {
            index: arg(0),
            bound: attr.as_bound(),
        },
        Op::Recurrence => Structured::Lines {
            walk: kernels::Walk::Recurrence {
                reverse: attr.is_reverse(),
                strong: attr.is_strong(),
            },
            x: spread(arg(0), &dst),
            y: Some(spread(arg(1), &dst)),
            dst,
            axis: attr.as_axis(),
        },
        op => match walk(op) {
            Some(walk) => Structured::Lines {
                walk,
                x: arg(0),
                y: None,
                dst,
                axis: attr.as_axis(),
            },
            None => return Vec::new(),
        },
    };
    vec![one]
}

/// The walk along lines of one operand that computes `op`.
fn walk(op: Op) -> Option<kernels::Walk> {
    Some(match op {
        Op::CumMax => kernels::Walk::CumMax,
        Op::CumArgMax => kernels::Walk::CumArgMax,
        Op::LogCumSumExp => kernels::Walk::LogCumSumExp,
        Op::ArgMax => kernels::Walk::ArgMax,
        Op::ArgMin => kernels::Walk::ArgMin,
        _ => return None,
    })
}

/// `x` broadcast to the shape of `to`.
fn spread(x: Operand, to: &Operand) -> Operand {
    x.with(x.view.expand(to.view.shape))
}

/// The elements of `view` that `spec` picks, of extents `dims`.
fn window(view: View, spec: &SliceSpec, dims: &[usize]) -> View {
    (0..dims.len()).fold(view, |view, axis| {
        view.slice(axis, spec.start[axis], spec.step[axis], dims[axis])
    })
}
