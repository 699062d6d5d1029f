//! What each elementwise operation does to a vector of floats: the one definition behind the tile engine and the scalar
//! interpreter, which therefore agree bit for bit.
//!
//! The tables are macros because every operation must become a function of its own in each engine: `$float!` and
//! `$mask!` are the engine's, and wrap a closure from vectors to a vector of floats or to a mask.

use fearless_simd::prelude::*;

use crate::math::{Lanes, Real};

/// `1 / x`.
#[inline(always)]
pub(crate) fn reciprocal<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    V::splat(simd, V::Element::of(1.0)) / x
}

/// `value`, but `factor` itself wherever that is 0 (so that its sign stays, and multiplying by 1 changes nothing).
#[inline(always)]
pub(crate) fn strong<S: Simd, V: Lanes<S>>(simd: S, factor: V, value: V) -> V {
    let zero = V::splat(simd, V::Element::of(0.0));
    factor.simd_eq(zero).select(factor, value)
}

/// Dispatches a [`Unary`](crate::Unary) on floats; evaluates to `$none` for those that floats do not have.
macro_rules! unary_table {
    ($what:expr, $simd:expr, $float:ident, $mask:ident, $none:expr) => {{
        use crate::Unary as U;
        use crate::math;
        use crate::tile::table::reciprocal;
        let simd = $simd;
        match $what {
            U::Neg => $float!(|x| -x),
            U::Abs => $float!(|x| x.abs()),
            U::Sign => $float!(|x| math::sign(simd, x)),
            U::Recip => $float!(|x| reciprocal(simd, x)),
            U::Square => $float!(|x| x * x),
            U::Sqrt => $float!(|x| x.sqrt()),
            U::Rsqrt => $float!(|x| math::rsqrt(simd, x)),
            U::Exp => $float!(|x| math::exp(simd, x)),
            U::Expm1 => $float!(|x| math::expm1(simd, x)),
            U::Ln => $float!(|x| math::ln(simd, x)),
            U::Log1p => $float!(|x| math::log1p(simd, x)),
            U::Sin => $float!(|x| math::sin(simd, x)),
            U::Cos => $float!(|x| math::cos(simd, x)),
            U::Tan => $float!(|x| math::tan(simd, x)),
            U::Tanh => $float!(|x| math::tanh(simd, x)),
            U::Sigmoid => $float!(|x| math::sigmoid(simd, x)),
            U::Softplus => $float!(|x| math::softplus(simd, x)),
            U::Erf => $float!(|x| math::erf(simd, x)),
            U::NormalCdf => $float!(|x| math::normal_cdf(simd, x)),
            U::Floor => $float!(|x| x.floor()),
            U::Ceil => $float!(|x| x.ceil()),
            U::Round => $float!(|x| x.round_ties_even()),
            U::Trunc => $float!(|x| x.trunc()),
            U::Relu => $float!(|x| math::relu(simd, x)),
            U::IsNan => $mask!(|x| x.is_nan()),
            U::IsFinite => $mask!(|x| x.is_finite()),
            U::Not => $none,
        }
    }};
}
pub(crate) use unary_table;

/// Dispatches a [`Binary`](crate::Binary) on floats; `$long!` is `$float!` for operations of many instructions.
macro_rules! binary_table {
    ($what:expr, $simd:expr, $float:ident, $long:ident, $mask:ident, $none:expr) => {{
        use crate::Binary as B;
        use crate::math;
        use crate::tile::table::strong;
        let simd = $simd;
        match $what {
            B::Add => $float!(|x, y| x + y),
            B::Sub => $float!(|x, y| x - y),
            B::Mul => $float!(|x, y| x * y),
            B::Div => $float!(|x, y| x / y),
            B::Rem => $long!(|x, y| math::rem(simd, x, y)),
            B::Max => $float!(|x, y| math::max(simd, x, y)),
            B::Min => $float!(|x, y| math::min(simd, x, y)),
            B::Pow => $long!(|x, y| math::pow(simd, x, y)),
            B::Copysign => $float!(|x, y| x.copysign(y)),
            B::Hardshrink => $float!(|x, y| math::hardshrink(simd, x, y)),
            B::MulStrong => $float!(|x, y| strong(simd, x, x * y)),
            B::DivStrong => $float!(|x, y| strong(simd, x, x / y)),
            B::NormalCdfOf => $long!(|x, y| math::normal_cdf_of(simd, x, y)),
            B::Lt => $mask!(|x, y| x.simd_lt(y)),
            B::Le => $mask!(|x, y| x.simd_le(y)),
            B::Gt => $mask!(|x, y| x.simd_gt(y)),
            B::Ge => $mask!(|x, y| x.simd_ge(y)),
            B::Eq => $mask!(|x, y| x.simd_eq(y)),
            B::Ne => $mask!(|x, y| x.simd_ne(y)),
            B::And | B::Or | B::Xor => $none,
        }
    }};
}
pub(crate) use binary_table;
