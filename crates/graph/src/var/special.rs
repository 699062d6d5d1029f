//! Exponential, trigonometric and special functions.

unary_methods! {
    /// `e^x`.
    exp => Exp, 0.0 => 1.0, 1.0;
    /// The natural logarithm: negative infinity at 0, NaN below.
    ln => Ln, 2.0 => LN_2, 0.5;
    /// `ln(1 + x)`, accurate near 0.
    log1p => Log1p, 1.0 => LN_2, 0.5;
    /// `e^x - 1`, accurate near 0.
    expm1 => Expm1, 0.0 => 0.0, 1.0;
    /// The square root, NaN below 0. The derivative at 0 is infinite, but 0 where the adjoint is 0.
    sqrt => Sqrt, 4.0 => 2.0, 0.25;
    /// `1 / sqrt(x)`, both correctly rounded.
    rsqrt => Rsqrt, 4.0 => 0.5, -0.0625;
    /// Sine, in radians.
    sin => Sin, 0.0 => 0.0, 1.0;
    /// Cosine, in radians.
    cos => Cos, 0.0 => 1.0, 0.0;
    /// Tangent, in radians.
    tan => Tan, 0.0 => 0.0, 1.0;
    /// Hyperbolic tangent.
    tanh => Tanh, 0.0 => 0.0, 1.0;
    /// The error function `2 / sqrt(pi) integral from 0 to x of exp(-t^2)`.
    erf => Erf, 0.0 => 0.0, FRAC_2_SQRT_PI;
    /// The standard normal distribution function, accurate in both tails.
    normal_cdf => NormalCdf, 0.0 => 0.5, 0.3989422804014327;
}
