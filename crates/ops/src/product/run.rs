//! Running a plan: the loops around packing and micro-kernels.

use std::ops::Range;

use retrograde_storage::Packet;

use super::float::Float;
use super::kernel::Tile;
use super::pack::{self, Source, Tiles};
use super::plan::{Method, Packing, Plan};
use super::tuning::piece;
use super::{pieces, vector, whole};

/// Where the operands of one run start: element (0, 0) of each.
#[derive(Clone, Copy, Debug)]
pub struct Operands<T> {
    /// A, `m x k`.
    pub a: *const T,
    /// B, `k x n`.
    pub b: *const T,
    /// C, `m x n`.
    pub c: *mut T,
}

// SAFETY: plain addresses; every dereference is in an `unsafe fn` whose caller vouches for concurrent access.
unsafe impl<T: Sync> Sync for Operands<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Operands<T> {}

impl<T: Float> Plan<T> {
    /// Computes one part of what all blocks share into `shared`: a part of the packed lane operand, or the sums of some
    /// pieces.
    ///
    /// # Safety
    /// - `part < self.parts()`.
    /// - Every element of A and B (by the plan's shape and strides) is readable, and nobody writes it meanwhile.
    /// - `shared` points to [`shared_packets`](Self::shared_packets) packets, disjoint from A and B, which nobody
    ///   reads meanwhile; other parts may be written at the same time.
    ///
    /// # Panics
    /// If `scratch` is shorter than [`scratch_packets`](Self::scratch_packets).
    pub unsafe fn prepare(
        &self,
        part: usize,
        operands: &Operands<T>,
        shared: *mut Packet,
        scratch: &mut [Packet],
    ) {
        // SAFETY: the same contract; ranges of pieces are disjoint.
        unsafe {
            if self.term_parts > 0 {
                let at = |part: usize| self.pieces() * part / self.term_parts;
                let (pieces, scratch) = (at(part)..at(part + 1), Self::elements(scratch));
                match self.method {
                    Method::Vector => {
                        vector::run_pieces(self, operands, pieces, scratch, shared.cast());
                    }
                    Method::Tiles => {
                        pieces::run(self, operands, pieces, scratch, shared.cast());
                    }
                }
            } else {
                self.pack(part, operands, shared);
            }
        }
    }

    /// Packs one part of the lane operand.
    ///
    /// # Safety
    /// As [`prepare`](Self::prepare).
    unsafe fn pack(&self, part: usize, operands: &Operands<T>, packed: *mut Packet) {
        let panels = self.lanes.div_ceil(self.panel());
        let depth = piece(self.k);
        let (term, lane) = (part / panels * depth, part % panels * self.panel());
        let depth = depth.min(self.k - term);
        let lanes = self.panel().min(self.lanes - lane);
        // SAFETY: the source is part of the lane operand. The panel lies within `lanes (rounded up) * k` elements:
        // pieces follow one another and the panels within one, each `width * depth` long, so parts are disjoint.
        unsafe {
            pack::panel(
                self.isa,
                &self.lane_source(operands, lane, lanes, term, depth),
                packed
                    .cast::<T>()
                    .add(self.packed_offset(lane, term, depth)),
                lanes.next_multiple_of(T::LANES),
            );
        }
    }

    fn lane_source(
        &self,
        operands: &Operands<T>,
        lane: usize,
        lanes: usize,
        term: usize,
        depth: usize,
    ) -> Source<T> {
        let from = if self.swapped { operands.b } else { operands.a };
        let strides = self.lane_strides;
        Source {
            from: from.wrapping_offset(lane as isize * strides.outer + term as isize * strides.k),
            outer: lanes,
            outer_stride: strides.outer,
            k: depth,
            k_stride: strides.k,
        }
    }

    fn broadcast_source(
        &self,
        operands: &Operands<T>,
        columns: Range<usize>,
        term: usize,
        depth: usize,
    ) -> Source<T> {
        let from = if self.swapped { operands.a } else { operands.b };
        let strides = self.broadcast_strides;
        Source {
            from: from.wrapping_offset(
                columns.start as isize * strides.outer + term as isize * strides.k,
            ),
            outer: columns.len(),
            outer_stride: strides.outer,
            k: depth,
            k_stride: strides.k,
        }
    }

    /// Computes one block of C: `C = A B`, or `C += A B` with `accumulate`.
    ///
    /// `epilogue(rows, columns)` is called with disjoint ranges of C that cover the block, each as soon as its
    /// elements are final and while they are in L1 or L2: a bias, an activation or an optimiser's update belongs there.
    ///
    /// # Safety
    /// - `block < self.blocks()`.
    /// - Every element of A and B (by the plan's shape and strides) is readable, and nobody writes it meanwhile.
    /// - C's elements in [`block`](Self::block) are writable (initialised, if `accumulate`), distinct, disjoint from A
    ///   and B, and accessed by nobody else meanwhile, the epilogue apart.
    /// - If [`parts`](Self::parts) is not zero, `shared` is a buffer that all parts have been computed into from
    ///   operands of the same elements, and nobody writes it; otherwise it is not read and may be dangling.
    ///
    /// # Panics
    /// If `scratch` is shorter than [`scratch_packets`](Self::scratch_packets).
    pub unsafe fn run_block(
        &self,
        block: usize,
        operands: &Operands<T>,
        shared: *const Packet,
        scratch: &mut [Packet],
        accumulate: bool,
        mut epilogue: impl FnMut(Range<usize>, Range<usize>),
    ) {
        let (lanes, columns) = self.block_ranges(block);
        let swapped = self.swapped;
        let mut finished = |lanes: Range<usize>, columns: Range<usize>| {
            if swapped {
                epilogue(columns, lanes);
            } else {
                epilogue(lanes, columns);
            }
        };
        let scratch = Self::elements(scratch);
        // SAFETY: the same contract; the ranges are the block's.
        unsafe {
            if self.term_parts > 0 {
                match self.method {
                    Method::Vector => {
                        vector::add_pieces(self, operands, scratch, shared.cast(), accumulate);
                    }
                    Method::Tiles => pieces::add(self, operands, shared.cast(), accumulate),
                }
                finished(lanes, columns);
            } else if self.method == Method::Vector {
                vector::run(self, operands, lanes, scratch, accumulate, &mut finished);
            } else if self.k == 0 {
                if !accumulate {
                    self.clear(operands, &lanes, &columns);
                }
                finished(lanes, columns);
            } else {
                self.run_tiles(
                    operands,
                    shared.cast(),
                    scratch,
                    accumulate,
                    (lanes, columns, 0..self.k),
                    &mut finished,
                );
            }
        }
    }

    /// Of a product [`by_rows`](Self::by_rows): the elements of C in `rows` and `columns`, or what `terms` contribute to
    /// them: `C = A[.., terms] B[terms, ..]` for the first ones, added to C for later ones. Every piece of the terms in
    /// order gives what [`run_block`](Self::run_block) does.
    ///
    /// # Safety
    /// As [`run_block`](Self::run_block) without `accumulate`, for these elements of C, and of A and B for what they are
    /// computed from: earlier terms have been run.
    ///
    /// # Panics
    /// If the plan is not one by rows, a range lies outside, `columns` begins within a [panel](Self::strip_unit), `terms`
    /// begins or (before the last) ends within a [piece](Self::piece), or `scratch` is shorter than
    /// [`scratch_packets`](Self::scratch_packets).
    pub unsafe fn run_strip(
        &self,
        (rows, columns, terms): (Range<usize>, Range<usize>, Range<usize>),
        operands: &Operands<T>,
        shared: *const Packet,
        scratch: &mut [Packet],
    ) {
        let whole = |at: usize| at == self.k || at.is_multiple_of(self.piece());
        assert!(
            self.method == Method::Tiles
                && self.swapped
                && self.packing != Packing::Local
                && rows.end <= self.columns
                && columns.end <= self.lanes
                && columns.start.is_multiple_of(self.panel())
                && terms.end <= self.k
                && whole(terms.start)
                && whole(terms.end),
            "a strip that the product cannot be cut into"
        );
        let scratch = Self::elements(scratch);
        // SAFETY: the same contract, and the ranges were looked at.
        unsafe {
            self.run_tiles(
                operands,
                shared.cast(),
                scratch,
                terms.start > 0,
                (columns, rows, terms),
                &mut |_, _| {},
            );
        }
    }

    /// Zeros: the sums of no terms.
    ///
    /// # Safety
    /// As [`run_block`](Self::run_block) for C.
    unsafe fn clear(&self, operands: &Operands<T>, lanes: &Range<usize>, columns: &Range<usize>) {
        for j in columns.clone() {
            for i in lanes.clone() {
                let at = i as isize * self.out_lane_stride + j as isize * self.out_stride;
                // SAFETY: an element of the block.
                unsafe { *operands.c.wrapping_offset(at) = T::default() };
            }
        }
    }

    /// Groups of lanes (L2) - pieces of k - chunks of columns - column tiles (L1) - panels.
    ///
    /// # Safety
    /// As [`run_block`](Self::run_block), with `k` not zero; `terms` are whole pieces.
    pub(super) unsafe fn run_tiles(
        &self,
        operands: &Operands<T>,
        packed: *const T,
        scratch: &mut [T],
        accumulate: bool,
        (lanes, columns, terms): (Range<usize>, Range<usize>, Range<usize>),
        finished: &mut impl FnMut(Range<usize>, Range<usize>),
    ) {
        let depth = piece(self.k);
        let (local, scratch) = scratch.split_at_mut(self.local_elements());
        let chunk = &mut scratch[..self.chunk_elements()];
        for first in lanes.clone().step_by(self.group) {
            let group = first..lanes.end.min(first + self.group);
            let width = kernel_columns(self, group.len());
            for term in terms.clone().step_by(depth) {
                let depth = depth.min(self.k - term);
                let last = term + depth == self.k;
                let accumulate = accumulate || term > terms.start;
                if self.packing == Packing::Local {
                    for lane in group.clone().step_by(self.panel()) {
                        let lanes = self.panel().min(group.end - lane);
                        let width = lanes.next_multiple_of(T::LANES);
                        let to = &mut local[(lane - group.start) * depth..][..width * depth];
                        let source = self.lane_source(operands, lane, lanes, term, depth);
                        // SAFETY: the source is part of the lane operand, the output a slice of that length.
                        unsafe { pack::panel(self.isa, &source, to.as_mut_ptr(), width) };
                    }
                }
                for from in columns.clone().step_by(self.chunk) {
                    let to = columns.end.min(from + self.chunk);
                    let tiles = Tiles::new(to - from, width);
                    if self.pack_broadcast {
                        let whole = self.broadcast_source(operands, from..to, term, depth);
                        let packed = &mut chunk[..(to - from) * depth];
                        // SAFETY: part of the broadcast operand into a slice of that length.
                        unsafe { pack::columns(&whole, tiles, packed.as_mut_ptr()) };
                    }
                    for part in (0..tiles.count).map(|i| tiles.get(i)) {
                        let tile = from + part.start..from + part.end;
                        let source = if self.pack_broadcast {
                            Source {
                                from: chunk[part.start * depth..].as_ptr(),
                                outer: tile.len(),
                                outer_stride: 1,
                                k: depth,
                                k_stride: tile.len() as isize,
                            }
                        } else {
                            self.broadcast_source(operands, tile.clone(), term, depth)
                        };
                        let panels = Panels {
                            plan: self,
                            operands,
                            packed,
                            local,
                            group: &group,
                            term,
                        };
                        // SAFETY: the same contract; what is packed is what the panels say.
                        unsafe { panels.run(&source, tile.start, accumulate) };
                        if last {
                            finished(group.clone(), tile);
                        }
                    }
                }
            }
        }
    }
}

/// Columns of the tiles for that many lanes: those of the widest panel among them.
fn kernel_columns<T: Float>(plan: &Plan<T>, lanes: usize) -> usize {
    let vectors = lanes.div_ceil(T::LANES).min(plan.kernels.vectors());
    plan.kernels.columns(vectors)
}

/// A group of panels of the lane operand, one piece deep.
struct Panels<'a, T: Float> {
    plan: &'a Plan<T>,
    operands: &'a Operands<T>,
    packed: *const T,
    local: &'a [T],
    group: &'a Range<usize>,
    term: usize,
}

impl<T: Float> Panels<'_, T> {
    /// All panels by one tile of columns.
    ///
    /// # Safety
    /// As [`Plan::run_block`], for the group and `columns`, which say where the broadcast operand stands now.
    #[inline(always)]
    unsafe fn run(&self, columns: &Source<T>, column: usize, accumulate: bool) {
        let plan = self.plan;
        let depth = columns.k;
        let mut lane = self.group.start;
        while lane < self.group.end {
            let mut lanes = plan.panel().min(self.group.end - lane);
            let mut skip = 0;
            if plan.packing == Packing::Direct && !lanes.is_multiple_of(T::LANES) {
                // The operand ends within the panel's last vector. Read earlier lanes again instead of what lies
                // beyond: computed twice, stored once. Without that many earlier lanes, the whole vectors first; one
                // vector the operand has, or the plan would pack.
                skip = lanes.next_multiple_of(T::LANES) - lanes;
                if skip > lane {
                    skip = 0;
                    lanes = lanes / T::LANES * T::LANES;
                }
            }
            let vectors = lanes.div_ceil(T::LANES);
            let width = vectors * T::LANES;
            let (from, step) = match plan.packing {
                Packing::Direct => {
                    let source =
                        plan.lane_source(self.operands, lane - skip, width, self.term, depth);
                    (source.from, source.k_stride)
                }
                Packing::Local => {
                    let at = (lane - self.group.start) * depth;
                    (self.local[at..].as_ptr(), width as isize)
                }
                Packing::Shared => {
                    let at = plan.packed_offset(lane, self.term, depth);
                    (self.packed.wrapping_add(at), width as isize)
                }
            };
            let tile = Tile {
                k: depth,
                lane: from,
                lane_step: step,
                broadcast: columns.from,
                broadcast_step: columns.k_stride,
                broadcast_stride: columns.outer_stride,
                out: self
                    .operands
                    .c
                    .wrapping_offset(lane as isize + column as isize * plan.out_stride),
                out_stride: plan.out_stride,
                skip,
                lanes,
                accumulate,
            };
            let tiles = plan.kernels;
            // SAFETY: lanes: a packed panel is `width * depth` elements from `from` on; in place, `width` lanes from
            // `lane - skip` on end with a whole vector or with the operand. Columns and output: the caller's promise. The
            // tables were chosen by this token, so the machine has the level.
            unsafe {
                match tiles.whole {
                    Some(whole) if lanes == plan.panel() => {
                        whole::call(whole[columns.outer - 1], columns.outer, &tile);
                    }
                    _ => tiles.tiles[vectors - 1][columns.outer - 1](plan.isa.token, &tile),
                }
            }
            lane += lanes;
        }
    }
}
