//! Errors in ulp.

/// A float type in which errors are measured.
pub trait Ulp: Copy {
    /// The distance of `self` to `exact` in ulp of this type at `exact`: 0 for two NaN, infinite for one.
    fn distance(self, exact: f64) -> f64;
}

impl Ulp for f32 {
    /// `exact` carries more digits: the distance is that to the exact value.
    fn distance(self, exact: f64) -> f64 {
        let got = f64::from(self);
        if got.is_nan() || exact.is_nan() {
            return if got.is_nan() == exact.is_nan() {
                0.0
            } else {
                f64::INFINITY
            };
        }
        // Infinity stands where the next number would.
        let top = 2f64.powi(128);
        let (got, exact) = (got.clamp(-top, top), exact.clamp(-top, top));
        if got == exact {
            return 0.0;
        }
        let exponent = ((exact.to_bits() >> 52) & 0x7ff) as i32 - 1023;
        (got - exact).abs() / 2f64.powi(exponent.clamp(-126, 127) - 23)
    }
}

impl Ulp for f64 {
    /// `exact` is correctly rounded: the distance is the number of steps between the two.
    fn distance(self, exact: f64) -> f64 {
        if self.is_nan() || exact.is_nan() {
            return if self.is_nan() == exact.is_nan() {
                0.0
            } else {
                f64::INFINITY
            };
        }
        let order = |v: f64| {
            let bits = v.to_bits().cast_signed();
            if bits < 0 { i64::MIN - bits } else { bits }
        };
        (i128::from(order(self)) - i128::from(order(exact))).unsigned_abs() as f64
    }
}
