//! Comparison, logic and choice. Masks carry no gradient.

use std::ops::{BitAnd, BitOr, BitXor, Not};

use retrograde_ops::{Binary, Unary};
use retrograde_storage::Element;

use super::{Float, Operand, Var};
use crate::infer;

/// Comparisons give masks and broadcast as in `NumPy`; every one but `ne` is false where an operand is NaN.
impl<'t, T: Element> Var<'t, T> {
    /// `x < y`.
    #[track_caller]
    pub fn lt(self, y: impl Operand<'t, T>) -> Var<'t, bool> {
        self.binary("lt", Binary::Lt, y)
    }
    /// `x <= y`.
    #[track_caller]
    pub fn le(self, y: impl Operand<'t, T>) -> Var<'t, bool> {
        self.binary("le", Binary::Le, y)
    }
    /// `x > y`.
    #[track_caller]
    pub fn gt(self, y: impl Operand<'t, T>) -> Var<'t, bool> {
        self.binary("gt", Binary::Gt, y)
    }
    /// `x >= y`.
    #[track_caller]
    pub fn ge(self, y: impl Operand<'t, T>) -> Var<'t, bool> {
        self.binary("ge", Binary::Ge, y)
    }
    /// `x == y`.
    #[track_caller]
    pub fn eq(self, y: impl Operand<'t, T>) -> Var<'t, bool> {
        self.binary("eq", Binary::Eq, y)
    }
    /// `x != y`, true where an operand is NaN.
    #[track_caller]
    pub fn ne(self, y: impl Operand<'t, T>) -> Var<'t, bool> {
        self.binary("ne", Binary::Ne, y)
    }

    /// `x` in another element type, as Rust's `as`: floats to integers truncate and saturate, anything but zero is
    /// `true`. A gradient passes between float types only.
    #[track_caller]
    pub fn cast<U: Element>(self) -> Var<'t, U> {
        self.map("cast", |s, x| {
            Ok(if T::DTYPE == U::DTYPE {
                x
            } else {
                s.list.cast(x, U::DTYPE)
            })
        })
    }

    /// `value` where `mask` holds, `x` elsewhere; all broadcast, the result may be larger than `x`. No gradient reaches
    /// the elements of `x` under the mask, whatever their values.
    #[track_caller]
    pub fn masked_fill(self, mask: Var<'t, bool>, value: impl Operand<'t, T>) -> Self {
        let value = value.lift(self.rec);
        self.rec.apply(
            "masked_fill",
            &[self.into(), mask.into(), value.into()],
            |s| {
                infer::broadcast(&s.list, &[mask.id, value.id, self.id])?;
                Ok(s.list.select(mask.id, value.id, self.id))
            },
        )
    }
}

impl<'t, T: Float> Var<'t, T> {
    /// Where `x` is NaN.
    #[track_caller]
    pub fn is_nan(self) -> Var<'t, bool> {
        self.unary("is_nan", Unary::IsNan)
    }
    /// Where `x` is neither infinite nor NaN.
    #[track_caller]
    pub fn is_finite(self) -> Var<'t, bool> {
        self.unary("is_finite", Unary::IsFinite)
    }
}

/// Choice and logic, broadcast; shapes that do not broadcast are an error.
///
/// ```
/// # use retrograde_graph::{Reduction, Tape, keep};
/// # use retrograde_storage::{Array, Create};
/// # let tape = Tape::new();
/// let x = tape.variable(Array::from([-1.0_f64, 0.0, 4.0]));
/// let root = x.gt(0.0).select(x.sqrt(), 0.0);
/// root.sum().backward()?;
/// assert_eq!(root.value()?, Array::from([0.0, 0.0, 2.0]));
/// assert_eq!(x.grad()?, Array::from([0.0, 0.0, 0.25]));
/// let inside = x.ge(0.0) & x.lt(4.0) | x.eq(-1.0).not();
/// assert_eq!(inside.to_vec()?, [false, true, true]);
/// assert_eq!(x.ne(0.0).xor(x.le(0.0)).to_vec()?, [false, true, true]);
/// assert_eq!(x.sqrt().is_nan().or(x.is_finite().not()).to_vec()?, [true, false, false]);
/// assert_eq!(x.masked_fill(x.lt(0.0).and(true), 9.0).value()?, Array::from([9.0, 0.0, 4.0]));
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<'t> Var<'t, bool> {
    /// `a` where the mask holds, `b` elsewhere, all broadcast. The side not taken gets a gradient of exactly zero, even
    /// where its values or derivatives are infinite or NaN: `x.gt(0.0).select(x.ln(), 0.0)` is safe at `x = 0`.
    #[track_caller]
    pub fn select<T: Element>(self, a: impl Operand<'t, T>, b: impl Operand<'t, T>) -> Var<'t, T> {
        let (a, b) = (a.lift(self.rec), b.lift(self.rec));
        self.rec
            .apply("select", &[self.into(), a.into(), b.into()], |s| {
                infer::broadcast(&s.list, &[self.id, a.id, b.id])?;
                Ok(s.list.select(self.id, a.id, b.id))
            })
    }
    /// Whether both hold.
    #[track_caller]
    pub fn and(self, other: impl Operand<'t, bool>) -> Self {
        self.binary("and", Binary::And, other)
    }
    /// Whether one or both hold.
    #[track_caller]
    pub fn or(self, other: impl Operand<'t, bool>) -> Self {
        self.binary("or", Binary::Or, other)
    }
    /// Whether exactly one holds.
    #[track_caller]
    pub fn xor(self, other: impl Operand<'t, bool>) -> Self {
        self.binary("xor", Binary::Xor, other)
    }
    /// Whether it does not hold.
    #[expect(
        clippy::should_implement_trait,
        reason = "it does; the method spares importing the trait"
    )]
    #[track_caller]
    pub fn not(self) -> Self {
        self.unary("not", Unary::Not)
    }
}

impl Not for Var<'_, bool> {
    type Output = Self;
    #[track_caller]
    fn not(self) -> Self {
        self.unary("not", Unary::Not)
    }
}

macro_rules! mask_operators {
    ($($operator:ident $method:ident $name:literal $op:ident),*) => {$(
        impl<'t, O: Operand<'t, bool>> $operator<O> for Var<'t, bool> {
            type Output = Self;
            #[track_caller]
            fn $method(self, other: O) -> Self {
                self.binary($name, Binary::$op, other)
            }
        }
    )*};
}
mask_operators!(BitAnd bitand "and" And, BitOr bitor "or" Or, BitXor bitxor "xor" Xor);
