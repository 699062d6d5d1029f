//! Liveness and buffer planning: every value that needs memory gets a place, and places that are not live at the same
//! time share one arena.

use std::collections::{BTreeMap, BTreeSet};

use retrograde_storage::{Id, Packed, packets_for};

use super::fuse::{READY, Step, StepId, Steps, ends_group, is_scalar};
use super::places::Places;
use super::rebuild::Rebuilt;
use crate::list::Value;
use crate::op::Op;

/// Where a value's elements stand while a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nowhere: it lives in a tile's slots alone, or is not needed.
    Nowhere,
    /// Memory given from outside, by number of the external.
    External(u32),
    /// The memory of an output.
    Output(u32),
    /// The arena, from this packet on.
    Arena(u32),
    /// An eight-byte cell of the scalar bank.
    Cell(u32),
    /// Memory that each thread has for its part of a chain: see [`chain`](crate::run::chain).
    Window(Window),
}

/// Where a part of a value stands while a thread works on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// First packet in the thread's memory.
    pub packet: u32,
    /// From a row to the next.
    pub row_bytes: u32,
    /// Of an element, if the part is a strip of the rows; else 0.
    pub column_bytes: u32,
}

/// A value that may have a [`Window`] instead of memory of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windowed {
    pub value: Value,
    pub window: Window,
    /// The last step that may read it.
    pub last: StepId,
    /// The last step that reads it while the strip is there, if there are strips.
    pub strip: Option<StepId>,
}

/// A stretch of the arena with the first and last step that uses it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// First packet.
    pub start: usize,
    /// Packets.
    pub len: usize,
    /// First step.
    pub born: StepId,
    /// Last step.
    pub dies: StepId,
}

/// The memory plan.
pub(crate) struct Memory {
    /// By value; of views, see their base.
    pub place: Vec<Place>,
    /// Packets in the arena.
    pub arena: usize,
    /// Cells in the scalar bank.
    pub cells: usize,
    /// What stands where and when, for the listing and for poisoning in tests.
    pub spans: Vec<(Packed<Value>, Span)>,
    /// `(value, output)`: outputs that are copied at the end, being views, leaves, scalars or asked for twice.
    pub copied: Vec<(Value, u32)>,
    /// Updates that are copied at the end, by number.
    pub late: Vec<usize>,
    /// Scratch that a step needs beside its values, by step, in order of request.
    pub extra: Vec<(StepId, usize)>,
}

/// What steps ask for.
#[derive(Clone, Copy)]
pub(crate) struct Requests<'a> {
    /// Memory beside their values: `(step, packets)`.
    pub extra: &'a [(StepId, usize)],
    /// Steps whose blocks run together with the next step's: what they read must outlive that one too. In order.
    pub chained: &'a [StepId],
    /// Values that need no memory of their own if nobody else reads them.
    pub windows: &'a [Windowed],
}

/// Best-fit allocation over the free stretches of one arena, in order of birth.
struct Arena {
    /// Lengths by start; never adjacent.
    free: BTreeMap<usize, usize>,
    /// The same as `(length, start)`.
    by_length: BTreeSet<(usize, usize)>,
    end: usize,
    share: bool,
}

impl Arena {
    fn take(&mut self, len: usize) -> usize {
        // The smallest hole that is large enough, the lowest of equals.
        let hole = self.by_length.range((len, 0)..).next().copied();
        if let (Some((size, start)), true) = (hole, self.share) {
            self.remove(start, size);
            if size > len {
                self.insert(start + len, size - len);
            }
            return start;
        }
        self.end += len;
        self.end - len
    }

    fn give(&mut self, mut start: usize, mut len: usize) {
        if len == 0 {
            return;
        }
        if let Some((&next, &size)) = self.free.range(start..).next()
            && next == start + len
        {
            self.remove(next, size);
            len += size;
        }
        if let Some((&before, &size)) = self.free.range(..start).next_back()
            && before + size == start
        {
            self.remove(before, size);
            (start, len) = (before, size + len);
        }
        self.insert(start, len);
    }

    fn insert(&mut self, start: usize, len: usize) {
        self.free.insert(start, len);
        self.by_length.insert((len, start));
    }

    fn remove(&mut self, start: usize, len: usize) {
        self.free.remove(&start);
        self.by_length.remove(&(len, start));
    }
}

/// Values whose elements must be in memory: read by another step, by a kernel, or asked for.
pub(crate) fn stored(built: &Rebuilt, places: &Places, steps: &Steps) -> Vec<bool> {
    let list = &built.list;
    let mut stored = vec![false; list.len()];
    for v in built
        .outputs
        .iter()
        .chain(built.updates.iter().map(|(_, v)| v))
    {
        stored[places.base(*v).index()] = true;
    }
    for v in list.values() {
        let step = steps.of[v.index()];
        if step == READY {
            continue;
        }
        match &steps.steps[step as usize] {
            Step::Group(group) => {
                stored[v.index()] |= ends_group(list, v, group);
                for &operand in list.args(v) {
                    let base = places.base(operand);
                    stored[base.index()] |= steps.of[base.index()] != step;
                }
            }
            Step::Scalars(_) | Step::Kernel(_) => {
                stored[v.index()] = true;
                list.args(v)
                    .iter()
                    .for_each(|&a| stored[places.base(a).index()] = true);
            }
        }
    }
    stored
}

/// Runs the pass for the values that are [`stored`]. `share` off gives every buffer its own memory, for comparison in tests.
pub(crate) fn plan(
    built: &Rebuilt,
    places: &Places,
    steps: &Steps,
    stored: &[bool],
    requests: Requests<'_>,
    share: bool,
) -> Memory {
    let list = &built.list;
    let mut place = vec![Place::Nowhere; list.len()];
    let mut cells = 0;
    let (mut copied, mut late) = (Vec::new(), Vec::new());

    for v in list.values().filter(|&v| places.is_base(v)) {
        let is_value = stored[v.index()] || matches!(list.op(v), Op::Const | Op::Uniform);
        if list.op(v) == Op::Input {
            place[v.index()] = Place::External(list.attr(v).as_int() as u32);
        }
        // A scalar input is copied into its cell when a run starts, so that all scalars are found alike.
        if is_scalar(list, v) && (is_value || list.op(v) == Op::Input) {
            place[v.index()] = Place::Cell(cells);
            cells += 1;
        }
    }
    let own = |place: &[Place], v: Value| {
        places.is_base(v)
            && place[v.index()] == Place::Nowhere
            && steps.of[v.index()] != READY
            && !is_scalar(list, v)
    };
    for (k, &(input, v)) in built.updates.iter().enumerate() {
        if steps.direct[k] && own(&place, v) && !is_scalar(list, input) {
            place[v.index()] = Place::External(list.attr(input).as_int() as u32);
        } else {
            late.push(k);
        }
    }
    for (k, &v) in built.outputs.iter().enumerate() {
        if own(&place, v) {
            place[v.index()] = Place::Output(k as u32);
        } else {
            copied.push((v, k as u32));
        }
    }

    // Liveness by step: born where computed, dead after the last step that reads it.
    let end = steps.steps.len() as StepId;
    let mut dies = vec![READY; list.len()];
    for v in list.values() {
        let step = steps.of[v.index()];
        for &operand in list.args(v) {
            let base = places.base(operand).index();
            dies[base] = dies[base].max(step);
        }
    }
    for v in copied
        .iter()
        .map(|c| c.0)
        .chain(late.iter().map(|&k| built.updates[k].1))
    {
        dies[places.base(v).index()] = end;
    }

    for of in requests.windows.iter().filter(|_| share) {
        let (v, dies) = (of.value, dies[of.value.index()]);
        if place[v.index()] == Place::Nowhere && stored[v.index()] && dies <= of.last {
            let in_strip = of.strip.is_some_and(|last| dies <= last);
            place[v.index()] = Place::Window(Window {
                column_bytes: if in_strip { of.window.column_bytes } else { 0 },
                ..of.window
            });
        }
    }
    let outlives = |mut step: StepId| {
        while requests.chained.binary_search(&step).is_ok() {
            step += 1;
        }
        step
    };
    let mut births: Vec<Vec<(Packed<Value>, usize, StepId)>> = vec![Vec::new(); end as usize];
    for v in list.values() {
        let step = steps.of[v.index()];
        if step != READY
            && stored[v.index()]
            && place[v.index()] == Place::Nowhere
            && places.is_base(v)
        {
            let len =
                packets_for(list.shape(v).len(), list.dtype(v).size()).expect("shapes fit memory");
            let dies = outlives(dies[v.index()].max(step));
            births[step as usize].push((Packed::some(v), len, dies));
        }
    }
    for &(step, len) in requests.extra {
        births[step as usize].push((Packed::NONE, len, outlives(step)));
    }

    let mut arena = Arena {
        free: BTreeMap::new(),
        by_length: BTreeSet::new(),
        end: 0,
        share,
    };
    let mut deaths: Vec<Vec<(usize, usize)>> = vec![Vec::new(); end as usize + 1];
    let (mut spans, mut extra) = (Vec::new(), Vec::new());
    for step in 0..end {
        for &(v, len, dies) in &births[step as usize] {
            let start = arena.take(len);
            deaths[dies as usize].push((start, len));
            match v.get() {
                Some(v) => place[v.index()] = Place::Arena(start as u32),
                None => extra.push((step, start)),
            }
            spans.push((
                v,
                Span {
                    start,
                    len,
                    born: step,
                    dies,
                },
            ));
        }
        for (start, len) in std::mem::take(&mut deaths[step as usize]) {
            arena.give(start, len);
        }
    }
    Memory {
        place,
        arena: arena.end,
        cells: cells as usize,
        spans,
        copied,
        late,
        extra,
    }
}
