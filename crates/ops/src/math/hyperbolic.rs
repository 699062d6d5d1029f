//! Hyperbolic functions, their inverses and the logistic function.

use fearless_simd::Simd;

use super::exp::{exp, exp_normal, half_exp};
use super::lanes::{Lanes, Real, cap, fast_two_sum, polynomial, select, splat};
use super::log::log1p_of;

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

/// The hyperbolic sine: a polynomial below 1, `e^|x| / 2 - e^-|x| / 2` beyond.
#[inline(always)]
pub fn sinh<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let magnitude = x.abs();
    let square = x * x;
    let cubic = magnitude * square;
    let small = cubic.mul_add(polynomial(simd, square, V::Element::SINH), magnitude);
    let half = half_exp(simd, magnitude);
    let large = half - splat::<S, V>(simd, 0.25) / half;
    let is_large = magnitude.simd_gt(splat::<S, V>(simd, 1.0));
    select(is_large, large, small).copysign(x)
}

/// The hyperbolic cosine.
#[inline(always)]
pub fn cosh<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let half = half_exp(simd, x.abs());
    half + splat::<S, V>(simd, 0.25) / half
}

/// The inverse of the hyperbolic sine, `ln(x + sqrt(x^2 + 1))`: `ln(1 + x + x^2 / (1 + sqrt(x^2 + 1)))` of `|x|`.
#[inline(always)]
pub fn asinh<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let (zero, one) = (splat::<S, V>(simd, 0.0), splat::<S, V>(simd, 1.0));
    let magnitude = x.abs();
    let large = magnitude.simd_gt(V::splat(simd, V::Element::HYPERBOLIC_LARGE));
    let held = cap(simd, magnitude, V::Element::HYPERBOLIC_LARGE);
    let square = held * held;
    let (sum, tail) = fast_two_sum(held, square / (one + (square + one).sqrt()));
    let y = log1p_of(
        simd,
        select(large, magnitude, sum),
        Some(select(large, zero, tail)),
    );
    let twice = splat::<S, V>(simd, std::f64::consts::LN_2);
    (y + select(large, twice, zero)).copysign(x)
}

/// The inverse of the hyperbolic cosine that is not negative, NaN below 1: `ln(1 + t + sqrt(t (t + 2)))` of `t = x - 1`,
/// with the root in two words.
#[inline(always)]
pub fn acosh<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let (zero, one) = (splat::<S, V>(simd, 0.0), splat::<S, V>(simd, 1.0));
    let large = x.simd_gt(V::splat(simd, V::Element::HYPERBOLIC_LARGE));
    let t = cap(simd, x, V::Element::HYPERBOLIC_LARGE) - one;
    let twice = t + t;
    let square = t.mul_add_precise(t, twice);
    let root = square.sqrt();
    let square_tail = t.mul_add_precise(t, twice - square);
    let rest = (-root).mul_add_precise(root, square) + square_tail;
    let root_tail = select(root.simd_eq(zero), zero, rest / (root + root));
    let (sum, sum_tail) = fast_two_sum(root, t);
    let y = log1p_of(
        simd,
        select(large, x, sum),
        Some(select(large, zero, sum_tail + root_tail)),
    );
    let twice = splat::<S, V>(simd, std::f64::consts::LN_2);
    let y = y + select(large, twice, zero);
    select(x.simd_lt(one), V::splat(simd, V::Element::NAN), y)
}

/// The inverse of the hyperbolic tangent, `ln((1 + x) / (1 - x)) / 2`: infinite at 1, NaN beyond. Half of
/// `ln(1 + 2 x / (1 - x))` of `|x|`, with the quotient in two words.
#[inline(always)]
pub fn atanh<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let (zero, one) = (splat::<S, V>(simd, 0.0), splat::<S, V>(simd, 1.0));
    let magnitude = x.abs();
    let (d, d_tail) = fast_two_sum(one, -magnitude);
    let twice = magnitude + magnitude;
    let q = twice / d;
    let rest = (-q).mul_add_precise(d, twice) - q * d_tail;
    let q_tail = select(d.simd_eq(zero), zero, rest / d);
    (log1p_of(simd, q, Some(q_tail)) * V::Element::of(0.5)).copysign(x)
}
