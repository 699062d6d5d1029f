//! The canonical order of reductions: which elements make a chunk. Fixed by the space and the reduction alone.

use retrograde_storage::PACKET_BYTES;

use super::{Class, Group, Over, Reduction};
use crate::thresholds::{CHUNK, ROW_CHUNKS, ROWS_A_CHUNK};

/// How a reduction's elements fall into chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunks {
    /// Consecutive rows in a chunk, a power of two. Rows of one `o` only for [`Over::Middle`].
    pub rows: usize,
    /// Rows that chunks are counted in: `m` for [`Over::Middle`], else `o * m`.
    pub span: usize,
    /// Pieces that a row is cut into: more than 1 only where `rows` is 1.
    pub pieces: usize,
    /// Chunks in the whole space.
    pub count: usize,
}

/// Rows in a chunk of a reduction over `rows` rows: a power of two that leaves few partial rows and short sums.
fn rows_a_chunk(rows: usize) -> usize {
    rows.div_ceil(ROW_CHUNKS)
        .next_power_of_two()
        .clamp(*ROWS_A_CHUNK.start(), *ROWS_A_CHUNK.end())
}

impl Group {
    /// Length of the rows that a reduction sees: a `Column` and a row of one element are the same thing.
    pub(super) fn reduced_inner(&self, class: Class) -> usize {
        if class == Class::Full {
            self.space[2]
        } else {
            1
        }
    }

    /// The chunks of a reduction.
    pub(super) fn chunks(&self, reduction: Reduction) -> Chunks {
        let [outer, middle, _] = self.space;
        let inner = self.reduced_inner(reduction.class);
        let span = if reduction.over == Over::Middle {
            middle
        } else {
            outer * middle
        };
        let spans = if reduction.over == Over::Middle {
            outer
        } else {
            1
        };
        let (rows, pieces) = if reduction.over == Over::All && inner > 1 {
            let padded = inner.next_multiple_of(self.width.lanes());
            if padded <= CHUNK {
                (1 << (CHUNK / padded).ilog2(), 1)
            } else {
                (1, inner.div_ceil(CHUNK))
            }
        } else {
            (rows_a_chunk(span), 1)
        };
        let count = if inner == 0 {
            0
        } else {
            spans * span.div_ceil(rows) * pieces
        };
        Chunks {
            rows,
            span,
            pieces,
            count,
        }
    }

    /// Bytes of memory for the partial results of reduction `r`, a multiple of the packet size; it starts on a packet.
    pub fn partial_bytes(&self, r: usize) -> usize {
        let reduction = self.reductions[r];
        let count = self.chunks(reduction).count;
        if reduction.over == Over::All {
            (count * self.width.bytes()).next_multiple_of(PACKET_BYTES)
        } else {
            let inner = self.reduced_inner(reduction.class);
            count * inner.div_ceil(self.width.lanes()) * PACKET_BYTES
        }
    }

    /// Whether the partial results of reduction `r` are its result, element by element: each of its elements is one chunk,
    /// and rows are whole packets. Then nothing is left to [`finish`](Group::finish).
    pub fn partial_is_result(&self, r: usize) -> bool {
        let reduction = self.reductions[r];
        let chunks = self.chunks(reduction);
        let inner = self.reduced_inner(reduction.class);
        reduction.over != Over::All
            && (1..=chunks.rows).contains(&chunks.span)
            && chunks.count > 0
            && inner.is_multiple_of(self.width.lanes())
    }

    /// Elements of the result of reduction `r`, which [`Group::finish`] writes densely.
    pub fn result_len(&self, r: usize) -> usize {
        let reduction = self.reductions[r];
        let inner = self.reduced_inner(reduction.class);
        match reduction.over {
            Over::All => 1,
            Over::Rows => inner,
            Over::Middle => self.space[0] * inner,
        }
    }
}
