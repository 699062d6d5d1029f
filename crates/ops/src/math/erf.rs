//! The error function, its complement and the normal distribution function.

use fearless_simd::Simd;

use super::exp::{exp, exp_normal, exp_reduced, octaves};
use super::lanes::{Lanes, Real, all, cap, polynomial, select, splat, two_product};

/// `[E(y), c]` with `E` the scaled complement `e^(y^2) erfc(y)`, rounded, and `c` what the product of it and an exponential
/// is to be corrected by, relatively: the error of `E`, and `tail`, that of the exponential's argument. For
/// `ERFC_K y = (k + k_tail) x` and `x >= 0` that overflows nothing.
///
/// `E(y) = q G(q)` with `q = 1 / (1 + ERFC_K y)`: a polynomial on the whole half-line. `E` is up to 4.5 times as
/// sensitive as `q`, whose relative error is therefore made up for.
#[inline(always)]
fn scaled_complement<S: Simd, V: Lanes<S>>(simd: S, x: V, [k, k_tail]: [V; 2], tail: V) -> [V; 2] {
    let one = splat::<S, V>(simd, 1.0);
    let d = x.mul_add(k, one);
    let q = one / d;
    let d_error = x.mul_add(k_tail, x.mul_add_precise(k, one - d));
    let q_error = (-d_error).mul_add(q, (-d).mul_add_precise(q, one));
    let [slope, curve] = V::Element::ERFC_SENSITIVITY.map(|c| V::splat(simd, c));
    let sensitivity = q.mul_add(q.mul_add(curve, slope), one);
    // The leading terms by Horner's rule: in groups they would round more often.
    let [lead, second, rest @ ..] = V::Element::ERFC else {
        unreachable!("the table is longer");
    };
    let v = q - V::Element::ERFC_CENTER;
    let g = polynomial(simd, v, rest).mul_add(v, V::splat(simd, *second));
    let g = g.mul_add(v, V::splat(simd, *lead));
    [q * g, sensitivity.mul_add(q_error, -tail)]
}

/// The error function: a polynomial near zero, beyond it `1 - e^p(|x|)` with a polynomial for `ln(erfc)`.
#[inline(always)]
pub fn erf<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let one = splat::<S, V>(simd, 1.0);
    let magnitude = x.abs();
    let small = x.mul_add(polynomial(simd, x * x, V::Element::ERF), x);
    let held = cap(simd, magnitude, V::Element::ERF_MAX);
    let large = one - exp_normal(simd, polynomial(simd, held, V::Element::LN_ERFC));
    // NaN fails the comparison and so takes the first polynomial, which keeps it.
    select(magnitude.simd_ge(one), large.copysign(x), small)
}

/// `1 - erf(x)`, accurate where it is small: `e^(-x^2)` times the scaled complement. The factor `e^r` of the exponential
/// is multiplied in as `1 + (e^r - 1)`, fused.
#[inline(always)]
pub fn erfc<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    // Beyond, the square's tail would spoil a result that is 0.
    let magnitude = cap(simd, x.abs(), V::Element::ERFC_MAX);
    let k = [V::splat(simd, V::Element::ERFC_K), splat(simd, 0.0)];
    let (square, square_tail) = two_product(magnitude, magnitude);
    let o = octaves(simd, -square);
    let e = exp_reduced(simd, o.r);
    let [scaled, correction] = scaled_complement(simd, magnitude, k, square_tail);
    let y = scaled.mul_add(correction.mul_add(e, correction) + e, scaled);
    // The scaled complement is above 2^-8 wherever the exponential is a normal number.
    let normal = V::splat(simd, V::Element::EXP_NORMAL - V::Element::of(6.0));
    let tail = if all(square.simd_lt(normal)) {
        o.scale_normal(y)
    } else {
        o.scale(simd, y)
    };
    let (zero, one) = (splat::<S, V>(simd, 0.0), splat::<S, V>(simd, 1.0));
    // The scaled complement may be a rounding below 1 there.
    let tail = select(magnitude.simd_eq(zero), one, tail);
    select(x.simd_lt(zero), one + one - tail, tail)
}

/// The distribution function of the standard normal distribution, `erfc(-x / sqrt(2)) / 2`, accurate where it is small.
#[inline(always)]
pub fn normal_cdf<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    normal_cdf_of(simd, x, exp(simd, x * x * splat::<S, V>(simd, -0.5)))
}

/// [`normal_cdf`], given `bell = e^(-x^2 / 2)`, which its derivative needs as well.
#[inline(always)]
pub fn normal_cdf_of<S: Simd, V: Lanes<S>>(simd: S, x: V, bell: V) -> V {
    let half = splat::<S, V>(simd, 0.5);
    let magnitude = cap(simd, x.abs(), V::Element::ERFC_MAX * V::Element::of(1.5));
    let k = V::Element::CDF_K.map(|k| V::splat(simd, k));
    // The bell is that of the rounded square.
    let (_, square_tail) = two_product(magnitude, magnitude);
    let [scaled, correction] = scaled_complement(simd, magnitude, k, square_tail * half);
    let tail = scaled.mul_add(correction, scaled) * half * bell;
    let negative = x.simd_lt(splat::<S, V>(simd, 0.0));
    select(negative, tail, splat::<S, V>(simd, 1.0) - tail)
}
