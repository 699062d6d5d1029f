//! `tanh` and the logistic function.

use fearless_simd::Simd;

use super::exp::{exp_two_words, expm1_two_words, hold};
use super::lanes::{Lanes, Real, fast_two_sum, select, splat};

/// `a / (b + c)` with `a` and `c` of two words and `|b| >= |c|`: within a rounding error of the exact quotient.
#[inline(always)]
fn quotient<S: Simd, V: Lanes<S>>(simd: S, a: (V, V), b: V, c: (V, V)) -> V {
    let (d, d_error) = fast_two_sum(b, c.0);
    let reciprocal = splat::<S, V>(simd, 1.0) / d;
    let q = a.0 * reciprocal;
    let remainder = (-q).mul_add_precise(d, a.0) + (-q).mul_add(d_error + c.1, a.1);
    remainder.mul_add(reciprocal, q)
}

/// The hyperbolic tangent, from `expm1(2 |x|)`.
#[inline(always)]
pub fn tanh<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let twice = x.abs() + x.abs();
    let held = hold(simd, twice, V::Element::of(0.0), -V::Element::EXPM1_MIN);
    let e = expm1_two_words(simd, held);
    quotient(simd, e, splat(simd, 2.0), e).copysign(x)
}

/// `1 / (1 + e^-x)`, from `e^-|x|`: neither branch overflows or cancels.
#[inline(always)]
pub fn sigmoid<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let zero = splat::<S, V>(simd, 0.0);
    let one = splat::<S, V>(simd, 1.0);
    let e = exp_two_words(simd, -x.abs());
    let negative = x.simd_lt(zero);
    let above = (select(negative, e.0, one), select(negative, e.1, zero));
    quotient(simd, above, one, e)
}
