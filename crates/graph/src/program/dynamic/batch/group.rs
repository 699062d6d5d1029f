//! Which trace each sample is on: groups, parted by what guards say.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::feed::{BatchFeed, of_sample};
use super::{Compiled, DynamicBatchWorkspace, Part, Shared};
use crate::error::Result;
use crate::program::dynamic::inconsistent;
use crate::program::dynamic::trace::Trace;
use crate::program::feed::Ports;
use crate::program::run::{Failure, bits};

/// A stretch of the order of samples that is on one trace.
#[derive(Clone, Copy)]
pub(super) struct Group {
    pub trace: usize,
    pub start: usize,
    pub end: usize,
    /// The trace was recorded from its first sample just now.
    fresh: bool,
}

impl Group {
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Samples that a program is compiled for: few numbers, for groups of all sizes.
    fn lanes(&self, samples: usize) -> usize {
        self.len().next_power_of_two().min(samples)
    }
}

impl DynamicBatchWorkspace {
    /// Finds every sample's path.
    pub(super) fn settle(&mut self, batch: &BatchFeed<'_>) -> Result<()> {
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
    pub(super) fn space(
        &mut self,
        of: &Shared,
        group: &Group,
        part: Part,
        samples: usize,
    ) -> Result<usize> {
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
    pub(super) fn execute(
        &mut self,
        batch: &BatchFeed<'_>,
        group: &Group,
        space: usize,
    ) -> Result<()> {
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
}

impl Shared {
    /// The trace to try after a failed guard, see [`Dynamic::follow`].
    fn follow(&self, failed: &Trace, failure: Failure, batch: &BatchFeed<'_>) -> Option<usize> {
        let ports = Ports(&batch.sample);
        let held = self.base.0.held();
        held.filter(|(_, t)| t.takes(&ports) && t.continues(failed, failure))
            .max_by_key(|(_, t)| t.misses.len())
            .map(|(i, _)| i)
    }
}
