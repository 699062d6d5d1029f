//! Batches of samples that take different paths: each path replays its own trace, on its own samples alone.
//!
//! A run first finds each sample's path. All samples begin on one trace, of which nothing is computed but the guards,
//! for all of them at once. Those that a guard parts from it are grouped by that guard and by what they read there, and
//! each group goes on to a trace that agrees with all that is known of it, or has one recorded from its first sample;
//! that sample must then hold on it, so groups get smaller or know more each time, and the search ends. Then every trace
//! that holds samples is run on them, and what comes out goes to the samples' places.
//!
//! Groups are padded to a power of two samples with their last one, so that a trace has few programs: one for each power
//! of two, and one for the whole batch.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use retrograde_storage::{Packet, Shape};
use smallvec::SmallVec;

use super::super::feed::{self, Feed, FeedPort, Ports};
use super::super::outputs::OutputsRef;
use super::super::run::{Failure, Workspace, bits};
use super::super::{Program, Recorded};
use super::samples::{Along, reserve, sum};
use super::trace::Trace;
use super::{Dynamic, DynamicStats, DynamicWorkspace, inconsistent};
use crate::error::{Error, ErrorKind, Result};
use crate::infer;
use crate::op::Op;
use crate::run::plan::Port;

/// A [`Dynamic`] program of a batch of samples, each of which takes its own branches.
///
/// Made by [`Dynamic::vmap`]. `Send + Sync`; clones share what they compile.
#[derive(Clone)]
pub struct DynamicBatch(Arc<Shared>);

struct Shared {
    base: Dynamic,
    axes: Vec<Option<isize>>,
    /// Of outputs: an output without a place has the first.
    places: Vec<Place>,
    compiled: Mutex<Vec<Compiled>>,
}

/// Where samples go in an output.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// Along an axis of their own.
    Axis(isize),
    /// They are added up.
    Sum,
}

/// What of a trace a program computes.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Guards,
    Outputs,
}

/// A trace's program for so many samples.
#[derive(Clone)]
struct Compiled {
    trace: usize,
    part: Part,
    lanes: usize,
    program: Program,
}

/// The memory of one running copy of a [`DynamicBatch`]. `Send`; one thread at a time.
pub struct DynamicBatchWorkspace {
    of: Arc<Shared>,
    /// For samples that are run by themselves.
    single: DynamicWorkspace,
    spaces: Vec<(Compiled, Workspace)>,
    /// Inputs of a group.
    inputs: Vec<Vec<Packet>>,
    outputs: Vec<Vec<Packet>>,
    ports: Vec<Port>,
    /// Samples of outputs that are sums.
    addends: Vec<Vec<Packet>>,
    order: Vec<usize>,
    /// By sample: the first guard that parts it from the trace, and what it read there.
    verdicts: Vec<Option<(usize, u64)>>,
    todo: Vec<Group>,
    settled: Vec<Group>,
    /// Samples that are run by themselves.
    alone: Vec<usize>,
    last: usize,
}

/// A stretch of the order of samples that is on one trace.
#[derive(Clone, Copy)]
struct Group {
    trace: usize,
    start: usize,
    end: usize,
    /// The trace was recorded from its first sample just now.
    fresh: bool,
}

impl Dynamic {
    /// The same function of a batch of samples: of inputs with a new axis, at the place that `axes` says for each, or
    /// without one (`None`) where all samples share it. Outputs have the axis in front. Samples that branch in different
    /// ways are run in groups, each on its own trace: no sample computes a branch that it does not take.
    ///
    /// The batch may have any number of samples. [`value_and_grad`](Self::value_and_grad) and then `vmap` gives a
    /// gradient for each sample, [`DynamicBatch::vjp`] one for all.
    ///
    /// ```
    /// use retrograde_graph::Program;
    /// use retrograde_storage::Array;
    /// # fn main() -> retrograde_graph::Result<()> {
    /// // Halve until below 1, then one of two functions: as many paths as there are numbers of halvings, times two.
    /// let f = Program::record_dynamic(&[Array::<f64>::scalar(3.0)], |_, [x]| {
    ///     let mut y = x;
    ///     while y.ge(1.0).item()? {
    ///         y = y * 0.5;
    ///     }
    ///     Ok(if y.gt(0.6).item()? { y * y } else { -y }.into())
    /// })?;
    /// let each = f.value_and_grad()?.vmap(&[Some(0)])?;
    /// let mut ws = each.workspace();
    /// let out = each.run(&mut ws, &[&Array::from([3.0, 0.5, 2.0, 3.5])])?;
    /// assert_eq!(out.array::<f64>(0)?, Array::from([0.75 * 0.75, -0.5, -0.5, 0.875 * 0.875]));
    /// assert_eq!(out.array::<f64>(1)?, Array::from([2.0 * 0.75 / 4.0, -1.0, -0.25, 2.0 * 0.875 / 4.0]));
    /// let stats = each.stats();
    /// assert_eq!((stats.held, stats.runs), (3, 4)); // paths met, and samples run
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// An axis out of range, no input with one; a closure that draws random numbers, which would depend on the grouping.
    pub fn vmap(&self, axes: &[Option<isize>]) -> Result<DynamicBatch> {
        self.batched(axes, Vec::new())
    }

    fn batched(&self, axes: &[Option<isize>], places: Vec<Place>) -> Result<DynamicBatch> {
        if axes.iter().all(Option::is_none) {
            let message = "vmap: every input is shared by all samples, so there is nothing to batch; give one of them an axis";
            return Err(Error::new(ErrorKind::Inputs, message));
        }
        let shared = Shared {
            base: self.clone(),
            axes: axes.to_vec(),
            places,
            compiled: Mutex::default(),
        };
        // Present traces find mistakes early.
        if let Some((trace, _)) = self.0.held().next() {
            shared.program(trace, Part::Outputs, 1)?;
        }
        Ok(DynamicBatch(Arc::new(shared)))
    }
}

impl Shared {
    fn trace(&self, trace: usize) -> Result<&Trace> {
        let slot = self.base.0.traces.get(trace);
        slot.and_then(|slot| slot.get()).ok_or_else(inconsistent)
    }

    /// A trace's program for so many samples, compiled if nobody did.
    fn program(&self, trace: usize, part: Part, lanes: usize) -> Result<Compiled> {
        let compiled = || self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let is = |c: &&Compiled| (c.trace, c.part, c.lanes) == (trace, part, lanes);
        let known = compiled().iter().find(is).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let mut recorded = self.trace(trace)?.recorded().clone();
        let draws = |v| matches!(recorded.list.op(v), Op::Random(_));
        if let Some(v) = recorded.list.values().find(|&v| draws(v)) {
            let message = "vmap: a program that branches draws random numbers, which would depend on which samples take which branch; draw them outside and pass them as an input with an axis";
            return Err(Error::new(ErrorKind::Inputs, message).at(recorded.list.location(v)));
        }
        let guards = std::mem::take(&mut recorded.guards);
        if part == Part::Guards {
            recorded.outputs = guards.iter().map(|g| g.value).collect();
        }
        // Groups have their samples in front.
        let given = recorded.input_axes(&self.axes)?;
        let axes: Vec<Option<isize>> = given.iter().map(|axis| axis.map(|_| 0)).collect();
        let outputs = vec![Some(0); recorded.outputs.len()];
        let batched = recorded.vmap(lanes, &axes, &outputs)?;
        let new = Compiled {
            trace,
            part,
            lanes,
            program: Program::compile(batched, self.base.0.options)?,
        };
        compiled().push(new.clone());
        Ok(new)
    }
}

impl DynamicBatch {
    /// Vector-Jacobian product of the batch: takes the inputs and then a seed of the first output's shape, the samples
    /// in front; gives the first output and the gradient for every input of its type, in that input's shape: the sum over
    /// the samples where they share it.
    pub fn vjp(&self) -> Result<Self> {
        let mut axes = self.0.axes.clone();
        let wrt = self.differentiable()?;
        let mut places = vec![Place::Axis(0)];
        places.extend(wrt.iter().map(|&i| axes[i].map_or(Place::Sum, Place::Axis)));
        axes.push(Some(0));
        self.0.base.vjp()?.batched(&axes, places)
    }

    /// Jacobian-vector product of the batch: takes the inputs and then a tangent for each input of the first output's
    /// type, of its shape; gives every output and then every output's tangent, the samples in front.
    pub fn jvp(&self) -> Result<Self> {
        let mut axes = self.0.axes.clone();
        let tangents: Vec<_> = self.differentiable()?.iter().map(|&i| axes[i]).collect();
        axes.extend(tangents);
        self.0.base.jvp()?.batched(&axes, Vec::new())
    }

    /// Numbers of the inputs that have gradients.
    fn differentiable(&self) -> Result<Vec<usize>> {
        let Some((_, trace)) = self.0.base.0.held().next() else {
            let message = "vmap: a transform of a batch needs room for a trace";
            return Err(Error::new(ErrorKind::Setting, message));
        };
        let recorded = trace.recorded();
        let wrt = recorded.differentiable();
        let inputs = recorded.inputs.iter().enumerate();
        Ok(inputs
            .filter(|(_, v)| wrt.contains(v))
            .map(|(i, _)| i)
            .collect())
    }

    /// Memory to run in. One for each thread that runs the program at the same time.
    pub fn workspace(&self) -> DynamicBatchWorkspace {
        DynamicBatchWorkspace {
            of: Arc::clone(&self.0),
            single: self.0.base.workspace(),
            spaces: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            ports: Vec::new(),
            addends: Vec::new(),
            order: Vec::new(),
            verdicts: Vec::new(),
            todo: Vec::new(),
            settled: Vec::new(),
            alone: Vec::new(),
            last: 0,
        }
    }

    /// What branches did so far, over all workspaces: every sample counts as a run.
    pub fn stats(&self) -> DynamicStats {
        self.0.base.stats()
    }

    /// Runs every sample on the trace of its path; records paths that were not met before.
    ///
    /// # Errors
    /// Inputs of different numbers of samples; outputs that differ in shape from path to path; what a sample runs into,
    /// with its number; whatever the closure returns when it records.
    pub fn run<'w>(
        &self,
        ws: &'w mut DynamicBatchWorkspace,
        inputs: impl Feed,
    ) -> Result<OutputsRef<'w>> {
        if !Arc::ptr_eq(&ws.of, &self.0) {
            return Err(Error::new(
                ErrorKind::Foreign,
                "this workspace belongs to another program; make one with `batch.workspace()`",
            ));
        }
        let batch = BatchFeed::new(&inputs, &self.0.axes)?;
        ws.ports.clear();
        ws.settle(&batch)?;
        ws.finish(&batch)?;
        Ok(OutputsRef {
            ports: &ws.ports,
            memory: &ws.outputs,
            count: ws.ports.len(),
        })
    }
}

/// As many inputs as programs commonly have, without a heap.
type Each<T> = SmallVec<[T; 6]>;

/// A batch of inputs.
struct BatchFeed<'a> {
    feed: &'a dyn Feed,
    /// By input: the place of the batch axis.
    axes: Each<Option<usize>>,
    /// Types and shapes of one sample.
    sample: Each<FeedPort<'static>>,
    samples: usize,
}

impl<'a> BatchFeed<'a> {
    fn new(feed: &'a dyn Feed, given: &[Option<isize>]) -> Result<Self> {
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
    fn gather<'m>(
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
fn with_samples(sample: Shape, axis: usize, samples: usize) -> Result<Shape> {
    let mut dims = infer::Few::from_slice(sample.dims());
    dims.insert(axis, samples);
    extents(&dims)
}

/// A shape of these extents.
fn extents(dims: &[usize]) -> Result<Shape> {
    infer::shape(dims).map_err(|fault| Error::new(fault.kind, format!("vmap: {}", fault.reason)))
}

/// An error that one sample met.
fn of_sample(sample: usize, error: &Error) -> Error {
    let message = format!("sample {sample}: {}", error.message());
    Error::new(error.kind(), message).at(error.location())
}

impl Group {
    fn len(&self) -> usize {
        self.end - self.start
    }

    /// Samples that a program is compiled for: few numbers, for groups of all sizes.
    fn lanes(&self, samples: usize) -> usize {
        self.len().next_power_of_two().min(samples)
    }
}

impl DynamicBatchWorkspace {
    /// Finds every sample's path.
    fn settle(&mut self, batch: &BatchFeed<'_>) -> Result<()> {
        let of = Arc::clone(&self.of);
        self.order.clear();
        self.order.extend(0..batch.samples);
        self.verdicts.clear();
        self.verdicts.resize(batch.samples, None);
        self.todo.clear();
        self.settled.clear();
        self.alone.clear();
        if batch.samples == 0 {
            return Ok(());
        }
        let ports = Ports(&batch.sample);
        let takes = |trace: usize| of.trace(trace).is_ok_and(|t| t.takes(&ports));
        let mut held = of.base.0.held().map(|(i, _)| i);
        let first = if takes(self.last) {
            Some(self.last)
        } else {
            held.find(|&i| takes(i))
        };
        let all = Group {
            trace: first.unwrap_or(0),
            start: 0,
            end: batch.samples,
            fresh: false,
        };
        match first {
            Some(_) => self.todo.push(all),
            None => self.record(&of, batch, all)?,
        }
        while let Some(group) = self.todo.pop() {
            self.part(&of, batch, group)?;
        }
        if let Some(largest) = self.settled.iter().max_by_key(|g| g.len()) {
            self.last = largest.trace;
        }
        Ok(())
    }

    /// Parts a group by what its trace's guards say of its samples.
    fn part(&mut self, of: &Shared, batch: &BatchFeed<'_>, group: Group) -> Result<()> {
        let trace = of.trace(group.trace)?;
        let guards = &trace.recorded().guards;
        if guards.is_empty() {
            self.settled.push(group);
            return Ok(());
        }
        let space = self.space(of, &group, Part::Guards, batch.samples)?;
        if self.execute(batch, &group, space).is_err() {
            // A sample met something on a path that may not be its own: each finds its own by itself.
            self.alone.extend(&self.order[group.start..group.end]);
            return Ok(());
        }
        let Self {
            spaces,
            order,
            verdicts,
            ..
        } = self;
        let (compiled, space) = &spaces[space];
        let out = compiled.program.outputs_of(space);
        let own = &mut order[group.start..group.end];
        for &sample in own.iter() {
            verdicts[sample] = None;
        }
        for (k, guard) in guards.iter().enumerate() {
            let (port, bytes) = out.of_any_type(k);
            for (lane, &sample) in own.iter().enumerate() {
                let found = bits(port.dtype, &bytes[lane * port.dtype.size()..]);
                if found != guard.expected && verdicts[sample].is_none() {
                    verdicts[sample] = Some((k, found));
                }
            }
        }
        if group.fresh && verdicts[own[0]].is_some() {
            return Err(inconsistent());
        }
        own.sort_unstable_by_key(|&sample| (verdicts[sample], sample));
        let mut start = group.start;
        while start < group.end {
            let verdict = self.verdicts[self.order[start]];
            let rest = &self.order[start..group.end];
            let len = rest.partition_point(|&sample| self.verdicts[sample] == verdict);
            let mut part = Group {
                start,
                end: start + len,
                fresh: false,
                ..group
            };
            start += len;
            let Some((guard, found)) = verdict else {
                self.settled.push(part);
                continue;
            };
            trace.misses[guard].fetch_add(len as u64, Ordering::Relaxed);
            match of.follow(trace, Failure { guard, found }, batch) {
                Some(next) => {
                    part.trace = next;
                    self.todo.push(part);
                }
                None => self.record(of, batch, part)?,
            }
        }
        Ok(())
    }

    /// Records the path of a group's first sample.
    fn record(&mut self, of: &Shared, batch: &BatchFeed<'_>, group: Group) -> Result<()> {
        let sample = self.order[group.start];
        let base = &of.base.0;
        if base.traces.iter().all(|slot| slot.get().is_some()) {
            self.alone.extend(&self.order[group.start..group.end]);
            return Ok(());
        }
        let ports = batch.gather(&mut self.inputs, std::iter::once(sample), None)?;
        let recorded = (base.record)(&Ports(&ports), 0).map_err(|e| of_sample(sample, &e))?;
        base.recorded.fetch_add(1, Ordering::Relaxed);
        match base.keep(Trace::new(recorded, base.options)?) {
            Ok(trace) => self.todo.push(Group {
                trace,
                fresh: true,
                ..group
            }),
            // Another thread took the last place.
            Err(_) => {
                base.unheld.fetch_add(1, Ordering::Relaxed);
                self.alone.extend(&self.order[group.start..group.end]);
            }
        }
        Ok(())
    }

    /// Where the program of a part of a group's trace is, with memory to run it in.
    fn space(&mut self, of: &Shared, group: &Group, part: Part, samples: usize) -> Result<usize> {
        let lanes = group.lanes(samples);
        let is = |c: &Compiled| (c.trace, c.part, c.lanes) == (group.trace, part, lanes);
        if let Some(found) = self.spaces.iter().position(|(c, _)| is(c)) {
            return Ok(found);
        }
        let compiled = of.program(group.trace, part, lanes)?;
        let space = compiled.program.workspace()?;
        self.spaces.push((compiled, space));
        Ok(self.spaces.len() - 1)
    }

    /// Runs a program on a group.
    fn execute(&mut self, batch: &BatchFeed<'_>, group: &Group, space: usize) -> Result<()> {
        let own = &self.order[group.start..group.end];
        let (compiled, space) = &mut self.spaces[space];
        let lanes = compiled.lanes;
        let padded = (0..lanes).map(|lane| own[lane.min(own.len() - 1)]);
        let ports = batch.gather(&mut self.inputs, padded, Some(lanes))?;
        match compiled.program.execute(space, &Ports(&ports), &mut [])? {
            None => Ok(()),
            Some(_) => Err(inconsistent()),
        }
    }

    /// Runs every trace on the samples it holds.
    fn finish(&mut self, batch: &BatchFeed<'_>) -> Result<()> {
        let of = Arc::clone(&self.of);
        self.ports.clear();
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
            let mut places = Outputs {
                of: &of,
                samples: batch.samples,
                ports: &mut self.ports,
                outputs: &mut self.outputs,
                addends: &mut self.addends,
            };
            places.take(out, true, &self.order[group.start..group.end])?;
        }
        self.alone.sort_unstable();
        for &sample in &self.alone {
            let ports = batch.gather(&mut self.inputs, std::iter::once(sample), None)?;
            let out = of.base.run(&mut self.single, Ports(&ports));
            let out = out.map_err(|e| of_sample(sample, &e))?;
            let mut places = Outputs {
                of: &of,
                samples: batch.samples,
                ports: &mut self.ports,
                outputs: &mut self.outputs,
                addends: &mut self.addends,
            };
            places.take(out, false, &[sample])?;
        }
        for (o, port) in self.ports.iter().enumerate() {
            if of.place(o) == Place::Sum {
                let bytes = port.shape.len() * port.dtype.size() * batch.samples;
                let samples = &bytemuck::cast_slice(&self.addends[o])[..bytes];
                sum(port.dtype, samples, reserve(&mut self.outputs[o], *port)?);
            }
        }
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
            self.outputs
                .resize_with((o + 1).max(self.outputs.len()), Vec::new);
            reserve(&mut self.outputs[o], port)?.fill(0);
            self.ports.push(port);
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

    /// The trace to try after a failed guard, see [`Dynamic::follow`].
    fn follow(&self, failed: &Trace, failure: Failure, batch: &BatchFeed<'_>) -> Option<usize> {
        let ports = Ports(&batch.sample);
        let held = self.base.0.held();
        held.filter(|(_, t)| t.takes(&ports) && t.continues(failed, failure))
            .max_by_key(|(_, t)| t.misses.len())
            .map(|(i, _)| i)
    }
}

/// The place of a new axis that was checked.
fn axis_of(sample: Shape, axis: isize) -> usize {
    infer::new_axis(sample, axis).unwrap_or(0)
}

/// Where outputs of samples go.
struct Outputs<'a> {
    of: &'a Shared,
    samples: usize,
    ports: &'a mut Vec<Port>,
    outputs: &'a mut Vec<Vec<Packet>>,
    addends: &'a mut Vec<Vec<Packet>>,
}

impl Outputs<'_> {
    /// Puts what a run gave, with a batch axis in front or without one, in the places of its samples.
    fn take(&mut self, out: OutputsRef<'_>, batched: bool, own: &[usize]) -> Result<()> {
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
            let shape = self.of.output_shape(o, sample, self.samples)?;
            let whole = Port { shape, dtype };
            if first {
                self.ports.push(whole);
            } else if (self.ports[o].shape, self.ports[o].dtype) != (shape, dtype) {
                let known = self.ports[o];
                let message = format!(
                    "vmap: sample {} takes a path on which output {o} of the batch would be {shape} {dtype}, on others it is                      {} {}; all paths must give one shape",
                    own[0], known.shape, known.dtype
                );
                return Err(Error::new(ErrorKind::Shape, message));
            }
            let places = self.outputs.len().max(o + 1);
            self.outputs.resize_with(places, Vec::new);
            self.addends.resize_with(places, Vec::new);
            let (to, axis) = match self.of.place(o) {
                Place::Axis(axis) => (reserve(&mut self.outputs[o], whole)?, axis_of(sample, axis)),
                Place::Sum => {
                    let shape = with_samples(sample, 0, self.samples)?;
                    (reserve(&mut self.addends[o], Port { shape, dtype })?, 0)
                }
            };
            let along = Along::new(sample, dtype, axis, self.samples);
            along.scatter(bytes, own.iter().copied(), to);
        }
        Ok(())
    }
}

impl DynamicBatchWorkspace {
    /// Bytes held, over all paths.
    pub fn bytes(&self) -> usize {
        let own = [&self.inputs, &self.outputs, &self.addends];
        let own = own.into_iter().flatten().map(|m| size_of_val(m.as_slice()));
        let spaces = self.spaces.iter().map(|(_, space)| space.bytes());
        self.single.bytes() + own.sum::<usize>() + spaces.sum::<usize>()
    }
    /// Makes a workspace usable again in which a custom operation panicked. Others need no reset.
    pub fn reset(&mut self) {
        self.single.reset();
        self.spaces.iter_mut().for_each(|(_, space)| space.reset());
    }
}

impl fmt::Debug for DynamicBatchWorkspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynamicBatchWorkspace({} bytes)", self.bytes())
    }
}

impl fmt::Debug for DynamicBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynamicBatch of {:?}", self.0.base)
    }
}
