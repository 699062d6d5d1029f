//! Reduction of huge arguments modulo `pi / 2`, one lane at a time.

/// A zero word, then the leading 1280 bits of `2 / pi`, most significant word first.
const FRAC_2_PI: [u64; 21] = [
    0,
    0xa2f9836e4e441529,
    0xfc2757d1f534ddc0,
    0xdb6295993c439041,
    0xfe5163abdebbc561,
    0xb7246e3a424dd2e0,
    0x06492eea09d1921c,
    0xfe1deb1cb129a73e,
    0xe88235f52ebb4484,
    0xe99c7026b45f7e41,
    0x3991d639835339f4,
    0x9c845f8bbdf9283b,
    0x1ff897ffde05980f,
    0xef2f118b5a0a6d1f,
    0x6d367ecf27cb09b7,
    0x4f463f669e5fea2d,
    0x7527bac7ebe5f17b,
    0x3d0739f78a5292ea,
    0x6bfb5fb11f8d5d08,
    0x56033046fc7b6bab,
    0xf0cfbc209af4361d,
];

/// `pi / 2` in two words.
const FRAC_PI_2: [f64; 2] = [1.5707963267948966, 6.123233995736766e-17];

/// `(r, tail, quadrant)` with `x = quadrant pi / 2 + r + tail` modulo `2 pi`, for `|x| >= 2^-9`; NaN for infinities.
///
/// Payne and Hanek's reduction, in integers: of `2 / pi`, only the 192 bits matter that follow those whose product with
/// `x` is a multiple of 4. Two bits of the product are the quadrant and 126 the fraction, of which 64 are significant at
/// worst: no double comes nearer to a multiple of `pi / 2` than some `2^-62`. One compiled copy serves all levels with
/// the same bits.
#[cold]
#[inline(never)]
pub(super) fn reduce(x: f64) -> (f64, f64, u8) {
    if !x.is_finite() {
        return (f64::NAN, f64::NAN, 0);
    }
    let bits = x.to_bits();
    let significand = (bits & ((1 << 52) - 1)) | (1 << 52);
    // |x| = significand * 2^exponent. The window starts at bit exponent - 2 of 2/pi, 64 later in the table.
    let exponent = ((bits >> 52) & 0x7ff) as usize;
    let start = exponent + 62 - 1075;
    let (word, shift) = (start / 64, start % 64);
    let at = |i: usize| {
        let pair = u128::from(FRAC_2_PI[i]) << 64 | u128::from(FRAC_2_PI[i + 1]);
        ((pair << shift) >> 64) as u64
    };
    let high = u128::from(significand.wrapping_mul(at(word))) << 64;
    let middle = u128::from(significand) * u128::from(at(word + 1));
    let low = (u128::from(significand) * u128::from(at(word + 2))) >> 64;
    // In units of 2^-126 of a quarter turn, modulo 4.
    let turns = high.wrapping_add(middle).wrapping_add(low);
    let quadrant = (turns.wrapping_add(1 << 125) >> 126) as u8;
    let fraction = turns
        .wrapping_sub(u128::from(quadrant) << 126)
        .cast_signed();
    let (r, tail) = radians(fraction.unsigned_abs());
    let (r, tail) = if (fraction < 0) == (x < 0.0) {
        (r, tail)
    } else {
        (-r, -tail)
    };
    let quadrant = if x < 0.0 { 4 - quadrant } else { quadrant };
    (r, tail, quadrant)
}

/// `fraction * 2^-126 * pi / 2` in two words.
fn radians(fraction: u128) -> (f64, f64) {
    let lead = fraction.leading_zeros();
    if lead == 128 {
        return (0.0, 0.0);
    }
    let normal = fraction << lead;
    let scale = f64::from_bits(u64::from(1023 + 2 - lead) << 52);
    let high = (normal >> 75) as f64 * scale * 2f64.powi(-53);
    let low = ((normal << 53) >> 64) as f64 * scale * 2f64.powi(-117);
    let product = high * FRAC_PI_2[0];
    let error = high.mul_add(FRAC_PI_2[0], -product) + (high * FRAC_PI_2[1] + low * FRAC_PI_2[0]);
    let r = product + error;
    (r, error - (r - product))
}
