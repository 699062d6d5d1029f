//! Shapes and types of every method's result, and the messages of those that refuse.

use retrograde_storage::{DType, Element, Id};

use super::{INFER, Rec, Reduction, Var, keep};
use crate::ErrorKind;
use crate::op::Op;
use crate::recorder::Recorder;
use crate::testing::{indices, leaf, message, rec, values};

fn tensor<'t>(rec: Rec<'t>, dims: &[usize]) -> Var<'t> {
    leaf(rec, 0, dims)
}

#[track_caller]
fn is<T: Element>(v: Var<'_, T>, dims: &[usize]) {
    let state = v.rec.recorder.state.borrow();
    assert!(
        state.poison_of(v.id).is_none(),
        "{}",
        state.poison_of(v.id).unwrap()
    );
    assert_eq!(state.list.dims(v.id), dims);
    assert_eq!(state.list.dtype(v.id), T::DTYPE);
}

/// The message before the location, and that the location is in this file.
#[track_caller]
fn refuses<T: Element>(v: Var<'_, T>, kind: ErrorKind, expected: &str) {
    let error = v.shape().expect_err("the value must be poisoned");
    assert_eq!(error.kind(), kind, "{error}");
    let text = error.to_string();
    let (reason, at) = text
        .split_once("\n  at ")
        .expect("an error has the user's line");
    assert_eq!(reason, expected);
    assert!(at.contains("tests.rs:"), "{at}");
}

#[test]
fn arithmetic() {
    let recorder = Recorder::default();
    let rec = rec(&recorder);
    let (x, row) = (tensor(rec, &[2, 3]), tensor(rec, &[3]));
    for v in [
        x + row,
        row - x,
        x * 2.0,
        2.0 / x,
        x % row,
        -x,
        row.pow(x),
        x.powf(0.3),
        x.powi(7),
    ] {
        is(v, &[2, 3]);
    }
    for v in [
        x.abs(),
        x.sign(),
        x.reciprocal(),
        x.square(),
        x.floor(),
        x.ceil(),
        x.round(),
        x.trunc(),
        x.fract(),
    ] {
        is(v, &[2, 3]);
    }
    is(row.maximum(x), &[2, 3]);
    is(row.minimum(0.0), &[3]);
    is(row.clamp(x, 1.0), &[2, 3]);
    is(row.lerp(1.0, x), &[2, 3]);
    is(row.fma(2.0, x), &[2, 3]);
    is(row.copysign(x), &[2, 3]);
    let mut y = x;
    y += row;
    y -= 1.0;
    y *= x;
    y /= 2.0;
    y %= row;
    is(y, &[2, 3]);
    is(leaf::<f64>(rec, 0, &[2]) + 1.0, &[2]);
    is(1.0 - leaf::<f64>(rec, 0, &[2]), &[2]);
}

#[test]
fn generic_code() {
    fn half<T: super::Float>(x: Var<'_, T>) -> Var<'_, T> {
        T::of(0.5) * x + x * T::of(2.0) - x.sin().powf(T::of(3.0))
    }
    let recorder = Recorder::default();
    is(half(leaf::<f64>(rec(&recorder), 0, &[2])), &[2]);
    is(half(leaf::<f32>(rec(&recorder), 0, &[2])), &[2]);
}

#[test]
fn comparison_and_choice() {
    let recorder = Recorder::default();
    let rec = rec(&recorder);
    let (x, row) = (tensor(rec, &[2, 3]), tensor(rec, &[3]));
    for m in [
        x.lt(row),
        row.le(x),
        x.gt(0.0),
        x.ge(row),
        x.eq(row),
        x.ne(row),
        x.is_nan(),
        x.is_finite(),
    ] {
        is(m, &[2, 3]);
    }
    let m = x.gt(0.0);
    for m in [
        m & row.lt(1.0),
        m | true,
        m ^ m,
        !m,
        m.and(m),
        m.or(m),
        m.xor(m),
        m.not(),
    ] {
        is(m, &[2, 3]);
    }
    is(row.gt(0.0).select(x, 0.0), &[2, 3]);
    is(row.gt(0.0).select(1.0, x), &[2, 3]);
    is(row.masked_fill(m, -1.0), &[2, 3]);
    is(x.cast::<f64>(), &[2, 3]);
    is(x.cast::<u32>().eq(2u32), &[2, 3]);
    is(x.cast::<bool>(), &[2, 3]);
    assert_eq!(x.cast::<f32>().id, x.id);
    is(m.count(), &[]);
    is(m.count_over(0), &[3]);
    is(m.any(), &[]);
    is(m.all_over(keep(1)), &[2, 1]);
    is(m.any_over(1), &[2]);
    is(m.all(), &[]);
}

#[test]
fn reductions() {
    let recorder = Recorder::default();
    let x = tensor(rec(&recorder), &[2, 3, 4]);
    is(x.sum(), &[]);
    is(x.sum_over(1), &[2, 4]);
    is(x.sum_over(-1), &[2, 3]);
    is(x.sum_over([0, -1]), &[3]);
    is(x.sum_over(..), &[]);
    is(x.sum_over(keep(..)), &[1, 1, 1]);
    is(x.sum_over(keep([0, 2])), &[1, 3, 1]);
    is(x.sum_over(&[0usize, 1][..]), &[4]);
    is(x.sum_over([0; 0]), &[2, 3, 4]);
    for v in [
        x.mean_over(1),
        x.prod_over(1),
        x.max_over(1),
        x.min_over(1),
        x.var_over(1, 1),
        x.std_over(1, 0),
    ] {
        is(v, &[2, 4]);
    }
    for v in [
        x.mean(),
        x.prod(),
        x.max(),
        x.min(),
        x.var(1),
        x.std(1),
        x.norm(),
        x.norm_p(3.0),
        x.logsumexp(),
    ] {
        is(v, &[]);
    }
    is(x.norm_over(keep(-1)), &[2, 3, 1]);
    is(x.norm_p_over([1, 2], f64::INFINITY), &[2]);
    is(x.logsumexp_over(0), &[3, 4]);
    is(x.argmax(), &[]);
    is(x.argmax_over(-1), &[2, 3]);
    is(x.argmin_over(keep(0)), &[1, 3, 4]);
    is(x.argmin(), &[]);
    is(x.cumsum(0), &[2, 3, 4]);
    is(x.cumprod(1), &[2, 3, 4]);
    is(x.cummax(-1), &[2, 3, 4]);
    is(x.logcumsumexp(2), &[2, 3, 4]);
    is(tensor(x.rec, &[]).sum(), &[]);
    is(tensor(x.rec, &[0]).mean(), &[]);
}

#[test]
fn shapes() {
    let recorder = Recorder::default();
    let rec = rec(&recorder);
    let x = tensor(rec, &[2, 3, 4]);
    is(x.reshape([6, INFER]), &[6, 4]);
    is(x.reshape([24]), &[24]);
    is(x.flatten(), &[24]);
    is(tensor(rec, &[]).flatten(), &[1]);
    is(tensor(rec, &[0, 3]).reshape([INFER, 3]), &[0, 3]);
    is(x.transpose(0, -1), &[4, 3, 2]);
    is(x.t(), &[2, 4, 3]);
    is(x.permute([1, 2, 0]), &[3, 4, 2]);
    is(x.unsqueeze(0), &[1, 2, 3, 4]);
    is(x.unsqueeze(-1), &[2, 3, 4, 1]);
    is(x.unsqueeze(1).squeeze(1), &[2, 3, 4]);
    is(x.unsqueeze(1).unsqueeze(0).squeeze(..), &[2, 3, 4]);
    is(x.sum_over(keep(..)).squeeze([0, 2]), &[1]);
    is(tensor(rec, &[3, 1]).broadcast_to([2, 3, 4]), &[2, 3, 4]);
    is(tensor(rec, &[3, 1]).expand([3, 4]), &[3, 4]);
    is(x.slice(2, 1..3), &[2, 3, 2]);
    is(x.slice(-1, ..-1), &[2, 3, 3]);
    is(x.slice(2, ..=1), &[2, 3, 2]);
    is(x.slice(2, 2..2), &[2, 3, 0]);
    is(x.slice_step(2, .., -3), &[2, 3, 2]);
    is(x.narrow(1, 1, 2), &[2, 2, 4]);
    is(x.flip(1), &[2, 3, 4]);
    is(x.flip(..), &[2, 3, 4]);
    is(x.roll(-7, 2), &[2, 3, 4]);
    is(tensor(rec, &[0]).roll(1, 0), &[0]);
    is(rec.concat(&[x, x, x], 1), &[2, 9, 4]);
    is(rec.stack(&[x, x], -1), &[2, 3, 4, 2]);
    for (piece, n) in x.split(&[1, 3], -1).into_iter().zip([1, 3]) {
        is(piece, &[2, 3, n]);
    }
    for (piece, n) in x.chunk(3, 2).into_iter().zip([2, 1, 1]) {
        is(piece, &[2, 3, n]);
    }
    is(x.repeat([1, 2, 3]), &[2, 6, 12]);
    is(x.repeat([5, 1, 2, 3]), &[5, 2, 6, 12]);
    is(x.tile([2]), &[2, 3, 8]);
    is(x.tile([0]), &[2, 3, 0]);
    is(x.repeat_interleave(2, 0), &[4, 3, 4]);
    is(x.detach(), &[2, 3, 4]);
}

#[test]
fn products_losses_and_indexing() {
    let recorder = Recorder::default();
    let rec = rec(&recorder);
    let t = |dims: &[usize]| tensor(rec, dims);
    is(t(&[2, 3]).matmul(t(&[3, 4])), &[2, 4]);
    is(t(&[3]).matmul(t(&[3, 4])), &[4]);
    is(t(&[2, 3]).matmul(t(&[3])), &[2]);
    is(t(&[3]).matmul(t(&[3])), &[]);
    is(t(&[5, 2, 3]).matmul(t(&[3, 4])), &[5, 2, 4]);
    is(t(&[5, 2, 3]).matmul(t(&[3])), &[5, 2]);
    is(t(&[5, 1, 2, 3]).matmul(t(&[6, 3, 4])), &[5, 6, 2, 4]);
    is(t(&[2, 0]).matmul(t(&[0, 4])), &[2, 4]);
    is(t(&[3]).dot(t(&[3])), &[]);
    is(t(&[3]).outer(t(&[2])), &[3, 2]);
    let logits = t(&[2, 5]);
    for y in [
        logits.softmax(1),
        logits.log_softmax(-1),
        logits.gelu(),
        logits.silu(),
        logits.leaky_relu(0.1),
        logits.erf(),
    ] {
        is(y, &[2, 5]);
    }
    is(logits.layer_norm(t(&[5]), t(&[5]), 1e-5), &[2, 5]);
    is(logits.rms_norm(t(&[5]), 1e-5), &[2, 5]);
    is(logits.cross_entropy(indices(rec, &[1, 4])), &[]);
    is(
        logits.cross_entropy_with(indices(rec, &[1, 4]), Reduction::None),
        &[2],
    );
    is(logits.nll_with(indices(rec, &[1, 4]), Reduction::Sum), &[]);
    is(logits.mse_with(logits, Reduction::None), &[2, 5]);
    is(logits.l1(logits), &[]);
    is(logits.bce_with_logits(logits), &[]);
    is(
        logits.gather(1, indices(rec, &[1, 2, 2]).reshape([1, 3])),
        &[2, 3],
    );
    is(logits.index_select(1, indices(rec, &[1, 2, 2])), &[2, 3]);
    is(
        logits.index_select(0, indices(rec, &[1, 0, 1]).cast::<i64>()),
        &[3, 5],
    );
    is(
        logits.embedding(indices(rec, &[1, 0, 1, 1]).reshape([2, 2])),
        &[2, 2, 5],
    );
    is(
        logits.scatter_add(0, indices(rec, &[1, 0, 1]).reshape([3, 1]), t(&[3, 5])),
        &[2, 5],
    );
    is(indices(rec, &[1, 2]).one_hot::<f32>(3), &[2, 3]);
    is(indices(rec, &[1, 2]).one_hot::<bool>(3), &[2, 3]);
}

#[test]
fn creation() {
    let recorder = Recorder::default();
    let rec = rec(&recorder);
    is(rec.zeros::<f32>([2, 3]), &[2, 3]);
    is(rec.ones::<f64>([]), &[]);
    is(rec.full([2], 7u32), &[2]);
    is(rec.arange::<i64>(4), &[4]);
    is(rec.linspace(0.0f32, 1.0, 5), &[5]);
    is(rec.eye::<f64>(3), &[3, 3]);
    let all = {
        let (line, eye, one) = (
            rec.linspace(0.1f64, 0.7, 4),
            rec.eye::<f32>(2),
            rec.linspace(3.0f64, 9.0, 1),
        );
        let all = values(&recorder, &[]);
        [line.id, eye.id, one.id].map(|v| all[v.index()].clone())
    };
    assert_eq!(all[0][0], 0.1);
    assert_eq!(all[0][3], 0.7);
    assert_eq!(all[1], [1.0, 0.0, 0.0, 1.0]);
    assert_eq!(all[2], [3.0]);
}

#[test]
fn random_draws_take_ordinals_of_their_stream() {
    let recorder = Recorder::default();
    let rec = rec(&recorder);
    let (a, b) = (rec.rng(7), rec.rng(8));
    is(a.uniform([2], 0.0f32, 1.0), &[2]);
    is(b.normal([3], 1.0f64, 2.0), &[3]);
    is(a.bernoulli([2], 0.5), &[2]);
    is(a.randint::<i64>([2], -3, 3), &[2]);
    is(a.randint::<u32>([2], 0, 10), &[2]);
    is(b.permutation(5), &[5]);
    let x = tensor(rec, &[2]);
    is(x.dropout(0.3, b), &[2]);
    is(x.dropout(1.0, b), &[2]);
    assert_eq!(x.dropout(0.0, b).id, x.id);
    let state = recorder.state.borrow();
    let draws: Vec<(u32, u32)> = state
        .list
        .values()
        .filter(|&v| matches!(state.list.op(v), Op::Random(_)))
        .map(|v| state.list.attr(v).as_draw())
        .collect();
    assert_eq!(
        draws,
        [
            (0, 0),
            (1, 0),
            (0, 1),
            (0, 2),
            (0, 3),
            (1, 1),
            (1, 2),
            (1, 3)
        ]
    );
    assert_eq!(
        state.streams.iter().map(|s| s.0).collect::<Vec<_>>(),
        [7, 8]
    );
}

#[test]
fn numbers_that_are_structure_and_numbers_that_are_data() {
    let recorder = Recorder::default();
    let x = tensor(rec(&recorder), &[2]);
    let _ = 2.0 * x + 0.5 - x * 0.1;
    let state = recorder.state.borrow();
    let of = |op: Op| {
        state
            .list
            .values()
            .filter(|&v| state.list.op(v) == op)
            .count()
    };
    assert_eq!((of(Op::Const), of(Op::Uniform)), (2, 1));
    assert_eq!(state.list.dtype(x.id), DType::F32);
}

#[test]
fn operands_that_do_not_fit() {
    let recorder = Recorder::default();
    let rec = rec(&recorder);
    let t = |dims: &[usize]| tensor(rec, dims);
    refuses(
        t(&[3, 4]) + t(&[5]),
        ErrorKind::Shape,
        "add of [3, 4] f32 and [5] f32: [3, 4] and [5] do not broadcast: counted from the end, axis -1 has extents 4 and \
         5, which must be equal or one of them 1; try `reshape`, `unsqueeze` or `transpose`",
    );
    refuses(
        t(&[3, 4]).matmul(t(&[5, 4])),
        ErrorKind::Shape,
        "matmul of [3, 4] f32 and [5, 4] f32: the inner extents must be equal, but 4 is not 5; try `.t()` on the right \
         operand",
    );
    refuses(
        t(&[]).matmul(t(&[5, 4])),
        ErrorKind::Shape,
        "matmul of [] f32 and [5, 4] f32: a scalar has no matrix product; try `*`",
    );
    refuses(
        t(&[2, 3, 4]).matmul(t(&[3, 4, 5])),
        ErrorKind::Shape,
        "matmul of [2, 3, 4] f32 and [3, 4, 5] f32: the batch axes [2] and [3] do not broadcast; try `unsqueeze`",
    );
    refuses(
        t(&[2, 2]).dot(t(&[2, 2])),
        ErrorKind::Shape,
        "dot of [2, 2] f32 and [2, 2] f32: both must be vectors; try `matmul`, or `(x * y).sum()` for the sum over all \
         axes",
    );
    refuses(
        t(&[4]).mse(t(&[4, 1])),
        ErrorKind::Shape,
        "mse of [4] f32 and [4, 1] f32: both must have one shape, but [4] is not [4, 1]; they have as many elements, try \
         `reshape`",
    );
    refuses(
        t(&[4, 3]).cross_entropy(indices(rec, &[0, 1, 2])),
        ErrorKind::Shape,
        "cross_entropy of [4, 3] f32 and [3] u32: the last axis of the first operand is the classes, so the labels must \
         have shape [4], not [3]",
    );
    refuses(
        rec.concat(&[t(&[2, 3]), t(&[2, 3]), t(&[3, 3])], 1),
        ErrorKind::Shape,
        "concat of [2, 3] f32, [2, 3] f32 and [3, 3] f32: all must have the extents of the first but along axis 1: part \
         2 has [3, 3], the first [2, 3]",
    );
    refuses(
        rec.stack::<f32>(&[], 0),
        ErrorKind::Shape,
        "stack: there is nothing to join; give at least one value",
    );
    refuses(
        t(&[2, 3]).layer_norm(t(&[2]), t(&[3]), 1e-5),
        ErrorKind::Shape,
        "layer_norm of [2, 3] f32, [2] f32, [3] f32 and [] f32: weight and bias must have the shape of a row, [3], not [2]",
    );
}

#[test]
fn arguments_that_do_not_fit() {
    let recorder = Recorder::default();
    let rec = rec(&recorder);
    let x = tensor(rec, &[2, 3]);
    refuses(
        x.sum_over(2),
        ErrorKind::Axis,
        "sum of [2, 3] f32: axis 2 is out of range: rank 2 has axes 0 to 1 (or -2 to -1)",
    );
    refuses(
        x.sum_over([0, -2]),
        ErrorKind::Axis,
        "sum of [2, 3] f32: axis 0 is given twice in [0, -2]; name each axis once",
    );
    refuses(
        x.sum().softmax(0),
        ErrorKind::Axis,
        "softmax of [] f32: axis 0 is out of range: a scalar has no axes",
    );
    refuses(
        x.argmax_over([0, 1]),
        ErrorKind::Axis,
        "argmax of [2, 3] f32: an index is along exactly one axis; for all of them use the method without `_over`",
    );
    refuses(
        tensor(rec, &[2, 0]).max_over(1),
        ErrorKind::Shape,
        "max of [2, 0] f32: axis 1 has extent 0: there is no element to choose",
    );
    refuses(
        x.reshape([4, 2]),
        ErrorKind::Shape,
        "reshape of [2, 3] f32: [4, 2] has 8 elements, but the operand has 6; one extent may be `INFER`",
    );
    refuses(
        x.reshape([4, INFER]),
        ErrorKind::Shape,
        "reshape of [2, 3] f32: 6 elements are no multiple of the known extents [4]",
    );
    refuses(
        x.reshape([INFER, INFER]),
        ErrorKind::Shape,
        "reshape of [2, 3] f32: only one extent can be `INFER`",
    );
    refuses(
        x.slice(1, 1..5),
        ErrorKind::Index,
        "slice of [2, 3] f32: the range 1..5 does not lie within an axis of extent 3; bounds may be negative to count \
         from the end",
    );
    refuses(
        x.slice_step(1, .., 0),
        ErrorKind::Index,
        "slice of [2, 3] f32: the step must not be 0",
    );
    refuses(
        x.narrow(0, 1, usize::MAX),
        ErrorKind::Index,
        "narrow of [2, 3] f32: 18446744073709551615 elements from 1 do not lie within axis 0 of extent 2",
    );
    refuses(
        x.permute([0, 1, 2]),
        ErrorKind::Axis,
        "permute of [2, 3] f32: 3 axes are named, but the operand has 2; name each once",
    );
    refuses(
        x.squeeze(1),
        ErrorKind::Shape,
        "squeeze of [2, 3] f32: axis 1 has extent 3, only extent 1 can be dropped; try `slice` or a reduction",
    );
    refuses(
        x.broadcast_to([3, 3]),
        ErrorKind::Shape,
        "broadcast_to of [2, 3] f32: [2, 3] does not broadcast to [3, 3]: counted from the end, every extent must be \
         equal or 1 before",
    );
    refuses(
        x.split(&[1, 1], 1)[1],
        ErrorKind::Shape,
        "split of [2, 3] f32: the pieces [1, 1] add up to 2, but axis 1 has extent 3",
    );
    refuses(
        x.norm_p(-1.0),
        ErrorKind::Index,
        "norm_p of [2, 3] f32: p must be above 0 (infinity allowed), but it is -1",
    );
    refuses(
        x.dropout(1.5, rec.rng(0)),
        ErrorKind::Index,
        "dropout of [2, 3] f32: a probability is between 0 and 1, but 1.5 was given",
    );
    refuses(
        rec.zeros::<f32>([usize::MAX, 2]),
        ErrorKind::Shape,
        "zeros: [18446744073709551615, 2] is not a shape: the number of elements overflows the address space",
    );
    refuses(
        rec.rng(0).randint::<u32>([2], -1, 3),
        ErrorKind::Index,
        "randint: the range -1..3 is empty, too wide or not of type u32",
    );
    refuses(
        x.gather(0, indices(rec, &[0, 1])),
        ErrorKind::Shape,
        "gather of [2, 3] f32 and [2] u32: the index must have the rank of [2, 3], and its extents or 1 on all axes but \
         0, but its shape is [2]; for a vector of indices try `index_select`",
    );
}

#[test]
fn a_poisoned_value_poisons_what_depends_on_it_alone() {
    let recorder = Recorder::default();
    let rec = rec(&recorder);
    let x = tensor(rec, &[3]);
    let bad = x + tensor(rec, &[2]);
    let line = line!() - 1;
    let first = message(bad);
    assert!(first.contains(&format!("tests.rs:{line}:")), "{first}");
    assert_eq!(message((bad * 2.0).sum().exp().gt(0.0)), first);
    assert_eq!(message(x.matmul(bad)), first);
    assert_eq!(message(rec.concat(&[x, x, x, x, bad], 0)), first);
    is(x * 2.0, &[3]);
}

#[test]
fn a_value_of_another_tape_is_refused() {
    let (here, there) = (Recorder::default(), Recorder::default());
    let (x, y) = (tensor(rec(&here), &[3]), tensor(rec(&there), &[3]));
    let refused = "an operand belongs to another tape; record both on one tape, or pass the value as an input";
    refuses(x + y, ErrorKind::Foreign, &format!("add: {refused}"));
    refuses(
        x.dropout(0.5, rec(&there).rng(0)),
        ErrorKind::Foreign,
        "dropout of [3] f32: the random stream belongs to another tape; make one with `x.rec().rng(seed)`",
    );
    refuses(
        rec(&here).concat(&[x, y], 0),
        ErrorKind::Foreign,
        &format!("concat: {refused}"),
    );
}
