//! Rules of operations that only move elements.

use retrograde_storage::MAX_RANK;

use super::Sweep;
use crate::list::Value;

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
