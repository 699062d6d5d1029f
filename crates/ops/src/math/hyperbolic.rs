//! `tanh` and the logistic function.

use fearless_simd::{Simd, SimdBase, SimdFloat};

use super::exp::{exp, expm1_held, hold};
use super::lanes::{Lanes, Real, select, splat};

/// The hyperbolic tangent, from `expm1(2 |x|)`: its error shrinks as the quotient nears 1.
#[inline(always)]
pub fn tanh<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let magnitude = x.abs();
    let twice = hold(
        simd,
        magnitude + magnitude,
        V::Element::of(0.0),
        -V::Element::EXPM1_MIN,
    );
    let e = expm1_held(simd, twice);
    (e / (e + V::Element::of(2.0))).copysign(x)
}

/// `1 / (1 + e^-x)`, from `e^-|x|`: neither branch overflows or cancels.
#[inline(always)]
pub fn sigmoid<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let e = exp(simd, -x.abs());
    let one = splat(simd, 1.0);
    select(x.simd_lt(splat::<S, V>(simd, 0.0)), e, one) / (one + e)
}
