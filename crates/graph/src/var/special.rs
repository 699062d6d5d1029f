//! Exponential, trigonometric and special functions.

use retrograde_ops::{Binary, Unary};

use super::{Float, Operand, Var};
use crate::error::{ErrorKind, Fault};

unary_methods! {
    /// `e^x`.
    exp => Exp, 0.0 => 1.0, 1.0;
    /// `2^x`, exact for integers.
    exp2 => Exp2, 3.0 => 8.0, 8.0 * LN_2;
    /// The natural logarithm: negative infinity at 0, NaN below.
    ln => Ln, 2.0 => LN_2, 0.5;
    /// The logarithm to base 2, exact for powers of 2: negative infinity at 0, NaN below.
    log2 => Log2, 8.0 => 3.0, 0.125 * LOG2_E;
    /// The logarithm to base 10: negative infinity at 0, NaN below.
    log10 => Log10, 2.0 => LOG10_2, 0.5 * LOG10_E;
    /// `ln(1 + x)`, accurate near 0.
    log1p => Log1p, 1.0 => LN_2, 0.5;
    /// `e^x - 1`, accurate near 0.
    expm1 => Expm1, 0.0 => 0.0, 1.0;
    /// The square root, NaN below 0. The derivative at 0 is infinite, but 0 where the adjoint is 0.
    sqrt => Sqrt, 4.0 => 2.0, 0.25;
    /// `1 / sqrt(x)`, both correctly rounded.
    rsqrt => Rsqrt, 4.0 => 0.5, -0.0625;
    /// The cube root, of negative numbers too. The derivative at 0 is infinite, but 0 where the adjoint is 0.
    cbrt => Cbrt, -8.0 => -2.0, 1.0 / 12.0;
    /// Sine, in radians.
    sin => Sin, 0.0 => 0.0, 1.0;
    /// Cosine, in radians.
    cos => Cos, 0.0 => 1.0, 0.0;
    /// Tangent, in radians.
    tan => Tan, 0.0 => 0.0, 1.0;
    /// The angle in `[-pi / 2, pi / 2]` whose sine is `x`, NaN beyond 1. The derivative at -1 and 1 is infinite.
    asin => Asin, 0.5 => FRAC_PI_6, 2.0 / 3f64.sqrt();
    /// The angle in `[0, pi]` whose cosine is `x`, NaN beyond 1. The derivative at -1 and 1 is negative infinity.
    acos => Acos, 0.5 => FRAC_PI_3, -2.0 / 3f64.sqrt();
    /// The angle in `[-pi / 2, pi / 2]` whose tangent is `x`.
    atan => Atan, 1.0 => FRAC_PI_4, 0.5;
    /// Hyperbolic sine.
    sinh => Sinh, LN_2 => 0.75, 1.25;
    /// Hyperbolic cosine.
    cosh => Cosh, LN_2 => 1.25, 0.75;
    /// Hyperbolic tangent.
    tanh => Tanh, 0.0 => 0.0, 1.0;
    /// The inverse of [`sinh`](Self::sinh).
    asinh => Asinh, 0.75 => LN_2, 0.8;
    /// The inverse of [`cosh`](Self::cosh) that is not negative, NaN below 1. The derivative at 1 is infinite.
    acosh => Acosh, 1.25 => LN_2, 4.0 / 3.0;
    /// The inverse of [`tanh`](Self::tanh): infinite at -1 and 1, NaN beyond.
    atanh => Atanh, 0.6 => LN_2, 1.0 / 0.64;
    /// `sin(pi x) / (pi x)`, 1 at 0 with derivative 0: NumPy's.
    sinc => Sinc, 0.5 => FRAC_2_PI, -4.0 * FRAC_1_PI;
    /// The error function `2 / sqrt(pi) integral from 0 to x of exp(-t^2)`.
    erf => Erf, 0.0 => 0.0, FRAC_2_SQRT_PI;
    /// `1 - erf(x)`, accurate where it is small.
    erfc => Erfc, 0.0 => 1.0, -FRAC_2_SQRT_PI;
    /// The standard normal distribution function, accurate in both tails.
    normal_cdf => NormalCdf, 0.0 => 0.5, 0.3989422804014327;
    /// The inverse of [`normal_cdf`](Self::normal_cdf), the standard normal distribution's quantile: negative infinity at 0,
    /// infinity at 1 (the derivative is infinite at both), NaN beyond.
    normal_icdf => NormalIcdf, 0.5 => 0.0, (2.0 * PI).sqrt();
    /// `ln |Gamma(x)|`: infinite at 0 and the negative integers. Its derivatives are [`polygamma`](Self::polygamma), up to
    /// the third.
    lgamma => Lgamma, 4.0 => 6f64.ln(), 11.0 / 6.0 - 0.5772156649015329;
    /// The derivative of [`lgamma`](Self::lgamma): negative infinity at 0, NaN at the negative integers.
    digamma => Digamma, 1.0 => -0.5772156649015329, PI * PI / 6.0;
}

impl<'t, T: Float> Var<'t, T> {
    /// The angle of the point `(other, x)` in `[-pi, pi]`, broadcast: `y.atan2(x)` as in Rust and NumPy, with IEEE's signs
    /// of zeros.
    ///
    /// `d/dx = other / (x^2 + other^2)`, `d/dother = -x / (x^2 + other^2)`; both 0 at the origin. Shapes that do not
    /// broadcast are an error.
    ///
    /// ```
    /// # use retrograde_graph::Tape;
    /// # use retrograde_storage::Array;
    /// # let tape = Tape::new();
    /// let (y, x) = (tape.variable(Array::from([1.0_f64, 0.0])), tape.variable(Array::from([-1.0_f64, 0.0])));
    /// let angle = y.atan2(x);
    /// angle.sum().backward()?;
    /// assert_eq!(angle.to_vec()?, [0.75 * std::f64::consts::PI, 0.0]);
    /// assert!(y.grad()?.allclose(&Array::from([-0.5, 0.0]), 1e-15, 0.0));
    /// assert!(x.grad()?.allclose(&Array::from([-0.5, 0.0]), 1e-15, 0.0));
    /// # Ok::<(), retrograde_graph::Error>(())
    /// ```
    #[track_caller]
    pub fn atan2(self, other: impl Operand<'t, T>) -> Self {
        self.binary("atan2", Binary::Atan2, other)
    }

    /// `sqrt(x^2 + y^2)`, broadcast, without overflow or underflow on the way; infinite if either is.
    ///
    /// `d/dx = x / hypot`, `d/dy = y / hypot`; both 0 at the origin. Shapes that do not broadcast are an error.
    ///
    /// ```
    /// # use retrograde_graph::Tape;
    /// # use retrograde_storage::Array;
    /// # let tape = Tape::new();
    /// let x = tape.variable(Array::from([3e200_f64, 0.0]));
    /// let length = x.hypot(x * (4.0 / 3.0));
    /// length.sum().backward()?;
    /// assert!(length.value()?.allclose(&Array::from([5e200, 0.0]), 1e-15, 0.0));
    /// assert!(x.grad()?.allclose(&Array::from([5.0 / 3.0, 0.0]), 1e-15, 0.0));
    /// # Ok::<(), retrograde_graph::Error>(())
    /// ```
    #[track_caller]
    pub fn hypot(self, y: impl Operand<'t, T>) -> Self {
        self.binary("hypot", Binary::Hypot, y)
    }

    /// The derivative of order `order` of [`digamma`](Self::digamma), element by element: `polygamma(0)` is `digamma`
    /// itself, `polygamma(1)` the trigamma, `polygamma(2)` the tetragamma function. Other orders are an error, and so is
    /// asking for the derivative of `polygamma(2)`.
    ///
    /// ```
    /// # use retrograde_graph::Tape;
    /// # use retrograde_storage::Array;
    /// # let tape = Tape::new();
    /// let x = tape.variable(Array::scalar(1.0_f64));
    /// let [slope] = x.polygamma(1).grad_of([x]);
    /// assert!((x.polygamma(1).item()? - std::f64::consts::PI.powi(2) / 6.0).abs() < 1e-15);
    /// assert!((slope.item()? + 2.0 * 1.2020569031595942).abs() < 1e-15);
    /// assert!(x.polygamma(3).item().is_err());
    /// assert!(x.polygamma(2).backward().is_err());
    /// # Ok::<(), retrograde_graph::Error>(())
    /// ```
    #[track_caller]
    pub fn polygamma(self, order: usize) -> Self {
        let op = [Unary::Digamma, Unary::Trigamma, Unary::Tetragamma];
        self.map("polygamma", |s, x| match op.get(order) {
            Some(&op) => Ok(s.list.unary(op, x)),
            None => Err(Fault::new(
                ErrorKind::Index,
                format!("the order {order} is not there; those from 0 to 2 are"),
            )),
        })
    }
}
