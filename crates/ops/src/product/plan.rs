//! The plan of a product: which operand supplies the lanes, what is packed where, how the output is cut into blocks.

use std::ops::Range;

use retrograde_storage::{PACKET_BYTES, Packet, packets_for};

use super::float::{Float, Isa};
use super::kernel::{Kernels, PackBroadcast};
use super::tuning::{self, piece};
use crate::Level;

/// Strides of a matrix in elements: its element (i, j) stands at `base + i * row + j * column`.
///
/// Strides of an input may be zero (an expanded axis) or negative (a reversed one).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Strides {
    /// From one row to the next.
    pub row: isize,
    /// From one column to the next.
    pub column: isize,
}

impl Strides {
    /// A contiguous row-major matrix of that many columns.
    pub const fn row_major(columns: usize) -> Self {
        Self {
            row: columns as isize,
            column: 1,
        }
    }

    /// A contiguous column-major matrix of that many rows.
    pub const fn column_major(rows: usize) -> Self {
        Self {
            row: 1,
            column: rows as isize,
        }
    }

    /// The same elements with rows and columns exchanged.
    pub const fn transposed(self) -> Self {
        Self {
            row: self.column,
            column: self.row,
        }
    }
}

/// `C (m x n) [+]= A (m x k) B (k x n)`: all that a plan depends on besides the level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// Rows of C and A.
    pub m: usize,
    /// Columns of C and B.
    pub n: usize,
    /// Columns of A, rows of B.
    pub k: usize,
    /// Strides of A.
    pub a: Strides,
    /// Strides of B.
    pub b: Strides,
    /// Strides of C, one of which must be 1 unless C has a single row or column.
    pub c: Strides,
    /// Blocks wanted at most: 1 for one thread, a few for each thread otherwise. Does not change a bit of the result.
    pub max_blocks: usize,
}

/// A planned product. Immutable and free of pointers: any number of threads may run it at once.
///
/// To run: every part of [`prepare`](Self::prepare) (if [`parts`](Self::parts) is not zero), then, after all of
/// them, every block of [`run_block`](Self::run_block); both in any order and on any thread, each part and block once.
///
/// An element of C is the sum of its pieces (`k` cut by [`tuning::piece`], by `k` alone), each the sum of its terms in
/// ascending order with one multiply-add a term. With one row or one column (`m == 1 || n == 1`) the terms of a piece
/// go to as many partial sums as a packet has lanes, in turn; see `vector.rs`. So bits depend on shape and level, not
/// on strides, blocks, threads or `max_blocks`; and levels with fused multiply-add agree.
#[derive(Clone, Copy, Debug)]
pub struct Plan<T: Float> {
    pub(super) isa: Isa,
    pub(super) kernels: &'static Kernels<T>,
    /// Whether lanes run along C's rows (then B^T A^T is computed: A is the broadcast operand).
    pub(super) swapped: bool,
    pub(super) k: usize,
    /// Extent of C's lane direction.
    pub(super) lanes: usize,
    /// Extent of the other one.
    pub(super) columns: usize,
    pub(super) lane_strides: Operand,
    pub(super) broadcast_strides: Operand,
    /// From one column (in the sense of lanes and columns) of C to the next.
    pub(super) out_stride: isize,
    /// C's stride along the lanes: 1 but for a single row or column.
    pub(super) out_lane_stride: isize,
    pub(super) method: Method,
    pub(super) packing: Packing,
    pub(super) pack_broadcast: bool,
    /// Lanes of a group: a multiple of the panel's.
    pub(super) group: usize,
    /// Columns of the broadcast operand packed at a time.
    pub(super) chunk: usize,
    pub(super) lane_blocks: usize,
    pub(super) column_blocks: usize,
    /// Columns at whose multiples blocks begin.
    pub(super) column_unit: usize,
    /// Parts that the pieces are shared out in, 0 if the outputs are.
    pub(super) term_parts: usize,
}

/// Strides of an operand by what they step over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operand {
    pub(super) outer: isize,
    pub(super) k: isize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// Micro-kernels.
    Tiles,
    /// One column: every element of C is a dot product, `lane` the matrix and `broadcast` the vector.
    Vector,
}

/// Where the kernels read the lane operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// In place.
    Direct,
    /// From the running thread's scratch, packed group by group by the block that uses it.
    Local,
    /// From a buffer that all blocks share, packed before they run.
    Shared,
}

impl<T: Float> Plan<T> {
    /// Plans a product.
    pub fn new(level: Level, spec: &Spec) -> Self {
        let isa = Isa::new(level);
        let kernels = T::kernels(isa.token);
        let &Spec {
            m, n, k, a, b, c, ..
        } = spec;
        let vector = m == 1 || n == 1;
        debug_assert!(
            vector || c.row == 1 || c.column == 1,
            "an output without a unit stride"
        );
        // A row of C is planned as the column of the transposed problem, so that a vector always has one column.
        let swapped = if vector { n != 1 } else { c.column == 1 };
        let left = Operand {
            outer: a.row,
            k: a.column,
        };
        let right = Operand {
            outer: b.column,
            k: b.row,
        };
        let (lanes, columns, lane_strides, broadcast_strides, c) = if swapped {
            (n, m, right, left, c.transposed())
        } else {
            (m, n, left, right, c)
        };
        let mut plan = Self {
            isa,
            kernels,
            swapped,
            k,
            lanes,
            columns,
            lane_strides,
            broadcast_strides,
            out_stride: c.column,
            out_lane_stride: c.row,
            method: if vector {
                Method::Vector
            } else {
                Method::Tiles
            },
            packing: Packing::Direct,
            pack_broadcast: false,
            group: 0,
            chunk: 0,
            lane_blocks: 1,
            column_blocks: 1,
            column_unit: 1,
            term_parts: 0,
        };
        let most = spec.max_blocks.max(1);
        if vector {
            plan.plan_vector(most);
        } else {
            plan.plan_tiles(most);
        }
        plan
    }

    fn plan_vector(&mut self, most: usize) {
        let terms = self.lanes.saturating_mul(self.k.max(1));
        let blocks = terms / tuning::VECTOR_BLOCK_MIN_TERMS;
        let blocks = blocks.min(self.lanes / T::LANES);
        self.lane_blocks = blocks.clamp(1, most);
        let strip = self.lanes / self.lane_blocks * size_of::<T>();
        let blocks = (terms / tuning::VECTOR_BLOCK_MIN_TERMS).min(most);
        if blocks > 1 && strip < tuning::VECTOR_STRIP_MIN_BYTES {
            self.cut_terms(blocks);
        }
    }

    /// Shares out pieces instead of outputs, if that many parts have some each and, of a product with a vector, all chunks
    /// of outputs have the columns form.
    pub(super) fn cut_terms(&mut self, parts: usize) {
        let pieces = match self.method {
            Method::Vector => {
                let in_columns = self.lane_strides.k != 1 && self.lane_strides.outer == 1;
                let last = self.lanes % tuning::VECTOR_OUTPUTS;
                let whole = self.lanes >= T::LANES && (last == 0 || last >= T::LANES);
                if in_columns && whole {
                    self.pieces()
                } else {
                    0
                }
            }
            Method::Tiles if self.blocks() == 0 => 0,
            Method::Tiles => self.pieces(),
        };
        if pieces >= parts {
            (self.term_parts, self.lane_blocks, self.column_blocks) = (parts, 1, 1);
            if self.packing == Packing::Shared {
                self.packing = Packing::Local;
            }
        }
    }

    fn plan_tiles(&mut self, most: usize) {
        let panel = self.panel();
        let tile = self.kernels.columns(self.kernels.vectors());
        // In terms of f32: a vector has half as many lanes of f64.
        let terms = self.k.saturating_add(tuning::STORE_TERMS);
        let terms = terms.saturating_mul(size_of::<T>() / size_of::<f32>());
        let work = self
            .lanes
            .saturating_mul(self.columns)
            .saturating_mul(terms);
        let blocks = (work / tuning::BLOCK_MIN_TERMS).clamp(1, most);
        let panels = self.lanes.div_ceil(panel);
        let tiles = self.columns.div_ceil(tile);
        let readable = self.lane_strides.outer == 1 && self.lanes >= T::LANES;
        let direct = readable && tiles < tuning::PACK_LANES_MIN_TILES;
        let few = self.columns <= tuning::PACK_APART_MAX_COLUMNS && 2 * panels >= blocks;
        if few && !direct {
            // Packing is a good part of the work: each block packs the lanes that it alone uses.
            (self.lane_blocks, self.column_blocks) = (blocks.min(panels), 1);
        } else {
            // Rows of a row-major C first: the lane operand, shared by all blocks, is then the one worth packing once.
            self.column_blocks = blocks.min(self.columns.div_ceil(2 * tile)).max(1);
            self.lane_blocks = (blocks / self.column_blocks).min(panels).max(1);
        }
        self.packing = if direct {
            Packing::Direct
        } else if self.column_blocks == 1 {
            Packing::Local
        } else {
            Packing::Shared
        };
        let stride = self.broadcast_strides.k;
        let collide = self.k > tuning::COLLIDING_TERMS
            && (stride.unsigned_abs() * size_of::<T>()).is_multiple_of(tuning::COLLIDING_STRIDE);
        self.pack_broadcast = match self.kernels.pack_broadcast {
            PackBroadcast::Colliding => {
                collide && stride != 0 && self.lanes >= tuning::PACK_COLLIDING_MIN_LANES
            }
            PackBroadcast::Strided => stride != 1 && self.lanes >= tuning::PACK_STRIDED_MIN_LANES,
            #[cfg(target_arch = "aarch64")]
            PackBroadcast::Always => self.lanes > 2 * panel,
        };
        let depth = piece(self.k);
        let bytes = depth * size_of::<T>();
        self.group = (tuning::LANE_GROUP_BYTES / bytes / panel).max(1) * panel;
        self.chunk = (tuning::BROADCAST_CHUNK_BYTES / bytes / tile).max(1) * tile;
        let outputs = self.lanes.saturating_mul(self.columns);
        if blocks > self.lane_blocks * self.column_blocks
            && outputs <= tuning::TERM_PARTS_MAX_OUTPUTS
        {
            self.cut_terms(blocks);
        }
    }

    /// Lanes of a full panel.
    pub(super) fn panel(&self) -> usize {
        self.kernels.vectors() * T::LANES
    }

    /// Lanes that block or group `i` of `count` covers: cut at whole panels.
    fn lane_range(&self, i: usize, count: usize) -> Range<usize> {
        let unit = if self.method == Method::Tiles {
            self.panel()
        } else {
            T::LANES
        };
        let units = self.lanes.div_ceil(unit);
        let at = |i: usize| (units * i / count * unit).min(self.lanes);
        at(i)..at(i + 1)
    }

    /// Lanes and columns of a block.
    pub(super) fn block_ranges(&self, block: usize) -> (Range<usize>, Range<usize>) {
        let lanes = self.lane_range(block % self.lane_blocks, self.lane_blocks);
        let column = block / self.lane_blocks;
        let units = self.columns.div_ceil(self.column_unit);
        let at = |i: usize| (units * i / self.column_blocks * self.column_unit).min(self.columns);
        (lanes, at(column)..at(column + 1))
    }

    /// The same product in that many blocks of whole rows, which begin at multiples of `unit`; `None` if it is not one of
    /// micro-kernels along the rows of C, or has no terms. No bit of the result depends on it.
    ///
    /// Such a product can also be run [strip by strip](Self::run_strip).
    #[must_use]
    pub fn by_rows(&self, unit: usize, blocks: usize) -> Option<Self> {
        let along_rows = self.method == Method::Tiles && self.swapped && self.k > 0;
        if !along_rows || self.blocks() == 0 || unit == 0 {
            return None;
        }
        let packing = match self.packing {
            Packing::Direct => Packing::Direct,
            Packing::Local | Packing::Shared => Packing::Shared,
        };
        Some(Self {
            lane_blocks: 1,
            column_blocks: blocks.clamp(1, self.columns.div_ceil(unit)),
            column_unit: unit,
            term_parts: 0,
            packing,
            ..*self
        })
    }

    /// The terms that are added in registers before a sum goes to memory.
    pub fn piece(&self) -> usize {
        piece(self.k)
    }

    /// Pieces of the terms.
    pub(super) fn pieces(&self) -> usize {
        let length = match self.method {
            Method::Vector => tuning::PIECE,
            Method::Tiles => self.piece(),
        };
        self.k.div_ceil(length)
    }

    /// Columns of C, for a product [`by_rows`](Self::by_rows), at whose multiples a strip may begin.
    pub fn strip_unit(&self) -> usize {
        self.panel()
    }

    /// Blocks of C to be run; 0 if C is empty.
    pub fn blocks(&self) -> usize {
        if self.lanes == 0 || self.columns == 0 {
            0
        } else {
            self.lane_blocks * self.column_blocks
        }
    }

    /// Rows and columns of C that a block writes. Blocks are disjoint and cover C.
    pub fn block(&self, block: usize) -> (Range<usize>, Range<usize>) {
        let (lanes, columns) = self.block_ranges(block);
        if self.swapped {
            (columns, lanes)
        } else {
            (lanes, columns)
        }
    }

    /// Parts of what is computed before the blocks and that they share; 0 if there is no such thing.
    pub fn parts(&self) -> usize {
        if self.term_parts > 0 {
            self.term_parts
        } else {
            self.pack_parts()
        }
    }

    /// Packets of the buffer that [`prepare`](Self::prepare) fills; `None` on overflow.
    pub fn shared_packets(&self) -> Option<usize> {
        if self.term_parts > 0 {
            let packets = match self.method {
                Method::Vector => super::vector::piece_packets(self),
                Method::Tiles => super::pieces::packets(self)?,
            };
            packets.checked_mul(self.pieces())
        } else {
            self.packed_packets()
        }
    }

    /// Parts of the packing that blocks share; 0 if they share none.
    pub(super) fn pack_parts(&self) -> usize {
        if self.packing == Packing::Shared && self.blocks() > 0 {
            self.lanes.div_ceil(self.panel()) * self.k.div_ceil(piece(self.k))
        } else {
            0
        }
    }

    /// Packets of the packed lane operand; `None` on overflow.
    fn packed_packets(&self) -> Option<usize> {
        if self.pack_parts() == 0 {
            return Some(0);
        }
        let lanes = self.lanes.checked_next_multiple_of(T::LANES)?;
        packets_for(lanes.checked_mul(self.k)?, size_of::<T>())
    }

    /// Where the panel from `lane` of the piece from `term` on (`depth` terms) starts in the packed buffer.
    pub(super) fn packed_offset(&self, lane: usize, term: usize, depth: usize) -> usize {
        self.lanes.next_multiple_of(T::LANES) * term + lane * depth
    }

    /// Packets of scratch that a thread running a block needs. Bounded: no more than 1 MiB whatever the shape.
    pub fn scratch_packets(&self) -> usize {
        let packets = |elements: usize| (elements * size_of::<T>()).div_ceil(PACKET_BYTES);
        if self.blocks() == 0 {
            return 0;
        }
        match self.method {
            Method::Vector => super::vector::scratch_packets::<T>(),
            Method::Tiles => packets(self.local_elements()) + packets(self.chunk_elements()),
        }
    }

    /// Elements of scratch for a group of panels.
    pub(super) fn local_elements(&self) -> usize {
        if self.packing == Packing::Local {
            self.group.min(self.lanes.next_multiple_of(T::LANES)) * piece(self.k)
        } else {
            0
        }
    }

    /// Elements of scratch for a chunk of the broadcast operand.
    pub(super) fn chunk_elements(&self) -> usize {
        if self.pack_broadcast {
            self.chunk.min(self.columns) * piece(self.k)
        } else {
            0
        }
    }

    /// Cuts as fine as the shape allows, up to that many blocks a direction.
    #[cfg(test)]
    pub(super) fn force_blocks(&mut self, lanes: usize, columns: usize) {
        let unit = match self.method {
            Method::Tiles => self.panel(),
            Method::Vector => T::LANES,
        };
        self.lane_blocks = lanes.min(self.lanes.div_ceil(unit)).max(1);
        self.column_blocks = columns.min(self.columns).max(1);
        self.term_parts = 0;
    }

    /// The scratch as elements.
    pub(super) fn elements(scratch: &mut [Packet]) -> &mut [T] {
        bytemuck::cast_slice_mut(scratch)
    }
}
