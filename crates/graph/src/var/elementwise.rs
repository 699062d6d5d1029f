//! Elementwise operations: operators, arithmetic, functions, activations, comparisons, selection.

use std::ops::{Add, AddAssign, BitAnd, BitOr, BitXor, Div, DivAssign, Mul, MulAssign, Neg, Not, Rem, RemAssign, Sub, SubAssign};

use retrograde_ops::{Binary, Ternary, Unary};
use retrograde_storage::Element;

use super::{Float, Operand, Var, check};
use crate::op::{Attr, Op};

impl<'t, T: Element> Var<'t, T> {
    #[track_caller]
    pub(super) fn unary<U: Element>(self, name: &str, op: Unary) -> Var<'t, U> {
        self.rec.apply(name, &[self.into()], |r| Ok(r.list.unary(op, self.id)))
    }

    #[track_caller]
    pub(super) fn binary<U: Element>(self, name: &str, op: Binary, other: impl Operand<'t, T>) -> Var<'t, U> {
        let other = other.lift(self.rec);
        self.rec.apply(name, &[self.into(), other.into()], |r| {
            check::broadcast(&r.list, &[self.id, other.id])?;
            Ok(r.list.binary(op, self.id, other.id))
        })
    }

    /// The elements in another type, as Rust's `as`; to `bool`: whether not 0. Gradients pass between float types only.
    #[track_caller]
    pub fn cast<U: Element>(self) -> Var<'t, U> {
        self.rec.apply("cast", &[self.into()], |r| Ok(r.list.cast(self.id, U::DTYPE)))
    }

    /// The same value with nothing behind it: a constant for every derivative. What it was computed from stays usable.
    #[track_caller]
    pub fn detach(self) -> Self {
        self.rec.apply("detach", &[self.into()], |r| {
            let (shape, dtype) = (r.list.shape(self.id), r.list.dtype(self.id));
            Ok(r.list.push(Op::Detach, &[self.id], Attr::NONE, shape, dtype))
        })
    }
}

macro_rules! unary_methods {
    ($($(#[$doc:meta])* $method:ident => $op:ident),* $(,)?) => {
        impl<'t, T: Float> Var<'t, T> {$(
            $(#[$doc])*
            #[track_caller]
            pub fn $method(self) -> Self { self.unary(stringify!($method), Unary::$op) }
        )*}
    };
}
unary_methods! {
    /// `|x|`; gradient 0 at 0.
    abs => Abs,
    /// -1, 0 or 1 (zero keeps its sign); gradient 0.
    sign => Sign,
    /// `1 / x`.
    reciprocal => Recip,
    /// `x^2`.
    square => Square,
    /// `sqrt(x)`; at 0 the gradient is infinite times the seed, 0 where the seed is 0.
    sqrt => Sqrt,
    /// `1 / sqrt(x)`.
    rsqrt => Rsqrt,
    /// `e^x`.
    exp => Exp,
    /// `e^x - 1`, accurate near 0.
    expm1 => Expm1,
    /// Natural logarithm.
    ln => Ln,
    /// `ln(1 + x)`, accurate near 0.
    log1p => Log1p,
    /// Sine, radians.
    sin => Sin,
    /// Cosine, radians.
    cos => Cos,
    /// Tangent, radians.
    tan => Tan,
    /// Hyperbolic tangent.
    tanh => Tanh,
    /// `1 / (1 + e^-x)`.
    sigmoid => Sigmoid,
    /// `ln(1 + e^x)`.
    softplus => Softplus,
    /// Error function, `2 / sqrt(pi)` times the integral of `e^(-t^2)` from 0 to `x`.
    erf => Erf,
    /// Distribution function of the standard normal.
    normal_cdf => NormalCdf,
    /// Largest integer not above `x`; gradient 0.
    floor => Floor,
    /// Smallest integer not below `x`; gradient 0.
    ceil => Ceil,
    /// Nearest integer, ties to even; gradient 0.
    round => Round,
    /// Integer part, towards 0; gradient 0.
    trunc => Trunc,
    /// `x` where positive, else 0; gradient 0 at 0, NaN stays.
    relu => Relu,
}

impl<'t, T: Float> Var<'t, T> {
    /// `x - trunc(x)`; gradient 1.
    #[track_caller]
    pub fn fract(self) -> Self {
        self - self.trunc()
    }

    /// Element by element the larger; NaN if either is; at a tie each gets half the gradient.
    #[track_caller]
    pub fn maximum(self, other: impl Operand<'t, T>) -> Self {
        self.binary("maximum", Binary::Max, other)
    }
    /// Element by element the smaller; NaN if either is; at a tie each gets half the gradient.
    #[track_caller]
    pub fn minimum(self, other: impl Operand<'t, T>) -> Self {
        self.binary("minimum", Binary::Min, other)
    }
    /// `x^y`. Gradient in `x` is 0 where `y` is 0; in `y` it is 0 where `x` is 0 and `y` not negative; NaN for a
    /// negative base and a fractional exponent.
    #[track_caller]
    pub fn pow(self, exponent: impl Operand<'t, T>) -> Self {
        self.binary("pow", Binary::Pow, exponent)
    }
    /// `x^y` for a number `y`.
    #[track_caller]
    pub fn powf(self, exponent: T) -> Self {
        self.pow(exponent)
    }
    /// `x^n` by repeated multiplication; `x^0` is 1.
    #[track_caller]
    pub fn powi(self, exponent: i32) -> Self {
        self.rec.apply("powi", &[self.into()], |r| {
            let (shape, dtype) = (r.list.shape(self.id), r.list.dtype(self.id));
            Ok(r.list.push(Op::PowI, &[self.id], Attr::int(exponent.into()), shape, dtype))
        })
    }
    /// `|x|` with the sign of `y`.
    #[track_caller]
    pub fn copysign(self, sign: impl Operand<'t, T>) -> Self {
        self.binary("copysign", Binary::Copysign, sign)
    }
    /// `x` held between `low` and `high`; at a bound the gradient passes to `x`.
    #[track_caller]
    pub fn clamp(self, low: impl Operand<'t, T>, high: impl Operand<'t, T>) -> Self {
        self.ternary("clamp", Ternary::Clamp, low.lift(self.rec), high.lift(self.rec))
    }
    /// `x y + z`, rounded once.
    #[track_caller]
    pub fn fma(self, factor: impl Operand<'t, T>, term: impl Operand<'t, T>) -> Self {
        self.ternary("fma", Ternary::Fma, factor.lift(self.rec), term.lift(self.rec))
    }
    #[track_caller]
    fn ternary(self, name: &str, op: Ternary, y: Self, z: Self) -> Self {
        self.rec.apply(name, &[self.into(), y.into(), z.into()], |r| {
            let shape = check::broadcast(&r.list, &[self.id, y.id, z.id])?;
            Ok(r.list.push(Op::Ternary(op), &[self.id, y.id, z.id], Attr::NONE, shape, T::DTYPE))
        })
    }
    /// `x + weight (end - x)`.
    #[track_caller]
    pub fn lerp(self, end: impl Operand<'t, T>, weight: impl Operand<'t, T>) -> Self {
        let (end, weight) = (end.lift(self.rec), weight.lift(self.rec));
        self + weight * (end - self)
    }

    /// `x` where positive, else `slope x`; the slope is the gradient at 0.
    #[track_caller]
    pub fn leaky_relu(self, slope: T) -> Self {
        self.gt(T::of(0.0)).select(self, self * slope)
    }
    /// `x Phi(x)` with the normal distribution function.
    #[track_caller]
    pub fn gelu(self) -> Self {
        self * self.normal_cdf()
    }
    /// The tanh approximation of [`gelu`](Self::gelu): `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`.
    #[track_caller]
    pub fn gelu_tanh(self) -> Self {
        let inner = (self + self.powi(3) * T::of(0.044715)) * T::of((2.0 / std::f64::consts::PI).sqrt());
        self * T::of(0.5) * (inner.tanh() + T::of(1.0))
    }
    /// `x sigmoid(x)`.
    #[track_caller]
    pub fn silu(self) -> Self {
        self * self.sigmoid()
    }

    /// Whether NaN.
    #[track_caller]
    pub fn is_nan(self) -> Var<'t, bool> {
        self.unary("is_nan", Unary::IsNan)
    }
    /// Whether neither infinite nor NaN.
    #[track_caller]
    pub fn is_finite(self) -> Var<'t, bool> {
        self.unary("is_finite", Unary::IsFinite)
    }
    /// `value` where `mask`, else `x`; no gradient passes where `mask`.
    #[track_caller]
    pub fn masked_fill(self, mask: Var<'t, bool>, value: impl Operand<'t, T>) -> Self {
        mask.select(value.lift(self.rec), self)
    }
}

macro_rules! comparisons {
    ($($(#[$doc:meta])* $method:ident => $op:ident),* $(,)?) => {
        impl<'t, T: Element> Var<'t, T> {$(
            $(#[$doc])*
            #[track_caller]
            pub fn $method(self, other: impl Operand<'t, T>) -> Var<'t, bool> {
                self.binary(stringify!($method), Binary::$op, other)
            }
        )*}
    };
}
comparisons! {
    /// `x < y`, element by element; false for NaN.
    lt => Lt,
    /// `x <= y`.
    le => Le,
    /// `x > y`.
    gt => Gt,
    /// `x >= y`.
    ge => Ge,
    /// `x == y`.
    eq => Eq,
    /// `x != y`; true for NaN.
    ne => Ne,
}

impl<'t> Var<'t, bool> {
    /// `a` where true, `b` where false. The side not taken never contributes to a gradient, whatever its value.
    #[track_caller]
    pub fn select<T: Element>(self, a: Var<'t, T>, b: impl Operand<'t, T>) -> Var<'t, T> {
        let b = b.lift(self.rec);
        self.rec.apply("select", &[self.into(), a.into(), b.into()], |r| {
            check::broadcast(&r.list, &[self.id, a.id, b.id])?;
            Ok(r.list.select(self.id, a.id, b.id))
        })
    }
    /// 1 where true, 0 where false.
    #[track_caller]
    pub fn to_float<T: Float>(self) -> Var<'t, T> {
        self.cast()
    }
}

macro_rules! operators {
    ($($trait:ident $method:ident $op:ident $assign:ident $assign_method:ident),*) => {$(
        impl<'t, T: Float> $trait<Var<'t, T>> for Var<'t, T> {
            type Output = Var<'t, T>;
            #[track_caller]
            fn $method(self, other: Var<'t, T>) -> Var<'t, T> { self.binary(stringify!($method), Binary::$op, other) }
        }
        impl<'t, T: Float> $trait<T> for Var<'t, T> {
            type Output = Var<'t, T>;
            #[track_caller]
            fn $method(self, other: T) -> Var<'t, T> { self.binary(stringify!($method), Binary::$op, other) }
        }
        operators!(@ $trait $method $op f32);
        operators!(@ $trait $method $op f64);
        impl<'t, T: Float, R> $assign<R> for Var<'t, T> where Var<'t, T>: $trait<R, Output = Var<'t, T>> {
            #[track_caller]
            fn $assign_method(&mut self, other: R) { *self = $trait::$method(*self, other); }
        }
    )*};
    (@ $trait:ident $method:ident $op:ident $t:ty) => {
        impl<'t> $trait<Var<'t, $t>> for $t {
            type Output = Var<'t, $t>;
            #[track_caller]
            fn $method(self, other: Var<'t, $t>) -> Var<'t, $t> {
                other.rec.scalar(self).binary(stringify!($method), Binary::$op, other)
            }
        }
    };
}
operators!(
    Add add Add AddAssign add_assign, Sub sub Sub SubAssign sub_assign, Mul mul Mul MulAssign mul_assign,
    Div div Div DivAssign div_assign, Rem rem Rem RemAssign rem_assign
);

impl<'t, T: Float> Neg for Var<'t, T> {
    type Output = Var<'t, T>;
    #[track_caller]
    fn neg(self) -> Var<'t, T> {
        self.unary("neg", Unary::Neg)
    }
}
impl<'t> Not for Var<'t, bool> {
    type Output = Var<'t, bool>;
    #[track_caller]
    fn not(self) -> Var<'t, bool> {
        self.unary("not", Unary::Not)
    }
}
macro_rules! logic {
    ($($trait:ident $method:ident $op:ident),*) => {$(
        impl<'t> $trait for Var<'t, bool> {
            type Output = Var<'t, bool>;
            #[track_caller]
            fn $method(self, other: Var<'t, bool>) -> Var<'t, bool> { self.binary(stringify!($method), Binary::$op, other) }
        }
    )*};
}
logic!(BitAnd bitand And, BitOr bitor Or, BitXor bitxor Xor);

