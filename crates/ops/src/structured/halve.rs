//! Max-pooling by two in both directions, by whole vectors: the window of most networks.

use fearless_simd::{Select, Simd, SimdBase};

use super::pool::better;
use crate::product::Float;

/// Elements of two rows under a vector of windows: first row even and odd columns, second row likewise.
type Taps<S, T> = [<T as Float>::Vector<S>; 4];

/// Of which windows a tap is the largest so far, for the second tap to the fourth.
type Masks<S, T> = [<<T as Float>::Vector<S> as SimdBase<S>>::Mask; 3];

#[inline(always)]
fn load<S: Simd, T: Float>(simd: S, rows: [&[T]; 2]) -> Taps<S, T> {
    let (a, b) = (row::<S, T>(simd, rows[0]), row::<S, T>(simd, rows[1]));
    [a[0], a[1], b[0], b[1]]
}

#[inline(always)]
fn row<S: Simd, T: Float>(simd: S, row: &[T]) -> [T::Vector<S>; 2] {
    let low = T::Vector::<S>::from_slice(simd, &row[..T::LANES]);
    let high = T::Vector::<S>::from_slice(simd, &row[T::LANES..2 * T::LANES]);
    [low.unzip_low(high), low.unzip_high(high)]
}

/// Even and odd columns to a row.
#[inline(always)]
fn store<S: Simd, T: Float>(even: T::Vector<S>, odd: T::Vector<S>, row: &mut [T]) {
    even.zip_low(odd).store_slice(&mut row[..T::LANES]);
    even.zip_high(odd)
        .store_slice(&mut row[T::LANES..2 * T::LANES]);
}

/// As [`better`], for every tap after those before it.
#[inline(always)]
fn masks<S: Simd, T: Float>(taps: Taps<S, T>) -> Masks<S, T> {
    let [a, b, c, d] = taps;
    let from_b = larger::<S, T>(b, a);
    let best = from_b.select(b, a);
    let from_c = larger::<S, T>(c, best);
    let best = from_c.select(c, best);
    [from_b, from_c, larger::<S, T>(d, best)]
}

#[inline(always)]
fn larger<S: Simd, T: Float>(
    x: T::Vector<S>,
    best: T::Vector<S>,
) -> <T::Vector<S> as SimdBase<S>>::Mask {
    !x.simd_le(best) & best.simd_eq(best)
}

/// As [`better`], for the four elements of one window.
#[inline(always)]
fn place<T: Float>(by: &[T], first: usize, width: usize) -> usize {
    let window = [first, first + 1, first + width, first + width + 1];
    window
        .into_iter()
        .reduce(|at, e| if better(by[e], by[at]) { e } else { at })
        .unwrap_or(first)
}

/// `dst[window] = src[where by is largest]`, of planes that follow one another, with a window for every two
/// rows and columns.
#[inline(always)]
pub(super) fn pick<S: Simd, T: Float>(
    simd: S,
    [height, width]: [usize; 2],
    [rows, columns]: [usize; 2],
    src: &[T],
    by: &[T],
    dst: &mut [T],
) {
    let planes = dst.len() / (rows * columns).max(1);
    let same = std::ptr::eq(src, by);
    for (plane, row) in (0..planes).flat_map(|n| (0..rows).map(move |row| (n, row))) {
        let from = (plane * height + 2 * row) * width;
        let to = (plane * rows + row) * columns;
        for q in (0..columns).step_by(T::LANES) {
            let (from, to) = (from + 2 * q, to + q);
            let end = from + width + 2 * T::LANES;
            // A vector that runs over reads what comes after, and writes what is written after it.
            if end <= src.len() && to + T::LANES <= dst.len() {
                let (upper, lower) = (from..end - width, from + width..end);
                let looked = load(simd, [&by[upper.clone()], &by[lower.clone()]]);
                let taken = if same {
                    looked
                } else {
                    load(simd, [&src[upper], &src[lower]])
                };
                let [b, c, d] = masks::<S, T>(looked);
                let best = b.select(taken[1], taken[0]);
                let best = d.select(taken[3], c.select(taken[2], best));
                best.store_slice(&mut dst[to..to + T::LANES]);
            } else {
                for e in 0..T::LANES.min(columns - q) {
                    dst[to + e] = src[place(by, from + 2 * e, width)];
                }
            }
        }
    }
}

/// `dst[where by is largest] = src[window]`, zero elsewhere in the windows: the adjoint of [`pick`].
#[inline(always)]
pub(super) fn put<S: Simd, T: Float>(
    simd: S,
    [height, width]: [usize; 2],
    [rows, columns]: [usize; 2],
    src: &[T],
    by: &[T],
    dst: &mut [T],
) {
    let planes = src.len() / (rows * columns).max(1);
    let zero = T::Vector::<S>::splat(simd, T::default());
    // Without anything left over between them, a row may run over into the next, which is written after it.
    let joined = width == 2 * columns && height == 2 * rows;
    for (plane, row) in (0..planes).flat_map(|n| (0..rows).map(move |row| (n, row))) {
        let to = (plane * height + 2 * row) * width;
        let from = (plane * rows + row) * columns;
        // From the last vector to the first: what the last of the upper row overwrites of the lower is written again.
        for q in (0..columns).step_by(T::LANES).rev() {
            let (to, from) = (to + 2 * q, from + q);
            let end = to + width + 2 * T::LANES;
            let inside = end <= dst.len() && from + T::LANES <= src.len();
            if inside && (joined || q + T::LANES <= columns) {
                let upper = to..end - width;
                let lower = to + width..end;
                let [b, c, d] = masks::<S, T>(load(simd, [&by[upper.clone()], &by[lower.clone()]]));
                let g = T::Vector::<S>::from_slice(simd, &src[from..from + T::LANES]);
                let (at_d, g) = (d.select(g, zero), d.select(zero, g));
                let (at_c, g) = (c.select(g, zero), c.select(zero, g));
                let (at_b, at_a) = (b.select(g, zero), b.select(zero, g));
                store::<S, T>(at_a, at_b, &mut dst[upper]);
                store::<S, T>(at_c, at_d, &mut dst[lower]);
            } else {
                for e in 0..T::LANES.min(columns - q) {
                    let first = to + 2 * e;
                    dst[first..first + 2].fill(T::default());
                    dst[first + width..first + width + 2].fill(T::default());
                    dst[place(by, first, width)] = src[from + e];
                }
            }
        }
    }
}
