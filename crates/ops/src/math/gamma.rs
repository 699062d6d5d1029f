//! The logarithm of the gamma function and its derivatives.
//!
//! Right of 0 each is a polynomial on an interval around where the functions have their zeros (factored out, so that what
//! is left is smooth and the zeros are exact), which other small arguments reach by the recurrence
//! `Gamma(x + 1) = x Gamma(x)`, and Stirling's series, economised, beyond. Left of 0 the reflection formulas lead to
//! `1 - x`. There the logarithm and the digamma function have zeros between their poles, near which the error is one of
//! the terms that cancel.

use fearless_simd::Simd;

use super::lanes::{Lanes, Real, any, polynomial, select, splat};
use super::log::ln;
use super::special::Special;
use super::trig::sin_cos_pi;

/// From here up Stirling's series serve; below it `x - k` reaches the polynomials' intervals in [`STEPS`] steps.
const STIRLING: f64 = 6.5;
/// Steps of the recurrence.
const STEPS: u32 = 4;

/// `ln |Gamma(x)|`; infinite at 0 and the negative integers.
#[inline(always)]
pub fn lgamma<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let one = splat::<S, V>(simd, 1.0);
    let negative = x.simd_lt(splat::<S, V>(simd, 0.0));
    if !any(negative) {
        return lgamma_right(simd, x);
    }
    let right = lgamma_right(simd, select(negative, one - x, x));
    let (sine, _) = sin_cos_pi(simd, x);
    let reflected = ln(simd, splat::<S, V>(simd, std::f64::consts::PI) / sine.abs()) - right;
    // Every number so large is an integer.
    let infinity = V::splat(simd, V::Element::INFINITY);
    let pole = x.abs().simd_ge(V::splat(simd, V::Element::INTEGER));
    select(negative, select(pole, infinity, reflected), right)
}

/// [`lgamma`] for `x >= 0`.
#[inline(always)]
fn lgamma_right<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let c = |value: f64| splat::<S, V>(simd, value);
    let (one, two) = (c(1.0), c(2.0));
    let up = x.simd_lt(one);
    let far = x.simd_gt(c(STIRLING));
    // y in [1, 2.5], and what the recurrence multiplied on the way down to it.
    let (mut y, mut product) = (x, one);
    for _ in 0..STEPS {
        let down = y.simd_gt(c(2.5));
        let less = y - one;
        y = select(down, less, y);
        product = select(down, product * less, product);
    }
    let near = polynomial(simd, select(up, x + one, y) - c(1.75), V::Element::LGAMMA);
    let factors = select(up, x * (x - one), (y - one) * (y - two));
    let l = ln(simd, select(up | far, x, product));
    let near = factors.mul_add(near, select(up, -l, l));
    // (x - 1/2) ln x - x + ln(2 pi) / 2 and the series.
    let u = one / x;
    let series = u.mul_add(
        polynomial(simd, u * u, V::Element::STIRLING),
        c(0.418_938_533_204_672_74),
    );
    let beyond = (x - c(0.5)).mul_add(l - one, series);
    select(far, beyond, near)
}

/// The derivative of [`lgamma`]: `-inf` at 0 (`inf` at -0), NaN at the negative integers.
#[inline(always)]
pub fn digamma<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let zero = splat::<S, V>(simd, 0.0);
    let negative = x.simd_lt(zero);
    if !any(negative) {
        return digamma_right(simd, x);
    }
    let right = digamma_right(simd, select(negative, splat::<S, V>(simd, 1.0) - x, x));
    let (sine, cosine) = sin_cos_pi(simd, x);
    let cotangent = splat::<S, V>(simd, std::f64::consts::PI) * cosine / sine;
    let reflected = select(
        sine.simd_eq(zero),
        V::splat(simd, V::Element::NAN),
        right - cotangent,
    );
    select(negative, reflected, right)
}

/// [`digamma`] for `x >= 0`.
#[inline(always)]
fn digamma_right<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let c = |value: f64| splat::<S, V>(simd, value);
    let one = c(1.0);
    let up = x.simd_lt(one);
    let far = x.simd_gt(c(6.0));
    // y in [1, 2], and the sum of 1 / (x - i) on the way down to it, as one fraction.
    let (mut y, mut n, mut d) = (x, c(0.0), one);
    for _ in 0..STEPS {
        let down = y.simd_gt(c(2.0));
        let less = y - one;
        y = select(down, less, y);
        n = select(down, n.mul_add(less, d), n);
        d = select(down, d * less, d);
    }
    let (n, d) = (select(up, -one, n), select(up, x, d));
    let [root, root_tail] = V::Element::DIGAMMA_ROOT.map(|part| V::splat(simd, part));
    let [before, before_tail] = V::Element::DIGAMMA_ROOT_BEFORE.map(|part| V::splat(simd, part));
    let distance = (y - select(up, before, root)) - select(up, before_tail, root_tail);
    let slope = polynomial(simd, select(up, x + one, y) - c(1.5), V::Element::DIGAMMA);
    let near = distance.mul_add(slope, n / d);
    // ln x - 1 / (2 x) - series / x^2.
    let u = one / x;
    let w = u * u;
    let rest = w.mul_add(polynomial(simd, w, V::Element::DIGAMMA_TAIL), u * c(0.5));
    select(far, ln(simd, select(far, x, one)) - rest, near)
}

/// The derivative of [`digamma`]; infinite at 0 and the negative integers.
#[inline(always)]
pub fn trigamma<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let negative = x.simd_lt(splat::<S, V>(simd, 0.0));
    if !any(negative) {
        return trigamma_right(simd, x);
    }
    let right = trigamma_right(simd, select(negative, splat::<S, V>(simd, 1.0) - x, x));
    let (sine, _) = sin_cos_pi(simd, x);
    let ratio = splat::<S, V>(simd, std::f64::consts::PI) / sine;
    select(negative, ratio.mul_sub(ratio, right), right)
}

/// Where the series serve, `x` or, below 4, `x + 4`; and what the recurrence then adds but for `k = 0`: the sum of
/// `1 / power(x + k)` for `k` from 1 to 3, as one fraction.
#[inline(always)]
fn shifted<S: Simd, V: Lanes<S>>(simd: S, x: V, power: impl Fn(V) -> V) -> (V, V) {
    let c = |value: f64| splat::<S, V>(simd, value);
    let near = x.simd_lt(c(4.0));
    let held = select(near, x, c(4.0));
    let [p, q, r] = [1.0, 2.0, 3.0].map(|k| power(held + c(k)));
    let sum = p.mul_add(q, r * (p + q)) / (p * q * r);
    (select(near, x + c(4.0), x), select(near, sum, c(0.0)))
}

/// [`trigamma`] for `x >= 0`.
#[inline(always)]
fn trigamma_right<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let c = |value: f64| splat::<S, V>(simd, value);
    let (far, added) = shifted(simd, x, |y| y * y);
    let u = c(1.0) / far;
    let w = u * u;
    // 1 / x + 1 / (2 x^2) + series / x^3.
    let series = polynomial(simd, w, V::Element::TRIGAMMA_TAIL);
    let tail = (w * u).mul_add(series, w.mul_add(c(0.5), u));
    let first = c(1.0) / x;
    let near = first.mul_add(first, added + tail);
    select(x.simd_lt(c(4.0)), near, tail)
}

/// The derivative of [`trigamma`]: `-inf` at 0 (`inf` at -0), NaN at the negative integers.
#[inline(always)]
pub fn tetragamma<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let zero = splat::<S, V>(simd, 0.0);
    let negative = x.simd_lt(zero);
    if !any(negative) {
        return tetragamma_right(simd, x);
    }
    let right = tetragamma_right(simd, select(negative, splat::<S, V>(simd, 1.0) - x, x));
    let (sine, cosine) = sin_cos_pi(simd, x);
    let ratio = splat::<S, V>(simd, std::f64::consts::PI) / sine;
    let cube = ratio * ratio * ratio * cosine;
    let reflected = select(
        sine.simd_eq(zero),
        V::splat(simd, V::Element::NAN),
        right - (cube + cube),
    );
    select(negative, reflected, right)
}

/// [`tetragamma`] for `x >= 0`.
#[inline(always)]
fn tetragamma_right<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let c = |value: f64| splat::<S, V>(simd, value);
    let (far, added) = shifted(simd, x, |y| y * y * y);
    let u = c(1.0) / far;
    let w = u * u;
    // 1 / x^2 + 1 / x^3 + series / x^4.
    let series = polynomial(simd, w, V::Element::TETRAGAMMA_TAIL);
    let tail = (w * w).mul_add(series, w.mul_add(u, w));
    let first = c(1.0) / x;
    let cubes = (first * first).mul_add(first, added);
    let near = cubes + cubes + tail;
    -select(x.simd_lt(c(4.0)), near, tail)
}
