//! Rules of convolutions and pooling.
//!
//! A convolution is linear in the image and in the weight, so that with both its adjoints it is a family of three closed
//! under differentiation: the derivative of each is one of the others.

use super::Sweep;
use crate::list::Value;
use crate::op::Op;

impl Sweep<'_> {
    /// `y = conv(x, w)`.
    pub(super) fn conv2d(&mut self, v: Value, g: Value) {
        let (x, w) = (self.list.arg(v, 0), self.list.arg(v, 1));
        self.conv_adjoint(Op::ConvInput, v, x, [g, w]);
        self.conv_adjoint(Op::ConvWeight, v, w, [x, g]);
    }

    /// `x = conv_input(y, w)`.
    pub(super) fn conv_input(&mut self, v: Value, g: Value) {
        let (y, w) = (self.list.arg(v, 0), self.list.arg(v, 1));
        self.conv_adjoint(Op::Conv2d, v, y, [g, w]);
        self.conv_adjoint(Op::ConvWeight, v, w, [g, y]);
    }

    /// `w = conv_weight(x, y)`.
    pub(super) fn conv_weight(&mut self, v: Value, g: Value) {
        let (x, y) = (self.list.arg(v, 0), self.list.arg(v, 1));
        self.conv_adjoint(Op::ConvInput, v, x, [y, g]);
        self.conv_adjoint(Op::Conv2d, v, y, [x, g]);
    }

    /// Gives `to` the map `op` of two operands, with the window of `v`.
    fn conv_adjoint(&mut self, op: Op, v: Value, to: Value, operands: [Value; 2]) {
        if self.wants(to) {
            let (attr, shape) = (self.list.attr(v), self.list.shape(to));
            let dtype = self.list.dtype(to);
            let adjoint = self.list.push(op, &operands, attr, shape, dtype);
            self.give(to, adjoint);
        }
    }

    /// Pooling and its adjoint are each other's. What says where the largest element is passes nothing on: it stays
    /// where it is as elements change a little.
    pub(super) fn pool(&mut self, adjoint: Op, v: Value, g: Value) {
        let x = self.list.arg(v, 0);
        let (attr, shape, dtype) = (self.list.attr(v), self.list.shape(x), self.list.dtype(x));
        let operands = [g, *self.list.args(v).last().unwrap_or(&g)];
        let count = self.list.args(v).len();
        let gx = self
            .list
            .push(adjoint, &operands[..count], attr, shape, dtype);
        self.give(x, gx);
    }
}
