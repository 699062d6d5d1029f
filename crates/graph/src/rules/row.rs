//! Rules of the row family: log-sum-exp, softmax, log-softmax.

use retrograde_ops::Reduce;

use super::Sweep;
use crate::list::Value;
use crate::op::Op;

impl Sweep<'_> {
    /// `g softmax(x)`: 0 where all are negative infinity, shared by the infinite ones where there are some.
    pub(super) fn log_sum_exp(&mut self, v: Value, x: Value, g: Value) {
        let l = &mut *self.list;
        let softmax = l.softmax(x, l.attr(v).as_axes());
        let gx = l.chain(g, softmax);
        self.give(x, gx);
    }

    /// `v (g - sum(g v))`.
    pub(super) fn softmax(&mut self, v: Value, x: Value, g: Value) {
        let l = &mut *self.list;
        let weighted = l.chain(g, v);
        let mean = l.reduce(Reduce::Sum, weighted, l.attr(v).as_axes());
        let centred = l.sub(g, mean);
        let gx = l.chain(centred, v);
        self.give(x, gx);
    }

    /// `g - softmax(x) sum(g)`.
    pub(super) fn log_softmax(&mut self, v: Value, x: Value, g: Value) {
        let l = &mut *self.list;
        let axes = l.attr(v).as_axes();
        let softmax = l.softmax(x, axes);
        let sum = l.reduce(Reduce::Sum, g, axes);
        let share = l.chain(sum, softmax);
        let gx = l.sub(g, share);
        self.give(x, gx);
    }
}

impl crate::list::List {
    pub(crate) fn softmax(&mut self, x: Value, axes: u8) -> Value {
        let (shape, dtype) = (self.shape(x), self.dtype(x));
        self.push(Op::Softmax, &[x], crate::op::Attr::axes(axes), shape, dtype)
    }
}
