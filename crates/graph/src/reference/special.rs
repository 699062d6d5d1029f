//! Special functions by their series: slow, and independent of the kernels.

use std::f64::consts::PI;

pub(super) fn erf(x: f64) -> f64 {
    if x.abs() < 1.0 {
        erf_series(x)
    } else {
        (1.0 - erfc(x.abs())).copysign(x)
    }
}

pub(super) fn normal_cdf(x: f64) -> f64 {
    0.5 * erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

/// By bisection, on the side where the distribution function is small.
pub(super) fn normal_icdf(p: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    if p > 0.5 {
        return -normal_icdf(1.0 - p);
    }
    if p == 0.0 {
        return f64::NEG_INFINITY;
    }
    // Near the middle the difference to a half is what has digits.
    let is_below = |x: f64| {
        if p < 0.25 {
            normal_cdf(x) < p
        } else {
            0.5 * erf(x * std::f64::consts::FRAC_1_SQRT_2) < p - 0.5
        }
    };
    let (mut low, mut high) = (-39.0, 0.0);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if is_below(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// The sine is that of the fraction.
pub(super) fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    if x.is_infinite() {
        return 0.0;
    }
    (PI * (x - 2.0 * (x / 2.0).round())).sin() / (PI * x)
}

/// Bernoulli's numbers `B_2, B_4, ..., B_16`.
const BERNOULLI: [f64; 8] = [
    1.0 / 6.0,
    -1.0 / 30.0,
    1.0 / 42.0,
    -1.0 / 30.0,
    5.0 / 66.0,
    -691.0 / 2730.0,
    7.0 / 6.0,
    -3617.0 / 510.0,
];

/// Stirling's series at `x + n`, 20 or more, less the logarithm of what the recurrence multiplies; the reflection left of 0.
pub(super) fn lgamma(x: f64) -> f64 {
    if x.is_nan() || x == f64::INFINITY {
        return x;
    }
    if x < 0.0 {
        let sine = (PI * (x - 2.0 * (x / 2.0).round())).sin();
        return if x == x.floor() {
            f64::INFINITY
        } else {
            (PI / sine.abs()).ln() - lgamma(1.0 - x)
        };
    }
    let (mut y, mut product) = (x, 1.0);
    while y < 20.0 {
        product *= y;
        y += 1.0;
    }
    let series: f64 = (1..)
        .zip(BERNOULLI)
        .map(|(k, b)| {
            let k = f64::from(2 * k);
            b / (k * (k - 1.0)) * y.powf(1.0 - k)
        })
        .sum();
    (y - 0.5) * y.ln() - y + 0.5 * (2.0 * PI).ln() + series - product.ln()
}

/// The derivative of order `n`, 0 to 2, of the digamma function: `(-1)^(n+1) n! sum of (x + k)^(-n-1)`, with Euler's and
/// Maclaurin's terms for what is beyond 20; the reflections left of 0.
pub(super) fn polygamma(n: i32, x: f64) -> f64 {
    if x < 0.0 {
        let at = PI * (x - 2.0 * (x / 2.0).round());
        if x == x.floor() && n != 1 {
            return f64::NAN;
        }
        let (cot, csc) = (at.cos() / at.sin(), 1.0 / at.sin());
        let right = polygamma(n, 1.0 - x);
        return match n {
            0 => right - PI * cot,
            1 if x == x.floor() => f64::INFINITY,
            1 => PI * PI * csc * csc - right,
            _ => right - 2.0 * PI.powi(3) * cot * csc * csc,
        };
    }
    let mut y = x;
    let mut sum = 0.0;
    while y < 20.0 {
        sum += y.powi(-n - 1);
        y += 1.0;
    }
    // The integral, half a term, and the derivatives of y^(-n-1).
    let integral = if n == 0 {
        -y.ln()
    } else {
        y.powi(-n) / f64::from(n)
    };
    let mut tail = integral + 0.5 * y.powi(-n - 1);
    for (k, b) in (1..).zip(BERNOULLI) {
        // (n + 1) (n + 2) ... (n + 2 k - 1) / (2 k)!.
        let factor: f64 = (1..2 * k)
            .map(|i| f64::from(n + i) / f64::from(i))
            .product();
        tail += b / f64::from(2 * k) * factor * y.powi(-n - 2 * k);
    }
    let factorial = if n == 2 { 2.0 } else { 1.0 };
    let sign = if n == 1 { 1.0 } else { -1.0 };
    sign * factorial * (sum + tail)
}

/// `2 / sqrt(pi) exp(-x^2) sum of 2^n x^(2n+1) / (2n+1)!!`: all terms of one sign (Abramowitz and Stegun 7.1.6).
fn erf_series(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

/// The series below 2, the continued fraction of Abramowitz and Stegun 7.1.14, from its tail, above.
pub(super) fn erfc(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x < 2.0 {
        return if x < -6.0 { 2.0 } else { 1.0 - erf_series(x) };
    }
    if x > 30.0 {
        return 0.0;
    }
    let tail = (1..=120)
        .rev()
        .fold(0.0, |tail, k| f64::from(k) / 2.0 / (x + tail));
    (-x * x).exp() / std::f64::consts::PI.sqrt() / (x + tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_function_agrees_with_tables() {
        // Abramowitz and Stegun, table 7.1; erfc(3), erfc(10) from mpmath at 30 digits.
        assert!((erf(0.5) - 0.5204998778130465).abs() < 1e-15);
        assert!((erf(-1.5) + 0.9661051464753108).abs() < 1e-15);
        assert!((erfc(3.0) / 2.20904969985854413e-5 - 1.0).abs() < 1e-13);
        assert!((erfc(10.0) / 2.08848758376254475e-45 - 1.0).abs() < 1e-12);
        assert!((normal_cdf(-1.0) - 0.15865525393145705).abs() < 1e-15);
    }

    /// mpmath at 30 digits.
    #[test]
    fn the_gamma_functions_agree_with_tables() {
        let close = |found: f64, expected: f64| {
            assert!(
                (found - expected).abs() < 1e-14 * (1.0 + expected.abs()),
                "{found} for {expected}"
            );
        };
        close(lgamma(0.25), 1.2880225246980775);
        close(lgamma(-2.5), -0.056243716497674052);
        close(lgamma(30.5), 72.953471184169408);
        assert_eq!(lgamma(-2.0), f64::INFINITY);
        close(polygamma(0, 0.25), -4.2274535333762654);
        close(polygamma(0, -1.5), 0.70315664064524319);
        close(polygamma(1, 3.0), 0.39493406684822644);
        close(polygamma(1, -0.5), 8.9348022005446793);
        close(polygamma(2, 0.75), -5.3026332163376396);
        close(polygamma(2, -1.25), 123.72136678366236);
        assert!(polygamma(0, -1.0).is_nan());
    }

    #[test]
    fn quantiles_invert() {
        for p in [1e-300, 1e-9, 0.01, 0.3, 0.5, 0.8, 0.999] {
            let back = normal_cdf(normal_icdf(p));
            assert!((back / p - 1.0).abs() < 1e-12, "{p}: {back}");
        }
        assert!((normal_icdf(0.975) - 1.959963984540054).abs() < 1e-14);
    }
}
