//! The inverse of the normal distribution function.

use fearless_simd::Simd;

use super::lanes::{Lanes, Real, cap, polynomial, select, splat};
use super::log::ln;
use super::special::Special;

/// The `x` below which the standard normal distribution has the probability `p`: infinite at 0 and 1, NaN beyond.
///
/// A rational function of `p - 1/2` around the middle; in the tails `r = sqrt(-ln p)`, times the square root of 2, and a
/// rational function of `r`. The cuts are Wichura's (algorithm AS 241, 1988).
#[inline(always)]
pub fn normal_icdf<S: Simd, V: Lanes<S>>(simd: S, p: V) -> V {
    let c = |value: f64| splat::<S, V>(simd, value);
    let ratio = |x: V, [n, d]: [&[V::Element]; 2]| polynomial(simd, x, n) / polynomial(simd, x, d);
    let q = p - c(0.5);
    let central = q * ratio(c(0.180625) - q * q, V::Element::QUANTILE);
    let tail = select(q.simd_lt(c(0.0)), p, c(1.0) - p);
    let r = (-ln(simd, tail)).sqrt();
    // No probability but 0 is beyond; from its infinity a fraction would make NaN.
    let held = cap(simd, r, V::Element::of(27.4));
    let middle = ratio(held - c(1.6), V::Element::QUANTILE_MIDDLE);
    let rest = match V::Element::QUANTILE_FAR {
        Some(far) => select(held.simd_le(c(5.0)), middle, ratio(held - c(5.0), far)),
        None => middle,
    };
    let outer = held.mul_add(c(std::f64::consts::SQRT_2), rest);
    let infinity = V::splat(simd, V::Element::INFINITY);
    let outer = select(tail.simd_eq(c(0.0)), infinity, outer).copysign(q);
    // NaN and what is no probability fail the comparison and reach the logarithm.
    select(q.abs().simd_le(c(0.425)), central, outer)
}
