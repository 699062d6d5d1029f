//! Every trace run on its samples, and what comes out put in the samples' places.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use retrograde_storage::{Packet, Shape};

use super::feed::{BatchFeed, extents, of_sample, with_samples};
use super::samples::{Along, reserve, sum};
use super::{DynamicBatchWorkspace, Part, Shared};
use crate::error::{Error, ErrorKind, Result};
use crate::infer;
use crate::program::Recorded;
use crate::program::feed::Ports;
use crate::program::outputs::OutputsRef;
use crate::run::plan::Port;

/// Where samples go in an output.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Place {
    /// Along an axis of their own.
    Axis(isize),
    /// They are added up.
    Sum,
}

impl DynamicBatchWorkspace {
    /// Runs every trace on the samples it holds.
    pub(super) fn finish(&mut self, batch: &BatchFeed<'_>) -> Result<()> {
        let of = Arc::clone(&self.of);
        self.outputs.ports.clear();
        if batch.samples == 0 {
            return self.of_none(&of, batch);
        }
        for i in 0..self.settled.len() {
            let group = self.settled[i];
            let space = self.space(&of, &group, Part::Outputs, batch.samples)?;
            if self.execute(batch, &group, space).is_err() {
                // The first sample that meets it tells of it.
                self.alone.extend(&self.order[group.start..group.end]);
                continue;
            }
            let runs = &of.trace(group.trace)?.runs;
            runs.fetch_add(group.len() as u64, Ordering::Relaxed);
            let (compiled, space) = &self.spaces[space];
            let out = compiled.program.outputs_of(space);
            let own = &self.order[group.start..group.end];
            self.outputs.take((&of, batch.samples), out, true, own)?;
        }
        self.alone.sort_unstable();
        for &sample in &self.alone {
            let ports = batch.gather(&mut self.inputs, std::iter::once(sample), None)?;
            let out = of.base.run(&mut self.single, Ports(&ports));
            let out = out.map_err(|e| of_sample(sample, &e))?;
            self.outputs
                .take((&of, batch.samples), out, false, &[sample])?;
        }
        self.outputs.add_up(&of, batch.samples)?;
        Ok(())
    }

    /// The outputs of no sample, in the shapes of any path.
    fn of_none(&mut self, of: &Shared, batch: &BatchFeed<'_>) -> Result<()> {
        let ports = Ports(&batch.sample);
        let Some((_, trace)) = of.base.0.held().find(|(_, t)| t.takes(&ports)) else {
            let message = "vmap of no samples: no path is known that takes inputs of these shapes";
            return Err(Error::new(ErrorKind::Inputs, message));
        };
        let Recorded { list, outputs, .. } = trace.recorded();
        for (o, &v) in outputs.iter().enumerate() {
            let shape = of.output_shape(o, list.shape(v), 0)?;
            let port = Port {
                shape,
                dtype: list.dtype(v),
            };
            self.outputs.grow(o + 1);
            reserve(&mut self.outputs.memory[o], port)?.fill(0);
            self.outputs.ports.push(port);
        }
        Ok(())
    }
}

impl Shared {
    fn place(&self, output: usize) -> Place {
        self.places.get(output).copied().unwrap_or(Place::Axis(0))
    }

    /// The shape of an output for so many samples.
    fn output_shape(&self, output: usize, sample: Shape, samples: usize) -> Result<Shape> {
        match self.place(output) {
            Place::Sum => Ok(sample),
            Place::Axis(axis) => with_samples(sample, axis_of(sample, axis), samples),
        }
    }
}

/// The place of a new axis that was checked.
fn axis_of(sample: Shape, axis: isize) -> usize {
    infer::new_axis(sample, axis).unwrap_or(0)
}

/// The outputs of a batch.
#[derive(Default)]
pub(super) struct Outputs {
    pub(super) ports: Vec<Port>,
    /// By output; kept from run to run, as `addends`.
    pub(super) memory: Vec<Vec<Packet>>,
    /// By output: the samples, if it is their sum.
    pub(super) addends: Vec<Vec<Packet>>,
}

impl Outputs {
    /// Has memory for so many outputs, empty where it is new.
    fn grow(&mut self, outputs: usize) {
        let count = outputs.max(self.memory.len());
        self.memory.resize_with(count, Vec::new);
        self.addends.resize_with(count, Vec::new);
    }

    /// Puts what a run gave, with a batch axis in front or without one, in the places of its samples.
    fn take(
        &mut self,
        (of, samples): (&Shared, usize),
        out: OutputsRef<'_>,
        batched: bool,
        own: &[usize],
    ) -> Result<()> {
        let first = self.ports.is_empty();
        if !first && out.len() != self.ports.len() {
            let message = format!(
                "vmap: sample {} takes a path that gives {} outputs, others give {}",
                own[0],
                out.len(),
                self.ports.len()
            );
            return Err(Error::new(ErrorKind::Shape, message));
        }
        for o in 0..out.len() {
            let (port, bytes) = out.of_any_type(o);
            let axes = &port.shape.dims()[usize::from(batched)..];
            let (sample, dtype) = (extents(axes)?, port.dtype);
            let shape = of.output_shape(o, sample, samples)?;
            let whole = Port { shape, dtype };
            if first {
                self.ports.push(whole);
            } else if (self.ports[o].shape, self.ports[o].dtype) != (shape, dtype) {
                let known = self.ports[o];
                let message = format!(
                    "vmap: sample {} takes a path on which output {o} of the batch would be {shape} {dtype}, on others it is {} {}; all paths must give one shape",
                    own[0], known.shape, known.dtype
                );
                return Err(Error::new(ErrorKind::Shape, message));
            }
            self.grow(o + 1);
            let (to, axis) = match of.place(o) {
                Place::Axis(axis) => (reserve(&mut self.memory[o], whole)?, axis_of(sample, axis)),
                Place::Sum => {
                    let shape = with_samples(sample, 0, samples)?;
                    (reserve(&mut self.addends[o], Port { shape, dtype })?, 0)
                }
            };
            let along = Along::new(sample, dtype, axis, samples);
            along.scatter(bytes, own.iter().copied(), to);
        }
        Ok(())
    }
    /// Adds up the samples of the outputs that are sums.
    fn add_up(&mut self, of: &Shared, samples: usize) -> Result<()> {
        for (o, port) in self.ports.iter().enumerate() {
            if of.place(o) == Place::Sum {
                let bytes = port.shape.len() * port.dtype.size() * samples;
                let addends = &bytemuck::cast_slice(&self.addends[o])[..bytes];
                sum(port.dtype, addends, reserve(&mut self.memory[o], *port)?);
            }
        }
        Ok(())
    }
}
