//! Loops in the list, and regions that derivatives compute again.

use std::panic::Location;
use std::sync::Arc;

use retrograde_storage::{Element, Shape};

use super::bundle::{Member, Vars};
use super::{Rec, Var};
use crate::body::{self, Recorded, ScanSpec, stacked, step_of};
use crate::error::{Error, ErrorKind, Fault};
use crate::infer;
use crate::list::{Region, Value};
use crate::recorder::Recording;

/// How [`Rec::scan_with`] runs a loop.
///
/// ```
/// # use retrograde_graph::{ScanOptions, Tape};
/// # use retrograde_storage::Array;
/// # let tape = Tape::new();
/// // Horner's rule from the last coefficient to the first; no step but the first keeps anything for the gradient.
/// let x = tape.variable(Array::<f64>::scalar(3.0));
/// let coefficients = tape.constant(Array::from([5.0, 0.0, 2.0]));
/// let options = ScanOptions::new().reverse().checkpoint_every(3);
/// let (p, ()) = tape.rec().scan_with(options, 0.0 * x, coefficients, |p, c| (p * x + c, ()));
/// assert_eq!(p.item()?, 23.0);
/// p.backward()?;
/// assert_eq!(x.grad()?, Array::scalar(12.0));
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanOptions {
    length: Option<usize>,
    reverse: bool,
    checkpoint: Checkpoint,
}

/// Which carries a derivative keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Checkpoint {
    #[default]
    All,
    Every(usize),
    Root,
}

impl ScanOptions {
    /// As many steps as the per-step inputs have elements along their first axis, from the first to the last.
    pub fn new() -> Self {
        Self::default()
    }
    /// The number of steps: needed where there are no per-step inputs.
    #[must_use]
    pub fn length(self, steps: usize) -> Self {
        Self {
            length: Some(steps),
            ..self
        }
    }
    /// From the last element to the first; outputs stand where their inputs stood.
    #[must_use]
    pub fn reverse(self) -> Self {
        Self {
            reverse: true,
            ..self
        }
    }
    /// For a gradient, keeps the carries before every `steps` steps instead of before every step, and computes those
    /// between again: the same bits for one more forward run, in memory for `length / steps + steps` carries.
    #[must_use]
    pub fn checkpoint_every(self, steps: usize) -> Self {
        Self {
            checkpoint: Checkpoint::Every(steps),
            ..self
        }
    }
    /// [`checkpoint_every`](Self::checkpoint_every) of the square root of the length, which takes the least memory.
    #[must_use]
    pub fn checkpoint_root(self) -> Self {
        Self {
            checkpoint: Checkpoint::Root,
            ..self
        }
    }

    fn every(self, length: usize) -> Option<usize> {
        match self.checkpoint {
            Checkpoint::All => None,
            Checkpoint::Every(every) => Some(every),
            Checkpoint::Root => Some(((length as f64).sqrt().ceil() as usize).max(1)),
        }
    }
}

/// A loop whose body is being recorded.
struct Opened {
    carries: Vec<Value>,
    steps: Vec<Value>,
    /// The first row of the body.
    from: usize,
    length: usize,
}

impl<'t> Rec<'t> {
    /// A loop as one instruction: `step` is recorded once and run for every element of `inputs` along their first axes,
    /// as `jax.lax.scan` does. It is given the carries and the step's inputs, and returns the next carries and the step's
    /// outputs; the result are the last carries and the outputs, stacked along a new first axis. Whatever else `step`
    /// reads is a constant of the loop. Carries, inputs and outputs are bundles: a [`Var`](crate::Var), or arrays,
    /// vectors and tuples of them, or `()`.
    ///
    /// Carries and outputs are floats of one type; carries keep their shapes. Compiling takes the time of one step,
    /// whatever the length. It has derivatives of any order, in both modes. Random draws of the body are drawn anew in
    /// every step.
    ///
    /// ```
    /// # use retrograde_graph::Tape;
    /// # use retrograde_storage::Array;
    /// # let tape = Tape::new();
    /// // A ball with drag under gusts of wind: position and speed after every step.
    /// let drag = tape.variable(Array::<f64>::scalar(0.1));
    /// let start = [tape.constant(Array::scalar(0.0)), tape.constant(Array::scalar(5.0))];
    /// let gusts = tape.constant(Array::from([0.0, 1.0, -1.0, 0.5]));
    /// let ([_, speed], path) = tape.rec().scan(start, gusts, |[x, v], gust| {
    ///     let v = v + 0.5 * (gust - drag * v * v);
    ///     let x = x + 0.5 * v;
    ///     ([x, v], x)
    /// });
    /// assert_eq!(path.shape()?, [4]);
    /// speed.backward()?;
    /// assert!(drag.grad()?.item()? < 0.0);
    /// # Ok::<(), retrograde_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Inputs of different lengths, or none; carries that change their shape; carries or outputs that are not floats of
    /// one type. The body's values cannot be read: they are other ones in every step.
    #[track_caller]
    pub fn scan<C: Vars<'t>, X: Vars<'t>, Y: Vars<'t>>(
        self,
        carry: C,
        inputs: X,
        step: impl FnOnce(C, X) -> (C, Y),
    ) -> (C, Y) {
        self.scan_with(ScanOptions::new(), carry, inputs, step)
    }

    /// [`scan`](Self::scan) with a given length, from the end, or with [checkpoints](ScanOptions::checkpoint_every).
    #[track_caller]
    pub fn scan_with<C: Vars<'t>, X: Vars<'t>, Y: Vars<'t>>(
        self,
        options: ScanOptions,
        carry: C,
        inputs: X,
        step: impl FnOnce(C, X) -> (C, Y),
    ) -> (C, Y) {
        let at = Location::caller();
        let (initial, given) = (members(&carry), members(&inputs));
        let opened = self.open(options, &initial, &given, at);
        let placeholders = |range: &[Member<'t>], own: Option<&[Value]>| match (own, &opened) {
            (Some(own), _) => own.to_vec(),
            (None, Err(error)) => self.poisoned(error, range),
            (None, Ok(_)) => Vec::new(),
        };
        let opened_now = opened.as_ref().ok();
        let carries = placeholders(&initial, opened_now.map(|o| o.carries.as_slice()));
        let steps = placeholders(&given, opened_now.map(|o| o.steps.as_slice()));
        let (next, outputs) = step(self.bundle(&carry, &carries), self.bundle(&inputs, &steps));
        let (next_members, output_members) = (members(&next), members(&outputs));
        let results = opened.and_then(|opened| {
            let ids = |of: &[Member<'t>]| of.iter().map(|m| m.id).collect::<Vec<_>>();
            let operands = [ids(&initial), ids(&given)].concat();
            self.close(
                options,
                &opened,
                &operands,
                &next_members,
                &output_members,
                at,
            )
        });
        let results = results.unwrap_or_else(|error| {
            let all = [initial.as_slice(), &output_members].concat();
            self.poisoned(&error, &all)
        });
        let (last, stacked) = results.split_at(initial.len());
        (self.bundle(&carry, last), self.bundle(&outputs, stacked))
    }

    pub(super) fn bundle<V: Vars<'t>>(self, like: &V, values: &[Value]) -> V {
        let mut values = values.iter().copied();
        like.with(self, &mut || {
            values.next().expect("a value for every handle")
        })
    }

    /// Values that have none, for the same reason.
    pub(super) fn poisoned(self, error: &Error, like: &[Member<'t>]) -> Vec<Value> {
        let mut state = self.recorder.state.borrow_mut();
        like.iter()
            .map(|m| state.push_poison(error.clone(), m.dtype))
            .collect()
    }

    /// Checks that handles are of this recording and have values.
    pub(super) fn check_members(
        self,
        name: &str,
        state: &Recording,
        of: &[Member<'t>],
        at: &'static Location<'static>,
    ) -> Result<(), Error> {
        for m in of {
            if !std::ptr::eq(m.rec.recorder, self.recorder) {
                let message = format!(
                    "{name}: an operand belongs to another tape; record both on one tape, or pass the value as an input"
                );
                return Err(Error::new(ErrorKind::Foreign, message).at(Some(at)));
            }
            if let Some(error) = state.poison_of(m.id) {
                return Err(error.clone());
            }
        }
        Ok(())
    }

    /// Placeholders for the body's inputs.
    fn open(
        self,
        options: ScanOptions,
        carries: &[Member<'t>],
        steps: &[Member<'t>],
        at: &'static Location<'static>,
    ) -> Result<Opened, Error> {
        let mut state = self.recorder.state.borrow_mut();
        self.check_members("scan", &state, carries, at)?;
        self.check_members("scan", &state, steps, at)?;
        let ids: Vec<Value> = carries.iter().chain(steps).map(|m| m.id).collect();
        let opened = state.open_scan(options, carries, steps, at);
        opened.map_err(|fault| state.refusal("scan", &ids, &fault, at))
    }

    /// Makes the scan of what was recorded since [`open`](Self::open).
    fn close(
        self,
        options: ScanOptions,
        opened: &Opened,
        operands: &[Value],
        next: &[Member<'t>],
        outputs: &[Member<'t>],
        at: &'static Location<'static>,
    ) -> Result<Vec<Value>, Error> {
        let mut state = self.recorder.state.borrow_mut();
        self.check_members("scan", &state, next, at)?;
        self.check_members("scan", &state, outputs, at)?;
        state.list.set_location(Some(at));
        let results = state.close_scan(options, opened, operands, next, outputs);
        results.map_err(|fault| state.refusal("scan", operands, &fault, at))
    }
}

impl Rec<'_> {
    /// Records what `f` does as a region whose values are not kept for derivatives: reverse mode computes them again
    /// from what the region reads, with the same bits, when it comes there. It saves the memory of all values between,
    /// for one more run of the region. Random draws repeat. Regions may stand within regions.
    ///
    /// ```
    /// # use retrograde_graph::Program;
    /// # use retrograde_storage::{Array, Create};
    /// # fn main() -> retrograde_graph::Result<()> {
    /// let x = [Array::<f64>::linspace(0.0, 1.0, 100_000)];
    /// let deep = |again: bool| {
    ///     let f = Program::record(&x, |t, [mut x]| {
    ///         for _ in 0..4 {
    ///             // Running sums cannot be part of their neighbours, so that all of these are in memory.
    ///             let block = || (0..6).fold(x, |x, _| x.cumsum(0).sin());
    ///             x = if again { t.checkpoint(block) } else { block() };
    ///         }
    ///         x.sum()
    ///     })?;
    ///     f.value_and_grad()
    /// };
    /// assert!(deep(true)?.arena_bytes() < deep(false)?.arena_bytes() / 2);
    /// # Ok(()) }
    /// ```
    pub fn checkpoint<R>(self, f: impl FnOnce() -> R) -> R {
        let rows = || self.recorder.state.borrow().list.len();
        let start = rows();
        let result = f();
        let end = rows();
        let list = &mut self.recorder.state.borrow_mut().list;
        list.add_region(Region { start, end });
        result
    }
}

impl<T: Element> Var<'_, T> {
    /// `f(self)` as a region that derivatives compute again: see [`Rec::checkpoint`].
    ///
    /// ```
    /// # use retrograde_graph::Tape;
    /// # use retrograde_storage::Array;
    /// # let tape = Tape::new();
    /// let x = tape.variable(Array::<f64>::scalar(0.5));
    /// let y = x.checkpoint(|x| x.sin().exp());
    /// y.backward()?;
    /// assert_eq!(x.grad()?.item()?, 0.5f64.cos() * y.item()?);
    /// # Ok::<(), retrograde_graph::Error>(())
    /// ```
    pub fn checkpoint<R>(self, f: impl FnOnce(Self) -> R) -> R {
        self.rec.checkpoint(|| f(self))
    }
}

pub(super) fn members<'t>(of: &impl Vars<'t>) -> Vec<Member<'t>> {
    let mut members = Vec::new();
    of.members(&mut members);
    members
}

impl Recording {
    fn open_scan(
        &mut self,
        options: ScanOptions,
        carries: &[Member<'_>],
        steps: &[Member<'_>],
        at: &'static Location<'static>,
    ) -> Result<Opened, Fault> {
        let list = &mut self.list;
        let length = length(list, options, steps)?;
        if options.every(length) == Some(0) {
            return Err(infer::argument("a checkpoint every 0 steps".to_string()));
        }
        list.set_location(Some(at));
        let from = list.len();
        let carries = carries.iter();
        let carries: Vec<Value> = carries
            .map(|m| list.placeholder(list.shape(m.id), m.id))
            .collect();
        let steps = steps.iter();
        let steps = steps.map(|m| list.placeholder(step_of(list.shape(m.id)), m.id));
        let steps = steps.collect();
        Ok(Opened {
            carries,
            steps,
            from,
            length,
        })
    }

    fn close_scan(
        &mut self,
        options: ScanOptions,
        opened: &Opened,
        operands: &[Value],
        next: &[Member<'_>],
        outputs: &[Member<'_>],
    ) -> Result<Vec<Value>, Fault> {
        let (list, length) = (&mut self.list, opened.length);
        let carries = opened.carries.len();
        if next.len() != carries {
            let reason = format!("{} carries go in, but {} come out", carries, next.len());
            return Err(Fault::shape(reason));
        }
        let float = next.iter().chain(outputs).next().map(|m| m.dtype);
        let one_type = |m: &Member<'_>| Some(m.dtype) == float && m.dtype.is_float();
        if let Some(m) = next.iter().chain(outputs).find(|m| !one_type(m)) {
            let kinds = next.iter().chain(outputs);
            let kinds: Vec<String> = kinds.map(|m| m.dtype.to_string()).collect();
            let reason = format!(
                "carries and outputs are floats of one type, but {} is among {}; carry an integer or a mask as a float, \
                 and `cast` it in the body",
                m.dtype,
                kinds.join(", ")
            );
            return Err(Fault::new(ErrorKind::DType, reason));
        }
        for (i, (m, &before)) in next.iter().zip(&opened.carries).enumerate() {
            let (found, expected) = (list.shape(m.id), list.shape(before));
            if found != expected {
                let reason = format!(
                    "carry {i} goes in as {expected} and comes out as {found}; a carry keeps its shape"
                );
                return Err(Fault::shape(reason));
            }
        }
        let every = options.every(length);
        // Carries are stacked too, and inputs cut twice where there are checkpoints.
        for m in next.iter().chain(outputs) {
            fits(list.shape(m.id), length, every)?;
        }
        for &x in &opened.steps {
            fits(list.shape(x), length, every)?;
        }
        let ids: Vec<Value> = next.iter().chain(outputs).map(|m| m.id).collect();
        if ids.is_empty() {
            return Ok(ids);
        }
        if length == 0 {
            return Ok(nothing(list, operands, carries, &ids));
        }
        let recorded = Recorded {
            from: opened.from,
            carries: &opened.carries,
            steps: &opened.steps,
            outputs: &ids,
            length,
        };
        let extracted = body::extract(list, &recorded)?;
        let operands: Vec<Value> = extracted
            .operands
            .iter()
            .map(|o| o.map_or_else(|v| v, |i| operands[i]))
            .collect();
        let spec = ScanSpec {
            body: Arc::new(extracted.body),
            length,
            reverse: options.reverse,
        };
        Ok(list.scan_results(spec, &operands, every))
    }
}

/// The results of no step.
fn nothing(
    list: &mut crate::list::List,
    operands: &[Value],
    carries: usize,
    ids: &[Value],
) -> Vec<Value> {
    let none = ids[carries..].iter().map(|&v| {
        let shape = stacked(list.shape(v), 0).expect("checked to stack");
        list.filled(0.0, list.dtype(v), shape)
    });
    let none: Vec<Value> = none.collect();
    [&operands[..carries], &none].concat()
}

/// Whether values of `shape` stack along the axes that a loop of these steps needs.
fn fits(shape: Shape, length: usize, every: Option<usize>) -> Result<(), Fault> {
    let whole = stacked(shape, length.max(1));
    let blocks = whole.and_then(|s| {
        if every.is_some() {
            stacked(s, 1)
        } else {
            Some(s)
        }
    });
    if blocks.is_some() {
        return Ok(());
    }
    let with = if every.is_some() {
        " with checkpoints"
    } else {
        ""
    };
    Err(Fault::shape(format!(
        "{shape} for every one of {length} steps{with} has too many axes or elements"
    )))
}

/// The number of steps.
fn length(
    list: &crate::list::List,
    options: ScanOptions,
    steps: &[Member<'_>],
) -> Result<usize, Fault> {
    let mut length = options.length;
    for (i, m) in steps.iter().enumerate() {
        let Some(&n) = list.dims(m.id).first() else {
            return Err(Fault::shape(format!(
                "per-step input {i} is a scalar, which has no axis to step along; what is the same in every step is simply used by the body"
            )));
        };
        if *length.get_or_insert(n) != n {
            return Err(Fault::shape(format!(
                "per-step input {i} has {n} elements along its first axis, expected are {}",
                length.unwrap_or(n)
            )));
        }
    }
    length.ok_or_else(|| {
        Fault::shape(
            "without per-step inputs the length must be given: `ScanOptions::new().length(n)`",
        )
    })
}
