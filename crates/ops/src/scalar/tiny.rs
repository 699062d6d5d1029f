//! Products of single numbers near the lower end of `f32`, without the processor's help.
//!
//! Where an operand or the result of a product is subnormal, processors of one large maker interrupt themselves and finish
//! it in microcode: some 200 cycles instead of 4. The adjoint of a long recurrence passes through that range on its way to
//! zero (0.6^n is subnormal from n = 171 to 202), and there the interpreter would spend more time than on all the rest. So such
//! products are recognised by their exponents and made in `f64`, where they are exact and no number is subnormal, and
//! rounded once: the same bits.

/// Lowest biased exponent of a number that is not subnormal, in place.
const NORMAL: u32 = 1 << 23;
/// Of the biased exponents' sum, in place: from here on a product of normal numbers is normal, whatever their fractions.
const SAFE: u32 = (127 + 3) << 23;

/// `x y`.
#[inline(always)]
pub(super) fn product(x: f32, y: f32) -> f32 {
    let [a, b] = [x, y].map(|v| v.to_bits() & 0x7f80_0000);
    // Neither signs nor fractions are in the sum, which is less than 2^32.
    if a.min(b) < NORMAL || a + b < SAFE {
        careful(x, y)
    } else {
        x * y
    }
}

/// `x y`, where an exponent is small.
#[cold]
#[inline(never)]
fn careful(x: f32, y: f32) -> f32 {
    let exact = wide(x) * wide(y);
    // From 2^-149 up to here, numbers of `f32` are 2^-149 apart.
    const EVEN: f64 = 1.0 / (1u128 << 125) as f64;
    if exact.abs() < EVEN {
        // The number of those steps, rounded to the nearest, ties to even, by what f64 drops when 2^52 is added.
        const STEPS: f64 = (1u128 << 75) as f64 * (1u128 << 74) as f64;
        const WHOLE: f64 = (1u64 << 52) as f64;
        let steps = (exact.abs() * STEPS + WHOLE).to_bits() as u32;
        let sign = (x.to_bits() ^ y.to_bits()) & 0x8000_0000;
        f32::from_bits(steps | sign)
    } else {
        exact as f32
    }
}

/// The same number, whatever it is, converted without a subnormal operand.
fn wide(x: f32) -> f64 {
    const STEP: f64 = 1.0 / ((1u128 << 75) as f64 * (1u128 << 74) as f64);
    if x.to_bits() & 0x7f80_0000 == 0 {
        // Subnormal or zero: a whole number of steps; the sign of zero is kept.
        let steps = f64::from(x.to_bits() & 0x007f_ffff) * STEP;
        steps.copysign(if x.is_sign_negative() { -1.0 } else { 1.0 })
    } else {
        f64::from(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers around every edge: zero, the smallest, the largest subnormal, the smallest normal, one, the largest,
    /// infinities, and many between.
    fn numbers() -> impl Iterator<Item = f32> {
        let edges = [
            0u32,
            1,
            2,
            3,
            0x0040_0000,
            0x007f_fffe,
            0x007f_ffff,
            0x0080_0000,
            0x0080_0001,
            0x0100_0000,
            0x1f80_0000,
            0x2000_0000,
            0x3f00_0000,
            0x3f7f_ffff,
            0x3f80_0000,
            0x3f80_0001,
            0x4000_0000,
            0x7f7f_ffff,
            0x7f80_0000,
        ];
        // A linear congruence is enough to meet all exponents with all kinds of fractions.
        let drawn = (0..1500u32).scan(12345u32, |state, _| {
            *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            Some((*state >> 1) % 0x7f80_0000)
        });
        // And those with small exponents, which meet each other and numbers about one.
        let small = (0..300u32).map(|i| i.wrapping_mul(2_654_435_761) >> 5 & 0x03ff_ffff);
        edges
            .into_iter()
            .chain(drawn)
            .chain(small)
            .flat_map(|bits| [f32::from_bits(bits), -f32::from_bits(bits)])
    }

    #[test]
    fn bits_are_those_of_the_processor() {
        let numbers: Vec<f32> = numbers().collect();
        for &x in &numbers {
            for &y in &numbers {
                let (ours, theirs) = (product(x, y), x * y);
                // Zero times infinity: any of the NaNs.
                let same = ours.to_bits() == theirs.to_bits() || ours.is_nan() && theirs.is_nan();
                assert!(same, "{x:e} times {y:e}: {ours:e} instead of {theirs:e}");
            }
        }
        assert!(product(f32::NAN, 1e-40).is_nan() && product(0.0, f32::NAN).is_nan());
    }

    /// Ties go to the even one, from both sides.
    #[test]
    fn halves_of_a_step_round_to_even() {
        let step = f32::from_bits(1);
        for (steps, rounded) in [(1u32, 0), (3, 2), (5, 2), (7, 4), (9, 4)] {
            assert_eq!(product(f32::from_bits(steps), 0.5).to_bits(), rounded);
            assert_eq!(
                product(-0.5, f32::from_bits(steps)).to_bits(),
                rounded | 1 << 31
            );
        }
        assert_eq!(product(step, 0.75), step);
    }
}
