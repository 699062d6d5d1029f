//! Arguments: bit patterns for `f32`, random and structured points, the limits of every function.

/// A small generator (splitmix64): tests need the same points everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * 2f64.powi(-53)
    }

    /// Uniform in `[-bound, bound)`.
    pub fn within(&mut self, bound: f64) -> f64 {
        (2.0 * self.unit() - 1.0) * bound
    }
}

/// The `f32` of every `stride`-th bit pattern in blocks of up to `block` patterns, from the `index`-th block.
pub fn singles(stride: u64, block: usize, index: u64) -> Vec<f32> {
    let first = index * block as u64 * stride;
    (0..block as u64)
        .map(|i| first + i * stride)
        .take_while(|&bits| bits < 1 << 32)
        .map(|bits| f32::from_bits(bits as u32))
        .collect()
}

/// A point of `f64`, of one of the kinds that elementary functions find hard.
pub fn double(random: &mut Random) -> f64 {
    match random.bits() % 12 {
        // Any bit pattern: exponents uniform.
        0 | 1 => f64::from_bits(random.bits()),
        // The exponents where most functions live.
        2 | 3 => {
            let exponent = (random.within(40.0)) as i32;
            random.within(2.0) * 2f64.powi(exponent)
        }
        4 => random.within(1.0),
        5 => random.within(6.0),
        6 => random.within(40.0),
        7 => random.within(750.0),
        // Around 1 and -1.
        8 => {
            let away = random.within(1.0) * 2f64.powi(-((random.bits() % 53) as i32));
            (1.0 + away).copysign(random.within(1.0))
        }
        // Around multiples of pi / 2, small and large.
        9 => near_multiple(random, 1e4),
        10 => near_multiple(random, 1e9),
        // Around multiples of ln 2 / 2.
        _ => (random.within(2100.0).trunc() * 0.5 + random.within(1e-8)) * std::f64::consts::LN_2,
    }
}

fn near_multiple(random: &mut Random, bound: f64) -> f64 {
    let multiple = random.within(bound).trunc() * std::f64::consts::FRAC_PI_2;
    f64::from_bits(multiple.to_bits().wrapping_add(random.bits() % 5))
}

/// Arguments of `pow`, mostly such that the result is finite and not zero in a format whose largest number is `e^bound`.
pub fn power(random: &mut Random, bound: f64) -> (f64, f64) {
    let x = match random.bits() % 4 {
        0 => 2f64.powf(random.within(bound * std::f64::consts::LOG2_E)),
        1 => 2f64.powf(random.within(2.0)),
        2 => 1.0 + random.within(1.0) * 2f64.powi(-((random.bits() % 40) as i32)),
        _ => -(random.unit() * 20.0).ceil(),
    };
    let y = match random.bits() % 4 {
        // Near the limits of the range.
        0 => (bound + random.within(1.0)).copysign(random.within(1.0)) / x.abs().ln(),
        1 => random.within(40.0).trunc() * 0.5,
        _ => random.within(1.05 * bound) / x.abs().ln(),
    };
    (x, if x < 0.0 { y.trunc() } else { y })
}

/// Where functions change: the edges of their domains, their thresholds of overflow, underflow and saturation in either
/// type, the limits of the formats, arguments next to a multiple of `pi / 2`. Each with either sign.
pub fn limits() -> Vec<f64> {
    let magnitudes = [
        0.0,
        f64::from_bits(1),
        f64::MIN_POSITIVE,
        f64::from(f32::from_bits(1)),
        f64::from(f32::MIN_POSITIVE),
        f64::EPSILON,
        f64::from(f32::EPSILON),
        0.5,
        std::f64::consts::FRAC_1_SQRT_2,
        std::f64::consts::FRAC_PI_4,
        1.0,
        std::f64::consts::SQRT_2,
        std::f64::consts::FRAC_PI_2,
        2.0,
        3.0,
        std::f64::consts::PI,
        // tanh, expm1 and erf saturate.
        4.0,
        5.9,
        9.02,
        17.4,
        19.07,
        20.0,
        37.5,
        40.0,
        // erfc and the normal distribution underflow.
        9.2,
        10.06,
        12.9,
        14.2,
        26.55,
        27.23,
        37.52,
        38.6,
        // exp overflows and underflows.
        87.0,
        87.34,
        88.722_84,
        103.28,
        103.98,
        104.0,
        708.4,
        709.782_712_893_384,
        745.133_219_101_941,
        746.0,
        // Argument reduction changes its way, and its hardest arguments.
        131_072.0,
        268_435_456.0,
        16_367_173.0 * 2f64.powi(72),
        6_381_956_970_095_103.0 * 2f64.powi(797),
        8_388_608.0,
        4_503_599_627_370_496.0,
        f64::from(f32::MAX),
        f64::MAX,
        f64::INFINITY,
    ];
    let signed = magnitudes.into_iter().flat_map(|m| [m, -m]);
    signed.chain([f64::NAN]).collect()
}
