//! Compiled traces of a tape: a step that records what was recorded before finds its program by comparing columns.

use retrograde_storage::Id;

use crate::error::Result;
use crate::list::{List, Value};
use crate::run::options::Options;
use crate::run::plan::Plan;
use crate::run::workspace::Memory;
use crate::tape::LeafKind;

/// What a trace computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    /// Values. The list is not the recording but the [part](crate::eval::part) that a read needs, which another read of
    /// the same recording may need of other values: lines are part of the key.
    Read,
    /// The value and the gradients of what it depends on; whether a seed is given.
    Backward { seeded: bool },
    /// As `Backward`, and the parameters are updated by the rule of that identity.
    Train { rule: u64 },
}

/// A compiled trace. The key is the recorded list with what was asked of it; literals that are data, leaf elements and
/// source lines are not part of it.
#[derive(Debug)]
pub(crate) struct Trace {
    goal: Goal,
    list: List,
    target: Value,
    known: Vec<bool>,
    leaves: Vec<LeafKind>,
    /// Version of the parameter table (freezing, grouping).
    params: u64,
    pub plan: Plan,
    pub memory: Memory,
    /// By output of a backward, after the target: the value it is the gradient of.
    pub outputs: Vec<Value>,
    /// Outputs after those: values that were read after earlier runs.
    pub wanted: Vec<Value>,
    /// Values that were read since it was compiled: if there are any, it is compiled anew when it is met again.
    missed: Vec<Value>,
    pub extra: Extra,
    used: u64,
}

/// What a trace has that the recording has not.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    /// A seed, optimiser state, parameters that only an update rule reads. Sorted by value.
    pub leaves: Vec<(Value, LeafKind)>,
    /// Number of an update rule's first scalar, and how many there are.
    pub first_scalar: usize,
    pub scalars: usize,
    /// Number of an update rule's first random stream, and the seeds of its streams.
    pub first_seed: usize,
    pub seeds: Vec<u64>,
}

/// What compilation makes of a query.
pub(crate) struct Compiled {
    pub plan: Plan,
    pub outputs: Vec<Value>,
    pub wanted: Vec<Value>,
    pub extra: Extra,
}

impl Compiled {
    /// A plan with one output, the target.
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            plan,
            outputs: Vec::new(),
            wanted: Vec::new(),
            extra: Extra::default(),
        }
    }
}

impl Trace {
    pub(crate) fn target(&self) -> Value {
        self.target
    }

    /// Whether the trace was given this value.
    pub(crate) fn knew(&self, v: Value) -> bool {
        self.known.get(v.index()).copied().unwrap_or(false)
    }

    /// Makes a value that the trace computes an output, from the next time on.
    pub(crate) fn want(&mut self, v: Value) {
        if !self.missed.contains(&v) && !self.wanted.contains(&v) {
            self.missed.push(v);
        }
    }

    fn is_for(&self, q: &Query<'_>) -> bool {
        self.target == q.target
            && self.params == q.params
            && self.goal == q.goal
            && self.list.len() == q.list.len()
            && self.known == q.known
            && self.leaves == q.leaves
            && self.list.same_program(q.list)
            && (self.goal != Goal::Read || self.list.same_lines(q.list))
    }
}

/// A run of a trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    number: usize,
    used: u64,
}

/// Hits and misses of a tape's trace cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Evaluations that found their program.
    pub hits: u64,
    /// Evaluations that compiled one.
    pub misses: u64,
    /// Programs held.
    pub held: usize,
}

/// A compiled program of a tape, to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProgramSummary {
    /// Instructions after optimisation.
    pub instructions: usize,
    /// Fused groups.
    pub groups: usize,
    /// Bytes of the planned arena: the peak of everything that is neither leaf nor result.
    pub arena_bytes: usize,
    /// Arithmetic operations of a run, counted as in [`Cost`](crate::Cost).
    pub flops: u64,
    /// Bytes that pass from one fused step to another in a run, counted as in [`Cost`](crate::Cost).
    pub bytes: u64,
    /// The program as text.
    pub listing: String,
}

/// Programs held at most; the one used longest ago goes first.
const HELD: usize = 64;

/// The traces of one tape.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    traces: Vec<Trace>,
    stats: CacheStats,
    clock: u64,
    pub options: Options,
}

/// What is looked up.
pub(crate) struct Query<'a> {
    pub goal: Goal,
    pub list: &'a List,
    pub target: Value,
    pub known: &'a [bool],
    pub leaves: &'a [LeafKind],
    pub params: u64,
}

impl Cache {
    pub(crate) fn stats(&self) -> CacheStats {
        CacheStats {
            held: self.traces.len(),
            ..self.stats
        }
    }

    /// Makes traces usable again in which a custom operation panicked.
    pub(crate) fn reset(&mut self) {
        self.traces.iter_mut().for_each(|t| t.memory.reset());
    }

    /// The program used last.
    pub(crate) fn last(&self) -> Option<ProgramSummary> {
        let plan = &self.traces.iter().max_by_key(|t| t.used)?.plan;
        let (flops, bytes) = crate::program::cost::work(plan);
        Some(ProgramSummary {
            flops,
            bytes,
            instructions: plan.list.len(),
            groups: plan.groups.len(),
            arena_bytes: plan.arena * retrograde_storage::PACKET_BYTES,
            listing: crate::print::plan(plan),
        })
    }

    /// The trace for a query, if it was compiled before with all that has been asked of it since.
    pub(crate) fn find(&mut self, q: &Query<'_>) -> Option<usize> {
        let found = self.traces.iter().position(|t| t.is_for(q));
        let found = found.filter(|&i| self.traces[i].missed.is_empty());
        self.clock += 1;
        if let Some(i) = found {
            self.stats.hits += 1;
            self.traces[i].used = self.clock;
        }
        found
    }

    /// Values that the trace for a query is to keep because they were read after it ran.
    pub(crate) fn wanted(&self, q: &Query<'_>) -> Vec<Value> {
        let trace = self.traces.iter().find(|t| t.is_for(q));
        trace.map_or(Vec::new(), |t| [t.wanted.as_slice(), &t.missed].concat())
    }

    /// Keeps a compiled trace, in place of the one for the same query if there is one; returns its number.
    pub(crate) fn keep(&mut self, q: &Query<'_>, compiled: Compiled) -> Result<usize> {
        self.stats.misses += 1;
        let Compiled {
            plan,
            outputs,
            wanted,
            extra,
        } = compiled;
        let memory = Memory::new(&plan)?;
        let trace = Trace {
            goal: q.goal,
            list: q.list.clone(),
            target: q.target,
            known: q.known.to_vec(),
            leaves: q.leaves.to_vec(),
            params: q.params,
            plan,
            memory,
            outputs,
            wanted,
            missed: Vec::new(),
            extra,
            used: self.clock,
        };
        let known = self.traces.iter().position(|t| t.is_for(q));
        if known.is_none() && self.traces.len() < HELD {
            self.traces.push(trace);
            return Ok(self.traces.len() - 1);
        }
        let oldest = || {
            let all = self.traces.iter().enumerate();
            all.min_by_key(|(_, t)| t.used).map_or(0, |(i, _)| i)
        };
        let number = known.unwrap_or_else(oldest);
        self.traces[number] = trace;
        Ok(number)
    }

    /// The run of a trace that was just found or kept, to come back to.
    pub(crate) fn run_of(&self, number: usize) -> At {
        At {
            number,
            used: self.traces[number].used,
        }
    }

    /// The trace of that run, if it is still held and has not run since.
    pub(crate) fn ran(&mut self, run: At) -> Option<&mut Trace> {
        let trace = self.traces.get_mut(run.number);
        trace.filter(|t| t.used == run.used)
    }

    pub(crate) fn trace(&mut self, i: usize) -> &mut Trace {
        &mut self.traces[i]
    }
}
