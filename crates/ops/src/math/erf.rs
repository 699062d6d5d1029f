//! The error function, its complement and the normal distribution function.

use fearless_simd::Simd;

use super::exp::{exp_reduced, hold, octaves};
use super::lanes::{Lanes, Real, polynomial, select, splat, two_product};

/// `e^-(h + tail) E(y)` with `E` the scaled complement `e^(y^2) erfc(y)` and `ERFC_K y = (k + k_tail) x`, `x >= 0`.
///
/// `E(y) = q G(q)` with `q = 1 / (1 + ERFC_K y)`: a polynomial on the whole half-line. The relative error of `q` is made
/// up for to first order, since `E` is up to 4.5 times as sensitive; so are the exponential's tail and the last roundings
/// of `q G`. The factor `e^r` is multiplied in as `1 + (e^r - 1)`, fused.
#[inline(always)]
fn gauss_tail<S: Simd, V: Lanes<S>>(simd: S, x: V, k: V, k_tail: V, h: V, tail: V) -> V {
    let one = splat::<S, V>(simd, 1.0);
    let d = x.mul_add(k, one);
    let q = one / d;
    let d_error = x.mul_add(k_tail, x.mul_add_precise(k, one - d));
    let q_error = (-d).mul_add_precise(q, one) - d_error * q;
    let [slope, curve] = V::Element::ERFC_SENSITIVITY.map(|c| V::splat(simd, c));
    let sensitivity = q.mul_add(q.mul_add(curve, slope), one);
    let correction = sensitivity.mul_sub(q_error, tail);
    let (&lead, rest) = V::Element::ERFC.split_first().expect("no table is empty");
    let lead = V::splat(simd, lead);
    let v = q - V::Element::ERFC_CENTER;
    let sum = polynomial(simd, v, rest);
    let g = sum.mul_add(v, lead);
    let g_error = sum.mul_add_precise(v, lead - g);
    let (scaled, scaled_error) = two_product(q, g);
    let correction = scaled.mul_add(correction, g_error.mul_add(q, scaled_error));
    let o = octaves(
        simd,
        hold(simd, -h, V::Element::EXP_MIN, V::Element::of(0.0)),
    );
    let e = exp_reduced(simd, o.r);
    let product = scaled.mul_add(e, correction.mul_add(e, correction));
    o.scale(simd, scaled + product)
}

/// `erfc(x)` for `x >= 0`.
#[inline(always)]
pub(super) fn erfc_positive<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    // Beyond, the square's tail would spoil a result that is 0.
    let x = hold(simd, x, V::Element::of(0.0), V::Element::ERFC_MAX);
    let (h, tail) = two_product(x, x);
    let k = V::splat(simd, V::Element::ERFC_K);
    gauss_tail(simd, x, k, splat(simd, 0.0), h, tail)
}

/// The error function.
#[inline(always)]
pub fn erf<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let magnitude = x.abs();
    let small = x.mul_add(polynomial(simd, x * x, V::Element::ERF), x);
    let large = V::Element::erf_large(simd, magnitude).copysign(x);
    select(magnitude.simd_lt(splat::<S, V>(simd, 1.0)), small, large)
}

/// `1 - erf(x)`, accurate where it is small.
#[inline(always)]
pub fn erfc<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let tail = erfc_positive(simd, x.abs());
    let negative = x.simd_lt(splat::<S, V>(simd, 0.0));
    select(negative, splat::<S, V>(simd, 2.0) - tail, tail)
}

/// The distribution function of the standard normal distribution, `erfc(-x / sqrt(2)) / 2`, accurate where it is small.
#[inline(always)]
pub fn normal_cdf<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let half = splat::<S, V>(simd, 0.5);
    let bound = V::Element::ERFC_MAX * V::Element::of(1.5);
    let magnitude = hold(simd, x.abs(), V::Element::of(0.0), bound);
    let (square, square_tail) = two_product(magnitude, magnitude);
    let [k, k_tail] = V::Element::CDF_K.map(|k| V::splat(simd, k));
    let tail = gauss_tail(
        simd,
        magnitude,
        k,
        k_tail,
        square * half,
        square_tail * half,
    );
    let tail = tail * half;
    let negative = x.simd_lt(splat::<S, V>(simd, 0.0));
    select(negative, tail, splat::<S, V>(simd, 1.0) - tail)
}
