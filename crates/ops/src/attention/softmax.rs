//! The rows of a tile: scores to weights, and the gradient of the weights to that of the scores.
//!
//! A row is whole packets; beyond the keys it sees, its weights and gradients are zero.

use fearless_simd::{Simd, SimdBase};

use super::element::Element;
use super::seen::Seen;
use crate::math::{self, exp, max};
use crate::{Level, at_level};

/// How a tile's rows stand: `count` rows `stride` elements apart, of `keys` keys.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub(super) count: usize,
    pub(super) keys: usize,
    pub(super) stride: usize,
}

impl Rows {
    fn of<T>(self, buffer: &mut [T]) -> impl Iterator<Item = (usize, &mut [T])> {
        // Packets that hold a key.
        buffer
            .chunks_exact_mut(self.stride.max(1))
            .take(self.count)
            .enumerate()
    }
}

/// Products of queries and keys become weights: `softmax(scale x + mask)`, zeros where a query sees nothing.
///
/// # Safety
/// The mask is readable.
pub(super) unsafe fn weights<T: Element>(
    level: Level,
    scores: &mut [T],
    rows: Rows,
    scale: f64,
    seen: &Seen<T>,
) {
    let scale = <T as math::Real>::of(scale);
    let used = rows.keys.next_multiple_of(T::LANES);
    at_level!(level, simd => simd.vectorize(
        #[inline(always)]
        || {
            let factor = if seen.has_mask() {
                <T as math::Real>::of(1.0)
            } else {
                scale
            };
            let mut waiting: [Option<&mut [T]>; TOGETHER] = [const { None }; TOGETHER];
            for (r, row) in rows.of(scores) {
                let (row, end) = (&mut row[..used], seen.end(r, rows.keys));
                row[end..].fill(-<T as math::Real>::INFINITY);
                if seen.has_mask() {
                    row[..end].iter_mut().for_each(|x| *x = *x * scale);
                    // SAFETY: the caller's promise.
                    unsafe { seen.hide(r, &mut row[..end]) };
                }
                waiting[r % TOGETHER] = Some(row);
                if r % TOGETHER == TOGETHER - 1 && waiting.iter().all(Option::is_some) {
                    let together = waiting.each_mut().map(|row| row.take().unwrap_or_default());
                    softmax_of(simd, together, factor);
                }
            }
            for row in waiting.into_iter().flatten() {
                softmax(simd, row, factor);
            }
        }
    ));
}

/// Rows whose softmax is computed together: each is a chain of waits, for the largest score, its exponentials, their sum
/// and a division, that takes longer than what is computed meanwhile.
const TOGETHER: usize = 4;

/// `softmax(factor row)` of each row, in place: the bits of [`softmax`].
#[inline(always)]
fn softmax_of<S: Simd, T: Element>(simd: S, mut rows: [&mut [T]; TOGETHER], factor: T) {
    let starts = (0..rows[0].len()).step_by(T::LANES);
    let by = T::Packet::<S>::splat(simd, factor);
    let lowest = T::Packet::<S>::splat(simd, -<T as math::Real>::INFINITY);
    let mut tops = [lowest; TOGETHER];
    for i in starts.clone() {
        for (row, top) in rows.iter().zip(&mut tops) {
            *top = max(simd, *top, packet(simd, row, i) * by);
        }
    }
    let (of, mut tops) = (tops, [T::default(); TOGETHER]);
    for (top, of) in tops.iter_mut().zip(of) {
        *top = across_largest::<S, T>(of);
    }
    if tops.iter().any(|top| !top.to_f64().is_finite()) {
        rows.into_iter().for_each(|row| softmax(simd, row, factor));
        return;
    }
    let mut sums = [T::Packet::<S>::splat(simd, T::default()); TOGETHER];
    for i in starts.clone() {
        for ((row, &top), sum) in rows.iter_mut().zip(&tops).zip(&mut sums) {
            let x = exp(
                simd,
                packet(simd, row, i) * by - T::Packet::<S>::splat(simd, top),
            );
            *sum = *sum + x;
            x.store_slice(&mut row[i..][..T::LANES]);
        }
    }
    let mut shares = [T::default(); TOGETHER];
    for (share, sum) in shares.iter_mut().zip(sums) {
        *share = <T as math::Real>::of(1.0) / across::<S, T>(sum, |a, b| a + b);
    }
    for i in starts {
        for (row, &share) in rows.iter_mut().zip(&shares) {
            let x = packet(simd, row, i) * T::Packet::<S>::splat(simd, share);
            x.store_slice(&mut row[i..][..T::LANES]);
        }
    }
}

/// The packet at element `i`.
#[inline(always)]
fn packet<S: Simd, T: Element>(simd: S, row: &[T], i: usize) -> T::Packet<S> {
    T::Packet::<S>::from_slice(simd, &row[i..][..T::LANES])
}

/// The largest lane of a packet, or NaN.
#[inline(always)]
fn across_largest<S: Simd, T: Element>(x: T::Packet<S>) -> T {
    across::<S, T>(x, |a, b| if a > b || a.to_f64().is_nan() { a } else { b })
}

/// `softmax(factor row)`, in place.
#[inline(always)]
fn softmax<S: Simd, T: Element>(simd: S, row: &mut [T], factor: T) {
    let lowest = -<T as math::Real>::INFINITY;
    let (mut top, by) = (
        T::Packet::<S>::splat(simd, lowest),
        T::Packet::<S>::splat(simd, factor),
    );
    for packet in row.chunks_exact_mut(T::LANES) {
        let x = T::Packet::<S>::from_slice(simd, packet) * by;
        top = max(simd, top, x);
        x.store_slice(packet);
    }
    let top = across_largest::<S, T>(top);
    if top == lowest {
        row.fill(T::default());
        return;
    }
    if top == <T as math::Real>::INFINITY {
        // Infinite scores share all the weight.
        let count = row.iter().filter(|x| **x == top).count();
        let share = <T as math::Real>::of(1.0 / count as f64);
        row.iter_mut()
            .for_each(|x| *x = if *x == top { share } else { T::default() });
        return;
    }
    let shift = T::Packet::<S>::splat(simd, top);
    let mut sum = T::Packet::<S>::splat(simd, T::default());
    for packet in row.chunks_exact_mut(T::LANES) {
        let x = exp(simd, T::Packet::<S>::from_slice(simd, packet) - shift);
        sum = sum + x;
        x.store_slice(packet);
    }
    let sum = across::<S, T>(sum, |a, b| a + b);
    let by = T::Packet::<S>::splat(simd, <T as math::Real>::of(1.0) / sum);
    for packet in row.chunks_exact_mut(T::LANES) {
        (T::Packet::<S>::from_slice(simd, packet) * by).store_slice(packet);
    }
}

/// The lanes of a packet combined in a tree.
#[inline(always)]
fn across<S: Simd, T: Element>(x: T::Packet<S>, combine: impl Fn(T, T) -> T) -> T {
    let mut lanes = [T::default(); 16];
    x.store_slice(&mut lanes[..T::LANES]);
    let mut half = T::LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] = combine(lanes[i], lanes[i + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// The gradient of weights becomes that of the products of queries and keys: `scale p (g - sum(p g))`.
///
/// # Safety
/// The mask is readable.
pub(super) unsafe fn score_gradients<T: Element>(
    level: Level,
    weights: &[T],
    gradients: &mut [T],
    rows: Rows,
    scale: f64,
    seen: &Seen<T>,
) {
    let scale = <T as math::Real>::of(scale);
    let used = rows.keys.next_multiple_of(T::LANES);
    at_level!(level, simd => simd.vectorize(
        #[inline(always)]
        || {
            let all = rows.of(gradients).zip(weights.chunks_exact(rows.stride.max(1)));
            for ((r, row), weights) in all {
                let (row, end) = (&mut row[..used], seen.end(r, rows.keys));
                row[end..].fill(T::default());
                if seen.has_mask() {
                    // SAFETY: the caller's promise.
                    unsafe { seen.clear(r, &mut row[..end]) };
                }
                let mut sum = T::Packet::<_>::splat(simd, T::default());
                for (g, p) in row.chunks_exact(T::LANES).zip(weights.chunks_exact(T::LANES)) {
                    let p = T::Packet::<_>::from_slice(simd, p);
                    sum = p * T::Packet::<_>::from_slice(simd, g) + sum;
                }
                let mean = T::Packet::<_>::splat(simd, across(sum, |a, b| a + b));
                let scale = T::Packet::<_>::splat(simd, scale);
                for (g, p) in row.chunks_exact_mut(T::LANES).zip(weights.chunks_exact(T::LANES)) {
                    let p = T::Packet::<_>::from_slice(simd, p) * scale;
                    let centred = T::Packet::<_>::from_slice(simd, g) - mean;
                    (p * centred).store_slice(g);
                }
            }
        }
    ));
}
