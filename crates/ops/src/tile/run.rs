//! Running a block tile by tile, and combining what blocks left.

use std::cell::Cell;
use std::ops::Range;

use fearless_simd::Simd;
use retrograde_storage::Packet;

use super::adam::Adam;
use super::direct::DIRECT_VIEWS;
use super::geometry::{ACCUMULATORS, Part, Place, Step};
use super::lanes::{Eight, Four, Wide};
use super::map::Kernel;
use super::memory::{Flat, Outside, Tile};
use super::reduce::{self, Reducing};
use super::{Axis, Class, Code, Geometry, Group, Width, adam, apply, update};
use crate::{Level, at_level};

impl Group {
    /// Runs one block.
    ///
    /// # Safety
    /// The group passed [`Group::check`] and `geometry` is one of its own. `bases[k]` is valid for every element that
    /// view `k` has in the space, `partials[r]` for [`Group::partial_bytes`] of reduction `r`. Blocks may run on
    /// several threads at once; nothing else may access memory that is stored to or partial results while they run,
    /// and an element that is stored may be loaded at the same position of the space only, and not at all if it is stored
    /// from a `Column` (a row may be cut, and each part loads its columns).
    ///
    /// # Panics
    /// If `block` is not less than [`Group::blocks`], or `scratch` is shorter than [`Group::scratch_packets`].
    pub unsafe fn run_block(
        &self,
        level: Level,
        geometry: &Geometry,
        bases: &[*mut u8],
        partials: &[*mut u8],
        block: usize,
        scratch: &[Cell<Packet>],
    ) {
        let part = self.block(geometry, block);
        // SAFETY: the caller's promise; a block is a part.
        unsafe { self.run_part(level, geometry, (bases, 0), partials, &part, scratch) }
    }

    /// Runs a part of the space, as [`run_block`](Self::run_block) does a block: parts from [`Group::part`] that cover
    /// the space stand for all blocks.
    ///
    /// Bits of `windows` are set for views that have memory for this part alone, of which their base is as far away as
    /// the part is from the space's first element.
    ///
    /// # Safety
    /// As [`run_block`](Self::run_block), and the part is one of this group's. Views of `windows` are contiguous, valid for
    /// the part's elements, and no other view stored to has any of their memory.
    ///
    /// # Panics
    /// If `scratch` is shorter than [`Group::scratch_packets`].
    pub unsafe fn run_part(
        &self,
        level: Level,
        geometry: &Geometry,
        (bases, windows): (&[*mut u8], u32),
        partials: &[*mut u8],
        part: &Part,
        scratch: &[Cell<Packet>],
    ) {
        // SAFETY: the caller's promise.
        let outside = unsafe { Outside::new(self, geometry, (bases, windows), partials) };
        let run = Running {
            group: self,
            geometry,
            outside,
            scratch: &scratch[..geometry.scratch],
        };
        match self.width {
            Width::Four => at_level!(level, simd => run.part::<_, Four>(simd, level, part)),
            Width::Eight => at_level!(level, simd => run.part::<_, Eight>(simd, level, part)),
        }
    }

    /// Looks up the functions of the micro-ops at a level, as the first run there would, which then allocates nothing.
    pub fn bind(&self, level: Level, geometry: &Geometry) {
        match self.width {
            Width::Four => at_level!(level, simd => {
                geometry.kernels::<_, Four>(simd, level);
            }),
            Width::Eight => at_level!(level, simd => {
                geometry.kernels::<_, Eight>(simd, level);
            }),
        }
    }

    /// Combines the partial results of reduction `r` into `out`, [`Group::result_len`] elements in row-major order.
    /// Without any elements to reduce the result is the reduction's identity.
    ///
    /// # Safety
    /// All blocks ran; `geometry` is one of the group's; `partial` is valid for reads of [`Group::partial_bytes`], `out` for writes of the result, and
    /// the two do not overlap.
    pub unsafe fn finish(
        &self,
        level: Level,
        geometry: &Geometry,
        r: usize,
        partial: *const u8,
        out: *mut u8,
    ) {
        let bytes = self.result_len(r) * self.width.bytes();
        let (chunks, size) = geometry.partials[r];
        // SAFETY: the caller's promise; what `partial` points to is only read.
        let partial = unsafe { Flat::new(partial.cast_mut(), size) };
        // SAFETY: the caller's promise.
        let out = unsafe { Flat::new(out, bytes) };
        match self.width {
            Width::Four => {
                at_level!(level, simd => reduce::finish::<_, Four>(simd, self, r, chunks, partial, out));
            }
            Width::Eight => {
                at_level!(level, simd => reduce::finish::<_, Eight>(simd, self, r, chunks, partial, out));
            }
        }
    }
}

/// See [`Place::base`].
type Bases = [*mut Packet; DIRECT_VIEWS + 1];

/// A part of the space being run.
struct Running<'r> {
    group: &'r Group,
    geometry: &'r Geometry,
    outside: Outside<'r>,
    scratch: &'r [Cell<Packet>],
}

impl<'r> Running<'r> {
    fn part<S: Simd, W: Wide>(&self, simd: S, level: Level, part: &Part) {
        let geometry = self.geometry;
        let kernels = geometry.kernels::<S, W>(simd, level);
        let Range {
            start: first_row,
            end: last_row,
        } = part.rows.clone();
        let Range {
            start: first,
            end: last,
        } = part.packets.clone();
        let mut tile = Tile {
            row: first_row,
            rows: 0,
            packet: 0,
            packets: 0,
        };
        // What places count from: scratch, then the tile's part of each view that is used directly.
        let mut bases: Bases = [std::ptr::null_mut(); DIRECT_VIEWS + 1];
        bases[0] = self.scratch.as_ptr().cast_mut().cast();
        // Of less than a packet there is no tile that the direct steps could run on.
        let whole_packets = self.group.space[2] >= self.group.width.lanes();
        let direct = geometry.direct.as_ref().filter(|_| whole_packets);
        let direct = direct.filter(|d| !d.apart.iter().any(|&(a, b)| self.outside.overlap(a, b)));
        let bytes = |elements: Range<usize>| {
            let size = self.group.width.bytes();
            elements.start * size..elements.end * size
        };
        for (step, kernel) in geometry.prologue.iter().zip(&kernels.prologue) {
            self.step::<S, W>(simd, step, *kernel, tile, &bases);
        }
        while tile.row < last_row {
            tile.rows = geometry.tile_rows.min(last_row - tile.row);
            tile.packet = first;
            // Once even without packets: rows of no elements still have sums.
            loop {
                tile.packets = geometry.tile_packets.min(last - tile.packet);
                let start = self.start(tile.row, tile.packet);
                // What may be fetched ahead: the next tile and this one.
                let near = [
                    bytes(self.next(tile, last_row, first, last)),
                    bytes(start..start + tile.rows * tile.packets * self.group.width.lanes()),
                ];
                let whole =
                    (tile.packet + tile.packets) * self.group.width.lanes() <= self.group.space[2];
                let (steps, kernels, adam) = match direct {
                    Some(direct) if whole => {
                        for (base, &view) in bases[1..].iter_mut().zip(&direct.views) {
                            *base = self.outside.address(view, start);
                        }
                        (&direct.steps, &kernels.direct, direct.adam.as_ref())
                    }
                    _ => (&geometry.body, &kernels.body, None),
                };
                let run = |steps: &[Step], kernels: &[Option<Kernel>]| {
                    for (step, &kernel) in steps.iter().zip(kernels) {
                        if step.ahead.to > 0 {
                            let which = usize::from(step.ahead.now);
                            self.outside.fetch(step.ahead, &near[which]);
                        }
                        self.step::<S, W>(simd, step, kernel, tile, &bases);
                    }
                };
                if let Some(adam) = adam {
                    let Range { start, end } = adam.steps;
                    run(&steps[..start], kernels);
                    self.adam::<S, W>(simd, adam, tile.rows * tile.packets, &bases);
                    run(&steps[end..], &kernels[end..]);
                } else {
                    run(steps, kernels);
                }
                tile.packet += tile.packets;
                if tile.packet >= last {
                    break;
                }
            }
            tile.row += tile.rows;
        }
    }

    /// The number of the first element of a packet in the space.
    fn start(&self, row: usize, packet: usize) -> usize {
        row * self.group.space[2] + packet * self.group.width.lanes()
    }

    /// Where the tile after this one begins, in elements of the space, and its elements; none after a block's last. If
    /// rows are cut, the first of its rows stands for all.
    fn next(&self, tile: Tile, last_row: usize, first: usize, last: usize) -> Range<usize> {
        let inner = self.group.space[2];
        let (mut row, mut packet) = (tile.row, tile.packet + tile.packets);
        if packet >= last {
            (row, packet) = (row + tile.rows, first);
        }
        if row >= last_row {
            return 0..0;
        }
        let rows = self.geometry.tile_rows.min(last_row - row);
        let start = self.start(row, packet);
        let end = if self.geometry.tile_packets == self.group.row_packets() {
            (row + rows) * inner
        } else {
            let packets = self.geometry.tile_packets.min(last - packet);
            start + packets * self.group.width.lanes()
        };
        start..end.min(last_row * inner)
    }

    /// The packets of a slot that a tile uses.
    #[inline(always)]
    fn cells(&self, place: Place, tile: Tile) -> &'r [Cell<Packet>] {
        let lens = [1, tile.rows, tile.rows * tile.packets];
        &self.scratch[place.at as usize..][..lens[place.class as usize]]
    }

    /// The steps of Adam's update in one loop.
    #[inline(never)]
    fn adam<S: Simd, W: Wide>(&self, simd: S, adam: &Adam, count: usize, bases: &Bases) {
        let at = |place: Place| {
            bases[usize::from(place.base) % bases.len()].wrapping_add(place.at as usize)
        };
        let from = adam.from.map(|place| at(place).cast_const());
        let scalars = adam.scalars.map(|at| self.scratch[at as usize].get());
        // SAFETY: as for kernels, in `step`: all operands are full, and views used directly that are not the same
        // element at the same position were found apart.
        unsafe {
            adam::run::<S, W>(simd, adam.decoupled, from, adam.to.map(at), count, &scalars);
        }
    }

    #[inline(always)]
    fn step<S: Simd, W: Wide>(
        &self,
        simd: S,
        step: &Step,
        kernel: Option<Kernel>,
        tile: Tile,
        bases: &Bases,
    ) {
        let at = |place: Place| {
            bases[usize::from(place.base) % bases.len()].wrapping_add(place.at as usize)
        };
        let count = [1, tile.rows, tile.rows * tile.packets][step.dst.class as usize];
        if let Some(kernel) = kernel {
            let walks = step.walks.with_columns(tile.packets);
            // SAFETY: a place in scratch has as many packets as its class takes in any tile, and scratch is this
            // block's own; a view used directly has the tile's packets in memory, whole ones, by the contract of
            // `run_block`, and `bases` holds where. Slots do not overlap each other; a view overlaps another only
            // where both have the same element at the same position. The walks were chosen by the classes of result and
            // operands, and only full results, whose rows are the tile's packets, have operands that change by rows.
            unsafe {
                kernel(
                    at(step.dst),
                    at(step.a),
                    at(step.b),
                    at(step.c),
                    count,
                    walks,
                );
            }
            return;
        }
        let operands = [step.a, step.b, step.c].map(at);
        self.other::<S, W>(simd, step, tile, (at(step.dst), operands, count));
    }

    /// A step that has no kernel: where result and operands stand, and the result's packets.
    #[inline(never)]
    fn other<S: Simd, W: Wide>(
        &self,
        simd: S,
        step: &Step,
        tile: Tile,
        (dst, operands, count): (*mut Packet, [*mut Packet; 3], usize),
    ) {
        match step.code {
            Code::Load => {
                let slot = self.cells(step.dst, tile);
                let view = self.outside.view(step.imm);
                view.load::<S, W>(simd, tile, slot, step.dst.class);
            }
            // A row cut into several tiles has its column once: the first tile's. Another block may have the others.
            Code::Store | Code::Reduce if step.a.class == Class::Column && tile.packet > 0 => {}
            Code::Store => {
                let slot = self.cells(step.a, tile);
                let view = self.outside.view(step.imm);
                view.store::<S, W>(simd, tile, slot, step.a.class);
            }
            Code::Const(elem) => {
                let bits = self.group.constants[step.imm as usize];
                apply::constant::<S, W>(simd, elem, bits, self.cells(step.dst, tile));
            }
            Code::Iota(axis, elem) => {
                let first = match axis {
                    Axis::Inner => tile.packet * self.group.width.lanes(),
                    Axis::Outer | Axis::Middle => tile.row,
                };
                let middle = self.group.space[1];
                let cells = self.cells(step.dst, tile);
                apply::iota::<S, W>(simd, axis, elem, cells, tile.packets, first, middle);
            }
            Code::PowI => {
                // SAFETY: as for kernels, in `step`.
                unsafe { apply::powi::<S, W>(simd, step.imm as i32, dst, operands[0], count) };
            }
            Code::Update(what) => {
                let scalars = self.geometry.uniforms[step.imm as usize]
                    .map(|at| self.scratch[at as usize].get());
                let walks = step.walks.with_columns(tile.packets);
                let operands = operands.map(<*mut Packet>::cast_const);
                // SAFETY: as for kernels, in `step`.
                unsafe { update::update::<S, W>(simd, what, dst, operands, count, walks, scalars) };
            }
            // These have kernels; a well-formed group has no operation that its elements lack.
            Code::Copy
            | Code::Unary(..)
            | Code::Binary(..)
            | Code::Ternary(..)
            | Code::Pair(..)
            | Code::Cast(..) => {}
            Code::ReduceRow(elem, kind) => {
                let (target, source) = (self.cells(step.dst, tile), self.cells(step.a, tile));
                let inner = self.group.space[2];
                reduce::rows::<S, W>(simd, elem, kind, target, source, inner);
            }
            Code::Reduce => {
                let r = step.imm as usize;
                let accumulators =
                    &self.scratch[self.geometry.accumulators + r * ACCUMULATORS..][..ACCUMULATORS];
                let partial = self.outside.partial(r);
                let reducing = Reducing::new(self.group, self.geometry, r, partial, accumulators);
                reducing.tile::<S, W>(simd, tile, self.cells(step.a, tile));
            }
        }
    }
}
