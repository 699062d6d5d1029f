//! The elementwise operations by name: one table that the tile interpreter, the scalar interpreter and the graph share.

/// An operation of one operand. `Not` maps masks to masks, `IsNan` and `IsFinite` floats to masks, the rest floats to floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(
    missing_docs,
    reason = "the names are the formulas; `math` documents each function"
)]
pub enum Unary {
    Neg,
    Abs,
    /// -1, 0 or 1; keeps the sign of zero and NaN.
    Sign,
    /// `1 / x`, correctly rounded.
    Recip,
    Square,
    Sqrt,
    /// `1 / sqrt(x)`, both correctly rounded (no approximate reciprocals).
    Rsqrt,
    Exp,
    Expm1,
    Ln,
    Log1p,
    Sin,
    Cos,
    Tan,
    Tanh,
    Sigmoid,
    /// `ln(1 + exp x)`.
    Softplus,
    Erf,
    /// The standard normal distribution function.
    NormalCdf,
    Floor,
    Ceil,
    /// Ties to even.
    Round,
    Trunc,
    /// `x > 0 ? x : 0`, NaN stays NaN.
    Relu,
    Not,
    IsNan,
    IsFinite,
}

/// An operation of two operands. Comparisons give masks, `And`, `Or`, `Xor` take masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the formulas")]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    /// Remainder of truncated division, as Rust's `%`.
    Rem,
    /// NaN if either is.
    Max,
    /// NaN if either is.
    Min,
    /// `x` to the power `y`, as IEEE `pow`.
    Pow,
    Copysign,
    /// `|x| <= y ? 0 : x`, NaN stays NaN.
    Hardshrink,
    /// `a * b`, but `a` itself wherever that is 0: an adjoint through a masked-off branch stays zero whatever `b` is.
    MulStrong,
    /// `a / b`, but `a` itself wherever that is 0.
    DivStrong,
    /// The standard normal distribution function of `x`, given `e^(-x^2 / 2)`.
    NormalCdfOf,
    Lt,
    Le,
    Gt,
    Ge,
    Eq,
    Ne,
    And,
    Or,
    Xor,
}

/// An operation of three operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Ternary {
    /// `a * b + c` rounded once (twice at a level without fused multiply-add).
    Fma,
    /// `mask ? b : c` with operands `(mask, b, c)`.
    Select,
    /// `min(max(x, lo), hi)` with operands `(x, lo, hi)`; NaN stays NaN.
    Clamp,
}

/// How a reduction combines two elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reduce {
    /// Identity 0.
    Sum,
    /// Identity 1.
    Prod,
    /// Identity negative infinity; NaN if any is.
    Max,
    /// Identity infinity; NaN if any is.
    Min,
}
