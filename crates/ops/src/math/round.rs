//! Rounding, signs, extrema and remainders.

use fearless_simd::{Simd, SimdMask};

use super::lanes::{Lanes, Real, any, select, splat};

/// The largest integer that is not above `x`.
#[inline(always)]
pub fn floor<S: Simd, V: Lanes<S>>(_simd: S, x: V) -> V {
    x.floor()
}

/// The smallest integer that is not below `x`.
#[inline(always)]
pub fn ceil<S: Simd, V: Lanes<S>>(_simd: S, x: V) -> V {
    x.ceil()
}

/// The nearest integer, the even one of two.
#[inline(always)]
pub fn round<S: Simd, V: Lanes<S>>(_simd: S, x: V) -> V {
    x.round_ties_even()
}

/// The integer part.
#[inline(always)]
pub fn trunc<S: Simd, V: Lanes<S>>(_simd: S, x: V) -> V {
    x.trunc()
}

/// The magnitude of `x` with the sign of `y`.
#[inline(always)]
pub fn copysign<S: Simd, V: Lanes<S>>(_simd: S, x: V, y: V) -> V {
    x.copysign(y)
}

/// `x`, but 0 where `|x| <= y`; NaN stays NaN.
#[inline(always)]
pub fn hardshrink<S: Simd, V: Lanes<S>>(simd: S, x: V, y: V) -> V {
    let within = x.abs().simd_le(y);
    select(within, splat(simd, 0.0), x)
}

/// -1 or 1; zeros and NaN as they are.
#[inline(always)]
pub fn sign<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let unit = splat::<S, V>(simd, 1.0).copysign(x);
    select(x.abs().simd_gt(splat::<S, V>(simd, 0.0)), unit, x)
}

/// `x > 0 ? x : 0`; NaN stays.
#[inline(always)]
pub fn relu<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let zero = splat::<S, V>(simd, 0.0);
    select(x.simd_le(zero), zero, x)
}

/// The larger; NaN if either is. Of two zeros the second.
#[inline(always)]
pub fn max<S: Simd, V: Lanes<S>>(_simd: S, x: V, y: V) -> V {
    select(x.simd_gt(y) | x.simd_ne(x), x, y)
}

/// The smaller; NaN if either is. Of two zeros the second.
#[inline(always)]
pub fn min<S: Simd, V: Lanes<S>>(_simd: S, x: V, y: V) -> V {
    select(x.simd_lt(y) | x.simd_ne(x), x, y)
}

/// The mask of NaN lanes.
#[inline(always)]
pub fn is_nan<S: Simd, V: Lanes<S>>(_simd: S, x: V) -> V::Mask {
    x.simd_ne(x)
}

/// The mask of lanes that are neither infinite nor NaN.
#[inline(always)]
pub fn is_finite<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V::Mask {
    x.abs().simd_lt(V::splat(simd, V::Element::INFINITY))
}

/// The remainder of truncated division, exact, with the sign of `x`: Rust's `%`.
///
/// A quotient of few bits is taken in one step: it may be one too large by rounding, the fused remainder shows it by its
/// sign, and both it and its correction are representable. Other lanes go one by one.
#[inline(always)]
pub fn rem<S: Simd, V: Lanes<S>>(simd: S, x: V, y: V) -> V {
    let (magnitude, divisor) = (x.abs(), y.abs());
    let quotient = (magnitude / divisor).trunc();
    let left = (-quotient).mul_add_precise(divisor, magnitude);
    let zero = splat::<S, V>(simd, 0.0);
    let mut result = select(left.simd_lt(zero), left + divisor, left).copysign(x);
    let direct = quotient.simd_lt(V::splat(simd, V::Element::INTEGER))
        & divisor.simd_lt(V::splat(simd, V::Element::INFINITY));
    if any(!direct) {
        for lane in 0..V::LEN {
            if !direct.test(lane) {
                result[lane] = V::Element::rem_exact(x[lane], y[lane]);
            }
        }
    }
    result
}

/// The remainder of floored division, `x - floor(x / y) y`, with the sign of `y`, zeros included: NumPy's `%`.
#[inline(always)]
pub fn remainder<S: Simd, V: Lanes<S>>(simd: S, x: V, y: V) -> V {
    let zero = splat::<S, V>(simd, 0.0);
    let left = rem(simd, x, y);
    let apart = left.simd_lt(zero) ^ y.simd_lt(zero);
    let moved = select(apart, left + y, left);
    select(left.simd_eq(zero), zero.copysign(y), moved)
}
