//! Packing: an operand, read by its strides, copied into the order in which the micro-kernels read it.

use std::ops::Range;

use fearless_simd::{Simd, SimdBase};

use super::float::{Float, Isa};
use super::kernel::{copy_short, load, store};
use crate::at_level;

/// Part of an operand: `outer` elements (lanes or columns) by `k` terms, strides in elements.
pub(super) struct Source<T> {
    pub(super) from: *const T,
    pub(super) outer: usize,
    pub(super) outer_stride: isize,
    pub(super) k: usize,
    pub(super) k_stride: isize,
}

/// Writes `to[p * width + i] = source[i, p]`, and zeros for lanes from `outer` up to `width` (less than a packet more).
///
/// The zeros are computed with, never stored; what stood there before could be a NaN's slow path or a subnormal.
///
/// # Safety
/// `width` is a multiple of `T::LANES`, at least `outer`; every element of the source is readable and
/// `width * k` elements at `to` are writable, all accessed by nobody else meanwhile and not overlapping.
pub(super) unsafe fn panel<T: Float>(isa: Isa, source: &Source<T>, to: *mut T, width: usize) {
    // SAFETY: the same contract.
    at_level!(isa, simd => simd.vectorize(
        #[inline(always)]
        || unsafe { panel_at(simd, source, to, width) }
    ));
}

/// # Safety
/// As [`panel`].
#[inline(always)]
unsafe fn panel_at<S: Simd, T: Float>(simd: S, source: &Source<T>, to: *mut T, width: usize) {
    let at = |i: usize, p: usize| {
        source
            .from
            .wrapping_offset(i as isize * source.outer_stride + p as isize * source.k_stride)
    };
    let whole = source.outer / T::LANES * T::LANES;
    if whole < source.outer {
        let zeros = T::Vector::<S>::splat(simd, T::default());
        for p in 0..source.k {
            // SAFETY: the vectors from `whole` on, up to `width`, of term `p`.
            unsafe {
                for i in (whole..width).step_by(T::LANES) {
                    store(to.add(p * width + i), zeros);
                }
            }
        }
    }
    if source.outer_stride == 1 {
        for p in 0..source.k {
            // SAFETY: `width` elements of the output belong to term `p`; the source has `outer` contiguous ones.
            unsafe {
                let (from, to) = (at(0, p), to.add(p * width));
                for i in (0..whole).step_by(T::LANES) {
                    store(to.add(i), load(simd, from.add(i)));
                }
                if whole < source.outer {
                    copy_short(from.add(whole), to.add(whole), source.outer - whole);
                }
            }
        }
    } else if source.k_stride == 1 {
        let terms = source.k / T::LANES * T::LANES;
        for i in (0..whole).step_by(T::LANES) {
            for p in (0..terms).step_by(T::LANES) {
                // SAFETY: rows `i..i + LANES` and terms `p..p + LANES` are within the source, and their transposed
                // square within the panel.
                unsafe {
                    square(
                        simd,
                        at(i, p),
                        source.outer_stride,
                        to.add(p * width + i),
                        width,
                    );
                };
            }
        }
        // SAFETY: both rectangles lie within the source and the panel.
        unsafe {
            scalar(source, to, width, 0..whole, terms..source.k);
            scalar(source, to, width, whole..source.outer, 0..source.k);
        }
    } else {
        // SAFETY: the whole source.
        unsafe { scalar(source, to, width, 0..source.outer, 0..source.k) };
    }
}

/// `to[p * width + i] = from[i * stride + p]` for `LANES` rows and terms.
///
/// # Safety
/// Those elements are readable and writable.
#[inline(always)]
unsafe fn square<S: Simd, T: Float>(
    simd: S,
    from: *const T,
    stride: isize,
    to: *mut T,
    width: usize,
) {
    // Of `f64`'s sixteen rows the transpose uses eight.
    // SAFETY: the caller's promise; the row repeated for `f64` is one of them.
    unsafe {
        let mut block = [load::<S, T>(simd, from); 16];
        for (i, row) in block.iter_mut().enumerate().take(T::LANES) {
            *row = load(simd, from.wrapping_offset(i as isize * stride));
        }
        T::transpose(&mut block);
        for (p, &row) in block.iter().enumerate().take(T::LANES) {
            store(to.add(p * width), row);
        }
    }
}

/// The panel's layout, one element at a time.
///
/// # Safety
/// As [`panel`], for the elements named.
#[inline(always)]
unsafe fn scalar<T: Float>(
    source: &Source<T>,
    to: *mut T,
    width: usize,
    outer: Range<usize>,
    terms: Range<usize>,
) {
    for i in outer {
        let from = source
            .from
            .wrapping_offset(i as isize * source.outer_stride);
        for p in terms.clone() {
            // SAFETY: the caller's promise.
            unsafe { *to.add(p * width + i) = *from.wrapping_offset(p as isize * source.k_stride) };
        }
    }
}

/// Columns cut into tiles of equal width, but for one column: 6 + 5 + 5 rather than 6 + 6 + 4.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    width: usize,
    /// Tiles of one column more, at the front.
    wider: usize,
    pub(super) count: usize,
}

impl Tiles {
    /// As few tiles as `columns` need at `most` columns each.
    pub(super) fn new(columns: usize, most: usize) -> Self {
        let count = columns.div_ceil(most);
        Self {
            width: columns / count,
            wider: columns % count,
            count,
        }
    }

    pub(super) fn get(self, i: usize) -> Range<usize> {
        let start = i * self.width + i.min(self.wider);
        start..start + self.width + usize::from(i < self.wider)
    }
}

/// Packs columns tile by tile: `to[first * k + p * columns + j] = source[first + j, p]` for the `columns` columns from
/// `first` on of each of the `tiles` that [`cut`] makes. A kernel reads a tile front to back.
///
/// # Safety
/// As [`panel`], for `outer * k` elements at `to`.
pub(super) unsafe fn columns<T: Float>(source: &Source<T>, tiles: Tiles, to: *mut T) {
    if source.outer_stride == 1 {
        // Term by term through all tiles: where terms are 4 KiB apart, a line would not stay in L1 until the next tile.
        for p in 0..source.k {
            let from = source.from.wrapping_offset(p as isize * source.k_stride);
            for tile in (0..tiles.count).map(|i| tiles.get(i)) {
                // SAFETY: the tile's columns, contiguous in the source and in their part of the output.
                unsafe {
                    let to = to.add(tile.start * source.k + p * tile.len());
                    copy_short(from.add(tile.start), to, tile.len());
                }
            }
        }
    } else {
        for tile in (0..tiles.count).map(|i| tiles.get(i)) {
            let from = source
                .from
                .wrapping_offset(tile.start as isize * source.outer_stride);
            let part = Source {
                from,
                outer: tile.len(),
                ..*source
            };
            // SAFETY: the tile's columns and its part of the output.
            unsafe {
                let to = to.add(tile.start * source.k);
                scalar(&part, to, tile.len(), 0..tile.len(), 0..source.k);
            }
        }
    }
}
