//! Rules of reductions.

use retrograde_ops::{Binary, Reduce};
use retrograde_storage::{DType, MAX_RANK, Shape};

use super::Sweep;
use crate::list::{List, Value};
use crate::op::{Attr, Op, SliceSpec};

impl Sweep<'_> {
    /// `v` is `x` reduced over the axes of `v`'s attribute, which stay with extent 1.
    pub(super) fn reduce(&mut self, kind: Reduce, v: Value, x: Value, g: Value) {
        let axes = self.list.attr(v).as_axes();
        let shape = self.list.shape(x);
        let l = &mut *self.list;
        let gx = match kind {
            Reduce::Sum => l.expand(g, shape),
            // Ties share equally. Where the result is NaN no element equals it, and none gets anything.
            Reduce::Max | Reduce::Min => {
                let best = l.binary(Binary::Eq, x, v);
                let ones = l.cast(best, l.dtype(x));
                let count = l.reduce(Reduce::Sum, ones, axes);
                let share = l.divide_chain(g, count);
                l.keep(best, share)
            }
            Reduce::Prod => {
                let others = l.product_of_others(x, axes);
                l.chain(g, others)
            }
        };
        self.give(x, gx);
    }
}

impl List {
    /// For each element the product of all the others it is reduced with: exclusive products from both ends, multiplied.
    /// Never divides, so zeros are no special case.
    fn product_of_others(&mut self, x: Value, axes: u8) -> Value {
        let shape = self.shape(x);
        let rank = shape.rank();
        let is_reduced = |a: &usize| axes >> a & 1 == 1;
        // The reduced axes go last and become one.
        let mut order: Vec<usize> = (0..rank).filter(|a| !is_reduced(a)).collect();
        let mut dims: Vec<usize> = order.iter().map(|&a| shape.dims()[a]).collect();
        order.extend((0..rank).filter(is_reduced));
        let n: usize = (0..rank)
            .filter(is_reduced)
            .map(|a| shape.dims()[a])
            .product();
        let moved = order.iter().enumerate().any(|(i, &a)| i != a);
        dims.push(n);
        let rows = Shape::new(&dims).expect("as many elements, and no more axes than before");
        let permuted = if moved { self.permute(x, &order) } else { x };
        let permuted_shape = self.shape(permuted);
        let flat = self.reshape(permuted, rows);
        let others = self.product_of_others_in_rows(flat);
        let others = self.reshape(others, permuted_shape);
        if !moved {
            return others;
        }
        let mut back = [0; MAX_RANK];
        for (to, &from) in order.iter().enumerate() {
            back[from] = to;
        }
        self.permute(others, &back[..rank])
    }

    /// [`product_of_others`](Self::product_of_others) along the last axis.
    fn product_of_others_in_rows(&mut self, x: Value) -> Value {
        let (shape, dtype) = (self.shape(x), self.dtype(x));
        let axis = shape.rank() - 1;
        if shape.dims()[axis] <= 1 {
            return self.filled(1.0, dtype, shape);
        }
        // before[i] = x[i-1] before[i-1], starting from 1; after[i] likewise from the end.
        let before = self.exclusive_product(x, axis, false);
        let after = self.exclusive_product(x, axis, true);
        self.mul(before, after)
    }

    fn exclusive_product(&mut self, x: Value, axis: usize, reverse: bool) -> Value {
        let (shape, dtype) = (self.shape(x), self.dtype(x));
        let n = shape.dims()[axis];
        let factors = self.shift(x, axis, if reverse { -1 } else { 1 });
        let first = self.unit(axis, if reverse { n - 1 } else { 0 }, shape, dtype);
        self.recurrence(factors, first, axis, reverse)
    }

    /// `r[i] = y[i] + x[i] r[i-1]`; operands of one shape.
    pub(crate) fn recurrence(&mut self, x: Value, y: Value, axis: usize, reverse: bool) -> Value {
        debug_assert_eq!(self.shape(x), self.shape(y));
        self.push(
            Op::Recurrence,
            &[x, y],
            Attr::axis(axis, reverse),
            self.shape(y),
            self.dtype(y),
        )
    }

    /// Elements moved by one along an axis (`by` is 1 or -1), 0 moving in.
    pub(crate) fn shift(&mut self, x: Value, axis: usize, by: isize) -> Value {
        let shape = self.shape(x);
        let n = shape.dims()[axis];
        if n <= 1 {
            return self.zeros_like(x);
        }
        let (from, to) = if by > 0 { (0, 1) } else { (1, 0) };
        let rest = self.narrow(x, axis, from, n - 1);
        self.widen(rest, axis, to, shape)
    }

    /// Adjoint of `narrow`: zeros of `shape` with `x` from `start` along `axis`.
    pub(crate) fn widen(&mut self, x: Value, axis: usize, start: usize, shape: Shape) -> Value {
        let mut spec = SliceSpec {
            start: [0; MAX_RANK],
            step: [1; MAX_RANK],
        };
        spec.start[axis] = start;
        self.unslice(x, spec, shape)
    }

    /// 1 at index `at` of `axis`, 0 elsewhere.
    fn unit(&mut self, axis: usize, at: usize, shape: Shape, dtype: DType) -> Value {
        let mut dims = [1; MAX_RANK];
        dims[axis] = shape.dims()[axis];
        let line = Shape::new(&dims[..shape.rank()]).expect("no larger than the shape");
        let index = self.iota(axis, line, DType::U32);
        let at = self.int(at as i64, DType::U32);
        let hit = self.binary(Binary::Eq, index, at);
        let unit = self.cast(hit, dtype);
        self.expand(unit, shape)
    }

    /// `0, 1, 2, ...` along `axis` of `shape`, whose other extents are 1.
    pub(crate) fn iota(&mut self, axis: usize, shape: Shape, dtype: DType) -> Value {
        self.push(Op::Iota, &[], Attr::axis(axis, false), shape, dtype)
    }

    /// Whether all elements of `x` along `axis` are one element, broadcast.
    pub(super) fn is_uniform_along(&self, x: Value, axis: usize) -> bool {
        if self.op(x) != Op::Expand {
            return false;
        }
        let (shape, source) = (self.shape(x), self.shape(self.arg(x, 0)));
        let lead = shape.rank() - source.rank();
        axis < lead || source.dims()[axis - lead] == 1
    }
}
