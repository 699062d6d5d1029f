//! Logarithms.

use fearless_simd::{Simd, SimdBase};

use super::exp::exp;
use super::lanes::{Lanes, Real, any, fast_two_sum, polynomial, select, splat, two_product};

/// `(e, m)` of `x = 2^e m` with `m` in the octave around 1 that starts at `sqrt(1/2)`, for positive normal `x`.
#[inline(always)]
pub(super) fn octave<S: Simd, V: Lanes<S>>(simd: S, x: V) -> (V, V) {
    let bits = x.to_bits() + V::Bits::splat(simd, V::Element::SQRT_HALF_TO_ONE);
    let biased = bits >> V::Element::MANTISSA;
    let exponent = V::from_bits(biased | V::Bits::splat(simd, V::Element::INTEGER_BITS))
        - V::splat(simd, V::Element::INTEGER_BIAS);
    let m = V::from_bits(
        (bits & V::Bits::splat(simd, V::Element::MANTISSA_MASK))
            + V::Bits::splat(simd, V::Element::SQRT_HALF_BITS),
    );
    (exponent, m)
}

/// `(e, m)` as [`octave`] gives them, for positive finite `x`.
#[inline(always)]
pub(super) fn octave_gradual<S: Simd, V: Lanes<S>>(simd: S, x: V) -> (V, V) {
    let small = x.simd_lt(V::splat(simd, V::Element::MIN_NORMAL));
    let lifted = select(small, x * V::splat(simd, V::Element::LIFT), x);
    let (e, m) = octave(simd, lifted);
    let digits = splat::<S, V>(simd, f64::from(V::Element::MANTISSA + 1));
    (select(small, e - digits, e), m)
}

/// `y` where `x` is positive and finite, else what a logarithm makes of `x`: `ln(0) = -inf`, `ln(x < 0) = NaN`.
#[inline(always)]
fn log_specials<S: Simd, V: Lanes<S>>(simd: S, x: V, y: V) -> V {
    let zero = splat::<S, V>(simd, 0.0);
    let infinity = V::splat(simd, V::Element::INFINITY);
    let special = select(x.simd_lt(zero), V::splat(simd, V::Element::NAN), x);
    let special = select(x.simd_eq(zero), -infinity, special);
    select(x.simd_gt(zero) & x.simd_lt(infinity), y, special)
}

/// The mask of positive normal finite lanes.
#[inline(always)]
fn is_ordinary<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V::Mask {
    x.simd_ge(V::splat(simd, V::Element::MIN_NORMAL))
        & x.simd_lt(V::splat(simd, V::Element::INFINITY))
}

/// `e ln 2 + f + tail`.
#[inline(always)]
fn assemble<S: Simd, V: Lanes<S>>(simd: S, e: V, f: V, tail: V) -> V {
    let tail = e.mul_add(V::splat(simd, V::Element::LN2_LO), tail);
    e.mul_add(V::splat(simd, V::Element::LN2_HI), f + tail)
}

/// The natural logarithm.
#[inline(always)]
pub fn ln<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    if any(!is_ordinary(simd, x)) {
        return log_specials(simd, x, ln_octave(simd, octave_gradual(simd, x)));
    }
    ln_octave(simd, octave(simd, x))
}

/// `ln(2^e m)`.
#[inline(always)]
fn ln_octave<S: Simd, V: Lanes<S>>(simd: S, (e, m): (V, V)) -> V {
    let f = m - splat::<S, V>(simd, 1.0);
    assemble(simd, e, f, V::Element::ln_tail(simd, f))
}

/// `ln(2^e m)` times `base`, plus `e` times what `two` adds to that: `base` and `two` are the logarithms of `e` and of 2 to
/// another base, in two words each.
#[inline(always)]
fn log_octave<S: Simd, V: Lanes<S>>(
    simd: S,
    (e, m): (V, V),
    base: [V::Element; 2],
    two: [V::Element; 2],
) -> V {
    let [base, base_tail] = base.map(|part| V::splat(simd, part));
    let [two, two_tail] = two.map(|part| V::splat(simd, part));
    let f = m - splat::<S, V>(simd, 1.0);
    let (l, l_tail) = fast_two_sum(f, V::Element::ln_tail(simd, f));
    let (y, y_error) = two_product(l, base);
    let y_tail = l_tail.mul_add(base, l.mul_add(base_tail, y_error));
    let (sum, sum_error) = fast_two_sum(e * two, y);
    sum + (sum_error + e.mul_add(two_tail, y_tail))
}

/// The logarithm to base 2, exact for powers of two.
#[inline(always)]
pub fn log2<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let base = [V::Element::LOG2_E, V::Element::LOG2_E_LO];
    let two = [1.0, 0.0].map(V::Element::of);
    if any(!is_ordinary(simd, x)) {
        let y = log_octave(simd, octave_gradual(simd, x), base, two);
        return log_specials(simd, x, y);
    }
    log_octave(simd, octave(simd, x), base, two)
}

/// The logarithm to base 10.
#[inline(always)]
pub fn log10<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let (base, two) = (V::Element::LOG10_E, V::Element::LOG10_2);
    if any(!is_ordinary(simd, x)) {
        let y = log_octave(simd, octave_gradual(simd, x), base, two);
        return log_specials(simd, x, y);
    }
    log_octave(simd, octave(simd, x), base, two)
}

/// `ln(1 + x)`, accurate near zero.
#[inline(always)]
pub fn log1p<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    log1p_of(simd, x, None)
}

/// `ln(1 + x + tail)` with a tail that is small beside `x`.
#[inline(always)]
pub(super) fn log1p_of<S: Simd, V: Lanes<S>>(simd: S, x: V, tail: Option<V>) -> V {
    let u = x + V::Element::of(1.0);
    let y = log1p_ordinary(simd, x, tail, u).copysign(x);
    if any(!is_ordinary(simd, u)) {
        return log_specials(simd, u, y);
    }
    y
}

/// [`log1p_of`] where `u = 1 + x` is positive and finite, but for the sign of zero.
///
/// In the octave around 1, `f` is `x` itself. Outside it, the rounding error of `1 + x` is made up for to first order:
/// it is below 1.5 ulp of the result, so that a rough reciprocal of `u` does.
#[inline(always)]
fn log1p_ordinary<S: Simd, V: Lanes<S>>(simd: S, x: V, tail: Option<V>, u: V) -> V {
    let one = splat::<S, V>(simd, 1.0);
    let zero = splat::<S, V>(simd, 0.0);
    let back = u - one;
    let error = (one - (u - back)) + (x - back);
    let (e, m) = octave(simd, u);
    let f = m - one;
    let biased =
        (u.to_bits() + V::Bits::splat(simd, V::Element::SQRT_HALF_TO_ONE)) >> V::Element::MANTISSA;
    let down =
        V::from_bits((V::Bits::splat(simd, V::Element::BIAS_2) - biased) << V::Element::MANTISSA);
    let rough = f.mul_add(f - one, one);
    let near = e.simd_eq(zero);
    let negligible = e.simd_gt(splat::<S, V>(simd, 60.0));
    let correction = match tail {
        None => select(near | negligible, zero, error * down * rough),
        Some(tail) => {
            let lost = select(near, tail, error + tail);
            select(negligible, zero, lost * down * rough)
        }
    };
    let f = select(near, x, f);
    assemble(simd, e, f, V::Element::ln_tail(simd, f) + correction)
}

/// `ln(1 + e^x)`.
///
/// Of `e = e^-|x|`, at most 1, the logarithm needs no octaves: `ln(1 + e) = e - s (e - s^2 P(s^2))`, `s = e / (2 + e)`.
#[inline(always)]
pub fn softplus<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let zero = splat::<S, V>(simd, 0.0);
    let e = exp(simd, -x.abs());
    let s = e / (e + splat::<S, V>(simd, 2.0));
    let z = s * s;
    let rest = z.mul_sub(polynomial(simd, z, V::Element::LOG1P), e);
    // NaN fails the comparison and so reaches the sum.
    select(x.simd_lt(zero), zero, x) + s.mul_add(rest, e)
}
