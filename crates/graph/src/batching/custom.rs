//! Batching of custom operations: a function on slices is called for each sample.

use retrograde_storage::Shape;

use super::Batch;
use crate::error::Result;
use crate::list::Value;
use crate::op::Op;

impl Batch<'_> {
    pub(super) fn custom(&mut self, v: Value) -> Result<Value> {
        let args = self.all_wide(v)?;
        let call = self.from.call(v).clone().of_samples(self.samples);
        let attr = self.to.add_call(call);
        self.emit(v, &args, attr)
    }

    /// Its vector holds what the rule gives for one sample after the other.
    pub(super) fn custom_grad(&mut self, v: Value) -> Result<Value> {
        let args = self.all_wide(v)?;
        let call = self.from.call(v).clone().of_samples(self.samples);
        let attr = self.to.add_call(call);
        let (shape, dtype) = (self.shape(v)?, self.from.dtype(v));
        let vector: Shape = self.checked(v, &[shape.len()])?;
        let all = self.to.push(Op::CustomGrad, &args, attr, vector, dtype);
        Ok(self.to.reshape(all, shape))
    }
}
