//! Mask-exact adjoints: where an adjoint can be structurally zero (a branch masked off, an element not gathered, a seed
//! the user gave), multiplying it by a local derivative must give zero even if that derivative is infinite or NaN.
//! Rules always emit the strong multiplication; here it becomes a plain one wherever the adjoint cannot be structurally
//! zero. This decides values (an *accidental* zero times infinity stays NaN, as IEEE says), so it always runs.

use retrograde_ops::{Binary, Ternary, Unary};
use retrograde_storage::{DType, Id};

use crate::attention::Extents;
use crate::body::ScanSpec;
use crate::list::{List, Value};
use crate::op::Op;

/// Downgrades strong operations in place. Must see [`Op::Detach`], which marks seeds, so it runs on the recording's copy
/// before folding removes them, or on lists where no seed is an input.
pub(crate) fn downgrade(list: &mut List) {
    downgrade_given(list, &[]);
}

/// [`downgrade`] of a list some of whose inputs are seeds or tangents (sorted): zeros in them are structural, a unit
/// vector asks for one row or column and for nothing of the others.
pub(crate) fn downgrade_given(list: &mut List, given: &[Value]) {
    zeros(list, |v| given.binary_search(&v).is_ok());
}

/// Downgrades in place, and says which values can be structurally zero; `given` which inputs can.
fn zeros(list: &mut List, given: impl Fn(Value) -> bool + Copy) -> Vec<bool> {
    let mut zeros = vec![false; list.len()];
    for row in 0..list.len() {
        let v = Value::from_index(row);
        if list.op(v) == Op::Scan {
            zeros[row] = scan(list, v, &zeros);
            continue;
        }
        let at = |i: usize| zeros[list.arg(v, i).index()];
        let zero = match list.op(v) {
            Op::Const => list.dtype(v).is_float() && list.attr(v).as_float() == 0.0,
            // A seed, or a value taken as data: whoever gave it may have put zeros in.
            Op::Detach | Op::Unslice | Op::ScatterAdd | Op::MaxPoolInput => true,
            Op::Input => given(v),
            Op::Cast => list.dtype(list.arg(v, 0)) == DType::Bool || at(0),
            Op::Ternary(Ternary::Select) => at(1) || at(2),
            Op::Binary(op) => match op {
                Binary::DivStrong | Binary::Div => at(0),
                // Second order: the adjoint of a local derivative is a product with an adjoint of the first sweep.
                Binary::MulStrong | Binary::Mul => at(0) || at(1),
                Binary::Add | Binary::Sub => at(0) && at(1),
                _ => false,
            },
            Op::Unary(Unary::Relu) => true,
            Op::Unary(Unary::Neg | Unary::Abs | Unary::Sign | Unary::Square | Unary::Sqrt) => at(0),
            Op::Reduce(_)
            | Op::Reshape
            | Op::Permute
            | Op::Slice
            | Op::Expand
            | Op::Copy
            | Op::After
            | Op::Gather => at(0),
            // Triangles, and columns of zeros.
            Op::Linalg(_) => true,
            // Nobody knows.
            Op::Custom | Op::CustomGrad => true,
            // As an adjoint, of a second order alone.
            Op::Attention => true,
            // That of a key that nobody sees is zero; a causal mask lets every query see its own.
            Op::AttentionGrad => {
                let of = Extents::of(list, v);
                let unseen = list.attr(v).as_attention().0 && of.keys > of.queries;
                at(3) || unseen || list.args(v).len() > 4
            }
            Op::MatMul | Op::Conv2d | Op::ConvWeight => at(0) || at(1),
            // What no window covers is zero.
            Op::ConvInput => at(0) || at(1) || !list.window(v).covers(),
            Op::SumPoolInput => at(0) || !list.window(v).covers(),
            Op::MaxPool | Op::SumPool => at(0),
            Op::Recurrence => at(1),
            Op::Concat => list.args(v).iter().any(|a| zeros[a.index()]),
            Op::Unary(_) | Op::Ternary(_) | Op::PowI | Op::Uniform | Op::Iota | Op::Random(_) => {
                false
            }
            Op::LogSumExp | Op::Softmax | Op::LogSoftmax | Op::ArgMax | Op::ArgMin => false,
            Op::CumMax | Op::CumArgMax | Op::LogCumSumExp | Op::CheckIndex => false,
            Op::Division(_) => false,
            Op::ArgSort | Op::SearchSorted => false,
            Op::Scan => unreachable!("seen above"),
        };
        zeros[row] = zero;
        if list.op(v) == Op::Recurrence && !zero {
            list.set_attr(v, list.attr(v).plain());
        }
        let plain = match list.op(v) {
            Op::Binary(Binary::MulStrong) => Binary::Mul,
            Op::Binary(Binary::DivStrong) => Binary::Div,
            _ => continue,
        };
        if !zeros[list.arg(v, 0).index()] {
            list.set_op(v, Op::Binary(plain));
        }
    }
    zeros
}

/// Downgrades the body of a scan: a carry can be zero if the first can or one that a step computes. Whether the scan's
/// result can be.
fn scan(list: &mut List, v: Value, outside: &[bool]) -> bool {
    let spec = list.scan_spec(v).clone();
    let mut inputs: Vec<bool> = list.args(v).iter().map(|a| outside[a.index()]).collect();
    loop {
        let mut body = (*spec.body).clone();
        let inside = zeros(&mut body.list, |v| inputs[v.index()]);
        let can = |i: usize| inside[body.outputs[i].index()];
        let more = (0..body.carries).filter(|&i| can(i) && !inputs[i]);
        let more: Vec<usize> = more.collect();
        if more.is_empty() {
            let zero = (0..body.outputs.len()).any(can);
            let body = std::sync::Arc::new(body);
            let attr = list.add_scan(ScanSpec { body, ..spec });
            list.set_attr(v, attr);
            return zero;
        }
        more.into_iter().for_each(|i| inputs[i] = true);
    }
}
