//! Dependencies through indexing: exact where the indices are known, else every place that an index may mean.

use retrograde_storage::Shape;

use super::flow::{Deps, Flow};
use super::sets::{Set, Sets};
use super::walk::Walk;
use crate::list::Value;

/// Extents before, on and behind an axis.
fn around(shape: Shape, axis: usize) -> [usize; 3] {
    let dims = shape.dims();
    [
        dims[..axis].iter().product(),
        dims[axis],
        dims[axis + 1..].iter().product(),
    ]
}

/// Where an index points, counted from the end if negative; no place if out of range, for no run comes that far.
fn place(index: i64, extent: usize) -> Option<usize> {
    let from = if index < 0 { extent as i64 } else { 0 };
    let at = usize::try_from(index + from).ok()?;
    (at < extent).then_some(at)
}

impl Flow<'_> {
    /// By (outer, inner) place: what any element along the axis depends on.
    fn along_axis(&mut self, deps: &Deps, [outer, n, inner]: [usize; 3]) -> Vec<Set> {
        let lines = (0..outer).flat_map(|o| (0..inner).map(move |i| o * n * inner + i));
        lines
            .map(|start| self.joined(deps, (0..n).map(|k| start + k * inner)))
            .collect()
    }

    pub(super) fn gather(&mut self, v: Value) -> Deps {
        let (x, axis) = (self.operand(v, 0), self.list.attr(v).as_axis());
        let (shape, from) = (self.list.shape(v), self.list.shape(self.list.arg(v, 0)));
        let ([_, n, inner], [outer, count, _]) = (around(from, axis), around(shape, axis));
        if let Deps::Same(_) = x {
            return x;
        }
        let mut result = Vec::with_capacity(shape.len());
        if let Some(index) = self.known(v, 1) {
            let indices = Walk::broadcast(self.list.shape(self.list.arg(v, 1)), shape);
            for (e, p) in indices.positions().enumerate() {
                let (o, i) = (e / (count * inner), e % inner);
                let at = place(index[p], n);
                result.push(at.map_or(Sets::empty(), |at| x.at((o * n + at) * inner + i)));
            }
        } else {
            let lines = self.along_axis(&x, around(from, axis));
            for o in 0..outer {
                for _ in 0..count {
                    result.extend_from_slice(&lines[o * inner..(o + 1) * inner]);
                }
            }
        }
        Deps::of(result)
    }

    pub(super) fn scatter_add(&mut self, v: Value) -> Deps {
        let (x, axis) = (self.operand(v, 0), self.list.attr(v).as_axis());
        let (shape, from) = (self.list.shape(v), self.list.shape(self.list.arg(v, 0)));
        let ([outer, n, inner], [_, count, _]) = (around(shape, axis), around(from, axis));
        if let Some(index) = self.known(v, 1) {
            let indices = Walk::broadcast(self.list.shape(self.list.arg(v, 1)), from);
            let mut added = Vec::with_capacity(from.len());
            for (e, p) in indices.positions().enumerate() {
                let (o, i) = (e / (count * inner), e % inner);
                if let Some(at) = place(index[p], n) {
                    added.push(((o * n + at) * inner + i, x.at(e)));
                }
            }
            return self.added(shape.len(), added);
        }
        let lines = self.along_axis(&x, around(from, axis));
        let mut result = Vec::with_capacity(shape.len());
        for o in 0..outer {
            for _ in 0..n {
                result.extend_from_slice(&lines[o * inner..(o + 1) * inner]);
            }
        }
        Deps::of(result)
    }

    /// Of `len` elements, each the sum of what stands beside its number.
    pub(super) fn added(&mut self, len: usize, mut terms: Vec<(usize, Set)>) -> Deps {
        terms.sort_unstable();
        terms.dedup();
        let mut result = vec![Sets::empty(); len];
        for group in terms.chunk_by(|a, b| a.0 == b.0) {
            result[group[0].0] = self.sets.union_of(group.iter().map(|t| t.1));
        }
        Deps::of(result)
    }
}
