//! Powers and roots.

use fearless_simd::Simd;

use super::exp::{exp_reduced, hold, octaves};
use super::lanes::{Lanes, Real, fast_two_sum, polynomial, select, splat, two_product};
use super::log::octave_gradual;

/// The square root, correctly rounded.
#[inline(always)]
pub fn sqrt<S: Simd, V: Lanes<S>>(_simd: S, x: V) -> V {
    x.sqrt()
}

/// `1 / sqrt(x)`, each correctly rounded.
#[inline(always)]
pub fn rsqrt<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    splat::<S, V>(simd, 1.0) / x.sqrt()
}

/// The cube root: of `2^(3 q) c`, `2^q` times that of `c`, a polynomial and one of Halley's steps with an exact cube.
#[inline(always)]
pub fn cbrt<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let c = |value: f64| splat::<S, V>(simd, value);
    let zero = c(0.0);
    let magnitude = x.abs();
    let (e, m) = octave_gradual(simd, magnitude);
    let thirds = (e * c(1.0 / 3.0)).round_ties_even();
    let left = (-thirds).mul_add(c(3.0), e);
    let (above, below) = (left.simd_gt(zero), left.simd_lt(zero));
    let cube = m * select(above, c(2.0), select(below, c(0.5), c(1.0)));
    let root_2 = 1.259_921_049_894_873_2;
    let factor = select(above, c(root_2), select(below, c(1.0 / root_2), c(1.0)));
    let y = polynomial(simd, m, V::Element::CBRT) * factor;
    let (square, square_tail) = two_product(y, y);
    let over = square_tail.mul_add(y, square.mul_add_precise(y, -cube));
    let y = y - y * over / square.mul_add(y + y, cube);
    let bits = (thirds + V::splat(simd, V::Element::MAGIC)).to_bits() << V::Element::MANTISSA;
    let y = V::from_bits(y.to_bits() + bits).copysign(x);
    let infinity = V::splat(simd, V::Element::INFINITY);
    let ordinary = magnitude.simd_gt(zero) & magnitude.simd_lt(infinity);
    select(ordinary, y, x)
}

/// `sqrt(x^2 + y^2)` without overflow or underflow on the way; infinite if either is, even beside NaN.
#[inline(always)]
pub fn hypot<S: Simd, V: Lanes<S>>(simd: S, x: V, y: V) -> V {
    let one = splat::<S, V>(simd, 1.0);
    let (a, b) = (x.abs(), y.abs());
    let swap = a.simd_lt(b);
    let (longer, shorter) = (select(swap, b, a), select(swap, a, b));
    let scale = V::splat(simd, V::Element::HYPOT_SCALE);
    let large = longer.simd_gt(V::splat(simd, V::Element::HYPOT_LARGE));
    let tiny = longer.simd_lt(V::splat(simd, V::Element::HYPOT_TINY));
    let factor = select(large, one / scale, select(tiny, scale, one));
    let back = select(large, scale, select(tiny, one / scale, one));
    let (longer, shorter) = (longer * factor, shorter * factor);
    let length = longer.mul_add(longer, shorter * shorter).sqrt() * back;
    let infinity = V::splat(simd, V::Element::INFINITY);
    let infinite = a.simd_eq(infinity) | b.simd_eq(infinity);
    select(infinite, infinity, length)
}

/// `x^n` by repeated squaring; a negative power is `1 / x^-n`. The error grows with `|n|`, about half an ulp a unit.
#[inline(always)]
pub fn powi<S: Simd, V: Lanes<S>>(simd: S, x: V, n: i32) -> V {
    let one = splat::<S, V>(simd, 1.0);
    let mut left = n.unsigned_abs();
    let mut square = x;
    let mut power = one;
    while left > 0 {
        if left & 1 == 1 {
            power *= square;
        }
        left >>= 1;
        if left > 0 {
            square *= square;
        }
    }
    if n < 0 { one / power } else { power }
}

/// `x` to the power `y`, with IEEE's special cases: `pow(x, 0) = pow(1, y) = 1` even for NaN, `pow(-1, inf) = 1`, zeros and
/// infinities keep the sign of `x` for odd `y`, a negative number to a fractional power is NaN.
#[inline(always)]
pub fn pow<S: Simd, V: Lanes<S>>(simd: S, x: V, y: V) -> V {
    let zero = splat::<S, V>(simd, 0.0);
    let one = splat::<S, V>(simd, 1.0);
    let magnitude = x.abs();
    let power = V::Element::pow_magnitude(simd, magnitude, y);
    let half = y * splat::<S, V>(simd, 0.5);
    let is_integer = y.trunc().simd_eq(y);
    let is_odd = is_integer & half.trunc().simd_ne(half);
    let power = select(is_odd, power.copysign(x), power);
    let infinite = V::splat(simd, V::Element::INFINITY);
    let undefined = x.simd_lt(zero) & magnitude.simd_lt(infinite) & !is_integer;
    let power = select(
        undefined | x.simd_ne(x) | y.simd_ne(y),
        V::splat(simd, V::Element::NAN),
        power,
    );
    let is_minus_one = magnitude.simd_eq(one) & y.abs().simd_eq(infinite);
    let is_one = x.simd_eq(one) | y.simd_eq(zero) | is_minus_one;
    select(is_one, one, power)
}

/// `ln 2` in two words, the first of 42 bits: its product with any exponent is exact.
const LN2: [f64; 2] = [0.6931471805598903, 5.497923018708371e-14];
/// `2 / 3` in two words.
const TWO_THIRDS: [f64; 2] = [0.6666666666666666, 3.700743415417188e-17];
/// `(ln((1 + s) / (1 - s)) - 2 s - 2 s^3 / 3) / s^5` in `s^2`, for `s` of half an octave around 1; 2^-65.
const LN_FIFTH: [f64; 7] = [
    0.4000000000000229,
    0.2857142857008275,
    0.22222222523065757,
    0.18181784080828226,
    0.15386771001080202,
    0.13256489006790298,
    0.1319947010839415,
];

/// `ln(x)` in two words, to some 2^-63, for positive finite `x`.
#[inline(always)]
fn ln_two_words<S: Simd, V: Lanes<S, Element = f64>>(simd: S, x: V) -> (V, V) {
    let one = V::splat(simd, 1.0);
    let (e, m) = octave_gradual(simd, x);
    let f = m - one;
    let d = m + one;
    let d_error = m - (d - one);
    let reciprocal = one / d;
    let s = f * reciprocal;
    let s_tail = ((-s).mul_add_precise(d, f) - s * d_error) * reciprocal;
    let (z, z_error) = two_product(s, s);
    let z_tail = (s + s).mul_add(s_tail, z_error);
    let fifth = z * polynomial(simd, z, &LN_FIFTH);
    let [third, third_tail] = TWO_THIRDS.map(|c| V::splat(simd, c));
    let (c, c_error) = fast_two_sum(third, fifth);
    let c_tail = c_error + third_tail;
    let (cube, cube_error) = two_product(s, z);
    let cube_tail = s.mul_add(z_tail, z.mul_add(s_tail, cube_error));
    let (term, term_error) = two_product(cube, c);
    let term_tail = cube.mul_add(c_tail, cube_tail.mul_add(c, term_error));
    let (sum, sum_error) = fast_two_sum(s + s, term);
    let sum_tail = sum_error + (s_tail + s_tail + term_tail);
    let [ln2, ln2_tail] = LN2.map(|c| V::splat(simd, c));
    let (total, total_error) = fast_two_sum(e * ln2, sum);
    (total, total_error + e.mul_add(ln2_tail, sum_tail))
}

/// `x^y` for `x >= 0` in `f64`: the exponential of `y ln x`, which a double-word logarithm keeps to 2^-54.
#[inline(always)]
pub(super) fn pow_double<S: Simd, V: Lanes<S, Element = f64>>(simd: S, x: V, y: V) -> V {
    let (l, l_tail) = ln_two_words(simd, x);
    let l = log_bounds(simd, x, l);
    let (h, h_error) = two_product(l, y);
    let tail = l_tail.mul_add(y, h_error);
    let bound = V::splat(simd, 800.0);
    // Products out of range and those of infinities have no meaningful tail.
    let tail = select(h.abs().simd_lt(bound), tail, V::splat(simd, 0.0));
    let o = octaves(simd, hold(simd, h, f64::EXP_MIN, f64::EXP_MAX));
    let one = V::splat(simd, 1.0);
    let reduced = exp_reduced(simd, o.r);
    o.scale(simd, (reduced + one).mul_add(tail, reduced) + one)
}

/// `l` or, where `x` is 0 or infinite, its logarithm.
#[inline(always)]
fn log_bounds<S: Simd, V: Lanes<S, Element = f64>>(simd: S, x: V, l: V) -> V {
    let infinity = V::splat(simd, f64::INFINITY);
    let l = select(x.simd_eq(V::splat(simd, 0.0)), -infinity, l);
    select(x.simd_eq(infinity), infinity, l)
}

/// `ln((1 + s) / (1 - s)) / s - 2` over `z = s^2`, for a result in `f32`: 2^-43.
const LN_SHORT: [f64; 5] = [
    0.6666666667589892,
    0.39999995584293063,
    0.2857211353403837,
    0.22175990717643182,
    0.19587203579043683,
];
/// `(e^r - 1 - r) / r^2` for a result in `f32`: 2^-34.
const EXP_SHORT: [f64; 6] = [
    0.5000000067836785,
    0.16666665867009348,
    0.04166629436960146,
    0.008333497329074928,
    0.0013944703377277835,
    0.00019790308083395396,
];

/// `x^y` for `x >= 0`, both from `f32`: `y ln x` needs 7 bits beyond those of `f32` and more on either side.
#[inline(always)]
pub(super) fn pow_widened<S: Simd, V: Lanes<S, Element = f64>>(simd: S, x: V, y: V) -> V {
    let one = V::splat(simd, 1.0);
    let (e, m) = super::log::octave(simd, x);
    let f = m - one;
    let s = f / (m + one);
    let z = s * s;
    let series = z.mul_add(polynomial(simd, z, &LN_SHORT), V::splat(simd, 2.0));
    let l = e.mul_add(V::splat(simd, std::f64::consts::LN_2), s * series);
    let h = log_bounds(simd, x, l) * y;
    let o = octaves(simd, hold(simd, h, f64::EXP_MIN, f64::EXP_MAX));
    let q = polynomial(simd, o.r, &EXP_SHORT);
    o.scale(simd, (o.r * o.r).mul_add(q, o.r) + one)
}
