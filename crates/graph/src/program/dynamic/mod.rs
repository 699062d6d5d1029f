//! Programs that re-record: one trace for each path through the closure's branches that was met.
//!
//! A trace knows its guards: which values the closure read, in order, and what they were. Traces of one closure form a
//! decision tree, of which a run walks one path: when guard `k` of a trace does not hold, all before it did, so only
//! traces that begin with the same `k` values and then with the one found can be right. Each step of the walk fixes at
//! least one value more; at its end stands a trace that holds, or a path not met before, which is recorded.
//!
//! Traces are never taken away, so readers need no lock: a slot of the list is written once (`OnceLock`). Two threads
//! that meet the same new path at once both record it; the second finds the slot taken and uses the first's.

mod batch;
mod stats;
mod trace;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::feed::{Feed, Inputs};
use super::outputs::{OutputsRef, Outs};
use super::run::{Failure, Workspace};
use super::{Program, Recorded};
use crate::error::{Error, ErrorKind, Result};
use crate::run::options::Options;
use crate::var::Rec;

pub use batch::{DynamicBatch, DynamicBatchWorkspace};
pub use stats::{DynamicStats, GuardStats};
use trace::{Record, Shared, Trace};

/// Traces that [`Program::record_dynamic`] holds: enough for the branches that programs have in practice; a run looks
/// at the guards of all of them at most once, and each takes memory in every workspace that meets it.
const TRACES: usize = 64;

/// A program that may branch on its inputs: every path that is met is recorded and compiled once, then replayed.
///
/// Made by [`Program::record_dynamic`]. `Send + Sync`; clones share their traces. Inputs of another shape are another
/// path.
///
/// ```
/// use retrograde_graph::Program;
/// use retrograde_storage::Array;
/// # fn main() -> retrograde_graph::Result<()> {
/// let x = Array::<f64>::scalar(3.0);
/// let f = Program::record_dynamic(&[x.clone()], |_, [x]| {
///     let mut y = x * 2.0;
///     while y.abs().lt(1000.0).item()? {
///         y = y * 2.0;
///     }
///     Ok(if y.gt(0.0).item()? { y } else { 100.0 * y }.into())
/// })?;
/// let gradient = f.value_and_grad()?;
/// let mut ws = gradient.workspace();
/// for x in [3.0, 0.1, -7.0, 3.5, 2000.0] {
///     let out = gradient.run(&mut ws, &[&Array::scalar(x)])?;
///     assert_eq!(out.item::<f64>(1)?, out.item::<f64>(0)? / x);
/// }
/// println!("{}", gradient.stats()); // which lines branched, and how often a new path was recorded
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Dynamic(Arc<Shared>);

/// Where a trace is: in the shared list, or beyond its bound in the workspace.
#[derive(Clone, Copy, PartialEq)]
enum At {
    Slot(usize),
    Own,
}

/// The memory of one running copy of a [`Dynamic`] program: a [`Workspace`] for each path that this copy has taken.
/// `Send`; one thread at a time.
pub struct DynamicWorkspace {
    of: Arc<Shared>,
    spaces: Vec<Option<Workspace>>,
    /// A trace that the list had no room for.
    own: Option<(Trace, Workspace)>,
    last: At,
    step: u64,
    repeat: bool,
}

impl Program {
    /// Keeps a closure that branches on its inputs and records it again whenever they take a new path. The example
    /// inputs take the first.
    ///
    /// # Errors
    /// As [`try_record`](Self::try_record).
    pub fn record_dynamic<I, F>(example: &I, f: F) -> Result<Dynamic>
    where
        I: Inputs,
        F: for<'t> Fn(Rec<'t>, I::Vars<'t>) -> Result<Outs<'t>> + Send + Sync + 'static,
    {
        Self::record_dynamic_with(example, Options::default(), TRACES, f)
    }

    /// As [`record_dynamic`](Self::record_dynamic) with options, and room for that many traces. A path beyond them is
    /// still right, but is recorded anew by each workspace that comes upon it after another one.
    pub fn record_dynamic_with<I, F>(
        example: &I,
        options: Options,
        traces: usize,
        f: F,
    ) -> Result<Dynamic>
    where
        I: Inputs,
        F: for<'t> Fn(Rec<'t>, I::Vars<'t>) -> Result<Outs<'t>> + Send + Sync + 'static,
    {
        let record: Arc<Record> =
            Arc::new(move |feed, step| Recorded::record::<I>(feed, step, options, &f));
        let first = record(example, 0)?;
        Dynamic::new(record, options, traces, [first])
    }
}

impl Dynamic {
    fn new(
        record: Arc<Record>,
        options: Options,
        traces: usize,
        first: impl IntoIterator<Item = Recorded>,
    ) -> Result<Self> {
        let shared = Shared {
            record,
            options,
            traces: (0..traces).map(|_| OnceLock::new()).collect(),
            recorded: AtomicU64::new(0),
            unheld: AtomicU64::new(0),
            unheld_runs: AtomicU64::new(0),
        };
        for recorded in first {
            // Without room for it, it was recorded to find mistakes early.
            let _ = shared.keep(Trace::new(recorded, options)?);
        }
        Ok(Self(Arc::new(shared)))
    }

    /// The dynamic program of a transform: present traces are transformed now, which finds mistakes early, those to
    /// come when they are recorded.
    fn derive(
        &self,
        transform: impl Fn(&Recorded) -> Result<Recorded> + Send + Sync + 'static,
    ) -> Result<Self> {
        let held = self.0.held();
        let first = held.map(|(_, t)| transform(t.recorded()));
        let first = first.collect::<Result<Vec<_>>>()?;
        let base = Arc::clone(&self.0.record);
        let record: Arc<Record> = Arc::new(move |feed, step| transform(&base(feed, step)?));
        Self::new(record, self.0.options, self.0.traces.len(), first)
    }

    /// The first output (a scalar) and its gradient with respect to every input of its type, in order.
    pub fn value_and_grad(&self) -> Result<Self> {
        self.derive(Recorded::value_and_grad)
    }
    /// As [`value_and_grad`](Self::value_and_grad), with respect to the inputs of those numbers alone.
    pub fn value_and_grad_of(&self, inputs: &[usize]) -> Result<Self> {
        let inputs = inputs.to_vec();
        self.derive(move |r| r.value_and_grad_of(&inputs))
    }
    /// The gradient of the first output (a scalar) with respect to every input of its type, in order.
    pub fn grad(&self) -> Result<Self> {
        self.derive(Recorded::grad)
    }
    /// Vector-Jacobian product, see [`Program::vjp`].
    pub fn vjp(&self) -> Result<Self> {
        self.derive(|r| r.vjp(&r.differentiable()))
    }
    /// Jacobian-vector product, see [`Program::jvp`].
    pub fn jvp(&self) -> Result<Self> {
        self.derive(Recorded::jvp)
    }
    /// Hessian-vector product, see [`Program::hvp`].
    pub fn hvp(&self) -> Result<Self> {
        self.derive(|r| r.hvp(&r.differentiable()))
    }
    /// As [`hvp`](Self::hvp), with respect to the inputs of those numbers alone.
    pub fn hvp_of(&self, inputs: &[usize]) -> Result<Self> {
        let inputs = inputs.to_vec();
        self.derive(move |r| r.hvp(&r.chosen("hvp_of", &inputs)?))
    }
    /// A program of output `i` alone.
    pub fn output(&self, i: usize) -> Result<Self> {
        self.derive(move |r| r.output(i))
    }

    /// Memory to run in. One for each thread that runs the program at the same time.
    pub fn workspace(&self) -> DynamicWorkspace {
        let mut spaces = Vec::new();
        spaces.resize_with(self.0.traces.len(), || None);
        DynamicWorkspace {
            of: Arc::clone(&self.0),
            spaces,
            own: None,
            last: At::Slot(0),
            step: 0,
            repeat: false,
        }
    }

    /// Runs, on the trace of the path that these inputs take; records it if it was not met before. Once this workspace
    /// has taken the path, a run allocates nothing.
    ///
    /// # Errors
    /// As [`Program::run`], a failed guard excepted; whatever the closure returns when it records.
    pub fn run<'w>(
        &self,
        ws: &'w mut DynamicWorkspace,
        inputs: impl Feed,
    ) -> Result<OutputsRef<'w>> {
        if !Arc::ptr_eq(&ws.of, &self.0) {
            return Err(Error::new(
                ErrorKind::Foreign,
                "this workspace belongs to another program; make one with `dynamic.workspace()`",
            ));
        }
        self.settle(ws, &inputs)?;
        if !ws.repeat {
            ws.step += 1;
        }
        let taken = match ws.last {
            At::Own => ws.own.as_ref().map(|(t, space)| (t, space)),
            At::Slot(i) => self.0.traces[i].get().zip(ws.spaces[i].as_ref()),
        };
        let Some((trace, space)) = taken else {
            return Err(inconsistent());
        };
        Ok(trace.program.outputs_of(space))
    }

    /// Finds or records the trace that holds, runs it and leaves its place in `ws.last`.
    fn settle(&self, ws: &mut DynamicWorkspace, feed: &dyn Feed) -> Result<()> {
        let mut next = self.start(ws, feed);
        while let Some(at) = next {
            let Some(failure) = self.attempt(ws, at, feed)? else {
                ws.last = at;
                return Ok(());
            };
            next = self.follow(ws, at, failure, feed);
        }
        let recorded = (self.0.record)(feed, ws.step)?;
        self.0.recorded.fetch_add(1, Ordering::Relaxed);
        let trace = Trace::new(recorded, self.0.options)?;
        let at = match self.0.keep(trace) {
            Ok(i) => At::Slot(i),
            Err(trace) => {
                self.0.unheld.fetch_add(1, Ordering::Relaxed);
                let space = trace.program.workspace()?;
                ws.own = Some((trace, space));
                At::Own
            }
        };
        ws.last = at;
        match self.attempt(ws, at, feed)? {
            None => Ok(()),
            Some(_) => Err(inconsistent()),
        }
    }

    fn attempt(
        &self,
        ws: &mut DynamicWorkspace,
        at: At,
        feed: &dyn Feed,
    ) -> Result<Option<Failure>> {
        let step = ws.step;
        match at {
            At::Own => {
                let Some((trace, space)) = &mut ws.own else {
                    return Err(inconsistent());
                };
                let failure = trace.run(space, step, feed)?;
                if failure.is_none() {
                    self.0.unheld_runs.fetch_add(1, Ordering::Relaxed);
                }
                Ok(failure)
            }
            At::Slot(i) => {
                let Some(trace) = self.0.traces[i].get() else {
                    return Err(inconsistent());
                };
                let space = match &mut ws.spaces[i] {
                    Some(space) => space,
                    none => none.insert(trace.program.workspace()?),
                };
                trace.run(space, step, feed)
            }
        }
    }

    fn trace<'a>(&'a self, ws: &'a DynamicWorkspace, at: At) -> Option<&'a Trace> {
        match at {
            At::Own => ws.own.as_ref().map(|own| &own.0),
            At::Slot(i) => self.0.traces.get(i)?.get(),
        }
    }

    /// Every trace that this workspace can run and that takes these inputs.
    fn possible<'a>(
        &'a self,
        ws: &'a DynamicWorkspace,
        feed: &'a dyn Feed,
    ) -> impl Iterator<Item = (At, &'a Trace)> {
        let held = self.0.held().map(|(i, t)| (At::Slot(i), t));
        let own = ws.own.iter().map(|own| (At::Own, &own.0));
        held.chain(own).filter(move |(_, t)| t.takes(feed))
    }

    /// The trace to try first: the last one, if these inputs fit it.
    fn start(&self, ws: &DynamicWorkspace, feed: &dyn Feed) -> Option<At> {
        match self.trace(ws, ws.last) {
            Some(t) if t.takes(feed) => Some(ws.last),
            _ => self.possible(ws, feed).next().map(|(at, _)| at),
        }
    }

    /// The trace to try after a failed guard: of those that agree with all that is known of the path the longest, for
    /// where it fails it tells most about a loop's trips.
    fn follow(
        &self,
        ws: &DynamicWorkspace,
        at: At,
        failure: Failure,
        feed: &dyn Feed,
    ) -> Option<At> {
        let failed = self.trace(ws, at)?;
        self.possible(ws, feed)
            .filter(|(_, t)| t.continues(failed, failure))
            .max_by_key(|(_, t)| t.misses.len())
            .map(|(at, _)| at)
    }

    /// Bound on the traces held.
    pub fn limit(&self) -> usize {
        self.0.traces.len()
    }

    /// The traces held now, in the order in which they were met: to print, or to ask for their [`Program::cost`].
    pub fn traces(&self) -> impl Iterator<Item = &Program> {
        self.0.held().map(|(_, t)| &t.program)
    }
}

/// A trace that was just recorded does not take its own path.
fn inconsistent() -> Error {
    Error::new(
        ErrorKind::Guard,
        "the closure does not take the path that it was just recorded on: what it reads must depend on its inputs alone",
    )
}

impl fmt::Debug for Dynamic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (held, limit) = (self.0.held().count(), self.limit());
        write!(f, "Dynamic({held} of {limit} traces)")
    }
}

impl DynamicWorkspace {
    /// Bytes held, over all paths.
    pub fn bytes(&self) -> usize {
        let own = self.own.as_ref().map(|own| &own.1);
        let spaces = self.spaces.iter().flatten().chain(own);
        spaces.map(Workspace::bytes).sum()
    }
    /// Makes a workspace usable again in which a custom operation panicked. Others need no reset.
    pub fn reset(&mut self) {
        let own = self.own.as_mut().map(|own| &mut own.1);
        let spaces = self.spaces.iter_mut().flatten().chain(own);
        spaces.for_each(Workspace::reset);
    }
    /// Whether random draws repeat from run to run instead of going on.
    pub fn set_repeat(&mut self, repeat: bool) {
        self.repeat = repeat;
    }
    /// The number of the next run, which random draws depend on.
    pub fn set_step(&mut self, step: u64) {
        self.step = step;
    }
}

impl fmt::Debug for DynamicWorkspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynamicWorkspace({} bytes)", self.bytes())
    }
}
