//! Arithmetic and comparisons, as functions like the others.

use fearless_simd::Simd;

use super::lanes::{Lanes, select, splat};

macro_rules! plain {
    ($($(#[$doc:meta])* $name:ident($($x:ident),*) $to:ident $value:expr;)*) => {$(
        $(#[$doc])*
        #[inline(always)]
        pub fn $name<S: Simd, V: Lanes<S>>(_simd: S, $($x: V),*) -> plain!(@$to) {
            $value
        }
    )*};
    (@float) => { V };
    (@mask) => { V::Mask };
}

plain! {
    /// `-x`.
    neg(x) float -x;
    /// `|x|`.
    abs(x) float x.abs();
    /// `x x`.
    square(x) float x * x;
    /// `x + y`.
    add(x, y) float x + y;
    /// `x - y`.
    sub(x, y) float x - y;
    /// `x y`.
    mul(x, y) float x * y;
    /// `x / y`.
    div(x, y) float x / y;
    /// Where `x < y`.
    lt(x, y) mask x.simd_lt(y);
    /// Where `x <= y`.
    le(x, y) mask x.simd_le(y);
    /// Where `x > y`.
    gt(x, y) mask x.simd_gt(y);
    /// Where `x >= y`.
    ge(x, y) mask x.simd_ge(y);
    /// Where `x == y`.
    eq(x, y) mask x.simd_eq(y);
    /// Where `x != y` or either is NaN.
    ne(x, y) mask !x.simd_eq(y);
}

/// `1 / x`.
#[inline(always)]
pub fn reciprocal<S: Simd, V: Lanes<S>>(simd: S, x: V) -> V {
    splat::<S, V>(simd, 1.0) / x
}

/// `x y`, but `x` itself wherever that is 0 (so that its sign stays, and multiplying by 1 changes nothing).
#[inline(always)]
pub fn mul_strong<S: Simd, V: Lanes<S>>(simd: S, x: V, y: V) -> V {
    strong(simd, x, x * y)
}

/// `x / y`, but `x` itself wherever that is 0.
#[inline(always)]
pub fn div_strong<S: Simd, V: Lanes<S>>(simd: S, x: V, y: V) -> V {
    strong(simd, x, x / y)
}

#[inline(always)]
fn strong<S: Simd, V: Lanes<S>>(simd: S, factor: V, value: V) -> V {
    select(factor.simd_eq(splat::<S, V>(simd, 0.0)), factor, value)
}
