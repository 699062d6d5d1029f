//! Which keys the queries of a tile see.

use super::element::Element;
use super::matrix::Matrix;
use super::spec::{Layout, Masks, Tile};
use crate::math;

/// The mask of one tile. Rows count from the tile's first query.
#[derive(Clone, Copy)]
pub(super) struct Seen<T> {
    /// The tile's first query, if query `i` sees keys `0..=i` alone.
    causal_from: Option<usize>,
    mask: MaskOf<T>,
}

#[derive(Clone, Copy)]
enum MaskOf<T> {
    None,
    Keep(Matrix<u8>),
    Bias(Matrix<T>),
}

impl<T: Element> Seen<T> {
    /// The mask of a tile of batch index `item`, for matrices that stand at `mask`.
    pub(super) fn new(layout: &Layout, mask: *const u8, item: usize, tile: &Tile) -> Self {
        let rows = tile.queries.clone();
        Self {
            causal_from: layout.causal.then_some(rows.start),
            mask: match &layout.masks {
                Masks::None => MaskOf::None,
                Masks::Keep(all) => MaskOf::Keep(all.get(mask, item).slice(rows)),
                Masks::Bias(all) => MaskOf::Bias(all.get(mask.cast(), item).slice(rows)),
            },
        }
    }

    /// The keys before this one of row `r` may be seen, of `keys`.
    pub(super) fn end(&self, r: usize, keys: usize) -> usize {
        self.causal_from.map_or(keys, |from| keys.min(from + r + 1))
    }

    /// Whether there is more to it than where rows end.
    pub(super) fn has_mask(&self) -> bool {
        !matches!(self.mask, MaskOf::None)
    }

    /// Whether query `r` sees key `c`.
    ///
    /// # Safety
    /// The mask is readable.
    pub(super) unsafe fn sees(&self, r: usize, c: usize) -> bool {
        if self.causal_from.is_some_and(|from| c > from + r) {
            return false;
        }
        match &self.mask {
            MaskOf::None => true,
            // SAFETY: the caller's promise.
            MaskOf::Keep(keep) => unsafe { keep.get(r, c) != 0 },
            MaskOf::Bias(bias) => {
                // SAFETY: the caller's promise.
                let bias = unsafe { bias.get(r, c) };
                bias != -<T as math::Real>::INFINITY
            }
        }
    }

    /// Row `r` of scores with the mask on: hidden ones become negative infinity.
    ///
    /// # Safety
    /// The mask is readable.
    pub(super) unsafe fn hide(&self, r: usize, scores: &mut [T]) {
        let hidden = -<T as math::Real>::INFINITY;
        for (c, x) in scores.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            if !unsafe { self.sees(r, c) } {
                *x = hidden;
            } else if let MaskOf::Bias(bias) = &self.mask {
                // SAFETY: the caller's promise.
                *x = *x + unsafe { bias.get(r, c) };
            }
        }
    }

    /// Row `r` of something with zeros where a key is hidden.
    ///
    /// # Safety
    /// The mask is readable.
    pub(super) unsafe fn clear(&self, r: usize, row: &mut [T]) {
        for (c, x) in row.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            if !unsafe { self.sees(r, c) } {
                *x = T::default();
            }
        }
    }
}
