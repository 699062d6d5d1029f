//! What differs between `f32` and `f64`: constants, coefficients and the kernels of different shape.
//!
//! The coefficients are minimax, by Remez exchange in 60 digits, rounded one by one (`fit.py`); the error noted is that of
//! the unrounded polynomial under the stated weight.

use fearless_simd::Simd;

use super::huge;
use super::lanes::{Lanes, Real, polynomial};
use super::pow::{pow_double, pow_widened};

/// `(ln(1 + f) - f + f^2 / 2) / f^3` on half an octave to either side: 2^-30.
const LN_SINGLE: [f32; 9] = [
    0.3333331048,
    -0.2499998659,
    0.2000222653,
    -0.1666925102,
    0.1421866119,
    -0.123843506,
    0.118729569,
    -0.1178979129,
    0.06915392727,
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
    const EXP_NORMAL: f32 = 87.0;
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

    // 2^-29.
    const TANH: &[f32] = &[
        -0.3333331943,
        0.1333260238,
        -0.05385385826,
        0.02107775211,
        -0.00628246367,
    ];
    const TANH_NEAR: f32 = 0.55;
    const TANH_MAX: f32 = 9.1;
    // 2^-32.
    const LOG1P: &[f32] = &[
        0.6666667461,
        0.3999887705,
        0.2861688435,
        0.2142767459,
        0.243008703,
    ];

    const FRAC_2_PI: f32 = std::f32::consts::FRAC_2_PI;
    const FRAC_PI_2: [f32; 3] = [1.57079637051, -4.37113882867e-8, -1.71512451001e-15];
    const TRIG_MAX: f32 = 131072.0;
    const TRIG_TAIL: bool = false;
    // 2^-28.
    const SIN: &[f32] = &[-0.1666665375, 0.008332131431, -0.0001951083977];
    // 2^-33.
    const COS: &[f32] = &[0.04166664556, -0.001388730598, 2.443120684e-5];
    // 2^-30.
    const ERF: &[f32] = &[
        0.1283791661,
        -0.3761262596,
        0.1128360033,
        -0.0268544443,
        0.005189535208,
        -0.0008020839887,
        7.889112749e-5,
    ];
    // 2^-35.
    const LN_ERFC: &[f32] = &[
        0.0001884676312,
        -1.129580259,
        -0.6332163811,
        -0.1084220931,
        0.02521033585,
        -0.004205283243,
        0.0004414723371,
        -2.169758409e-5,
    ];
    const ERF_MAX: f32 = 4.0;
    // 2^-31.
    const ERFC: &[f32] = &[
        0.4312670231,
        0.7060174942,
        0.8580217957,
        0.7214667201,
        0.3259788156,
        -0.05388416722,
        -0.1536795795,
        -0.02042408846,
        0.07126022875,
        0.01363394037,
        -0.03177620098,
    ];
    const ERFC_CENTER: f32 = 563.0 / 1024.0;
    const ERFC_SENSITIVITY: [f32; 2] = [1.097, 0.960];
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
    const EXP_NORMAL: f64 = 708.0;
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

    // 2^-60.
    const TANH: &[f64] = &[
        -0.333333333333333,
        0.13333333333326833,
        -0.05396825396387894,
        0.021869488389112048,
        -0.008863232652927107,
        0.003592092533919576,
        -0.001455545992907941,
        0.0005884570853855986,
        -0.00023341282120358049,
        8.336020301652865e-05,
        -1.9521110887460826e-05,
    ];
    const TANH_NEAR: f64 = 0.55;
    const TANH_MAX: f64 = 20.0;
    // 2^-58.
    const LOG1P: &[f64] = &[
        0.6666666666666631,
        0.40000000000157243,
        0.28571428547854333,
        0.2222222396969169,
        0.18181743926541533,
        0.15386559886070358,
        0.13300974088777165,
        0.12106082223105397,
        0.08340119146324297,
        0.17018542829962252,
    ];

    const FRAC_2_PI: f64 = std::f64::consts::FRAC_2_PI;
    const FRAC_PI_2: [f64; 3] = [
        1.5707963267948966,
        6.123233995736766e-17,
        -1.4973849048591698e-33,
    ];
    const TRIG_MAX: f64 = 268435456.0;
    const TRIG_TAIL: bool = true;
    // 2^-58.
    const SIN: &[f64] = &[
        -0.16666666666666627,
        0.008333333333321284,
        -0.00019841269828869574,
        2.7557313355861836e-06,
        -2.505070401988598e-08,
        1.5893582946477344e-10,
    ];
    // 2^-64.
    const COS: &[f64] = &[
        0.04166666666666659,
        -0.0013888888888872598,
        2.4801587288491806e-05,
        -2.755731405649388e-07,
        2.0875681868490454e-09,
        -1.1357448102794997e-11,
    ];
    // 2^-57.
    const ERF: &[f64] = &[
        0.12837916709551256,
        -0.3761263890318355,
        0.11283791670945252,
        -0.026866170643275983,
        0.005223977607421778,
        -0.0008548325989628574,
        0.00012055295318818887,
        -1.492474463738959e-05,
        1.6447517425080417e-06,
        -1.6209174424050597e-07,
        1.3722971515330743e-08,
        -7.801182742825681e-10,
    ];
    // 2^-57.
    const LN_ERFC: &[f64] = &[
        -5.027884978106462e-07,
        -1.1283740900394297,
        -0.6366436256907744,
        -0.10270344578575905,
        0.018990190110727723,
        0.00041061320665646044,
        -0.001915928951813446,
        0.000770632458832849,
        -0.00013504417410157549,
        -2.0269427038656503e-05,
        2.282345898586717e-05,
        -8.66741749194022e-06,
        2.1357276064135847e-06,
        -3.733099739586899e-07,
        4.64235492588101e-08,
        -3.934294622261367e-09,
        2.0449682659892318e-10,
        -4.928601419272325e-12,
    ];
    const ERF_MAX: f64 = 6.0;
    // 2^-58.
    const ERFC: &[f64] = &[
        0.24352905252642226,
        0.39503812558608503,
        0.5821347223829637,
        0.774094033938125,
        0.9197047325385663,
        0.9617100573432592,
        0.8636934627243857,
        0.6370685652447768,
        0.3483918645284018,
        0.09364228822194529,
        -0.051823131212295016,
        -0.07554894313343781,
        -0.028949344552233178,
        0.016684930623865925,
        0.02336643486231653,
        0.0032243563267367304,
        -0.01123780999188408,
        -0.006341628033519509,
        0.004972228199662943,
        0.0048986780435636215,
        -0.003110906775680848,
        -0.0014566928977768944,
        0.001077045634890798,
    ];
    const ERFC_CENTER: f64 = 441.0 / 1024.0;
    const ERFC_SENSITIVITY: [f64; 2] = [0.443, 2.908];
    const ERFC_K: f64 = 0.25;
    const CDF_K: [f64; 2] = [0.1767766952966369, -1.2084116641816142e-17];
    const ERFC_MAX: f64 = 27.3;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value
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
