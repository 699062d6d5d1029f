//! Exponential, trigonometric and special functions.

unary_methods! {
    /// `e^x`.
    exp => Exp;
    /// The natural logarithm: negative infinity at 0, NaN below.
    ln => Ln;
    /// `ln(1 + x)`, accurate near 0.
    log1p => Log1p;
    /// `e^x - 1`, accurate near 0.
    expm1 => Expm1;
    /// The square root, NaN below 0. The derivative at 0 is infinite, but 0 where the adjoint is 0.
    sqrt => Sqrt;
    /// `1 / sqrt(x)`, both correctly rounded.
    rsqrt => Rsqrt;
    /// Sine, in radians.
    sin => Sin;
    /// Cosine, in radians.
    cos => Cos;
    /// Tangent, in radians.
    tan => Tan;
    /// Hyperbolic tangent.
    tanh => Tanh;
    /// The error function `2 / sqrt(pi) integral from 0 to x of exp(-t^2)`.
    erf => Erf;
    /// The standard normal distribution function, accurate in both tails.
    normal_cdf => NormalCdf;
}
