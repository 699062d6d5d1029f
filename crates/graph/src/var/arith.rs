//! Arithmetic: operators, and the functions that every numeric type of Rust has.

use std::ops::{
    Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Rem, RemAssign, Sub, SubAssign,
};

use retrograde_ops::structured::Division;
use retrograde_ops::{Binary, Ternary};

use super::{Float, Number, Operand, Var};
use crate::infer;
use crate::op::{Attr, Op};

macro_rules! operators {
    ($($(#[$doc:meta])* $operator:ident $method:ident, $assign:ident $assign_method:ident, $name:literal, $op:ident;)*) => {$(
        $(#[$doc])*
        impl<'t, T: Number> $operator<Var<'t, T>> for Var<'t, T> {
            type Output = Var<'t, T>;
            #[track_caller]
            fn $method(self, other: Var<'t, T>) -> Var<'t, T> {
                self.arithmetic($name, Binary::$op, other)
            }
        }
        $(#[$doc])*
        impl<'t, T: Number> $operator<T> for Var<'t, T> {
            type Output = Var<'t, T>;
            #[track_caller]
            fn $method(self, other: T) -> Var<'t, T> {
                self.arithmetic($name, Binary::$op, other)
            }
        }
        impl<T: Number, R> $assign<R> for Var<'_, T>
        where
            Self: $operator<R, Output = Self>,
        {
            #[track_caller]
            fn $assign_method(&mut self, other: R) {
                *self = (*self).$method(other);
            }
        }
        operators!(@left f32 $operator $method, $name, $op);
        operators!(@left f64 $operator $method, $name, $op);
        operators!(@left u32 $operator $method, $name, $op);
        operators!(@left i64 $operator $method, $name, $op);
    )*};
    // The orphan rule wants these for concrete types.
    (@left $number:ident $operator:ident $method:ident, $name:literal, $op:ident) => {
        impl<'t> $operator<Var<'t, $number>> for $number {
            type Output = Var<'t, $number>;
            #[track_caller]
            fn $method(self, other: Var<'t, $number>) -> Var<'t, $number> {
                other.rec.scalar(self).arithmetic($name, Binary::$op, other)
            }
        }
    };
}

operators! {
    /// `x + y`, broadcast as in NumPy; of integers it wraps.
    Add add, AddAssign add_assign, "add", Add;
    /// `x - y`, broadcast as in NumPy; of integers it wraps.
    Sub sub, SubAssign sub_assign, "sub", Sub;
    /// `x y`, elementwise, broadcast as in NumPy; of integers it wraps. The product of matrices is [`Var::matmul`].
    Mul mul, MulAssign mul_assign, "mul", Mul;
    /// `x / y`, broadcast as in NumPy; by zero as IEEE says. Of integers it truncates towards zero (the smallest `i64` by
    /// -1 wraps), and by zero it is an error of the run, which names the element.
    Div div, DivAssign div_assign, "div", Div;
    /// `x - trunc(x / y) y`, the remainder of Rust's `%` with the sign of `x`. `d/dx = 1`, `d/dy = -trunc(x / y)`.
    /// Of integers by zero it is an error of the run, which names the element.
    Rem rem, RemAssign rem_assign, "rem", Rem;
}

impl<'t, T: Number + Neg> Neg for Var<'t, T> {
    type Output = Var<'t, T>;
    #[track_caller]
    fn neg(self) -> Var<'t, T> {
        self.unary("neg", retrograde_ops::Unary::Neg)
    }
}

unary_methods! {
    /// `|x|`. The derivative is 0 at 0.
    abs => Abs, -3.0 => 3.0, -1.0;
    /// -1, 0 or 1; keeps the sign of zero and NaN. The derivative is 0 everywhere.
    sign => Sign, -3.0 => -1.0, 0.0;
    /// `1 / x`.
    reciprocal => Recip, 2.0 => 0.5, -0.25;
    /// `x x`.
    square => Square, 3.0 => 9.0, 6.0;
    /// The largest integer not above `x`. The derivative is 0 everywhere.
    floor => Floor, 2.5 => 2.0, 0.0;
    /// The smallest integer not below `x`. The derivative is 0 everywhere.
    ceil => Ceil, 2.5 => 3.0, 0.0;
    /// The nearest integer, ties to even. The derivative is 0 everywhere.
    round => Round, 2.5 => 2.0, 0.0;
    /// `x` without its fraction. The derivative is 0 everywhere.
    trunc => Trunc, -2.5 => -2.0, 0.0;
}

/// Other operands are values of the type or plain numbers, broadcast; shapes that do not broadcast are an error.
///
/// ```
/// # use retrograde_graph::{Reduction, Tape, keep};
/// # use retrograde_storage::{Array, Create};
/// # let tape = Tape::new();
/// let x = tape.variable(Array::from([2.0_f64, -1.5]));
/// assert_eq!((x % 2.0).value()?, Array::from([0.0, -1.5]));
/// assert_eq!(x.remainder(2.0).value()?, Array::from([0.0, 0.5]));
/// assert_eq!(x.fract().value()?, Array::from([0.0, -0.5]));
/// assert_eq!(x.powi(2).value()?, Array::from([4.0, 2.25]));
/// assert!(x.pow(2.0).value()?.allclose(&x.powf(2.0).value()?, 0.0, 0.0));
/// assert_eq!(x.maximum(0.0).value()?, Array::from([2.0, 0.0]));
/// assert_eq!(x.minimum(0.0).value()?, Array::from([0.0, -1.5]));
/// assert_eq!(x.clamp(-1.0, 1.0).value()?, Array::from([1.0, -1.0]));
/// assert_eq!(x.fma(2.0, 1.0).value()?, Array::from([5.0, -2.0]));
/// assert_eq!(x.lerp(0.0, 0.5).value()?, Array::from([1.0, -0.75]));
/// assert_eq!(x.copysign(-1.0).value()?, Array::from([-2.0, -1.5]));
/// let error = x.pow(tape.constant(Array::<f64>::ones([3]))).value().unwrap_err();
/// assert!(error.to_string().starts_with("pow of [2] f64 and [3] f64"));
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<'t, T: Float> Var<'t, T> {
    /// The fraction `x - trunc(x)`, with the sign of `x`. The derivative is 1 everywhere.
    #[track_caller]
    pub fn fract(self) -> Self {
        self.map("fract", |s, x| {
            let whole = s.list.unary(retrograde_ops::Unary::Trunc, x);
            Ok(s.list.sub(x, whole))
        })
    }

    /// `x` to the power `y`, IEEE's `pow`: `pow(x, 0) = 1`, NaN for a negative `x` and a `y` that is no integer.
    ///
    /// `d/dx = y x^(y-1)`, 0 where `y = 0`; `d/dy = x^y ln x`, 0 where `x = 0` and `y >= 0`.
    #[track_caller]
    pub fn pow(self, y: impl Operand<'t, T>) -> Self {
        self.binary("pow", Binary::Pow, y)
    }

    /// [`pow`](Self::pow) with one exponent for all elements.
    #[track_caller]
    pub fn powf(self, y: T) -> Self {
        self.binary("powf", Binary::Pow, y)
    }

    /// `x` to an integer power, exact for small ones. `powi(0) = 1` with derivative 0, whatever `x` is.
    #[track_caller]
    pub fn powi(self, n: i32) -> Self {
        self.map("powi", |s, x| {
            let (shape, dtype) = (s.list.shape(x), s.list.dtype(x));
            Ok(s.list
                .push(Op::PowI, &[x], Attr::int(n.into()), shape, dtype))
        })
    }

    /// `x y + z`, rounded once where the machine can.
    #[track_caller]
    pub fn fma(self, y: impl Operand<'t, T>, z: impl Operand<'t, T>) -> Self {
        self.ternary("fma", Ternary::Fma, y, z)
    }

    /// `x + weight (end - x)`: `x` at weight 0, `end` at weight 1.
    #[track_caller]
    pub fn lerp(self, end: impl Operand<'t, T>, weight: impl Operand<'t, T>) -> Self {
        let (end, weight) = (end.lift(self.rec), weight.lift(self.rec));
        self.rec
            .apply("lerp", &[self.into(), end.into(), weight.into()], |s| {
                infer::broadcast(&s.list, &[self.id, end.id, weight.id])?;
                let way = s.list.sub(end.id, self.id);
                let part = s.list.mul(weight.id, way);
                Ok(s.list.add(self.id, part))
            })
    }

    /// The magnitude of `x` with the sign of `y`. The derivative in `x` is the sign that `x` turns by, 0 at 0; in `y` it
    /// is 0 everywhere.
    #[track_caller]
    pub fn copysign(self, y: impl Operand<'t, T>) -> Self {
        self.binary("copysign", Binary::Copysign, y)
    }
}

/// Of floats and integers alike; other operands are values of the type or plain numbers, broadcast. See [`Number`] for
/// what integers do.
///
/// ```
/// # use retrograde_graph::{ErrorKind, Tape};
/// # use retrograde_storage::Array;
/// # let tape = Tape::new();
/// let x = tape.constant(Array::from([7_i64, -7, 6]));
/// assert_eq!((2 * x - 1).to_vec()?, [13, -15, 11]);
/// assert_eq!((x / 2).to_vec()?, [3, -3, 3]);
/// assert_eq!((x % 4).to_vec()?, [3, -3, 2]);
/// assert_eq!(x.remainder(4).to_vec()?, [3, 1, 2]);
/// assert_eq!((x.maximum(0).to_vec()?, (-x).clamp(0, 5).to_vec()?), (vec![7, 0, 6], vec![0, 5, 0]));
/// assert_eq!((x + i64::MAX).to_vec()?, [i64::MIN + 6, i64::MAX - 7, i64::MIN + 5]);
/// let y = tape.constant(Array::from([1_i64, 2, 0]));
/// let error = (x / y).value().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Division);
/// assert!(error.to_string().starts_with("div of [3] i64 and [3] i64: element [2] divides 6 by zero"));
/// assert_eq!((x / y.eq(0).select(1, y)).to_vec()?, [7, -3, 6]);
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<'t, T: Number> Var<'t, T> {
    /// `x - floor(x / y) y`, the remainder with the sign of `y`: Python's and NumPy's `%`, where Rust's, the operator, has
    /// the sign of `x`. `d/dx = 1`, `d/dy = -floor(x / y)`. Of integers by zero it is an error of the run.
    #[track_caller]
    pub fn remainder(self, y: impl Operand<'t, T>) -> Self {
        if T::DTYPE.is_float() {
            return self.binary("remainder", Binary::Remainder, y);
        }
        let y = y.lift(self.rec);
        self.rec.apply("remainder", &[self.into(), y.into()], |s| {
            let shape = infer::broadcast(&s.list, &[self.id, y.id])?;
            let l = &mut s.list;
            let op = Op::Division(Division::Remainder);
            let left = l.push(op, &[self.id, y.id], Attr::NONE, shape, T::DTYPE);
            let zero = l.int(0, T::DTYPE);
            let [some, left_below, y_below] = [
                l.binary(Binary::Ne, left, zero),
                l.binary(Binary::Lt, left, zero),
                l.binary(Binary::Lt, y.id, zero),
            ];
            let apart = l.binary(Binary::Xor, left_below, y_below);
            let turns = l.binary(Binary::And, some, apart);
            let turned = l.add(left, y.id);
            Ok(l.select(turns, turned, left))
        })
    }

    /// The larger of `x` and `y`, NaN if either is. A tie gives half of the gradient to each.
    #[track_caller]
    pub fn maximum(self, y: impl Operand<'t, T>) -> Self {
        self.binary("maximum", Binary::Max, y)
    }

    /// The smaller of `x` and `y`, NaN if either is. A tie gives half of the gradient to each.
    #[track_caller]
    pub fn minimum(self, y: impl Operand<'t, T>) -> Self {
        self.binary("minimum", Binary::Min, y)
    }

    /// `min(max(x, lo), hi)`: between the bounds, all broadcast. At a bound the gradient passes.
    #[track_caller]
    pub fn clamp(self, lo: impl Operand<'t, T>, hi: impl Operand<'t, T>) -> Self {
        self.ternary("clamp", Ternary::Clamp, lo, hi)
    }

    #[track_caller]
    fn ternary(
        self,
        name: &str,
        op: Ternary,
        y: impl Operand<'t, T>,
        z: impl Operand<'t, T>,
    ) -> Self {
        let (y, z) = (y.lift(self.rec), z.lift(self.rec));
        self.rec
            .apply(name, &[self.into(), y.into(), z.into()], |s| {
                let operands = [self.id, y.id, z.id];
                let shape = infer::broadcast(&s.list, &operands)?;
                Ok(s.list
                    .push(Op::Ternary(op), &operands, Attr::NONE, shape, T::DTYPE))
            })
    }
}

impl Var<'_, i64> {
    /// `|x|`; the smallest `i64` has none and stays itself.
    ///
    /// ```
    /// # use retrograde_graph::Tape;
    /// # use retrograde_storage::Array;
    /// # let tape = Tape::new();
    /// let x = tape.constant(Array::from([-3_i64, 0, 5]));
    /// assert_eq!(x.abs().to_vec()?, [3, 0, 5]);
    /// # Ok::<(), retrograde_graph::Error>(())
    /// ```
    #[track_caller]
    pub fn abs(self) -> Self {
        self.map("abs", |s, x| {
            let other = s.list.unary(retrograde_ops::Unary::Neg, x);
            Ok(s.list.binary(Binary::Max, x, other))
        })
    }
}
