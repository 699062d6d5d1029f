//! Rules of custom operations: the user's, on slices or as recorded instructions.

use retrograde_storage::Shape;

use super::Sweep;
use crate::custom::call::Rule;
use crate::error::{Error, ErrorKind};
use crate::list::Value;
use crate::op::Op;

impl Sweep<'_> {
    pub(super) fn custom(&mut self, v: Value, g: Value) {
        let list = &mut *self.list;
        let (call, inputs) = (list.call(v).clone(), list.args(v).to_vec());
        let operands = [inputs.as_slice(), &[v, g]].concat();
        let gradients = match call.rule() {
            Ok(Rule::Recorded(fragment)) => list.splice(fragment, &operands),
            Ok(Rule::Slices) => {
                // One sample after the other.
                let (lengths, samples) = (call.lengths(), call.samples());
                let (attr, dtype) = (list.attr(v), list.dtype(v));
                let each: usize = lengths.iter().sum();
                let shape = |dims: &[usize]| Shape::new(dims).expect("checked with the operands");
                let total = shape(&[samples * each]);
                let all = list.push(Op::CustomGrad, &operands, attr, total, dtype);
                let (all, axis) = match samples {
                    1 => (all, 0),
                    _ => (list.reshape(all, shape(&[samples, each])), 1),
                };
                let mut start = 0;
                let parts = inputs.iter().zip(lengths).map(|(&x, len)| {
                    let part = list.narrow(all, axis, start, len);
                    start += len;
                    list.reshape(part, list.shape(x))
                });
                parts.collect()
            }
            Err(error) => return self.list.refuse(error.at(self.list.location(v))),
        };
        for (x, gradient) in inputs.into_iter().zip(gradients) {
            self.give(x, gradient);
        }
    }

    /// A derivative of a derivative on slices.
    pub(super) fn custom_grad(&mut self, v: Value) {
        let list = &mut *self.list;
        let message = format!(
            "custom operation `{}` has its derivative on slices, which serves one reverse sweep; for forward mode or a \
             second order give it a rule of operations by `derivative`",
            list.call(v).name()
        );
        let error = Error::new(ErrorKind::Custom, message).at(list.location(v));
        list.refuse(error);
    }
}
