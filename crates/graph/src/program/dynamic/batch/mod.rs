//! Batches of samples that take different paths: each path replays its own trace, on its own samples alone.
//!
//! A run first finds each sample's path. All samples begin on one trace, of which nothing is computed but the guards,
//! for all of them at once. Those that a guard parts from it are grouped by that guard and by what they read there, and
//! each group goes on to a trace that agrees with all that is known of it, or has one recorded from its first sample;
//! that sample must then hold on it, so groups get smaller or know more each time, and the search ends. Then every trace
//! that holds samples is run on them, and what comes out goes to the samples' places.
//!
//! `feed` brings the inputs of a group together, `group` finds the paths, `outputs` runs them.
//!
//! Groups are padded to a power of two samples with their last one, so that a trace has few programs: one for each power
//! of two, and one for the whole batch.

mod feed;
mod group;
mod outputs;
mod samples;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use retrograde_storage::Packet;

use self::feed::BatchFeed;
use self::group::Group;
use self::outputs::{Outputs, Place};
use super::trace::Trace;
use super::{Dynamic, DynamicStats, DynamicWorkspace, inconsistent};
use crate::error::{Error, ErrorKind, Result};
use crate::op::Op;
use crate::program::Program;
use crate::program::feed::Feed;
use crate::program::outputs::OutputsRef;
use crate::program::run::Workspace;

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
    outputs: Outputs,
    order: Vec<usize>,
    /// By sample: the first guard that parts it from the trace, and what it read there.
    verdicts: Vec<Option<(usize, u64)>>,
    todo: Vec<Group>,
    settled: Vec<Group>,
    /// Samples that are run by themselves.
    alone: Vec<usize>,
    last: usize,
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
            outputs: Outputs::default(),
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
        ws.outputs.ports.clear();
        ws.settle(&batch)?;
        ws.finish(&batch)?;
        Ok(OutputsRef {
            ports: &ws.outputs.ports,
            memory: &ws.outputs.memory,
            count: ws.outputs.ports.len(),
        })
    }
}

impl DynamicBatchWorkspace {
    /// Bytes held, over all paths.
    pub fn bytes(&self) -> usize {
        let own = [&self.inputs, &self.outputs.memory, &self.outputs.addends];
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
