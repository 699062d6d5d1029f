//! How a group is cut: tiles that fit a cache, blocks that threads claim, and where each slot stands in scratch.

use std::num::NonZeroUsize;
use std::ops::Range;

use super::bound::Bound;
use super::direct::{DIRECT_VIEWS, Direct};
use super::order::Chunks;
use super::walk::{TURN, Walk, Walks};
use super::{Class, Code, Group, MicroOp, Over, ViewSpec};
use crate::thresholds::{CHUNK, TILE_CACHE_SHARE, TILE_PACKETS_L1, TILE_PACKETS_L2};

/// Bytes of the caches that one core has for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheSizes {
    /// First level, data.
    pub l1: usize,
    /// Second level.
    pub l2: usize,
}

impl CacheSizes {
    /// What a core of the last decade has at least.
    pub const SMALL: Self = Self {
        l1: 32 << 10,
        l2: 256 << 10,
    };

    /// The caches of the first core as Linux reports them; [`CacheSizes::SMALL`] where nothing does.
    pub fn detect() -> Self {
        let mut sizes = Self::SMALL;
        for index in 0..8 {
            let read = |name: &str| {
                std::fs::read_to_string(format!(
                    "/sys/devices/system/cpu/cpu0/cache/index{index}/{name}"
                ))
            };
            let (Ok(level), Ok(kind), Ok(size)) = (read("level"), read("type"), read("size"))
            else {
                continue;
            };
            let Some(bytes) = parse_size(size.trim()) else {
                continue;
            };
            match (level.trim(), kind.trim()) {
                ("1", "Data" | "Unified") => sizes.l1 = bytes,
                ("2", "Data" | "Unified") => sizes.l2 = bytes,
                _ => {}
            }
        }
        sizes
    }
}

/// Bytes of a size as the kernel prints it: `48K`, `2M`.
fn parse_size(text: &str) -> Option<usize> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 1 << 10),
        b'M' => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1),
    };
    digits.parse::<usize>().ok()?.checked_mul(unit)
}

/// Where an operand stands in scratch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// First packet, counted from the base.
    pub at: u32,
    /// 0 for scratch, else the number of a view that is used directly.
    pub base: u8,
    /// How an operand is walked beside the step's result.
    pub walk: Walk,
    /// How many packets it takes and how it broadcasts.
    pub class: Class,
}

/// A micro-op with its slots looked up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Step {
    pub code: Code,
    pub dst: Place,
    pub a: Place,
    pub b: Place,
    pub c: Place,
    pub imm: u32,
    /// How the operands are walked.
    pub walks: Walks,
    /// What of the next tile is fetched into the cache while this step runs.
    pub ahead: Ahead,
}

impl Step {
    /// Whether it is a loop over packets of its operands and nothing else.
    pub(super) fn is_elementwise(&self) -> bool {
        match self.code {
            Code::Unary(..)
            | Code::Binary(..)
            | Code::Ternary(..)
            | Code::Pair(..)
            | Code::Update(_)
            | Code::PowI
            | Code::Cast(..) => true,
            Code::Load
            | Code::Store
            | Code::Const(_)
            | Code::Iota(..)
            | Code::Copy
            | Code::ReduceRow(..)
            | Code::Reduce => false,
        }
    }

    /// The places it reads.
    pub(super) fn reads(&self) -> impl Iterator<Item = Place> {
        let count = match self.code {
            Code::Load | Code::Const(_) | Code::Iota(..) => 0,
            Code::Store
            | Code::Unary(..)
            | Code::PowI
            | Code::Cast(..)
            | Code::ReduceRow(..)
            | Code::Reduce => 1,
            Code::Binary(..) | Code::Copy => 2,
            Code::Ternary(..) | Code::Pair(..) | Code::Update(_) => 3,
        };
        [self.a, self.b, self.c].into_iter().take(count)
    }

    /// The place it writes.
    pub(super) fn writes(&self) -> Option<Place> {
        (!matches!(self.code, Code::Store | Code::Reduce)).then_some(self.dst)
    }

    /// Reads `place` where it read the full slot at `slot`.
    pub(super) fn repoint(&mut self, slot: u32, place: Place) {
        for operand in [&mut self.a, &mut self.b, &mut self.c] {
            if operand.base == 0 && operand.class == Class::Full && operand.at == slot {
                *operand = Place {
                    walk: operand.walk,
                    ..place
                };
            }
        }
    }
}

/// Cache lines `from..to` of a view's part in a tile; none in most steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ahead {
    pub view: u32,
    pub from: u32,
    pub to: u32,
    /// Of this tile, not the next.
    pub now: bool,
}

/// Spreads what the next tile needs evenly over the steps of this one. A core has some twenty buffers for outstanding
/// misses: asked for in one go, a view's lines would fill them and stall everything behind until memory has answered.
fn fetch_ahead(body: &mut [Step], lines: u32, views: &[u32]) {
    let steps = body.len();
    for (i, &view) in views.iter().enumerate() {
        let mine = i * steps / views.len()..(i + 1) * steps / views.len();
        fetch_during(&mut body[mine], lines, view, false);
    }
}

/// Spreads the lines of a view over steps.
fn fetch_during(steps: &mut [Step], lines: u32, view: u32, now: bool) {
    // More views than steps: too little work for anything to be hidden behind it.
    let Some(share) = lines.checked_div(steps.len() as u32) else {
        return;
    };
    let share = share + 1;
    for (from, step) in (0..lines).step_by(share as usize).zip(steps) {
        let to = (from + share).min(lines);
        step.ahead = Ahead {
            view,
            from,
            to,
            now,
        };
    }
}

/// How many loads before its own a view is fetched, where there are too many views to fetch the next tile's.
const LOADS_AHEAD: usize = 3;

/// As [`fetch_ahead`] for more views (sorted) than caches have ways. Rows of one array begin a power of two apart more
/// often than not, so that the lines of all of them compete for one place: what is fetched a tile ahead is gone when it
/// is wanted. A view is fetched a few loads before its own, and only the first ones a tile ahead.
fn fetch_just_in_time(body: &mut [Step], lines: u32, views: &[u32]) {
    let is_load = |s: &Step| s.code == Code::Load && views.binary_search(&s.imm).is_ok();
    let loads = body.iter().enumerate().filter(|(_, s)| is_load(s));
    let loads: Vec<(usize, u32)> = loads.map(|(at, s)| (at, s.imm)).collect();
    let later = loads.iter().skip(LOADS_AHEAD).zip(loads.windows(2));
    for (&(_, view), window) in later {
        fetch_during(&mut body[window[0].0..window[1].0], lines, view, true);
    }
    let last = loads.last().map_or(0, |load| load.0);
    let first: Vec<u32> = loads.iter().take(LOADS_AHEAD).map(|load| load.1).collect();
    fetch_ahead(&mut body[last..], lines, &first);
}

/// The cut of one group: chosen once by [`Group::geometry`], then shared by all blocks. No result depends on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Geometry {
    /// Rows of a tile; more than 1 only where a tile is as wide as a block.
    pub(super) tile_rows: usize,
    /// Packets of each row in a tile.
    pub(super) tile_packets: usize,
    /// Rows of a block.
    pub(super) block_rows: usize,
    /// Packets of each row in a block.
    pub(super) block_packets: usize,
    /// Blocks side by side along the inner axis.
    pub(super) column_blocks: usize,
    /// All blocks.
    pub(super) blocks: usize,
    /// Micro-ops with a `Scalar` result.
    pub(super) prologue: Box<[Step]>,
    /// The others.
    pub(super) body: Box<[Step]>,
    /// The others for tiles of whole packets, where that makes a difference.
    pub(super) direct: Option<Direct>,
    /// The functions of all these steps.
    pub(super) bound: Bound,
    /// Packets in scratch of the scalars of [`Code::Update`], by a step's `imm`.
    pub(super) uniforms: Box<[[u32; 3]]>,
    /// First packet of the accumulators of the first reduction; [`ACCUMULATORS`] for each.
    pub(super) accumulators: usize,
    /// Packets of scratch that a running block needs.
    pub(super) scratch: usize,
    /// By reduction: its chunks and the bytes of its partial results. Small groups run faster than these are found.
    pub(super) partials: Box<[(Chunks, usize)]>,
}

/// Independent accumulators of a chunk: packet `j` of a chunk goes to accumulator `j % 4`. Part of the definition of
/// reductions; four hide the latency of an addition.
pub(super) const ACCUMULATORS: usize = 4;

/// Sizes asked for; the nearest ones that the group allows are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Packets that each full slot may take.
    pub tile_packets: NonZeroUsize,
    /// Elements of the space that a block should have.
    pub block_elements: NonZeroUsize,
}

/// A part of a group's space that one thread runs: rows, and the packets of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub(super) rows: Range<usize>,
    pub(super) packets: Range<usize>,
}

impl Group {
    /// The part that a block is.
    ///
    /// # Panics
    /// If `block` is not less than [`Group::blocks`].
    pub fn block(&self, geometry: &Geometry, block: usize) -> Part {
        assert!(block < geometry.blocks);
        let row = block / geometry.column_blocks * geometry.block_rows;
        let packet = block % geometry.column_blocks * geometry.block_packets;
        Part {
            rows: row..(row + geometry.block_rows).min(self.rows()),
            packets: packet..(packet + geometry.block_packets).min(self.row_packets()),
        }
    }

    /// The part that covers these elements of the space, counted in row-major order; `None` where it would cut a chunk
    /// of a reduction, a row that a tile must span or a packet.
    pub fn part(&self, elements: Range<usize>) -> Option<Part> {
        let (rows, inner) = (self.rows(), self.space[2]);
        if elements.is_empty() || elements.end > rows * inner {
            return None;
        }
        let unit = self.unit_rows();
        let begins = |row: usize| row == rows || row.is_multiple_of(unit);
        if elements.start.is_multiple_of(inner) && elements.end.is_multiple_of(inner) {
            let rows = elements.start / inner..elements.end / inner;
            let packets = 0..self.row_packets();
            return (begins(rows.start) && begins(rows.end)).then_some(Part { rows, packets });
        }
        let (lanes, unit) = (self.width.lanes(), self.unit_columns());
        let begins = |at: usize| at == inner || at.is_multiple_of(unit);
        let whole = rows == 1 && !self.has_row_reduction();
        (whole && begins(elements.start) && begins(elements.end)).then(|| Part {
            rows: 0..1,
            packets: elements.start / lanes..elements.end.div_ceil(lanes),
        })
    }

    /// Elements of the space at whose multiples a [part](Self::part) may begin.
    pub fn unit_elements(&self) -> usize {
        if self.rows() == 1 && !self.has_row_reduction() {
            return self.unit_columns();
        }
        self.unit_rows().saturating_mul(self.space[2])
    }

    /// Elements of a row at whose multiples a part may begin.
    fn unit_columns(&self) -> usize {
        if self.reductions.is_empty() {
            self.width.lanes()
        } else {
            CHUNK
        }
    }

    /// As [`part`](Self::part) for rows of `width` elements each, of which the part takes `columns`; `None` where it would cut
    /// more than that allows.
    pub fn strip(&self, rows: Range<usize>, width: usize, columns: Range<usize>) -> Option<Part> {
        let whole = self.part(rows.start * width..rows.end * width)?;
        if columns == (0..width) {
            return Some(whole);
        }
        let lanes = self.width.lanes();
        let in_chunks = self.reductions.iter().any(|r| r.over == Over::All);
        let unit = if in_chunks { CHUNK } else { lanes };
        let begins = |at: usize| at == width || at.is_multiple_of(unit);
        let cut = width == self.space[2] && !self.has_row_reduction();
        (cut && columns.end <= width && begins(columns.start) && begins(columns.end)).then(|| {
            Part {
                packets: columns.start / lanes..columns.end.div_ceil(lanes),
                ..whole
            }
        })
    }

    /// The packets that each full slot takes in a tile that fits these caches.
    pub fn tile_packets(&self, caches: &CacheSizes) -> NonZeroUsize {
        let full = self.slots.iter().filter(|&&c| c == Class::Full).count();
        let packet = retrograde_storage::PACKET_BYTES * full.max(1);
        let share = |bytes: usize| bytes / TILE_CACHE_SHARE.1 * TILE_CACHE_SHARE.0 / packet;
        let in_l1 = share(caches.l1);
        let tile = if in_l1 >= *TILE_PACKETS_L1.start() {
            in_l1.min(*TILE_PACKETS_L1.end())
        } else {
            share(caches.l2).min(TILE_PACKETS_L2)
        };
        NonZeroUsize::new(tile).unwrap_or(NonZeroUsize::MIN)
    }

    /// The cut nearest to the sizes asked for.
    pub fn geometry(&self, request: Request) -> Geometry {
        let (rows, row_packets) = (self.rows(), self.row_packets());
        let chunk_packets = CHUNK / self.width.lanes();
        let unit_rows = self.unit_rows();
        let unit_elements = unit_rows.saturating_mul(self.space[2].max(1));
        let target = request.block_elements.get();
        let whole_rows = self.has_row_reduction();
        let (block_rows, block_packets) =
            if whole_rows || row_packets <= chunk_packets || unit_elements <= target {
                let units = (target / unit_elements).max(1);
                (
                    unit_rows.saturating_mul(units).min(rows.max(1)),
                    row_packets,
                )
            } else {
                let elements = (target / unit_rows).next_multiple_of(CHUNK).max(CHUNK);
                (unit_rows, (elements / self.width.lanes()).min(row_packets))
            };
        let share = request.tile_packets.get();
        let (tile_rows, tile_packets) = if whole_rows || block_packets <= share {
            let fitting = share / block_packets.max(1);
            (fitting.clamp(1, block_rows), block_packets)
        } else {
            // Tiles of equal length rather than a short last one, of whole turns of the loops if that is possible.
            let share = if share > TURN {
                share / TURN * TURN
            } else {
                share
            };
            let equal = block_packets.div_ceil(block_packets.div_ceil(share));
            (1, equal.next_multiple_of(TURN).min(share))
        };
        let column_blocks = row_packets.div_ceil(block_packets.max(1)).max(1);
        let mut at = 0;
        let places: Vec<Place> = self
            .slots
            .iter()
            .map(|&class| {
                let place = Place {
                    at: at as u32,
                    base: 0,
                    walk: Walk::Each,
                    class,
                };
                at += match class {
                    Class::Full => tile_rows * tile_packets,
                    Class::Column => tile_rows,
                    Class::Scalar => 1,
                };
                place
            })
            .collect();
        // A slot number that a micro-op does not use is 0, and there may be no slots at all.
        let nowhere = Place {
            at: 0,
            base: 0,
            walk: Walk::One,
            class: Class::Scalar,
        };
        let place = |slot: u16| places.get(usize::from(slot)).copied().unwrap_or(nowhere);
        let operand = |slot: u16, target: Class| {
            let place = place(slot);
            let walk = match place.class {
                class if class == target => Walk::Each,
                Class::Column => Walk::Row,
                Class::Scalar | Class::Full => Walk::One,
            };
            Place { walk, ..place }
        };
        let steps = |prologue: bool| -> Box<[Step]> {
            self.ops
                .iter()
                .filter(|op| self.in_prologue(op) == prologue)
                .map(|op| {
                    let dst = place(op.dst);
                    let mut step = Step {
                        code: op.code,
                        dst,
                        a: operand(op.a, dst.class),
                        b: operand(op.b, dst.class),
                        c: operand(op.c, dst.class),
                        imm: op.imm,
                        walks: Walks::EACH,
                        ahead: Ahead::default(),
                    };
                    if op.code == Code::Copy {
                        // Its loop reads two operands.
                        step.b = step.a;
                    }
                    let mut walks = [Walk::Each; 3];
                    let read = [step.a, step.b, step.c];
                    let count = step.reads().count();
                    for (walk, place) in walks.iter_mut().zip(read).take(count) {
                        *walk = place.walk;
                    }
                    step.walks = Walks::new(walks);
                    step
                })
                .collect()
        };
        let mut body = steps(false);
        // Tiles of several rows are in memory as in a slot only if rows are whole packets.
        let whole = self.space[2].is_multiple_of(self.width.lanes());
        let uniforms: Box<[[u32; 3]]> = (self.uniforms.iter())
            .map(|slots| slots.map(|slot| place(slot).at))
            .collect();
        let mut direct = (tile_rows == 1 || whole)
            .then(|| self.direct(&body, &uniforms))
            .flatten();
        let lines = (tile_rows * tile_packets) as u32;
        let views = self.contiguous_views(&body);
        let fetch = if views.len() <= DIRECT_VIEWS {
            fetch_ahead
        } else {
            fetch_just_in_time
        };
        fetch(&mut body, lines, &views);
        if let Some(direct) = &mut direct {
            fetch(&mut direct.steps, lines, &views);
        }
        Geometry {
            tile_rows,
            tile_packets,
            block_rows,
            block_packets,
            column_blocks,
            blocks: rows.div_ceil(block_rows) * column_blocks,
            prologue: steps(true),
            body,
            direct,
            bound: Bound::default(),
            uniforms,
            accumulators: at,
            scratch: at + self.reductions.len() * ACCUMULATORS,
            partials: (self.reductions.iter().enumerate())
                .map(|(r, &reduction)| (self.chunks(reduction), self.partial_bytes(r)))
                .collect(),
        }
    }

    /// Blocks of the group: 0 if there are no rows.
    pub fn blocks(&self, geometry: &Geometry) -> usize {
        geometry.blocks
    }

    /// Packets of scratch that [`Group::run_block`] needs.
    pub fn scratch_packets(&self, geometry: &Geometry) -> usize {
        geometry.scratch
    }

    /// Whether a micro-op runs once a block, before the tiles.
    pub(super) fn in_prologue(&self, op: &MicroOp) -> bool {
        !matches!(op.code, Code::Store | Code::Reduce)
            && self.slots.get(usize::from(op.dst)) == Some(&Class::Scalar)
    }

    /// Whether a view's elements stand in memory in the order of the space, one after another.
    pub fn is_contiguous(&self, view: u32) -> bool {
        let [outer, middle, inner] = self.space.map(|n| n as isize);
        let Some(&ViewSpec {
            strides: [o, m, n],
            dtype,
        }) = self.views.get(view as usize)
        else {
            return false;
        };
        n == 1
            && dtype.size() == self.width.bytes()
            && (middle <= 1 || m == inner)
            && (outer <= 1 || o == middle * inner)
    }

    /// The contiguous views that are loaded or stored.
    fn contiguous_views(&self, body: &[Step]) -> Vec<u32> {
        let mut views: Vec<u32> = body
            .iter()
            .filter(|s| matches!(s.code, Code::Load | Code::Store))
            .map(|s| s.imm)
            .filter(|&view| self.is_contiguous(view))
            .collect();
        views.sort_unstable();
        views.dedup();
        views
    }

    /// Whether a tile must span whole rows.
    fn has_row_reduction(&self) -> bool {
        self.ops
            .iter()
            .any(|op| matches!(op.code, Code::ReduceRow(..)))
    }

    /// Rows at whose multiples a block may begin without cutting a chunk of any reduction.
    fn unit_rows(&self) -> usize {
        let widest = |middle: bool| {
            self.reductions
                .iter()
                .filter(|r| (r.over == Over::Middle) == middle)
                .map(|r| self.chunks(*r).rows)
                .max()
        };
        let linear = widest(false).unwrap_or(1);
        let [outer, middle, _] = self.space;
        match widest(true) {
            None => linear,
            Some(rows) if outer <= 1 || middle % rows == 0 => linear.max(rows),
            // Chunks begin anew with every `o`: only whole `o`s, and those a multiple of the others' chunks. All chunk
            // sizes are powers of two.
            Some(_) => middle
                .max(1)
                .saturating_mul(linear >> middle.trailing_zeros().min(linear.trailing_zeros())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_the_kernel_prints_them() {
        assert_eq!(parse_size("48K"), Some(49152));
        assert_eq!(parse_size("2M"), Some(2 << 20));
        assert_eq!(parse_size("512"), Some(512));
        assert_eq!(parse_size("many"), None);
    }

    #[test]
    fn detection_finds_plausible_caches() {
        let found = CacheSizes::detect();
        assert!(found.l1 >= 16 << 10 && found.l2 >= found.l1, "{found:?}");
    }
}
