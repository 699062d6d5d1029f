//! What an attention computes, and how it is cut into tiles.

use std::ops::Range;

use retrograde_storage::{MAX_RANK, PACKET_BYTES, Shape, View};

use super::element::Element;
use super::matrix::Matrix;
use super::sizes;

/// The operands of an attention. All have the same leading axes, expanded where they broadcast.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Queries, `[.., queries, d]`.
    pub q: View,
    /// Keys, `[.., keys, d]`.
    pub k: View,
    /// Values, `[.., keys, dv]`.
    pub v: View,
    /// Which pairs are seen, or what is added to their scores.
    pub mask: Option<Mask>,
    /// Whether query `i` sees keys `0..=i` alone.
    pub causal: bool,
    /// Whether scores are divided by `sqrt(d)`.
    pub scaled: bool,
}

/// A mask of the pairs, `[.., queries, keys]`.
#[derive(Clone, Copy, Debug)]
pub enum Mask {
    /// Of bools: whether a query sees a key.
    Keep(View),
    /// Of floats: added to the scores after scaling; negative infinity hides.
    Bias(View),
}

/// The matrices of one operand: where each starts, and its strides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrices {
    lead: View,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) row: isize,
    pub(super) column: isize,
}

impl Matrices {
    /// The last two axes of `view` are a matrix, one for each index of the others.
    pub(super) fn of(view: &View) -> Self {
        let dims = view.shape.dims();
        let first = dims.len() - 2;
        let mut strides = [0; MAX_RANK];
        strides[..first].copy_from_slice(&view.strides[..first]);
        Self {
            lead: View {
                shape: Shape::new(&dims[..first]).expect("fewer axes than a shape has"),
                offset: view.offset,
                strides,
            },
            rows: dims[first],
            columns: dims[first + 1],
            row: view.strides[first],
            column: view.strides[first + 1],
        }
    }

    /// Number of matrices.
    pub(super) fn count(&self) -> usize {
        self.lead.shape.len()
    }

    /// Matrix `i` in the buffer at `base`.
    pub(super) fn get<T>(&self, base: *const T, i: usize) -> Matrix<T> {
        let (mut rest, mut at) = (i, self.lead.offset);
        for (axis, &d) in self.lead.shape.dims().iter().enumerate().rev() {
            at += (rest % d) as isize * self.lead.strides[axis];
            rest /= d;
        }
        Matrix {
            at: base.wrapping_offset(at).cast_mut(),
            rows: self.rows,
            columns: self.columns,
            row: self.row,
            column: self.column,
        }
    }
}

/// [`Mask`] by matrices.
#[derive(Clone, Copy, Debug)]
pub(super) enum Masks {
    None,
    Keep(Matrices),
    Bias(Matrices),
}

/// Operands as matrices, and the tiles of queries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) q: Matrices,
    pub(super) k: Matrices,
    pub(super) v: Matrices,
    pub(super) masks: Masks,
    pub(super) causal: bool,
    /// The factor of the scores.
    pub(super) scale: f64,
    /// Queries of a tile but the last.
    tile: usize,
}

/// A tile of queries: which ones, and how many keys they see together.
#[derive(Clone, Debug)]
pub(super) struct Tile {
    pub(super) queries: Range<usize>,
    pub(super) keys: usize,
}

impl Layout {
    pub(super) fn new<T: Element>(spec: &Spec) -> Self {
        let (q, k, v) = (
            Matrices::of(&spec.q),
            Matrices::of(&spec.k),
            Matrices::of(&spec.v),
        );
        Self {
            q,
            k,
            v,
            masks: match &spec.mask {
                None => Masks::None,
                Some(Mask::Keep(view)) => Masks::Keep(Matrices::of(view)),
                Some(Mask::Bias(view)) => Masks::Bias(Matrices::of(view)),
            },
            causal: spec.causal,
            scale: if spec.scaled {
                1.0 / (q.columns.max(1) as f64).sqrt()
            } else {
                1.0
            },
            tile: sizes::tile_queries(k.rows, size_of::<T>()),
        }
    }

    /// Whether some pair may be masked.
    pub(super) fn is_masked(&self) -> bool {
        self.causal || !matches!(self.masks, Masks::None)
    }

    /// Number of tiles of one matrix of queries.
    pub(super) fn tiles(&self) -> usize {
        self.q.rows.div_ceil(self.tile)
    }

    pub(super) fn tile(&self, i: usize) -> Tile {
        let end = self.q.rows.min((i + 1) * self.tile);
        Tile {
            queries: i * self.tile..end,
            keys: if self.causal {
                self.k.rows.min(end)
            } else {
                self.k.rows
            },
        }
    }

    /// Elements from one row of scores to the next: whole packets.
    pub(super) fn score_stride<T: Element>(&self) -> usize {
        self.k.rows.next_multiple_of(T::LANES)
    }

    /// Packets of a tile's scores.
    pub(super) fn score_packets<T: Element>(&self) -> usize {
        let elements = self.score_stride::<T>() * self.tile.min(self.q.rows);
        elements * size_of::<T>() / PACKET_BYTES
    }
}
