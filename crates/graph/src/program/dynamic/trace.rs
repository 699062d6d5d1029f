//! The traces of a dynamic program: what identifies a path, and the list that holds them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::super::feed::Feed;
use super::super::run::{Failure, Workspace};
use super::super::{Program, Recorded};
use crate::error::Result;
use crate::run::options::Options;

/// Records the closure on these inputs, at a run of this number.
pub(super) type Record = dyn Fn(&dyn Feed, u64) -> Result<Recorded> + Send + Sync;

/// What clones and workspaces of a dynamic program share.
pub(super) struct Shared {
    pub record: Arc<Record>,
    pub options: Options,
    pub traces: Box<[OnceLock<Trace>]>,
    pub recorded: AtomicU64,
    /// Recordings that found no room, and runs of them.
    pub unheld: AtomicU64,
    pub unheld_runs: AtomicU64,
}

/// One path.
pub(super) struct Trace {
    pub program: Program,
    pub runs: AtomicU64,
    /// By guard: how often a run went this way until here and no further.
    pub misses: Box<[AtomicU64]>,
}

impl Trace {
    pub(super) fn new(recorded: Recorded, options: Options) -> Result<Self> {
        let program = Program::compile(recorded, options)?;
        let misses = program.guards().map(|_| AtomicU64::new(0)).collect();
        Ok(Self {
            program,
            runs: AtomicU64::new(0),
            misses,
        })
    }

    pub(super) fn recorded(&self) -> &Recorded {
        &self.program.recorded
    }

    /// Whether inputs have the number, types and shapes of this trace.
    pub(super) fn takes(&self, feed: &dyn Feed) -> bool {
        let Recorded { list, inputs, .. } = self.recorded();
        let mut ports = inputs.iter().enumerate();
        feed.count() == inputs.len()
            && ports.all(|(i, &v)| {
                feed.port(i)
                    .is_some_and(|p| p.shape() == list.shape(v) && p.dtype() == list.dtype(v))
            })
    }

    /// Whether this path begins as `other` does up to where it failed, and goes on with what was found there.
    pub(super) fn continues(&self, other: &Self, failure: Failure) -> bool {
        let (mine, theirs) = (&self.recorded().guards, &other.recorded().guards);
        let k = failure.guard;
        let same = |i: usize| {
            mine[i].expected == theirs[i].expected && mine[i].location == theirs[i].location
        };
        mine.len() > k && mine[k].expected == failure.found && (0..k).all(same)
    }

    /// Whether this is the same path.
    fn is(&self, other: &Self) -> bool {
        let (a, b) = (self.recorded(), other.recorded());
        let key = |r: &Recorded| -> Vec<_> {
            let port = |&v| (r.list.shape(v), r.list.dtype(v));
            r.inputs.iter().map(port).collect()
        };
        let guards = a.guards.iter().zip(&b.guards);
        a.guards.len() == b.guards.len()
            && guards
                .clone()
                .all(|(g, h)| g.expected == h.expected && g.location == h.location)
            && key(a) == key(b)
    }

    pub(super) fn run(
        &self,
        space: &mut Workspace,
        step: u64,
        feed: &dyn Feed,
    ) -> Result<Option<Failure>> {
        space.set_step(step);
        let failure = self.program.execute(space, feed, &mut [])?;
        let count = failure.map_or(&self.runs, |f| &self.misses[f.guard]);
        count.fetch_add(1, Ordering::Relaxed);
        Ok(failure)
    }
}

impl Shared {
    pub(super) fn held(&self) -> impl DoubleEndedIterator<Item = (usize, &Trace)> {
        let slots = self.traces.iter().enumerate();
        slots.filter_map(|(i, slot)| Some((i, slot.get()?)))
    }

    /// Keeps a trace if there is room for it, or finds the one that another thread has kept for the same path.
    pub(super) fn keep(&self, mut trace: Trace) -> Result<usize, Trace> {
        for (i, slot) in self.traces.iter().enumerate() {
            match slot.set(trace) {
                Ok(()) => return Ok(i),
                Err(back) if slot.get().is_some_and(|held| held.is(&back)) => return Ok(i),
                Err(back) => trace = back,
            }
        }
        Err(trace)
    }
}
