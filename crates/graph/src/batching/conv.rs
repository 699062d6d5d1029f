//! Batching of convolutions and pooling.
//!
//! Samples with one weight are more images of one convolution. Weights for one image are more outputs. An image and a
//! weight for each sample are one convolution with as many times the groups: each sample's channels are seen by its own
//! weight alone.

use retrograde_ops::Window;
use retrograde_storage::Shape;

use super::Batch;
use crate::error::Result;
use crate::list::Value;
use crate::op::{Attr, Op};

impl Batch<'_> {
    /// Images of all samples as images of one batch.
    fn as_images(&mut self, x: Value) -> Value {
        let dims = self.to.dims(x).to_vec();
        self.reshaped(x, &[dims[0] * dims[1], dims[2], dims[3], dims[4]])
    }

    /// `[samples, n, channels, ..]` with the samples side by side as channels.
    fn as_channels(&mut self, x: Value) -> Value {
        let dims = self.to.dims(x).to_vec();
        let moved = self.move_batch(x, 1);
        self.reshaped(moved, &[dims[1], dims[0] * dims[2], dims[3], dims[4]])
    }

    /// The inverse of [`as_channels`](Self::as_channels).
    fn of_channels(&mut self, x: Value) -> Value {
        let dims = self.to.dims(x).to_vec();
        let each = dims[1] / self.samples;
        let apart = self.reshaped(x, &[dims[0], self.samples, each, dims[2], dims[3]]);
        self.batch_first(apart, 1)
    }

    /// Axis `axis` of outputs in groups, of all samples: in each group the samples side by side.
    fn outputs_by_group(&mut self, x: Value, axis: usize, groups: usize) -> Value {
        let mut dims = self.to.dims(x)[1..].to_vec();
        let outputs = dims[axis];
        dims.splice(axis..=axis, [groups, outputs / groups]);
        dims.insert(0, self.samples);
        let grouped = self.reshaped(x, &dims);
        let moved = self.move_batch(grouped, axis + 1);
        let mut dims = self.to.dims(x)[1..].to_vec();
        dims[axis] = outputs * self.samples;
        self.reshaped(moved, &dims)
    }

    /// The inverse of [`outputs_by_group`](Self::outputs_by_group), the samples first.
    fn samples_of_groups(&mut self, x: Value, axis: usize, groups: usize) -> Value {
        let mut dims = self.to.dims(x).to_vec();
        let outputs = dims[axis] / self.samples;
        dims.splice(axis..=axis, [groups, self.samples, outputs / groups]);
        let grouped = self.reshaped(x, &dims);
        let first = self.batch_first(grouped, axis + 1);
        let mut dims = self.to.dims(x).to_vec();
        dims[axis] = outputs;
        dims.insert(0, self.samples);
        self.reshaped(first, &dims)
    }

    /// `v`'s operation with `times` as many groups and a result of these extents.
    fn windowed(
        &mut self,
        v: Value,
        times: usize,
        args: &[Value],
        dims: [usize; 4],
    ) -> Result<Value> {
        let shape: Shape = self.checked(v, &dims)?;
        let window = *self.from.window(v);
        let attr: Attr = self.to.add_window(Window {
            groups: window.groups * times,
            ..window
        });
        let (op, dtype) = (self.from.op(v), self.from.dtype(v));
        Ok(self.to.push(op, args, attr, shape, dtype))
    }

    fn dims4(&self, v: Value) -> [usize; 4] {
        let dims = self.from.dims(v);
        [dims[0], dims[1], dims[2], dims[3]]
    }

    /// Samples as further images, all but the first operand being shared.
    fn as_more_images(&mut self, v: Value) -> Result<Value> {
        let args = self.args(v)?;
        let shape = self.shape(v)?;
        let args: Vec<Value> = args
            .into_iter()
            .map(|a| if a.batched { self.as_images(a.v) } else { a.v })
            .collect();
        let [n, rest @ ..] = self.dims4(v);
        let dims = [self.samples * n, rest[0], rest[1], rest[2]];
        let all = self.windowed(v, 1, &args, dims)?;
        Ok(self.to.reshape(all, shape))
    }

    /// Images with a weight for each sample.
    pub(super) fn conv2d(&mut self, v: Value) -> Result<Value> {
        let (x, w) = (self.arg(v, 0)?, self.arg(v, 1)?);
        if !w.batched {
            return self.as_more_images(v);
        }
        self.shape(v)?;
        let [n, o, p, q] = self.dims4(v);
        let dims = [n, self.samples * o, p, q];
        if !x.batched {
            let groups = self.from.window(v).groups;
            let weight = self.outputs_by_group(w.v, 0, groups);
            let all = self.windowed(v, 1, &[x.v, weight], dims)?;
            return Ok(self.samples_of_groups(all, 1, groups));
        }
        let images = self.as_channels(x.v);
        let weight = self.weights(w.v);
        let all = self.windowed(v, self.samples, &[images, weight], dims)?;
        Ok(self.of_channels(all))
    }

    /// Weights of all samples as one, whose outputs are theirs.
    fn weights(&mut self, w: Value) -> Value {
        let dims = self.to.dims(w).to_vec();
        self.reshaped(w, &[dims[0] * dims[1], dims[2], dims[3], dims[4]])
    }

    pub(super) fn conv_input(&mut self, v: Value) -> Result<Value> {
        let (y, w) = (self.arg(v, 0)?, self.arg(v, 1)?);
        if !w.batched {
            return self.as_more_images(v);
        }
        let y = self.wide(v, y)?;
        let outputs = self.as_channels(y);
        let weight = self.weights(w.v);
        let [n, c, h, width] = self.dims4(v);
        let dims = [n, self.samples * c, h, width];
        let all = self.windowed(v, self.samples, &[outputs, weight], dims)?;
        Ok(self.of_channels(all))
    }

    pub(super) fn conv_weight(&mut self, v: Value) -> Result<Value> {
        let (x, y) = (self.arg(v, 0)?, self.arg(v, 1)?);
        let shape = self.shape(v)?;
        let [o, c, i, j] = self.dims4(v);
        let dims = [self.samples * o, c, i, j];
        if !x.batched {
            let groups = self.from.window(v).groups;
            let outputs = self.outputs_by_group(y.v, 1, groups);
            let all = self.windowed(v, 1, &[x.v, outputs], dims)?;
            return Ok(self.samples_of_groups(all, 0, groups));
        }
        let y = self.wide(v, y)?;
        let (images, outputs) = (self.as_channels(x.v), self.as_channels(y));
        let all = self.windowed(v, self.samples, &[images, outputs], dims)?;
        Ok(self.to.reshape(all, shape))
    }

    /// Windows see one image alone.
    pub(super) fn pool(&mut self, v: Value) -> Result<Value> {
        let args = self.all_wide(v)?;
        let shape = self.shape(v)?;
        let args: Vec<Value> = args.into_iter().map(|a| self.as_images(a)).collect();
        let [n, c, h, w] = self.dims4(v);
        let all = self.windowed(v, 1, &args, [self.samples * n, c, h, w])?;
        debug_assert!(matches!(
            self.to.op(all),
            Op::MaxPool | Op::MaxPoolInput | Op::SumPool | Op::SumPoolInput
        ));
        Ok(self.to.reshape(all, shape))
    }
}
