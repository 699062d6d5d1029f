//! A budget of memory: what is computed again so that it is kept.
//!
//! The function is cut where little is alive into segments of about as many bytes, all but the last of which are regions
//! whose values the derivative computes again ([`rules`](crate::rules)): with `n` segments a derivative keeps what is
//! alive at the cuts and the values of one segment at a time. More segments compute hardly more again but keep more cuts,
//! so the fewest that fit are taken.

use std::panic::Location;

use retrograde_storage::Id;

use super::cost::flops;
use crate::error::{Error, ErrorKind, Result};
use crate::list::{List, Region, Value};
use crate::op::Op;

/// Part of a function whose values are computed again for the derivative to fit a budget of memory.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Recomputed {
    /// The line that recorded its first instruction.
    pub first: Option<&'static Location<'static>>,
    /// The line that recorded its last.
    pub last: Option<&'static Location<'static>>,
    /// Instructions that are run twice.
    pub instructions: usize,
    /// Arithmetic operations that this adds to a run.
    pub flops: u64,
    /// Bytes of all their results.
    pub bytes: usize,
}

/// Numbers of segments that are tried, in order.
const COUNTS: [usize; 12] = [2, 3, 4, 5, 6, 8, 11, 16, 23, 32, 48, 64];

/// Compiles without segments and, if that does not fit the budget, with more and more of them. `compile` is given the
/// regions of the list to compute again, `arena` tells the bytes that a result takes; `outputs` are what the function
/// computes.
pub(crate) fn within<R>(
    budget: Option<usize>,
    list: &List,
    outputs: &[Value],
    mut compile: impl FnMut(&[Region]) -> Result<R>,
    arena: impl Fn(&R) -> usize,
) -> Result<R> {
    let whole = compile(&[])?;
    let mut least = arena(&whole);
    let Some(budget) = budget.filter(|&b| least > b) else {
        return Ok(whole);
    };
    drop(whole);
    let mut before = Vec::new();
    for count in COUNTS {
        let regions = segments(list, outputs, count);
        if regions.is_empty() || regions == before {
            continue;
        }
        let found = compile(&regions)?;
        let bytes = arena(&found);
        if bytes <= budget {
            return Ok(found);
        }
        least = least.min(bytes);
        before = regions;
    }
    Err(over(budget, least))
}

/// The error of a budget that cannot be met.
pub(crate) fn over(budget: usize, least: usize) -> Error {
    let message = format!(
        "the memory budget is {budget} bytes, but the program takes at least {least} beside its inputs and outputs"
    );
    Error::new(ErrorKind::Memory, message)
}

/// By row: whether an output needs it.
fn needed(list: &List, outputs: &[Value]) -> Vec<bool> {
    let mut needed = vec![false; list.len()];
    outputs.iter().for_each(|v| needed[v.index()] = true);
    for v in list.values().rev() {
        if needed[v.index()] {
            list.args(v).iter().for_each(|a| needed[a.index()] = true);
        }
    }
    needed
}

/// Bytes that a value takes: none for leaves, which are there anyway, and views.
fn bytes(list: &List, v: Value) -> usize {
    let op = list.op(v);
    if op.is_view() || matches!(op, Op::Input | Op::Const | Op::Uniform) {
        0
    } else {
        list.shape(v).len() * list.dtype(v).size()
    }
}

/// All segments of `count` but the last.
fn segments(list: &List, outputs: &[Value], count: usize) -> Vec<Region> {
    let needed = needed(list, outputs);
    let len = list.len();
    // Bytes alive before each row, as far as later rows read them, and those computed before it.
    let mut last = vec![0; len];
    for v in list.values().filter(|v| needed[v.index()]) {
        for &a in list.args(v) {
            last[root(list, a).index()] = v.index();
        }
    }
    let mut ends = vec![0; len + 1];
    let (mut alive, mut computed) = (vec![0; len + 1], vec![0; len + 1]);
    let mut now = 0;
    for row in 0..len {
        let v = Value::from_index(row);
        let size = if needed[row] { bytes(list, v) } else { 0 };
        if size > 0 && last[row] > row {
            now += size;
            ends[last[row]] += size;
        }
        now -= ends[row];
        alive[row + 1] = now;
        computed[row + 1] = computed[row] + size;
    }
    let total = computed[len];
    let inside = |at: usize| {
        let regions = list.regions().iter();
        regions.clone().any(|r| r.start < at && at < r.end)
    };
    let mut cuts: Vec<usize> = Vec::new();
    for i in 1..count {
        let (target, reach) = (total * i / count, total / (3 * count));
        let near = (0..=len).filter(|&at| computed[at].abs_diff(target) <= reach && !inside(at));
        let best = near.min_by_key(|&at| (alive[at], computed[at].abs_diff(target)));
        cuts.extend(best);
    }
    cuts.dedup();
    let starts = [0].into_iter().chain(cuts.iter().copied());
    let regions = starts.zip(cuts.iter().copied());
    regions
        .map(|(start, end)| Region { start, end })
        .filter(|r| r.start < r.end && computed[r.start] < computed[r.end])
        .collect()
}

/// The value that `v` is a view of.
fn root(list: &List, mut v: Value) -> Value {
    while list.op(v).is_view() {
        v = list.arg(v, 0);
    }
    v
}

/// What computing a region again takes.
pub(crate) fn price(list: &List, outputs: &[Value], region: Region) -> Recomputed {
    let needed = needed(list, outputs);
    let rows = (region.start..region.end).map(Value::from_index);
    let works = |v: &Value| needed[v.index()] && !list.op(*v).is_leaf() && !list.op(*v).is_view();
    let rows: Vec<Value> = rows.filter(works).collect();
    let line = |v: Option<&Value>| v.and_then(|&v| list.location(v));
    Recomputed {
        first: line(rows.first()),
        last: line(rows.last()),
        instructions: rows.len(),
        flops: rows.iter().map(|&v| flops(list, v)).sum(),
        bytes: rows.iter().map(|&v| bytes(list, v)).sum(),
    }
}
