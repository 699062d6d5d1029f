//! Mask-exact adjoints: where an adjoint can be structurally zero (a branch masked off, an element not gathered, a seed
//! the user gave), multiplying it by a local derivative must give zero even if that derivative is infinite or NaN.
//! Rules always emit the strong multiplication; here it becomes a plain one wherever the adjoint cannot be structurally
//! zero. This decides values (an *accidental* zero times infinity stays NaN, as IEEE says), so it always runs.

use std::sync::Arc;

use retrograde_ops::{Binary, Ternary, Unary};
use retrograde_storage::{DType, Id};

use crate::attention::Extents;
use crate::body::{Body, ScanSpec};
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
    let mut zeros = Vec::with_capacity(list.len());
    for v in list.values() {
        if list.op(v) == Op::Scan {
            let (body, zero) = scan(list, v, &zeros);
            set_body(list, v, body);
            zeros.push(zero);
            continue;
        }
        zeros.push(zero(list, v, &zeros, given));
        downgrade_row(list, v, &zeros);
    }
    zeros
}

/// Fills the list's own column of what can be structurally zero, for the rows that are new.
pub(crate) fn note_zeros(list: &mut List) {
    let mut zeros = std::mem::take(&mut list.zeros);
    for row in zeros.len()..list.len() {
        let zero = zero(list, Value::from_index(row), &zeros, |_| false);
        zeros.push(zero);
    }
    list.zeros = zeros;
}

/// Whether `v` can be structurally zero, of whose operands `zeros` tells.
fn zero(list: &List, v: Value, zeros: &[bool], given: impl Fn(Value) -> bool) -> bool {
    let at = |i: usize| zeros[list.arg(v, i).index()];
    match list.op(v) {
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
        Op::Unary(_) | Op::Ternary(_) | Op::PowI | Op::Uniform | Op::Iota | Op::Random(_) => false,
        Op::LogSumExp | Op::Softmax | Op::LogSoftmax | Op::ArgMax | Op::ArgMin => false,
        Op::CumMax | Op::CumArgMax | Op::LogCumSumExp | Op::CheckIndex => false,
        Op::Division(_) => false,
        Op::ArgSort | Op::SearchSorted => false,
        Op::Scan => scan(list, v, zeros).1,
    }
}

/// Downgrades `v`; `zeros` tells of it and of its operands whether they can be structurally zero.
pub(crate) fn downgrade_row(list: &mut List, v: Value, zeros: &[bool]) {
    match list.op(v) {
        Op::Recurrence if !zeros[v.index()] => list.set_attr(v, list.attr(v).plain()),
        Op::Binary(op @ (Binary::MulStrong | Binary::DivStrong))
            if !zeros[list.arg(v, 0).index()] =>
        {
            let plain = match op {
                Binary::MulStrong => Binary::Mul,
                _ => Binary::Div,
            };
            list.set_op(v, Op::Binary(plain));
        }
        Op::Scan => {
            let (body, _) = scan(list, v, zeros);
            set_body(list, v, body);
        }
        _ => {}
    }
}

fn set_body(list: &mut List, v: Value, body: Body) {
    let body = Arc::new(body);
    let spec = list.scan_spec(v).clone();
    let attr = list.add_scan(ScanSpec { body, ..spec });
    list.set_attr(v, attr);
}

/// The body of a scan, downgraded: a carry can be zero if the first can or one that a step computes. And whether the
/// scan's result can be.
fn scan(list: &List, v: Value, outside: &[bool]) -> (Body, bool) {
    let spec = list.scan_spec(v);
    let mut inputs: Vec<bool> = list.args(v).iter().map(|a| outside[a.index()]).collect();
    loop {
        let mut body = (*spec.body).clone();
        let inside = zeros(&mut body.list, |v| inputs[v.index()]);
        let can = |i: usize| inside[body.outputs[i].index()];
        let more = (0..body.carries).filter(|&i| can(i) && !inputs[i]);
        let more: Vec<usize> = more.collect();
        if more.is_empty() {
            let zero = (0..body.outputs.len()).any(can);
            return (body, zero);
        }
        more.into_iter().for_each(|i| inputs[i] = true);
    }
}
