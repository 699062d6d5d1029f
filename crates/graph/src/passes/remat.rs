//! Recomputation: what a later group needs of an earlier one is computed again where that costs less than memory.
//!
//! The derivative of an activation needs the activation's input and some of what was computed from it. Stored, each such
//! value makes a trip to memory and back, 192 bytes a packet; computed again from what is in memory anyway (the product
//! before the activation), most cost a few nanoseconds a packet, and nothing is kept for the way back. The same
//! instructions on the same operands give the same bits.

use std::collections::{BTreeMap, BTreeSet};

use retrograde_storage::Id;
use rustc_hash::FxHashMap;

use super::fuse::{READY, Step, StepId, Steps, ends_group, is_scalar};
use super::places::Places;
use super::rebuild::Rebuilt;
use crate::list::{List, Value};
use crate::op::{Attr, Op};

/// Elements below which a value stays in the cache until it is read: nothing to gain.
const LEAST_ELEMENTS: usize = 4096;
/// Nanoseconds a packet that the trip to memory and back costs, a value stored and loaded (192 bytes at 20 GB/s); less
/// where it stays in a cache.
const TRIP_NS: u32 = 9;
/// The same of a value loaded once more.
const LOAD_NS: u32 = 3;

/// Nanoseconds a packet of an instruction, rounded up (`benches/NOTES.md`); `None`: not worth thinking about.
fn cost_ns(op: Op) -> Option<u32> {
    Some(match op {
        Op::Unary(op) => op.packet_ns(),
        Op::Binary(op) => op.packet_ns(),
        Op::Ternary(_) | Op::Cast => 1,
        Op::PowI => 2,
        _ => return None,
    })
}

/// What is known of a list and its steps.
struct Remat<'a> {
    list: &'a List,
    places: &'a Places,
    steps: &'a Steps,
    /// By value: whether its elements are in memory whatever this pass does.
    kept: Vec<bool>,
    /// By value: the last step that reads it.
    last: Vec<StepId>,
}

/// Instructions to be run again in one group.
#[derive(Clone, Default)]
struct Again {
    values: BTreeSet<Value>,
    /// Values in memory that these read.
    roots: BTreeSet<Value>,
    cost: u32,
}

impl Remat<'_> {
    fn is_group(&self, step: StepId) -> bool {
        matches!(self.steps.steps[step as usize], Step::Group(_))
    }

    /// Whether `v` may be computed again: elementwise in a group, of some size.
    fn is_candidate(&self, v: Value) -> bool {
        let step = self.steps.of[v.index()];
        step != READY
            && self.is_group(step)
            && self.places.is_base(v)
            && !self.kept[v.index()]
            && self.list.shape(v).len() >= LEAST_ELEMENTS
            && cost_ns(self.list.op(v)).is_some()
    }

    /// Adds what it takes to compute `v` again; `false` if that is too much.
    fn add(&self, v: Value, limit: u32, to: &mut Again) -> bool {
        let mut todo = vec![v];
        while let Some(v) = todo.pop() {
            let v = self.places.base(v);
            if is_scalar(self.list, v) || to.values.contains(&v) {
                continue;
            }
            if !self.is_candidate(v) {
                // Small values of a group are stored for this if they are not yet: the sums of rows.
                to.roots.insert(v);
                continue;
            }
            to.values.insert(v);
            to.cost += cost_ns(self.list.op(v)).unwrap_or(limit);
            if to.cost > limit {
                return false;
            }
            todo.extend(self.list.args(v));
        }
        true
    }

    /// Of the values `wanted` of earlier groups, those that group `step`, which also reads `read`, should compute again.
    fn choose(&self, step: StepId, wanted: &BTreeSet<Value>, read: &BTreeSet<Value>) -> Vec<Value> {
        let mut again = Again::default();
        let mut chosen = Vec::new();
        for &v in wanted {
            let mut more = again.clone();
            let saved = TRIP_NS * (chosen.len() as u32 + 1);
            if !self.add(v, saved, &mut more) {
                continue;
            }
            let size = self.list.shape(v).len();
            let large = more.roots.iter().filter(|&&r| {
                self.list.shape(r).len() * 4 > size && self.steps.of[r.index()] != step
            });
            let loads: Vec<_> = large.filter(|r| !read.contains(r)).collect();
            let longer = loads
                .iter()
                .filter(|r| self.list.op(***r) != Op::Input && self.last[r.index()] < step);
            // No more memory held for longer than is saved.
            let held = longer.count() <= chosen.len() + 1;
            if held && more.cost + LOAD_NS * loads.len() as u32 <= saved {
                again = more;
                chosen.push(v);
            }
        }
        chosen
    }
}

/// The list with instructions repeated where their results would have been loaded, each to be run after the instruction
/// that [`Rebuilt::after`] names; `None` if there is nothing to gain.
pub(crate) fn rematerialise(built: &Rebuilt, places: &Places, steps: &Steps) -> Option<Rebuilt> {
    let list = &built.list;
    let mut kept = vec![true; list.len()];
    let mut last = vec![READY; list.len()];
    for v in list.values() {
        let step = steps.of[v.index()];
        if step != READY
            && let Step::Group(group) = &steps.steps[step as usize]
        {
            kept[v.index()] = ends_group(list, v, group);
        }
    }
    let asked = built
        .outputs
        .iter()
        .chain(built.updates.iter().map(|(_, v)| v));
    asked.for_each(|&v| kept[places.base(v).index()] = true);
    for v in list.values() {
        let step = steps.of[v.index()];
        if step == READY {
            continue;
        }
        for &a in list.args(v) {
            let base = places.base(a).index();
            last[base] = last[base].max(step);
            kept[base] |= !matches!(steps.steps[step as usize], Step::Group(_));
        }
    }
    let remat = Remat {
        list,
        places,
        steps,
        kept,
        last,
    };
    // By group: what it reads of earlier groups that could be computed again, and what else it reads. A reader that has
    // no other operand from a later step cannot be told from the earlier group.
    let mut wanted: BTreeMap<StepId, BTreeSet<Value>> = BTreeMap::new();
    let mut read: BTreeMap<StepId, BTreeSet<Value>> = BTreeMap::new();
    let mut never: BTreeSet<Value> = BTreeSet::new();
    for v in list.values() {
        let step = steps.of[v.index()];
        if step == READY || !remat.is_group(step) {
            continue;
        }
        for &a in list.args(v) {
            let base = places.base(a);
            if steps.of[base.index()] == step || !remat.is_candidate(base) {
                if steps.of[base.index()] != step {
                    read.entry(step).or_default().insert(base);
                }
                continue;
            }
            if anchor(&remat, v).is_none_or(|x| steps.of[x.index()] <= steps.of[base.index()]) {
                never.insert(base);
            }
            wanted.entry(step).or_default().insert(base);
        }
    }
    let nothing = BTreeSet::new();
    let mut chosen: BTreeMap<Value, usize> = BTreeMap::new();
    let mut readers: BTreeMap<Value, usize> = BTreeMap::new();
    for (&step, values) in &wanted {
        for &v in values {
            *readers.entry(v).or_default() += 1;
        }
        for v in remat.choose(step, values, read.get(&step).unwrap_or(&nothing)) {
            *chosen.entry(v).or_default() += 1;
        }
    }
    // Stored for one reader, it may as well be loaded by the others.
    let all = |v: &Value| chosen.get(v) == readers.get(v) && !never.contains(v);
    let stored: BTreeSet<Value> = readers.keys().copied().filter(|v| !all(v)).collect();
    (stored.len() < readers.len()).then(|| repeat(built, &remat, &stored))
}

/// The operand of `v` that is computed last, of those that are not to be computed again.
fn anchor(remat: &Remat<'_>, v: Value) -> Option<Value> {
    let bases = remat.list.args(v).iter().map(|&a| remat.places.base(a));
    let others = bases.filter(|&b| {
        !remat.is_candidate(b) || remat.steps.of[b.index()] == remat.steps.of[v.index()]
    });
    others.max_by_key(|b| remat.steps.of[b.index()])
}

/// Copies the list, with candidates repeated in every group but their own that reads them, unless they are `stored`.
fn repeat(built: &Rebuilt, remat: &Remat<'_>, stored: &BTreeSet<Value>) -> Rebuilt {
    let (old, steps) = (remat.list, remat.steps);
    // Of a value or a view of one.
    let repeats = |x: Value| {
        let base = remat.places.base(x);
        !is_scalar(old, base) && remat.is_candidate(base) && !stored.contains(&base)
    };
    // By step and old value: its repetition. Lookups only.
    let mut copies: FxHashMap<(StepId, Value), Value> = FxHashMap::default();
    let mut after: BTreeMap<Value, Value> = BTreeMap::new();
    let mut origins: Vec<(Value, Value)> = Vec::new();
    let mut rows: Vec<Value> = Vec::with_capacity(old.len());
    let mut new = built.rewrite(|list, v, args| {
        let step = steps.of[v.index()];
        let reads = |a: &Value| steps.of[remat.places.base(*a).index()] != step && repeats(*a);
        let group = step != READY && remat.is_group(step);
        if !group || !old.args(v).iter().any(reads) {
            rows.push(Value::from_index(list.len()));
            return None;
        }
        let anchor = anchor(remat, v).map(|a| rows[a.index()]);
        let mut args = args.to_vec();
        for (to, a) in args.iter_mut().zip(old.args(v)) {
            if !reads(a) {
                continue;
            }
            // Operands before what reads them: post-order over what is to be repeated, which `choose` bounds.
            let mut todo = vec![(*a, false)];
            while let Some((x, ready)) = todo.pop() {
                if copies.contains_key(&(step, x)) || !repeats(x) {
                    continue;
                }
                if !ready {
                    todo.push((x, true));
                    todo.extend(old.args(x).iter().map(|&a| (a, false)));
                    continue;
                }
                let operand = |a: &Value| {
                    let copy = copies.get(&(step, *a)).copied();
                    copy.unwrap_or_else(|| rows[a.index()])
                };
                let operands: Vec<Value> = old.args(x).iter().map(operand).collect();
                list.set_location(old.location(x));
                let attr = match old.op(x) {
                    Op::Slice => Attr::int(list.add_spec(*old.slice_spec(x)).into()),
                    _ => old.attr(x),
                };
                let copy = list.push(old.op(x), &operands, attr, old.shape(x), old.dtype(x));
                copies.insert((step, x), copy);
                origins.push((copy, x));
                if let Some(anchor) = anchor {
                    after.insert(copy, anchor);
                }
            }
            *to = copies.get(&(step, *a)).copied().unwrap_or(*to);
        }
        list.set_location(old.location(v));
        let row = list.push(old.op(v), &args, old.attr(v), old.shape(v), old.dtype(v));
        rows.push(row);
        Some(row)
    });
    for (copy, x) in origins {
        new.origin[copy.index()] = built.origin[x.index()];
    }
    new.after = after;
    new
}
