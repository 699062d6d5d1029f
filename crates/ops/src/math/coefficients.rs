//! What differs between `f32` and `f64`: constants, coefficients and the kernels of different shape.
//!
//! The coefficients are minimax, by Remez exchange in 60 digits, rounded one by one (`fit.py`); the error noted is that of
//! the unrounded polynomial under the stated weight.

use fearless_simd::{Simd, SimdBase};

use super::erf::erfc_positive;
use super::exp::{exp, hold};
use super::huge;
use super::lanes::{Lanes, Real, polynomial};
use super::pow::{pow_double, pow_widened};

/// `(ln(1 + f) - f + f^2 / 2) / f^3` on half an octave to either side: 2^-30.
const LN_SINGLE: [f32; 9] = [
    0.3333331048,
    -0.2499998659,
    0.2000222802,
    -0.1666925251,
    0.1421862841,
    -0.1238429546,
    0.1187316328,
    -0.1179022118,
    0.06915424019,
];

/// `(ln((1 + s) / (1 - s)) / s - 2) / z` in `z = s^2`, on half an octave to either side: 2^-65.
const LN_DOUBLE: [f64; 8] = [
    0.6666666666666666,
    0.40000000000006336,
    0.28571428569056434,
    0.22222222651243487,
    0.18181775308561926,
    0.15387106419212732,
    0.13249763694796698,
    0.13254564211093975,
];

/// `ln(erfc(x))` for `x` between 0.93 and 4, weighted for `1 - erfc(x)`: 2^-34.
const LN_ERFC_SINGLE: [f32; 8] = [
    0.0001773379772,
    -1.129527688,
    -0.6333212256,
    -0.1083083078,
    0.02513764426,
    -0.004177970812,
    0.0004358864389,
    -2.121806756e-05,
];

impl Real for f32 {
    const MANTISSA: u32 = 23;
    const SIGN_SHIFT: u32 = 31;
    const BIAS: u32 = 127;
    const BIAS_2: u32 = 254;
    const ONE_BIT: u32 = 1;
    const TWO_BIT: u32 = 2;
    const MANTISSA_MASK: u32 = (1 << 23) - 1;
    const SQRT_HALF_BITS: u32 = 0x3f35_04f3;
    const SQRT_HALF_TO_ONE: u32 = 1_f32.to_bits() - Self::SQRT_HALF_BITS;
    const MAGIC: f32 = 1.5 * Self::INTEGER;
    const MAGIC_BITS: u32 = Self::MAGIC.to_bits();
    const INTEGER: f32 = (1_u64 << 23) as f32;
    const INTEGER_BITS: u32 = Self::INTEGER.to_bits();
    const INTEGER_BIAS: f32 = Self::INTEGER + 127.0;
    const MIN_NORMAL: f32 = f32::MIN_POSITIVE;
    const INFINITY: f32 = f32::INFINITY;
    const NAN: f32 = f32::NAN;
    const LIFT: f32 = 2.0 * Self::INTEGER;

    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // Cephes' split.
    const LN2_HI: f32 = 0.693359375;
    const LN2_LO: f32 = -2.12194440e-4;
    const EXP_MAX: f32 = 89.0;
    const EXP_MIN: f32 = -104.0;
    const EXPM1_MIN: f32 = -20.0;
    // 2^-28.
    const EXP: &[f32] = &[
        0.4999999404,
        0.1666652113,
        0.04166839272,
        0.008368744515,
        0.001381452894,
    ];
    // 2^-32.
    const EXPM1: &[f32] = &[
        0.5,
        0.1666666716,
        0.04166635498,
        0.008333273232,
        0.001394104911,
        0.0001991425961,
    ];

    const FRAC_2_PI: f32 = std::f32::consts::FRAC_2_PI;
    const FRAC_PI_2: [f32; 3] = [1.57079637051, -4.37113882867e-8, -1.71512451001e-15];
    const TRIG_MAX: f32 = 131072.0;
    const TRIG_TAIL: bool = false;
    // 2^-28.
    const SIN: &[f32] = &[
        -0.1666665524,
        0.00833217334,
        -0.0001951665618,
    ];
    // 2^-33.
    const COS: &[f32] = &[
        0.04166664556,
        -0.001388736186,
        2.443773155e-05,
    ];
    // 2^-30.
    const ERF: &[f32] = &[
        0.1283791661,
        -0.3761262596,
        0.1128360033,
        -0.0268544443,
        0.005189535208,
        -0.0008020839887,
        7.889112749e-05,
    ];
    // 2^-31.
    const ERFC: &[f32] = &[
        0.2115677446,
        0.2116692215,
        0.1954379082,
        0.1762479246,
        0.08126759529,
        0.219470337,
        -0.2720219791,
        0.4482466877,
        -0.428450197,
        0.1883409917,
        -0.03177620098,
    ];
    const ERFC_K: f32 = 0.375;
    const CDF_K: [f32; 2] = [0.265165030956, 1.19886873762e-8];
    const ERFC_MAX: f32 = 10.2;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value as f32
    }

    #[inline(always)]
    fn ln_tail<S: Simd, V: Lanes<S, Element = f32>>(simd: S, f: V) -> V {
        let z = f * f;
        (z * f).mul_add(polynomial(simd, f, &LN_SINGLE), z * -0.5)
    }

    #[inline(always)]
    fn erf_large<S: Simd, V: Lanes<S, Element = f32>>(simd: S, x: V) -> V {
        let x = hold(simd, x, 0.0, 4.0);
        V::splat(simd, 1.0) - exp(simd, polynomial(simd, x, &LN_ERFC_SINGLE))
    }

    #[inline(always)]
    fn pow_magnitude<S: Simd, V: Lanes<S, Element = f32>>(simd: S, x: V, y: V) -> V {
        let ([x0, x1], [y0, y1]) = (x.widen_lanes(), y.widen_lanes());
        V::narrow_lanes([pow_widened(simd, x0, y0), pow_widened(simd, x1, y1)])
    }

    fn reduce_huge(x: f32) -> (f32, f32, u8) {
        let (r, _, quadrant) = huge::reduce(f64::from(x));
        (r as f32, 0.0, quadrant)
    }

    fn rem_exact(x: f32, y: f32) -> f32 {
        x % y
    }
}

impl Real for f64 {
    const MANTISSA: u32 = 52;
    const SIGN_SHIFT: u32 = 63;
    const BIAS: u64 = 1023;
    const BIAS_2: u64 = 2046;
    const ONE_BIT: u64 = 1;
    const TWO_BIT: u64 = 2;
    const MANTISSA_MASK: u64 = (1 << 52) - 1;
    const SQRT_HALF_BITS: u64 = 0x3fe6_a09e_667f_3bcd;
    const SQRT_HALF_TO_ONE: u64 = 1_f64.to_bits() - Self::SQRT_HALF_BITS;
    const MAGIC: f64 = 1.5 * Self::INTEGER;
    const MAGIC_BITS: u64 = Self::MAGIC.to_bits();
    const INTEGER: f64 = (1_u64 << 52) as f64;
    const INTEGER_BITS: u64 = Self::INTEGER.to_bits();
    const INTEGER_BIAS: f64 = Self::INTEGER + 1023.0;
    const MIN_NORMAL: f64 = f64::MIN_POSITIVE;
    const INFINITY: f64 = f64::INFINITY;
    const NAN: f64 = f64::NAN;
    const LIFT: f64 = 2.0 * Self::INTEGER;

    const LOG2_E: f64 = std::f64::consts::LOG2_E;
    // fdlibm's split.
    const LN2_HI: f64 = 6.93147180369123816490e-01;
    const LN2_LO: f64 = 1.90821492927058770002e-10;
    const EXP_MAX: f64 = 710.0;
    const EXP_MIN: f64 = -746.0;
    const EXPM1_MIN: f64 = -40.0;
    // 2^-58.
    const EXP: &[f64] = &[
        0.5000000000000011,
        0.1666666666666641,
        0.04166666666652973,
        0.00833333333349507,
        0.00138888889437596,
        0.00019841269505573798,
        2.4801492949639555e-05,
        2.7557586977540287e-06,
        2.763030635488147e-07,
        2.4999965953370417e-08,
    ];
    // 2^-62.
    const EXPM1: &[f64] = &[
        0.5,
        0.16666666666666677,
        0.0416666666666667,
        0.008333333333321579,
        0.0013888888888866652,
        0.00019841269886264722,
        2.4801587360867533e-05,
        2.7557244063408214e-06,
        2.755724253171577e-07,
        2.5109089912309838e-08,
        2.092450421819219e-09,
    ];

    const FRAC_2_PI: f64 = std::f64::consts::FRAC_2_PI;
    const FRAC_PI_2: [f64; 3] = [1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33];
    const TRIG_MAX: f64 = 268435456.0;
    const TRIG_TAIL: bool = true;
    // 2^-58.
    const SIN: &[f64] = &[
        -0.16666666666666632,
        0.008333333333322314,
        -0.00019841269829724817,
        2.755731366195514e-06,
        -2.5050753251914876e-08,
        1.5896504359190316e-10,
    ];
    // 2^-64.
    const COS: &[f64] = &[
        0.0416666666666666,
        -0.001388888888887399,
        2.4801587289395082e-05,
        -2.7557314326070805e-07,
        2.08757195637335e-09,
        -1.1359448926482873e-11,
    ];
    // 2^-57.
    const ERF: &[f64] = &[
        0.12837916709551256,
        -0.3761263890318352,
        0.11283791670944185,
        -0.02686617064311144,
        0.005223977606118201,
        -0.0008548325929299106,
        0.00012055293576377275,
        -1.4924712290816286e-05,
        1.6447131419811136e-06,
        -1.6206312501557555e-07,
        1.3710974567312202e-08,
        -7.779456921831154e-10,
    ];
    // 2^-58.
    const ERFC: &[f64] = &[
        0.14104739588000356,
        0.14104739632744273,
        0.13663965179322662,
        0.12782443800044346,
        0.1150112793789775,
        0.09906343920719547,
        0.0808740510898986,
        0.06354203503788945,
        0.04024027262717516,
        0.044691632480421566,
        -0.025972176949307126,
        0.09897592098576743,
        -0.14936133399395735,
        0.1777622549755543,
        -0.11995341161092281,
        -0.04472889979718327,
        0.23050964891272369,
        -0.326342262582555,
        0.28103389181955296,
        -0.15752919566718387,
        0.05620820601736217,
        -0.011661279567416076,
        0.001077045634890798,
    ];
    const ERFC_K: f64 = 0.25;
    const CDF_K: [f64; 2] = [0.1767766952966369, -1.2084116641816142e-17];
    const ERFC_MAX: f64 = 27.3;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value as f64
    }

    #[inline(always)]
    fn ln_tail<S: Simd, V: Lanes<S, Element = f64>>(simd: S, f: V) -> V {
        let s = f / (f + 2.0);
        let z = s * s;
        let half_square = f * f * 0.5;
        let series = half_square + z * polynomial(simd, z, &LN_DOUBLE);
        s.mul_add(series, -half_square)
    }

    #[inline(always)]
    fn erf_large<S: Simd, V: Lanes<S, Element = f64>>(simd: S, x: V) -> V {
        V::splat(simd, 1.0) - erfc_positive(simd, x)
    }

    #[inline(always)]
    fn pow_magnitude<S: Simd, V: Lanes<S, Element = f64>>(simd: S, x: V, y: V) -> V {
        pow_double(simd, x, y)
    }

    fn reduce_huge(x: f64) -> (f64, f64, u8) {
        huge::reduce(x)
    }

    fn rem_exact(x: f64, y: f64) -> f64 {
        x % y
    }
}
