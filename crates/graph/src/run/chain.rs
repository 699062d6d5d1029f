//! Chains: a group that goes on with what a kernel computed, block by block, while it is in the cache.
//!
//! A product followed by its bias and activation, or by the optimiser's update of the weight whose gradient it is, would
//! write its result to memory in one phase and read it back in the next, after a rendezvous of all threads. In a chain
//! the thread that has computed some rows runs the group on those rows at once: no rendezvous, and the rows come from
//! the second-level cache.
//!
//! Longer chains, in which products follow groups too, are [`Chain`]s. Two products of a matrix with vectors side by side
//! read it once: [`beside`].

use std::ops::Range;

use retrograde_ops::tile::{Code, Part};
use retrograde_storage::{Id, PACKET_BYTES};

use super::kernel::{Kernel, Rows};
use super::plan::PlannedGroup;
use crate::list::{List, Value};
use crate::op::Op;
use crate::passes::fuse::{READY, StepId};
use crate::passes::memory::{Window, Windowed};
use crate::passes::places::Places;

/// The group that each block of a kernel's last phase goes on with.
#[derive(Debug)]
pub(crate) struct Chained {
    /// Its number.
    pub group: usize,
    /// By block of the kernel: the part of the group's space with the same elements.
    pub parts: Box<[Part]>,
}

/// Whether blocks of `first` can run with those of `second`, the step after it: if both multiply the same rows of a
/// matrix by vectors, of which the second's is not the first's result. Then the rows come from memory once.
pub(crate) fn beside(list: &List, places: &Places, first: &Kernel, second: &Kernel) -> bool {
    let mut operands = list.args(second.value).iter().map(|&a| places.base(a));
    first.shares_rows(second) && operands.all(|a| a != first.value)
}

/// Whether `group`, number `number`, can be chained to the last of `kernels`, whose last phase has `blocks` blocks;
/// `threads` may run them. Others in `kernels` run block by block beside it, with blocks that write the same elements.
/// `overwritten` are the inputs that the group updates in place.
///
/// It can if it reads the kernels' results element by element, in order, and each block's elements are a part that the
/// group can be cut at; if it overwrites nothing that other blocks of the kernels still read; and if there is work for
/// all threads.
pub(crate) fn chain(
    (list, places): (&List, &Places),
    kernels: &[&Kernel],
    blocks: usize,
    (number, group): (usize, &PlannedGroup),
    overwritten: &[Value],
    threads: usize,
) -> Option<Chained> {
    let kernel = kernels.last()?;
    if blocks < threads.min(group.step.group.blocks(&group.geometry))
        || kernel.copies_to().is_some()
    {
        return None;
    }
    let space: usize = group.step.group.space.iter().product();
    let mut reads = false;
    for op in &group.step.group.ops {
        if let Code::Load | Code::Store = op.code
            && let (value, _) = group.step.bases[op.imm as usize]
            && kernels.iter().any(|kernel| kernel.value == value)
        {
            let in_order = group.step.group.is_contiguous(op.imm)
                && group.step.bases[op.imm as usize].1 == 0
                && list.shape(value).len() == space;
            if !in_order || op.code == Code::Store {
                return None;
            }
            reads |= value == kernel.value;
        }
    }
    let still_read = |input: &Value| {
        let external = list.attr(*input);
        let operands = kernels.iter().flat_map(|kernel| list.args(kernel.value));
        let mut operands = operands.map(|&a| places.base(a));
        operands.any(|a| list.op(a) == Op::Input && list.attr(a) == external)
    };
    if !reads || overwritten.iter().any(still_read) {
        return None;
    }
    let parts: Option<Box<[Part]>> = (0..blocks)
        .map(|block| group.step.group.part(kernel.writes(block)?))
        .collect();
    parts.map(|parts| Chained {
        group: number,
        parts,
    })
}

/// A longer chain: groups and products whose blocks are the same rows, each row of what one computes being all that the
/// next one reads of it. A thread takes its rows through all of them.
///
/// Where a product follows a group, the group computes a strip of its rows and the product adds what these terms
/// contribute, strip by strip: what they hand on stays in the cache however long rows are. What nobody else reads has
/// no memory but a [window](Place::Window) of each thread.
///
/// [`Place::Window`]: crate::passes::memory::Place::Window
#[derive(Debug)]
pub(crate) struct Chain {
    rows: usize,
    /// Rows at whose multiples blocks begin.
    unit: usize,
    blocks: usize,
    pub stages: Vec<Stage>,
}

/// A group with the products around it.
#[derive(Debug)]
pub(crate) struct Stage {
    /// The product whose rows the group goes on with, if the chain begins with one.
    pub before: Option<(usize, Rows)>,
    pub group: usize,
    /// The product that reads what the group stores.
    pub after: Option<(usize, Rows)>,
    /// Columns of what the group reads and stores.
    width: usize,
    /// Columns of a strip.
    strip: usize,
    /// Whether the product before runs strip by strip.
    cut: bool,
    /// The group's parts, by block and strip.
    parts: Vec<Part>,
}

/// What a chain is made of, before it is known whether it is one.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    pub first: StepId,
    /// Product before, group, product after.
    pub stages: Vec<(Option<usize>, usize, Option<usize>)>,
}

/// What [`Chain::new`] looks at.
pub(crate) struct Known<'a> {
    pub list: &'a List,
    pub step_of: &'a [StepId],
    pub kernels: &'a [Kernel],
    pub groups: &'a [PlannedGroup],
    pub threads: usize,
}

/// Bytes of rows that should be in progress at a time: a part of the second-level cache.
const BLOCK_BYTES: usize = 256 << 10;
/// Bytes of rows beyond which a chain gives nothing: they would not be in the cache.
const MOST_BYTES: usize = 1 << 20;
/// Bytes of what a group hands on from which a longer chain is worth it: smaller values stay in the cache anyway, and what
/// has no window lives to the end of the chain.
const LEAST_BYTES: usize = 1 << 20;
/// Columns of a strip, if nothing else says so.
const STRIP: usize = 512;
/// Views of a group whose addresses are computed for each part.
pub(crate) const MOST_VIEWS: usize = 24;

impl Known<'_> {
    /// Whether a value is computed by the chain.
    fn inside(&self, links: &Links, v: Value) -> bool {
        let step = self.step_of[v.index()];
        step != READY && step >= links.first
    }

    /// The values that a group stores as they stand in its space.
    fn stores(&self, group: usize) -> impl Iterator<Item = Value> {
        let step = &self.groups[group].step;
        let stores = step.group.ops.iter().filter(|op| op.code == Code::Store);
        stores
            .filter(move |op| self.in_order(group, op.imm))
            .map(|op| step.bases[op.imm as usize].0)
    }

    /// Whether a view of a group is a whole value, element by element.
    fn in_order(&self, group: usize, view: u32) -> bool {
        let step = &self.groups[group].step;
        let (value, offset) = step.bases[view as usize];
        let space: usize = step.group.space.iter().product();
        offset == 0 && step.group.is_contiguous(view) && self.list.shape(value).len() == space
    }

    /// Whether what a group reads of the chain is what its rows were computed to before it.
    fn reads_rows(&self, links: &Links, group: usize, computed: &[Value]) -> bool {
        let step = &self.groups[group].step;
        step.group.ops.iter().all(|op| {
            if !matches!(op.code, Code::Load) {
                return true;
            }
            let value = step.bases[op.imm as usize].0;
            let rows = computed.contains(&value) && self.in_order(group, op.imm);
            rows || !self.inside(links, value)
        })
    }
}

impl Chain {
    /// The chain of these links, if they can be one: if all products have the same rows, every group reads and stores
    /// rows of theirs, and nothing reads more of what the chain computes. Nothing in it may update memory in place, which the
    /// caller knows.
    pub(crate) fn new(known: &Known<'_>, links: &Links) -> Option<Self> {
        // `None` if it is a product that has no rows.
        let link = |product: Option<usize>| match product {
            Some(k) => known.kernels[k].rows().map(|of| Some((k, of))),
            None => Some(None),
        };
        let mut computed = Vec::new();
        let mut rows = None;
        let (mut unit, mut widest, mut wanted) = (1, 1, 1);
        let mut stages = Vec::new();
        for &(before, number, after) in &links.stages {
            let group = &known.groups[number].step.group;
            let space: usize = group.space.iter().product();
            let (before, after) = (link(before)?, link(after)?);
            for (_, of) in before.iter().chain(&after) {
                if *rows.get_or_insert(of.m) != of.m || !of.by_rows {
                    return None;
                }
                wanted = wanted.max(of.blocks);
            }
            let rows = rows?;
            let width = space.checked_div(rows)?;
            if width == 0 || rows * width != space {
                return None;
            }
            if space * group.width.bytes() < LEAST_BYTES {
                return None;
            }
            if let Some((k, of)) = before {
                if of.n != width {
                    return None;
                }
                computed.push(known.kernels[k].value);
            }
            if !known.reads_rows(links, number, &computed) {
                return None;
            }
            computed.extend(known.stores(number));
            let mut strip = STRIP;
            if let Some((k, of)) = after {
                let ready = !known.inside(links, of.b);
                if of.k != width || !ready || !known.stores(number).any(|v| of.a == Some(v)) {
                    return None;
                }
                computed.push(known.kernels[k].value);
                strip = of.piece;
            }
            // A group that adds up along its rows may have to take several strips at a time, or all.
            let fits = |strip: &usize| {
                let first = group.unit_elements().div_ceil(width);
                group.strip(0..first.min(rows), width, 0..*strip).is_some()
            };
            let strips = [strip, 2 * strip].into_iter().filter(|&s| s < width);
            let strip = strips.into_iter().find(fits).unwrap_or(width);
            let cut = before.is_some_and(|(_, of)| strip % of.strip == 0);
            let of_unit = group.unit_elements();
            unit = lcm(unit, of_unit / gcd(of_unit, width));
            let bytes = |columns: usize| columns * group.width.bytes();
            let in_rows = before.is_some() && !cut;
            widest = widest.max(bytes(if in_rows { width } else { strip.min(width) }));
            if let Some((_, of)) = after {
                widest = widest.max(bytes(of.n));
            }
            stages.push(Stage {
                before,
                group: number,
                after,
                width,
                strip,
                cut,
                parts: Vec::new(),
            });
        }
        let rows = rows?;
        if unit == 0 || unit * widest > MOST_BYTES {
            return None;
        }
        let units = rows.div_ceil(unit);
        let block_units = (BLOCK_BYTES / (unit * widest)).max(1);
        let blocks = units.div_ceil(block_units).max(wanted).min(units);
        if blocks < known.threads.min(wanted) {
            return None;
        }
        let mut chain = Self {
            rows,
            unit,
            blocks,
            stages,
        };
        for at in 0..chain.stages.len() {
            let stage = &chain.stages[at];
            let group = &known.groups[stage.group].step.group;
            let blocks = (0..blocks).map(|block| chain.block(block));
            let parts = blocks.flat_map(|rows| {
                let strips = stage.strips();
                strips.map(move |strip| group.strip(rows.clone(), stage.width, strip))
            });
            chain.stages[at].parts = parts.collect::<Option<_>>()?;
        }
        Some(chain)
    }

    /// The blocks that threads claim.
    pub(crate) fn blocks(&self) -> usize {
        self.blocks
    }

    /// Rows at whose multiples blocks begin.
    pub(crate) fn unit(&self) -> usize {
        self.unit
    }

    /// The rows of a block, as products [by rows](retrograde_ops::product::Plan::by_rows) have them.
    pub(crate) fn block(&self, block: usize) -> Range<usize> {
        let units = self.rows.div_ceil(self.unit);
        let at = |i: usize| (units * i / self.blocks * self.unit).min(self.rows);
        at(block)..at(block + 1)
    }

    /// Its products.
    pub(crate) fn products(&self) -> impl Iterator<Item = usize> {
        let around = |stage: &Stage| [stage.before, stage.after];
        self.stages
            .iter()
            .flat_map(around)
            .flatten()
            .map(|(k, _)| k)
    }

    /// The values that it hands on from link to link, with what their windows would be; and the packets of all.
    pub(crate) fn windows(&self, known: &Known<'_>) -> (Vec<Windowed>, usize) {
        let few = |s: &Stage| known.groups[s.group].step.bases.len() <= MOST_VIEWS;
        if !self.stages.iter().all(few) {
            return (Vec::new(), 0);
        }
        let most = (0..self.blocks).map(|b| self.block(b).len()).max();
        let most = most.unwrap_or(0);
        let (mut windows, mut packets) = (Vec::new(), 0);
        let step_of = |v: Value| known.step_of[v.index()];
        let of_group = |g: usize| known.groups[g].step.values.first().map(|&v| step_of(v));
        let ends = |stage: &Stage| {
            let after = stage.after.map(|(k, _)| step_of(known.kernels[k].value));
            after.or_else(|| of_group(stage.group))
        };
        let Some(last) = self.stages.last().and_then(ends) else {
            return (windows, 0);
        };
        let mut add = |value: Value, width: usize, strip: Option<StepId>| {
            let size = known.list.dtype(value).size();
            let row_bytes = width * size;
            let (Ok(packet), Ok(bytes)) = (u32::try_from(packets), u32::try_from(row_bytes)) else {
                return;
            };
            packets += (most * row_bytes).div_ceil(PACKET_BYTES);
            windows.push(Windowed {
                value,
                window: Window {
                    packet,
                    row_bytes: bytes,
                    column_bytes: size as u32,
                },
                last,
                strip,
            });
        };
        for stage in &self.stages {
            let end = ends(stage);
            if let Some((k, _)) = stage.before {
                add(
                    known.kernels[k].value,
                    stage.width,
                    end.filter(|_| stage.cut),
                );
            }
            for value in known.stores(stage.group) {
                add(value, stage.width, end);
            }
            if let Some((k, of)) = stage.after {
                add(known.kernels[k].value, of.n, None);
            }
        }
        (windows, packets)
    }
}

impl Stage {
    /// The columns of each strip.
    pub(crate) fn strips(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (width, strip) = (self.width, self.strip);
        (0..width)
            .step_by(strip)
            .map(move |first| first..width.min(first + strip))
    }

    /// Whether the product before runs strip by strip, not all columns at first.
    pub(crate) fn cuts(&self) -> bool {
        self.cut
    }

    /// All columns.
    pub(crate) fn columns(&self) -> Range<usize> {
        0..self.width
    }

    /// The group's part of a block and a strip.
    pub(crate) fn part(&self, block: usize, strip: usize) -> &Part {
        &self.parts[block * self.width.div_ceil(self.strip) + strip]
    }
}

fn gcd(mut a: usize, mut b: usize) -> usize {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The least common multiple, or the largest number there is.
fn lcm(a: usize, b: usize) -> usize {
    (a / gcd(a, b).max(1)).saturating_mul(b)
}
