//! Rules of indexing: gather and scatter-add are each other's adjoint; the index has none.

use super::Sweep;
use crate::list::Value;
use crate::op::Op;

impl Sweep<'_> {
    pub(super) fn gather(&mut self, v: Value, g: Value) {
        self.exchange(Op::ScatterAdd, v, g);
    }

    pub(super) fn scatter_add(&mut self, v: Value, g: Value) {
        self.exchange(Op::Gather, v, g);
    }

    fn exchange(&mut self, adjoint: Op, v: Value, g: Value) {
        let (x, index) = (self.list.arg(v, 0), self.list.arg(v, 1));
        let (shape, dtype) = (self.list.shape(x), self.list.dtype(x));
        let gx = self
            .list
            .push(adjoint, &[g, index], self.list.attr(v), shape, dtype);
        self.give(x, gx);
    }
}
