//! The elementwise operations by name: one table that the tile interpreter, the scalar interpreter and the graph share.

/// Hands the operations of one operand to a macro, a row each: documentation, name, kind, function of [`math`](crate::math)
/// and its time in nanoseconds a packet of `f32`, rounded up (`benches/NOTES.md`).
///
/// A `float` and, of many instructions, a `long` map floats to floats, a `mask` floats to masks, `logic` masks to masks (and
/// has no function of lanes). What is `long` costs an engine a function of its own rather than a part of a larger one.
macro_rules! unary_operations {
    ($with:ident! $($given:tt)*) => {
        $with! { $($given)*
            Neg float neg 1;
            Abs float abs 1;
            /// -1, 0 or 1; keeps the sign of zero and NaN.
            Sign float sign 1;
            /// `1 / x`, correctly rounded.
            Recip float reciprocal 2;
            Square float square 1;
            Sqrt float sqrt 2;
            /// `1 / sqrt(x)`, both correctly rounded (no approximate reciprocals).
            Rsqrt float rsqrt 4;
            Cbrt long cbrt 9;
            Exp float exp 4;
            Exp2 long exp2 4;
            Expm1 float expm1 4;
            Ln float ln 6;
            Log2 long log2 6;
            Log10 long log10 6;
            Log1p float log1p 6;
            Sin float sin 6;
            Cos float cos 6;
            Tan float tan 9;
            Asin long asin 5;
            Acos long acos 5;
            Atan long atan 5;
            Sinh long sinh 7;
            Cosh long cosh 6;
            Tanh float tanh 6;
            Asinh long asinh 15;
            Acosh long acosh 14;
            Atanh long atanh 12;
            /// `sin(pi x) / (pi x)`.
            Sinc long sinc 8;
            Sigmoid float sigmoid 4;
            /// `ln(1 + exp x)`.
            Softplus float softplus 9;
            Erf float erf 9;
            /// `1 - erf x`, accurate where it is small.
            Erfc long erfc 9;
            /// The standard normal distribution function.
            NormalCdf float normal_cdf 9;
            /// Its inverse.
            NormalIcdf long normal_icdf 15;
            /// `ln |Gamma(x)|`.
            Lgamma long lgamma 13;
            /// The derivative of `Lgamma`.
            Digamma long digamma 13;
            /// The derivative of `Digamma`.
            Trigamma long trigamma 32;
            /// The derivative of `Trigamma`.
            Tetragamma long tetragamma 34;
            Floor float floor 1;
            Ceil float ceil 1;
            /// Ties to even.
            Round float round 1;
            Trunc float trunc 1;
            /// `x > 0 ? x : 0`, NaN stays NaN.
            Relu float relu 1;
            Not logic not 1;
            IsNan mask is_nan 1;
            IsFinite mask is_finite 1;
        }
    };
}
pub(crate) use unary_operations;

/// Hands the operations of two operands to a macro, as [`unary_operations`].
macro_rules! binary_operations {
    ($with:ident! $($given:tt)*) => {
        $with! { $($given)*
            Add float add 1;
            Sub float sub 1;
            Mul float mul 1;
            Div float div 2;
            /// Remainder of truncated division, as Rust's `%`.
            Rem long rem 99;
            /// Remainder of floored division, as Python's `%`.
            Remainder long remainder 99;
            /// NaN if either is.
            Max float max 1;
            /// NaN if either is.
            Min float min 1;
            /// `x` to the power `y`, as IEEE `pow`.
            Pow long pow 99;
            /// The angle of the point `(y, x)` of these operands.
            Atan2 long atan2 7;
            /// `sqrt(x^2 + y^2)`.
            Hypot long hypot 4;
            Copysign float copysign 1;
            /// `|x| <= y ? 0 : x`, NaN stays NaN.
            Hardshrink float hardshrink 1;
            /// `a * b`, but `a` itself wherever that is 0: an adjoint through a masked-off branch stays zero whatever `b` is.
            MulStrong float mul_strong 1;
            /// `a / b`, but `a` itself wherever that is 0.
            DivStrong float div_strong 2;
            /// The standard normal distribution function of `x`, given `e^(-x^2 / 2)`.
            NormalCdfOf long normal_cdf_of 5;
            Lt mask lt 1;
            Le mask le 1;
            Gt mask gt 1;
            Ge mask ge 1;
            Eq mask eq 1;
            Ne mask ne 1;
            And logic and 1;
            Or logic or 1;
            Xor logic xor 1;
        }
    };
}
pub(crate) use binary_operations;

macro_rules! operations {
    (
        $(#[$about:meta])* $type:ident:
        $($(#[$doc:meta])* $name:ident $kind:ident $function:ident $cost:literal;)*
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "the names are the formulas; `math` documents each function")]
        pub enum $type {
            $($(#[$doc])* $name,)*
        }

        impl $type {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// About how long it takes, in nanoseconds a packet.
            pub fn packet_ns(self) -> u32 {
                match self {
                    $(Self::$name => $cost,)*
                }
            }
        }
    };
}
unary_operations! { operations!
    /// An operation of one operand. `Not` maps masks to masks, `IsNan` and `IsFinite` floats to masks, the rest floats to
    /// floats.
    Unary:
}
binary_operations! { operations!
    /// An operation of two operands. Comparisons give masks, `And`, `Or`, `Xor` take masks.
    Binary:
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
