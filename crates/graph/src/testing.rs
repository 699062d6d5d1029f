//! What the unit tests of recording and rules share: a recorder, leaves, and values by the reference evaluator.

use retrograde_storage::{Element, Shape};

use crate::list::{List, Value};
use crate::lower::lower;
use crate::op::{Attr, Op};
use crate::params::Bound;
use crate::recorder::Recorder;
use crate::reference::evaluate;
use crate::var::{Rec, Var};

/// A function of `f64` variables, as tables of tests hold them.
pub(crate) type Function = for<'t> fn(Rec<'t>, &[Var<'t, f64>]) -> Var<'t, f64>;

pub(crate) fn rec(recorder: &Recorder) -> Rec<'_> {
    Rec {
        recorder,
        params: Bound::None,
    }
}

/// Leaf number `number`.
pub(crate) fn leaf<'t, T: Element>(rec: Rec<'t>, number: usize, dims: &[usize]) -> Var<'t, T> {
    let shape = Shape::new(dims).unwrap();
    let mut state = rec.recorder.state.borrow_mut();
    let id = state
        .list
        .push(Op::Input, &[], Attr::int(number as i64), shape, T::DTYPE);
    drop(state);
    rec.var(id)
}

/// A vector of indices.
pub(crate) fn indices<'t>(rec: Rec<'t>, index: &[u32]) -> Var<'t, u32> {
    let parts: Vec<_> = index.iter().map(|&i| rec.scalar(i)).collect();
    rec.stack(&parts, 0)
}

/// The message of a value that has none.
pub(crate) fn message<T: Element>(v: Var<'_, T>) -> String {
    v.shape()
        .expect_err("the value must be poisoned")
        .to_string()
}

/// The values of a recording for given leaves; the placeholders of forward mode (leaf -1) are NaN.
pub(crate) fn values(recorder: &Recorder, leaves: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let state = recorder.state.borrow();
    list_values(&state.list, &state.uniforms, leaves)
}

fn list_values(list: &List, uniforms: &[f64], leaves: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let of_leaf = |list: &List, v: Value| match (list.op(v), list.attr(v).as_int()) {
        // Of forward mode, and of the bodies of loops.
        (Op::Input, ..0) => vec![f64::NAN; list.shape(v).len()],
        (Op::Input, i) => leaves[i as usize].clone(),
        (Op::Uniform, i) => vec![uniforms[i as usize]],
        other => panic!("no value for {other:?}"),
    };
    evaluate(list, of_leaf).unwrap()
}

/// The values of a recording whose composites have been lowered, in the places of the original instructions.
pub(crate) fn lowered_values(recorder: &Recorder, leaves: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let state = recorder.state.borrow();
    let from = &state.list;
    let mut to = List::default();
    let mut place: Vec<Value> = Vec::new();
    for v in from.values() {
        let args: Vec<Value> = from
            .args(v)
            .iter()
            .map(|a| place[retrograde_storage::Id::index(*a)])
            .collect();
        let (op, shape, dtype) = (from.op(v), from.shape(v), from.dtype(v));
        let new = match op {
            Op::Slice => to.slice(args[0], *from.slice_spec(v), shape),
            Op::Unslice => to.unslice(args[0], *from.slice_spec(v), shape),
            _ => {
                let attr = to.carry(from, v);
                lower(&mut to, op, &args, attr, shape, dtype)
                    .unwrap_or_else(|| to.push(op, &args, attr, shape, dtype))
            }
        };
        assert_eq!(to.shape(new), shape, "lowering keeps the shape of {op:?}");
        assert_eq!(to.dtype(new), dtype, "lowering keeps the type of {op:?}");
        place.push(new);
    }
    let values = list_values(&to, &state.uniforms, leaves);
    place
        .iter()
        .map(|v| values[retrograde_storage::Id::index(*v)].clone())
        .collect()
}

/// Numbers for tests: splitmix64, so that failures repeat.
pub(crate) struct Numbers(pub u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
    pub(crate) fn many(&mut self, n: usize, low: f64, high: f64) -> Vec<f64> {
        (0..n).map(|_| self.between(low, high)).collect()
    }
}
