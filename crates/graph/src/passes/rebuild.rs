//! Dead code, lowering, folding and common subexpressions in one walk: copies what is needed into a new list.

use std::collections::BTreeMap;

use retrograde_storage::{Id, Packed};
use rustc_hash::FxHashMap;

use super::fold;
use super::fuse::is_scalar;
use super::prune::Scans;
use super::seen::Seen;
use crate::list::{List, Value};
use crate::lower::lower;
use crate::op::{Attr, Op, SliceSpec};

/// What to compile: values of a list, some of which are given.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    /// The recording.
    pub list: &'a List,
    /// Values given from outside although they are not leaves (evaluated before); by row, may be shorter than the list.
    pub known: &'a [bool],
    /// Values to compute.
    pub outputs: &'a [Value],
    /// `(leaf, value)`: the leaf's memory receives the value once nothing reads its old content.
    pub updates: &'a [(Value, Value)],
}

/// The list that is planned, and how it hangs together with the recording.
pub(crate) struct Rebuilt {
    /// Primitives only, no dead code.
    pub list: List,
    /// By row of the list: the recorded value whose instruction it serves.
    pub origin: Vec<Value>,
    /// By number in [`Op::Input`]'s attribute: the recorded value given from outside.
    pub externals: Vec<Value>,
    /// The outputs, in the order asked for.
    pub outputs: Vec<Value>,
    /// `(input, value)` of each update.
    pub updates: Vec<(Value, Value)>,
    /// Instructions to be run no earlier than another one's result is there: those repeated by
    /// [`remat`](super::remat).
    pub after: BTreeMap<Value, Value>,
}

impl Rebuilt {
    /// Copies the list, letting `emit` append an instruction in another way (it gets the new list, the old row and the
    /// operands' new rows; `None` appends the instruction unchanged).
    pub(crate) fn rewrite(
        &self,
        mut emit: impl FnMut(&mut List, Value, &[Value]) -> Option<Value>,
    ) -> Self {
        let old = &self.list;
        let mut list = List::default();
        let mut origin = Vec::with_capacity(old.len());
        let mut map: Vec<Value> = Vec::with_capacity(old.len());
        for v in old.values() {
            let args: Vec<Value> = old.args(v).iter().map(|a| map[a.index()]).collect();
            list.set_location(old.location(v));
            let new = emit(&mut list, v, &args);
            map.push(new.unwrap_or_else(|| list.copy_row(old, v, &args)));
            origin.resize(list.len(), self.origin[v.index()]);
        }
        let at = |v: Value| map[v.index()];
        Self {
            externals: self.externals.clone(),
            outputs: self.outputs.iter().map(|&v| at(v)).collect(),
            updates: self.updates.iter().map(|&(a, b)| (at(a), at(b))).collect(),
            after: BTreeMap::new(),
            origin,
            list,
        }
    }
}

struct Rebuild {
    list: List,
    seen: Seen,
    specs: FxHashMap<SliceSpec, u32>,
    optimise: bool,
}

impl Rebuild {
    /// Folds and shares what was emitted from row `from` on; returns where `v` ended up.
    ///
    /// Emission may append several instructions; each is looked up in turn. A row that turns out to exist already is
    /// taken away again if it is the last, else left behind as dead code of the new list, which planning never visits.
    fn settle(&mut self, from: usize, v: Value) -> Value {
        if !self.optimise {
            return v;
        }
        let mut moved: Vec<Packed<Value>> = Vec::new();
        let mut result = v;
        let end = self.list.len();
        for row in from..end {
            let at = Value::from_index(row);
            for i in 0..self.list.args(at).len() {
                let arg = self.list.arg(at, i);
                if arg.index() >= from
                    && let Some(to) = moved[arg.index() - from].get()
                {
                    self.list.set_arg(at, i, to);
                }
            }
            let before = self.list.len();
            let target = match fold::simplify(&mut self.list, at) {
                // What takes its place was appended, and may itself be foldable or known. The depth is that of one
                // rewrite rule feeding the next, not of the list.
                Some(new) if new.index() >= before => self.settle(before, new),
                Some(old) => old,
                None => at,
            };
            let target = self.seen.first(&self.list, target);
            if at == v {
                result = target;
            }
            if row + 1 < end {
                moved.push(Some(target).filter(|&to| to != at).into());
            } else if target < at && self.list.len() == end {
                self.list.truncate(row);
            }
        }
        result
    }
}

/// Runs the pass. `optimise` off keeps every recorded instruction that is needed, for comparison in tests.
pub(crate) fn rebuild(job: &Job<'_>, optimise: bool) -> Rebuilt {
    let old = job.list;
    let known = |v: Value| job.known.get(v.index()).copied().unwrap_or(false);
    let roots = || {
        job.outputs
            .iter()
            .copied()
            .chain(job.updates.iter().flat_map(|&(a, b)| [a, b]))
    };

    // What the roots need: one backward walk, since operands point only backwards.
    let end = roots().map(|v| v.index() + 1).max().unwrap_or(0);
    let mut needed = vec![false; end];
    let mut scans = Scans::default();
    for v in roots() {
        needed[v.index()] = true;
        scans.keep(old, v);
    }
    for row in (0..end).rev() {
        let v = Value::from_index(row);
        if needed[row] && !known(v) {
            scans.visit(old, v, |a| needed[a.index()] = true);
        }
    }

    let count = needed.iter().filter(|&&n| n).count();
    let mut new = Rebuild {
        list: List::default(),
        seen: Seen::with_capacity(if optimise { count } else { 0 }),
        specs: FxHashMap::default(),
        optimise,
    };
    let mut externals = Vec::new();
    let mut origin = Vec::new();
    let mut map = vec![Packed::<Value>::NONE; end];
    let mut args = Vec::new();
    for row in 0..end {
        if !needed[row] {
            continue;
        }
        let v = Value::from_index(row);
        let (mut op, mut attr, mut shape, dtype) =
            (old.op(v), old.attr(v), old.shape(v), old.dtype(v));
        args.clear();
        if known(v) || op == Op::Input {
            (op, attr) = (Op::Input, Attr::int(externals.len() as i64));
            externals.push(v);
        } else {
            let at = |a: Value| map[a.index()].get().expect("operands come first");
            match scans.left(v) {
                Some(left) => {
                    args.extend(left.operands.iter().map(|&i| at(old.arg(v, i))));
                    shape = left.spec.shape();
                    attr = new.list.add_scan(left.spec.clone());
                }
                None => args.extend(old.args(v).iter().map(|&a| at(a))),
            }
        }
        if matches!(op, Op::Slice | Op::Unslice) {
            let mut spec = *old.slice_spec(v);
            if let Some(start) = scans.start(old, v) {
                spec.start[0] = start;
            }
            let list = &mut new.list;
            attr =
                Attr::int((*new.specs.entry(spec).or_insert_with(|| list.add_spec(spec))).into());
        }
        if op.has_window() || op.is_custom() {
            attr = new.list.carry(old, v);
        }
        new.list.set_location(old.location(v));
        let from = new.list.len();
        let lowered = lower(&mut new.list, op, &args, attr, shape, dtype);
        let emitted = lowered.unwrap_or_else(|| new.list.push(op, &args, attr, shape, dtype));
        let settled = if emitted.index() >= from {
            new.settle(from, emitted)
        } else {
            emitted
        };
        origin.resize(new.list.len(), v);
        map[row] = Packed::some(settled);
    }
    let at = |v: Value| map[v.index()].get().expect("roots are needed");
    let mut built = Rebuilt {
        after: BTreeMap::new(),
        externals,
        origin,
        outputs: job.outputs.iter().map(|&v| at(v)).collect(),
        updates: job.updates.iter().map(|&(a, b)| (at(a), at(b))).collect(),
        list: new.list,
    };
    built.save_old_content();
    built
}

impl Rebuilt {
    /// Outputs and updates that are the old content of memory which is updated become copies of it: an instruction's
    /// reads are done before the memory is written, a root's would come last. Scalars are in cells of their own anyway.
    fn save_old_content(&mut self) {
        let inputs: Vec<Value> = self.updates.iter().map(|u| u.0).collect();
        if inputs.is_empty() {
            return;
        }
        let (list, origin) = (&mut self.list, &mut self.origin);
        let roots = self.updates.iter_mut().map(|u| &mut u.1);
        for v in roots.chain(&mut self.outputs) {
            let mut base = *v;
            while list.op(base).is_view() {
                base = list.arg(base, 0);
            }
            if inputs.contains(&base) && !is_scalar(list, *v) {
                let (shape, dtype, from) = (list.shape(*v), list.dtype(*v), origin[v.index()]);
                *v = list.push(Op::Copy, &[*v], Attr::NONE, shape, dtype);
                origin.push(from);
            }
        }
    }
}
