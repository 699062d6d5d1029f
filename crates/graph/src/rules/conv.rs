//! Rules of convolutions and pooling.
//!
//! A convolution is linear in the image and in the weight, so that with both its adjoints it is a family of three closed
//! under differentiation: the derivative of each is one of the others.

use retrograde_storage::{DType, Shape};

use super::Sweep;
use crate::list::{List, Value};
use crate::op::{Attr, Op};

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

    /// To the first largest element of every window.
    pub(super) fn max_pool(&mut self, v: Value, x: Value, g: Value) {
        let list = &mut *self.list;
        let (attr, shape, image) = (list.attr(v), list.shape(v), list.shape(x));
        let index = list.push(Op::MaxPoolIndex, &[x], attr, shape, DType::U32);
        let index = planes(list, index);
        let g = planes(list, g);
        let &[n, c, h, w] = image.dims() else {
            unreachable!("pooling was checked to have four axes")
        };
        let flat = Shape::new(&[n, c, h * w]).expect("as many elements as the image");
        let dtype = list.dtype(x);
        let gx = list.push(
            Op::ScatterAdd,
            &[g, index],
            Attr::axis(2, false),
            flat,
            dtype,
        );
        let gx = list.reshape(gx, image);
        self.give(x, gx);
    }

    /// Sums over windows and their adjoint are each other's.
    pub(super) fn exchange_sum_pool(&mut self, adjoint: Op, v: Value, x: Value, g: Value) {
        let (shape, dtype) = (self.list.shape(x), self.list.dtype(x));
        let gx = self
            .list
            .push(adjoint, &[g], self.list.attr(v), shape, dtype);
        self.give(x, gx);
    }
}

/// The last two of four axes as one.
fn planes(list: &mut List, x: Value) -> Value {
    let dims = list.dims(x);
    let flat = Shape::new(&[dims[0], dims[1], dims[2] * dims[3]]).expect("as many elements");
    list.reshape(x, flat)
}
