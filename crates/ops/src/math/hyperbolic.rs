//! `tanh` and the logistic function.

use fearless_simd::Simd;

use super::exp::{exp, exp_normal};
use super::lanes::{Lanes, Real, cap, polynomial, select, splat};

/// The hyperbolic tangent: a polynomial near zero, beyond it `1 - 2 / (e^(2 |x|) + 1)`, which loses no digit there.
#[inline(always)]
pub fn tanh<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let one = splat::<S, V>(simd, 1.0);
    let magnitude = x.abs();
    let square = x * x;
    let cubic = magnitude * square;
    let small = cubic.mul_add(polynomial(simd, square, V::Element::TANH), magnitude);
    let held = cap(simd, magnitude, V::Element::TANH_MAX);
    let large = one - splat::<S, V>(simd, 2.0) / (exp_normal(simd, held + held) + one);
    // NaN fails the comparison and so takes the polynomial, which keeps it.
    let is_large = magnitude.simd_gt(V::splat(simd, V::Element::TANH_NEAR));
    select(is_large, large, small).copysign(x)
}

/// `1 / (1 + e^-x)`, from `e^-|x|`: neither branch overflows or cancels.
#[inline(always)]
pub fn sigmoid<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let one = splat::<S, V>(simd, 1.0);
    let e = exp(simd, -x.abs());
    let is_negative = x.simd_lt(splat::<S, V>(simd, 0.0));
    select(is_negative, e, one) / (one + e)
}
