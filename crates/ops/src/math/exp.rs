//! `exp` and `expm1`, and the reduction and scaling that every function built on them shares.

use fearless_simd::{Simd, SimdBase};

use super::lanes::{Lanes, Real, all, cap, fast_two_sum, polynomial, select};

/// `x = n ln 2 + r`, `|r| <= ln 2 / 2`.
pub(super) struct Octaves<V> {
    /// [`Real::MAGIC`] plus `n`: its low bits are `n`.
    shifted: V,
    /// What remains.
    pub(super) r: V,
}

/// Splits `x` of a magnitude that `exp` does not overflow or underflow by far.
///
/// Cody and Waite's two parts of `ln 2`: `n * LN2_HI` is exact and so is its difference to `x`, at every level.
#[inline(always)]
pub(super) fn octaves<S: Simd, V: Lanes<S>>(simd: S, x: V) -> Octaves<V> {
    let magic = V::splat(simd, V::Element::MAGIC);
    let shifted = x.mul_add(V::splat(simd, V::Element::LOG2_E), magic);
    let n = shifted - magic;
    let r = n.mul_add(V::splat(simd, -V::Element::LN2_HI), x);
    let r = n.mul_add(V::splat(simd, -V::Element::LN2_LO), r);
    Octaves { shifted, r }
}

impl<V: Copy> Octaves<V> {
    /// `y * 2^n`, rounded once where the result is subnormal.
    ///
    /// Two factors near `2^(n / 2)`: `2^n` itself may be neither a normal number nor finite.
    #[inline(always)]
    pub(super) fn scale<S: Simd>(&self, simd: S, y: V) -> V
    where
        V: Lanes<S>,
    {
        let n = self.shifted.to_bits() - V::Bits::splat(simd, V::Element::MAGIC_BITS)
            + V::Bits::splat(simd, V::Element::BIAS_2);
        let half = n >> 1;
        let first = V::from_bits(half << V::Element::MANTISSA);
        let second = V::from_bits((n - half) << V::Element::MANTISSA);
        y * first * second
    }

    /// [`Self::scale`] where `y` and the result are normal numbers; NaN does not stay.
    #[inline(always)]
    pub(super) fn scale_normal<S: Simd>(&self, y: V) -> V
    where
        V: Lanes<S>,
    {
        // The shift leaves nothing of the bits of MAGIC.
        V::from_bits(y.to_bits() + (self.shifted.to_bits() << V::Element::MANTISSA))
    }

    /// `2^(n - 1)` for `n` that makes it a normal number.
    #[inline(always)]
    fn half_power<S: Simd>(&self, simd: S) -> V
    where
        V: Lanes<S>,
    {
        let n = self.shifted.to_bits() - V::Bits::splat(simd, V::Element::MAGIC_BITS)
            + V::Bits::splat(simd, V::Element::BIAS)
            - V::Bits::splat(simd, V::Element::ONE_BIT);
        V::from_bits(n << V::Element::MANTISSA)
    }
}

/// `e^r - 1` for `|r| <= ln 2 / 2`, as accurate as `e^r` needs.
#[inline(always)]
pub(super) fn exp_reduced<S: Simd, V: Lanes<S>>(simd: S, r: V) -> V {
    let q = polynomial(simd, r, V::Element::EXP);
    (r * r).mul_add(q, r)
}

/// `x` held within `low` and `high`; NaN stays.
#[inline(always)]
pub(super) fn hold<S: Simd, V: Lanes<S>>(simd: S, x: V, low: V::Element, high: V::Element) -> V {
    let (low, high) = (V::splat(simd, low), V::splat(simd, high));
    let x = select(x.simd_gt(high), high, x);
    select(x.simd_lt(low), low, x)
}

/// `e^x`.
#[inline(always)]
pub fn exp<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    if all(x.abs().simd_lt(V::splat(simd, V::Element::EXP_NORMAL))) {
        return exp_normal(simd, x);
    }
    let x = hold(simd, x, V::Element::EXP_MIN, V::Element::EXP_MAX);
    let o = octaves(simd, x);
    let y = exp_reduced(simd, o.r) + V::Element::of(1.0);
    o.scale(simd, y)
}

/// [`exp`] for `|x| <` [`Real::EXP_NORMAL`], with the same bits; NaN does not stay.
#[inline(always)]
pub(super) fn exp_normal<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let o = octaves(simd, x);
    o.scale_normal(exp_reduced(simd, o.r) + V::Element::of(1.0))
}

/// `2^x`, exact for integers.
#[inline(always)]
pub fn exp2<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let held = hold(simd, x, V::Element::EXP2_MIN, V::Element::EXP2_MAX);
    let magic = V::splat(simd, V::Element::MAGIC);
    let shifted = held + magic;
    let r = (held - (shifted - magic)) * V::Element::of(std::f64::consts::LN_2);
    let o = Octaves { shifted, r };
    let y = exp_reduced(simd, r) + V::Element::of(1.0);
    if all(x.abs().simd_lt(V::splat(simd, V::Element::EXP2_NORMAL))) {
        return o.scale_normal(y);
    }
    o.scale(simd, y)
}

/// `e^x / 2` for `x >= 0`, which overflows later than `e^x`.
#[inline(always)]
pub(super) fn half_exp<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let o = octaves(simd, cap(simd, x, V::Element::HALF_EXP_MAX));
    let shifted = o.shifted - V::Element::of(1.0);
    let y = exp_reduced(simd, o.r) + V::Element::of(1.0);
    Octaves { shifted, r: o.r }.scale(simd, y)
}

/// `e^x - 1`, accurate near zero.
#[inline(always)]
pub fn expm1<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let held = hold(simd, x, V::Element::EXPM1_MIN, V::Element::EXP_MAX);
    let o = octaves(simd, held);
    let q = polynomial(simd, o.r, V::Element::EXPM1);
    let (near, near_low) = fast_two_sum(o.r, o.r * o.r * q);
    // Half of 2^n (1 + near) - 1, since 2^n overflows before the result does.
    let power = o.half_power(simd);
    let (half, half_low) = fast_two_sum(power - V::Element::of(0.5), power * near);
    let half = half + power.mul_add(near_low, half_low);
    // Halving would lose a bit of a subnormal argument.
    let within = o.shifted.simd_eq(V::splat(simd, V::Element::MAGIC));
    select(within, near + near_low, half + half).copysign(x)
}
