//! Batching of indexing.

use super::{Batch, Lane};
use crate::error::Result;
use crate::infer::Few;
use crate::list::Value;

impl Batch<'_> {
    /// From a table for each sample: along an axis more. From one for all, the samples' places are places of one longer
    /// index, so that the table is neither copied nor, in its gradient, filled with zeros for each.
    pub(super) fn gather(&mut self, v: Value) -> Result<Value> {
        let (x, index) = (self.arg(v, 0)?, self.arg(v, 1)?);
        let (shape, attr) = (self.shape(v)?, self.from.attr(v));
        if x.batched {
            let index = self.index_of(v, index)?;
            return self.emit(v, &[x.v, index], self.next_axis(v));
        }
        let (axis, samples) = (attr.as_axis(), self.samples);
        let places = shape.dims()[axis + 1];
        let longer = |dims: &[usize]| {
            let mut dims = Few::from_slice(dims);
            dims[axis] = samples * places;
            dims
        };
        let moved = self.move_batch(index.v, axis);
        let index_dims = longer(self.from.dims(self.from.arg(v, 1)));
        let index = self.reshaped(moved, &index_dims);
        let long = self.checked(v, &longer(self.from.dims(v)))?;
        let (op, dtype) = (self.from.op(v), self.from.dtype(v));
        let picked = self.to.push(op, &[x.v, index], attr, long, dtype);
        let mut apart = Few::from_slice(self.from.dims(v));
        apart.insert(axis, samples);
        let apart = self.reshaped(picked, &apart);
        Ok(self.batch_first(apart, axis))
    }

    /// To a place of its own for each sample.
    pub(super) fn scatter_add(&mut self, v: Value) -> Result<Value> {
        let (x, index) = (self.arg(v, 0)?, self.arg(v, 1)?);
        let x = self.wide(v, x)?;
        let index = self.index_of(v, index)?;
        self.emit(v, &[x, index], self.next_axis(v))
    }

    /// An index with a batch axis, of extent 1 if it is one for all.
    fn index_of(&mut self, v: Value, index: Lane) -> Result<Value> {
        if index.batched {
            return Ok(index.v);
        }
        let mut dims = Few::from_slice(self.to.dims(index.v));
        dims.insert(0, 1);
        let shape = self.checked(v, &dims)?;
        Ok(self.to.reshape(index.v, shape))
    }
}
