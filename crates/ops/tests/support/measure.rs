//! Errors in ulp.

use retrograde_ops::Level;

use super::functions::Map;

/// A float type in which errors are measured.
pub trait Ulp: Copy + Default + std::fmt::LowerExp + Into<f64> {
    /// The distance of `self` to `exact` in ulp of this type at `exact`: 0 for two NaN, infinite for one.
    fn distance(self, exact: f64) -> f64;
    /// `value` rounded to this type.
    fn round(value: f64) -> Self;
}

/// The distance where either is NaN.
fn nan_distance(got: f64, exact: f64) -> f64 {
    if got.is_nan() == exact.is_nan() {
        0.0
    } else {
        f64::INFINITY
    }
}

impl Ulp for f32 {
    /// `exact` carries more digits: the distance is that to the exact value.
    fn distance(self, exact: f64) -> f64 {
        let got = f64::from(self);
        if got.is_nan() || exact.is_nan() {
            return nan_distance(got, exact);
        }
        // Infinity stands where the next number would.
        const TOP: f64 = 2.0 * (1_u128 << 127) as f64;
        let (got, exact) = (got.clamp(-TOP, TOP), exact.clamp(-TOP, TOP));
        if got == exact {
            return 0.0;
        }
        let exponent = ((exact.to_bits() >> 52) & 0x7ff).clamp(1023 - 126, 1023 + 127);
        // 2^(23 - exponent).
        let per_ulp = f64::from_bits((2046 + 23 - exponent) << 52);
        (got - exact).abs() * per_ulp
    }

    fn round(value: f64) -> Self {
        value as f32
    }
}

impl Ulp for f64 {
    /// `exact` is correctly rounded: the distance is the number of steps between the two.
    fn distance(self, exact: f64) -> f64 {
        if self.is_nan() || exact.is_nan() {
            return nan_distance(self, exact);
        }
        let order = |v: f64| {
            let bits = v.to_bits().cast_signed();
            if bits < 0 { i64::MIN - bits } else { bits }
        };
        (i128::from(order(self)) - i128::from(order(exact))).unsigned_abs() as f64
    }

    fn round(value: f64) -> Self {
        value
    }
}

/// The largest error seen and its arguments.
#[derive(Clone, Copy, Default)]
pub struct Worst<T> {
    pub error: f64,
    x: T,
    y: T,
}

impl<T: Ulp> Worst<T> {
    /// Keeps the larger error; an error that is no number would hide what is wrong.
    pub fn note(&mut self, error: f64, x: T, y: T) {
        assert!(!error.is_nan(), "an error is a number");
        if error > self.error {
            *self = Self { error, x, y };
        }
    }

    /// The arguments in words.
    pub fn at(&self, has_two_operands: bool) -> String {
        arguments(self.x, self.y, has_two_operands)
    }
}

/// The arguments of a function in words.
fn arguments<T: Ulp>(x: T, y: T, has_two_operands: bool) -> String {
    if has_two_operands {
        format!("{x:e}, {y:e}")
    } else {
        format!("{x:e}")
    }
}

/// Arguments and what the function should make of them.
pub struct Points<T> {
    pub xs: Vec<T>,
    pub ys: Vec<T>,
    pub exact: Vec<f64>,
}

impl<T: Ulp> Points<T> {
    /// The points of these arguments, filled up to whole vectors.
    pub fn new(mut pairs: Vec<(T, T)>, exact: fn(f64, f64) -> f64) -> Self {
        let filler = (T::round(0.5), T::round(0.5));
        pairs.resize(pairs.len().next_multiple_of(16), filler);
        let (xs, ys): (Vec<T>, Vec<T>) = pairs.into_iter().unzip();
        let values = xs.iter().zip(&ys);
        let exact = values.map(|(&x, &y)| exact(x.into(), y.into())).collect();
        Self { xs, ys, exact }
    }

    /// The arguments of point `i` in words.
    pub fn name(&self, i: usize, has_two_operands: bool) -> String {
        arguments(self.xs[i], self.ys[i], has_two_operands)
    }

    /// Notes the errors of `kernel` at `level`.
    pub fn note_errors(&self, kernel: Map<T>, level: Level, worst: &mut Worst<T>) {
        let mut out = vec![T::default(); self.xs.len()];
        kernel(level, &self.xs, &self.ys, &mut out);
        for (i, got) in out.iter().enumerate() {
            worst.note(got.distance(self.exact[i]), self.xs[i], self.ys[i]);
        }
    }
}
