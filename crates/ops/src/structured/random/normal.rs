//! Standard normals by inversion: algorithm AS241 (Wichura, "The percentage points of the normal distribution", Applied
//! Statistics 37, 1988), PPND7 for `f32` and PPND16 for `f64`.
//!
//! Inversion spends one uniform number a normal, keeps the tail exact and needs no pairs. Everything is `+ - * /` and
//! square root, each rounded once and never contracted, the logarithm of the tail included, so that every level computes
//! the same bits. Against the exact quantile the rational functions are off by at most 1.2e-7 (`f32`) and 1e-16 (`f64`)
//! relative, over the arguments that occur. (One rational function of `ln(4 p (1 - p))` for the whole range, without the
//! two cases, was tried: it takes degree 8 over 7 to get to 2e-8.)

use fearless_simd::prelude::*;
use fearless_simd::{f32x16, f64x8, i32x16, u32x16, u64x8};

/// The coefficients of AS241 for one precision: numerators and denominators, lowest power first.
pub(super) trait Fit: Copy + 'static {
    /// `|p - 1/2| <= 0.425`.
    const CENTRE: [&'static [Self]; 2];
    /// `sqrt(-ln p) <= 5`.
    const TAIL: [&'static [Self]; 2];
    /// The rest, if this precision has arguments so small.
    const FAR: Option<[&'static [Self]; 2]>;
    /// `2 / 3, 2 / 5, ..`: the series of `2 atanh f` in `f^2` after its first term, as long as the precision needs.
    const ATANH: &'static [Self];
    const LN_2: Self;

    fn of(x: f64) -> Self;
}

/// A packet of floats.
pub(super) trait Lanes<S: Simd>: SimdFloat<S, Element: Fit, Mask: Select<Self>> {
    /// Random bits of the lanes' width.
    type Words: Copy;

    /// Uniform in `(0, 1]`.
    fn magnitude(words: Self::Words) -> Self;
    /// `self` with the lowest bit of the words, which `magnitude` does not read, as its sign. `self >= 0`.
    fn signed(self, words: Self::Words) -> Self;
    /// `(m, e)` with `self = m 2^e`, `m` in `[sqrt(1/2), sqrt 2)`; for positive normal numbers.
    fn split(self) -> (Self, Self);
}

/// Standard normals of random words.
#[inline(always)]
pub(super) fn normals<S: Simd, V: Lanes<S>>(words: V::Words) -> V {
    upper_quantile(V::magnitude(words)).signed(words)
}

/// The `x` that a standard normal exceeds with probability `h / 2`, for `h` in `(0, 1]`: half-normal in distribution if
/// `h` is uniform.
#[inline(always)]
fn upper_quantile<S: Simd, V: Lanes<S>>(h: V) -> V {
    let p = h * constant(h, 0.5);
    let q = (constant(h, 1.0) - h) * constant(h, 0.5);
    let central = q.simd_le(constant(h, 0.425));
    let tail = (constant(h, 0.0) - ln(p)).sqrt();
    let r = central.select(constant(h, 0.180625) - q * q, tail - constant(h, 1.6));
    // Both cases share one division: numerators and denominators are chosen, not quotients.
    let n = central.select(
        horner(V::Element::CENTRE[0], r),
        horner(V::Element::TAIL[0], r),
    );
    let d = central.select(
        horner(V::Element::CENTRE[1], r),
        horner(V::Element::TAIL[1], r),
    );
    let x = n / d;
    let x = central.select(q * x, x);
    if let Some(fit) = V::Element::FAR {
        let far = tail.simd_gt(constant(h, 5.0));
        if far.any_true() {
            return far.select(far_quantile(tail, fit), x);
        }
    }
    x
}

/// [`upper_quantile`] where `tail = sqrt(-ln p) > 5`, as it is for one draw in 10^11.
#[inline(always)]
fn far_quantile<S: Simd, V: Lanes<S>>(tail: V, [n, d]: [&[V::Element]; 2]) -> V {
    let r = tail - constant(tail, 5.0);
    horner(n, r) / horner(d, r)
}

/// `x` in every lane of a vector like `like`.
#[inline(always)]
fn constant<S: Simd, V: Lanes<S>>(like: V, x: f64) -> V {
    V::splat(like.token(), V::Element::of(x))
}

#[inline(always)]
fn horner<S: Simd, V: Lanes<S>>(coefficients: &[V::Element], x: V) -> V {
    let mut sum = V::splat(x.token(), coefficients[coefficients.len() - 1]);
    for &c in coefficients.iter().rev().skip(1) {
        sum = sum * x + V::splat(x.token(), c);
    }
    sum
}

/// `ln x = e ln 2 + 2 atanh((m - 1) / (m + 1))`, off by at most an ulp or two of the larger term.
#[inline(always)]
fn ln<S: Simd, V: Lanes<S>>(x: V) -> V {
    let (m, e) = x.split();
    let one = constant(x, 1.0);
    let f = (m - one) / (m + one);
    let s = f * f;
    let series = f * s * horner(V::Element::ATANH, s);
    e * V::splat(x.token(), V::Element::LN_2) + (f + f + series)
}

impl<S: Simd> Lanes<S> for f32x16<S> {
    type Words = u32x16<S>;

    #[inline(always)]
    fn magnitude(words: u32x16<S>) -> Self {
        // 31 bits are a non-negative signed integer, which every level converts.
        let m: Self = (words >> 1).bitcast::<i32x16<S>>().to_float();
        (m + 0.5) * (1.0 / 2147483648.0)
    }
    #[inline(always)]
    fn signed(self, words: u32x16<S>) -> Self {
        (self.bitcast::<u32x16<S>>() ^ (words << 31)).bitcast()
    }
    #[inline(always)]
    fn split(self) -> (Self, Self) {
        // Adding what lies between sqrt(1/2) and 1 carries into the exponent from sqrt 2 on.
        let shifted = self.bitcast::<u32x16<S>>() + (0x3f80_0000 - 0x3f35_04f3);
        let e: Self = (shifted >> 23).bitcast::<i32x16<S>>().to_float();
        let m = (shifted & 0x007f_ffff) + 0x3f35_04f3;
        (m.bitcast(), e - 127.0)
    }
}

impl<S: Simd> Lanes<S> for f64x8<S> {
    type Words = u64x8<S>;

    #[inline(always)]
    fn magnitude(words: u64x8<S>) -> Self {
        // 52 bits as a fraction in [1, 2), then the odd multiple of 2^-53 in (0, 1): both exact.
        let m: Self = ((words >> 12) | 0x3ff0_0000_0000_0000).bitcast();
        (m - 1.0) + f64::EPSILON / 2.0
    }
    #[inline(always)]
    fn signed(self, words: u64x8<S>) -> Self {
        (self.bitcast::<u64x8<S>>() ^ (words << 63)).bitcast()
    }
    #[inline(always)]
    fn split(self) -> (Self, Self) {
        let bits = self.bitcast::<u64x8<S>>();
        let shifted = bits + (0x3ff0_0000_0000_0000 - 0x3fe6_a09e_667f_3bcd);
        // Not every level converts 64-bit integers: the exponent becomes the low bits of 2^52 instead.
        let e: Self = ((shifted >> 52) | 0x4330_0000_0000_0000).bitcast();
        let m = (shifted & 0x000f_ffff_ffff_ffff) + 0x3fe6_a09e_667f_3bcd;
        (m.bitcast(), e - (4503599627370496.0 + 1023.0))
    }
}

impl Fit for f32 {
    const CENTRE: [&'static [f32]; 2] = [
        &[3.3871327179, 5.0434271938e1, 1.5929113202e2, 5.9109374720e1],
        &[1.0, 1.7895169469e1, 7.8757757664e1, 6.7187563600e1],
    ];
    const TAIL: [&'static [f32]; 2] = [
        &[1.4234372777, 2.7568153900, 1.3067284816, 1.7023821103e-1],
        &[1.0, 7.3700164250e-1, 1.2021132975e-1],
    ];
    // The smallest `p` is 2^-33.
    const FAR: Option<[&'static [f32]; 2]> = None;
    const ATANH: &'static [f32] = &[2.0 / 3.0, 2.0 / 5.0, 2.0 / 7.0, 2.0 / 9.0];
    const LN_2: f32 = std::f32::consts::LN_2;

    #[inline(always)]
    fn of(x: f64) -> f32 {
        x as f32
    }
}

impl Fit for f64 {
    const CENTRE: [&'static [f64]; 2] = [
        &[
            3.3871328727963666080,
            1.3314166789178437745e2,
            1.9715909503065514427e3,
            1.3731693765509461125e4,
            4.5921953931549871457e4,
            6.7265770927008700853e4,
            3.3430575583588128105e4,
            2.5090809287301226727e3,
        ],
        &[
            1.0,
            4.2313330701600911252e1,
            6.8718700749205790830e2,
            5.3941960214247511077e3,
            2.1213794301586595867e4,
            3.9307895800092710610e4,
            2.8729085735721942674e4,
            5.2264952788528545610e3,
        ],
    ];
    const TAIL: [&'static [f64]; 2] = [
        &[
            1.42343711074968357734,
            4.63033784615654529590,
            5.76949722146069140550,
            3.64784832476320460504,
            1.27045825245236838258,
            2.41780725177450611770e-1,
            2.27238449892691845833e-2,
            7.74545014278341407640e-4,
        ],
        &[
            1.0,
            2.05319162663775882187,
            1.67638483018380384940,
            6.89767334985100004550e-1,
            1.48103976427480074590e-1,
            1.51986665636164571966e-2,
            5.47593808499534494600e-4,
            1.05075007164441684324e-9,
        ],
    ];
    const FAR: Option<[&'static [f64]; 2]> = Some([
        &[
            6.65790464350110377720,
            5.46378491116411436990,
            1.78482653991729133580,
            2.96560571828504891230e-1,
            2.65321895265761230930e-2,
            1.24266094738807843860e-3,
            2.71155556874348757815e-5,
            2.01033439929228813265e-7,
        ],
        &[
            1.0,
            5.99832206555887937690e-1,
            1.36929880922735805310e-1,
            1.48753612908506148525e-2,
            7.86869131145613259100e-4,
            1.84631831751005468180e-5,
            1.42151175831644588870e-7,
            2.04426310338993978564e-15,
        ],
    ]);
    const ATANH: &'static [f64] = &[
        2.0 / 3.0,
        2.0 / 5.0,
        2.0 / 7.0,
        2.0 / 9.0,
        2.0 / 11.0,
        2.0 / 13.0,
        2.0 / 15.0,
        2.0 / 17.0,
        2.0 / 19.0,
    ];
    const LN_2: f64 = std::f64::consts::LN_2;

    #[inline(always)]
    fn of(x: f64) -> f64 {
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Level, at_level};

    fn half_normal_f32(h: f32) -> f32 {
        at_level!(Level::Baseline, simd => upper_quantile(f32x16::splat(simd, h)).as_slice()[0])
    }

    fn half_normal_f64(h: f64) -> f64 {
        at_level!(Level::Baseline, simd => upper_quantile(f64x8::splat(simd, h)).as_slice()[0])
    }

    /// Upper tail of the standard normal by the continued fraction of Mills' ratio or the Taylor series about 0.
    fn upper_tail(x: f64) -> f64 {
        let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
        if x < 2.5 {
            let (mut term, mut sum, mut k) = (x, x, 1.0);
            while term > 1e-18 {
                term *= x * x / (2.0 * k + 1.0);
                sum += term;
                k += 1.0;
            }
            return 0.5 - density * sum;
        }
        let mut fraction = x;
        for k in (1..200).rev() {
            fraction = x + f64::from(k) / fraction;
        }
        density / fraction
    }

    #[test]
    fn quantiles_invert_the_distribution() {
        for i in 1..4000 {
            // From 1 down to 2^-53, even in the exponent.
            let h = (-f64::from(i) * 53.0 / 4000.0).exp2();
            let x = half_normal_f64(h);
            // An error in x shows in the tail multiplied by at most about x + 1.
            let seen = 2.0 * upper_tail(x) / h - 1.0;
            assert!(
                seen.abs() < 2e-14 * (1.0 + x),
                "h = {h:e}: x = {x}, off by {seen:e}"
            );
            if h >= f64::from(2f32.powi(-32)) {
                let h = h as f32;
                let x = f64::from(half_normal_f32(h));
                let exact = half_normal_f64(f64::from(h));
                assert!(
                    (x - exact).abs() < 6e-7 * (1.0 + exact),
                    "h = {h:e}: {x} instead of {exact}"
                );
            }
        }
        assert_eq!(half_normal_f32(1.0), 0.0);
        assert_eq!(half_normal_f64(1.0), 0.0);
    }
}
