//! Rules of scans. A linear recurrence's adjoint is a linear recurrence from the other end, so scans are closed under
//! differentiation.

use retrograde_ops::{Binary, Unary};
use retrograde_storage::DType;

use super::Sweep;
use crate::list::Value;
use crate::op::{Attr, Op};

impl Sweep<'_> {
    /// `r[i] = y[i] + x[i] r[i-1]`: the adjoint of y is `s[i] = g[i] + x[i+1] s[i+1]`, that of x is `s[i] r[i-1]`.
    pub(super) fn recurrence(&mut self, v: Value, g: Value) {
        let (x, y) = (self.list.arg(v, 0), self.list.arg(v, 1));
        let (axis, reverse) = (self.list.attr(v).as_axis(), self.list.attr(v).is_reverse());
        let back = if reverse { 1 } else { -1 };
        let l = &mut *self.list;
        // The coefficient that moves in at the end meets s = 0 there, so equal coefficients need not move at all.
        let shifted = if l.is_uniform_along(x, axis) {
            x
        } else {
            l.shift(x, axis, back)
        };
        let strong = l.attr(v).is_strong();
        let s = l.adjoint_recurrence(shifted, g, axis, !reverse);
        if self.wants(x) {
            let before = self.list.shift(v, axis, -back);
            // As for `MulStrong`: v itself is an adjoint then, and where it is zero nothing may reach x.
            let gx = if strong {
                self.list.chain(before, s)
            } else {
                self.list.chain(s, before)
            };
            self.give(x, gx);
        }
        self.give(y, s);
    }

    /// Each element's adjoint goes to the (first) element it was the maximum of.
    pub(super) fn cum_max(&mut self, v: Value, x: Value, g: Value) {
        let l = &mut *self.list;
        let axis = l.attr(v);
        let index = l.push(Op::CumArgMax, &[x], axis, l.shape(x), DType::U32);
        let gx = l.push(Op::ScatterAdd, &[g, index], axis, l.shape(x), l.dtype(x));
        self.give(x, gx);
    }

    /// `gx[j] = sum over i >= j of g[i] exp(x[j] - v[i])`. As `s[j] exp(x[j] - v[j])`, where the coefficients of
    /// `s[j] = g[j] + exp(v[j] - v[j+1]) s[j+1]` are at most 1, for v never falls. Nothing flows to where v is still
    /// negative infinity.
    pub(super) fn log_cum_sum_exp(&mut self, v: Value, x: Value, g: Value) {
        let l = &mut *self.list;
        let attr = l.attr(v);
        let axis = attr.as_axis();
        let shape = l.shape(v);
        let n = shape.dims()[axis];
        let s = if n <= 1 {
            g
        } else {
            let here = l.narrow(v, axis, 0, n - 1);
            let next = l.narrow(v, axis, 1, n - 1);
            let decay = l.exp_difference(here, next);
            let coefficients = l.widen(decay, axis, 0, shape);
            l.adjoint_recurrence(coefficients, g, axis, true)
        };
        let weight = l.exp_difference(x, v);
        let none = l.like(f64::NEG_INFINITY, v);
        let empty = l.binary(Binary::Eq, v, none);
        let on = l.drop(empty, s);
        let gx = l.chain(on, weight);
        self.give(x, gx);
    }
}

impl crate::list::List {
    /// `exp(x - y)`, 1 where both are the same infinity.
    fn exp_difference(&mut self, x: Value, y: Value) -> Value {
        let same = self.binary(Binary::Eq, x, y);
        let difference = self.sub(x, y);
        let difference = self.drop(same, difference);
        self.unary(Unary::Exp, difference)
    }

    /// `s[i] = g[i] + x[i] s[i-1]` for adjoints: zeros stay zero, whatever the coefficients.
    fn adjoint_recurrence(&mut self, x: Value, g: Value, axis: usize, reverse: bool) -> Value {
        let (attr, shape) = (Attr::axis(axis, reverse).strong(), self.shape(g));
        self.push(Op::Recurrence, &[x, g], attr, shape, self.dtype(g))
    }

    /// A scan along one axis that keeps the shape.
    pub(crate) fn scan(&mut self, op: Op, x: Value, axis: usize) -> Value {
        self.push(
            op,
            &[x],
            Attr::axis(axis, false),
            self.shape(x),
            self.dtype(x),
        )
    }
}
