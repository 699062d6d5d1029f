//! Rules of operations that only move elements.

use retrograde_storage::{Id, MAX_RANK};

use super::Sweep;
use crate::list::Value;
use crate::op::{Attr, Op};

impl Sweep<'_> {
    pub(super) fn reshape(&mut self, x: Value, g: Value) {
        let gx = self.list.reshape(g, self.list.shape(x));
        self.give(x, gx);
    }

    /// The inverse order.
    pub(super) fn permute(&mut self, v: Value, x: Value, g: Value) {
        let rank = self.list.shape(v).rank();
        let order = self.list.attr(v).as_order(rank);
        let mut inverse = [0; MAX_RANK];
        for (to, &from) in order.iter().enumerate() {
            inverse[from] = to;
        }
        let gx = self.list.permute(g, &inverse[..rank]);
        self.give(x, gx);
    }

    pub(super) fn slice(&mut self, v: Value, x: Value, g: Value) {
        let spec = *self.list.slice_spec(v);
        let gx = self.list.unslice(g, spec, self.list.shape(x));
        self.give(x, gx);
    }

    pub(super) fn unslice(&mut self, v: Value, x: Value, g: Value) {
        let spec = *self.list.slice_spec(v);
        let gx = self.list.slice(g, spec, self.list.shape(x));
        self.give(x, gx);
    }

    /// The adjoint of a value that was cut along an axis into pieces and is used by nothing else: the pieces' adjoints
    /// side by side, where zeros with one piece each would have to be added up.
    pub(super) fn joined(&mut self, v: Value) -> Option<Value> {
        let list = &mut *self.list;
        let mut next = self.heads[v.index() - self.base];
        let mut pieces: Vec<(usize, Value)> = Vec::new();
        let mut axis = None;
        while let Some(link) = next.get() {
            let (g, rest) = self.links[link.index()];
            next = rest;
            if list.op(g) != Op::Unslice || list.shape(g) != list.shape(v) {
                return None;
            }
            let (piece, spec) = (list.arg(g, 0), list.slice_spec(g));
            let (from, whole) = (list.dims(piece), list.dims(v));
            for i in 0..whole.len() {
                let cut = from[i] != whole[i];
                if cut && *axis.get_or_insert(i) != i || spec.step[i] != 1 {
                    return None;
                }
            }
            pieces.push((spec.start[axis?], piece));
        }
        let axis = axis?;
        pieces.sort_unstable();
        let mut end = 0;
        for &(start, piece) in &pieces {
            if start != end {
                return None;
            }
            end += list.dims(piece)[axis];
        }
        if end != list.dims(v)[axis] {
            return None;
        }
        let (shape, dtype) = (list.shape(v), list.dtype(v));
        let pieces: Vec<Value> = pieces.into_iter().map(|p| p.1).collect();
        Some(list.push(Op::Concat, &pieces, Attr::axis(axis, false), shape, dtype))
    }

    /// Each operand gets its part.
    pub(super) fn concat(&mut self, v: Value, g: Value) {
        let axis = self.list.attr(v).as_axis();
        let mut start = 0;
        for i in 0..self.list.args(v).len() {
            let x = self.list.arg(v, i);
            let n = self.list.dims(x)[axis];
            if self.wants(x) {
                let gx = self.list.narrow(g, axis, start, n);
                self.give(x, gx);
            }
            start += n;
        }
    }
}
