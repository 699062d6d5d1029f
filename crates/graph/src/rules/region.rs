//! Regions whose values are not kept for the way back: the sweep computes them again.
//!
//! When it comes to the end of a region, the rows that its results need are copied, reading what stands outside of the
//! region through [`Op::After`]: the same operations on the same numbers, so the same bits, but no common subexpression
//! with the first run, and not scheduled before the adjoint that is there by then. The copies are swept on their own.

use retrograde_storage::Id;
use rustc_hash::FxHashMap;

use super::Sweep;
use crate::list::{List, Region, Value};
use crate::op::{Attr, Op};

impl List {
    /// The regions among rows `base..=top` that are in no other, in order; a region that goes on beyond is cut there.
    pub(super) fn outermost(&self, base: usize, top: usize) -> Vec<Region> {
        let within = self.regions().iter().copied();
        let mut regions: Vec<Region> = within
            .filter(|r| r.start <= top && r.end > base)
            .map(|r| Region {
                end: r.end.min(top + 1),
                ..r
            })
            .collect();
        regions.sort_unstable_by_key(|r| (r.start, std::cmp::Reverse(r.end)));
        let mut end = 0;
        regions.retain(|r| {
            let outer = r.start >= end;
            if outer {
                end = r.end;
            }
            outer
        });
        regions
    }
}

impl Sweep<'_> {
    /// Sweeps over a region by way of copies, unless one of the values wanted (by row from the base) is computed in it.
    pub(super) fn region(&mut self, region: Region, wanted: &[bool]) {
        let first = region.start.max(self.base);
        let rows = || (first..region.end).rev().map(Value::from_index);
        // Leaves are what they are wherever they were recorded.
        let computed = |list: &List, v: Value| list.op(v) != Op::Input;
        if rows().any(|v| wanted[v.index() - self.base] && computed(self.list, v)) {
            return;
        }
        let mut roots = Vec::new();
        for v in rows() {
            if computed(self.list, v) {
                roots.extend(self.given(v).into_iter().map(|g| (v, g)));
            }
        }
        // What is emitted last is there last.
        let Some(token) = roots.iter().map(|r| r.1).max() else {
            return;
        };
        let (mut fences, map) = self.list.repeat(region, &roots, token);
        fences.retain(|f| self.wants(f.0));
        roots.iter_mut().for_each(|root| root.0 = map[&root.0]);
        // Contributions are handed over one by one, not added up, so that sums are those of a sweep without regions.
        let mut seeds = Vec::new();
        for &(x, fence) in &fences {
            seeds.extend(self.given(x).into_iter().map(|g| (fence, g)));
        }
        seeds.extend(roots);
        let wrt: Vec<Value> = fences.iter().map(|f| f.1).collect();
        let Some(mut inner) = Sweep::new(self.list, &seeds, &wrt) else {
            return;
        };
        let mut wanted = vec![false; inner.heads.len()];
        wrt.iter()
            .for_each(|v| wanted[v.index() - inner.base] = true);
        inner.run(&wanted, true, |_, _| None);
        let given: Vec<Vec<Value>> = wrt.iter().map(|&v| inner.given(v)).collect();
        for ((x, _), given) in fences.into_iter().zip(given) {
            given.into_iter().for_each(|g| self.give(x, g));
        }
    }
}

impl List {
    /// Copies the rows of a region that `roots` need, to be run after `token`. Returns what they read from outside, each
    /// with the row through which they do, and by row of the region its copy.
    fn repeat(
        &mut self,
        region: Region,
        roots: &[(Value, Value)],
        token: Value,
    ) -> (Vec<(Value, Value)>, FxHashMap<Value, Value>) {
        let inside = |v: Value| (region.start..region.end).contains(&v.index());
        let mut needed = vec![false; region.end - region.start];
        for &(v, _) in roots {
            needed[v.index() - region.start] = true;
        }
        for row in (region.start..region.end).rev() {
            if needed[row - region.start] {
                let args = self.args(Value::from_index(row)).iter();
                args.filter(|a| inside(**a))
                    .for_each(|a| needed[a.index() - region.start] = true);
            }
        }
        let rows = (region.start..region.end).map(Value::from_index);
        let rows: Vec<Value> = rows
            .filter(|v| needed[v.index() - region.start] && self.op(*v) != Op::Input)
            .collect();
        // All fences before all copies: regions within this one are to be regions of the copies.
        let mut map: FxHashMap<Value, Value> = FxHashMap::default();
        let mut fences = Vec::new();
        for &v in &rows {
            for i in 0..self.args(v).len() {
                let a = self.arg(v, i);
                let copied = inside(a) && self.op(a) != Op::Input;
                let literal = matches!(self.op(a), Op::Const | Op::Uniform | Op::Iota);
                if copied || literal || map.contains_key(&a) {
                    continue;
                }
                let (shape, dtype) = (self.shape(a), self.dtype(a));
                let fence = self.push(Op::After, &[a, token], Attr::NONE, shape, dtype);
                map.insert(a, fence);
                fences.push((a, fence));
            }
        }
        let nested: Vec<Region> = self
            .regions()
            .iter()
            .copied()
            .filter(|r| region.start <= r.start && r.end <= region.end && *r != region)
            .collect();
        let from = self.len();
        for &v in &rows {
            self.set_location(self.location(v));
            let args = self.args(v).iter();
            let mut args: Vec<Value> = args.map(|a| map.get(a).copied().unwrap_or(*a)).collect();
            if matches!(self.op(v), Op::Random(_)) {
                // The same numbers, drawn again when they are needed.
                args.push(token);
            }
            let (op, attr, shape, dtype) = (self.op(v), self.attr(v), self.shape(v), self.dtype(v));
            map.insert(v, self.push(op, &args, attr, shape, dtype));
        }
        for r in nested {
            let at = |row: usize| from + rows.partition_point(|v| v.index() < row);
            self.add_region(Region {
                start: at(r.start),
                end: at(r.end),
            });
        }
        (fences, map)
    }
}
