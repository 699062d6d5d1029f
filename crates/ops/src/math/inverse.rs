//! Inverse trigonometric functions.

use fearless_simd::Simd;

use super::lanes::{Lanes, Real, polynomial, select, splat};

/// `pi / 2 - (angle + rest)` or, of `turns` 2, `pi - (angle + rest)`, for a rest that is small beside the angle.
#[inline(always)]
fn complement<S: Simd, V: Lanes<S>>(simd: S, turns: f64, angle: V, rest: V) -> V {
    let [right, tail, _] = V::Element::FRAC_PI_2.map(|part| V::splat(simd, part));
    let turns = splat::<S, V>(simd, turns);
    (right * turns - angle) - (rest - tail * turns)
}

/// The angle whose tangent is `n / d`, for `0 <= n <= d`, as a sum.
#[inline(always)]
fn arc<S: Simd, V: Lanes<S>>(simd: S, n: V, d: V) -> (V, V) {
    let t = n / d;
    let z = t * t;
    (t, t * (z * polynomial(simd, z, V::Element::ATAN)))
}

/// The angle in `[-pi / 2, pi / 2]` whose tangent is `x`: that of `1 / x` from the other axis, where it is above 1.
#[inline(always)]
pub fn atan<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let one = splat::<S, V>(simd, 1.0);
    let magnitude = x.abs();
    let steep = magnitude.simd_gt(one);
    let n = select(steep, one, magnitude);
    let d = select(steep, magnitude, one);
    let (t, rest) = arc(simd, n, d);
    select(steep, complement(simd, 1.0, t, rest), t + rest).copysign(x)
}

/// The angle of the point `(x, y)` in `[-pi, pi]`, with IEEE's signs of zeros: `atan2(-0, -1) = -pi`.
#[inline(always)]
pub fn atan2<S: Simd, V: Lanes<S>>(simd: S, y: V, x: V) -> V {
    let one = splat::<S, V>(simd, 1.0);
    let zero = splat::<S, V>(simd, 0.0);
    let infinity = V::splat(simd, V::Element::INFINITY);
    let (height, width) = (y.abs(), x.abs());
    let steep = height.simd_gt(width);
    let n = select(steep, width, height);
    let d = select(steep, height, width);
    // Both zero: the angle 0. Both infinite: that of a diagonal.
    let d = select(d.simd_eq(zero), one, d);
    let both = n.simd_eq(infinity) & d.simd_eq(infinity);
    let (t, rest) = arc(simd, select(both, one, n), select(both, one, d));
    let angle = select(steep, complement(simd, 1.0, t, rest), t + rest);
    let behind = one.copysign(x).simd_lt(zero);
    select(behind, complement(simd, 2.0, angle, zero), angle).copysign(y)
}

/// `(far, s, rest)` with `asin(s) = s + rest`: of `s = |x|`, or, beyond a half, of `s = sqrt((1 - |x|) / 2)`, half the angle
/// that is left to a right one.
#[inline(always)]
fn half_arc<S: Simd, V: Lanes<S>>(simd: S, x: V) -> (V::Mask, V, V) {
    let magnitude = x.abs();
    let half = splat::<S, V>(simd, 0.5);
    let far = magnitude.simd_gt(half);
    let left = (splat::<S, V>(simd, 1.0) - magnitude) * half;
    let z = select(far, left, magnitude * magnitude);
    let s = select(far, left.sqrt(), magnitude);
    (far, s, s * (z * polynomial(simd, z, V::Element::ASIN)))
}

/// The angle in `[-pi / 2, pi / 2]` whose sine is `x`, NaN beyond 1.
#[inline(always)]
pub fn asin<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let (far, s, rest) = half_arc(simd, x);
    let beyond = complement(simd, 1.0, s + s, rest + rest);
    select(far, beyond, s + rest).copysign(x)
}

/// The angle in `[0, pi]` whose cosine is `x`, NaN beyond 1.
#[inline(always)]
pub fn acos<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let (far, s, rest) = half_arc(simd, x);
    let near = complement(simd, 1.0, s.copysign(x), rest.copysign(x));
    let (twice, twice_rest) = (s + s, rest + rest);
    let behind = complement(simd, 2.0, twice, twice_rest);
    let negative = x.simd_lt(splat::<S, V>(simd, 0.0));
    let beyond = select(negative, behind, twice + twice_rest);
    select(far, beyond, near)
}
