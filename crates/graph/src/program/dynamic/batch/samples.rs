//! Elements of samples, brought together for a group and back to their places in the batch.

use retrograde_storage::{DType, Packet, Shape, packets_for};

use crate::error::{Error, ErrorKind, Result};
use crate::run::plan::Port;

/// A batch's elements: sample `i` is element `i` along an axis.
#[derive(Clone, Copy)]
pub(super) struct Along {
    /// Bytes of neighbours in memory that belong to one sample, and how many such runs each has.
    run: usize,
    runs: usize,
    samples: usize,
}

impl Along {
    /// Of samples of a shape, with a batch axis of extent `samples` at `axis`.
    pub(super) fn new(sample: Shape, dtype: DType, axis: usize, samples: usize) -> Self {
        let (before, after) = sample.dims().split_at(axis);
        Self {
            run: after.iter().product::<usize>() * dtype.size(),
            runs: before.iter().product(),
            samples,
        }
    }

    /// Bytes of one sample.
    fn sample(&self) -> usize {
        self.run * self.runs
    }

    /// Copies samples of a batch to neighbouring places.
    pub(super) fn gather(&self, batch: &[u8], samples: impl Iterator<Item = usize>, to: &mut [u8]) {
        if self.sample() == 0 {
            return;
        }
        for (sample, to) in samples.zip(to.chunks_exact_mut(self.sample())) {
            for (i, to) in to.chunks_exact_mut(self.run).enumerate() {
                let start = (i * self.samples + sample) * self.run;
                to.copy_from_slice(&batch[start..start + self.run]);
            }
        }
    }

    /// Copies samples from neighbouring places to theirs in a batch.
    pub(super) fn scatter(
        &self,
        from: &[u8],
        samples: impl Iterator<Item = usize>,
        batch: &mut [u8],
    ) {
        if self.sample() == 0 {
            return;
        }
        for (sample, from) in samples.zip(from.chunks_exact(self.sample())) {
            for (i, from) in from.chunks_exact(self.run).enumerate() {
                let start = (i * self.samples + sample) * self.run;
                batch[start..start + self.run].copy_from_slice(from);
            }
        }
    }
}

/// Memory for a port, kept for the next run if it is large enough.
pub(super) fn reserve(memory: &mut Vec<Packet>, port: Port) -> Result<&mut [u8]> {
    let bytes = port.shape.len() * port.dtype.size();
    let packets = packets_for(port.shape.len(), port.dtype.size()).unwrap_or(usize::MAX);
    if memory.len() < packets {
        memory
            .try_reserve_exact(packets - memory.len())
            .map_err(|_| {
                Error::new(
                    ErrorKind::Memory,
                    format!("no memory for a batch of {}", port.shape),
                )
            })?;
        memory.resize(packets, Packet::ZERO);
    }
    Ok(&mut bytemuck::cast_slice_mut(memory)[..bytes])
}

/// The sum of all samples, in order, of floats that stand one after the other.
pub(super) fn sum(dtype: DType, samples: &[u8], to: &mut [u8]) {
    fn add<T: bytemuck::Pod + std::ops::AddAssign>(samples: &[u8], to: &mut [u8]) {
        let (samples, to) = (
            bytemuck::cast_slice::<u8, T>(samples),
            bytemuck::cast_slice_mut::<u8, T>(to),
        );
        if to.is_empty() {
            return;
        }
        for sample in samples.chunks_exact(to.len()) {
            for (to, &x) in to.iter_mut().zip(sample) {
                *to += x;
            }
        }
    }
    to.fill(0);
    match dtype {
        DType::F32 => add::<f32>(samples, to),
        DType::F64 => add::<f64>(samples, to),
        // Adjoints are floats.
        DType::U32 | DType::I64 | DType::Bool => {}
    }
}
