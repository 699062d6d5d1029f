//! Products that leave out what is masked, for operands that hold infinities or NaN: `0 inf` must not be added.

use fearless_simd::{Simd, SimdBase};

use super::element::Element;
use super::matrix::Matrix;
use crate::{Level, at_level};

/// Whether all elements are finite.
///
/// # Safety
/// The matrix is readable and written by nobody meanwhile.
pub(super) unsafe fn finite<T: Element>(level: Level, x: &Matrix<T>) -> bool {
    // A finite number times zero is zero, others become NaN, which stays. Lanes are added up once, at the end.
    at_level!(level, simd => simd.vectorize(
        #[inline(always)]
        || {
            let zero = T::default();
            let (mut rest, mut lanes) = (zero, T::Packet::<_>::splat(simd, zero));
            for i in 0..x.rows {
                // SAFETY: the caller's promise.
                if let Some(row) = unsafe { x.row(i) } {
                    let packets = row.chunks_exact(T::LANES);
                    rest = packets.remainder().iter().fold(rest, |sum, &x| sum + x * zero);
                    for packet in packets {
                        lanes = T::Packet::<_>::from_slice(simd, packet) * zero + lanes;
                    }
                } else {
                    for j in 0..x.columns {
                        // SAFETY: the caller's promise.
                        rest = rest + unsafe { x.get(i, j) } * zero;
                    }
                }
            }
            let mut sums = [zero; 16];
            lanes.store_slice(&mut sums[..T::LANES]);
            sums.into_iter().fold(rest, |sum, x| sum + x) == zero
        }
    ))
}

/// `C = A B`, or `C += A B`, of those terms `A[i, p] B[p, j]` for which `seen(i, p)`.
///
/// # Safety
/// The extents fit; A and B are readable and written by nobody, C's elements are writable (initialised, to accumulate),
/// apart from A and B, and accessed by nobody else meanwhile.
pub(super) unsafe fn product<T: Element>(
    c: &Matrix<T>,
    a: &Matrix<T>,
    b: &Matrix<T>,
    accumulate: bool,
    seen: impl Fn(usize, usize) -> bool,
) {
    debug_assert!(a.rows == c.rows && b.columns == c.columns && a.columns == b.rows);
    for i in 0..c.rows {
        for j in 0..c.columns {
            // SAFETY: the caller's promise; the indices are within the extents.
            unsafe {
                let terms = (0..a.columns).filter(|&p| seen(i, p));
                let sum = terms.fold(T::default(), |sum, p| sum + a.get(i, p) * b.get(p, j));
                let before = if accumulate {
                    c.get(i, j)
                } else {
                    T::default()
                };
                c.set(i, j, before + sum);
            }
        }
    }
}
