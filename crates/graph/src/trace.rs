//! Compiled traces of a tape: a step that records what was recorded before finds its program by comparing columns.

use crate::error::Result;
use crate::list::{List, Value};
use crate::run::plan::{Options, Plan};
use crate::run::workspace::Memory;

/// What a trace computes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Goal {
    /// Values.
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
    leaves: Vec<crate::tape::LeafKind>,
    /// Version of the parameter table (freezing, grouping).
    params: u64,
    pub plan: Plan,
    pub memory: Memory,
    /// By output after the target: the value it is the gradient of, or that is read.
    pub outputs: Vec<Value>,
    /// Leaves that the recording does not have: a seed, optimiser state.
    pub extra: Vec<(Value, crate::tape::LeafKind)>,
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
    pub leaves: &'a [crate::tape::LeafKind],
    pub params: u64,
}

impl Cache {
    pub(crate) fn stats(&self) -> CacheStats {
        CacheStats {
            held: self.traces.len(),
            ..self.stats
        }
    }

    /// The program used last.
    pub(crate) fn last(&self) -> Option<ProgramSummary> {
        let plan = &self.traces.iter().max_by_key(|t| t.used)?.plan;
        Some(ProgramSummary {
            instructions: plan.list.len(),
            groups: plan.groups.len(),
            arena_bytes: plan.arena * retrograde_storage::PACKET_BYTES,
            listing: crate::print::plan(plan),
        })
    }

    /// The trace for a query, if it was compiled before.
    pub(crate) fn find(&mut self, q: &Query<'_>) -> Option<usize> {
        let found = self.traces.iter().position(|t| {
            t.target == q.target
                && t.params == q.params
                && t.goal == q.goal
                && t.list.len() == q.list.len()
                && t.known == q.known
                && t.leaves == q.leaves
                && t.list.same_program(q.list)
        });
        self.clock += 1;
        if let Some(i) = found {
            self.stats.hits += 1;
            self.traces[i].used = self.clock;
        }
        found
    }

    /// Keeps a compiled trace; returns its number.
    pub(crate) fn keep(
        &mut self,
        q: &Query<'_>,
        plan: Plan,
        outputs: Vec<Value>,
        extra: Vec<(Value, crate::tape::LeafKind)>,
    ) -> Result<usize> {
        self.stats.misses += 1;
        let memory = Memory::new(&plan)?;
        let trace = Trace {
            goal: q.goal.clone(),
            list: q.list.clone(),
            target: q.target,
            known: q.known.to_vec(),
            leaves: q.leaves.to_vec(),
            params: q.params,
            plan,
            memory,
            outputs,
            extra,
            used: self.clock,
        };
        if self.traces.len() < HELD {
            self.traces.push(trace);
            return Ok(self.traces.len() - 1);
        }
        let oldest = self
            .traces
            .iter()
            .enumerate()
            .min_by_key(|(_, t)| t.used)
            .map_or(0, |(i, _)| i);
        self.traces[oldest] = trace;
        Ok(oldest)
    }

    pub(crate) fn trace(&mut self, i: usize) -> &mut Trace {
        &mut self.traces[i]
    }
}
