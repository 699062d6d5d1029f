//! The inputs of a batch: checked, and brought together for some of its samples.

use retrograde_storage::{Packet, Shape};
use smallvec::SmallVec;

use super::samples::{Along, reserve};
use crate::error::{Error, ErrorKind, Result};
use crate::infer;
use crate::program::feed::{self, Feed, FeedPort};
use crate::run::plan::Port;

/// As many inputs as programs commonly have, without a heap.
pub(super) type Each<T> = SmallVec<[T; 6]>;

/// A batch of inputs.
pub(super) struct BatchFeed<'a> {
    feed: &'a dyn Feed,
    /// By input: the place of the batch axis.
    axes: Each<Option<usize>>,
    /// Types and shapes of one sample.
    pub sample: Each<FeedPort<'static>>,
    pub samples: usize,
}

impl<'a> BatchFeed<'a> {
    pub(super) fn new(feed: &'a dyn Feed, given: &[Option<isize>]) -> Result<Self> {
        if feed.count() != given.len() {
            let message = format!(
                "the program takes {} inputs, given were {}",
                given.len(),
                feed.count()
            );
            return Err(Error::new(ErrorKind::Inputs, message));
        }
        let (mut axes, mut sample) = (Each::new(), Each::new());
        let mut first = None;
        for (i, &axis) in given.iter().enumerate() {
            let port = feed::port(feed, i)?;
            let shape = port.shape();
            let Some(axis) = axis else {
                axes.push(None);
                sample.push(FeedPort::of_type(port.dtype(), shape));
                continue;
            };
            let at = infer::axis(shape, axis).map_err(|fault| {
                Error::new(fault.kind, format!("vmap of input {i}: {}", fault.reason))
            })?;
            let n = shape.dims()[at];
            let (of, samples) = *first.get_or_insert((i, n));
            if n != samples {
                let message = format!(
                    "vmap: input {i} has {n} samples along axis {at}, but input {of} has {samples}"
                );
                return Err(Error::new(ErrorKind::Inputs, message));
            }
            let mut dims = infer::Few::from_slice(shape.dims());
            dims.remove(at);
            axes.push(Some(at));
            sample.push(FeedPort::of_type(port.dtype(), extents(&dims)?));
        }
        Ok(Self {
            feed,
            axes,
            sample,
            samples: first.map_or(0, |f| f.1),
        })
    }

    /// Brings the inputs of some samples, with the batch axis in front, into memory; or, with `lanes` none, those of one
    /// sample without it.
    pub(super) fn gather<'m>(
        &'m self,
        memory: &'m mut Vec<Vec<Packet>>,
        samples: impl Iterator<Item = usize> + Clone,
        lanes: Option<usize>,
    ) -> Result<Each<FeedPort<'m>>> {
        memory.resize_with(self.axes.len().max(memory.len()), Vec::new);
        let mut ports = Each::new();
        for ((i, memory), &axis) in memory
            .iter_mut()
            .enumerate()
            .take(self.axes.len())
            .zip(&self.axes)
        {
            let port = feed::port(self.feed, i)?;
            let Some(axis) = axis else {
                ports.push(port);
                continue;
            };
            let (dtype, sample) = (port.dtype(), self.sample[i].shape());
            let shape = match lanes {
                Some(lanes) => with_samples(sample, 0, lanes)?,
                None => sample,
            };
            if axis == 0
                && shape == port.shape()
                && samples.clone().enumerate().all(|(i, s)| i == s)
            {
                // All of them, as they stand.
                ports.push(port);
                continue;
            }
            let to = reserve(memory, Port { shape, dtype })?;
            Along::new(sample, dtype, axis, self.samples).gather(port.bytes(), samples.clone(), to);
            ports.push(FeedPort::new(dtype, shape, to));
        }
        Ok(ports)
    }
}

/// A shape with a batch axis.
pub(super) fn with_samples(sample: Shape, axis: usize, samples: usize) -> Result<Shape> {
    let mut dims = infer::Few::from_slice(sample.dims());
    dims.insert(axis, samples);
    extents(&dims)
}

/// A shape of these extents.
pub(super) fn extents(dims: &[usize]) -> Result<Shape> {
    infer::shape(dims).map_err(|fault| Error::new(fault.kind, format!("vmap: {}", fault.reason)))
}

/// An error that one sample met.
pub(super) fn of_sample(sample: usize, error: &Error) -> Error {
    let message = format!("sample {sample}: {}", error.message());
    Error::new(error.kind(), message).at(error.location())
}
