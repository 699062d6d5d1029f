//! Sine, cosine and tangent.

use fearless_simd::{Simd, SimdBase};

use super::lanes::{Lanes, Real, any, polynomial, select, splat, two_product};

/// `(shifted, r, tail)`: `x` is `r + tail` and as many times `pi / 2` as the low bits of `shifted` say modulo 4;
/// `|r| <= pi / 4` but for a rounding error.
///
/// Cody and Waite's three parts with exact steps, so that no short constants are needed: the first difference is
/// representable, the others lose a rounding error of what is left. Lanes beyond [`Real::TRIG_MAX`] go one by one to
/// [`Real::reduce_huge`].
#[inline(always)]
fn reduce<S: Simd, V: Lanes<S>>(simd: S, x: V) -> (V, V, V) {
    let [first, second, third] = V::Element::FRAC_PI_2.map(|part| V::splat(simd, -part));
    let magic = V::splat(simd, V::Element::MAGIC);
    let mut shifted = x.mul_add(V::splat(simd, V::Element::FRAC_2_PI), magic);
    let n = shifted - magic;
    let left = n.mul_add_precise(first, x);
    let (mut r, mut tail) = if V::Element::TRIG_TAIL {
        let (product, error) = two_product(n, second);
        // Either may be the larger.
        let r = left + product;
        let back = r - left;
        let lost = (left - (r - back)) + (product - back);
        (r, n.mul_add(third, lost + error))
    } else {
        let r = n.mul_add_precise(second, left);
        (n.mul_add(third, r), splat(simd, 0.0))
    };
    let huge = x.abs().simd_gt(V::splat(simd, V::Element::TRIG_MAX));
    if any(huge) {
        for lane in 0..V::LEN {
            if fearless_simd::SimdMask::test(&huge, lane) {
                let (r_lane, tail_lane, quadrant) = V::Element::reduce_huge(x[lane]);
                r[lane] = r_lane;
                tail[lane] = tail_lane;
                shifted[lane] = V::Element::MAGIC + V::Element::from(quadrant);
            }
        }
    }
    (shifted, r, tail)
}

/// `sin(r + tail)` for `|r| <= pi / 4`.
#[inline(always)]
fn sin_kernel<S: Simd, V: Lanes<S>>(simd: S, r: V, tail: V) -> V {
    let z = r * r;
    let s = polynomial(simd, z, V::Element::SIN);
    let cubic = z * r;
    if V::Element::TRIG_TAIL {
        let slope = z.mul_add(splat::<S, V>(simd, -0.5), splat::<S, V>(simd, 1.0));
        r + cubic.mul_add(s, tail * slope)
    } else {
        cubic.mul_add(s, r)
    }
}

/// `cos(r + tail)` for `|r| <= pi / 4`.
#[inline(always)]
fn cos_kernel<S: Simd, V: Lanes<S>>(simd: S, r: V, tail: V) -> V {
    let one = splat::<S, V>(simd, 1.0);
    let z = r * r;
    let c = polynomial(simd, z, V::Element::COS);
    let half = z * splat::<S, V>(simd, 0.5);
    let w = one - half;
    let lost = (one - w) - half;
    let lost = if V::Element::TRIG_TAIL {
        lost - r * tail
    } else {
        lost
    };
    w + (z * z).mul_add(c, lost)
}

/// `even` with the sign of the quadrant where the quadrant (the low bits of `shifted`, plus `ahead`) is even, else `odd`
/// with it: the sine of quadrants 0 to 3 is `s, c, -s, -c`.
#[inline(always)]
fn by_quadrant<S: Simd, V: Lanes<S>>(
    simd: S,
    shifted: V,
    ahead: <V::Element as fearless_simd::SimdFloatElement>::Bits,
    even: V,
    odd: V,
) -> V {
    let one = V::Bits::splat(simd, V::Element::ONE_BIT);
    let two = V::Bits::splat(simd, V::Element::TWO_BIT);
    let quadrant = shifted.to_bits() + V::Bits::splat(simd, ahead);
    let is_odd = (quadrant & one).simd_eq(one);
    let sign = (quadrant & two) << (V::Element::SIGN_SHIFT - 1);
    V::from_bits(select(is_odd, odd, even).to_bits() ^ sign)
}

/// `y`, but `x` itself where that is a zero, whose sign the reduction loses.
#[inline(always)]
fn keep_zero<S: Simd, V: Lanes<S>>(simd: S, x: V, y: V) -> V {
    select(x.simd_eq(splat::<S, V>(simd, 0.0)), x, y)
}

/// The sine, of any argument however large.
#[inline(always)]
pub fn sin<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let (shifted, r, tail) = reduce(simd, x);
    let (s, c) = (sin_kernel(simd, r, tail), cos_kernel(simd, r, tail));
    let sine = by_quadrant(simd, shifted, Default::default(), s, c);
    keep_zero(simd, x, sine)
}

/// The cosine, of any argument however large.
#[inline(always)]
pub fn cos<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let (shifted, r, tail) = reduce(simd, x);
    let (s, c) = (sin_kernel(simd, r, tail), cos_kernel(simd, r, tail));
    by_quadrant(simd, shifted, V::Element::ONE_BIT, s, c)
}

/// The sine and the cosine, which have the reduction and both kernels in common.
#[inline(always)]
pub fn sin_cos<S: Simd, V: Lanes<S>>(simd: S, x: V) -> (V, V) {
    let (shifted, r, tail) = reduce(simd, x);
    let (s, c) = (sin_kernel(simd, r, tail), cos_kernel(simd, r, tail));
    let sine = by_quadrant(simd, shifted, Default::default(), s, c);
    let cosine = by_quadrant(simd, shifted, V::Element::ONE_BIT, s, c);
    (keep_zero(simd, x, sine), cosine)
}

/// Magnitudes below this are what the reduction leaves of them, with quadrant 0: a little less than `pi / 4`.
pub const TRIG_NEAR: f64 = 0.78;

/// [`sin_cos`] where every lane is below [`TRIG_NEAR`] in magnitude and none is 0: the same bits without the reduction,
/// which is half of the time from argument to result.
#[inline(always)]
pub fn sin_cos_near<S: Simd, V: Lanes<S>>(simd: S, x: V) -> (V, V) {
    let tail = splat(simd, 0.0);
    (sin_kernel(simd, x, tail), cos_kernel(simd, x, tail))
}

/// The tangent, of any argument however large.
#[inline(always)]
pub fn tan<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let (shifted, r, tail) = reduce(simd, x);
    let (s, c) = (sin_kernel(simd, r, tail), cos_kernel(simd, r, tail));
    let one = V::Bits::splat(simd, V::Element::ONE_BIT);
    let is_odd = (shifted.to_bits() & one).simd_eq(one);
    keep_zero(simd, x, select(is_odd, -c, s) / select(is_odd, s, c))
}

/// The sine and the cosine of `pi x`, reduced exactly: `x` modulo 2, then by the nearest half.
#[inline(always)]
pub(super) fn sin_cos_pi<S: Simd, V: Lanes<S>>(simd: S, x: V) -> (V, V) {
    let half = splat::<S, V>(simd, 0.5);
    let turns = (x * half).round_ties_even();
    let rest = x - (turns + turns);
    let magic = V::splat(simd, V::Element::MAGIC);
    let shifted = rest + rest + magic;
    let part = rest - (shifted - magic) * half;
    let [pi, pi_tail, _] = V::Element::FRAC_PI_2.map(|part| V::splat(simd, part + part));
    let (r, r_error) = two_product(part, pi);
    let tail = part.mul_add(pi_tail, r_error);
    let (s, c) = (sin_kernel(simd, r, tail), cos_kernel(simd, r, tail));
    let sine = by_quadrant(simd, shifted, Default::default(), s, c);
    let cosine = by_quadrant(simd, shifted, V::Element::ONE_BIT, s, c);
    (sine, cosine)
}

/// `sin(pi x) / (pi x)`: 1 at 0, and 0 at infinity, its limit.
#[inline(always)]
pub fn sinc<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    let (zero, one) = (splat::<S, V>(simd, 0.0), splat::<S, V>(simd, 1.0));
    let (sine, _) = sin_cos_pi(simd, x);
    let y = sine / (x * splat::<S, V>(simd, std::f64::consts::PI));
    // IEEE's sine of integers has their sign, so that the quotient has none.
    let y = select(y.simd_eq(zero), zero, y);
    let y = select(x.simd_eq(zero), one, y);
    select(
        x.abs().simd_eq(V::splat(simd, V::Element::INFINITY)),
        zero,
        y,
    )
}
