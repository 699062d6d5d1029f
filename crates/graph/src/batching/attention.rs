//! Batching of an attention's gradient; an attention has leading axes, of which the batch is one more.

use super::Batch;
use crate::attention::Extents;
use crate::error::Result;
use crate::list::Value;

impl Batch<'_> {
    /// Where the gradients stand one after the other, they do so sample by sample.
    pub(super) fn attention_grad(&mut self, v: Value) -> Result<Value> {
        let attr = self.from.attr(v);
        let args = self.all_wide(v)?;
        if self.from.shape(v).rank() > 1 {
            return self.emit(v, &args, attr);
        }
        // Of all samples, each of the three has to be addressed in one vector.
        self.shape(v)?;
        let lengths = Extents::of(self.from, v).operands().map(|s| s.len());
        let operands = [args[0], args[1], args[2]];
        let mask = args.get(4).copied();
        let parts = self.to.attention_grad(operands, args[3], mask, attr);
        let parts = [0, 1, 2].map(|i| self.reshaped(parts[i], &[self.samples, lengths[i]]));
        let (shape, dtype) = (self.shape(v)?, self.from.dtype(v));
        let op = crate::op::Op::Concat;
        Ok(self.to.push(op, &parts, Self::axis(1), shape, dtype))
    }
}
