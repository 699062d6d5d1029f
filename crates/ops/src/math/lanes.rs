//! The vectors and elements that the functions of this module are written on.

use super::special::Special;
use fearless_simd::{
    Simd, SimdBase, SimdFloat, SimdFloatElement, SimdInt, SimdMask, f32x4, f32x8, f32x16, f64x2,
    f64x4, f64x8,
};

/// A float element: its layout, constants and coefficient tables, and the kernels that differ between `f32` and `f64`.
pub trait Real: SimdFloatElement + Special + 'static {
    /// Stored significand bits.
    const MANTISSA: u32;
    /// Bits of the element less one: where the sign is.
    const SIGN_SHIFT: u32;
    /// Exponent bias.
    const BIAS: Self::Bits;
    /// Twice the bias.
    const BIAS_2: Self::Bits;
    /// One.
    const ONE_BIT: Self::Bits;
    /// Two.
    const TWO_BIT: Self::Bits;
    /// The mask of the stored significand.
    const MANTISSA_MASK: Self::Bits;
    /// Bits of the number just above `sqrt(1/2)` where logarithms cut an octave.
    const SQRT_HALF_BITS: Self::Bits;
    /// Bits of 1 less [`Self::SQRT_HALF_BITS`].
    const SQRT_HALF_TO_ONE: Self::Bits;
    /// `1.5 * 2^MANTISSA`: added to a small number, it rounds it to an integer that the low bits then hold.
    const MAGIC: Self;
    /// Bits of [`Self::MAGIC`].
    const MAGIC_BITS: Self::Bits;
    /// `2^MANTISSA`.
    const INTEGER: Self;
    /// Bits of [`Self::INTEGER`].
    const INTEGER_BITS: Self::Bits;
    /// [`Self::INTEGER`] plus the bias.
    const INTEGER_BIAS: Self;
    /// The least positive normal number.
    const MIN_NORMAL: Self;
    /// Positive infinity.
    const INFINITY: Self;
    /// A quiet NaN.
    const NAN: Self;
    /// `2^(MANTISSA + 1)`: lifts a subnormal number into the normal range.
    const LIFT: Self;

    /// `log2(e)`.
    const LOG2_E: Self;
    /// The leading bits of `ln 2`: its product with any exponent is exact.
    const LN2_HI: Self;
    /// `ln 2 - LN2_HI`.
    const LN2_LO: Self;
    /// Every argument from here up overflows `exp`.
    const EXP_MAX: Self;
    /// Every argument from here down underflows `exp` to zero.
    const EXP_MIN: Self;
    /// The exponential of every magnitude below this, and of its opposite, is a normal number.
    const EXP_NORMAL: Self;
    /// `(e^r - 1 - r) / r^2` on half an octave, minimax relative to `e^r`.
    const EXP: &[Self];
    /// The same, minimax relative to `e^r - 1`.
    const EXPM1: &[Self];
    /// From here down `expm1` is -1.
    const EXPM1_MIN: Self;
    /// `(tanh(x) / x - 1) / z` as a polynomial in `z = x^2`, for `|x| <= TANH_NEAR`.
    const TANH: &[Self];
    /// See [`Self::TANH`]; half of `ln 3`, where `1 - tanh(x)` is a half, or a little above.
    const TANH_NEAR: Self;
    /// From here up `tanh` is 1.
    const TANH_MAX: Self;
    /// `(ln((1 + s) / (1 - s)) / s - 2) / z` as a polynomial in `z = s^2`, for `0 <= s <= 1/3`.
    const LOG1P: &[Self];

    /// `2 / pi`.
    const FRAC_2_PI: Self;
    /// `pi / 2` in three parts.
    const FRAC_PI_2: [Self; 3];
    /// The largest magnitude that the three-part reduction serves.
    const TRIG_MAX: Self;
    /// Whether the reduced argument carries a second word.
    const TRIG_TAIL: bool;
    /// `(sin(r) / r - 1) / z` as a polynomial in `z = r^2`.
    const SIN: &[Self];
    /// `(cos(r) - 1 + z / 2) / z^2` as a polynomial in `z = r^2`.
    const COS: &[Self];

    /// `erf(x) / x - 1` as a polynomial in `x^2`, for `|x| < 1`.
    const ERF: &[Self];
    /// `ln(erfc(x))` as a polynomial, weighted for `1 - erfc(x)`, for `x` between 1 and `ERF_MAX`.
    const LN_ERFC: &[Self];
    /// From here up `erf` is 1.
    const ERF_MAX: Self;
    /// `e^(y^2) erfc(y) = q G(q)` with `q = 1 / (1 + ERFC_K y)`: the coefficients of `G` in `q - ERFC_CENTER`.
    const ERFC: &[Self];
    /// See [`Self::ERFC`]; a fraction of few bits where `G` happens to be all but a float.
    const ERFC_CENTER: Self;
    /// `1 + a q + b q^2` is the factor from the relative error of `q` to that of `q G(q)`: `a` and `b`.
    const ERFC_SENSITIVITY: [Self; 2];
    /// See [`Self::ERFC`]; a number of few bits.
    const ERFC_K: Self;
    /// `ERFC_K / sqrt(2)` in two words.
    const CDF_K: [Self; 2];
    /// `erfc` underflows from here up.
    const ERFC_MAX: Self;

    /// `log2(e)` less [`Self::LOG2_E`].
    const LOG2_E_LO: Self;
    /// `log10(e)` in two words.
    const LOG10_E: [Self; 2];
    /// `log10(2)` in two words, the first of few bits: its product with any exponent is exact.
    const LOG10_2: [Self; 2];
    /// As [`Self::EXP_MAX`], [`Self::EXP_MIN`] and [`Self::EXP_NORMAL`], for `exp2`.
    const EXP2_MAX: Self;
    /// See [`Self::EXP2_MAX`].
    const EXP2_MIN: Self;
    /// See [`Self::EXP2_MAX`].
    const EXP2_NORMAL: Self;
    /// Every argument from here up overflows half of `exp`.
    const HALF_EXP_MAX: Self;
    /// From here up 1 is nothing beside `x`, nor beside `x^2`, which does not overflow here.
    const HYPERBOLIC_LARGE: Self;
    /// `(sinh(x) / x - 1) / z` as a polynomial in `z = x^2`, for `|x| <= 1`.
    const SINH: &[Self];
    /// `(atan(t) / t - 1) / z` as a polynomial in `z = t^2`, for `|t| <= 1`.
    const ATAN: &[Self];
    /// `(asin(s) / s - 1) / z` as a polynomial in `z = s^2`, for `|s| <= 1/2`.
    const ASIN: &[Self];
    /// The cube root between `sqrt(1/2)` and `sqrt(2)`: some 2^-14 or 2^-22, which one step then trebles.
    const CBRT: &[Self];
    /// From here up squares may overflow.
    const HYPOT_LARGE: Self;
    /// From here down squares may lose digits.
    const HYPOT_TINY: Self;
    /// The power of two by which arguments of `hypot` are scaled, up or down.
    const HYPOT_SCALE: Self;

    /// `value` rounded to this type.
    fn of(value: f64) -> Self;
    /// `ln(1 + f) - f` for `1 + f` in the octave around 1 that [`Self::SQRT_HALF_BITS`] begins.
    fn ln_tail<S: Simd, V: Lanes<S, Element = Self>>(simd: S, f: V) -> V;
    /// `x^y` for `x >= 0`, but for the cases where it is 1 or NaN by convention.
    fn pow_magnitude<S: Simd, V: Lanes<S, Element = Self>>(simd: S, x: V, y: V) -> V;
    /// `x` modulo `pi / 2` in two words, and the quadrant, for any `x`.
    fn reduce_huge(x: Self) -> (Self, Self, u8);
    /// The remainder of truncated division.
    fn rem_exact(x: Self, y: Self) -> Self;
}

/// A vector of floats that the functions of this module are written on.
pub trait Lanes<S: Simd>:
    SimdFloat<S, Element: Real, Bits: SimdInt<S, Mask = <Self as SimdBase<S>>::Mask>>
{
    /// The vector of `f64` of the same width in bytes.
    type Wide: Lanes<S, Element = f64>;

    /// The lanes as `f64`: lower half, upper half. An `f64` vector is its own lower half and repeats it.
    fn widen_lanes(self) -> [Self::Wide; 2];
    /// The inverse of [`Self::widen_lanes`], rounding to nearest.
    fn narrow_lanes(halves: [Self::Wide; 2]) -> Self;
}

macro_rules! lanes {
    ($($single:ident $double:ident)*) => {$(
        impl<S: Simd> Lanes<S> for $single<S> {
            type Wide = $double<S>;

            #[inline(always)]
            fn widen_lanes(self) -> [Self::Wide; 2] {
                let (low, high) = fearless_simd::SimdWiden::widen(self);
                [low, high]
            }

            #[inline(always)]
            fn narrow_lanes([low, high]: [Self::Wide; 2]) -> Self {
                fearless_simd::SimdNarrow::narrow(low, high)
            }
        }

        impl<S: Simd> Lanes<S> for $double<S> {
            type Wide = Self;

            #[inline(always)]
            fn widen_lanes(self) -> [Self; 2] {
                [self, self]
            }

            #[inline(always)]
            fn narrow_lanes([low, _]: [Self; 2]) -> Self {
                low
            }
        }
    )*};
}
lanes!(f32x4 f64x2 f32x8 f64x4 f32x16 f64x8);

/// `value` in every lane, rounded to the element type.
#[inline(always)]
pub(super) fn splat<S: Simd, V: Lanes<S>>(simd: S, value: f64) -> V {
    V::splat(simd, V::Element::of(value))
}

/// The polynomial of `coefficients`, constant first, at `x`.
///
/// Horner's rule in `x^2` or `x^4` on groups of two or four coefficients, which do not wait for one another: a packet's
/// chain of dependent operations, not their number, bounds the speed.
#[inline(always)]
pub(super) fn polynomial<S: Simd, V: Lanes<S>>(simd: S, x: V, coefficients: &[V::Element]) -> V {
    let square = x * x;
    let (length, power) = match coefficients.len() {
        0..4 => (1, x),
        4..10 => (2, square),
        _ => (4, square * square),
    };
    let mut groups = coefficients.chunks(length).rev();
    let last = groups.next().expect("no table is empty");
    let mut sum = group(simd, x, square, last);
    for coefficients in groups {
        sum = sum.mul_add(power, group(simd, x, square, coefficients));
    }
    sum
}

/// A polynomial of up to four coefficients.
#[inline(always)]
fn group<S: Simd, V: Lanes<S>>(simd: S, x: V, square: V, coefficients: &[V::Element]) -> V {
    let c = |i: usize| V::splat(simd, coefficients[i]);
    match coefficients.len() {
        1 => c(0),
        2 => c(1).mul_add(x, c(0)),
        3 => c(2).mul_add(square, c(1).mul_add(x, c(0))),
        _ => (c(3).mul_add(x, c(2))).mul_add(square, c(1).mul_add(x, c(0))),
    }
}

/// `if_true` where `mask` is set, else `if_false`.
#[inline(always)]
pub(super) fn select<S: Simd, V: Lanes<S>>(mask: V::Mask, if_true: V, if_false: V) -> V {
    fearless_simd::Select::select(mask, if_true, if_false)
}

/// Whether `mask` is set in any lane.
#[inline(always)]
pub(super) fn any<S: Simd, M: SimdMask<S>>(mask: M) -> bool {
    mask.any_true()
}

/// Whether `mask` is set in every lane.
#[inline(always)]
pub(super) fn all<S: Simd, M: SimdMask<S>>(mask: M) -> bool {
    mask.all_true()
}

/// `x`, but no more than `bound`; NaN stays.
#[inline(always)]
pub(super) fn cap<S: Simd, V: Lanes<S>>(simd: S, x: V, bound: V::Element) -> V {
    let bound = V::splat(simd, bound);
    select(x.simd_gt(bound), bound, x)
}

/// An exact product as a rounded one and its error.
#[inline(always)]
pub(super) fn two_product<S: Simd, V: Lanes<S>>(a: V, b: V) -> (V, V) {
    let product = a * b;
    (product, a.mul_sub_precise(b, product))
}

/// An exact sum as a rounded one and its error, `|a| >= |b|` or `a = 0`.
#[inline(always)]
pub(super) fn fast_two_sum<S: Simd, V: Lanes<S>>(a: V, b: V) -> (V, V) {
    let sum = a + b;
    (sum, b - (sum - a))
}
