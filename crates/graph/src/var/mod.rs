//! [`Var`]: a handle on a recorded value, with every operation as a method or operator; and [`Rec`], what makes leaves.
//!
//! One file a family of operations, named as in the kernels and the rules.

/// Methods of one operand, by table: documentation, name, operation, and for the example a point with the value and the
/// derivative there.
macro_rules! unary_methods {
    ($($(#[$doc:meta])* $name:ident => $op:ident, $at:expr => $value:expr, $slope:expr;)*) => {
        impl<'t, T: $crate::var::Float> $crate::var::Var<'t, T> {
            $($(#[$doc])*
            ///
            /// Element by element, of any shape; there is no error but that of `x`.
            ///
            #[doc = concat!(
                "```\n# use retrograde_graph::Tape;\n# use retrograde_storage::Array;\n# use std::f64::consts::*;\n",
                "# let tape = Tape::new();\n",
                "let x = tape.variable(Array::<f64>::scalar(", stringify!($at), "));\n",
                "let y = x.", stringify!($name), "();\n",
                "let [slope] = y.grad_of([x]);\n",
                "assert!((y.item()? - (", stringify!($value), ")).abs() < 1e-15);\n",
                "assert!((slope.item()? - (", stringify!($slope), ")).abs() < 1e-15);\n",
                "# Ok::<(), retrograde_graph::Error>(())\n```",
            )]
            #[track_caller]
            pub fn $name(self) -> Self {
                self.unary(stringify!($name), retrograde_ops::Unary::$op)
            })*
        }
    };
}

mod activation;
mod arith;
mod attention;
mod axes;
mod bundle;
mod classes;
mod compare;
mod control;
mod conv;
mod create;
mod decomposition;
mod einsum;
mod index;
mod join;
mod linalg;
mod loss;
mod norm;
mod normalize;
mod pool;
mod product;
mod random;
mod reduce;
mod resample;
mod rope;
mod row;
mod scan;
mod scatter;
mod shape;
mod slice;
mod sort;
mod special;
#[cfg(test)]
mod tests;
mod unfold;
mod vmap;

use std::marker::PhantomData;
use std::panic::Location;

use retrograde_ops::structured::Division;
use retrograde_ops::{Binary, Unary};
use retrograde_storage::{DType, Element, Id, Real, Shape};

use crate::error::{Error, ErrorKind, Fault};
use crate::infer;
use crate::list::Value;
use crate::op::{Attr, Op};
use crate::params::Bound;
use crate::recorder::{Recorder, Recording};

pub use attention::Attention;
pub use axes::{Axes, keep};
pub use bundle::Vars;
pub use classes::ClassLoss;
pub use control::ScanOptions;
pub use conv::{ConvOptions, PerAxis};
pub use index::Index;
pub use linalg::Triangle;
pub use loss::Reduction;
pub use pool::PoolOptions;
pub use random::Rng;
pub use resample::Interpolation;
pub use rope::Rope;
pub use shape::INFER;
pub use sort::{Order, Side};

/// Where operations are recorded: a copyable reference to a tape (and to the parameters of the step, if there are any).
/// Handed to closures of `Program::record`, returned by `Tape::step`, and reachable from any [`Var`].
#[derive(Clone, Copy)]
pub struct Rec<'t> {
    pub(crate) recorder: &'t Recorder,
    pub(crate) params: Bound<'t>,
}

/// A recorded value of element type `T`: two pointers and a row number, `Copy`, valid as long as its tape's step.
pub struct Var<'t, T = f32> {
    pub(crate) rec: Rec<'t>,
    pub(crate) id: Value,
    pub(crate) element: PhantomData<T>,
}

impl<T> Clone for Var<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Var<'_, T> {}

impl<T: Element> std::fmt::Debug for Var<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.rec.recorder.state.borrow();
        write!(f, "{}: {} {}", self.id, T::DTYPE, state.list.shape(self.id))
    }
}

/// A handle whose element type is forgotten: how operands of mixed types reach the recorder.
#[derive(Clone, Copy)]
pub(crate) struct AnyVar<'t> {
    pub rec: Rec<'t>,
    pub id: Value,
}

impl<'t, T> From<Var<'t, T>> for AnyVar<'t> {
    fn from(v: Var<'t, T>) -> Self {
        AnyVar {
            rec: v.rec,
            id: v.id,
        }
    }
}

/// The element types that carry gradients, with the arithmetic of their handles: `f32` and `f64`.
///
/// The higher-ranked bounds make `T::of(2.0) * x` available in generic code, where `2.0 * x` is not.
pub trait Float:
    Real
    + Number
    + crate::params::Bind
    + for<'t> std::ops::Add<Var<'t, Self>, Output = Var<'t, Self>>
    + for<'t> std::ops::Sub<Var<'t, Self>, Output = Var<'t, Self>>
    + for<'t> std::ops::Mul<Var<'t, Self>, Output = Var<'t, Self>>
    + for<'t> std::ops::Div<Var<'t, Self>, Output = Var<'t, Self>>
{
    /// The nearest value of this type.
    fn of(x: f64) -> Self {
        Self::from_f64(x)
    }
}
impl Float for f32 {}
impl Float for f64 {}

/// The element types with arithmetic: `f32`, `f64`, and the integers `u32` and `i64`, which carry no gradient.
///
/// Results of integers that do not fit wrap. Their quotients truncate towards zero, their remainders have the sign of the
/// dividend, and a divisor of zero is an error when the program runs.
pub trait Number: Element + sealed::Number {}

mod sealed {
    use retrograde_ops::Binary;

    use crate::op::Op;

    /// Keeps users' types out, and says how a type divides.
    pub trait Number {
        /// The instruction of an operator.
        #[doc(hidden)]
        fn instruction(op: Binary) -> Op;
    }
}

macro_rules! numbers {
    ($($t:ty: $instruction:expr),*) => {$(
        impl Number for $t {}
        impl sealed::Number for $t {
            fn instruction(op: Binary) -> Op {
                $instruction(op)
            }
        }
    )*};
}
numbers!(f32: Op::Binary, f64: Op::Binary, u32: of_integers, i64: of_integers);

/// The division of integers may fail, so it is an instruction of its own.
fn of_integers(op: Binary) -> Op {
    match op {
        Binary::Div => Op::Division(Division::Quotient),
        Binary::Rem => Op::Division(Division::Remainder),
        other => Op::Binary(other),
    }
}

/// An operand: another handle, or a plain number that becomes a scalar.
pub trait Operand<'t, T>: Copy {
    /// The operand as a handle recorded where `rec` records.
    fn lift(self, rec: Rec<'t>) -> Var<'t, T>;
}
impl<'t, T: Element> Operand<'t, T> for Var<'t, T> {
    fn lift(self, _: Rec<'t>) -> Var<'t, T> {
        self
    }
}
impl<'t, T: Element> Operand<'t, T> for T {
    #[track_caller]
    fn lift(self, rec: Rec<'t>) -> Var<'t, T> {
        rec.scalar(self)
    }
}

impl<'t> Rec<'t> {
    pub(crate) fn var<T>(self, id: Value) -> Var<'t, T> {
        Var {
            rec: self,
            id,
            element: PhantomData,
        }
    }

    /// A rank-0 constant.
    #[track_caller]
    pub fn scalar<T: Element>(self, x: T) -> Var<'t, T> {
        let mut state = self.recorder.state.borrow_mut();
        state.list.set_location(Some(Location::caller()));
        let id = state.literal(x);
        drop(state);
        self.var(id)
    }

    /// Records an operation over operands of this tape: checks that they are of this tape and not poisoned, then lets
    /// `build` check shapes and emit. `name` is what the error calls the operation.
    #[track_caller]
    pub(crate) fn apply<T: Element>(
        self,
        name: &str,
        operands: &[AnyVar<'t>],
        build: impl FnOnce(&mut Recording) -> Result<Value, Fault>,
    ) -> Var<'t, T> {
        let at = Location::caller();
        let mut state = self.recorder.state.borrow_mut();
        let id = if operands
            .iter()
            .all(|o| std::ptr::eq(o.rec.recorder, self.recorder))
        {
            // At most a handful of operands but for concat: the common case stays off the heap.
            let mut few = [Value::from_index(0); 4];
            if operands.len() <= few.len() {
                for (to, from) in few.iter_mut().zip(operands) {
                    *to = from.id;
                }
                state.apply(name, &few[..operands.len()], T::DTYPE, at, build)
            } else {
                let ids: Vec<Value> = operands.iter().map(|o| o.id).collect();
                state.apply(name, &ids, T::DTYPE, at, build)
            }
        } else {
            let message = format!(
                "{name}: an operand belongs to another tape; record both on one tape, or pass the value as an input"
            );
            state.push_poison(
                Error::new(ErrorKind::Foreign, message).at(Some(at)),
                T::DTYPE,
            )
        };
        drop(state);
        self.var(id)
    }
}

impl<'t, T: Element> Var<'t, T> {
    /// Where this value is recorded: lets a model make constants and parameters without a context argument.
    pub fn rec(self) -> Rec<'t> {
        self.rec
    }

    /// The element type.
    pub fn dtype(self) -> DType {
        T::DTYPE
    }

    /// The extents, or the error that keeps this value from having any.
    pub fn shape(self) -> crate::Result<Vec<usize>> {
        self.shape_checked().map(|s| s.dims().to_vec())
    }

    /// The number of elements.
    #[expect(
        clippy::len_without_is_empty,
        reason = "fallible; a tensor is rarely asked whether it is empty"
    )]
    pub fn len(self) -> crate::Result<usize> {
        self.shape_checked().map(|s| s.len())
    }

    pub(crate) fn shape_checked(self) -> crate::Result<Shape> {
        let state = self.rec.recorder.state.borrow();
        match state.poison_of(self.id) {
            Some(error) => Err(error.clone()),
            None => Ok(state.list.shape(self.id)),
        }
    }
}

/// How methods record.
impl<'t, T: Element> Var<'t, T> {
    /// One elementwise operation of this value.
    #[track_caller]
    pub(crate) fn unary<U: Element>(self, name: &str, op: Unary) -> Var<'t, U> {
        self.rec
            .apply(name, &[self.into()], |s| Ok(s.list.unary(op, self.id)))
    }

    /// One elementwise operation of this value and another of its type, broadcast.
    #[track_caller]
    pub(crate) fn binary<U: Element>(
        self,
        name: &str,
        op: Binary,
        other: impl Operand<'t, T>,
    ) -> Var<'t, U> {
        let other = other.lift(self.rec);
        self.rec.apply(name, &[self.into(), other.into()], |s| {
            infer::broadcast(&s.list, &[self.id, other.id])?;
            Ok(s.list.binary(op, self.id, other.id))
        })
    }

    /// An operator of numbers: [`binary`](Self::binary), but of integers a division is not elementwise.
    #[track_caller]
    pub(crate) fn arithmetic(self, name: &str, op: Binary, other: impl Operand<'t, T>) -> Self
    where
        T: Number,
    {
        let other = other.lift(self.rec);
        self.rec.apply(name, &[self.into(), other.into()], |s| {
            let operands = [self.id, other.id];
            let shape = infer::broadcast(&s.list, &operands)?;
            let op = T::instruction(op);
            Ok(s.list.push(op, &operands, Attr::NONE, shape, T::DTYPE))
        })
    }

    /// Anything of this value alone.
    #[track_caller]
    pub(crate) fn map<U: Element>(
        self,
        name: &str,
        build: impl FnOnce(&mut Recording, Value) -> Result<Value, Fault>,
    ) -> Var<'t, U> {
        self.rec.apply(name, &[self.into()], |s| build(s, self.id))
    }
}
