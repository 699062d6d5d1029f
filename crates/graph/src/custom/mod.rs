//! Operations of the user's own: a function on slices, and a derivative rule on slices or as recorded operations.
//!
//! A [`CustomOp`] is applied at certain shapes as a `Call`, which the instruction list keeps (`call`), so its address
//! is part of what makes two recordings one program. A recorded rule is recorded once for each call, on a recorder of its
//! own, and spliced into the list wherever a sweep meets the operation (`fragment`): no tape is borrowed while it runs.
//! Functions on slices run while their tape evaluates; they are `'static`, so they can hold no handle of it.

pub(crate) mod call;
pub(crate) mod fragment;
mod samples;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use retrograde_storage::{ArrayRef, Shape};

use crate::error::{ErrorKind, Fault};
use crate::infer;
use crate::op::{Attr, Op};
use crate::var::{AnyVar, Float, Rec, Var};
use call::{Call, Typed};

/// Operands of a custom operation at most.
pub(crate) const MOST_OPERANDS: usize = 8;

/// Shapes that an operation remembers its calls of; recordings with more record their rules again.
const REMEMBERED: usize = 64;

/// What a forward function returns: nothing, or a refusal with its reason, which makes the run an error.
pub trait Outcome {
    /// The reason for which the operands were refused.
    fn refusal(self) -> Option<String>;
}
impl Outcome for () {
    fn refusal(self) -> Option<String> {
        None
    }
}
impl Outcome for Result<(), String> {
    fn refusal(self) -> Option<String> {
        self.err()
    }
}

type Forward<T> = dyn Fn(&[ArrayRef<'_, T>], &mut [T]) -> Option<String> + Send + Sync;
type Backward<T> = dyn Fn(&[ArrayRef<'_, T>], &[T], &[T], &mut [&mut [T]]) + Send + Sync;
type Derivative<T> =
    dyn for<'t> Fn(&[Var<'t, T>], Var<'t, T>, Var<'t, T>) -> Vec<Var<'t, T>> + Send + Sync;
type OutShape = dyn Fn(&[&[usize]]) -> Vec<usize> + Send + Sync;

/// An operation of the user's own: several inputs of one float type, one output, both as slices.
///
/// ```
/// use retrograde_graph::{CustomOp, Tape};
/// use retrograde_storage::Array;
/// # fn main() -> retrograde_graph::Result<()> {
/// let softsign = CustomOp::<f64>::new("my_softsign", |inputs, out| {
///     for (y, x) in out.iter_mut().zip(inputs[0].iter()) {
///         *y = x / (1.0 + x.abs());
///     }
/// })
/// // As a rule of operations that have rules: any order, forward and reverse.
/// .derivative(|inputs, _out, g| vec![g / (inputs[0].abs() + 1.0).square()]);
///
/// let tape = Tape::new();
/// let x = tape.variable(Array::from([1.0, -3.0]));
/// let y = softsign.apply([x]);
/// assert_eq!(y.value()?, Array::from([0.5, -0.75]));
/// let [g] = y.sum().grad_of([x]);
/// assert_eq!(g.value()?, Array::from([0.25, 0.0625]));
/// let [h] = g.sum().grad_of([x]);
/// assert_eq!(h.value()?, Array::from([-0.25, 0.03125]));
///
/// // Or on slices: for one reverse sweep, which is most of what training does.
/// let cube = CustomOp::<f64>::new("cube", |inputs, out| {
///     out.iter_mut().zip(inputs[0].iter()).for_each(|(y, x)| *y = x * x * x);
/// })
/// .backward(|inputs, _out, g, grads| {
///     for (i, x) in inputs[0].iter().enumerate() {
///         grads[0][i] = 3.0 * x * x * g[i];
///     }
/// });
/// let [g] = cube.apply([x]).sum().grad_of([x]);
/// assert_eq!(g.value()?, Array::from([3.0, 27.0]));
/// let error = g.sum().grad_of([x])[0].value().unwrap_err();
/// assert!(error.to_string().contains("cube"));
/// # Ok(()) }
/// ```
///
/// # What is asked of the functions
///
/// The same result for the same operands, every time: calls that are equal are made once, and one whose result nobody
/// needs is not made. A recorded rule is linear in the output's gradient and does not read values.
///
/// Under [`vmap`](crate::Program::vmap) the functions are called for each sample in turn, a recorded rule is batched.
///
/// A panic in a function makes the run an error of kind [`ErrorKind::Custom`]; what it ran in is not used again until it
/// is reset ([`Workspace::reset`](crate::Workspace::reset), [`Tape::reset`](crate::Tape::reset)).
pub struct CustomOp<T: Float = f32> {
    inner: Arc<Inner<T>>,
}

impl<T: Float> Clone for CustomOp<T> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<T: Float> std::fmt::Debug for CustomOp<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CustomOp({})", self.inner.rules.name)
    }
}

/// The functions of an operation.
#[derive(Clone)]
pub(crate) struct Rules<T: Float> {
    pub name: String,
    pub forward: Arc<Forward<T>>,
    pub backward: Option<Arc<Backward<T>>>,
    pub derivative: Option<Arc<Derivative<T>>>,
    shape: Option<Arc<OutShape>>,
}

struct Inner<T: Float> {
    rules: Rules<T>,
    calls: Mutex<Vec<Arc<Typed<T>>>>,
}

impl<T: Float> CustomOp<T> {
    /// An operation by its name in errors and its forward function: of the inputs, into the output, which is zeros
    /// before. The output has the shape of the first input unless [`shape`](Self::shape) says otherwise. A function that
    /// returns `Result<(), String>` may refuse its inputs.
    pub fn new<R: Outcome>(
        name: impl Into<String>,
        forward: impl Fn(&[ArrayRef<'_, T>], &mut [T]) -> R + Send + Sync + 'static,
    ) -> Self {
        Self::of(Rules {
            name: name.into(),
            forward: Arc::new(move |inputs, out| forward(inputs, out).refusal()),
            backward: None,
            derivative: None,
            shape: None,
        })
    }

    fn of(rules: Rules<T>) -> Self {
        Self {
            inner: Arc::new(Inner {
                rules,
                calls: Mutex::default(),
            }),
        }
    }

    fn with(&self, change: impl FnOnce(&mut Rules<T>)) -> Self {
        let mut rules = self.inner.rules.clone();
        change(&mut rules);
        Self::of(rules)
    }

    /// The same with the output's extents as a function of the inputs'.
    #[must_use]
    pub fn shape(self, shape: impl Fn(&[&[usize]]) -> Vec<usize> + Send + Sync + 'static) -> Self {
        self.with(|rules| rules.shape = Some(Arc::new(shape)))
    }

    /// The same with a derivative on slices: of the inputs, the output and its gradient, into a gradient for each input,
    /// zeros before. It serves one reverse sweep, before or after `vmap`; a second order or forward mode is an error that
    /// names the operation.
    #[must_use]
    pub fn backward(
        self,
        rule: impl Fn(&[ArrayRef<'_, T>], &[T], &[T], &mut [&mut [T]]) + Send + Sync + 'static,
    ) -> Self {
        self.with(|rules| rules.backward = Some(Arc::new(rule)))
    }

    /// The same with a derivative in terms of other operations: of the inputs, the output and its gradient, a gradient
    /// for each input, of its shape. It serves any order and any mode, and is preferred to one on slices.
    #[must_use]
    pub fn derivative(
        self,
        rule: impl for<'t> Fn(&[Var<'t, T>], Var<'t, T>, Var<'t, T>) -> Vec<Var<'t, T>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.with(|rules| rules.derivative = Some(Arc::new(rule)))
    }

    /// Applies it to values of one tape.
    #[track_caller]
    pub fn apply<'t, const N: usize>(&self, inputs: [Var<'t, T>; N]) -> Var<'t, T> {
        const { assert!(N > 0, "an operation has an input at least") };
        self.record(inputs[0].rec(), &inputs)
    }

    #[track_caller]
    pub(crate) fn record<'t>(&self, rec: Rec<'t>, inputs: &[Var<'t, T>]) -> Var<'t, T> {
        let operands: Vec<AnyVar<'t>> = inputs.iter().map(|&v| v.into()).collect();
        // Before the tape is borrowed, for the user's functions run here. Poisoned operands are told of below.
        let shapes: crate::Result<Vec<Shape>> = inputs.iter().map(|v| v.shape_checked()).collect();
        let call = shapes.ok().map(|shapes| self.call(&shapes));
        rec.apply(&self.inner.rules.name, &operands, |s| {
            let call = call.expect("operands without a shape are poisoned")?;
            let (shape, operands) = (
                call.output,
                operands.iter().map(|v| v.id).collect::<Vec<_>>(),
            );
            let attr = s.list.add_call(call);
            Ok(s.list.push(Op::Custom, &operands, attr, shape, T::DTYPE))
        })
    }

    /// The call at these shapes, with its rule recorded.
    fn call(&self, shapes: &[Shape]) -> Result<Arc<Typed<T>>, Fault> {
        let inner = &*self.inner;
        if shapes.len() > MOST_OPERANDS {
            let reason = format!(
                "a custom operation has {MOST_OPERANDS} inputs at most, not {}",
                shapes.len()
            );
            return Err(infer::argument(reason));
        }
        let calls = || inner.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let known = calls().iter().find(|c| c.inputs == shapes).cloned();
        if let Some(call) = known {
            return Ok(call);
        }
        let dims: Vec<&[usize]> = shapes.iter().map(Shape::dims).collect();
        let output = match &inner.rules.shape {
            None => shapes[0],
            Some(shape) => {
                let dims = catch_unwind(AssertUnwindSafe(|| shape(&dims))).map_err(|_| {
                    Fault::new(ErrorKind::Custom, "its function for the shape panicked")
                })?;
                infer::shape(&dims)?
            }
        };
        let total = shapes.iter().fold(0usize, |n, s| n.saturating_add(s.len()));
        infer::shape(&[total])?;
        let call = Arc::new(Typed::new(inner.rules.clone(), shapes.to_vec(), output));
        let mut calls = calls();
        if calls.len() == REMEMBERED {
            calls.remove(0);
        }
        calls.push(Arc::clone(&call));
        drop(calls);
        // Known by now, so a rule that applies its own operation finds it; it is not recorded again for that.
        call.record_rule();
        Ok(call)
    }
}

impl crate::list::List {
    /// The attribute that stands for a call.
    pub(crate) fn add_call(&mut self, call: Arc<dyn Call>) -> Attr {
        let known = self.calls.iter().position(|c| same_call(c, &call));
        let at = known.unwrap_or_else(|| {
            self.calls.push(call);
            self.calls.len() - 1
        });
        Attr::int(at as i64)
    }

    /// The call of an [`Op::Custom`] or [`Op::CustomGrad`].
    pub(crate) fn call(&self, v: crate::list::Value) -> &Arc<dyn Call> {
        &self.calls[self.attr(v).as_int() as usize]
    }
}

/// Whether two calls are one: by address, for functions cannot be compared.
pub(crate) fn same_call(a: &Arc<dyn Call>, b: &Arc<dyn Call>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(a), Arc::as_ptr(b))
}
