//! The body of a loop from what a closure recorded.
//!
//! The closure records on the list of its surroundings, on placeholders: so it may use whatever is there, and nothing of
//! recording needs to know of bodies. Afterwards those rows that depend on the placeholders are copied into the body;
//! all others it reads are its constants, computed once. The rows themselves stay behind as dead code.

use std::collections::BTreeSet;

use retrograde_storage::Id;
use rustc_hash::FxHashMap;

use super::{Body, stacked};
use crate::error::{ErrorKind, Fault};
use crate::list::{List, Value};
use crate::op::{Attr, Draw, Op};

/// In place of a leaf's number, for the inputs of bodies while these are recorded.
pub(crate) const PLACEHOLDER: i64 = -2;

/// What a closure recorded.
pub(crate) struct Recorded<'a> {
    /// Placeholders of carries and per-step inputs; everything from the first row `from` on was recorded by the closure.
    pub from: usize,
    pub carries: &'a [Value],
    pub steps: &'a [Value],
    /// The next carries, and what is stacked.
    pub outputs: &'a [Value],
    pub length: usize,
}

/// The body, and the operands of its scan after the initial carries and the per-step inputs of those numbers.
pub(crate) struct Extracted {
    pub body: Body,
    /// By operand: `Ok` the number of an initial carry or per-step input, `Err` a value.
    pub operands: Vec<Result<usize, Value>>,
}

/// Whether a row is a literal or a view of one, which every body has for itself.
fn is_literal(list: &List, mut v: Value) -> bool {
    while list.op(v).is_view() {
        v = list.arg(v, 0);
    }
    matches!(list.op(v), Op::Const | Op::Iota)
}

/// Makes the body. Random draws are drawn for all steps at once, as an operand.
pub(crate) fn extract(list: &mut List, rows: &Recorded<'_>) -> Result<Extracted, Fault> {
    let from = rows.from;
    let mut varies = vec![false; list.len() - from];
    for v in rows.carries.iter().chain(rows.steps) {
        varies[v.index() - from] = true;
    }
    for row in from..list.len() {
        let v = Value::from_index(row);
        let inside = |a: &Value| a.index() >= from && varies[a.index() - from];
        varies[row - from] |=
            matches!(list.op(v), Op::Random(_)) || list.args(v).iter().any(inside);
    }
    let varies = |v: Value| v.index() >= from && varies[v.index() - from];

    // What the outputs need, from the last row to the first.
    let (mut inside, mut captured) = (BTreeSet::new(), BTreeSet::new());
    let mut draws = Vec::new();
    let mut todo: BTreeSet<Value> = rows.outputs.iter().copied().collect();
    while let Some(v) = todo.pop_last() {
        if rows.carries.contains(&v) || rows.steps.contains(&v) {
            continue;
        }
        if !varies(v) && !is_literal(list, v) {
            captured.insert(v);
            continue;
        }
        inside.insert(v);
        if let Op::Random(draw) = list.op(v) {
            draws.push((v, draw));
        }
        todo.extend(list.args(v));
    }
    draws.reverse();

    let mut body = List::default();
    let mut map: FxHashMap<Value, Value> = FxHashMap::default();
    let mut operands: Vec<Result<usize, Value>> = Vec::new();
    for (i, &v) in rows.carries.iter().chain(rows.steps).enumerate() {
        map.insert(v, body.body_input(list.shape(v), list.dtype(v)));
        operands.push(Ok(i));
    }
    for &(v, draw) in &draws {
        let (shape, dtype, attr) = (list.shape(v), list.dtype(v), list.attr(v));
        let all = stacked(shape, rows.length).filter(|_| draw != Draw::Permutation);
        let Some(all) = all else {
            let reason = format!(
                "its body draws {shape} with {}, which has no shape for all steps; draw outside and pass one a step",
                list.op(v).name()
            );
            return Err(Fault::new(ErrorKind::Shape, reason));
        };
        operands.push(Err(list.push(Op::Random(draw), &[], attr, all, dtype)));
        map.insert(v, body.body_input(shape, dtype));
    }
    for &v in &captured {
        operands.push(Err(v));
        map.insert(v, body.body_input(list.shape(v), list.dtype(v)));
    }
    for &v in &inside {
        if map.contains_key(&v) {
            continue;
        }
        let args: Vec<Value> = list.args(v).iter().map(|a| map[a]).collect();
        body.set_location(list.location(v));
        let row = body.copy_row(list, v, &args);
        map.insert(v, row);
    }
    let counts = [
        rows.carries.len(),
        rows.steps.len() + draws.len(),
        captured.len(),
    ];
    let outputs: Vec<Value> = rows.outputs.iter().map(|v| map[v]).collect();
    let (body, kept) = Body::new(&body, counts, &outputs);
    Ok(Extracted {
        body,
        operands: kept.into_iter().map(|i| operands[i]).collect(),
    })
}

impl List {
    /// The input of a body that is being recorded.
    pub(crate) fn placeholder(&mut self, shape: retrograde_storage::Shape, of: Value) -> Value {
        let dtype = self.dtype(of);
        self.push(Op::Input, &[], Attr::int(PLACEHOLDER), shape, dtype)
    }
}
