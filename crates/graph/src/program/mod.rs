//! Programs: recorded once, compiled, replayed any number of times on any number of threads.
//!
//! [`feed`] and [`outputs`] say what goes in and comes out, [`run`] replays, [`transforms`] makes programs from
//! programs, [`vmap`] makes programs of batches of samples, [`dynamic`] holds one trace for each branch that was met,
//! [`jacobian`] and [`sparse`] replay a transform for many seeds ([`products`]), [`linear`] splits off what depends on
//! tangents, [`cost`] reports what a run takes, [`budget`] chooses what to compute again instead of keeping it.

pub(crate) mod budget;
pub(crate) mod cost;
pub(crate) mod dynamic;
pub(crate) mod feed;
pub(crate) mod jacobian;
pub(crate) mod linear;
pub(crate) mod outputs;
mod products;
pub(crate) mod run;
pub(crate) mod sparse;
mod transforms;
mod vmap;

use std::fmt;
use std::sync::Arc;

use retrograde_storage::Element;

use crate::error::Result;
use crate::list::{List, Region, Value};
use crate::params::Bound;
use crate::passes::gates;
use crate::passes::rebuild::Job;
use crate::print;
use crate::recorder::Recorder;
use crate::run::options::Options;
use crate::run::plan::Plan;
use crate::tape::Guard;
use crate::var::{Rec, Var};

use feed::{Feed, Inputs};
use outputs::{Outs, no_output};

/// A recording as transforms see it: the list and what goes in and comes out.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    list: List,
    inputs: Vec<Value>,
    outputs: Vec<Value>,
    uniforms: Vec<f64>,
    seeds: Vec<u64>,
    guards: Vec<Guard>,
    /// Inputs that are seeds or tangents, in order.
    given: Vec<Value>,
    /// What is computed again for the sake of memory.
    segments: Vec<Region>,
    /// Rows that stood there before the last derivative was taken; all of them if none was.
    primal: usize,
}

/// A compiled computation: immutable, `Send + Sync`, printable.
///
/// ```
/// use retrograde_graph::Program;
/// use retrograde_storage::Array;
/// # fn main() -> retrograde_graph::Result<()> {
/// let x = Array::arange(3);
/// let energy = Program::record(&[x.clone()], |_, [x]| (x * x).sum())?;
/// let gradient = energy.value_and_grad()?;
/// let mut ws = gradient.workspace()?;
/// let out = gradient.run(&mut ws, &[&x])?;
/// assert_eq!(out.array::<f32>(1)?, 2.0 * x);
/// # Ok(()) }
/// ```
///
/// # What derivatives cost
///
/// [`cost`](Self::cost) tells before anything runs. A reverse sweep costs a small multiple of the function whatever the
/// number of inputs, and has to keep, or compute again, what the function computed on the way; forward mode costs about
/// twice the function for *each* direction and keeps nothing. So reverse wins for many inputs and few outputs, forward
/// for few inputs and many outputs, and [`jacobian`](Self::jacobian) compares the two.
///
/// A second derivative differentiates the gradient, which is longer than the function was: a Hessian-vector product
/// costs a small multiple of the *gradient*, and a whole Hessian as many of those as there are inputs.
///
/// ```
/// use retrograde_graph::{Direction, Program};
/// use retrograde_storage::{Array, Create};
/// # fn main() -> retrograde_graph::Result<()> {
/// let x = Array::<f64>::linspace(0.0, 1.0, 1000);
/// let f = Program::record(&[x.clone()], |_, [x]| (x.sin() * x.exp()).sum())?;
/// let (value, gradient, product) = (f.cost(), f.value_and_grad()?.cost(), f.hvp()?.cost());
/// assert!(value.flops < gradient.flops && gradient.flops < product.flops);
/// assert!(gradient.flops < 5 * value.flops, "a gradient costs a few functions, not a thousand");
///
/// // A thousand inputs, one output: one reverse sweep, against a thousand forward ones.
/// assert_eq!(f.jacobian(0)?.direction(), Direction::Reverse);
/// assert!(f.vjp()?.cost().flops < 1000 * f.jvp()?.cost().flops);
///
/// // One input, a thousand outputs: the other way round.
/// let curve = Program::record(&[Array::<f64>::scalar(1.0)], |t, [a]| {
///     (a * t.arange::<f64>(1000)).sin()
/// })?;
/// assert_eq!(curve.jacobian(0)?.direction(), Direction::Forward);
/// println!("{}", f.hvp()?.cost()); // the same as a table, with what is kept and the line that recorded it
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Program {
    recorded: Arc<Recorded>,
    plan: Arc<Plan>,
}

impl Program {
    /// Records a closure of one result and compiles it.
    ///
    /// # Errors
    /// What the closure did wrong, with its line; example inputs that hold an error.
    pub fn record<I: Inputs, T: Element, F>(inputs: &I, f: F) -> Result<Self>
    where
        F: for<'t> Fn(Rec<'t>, I::Vars<'t>) -> Var<'t, T>,
    {
        Self::try_record(inputs, |t, v| Ok(f(t, v).into()))
    }

    /// Records a closure of several results, or one that uses `?`, and compiles it.
    ///
    /// A bool or an integer that the closure reads with `item` leaves a guard: the program refuses inputs for which the
    /// value is another one.
    pub fn try_record<I: Inputs, F>(inputs: &I, f: F) -> Result<Self>
    where
        F: for<'t> Fn(Rec<'t>, I::Vars<'t>) -> Result<Outs<'t>>,
    {
        Self::try_record_with(inputs, Options::default(), f)
    }

    /// As [`try_record`](Self::try_record) with options.
    pub fn try_record_with<I: Inputs, F>(inputs: &I, options: Options, f: F) -> Result<Self>
    where
        F: for<'t> Fn(Rec<'t>, I::Vars<'t>) -> Result<Outs<'t>>,
    {
        Self::compile(Recorded::record::<I>(inputs, 0, options, f)?, options)?.checked()
    }

    /// The program, if it fits the budget of memory.
    fn checked(self) -> Result<Self> {
        match self.plan.options.memory_budget {
            Some(budget) if self.arena_bytes() > budget => {
                Err(budget::over(budget, self.arena_bytes()))
            }
            _ => Ok(self),
        }
    }

    fn compile(recorded: Recorded, options: Options) -> Result<Self> {
        let mut list = recorded.list.clone();
        gates::downgrade_given(&mut list, &recorded.given);
        // A program's literals never change. As part of it, equal ones are one value, and what is computed from them
        // alike is computed once.
        list.fix_uniforms(&recorded.uniforms);
        let mut outputs = recorded.outputs.clone();
        outputs.extend(recorded.guards.iter().map(|g| g.value));
        let job = Job {
            list: &list,
            known: &[],
            outputs: &outputs,
            updates: &[],
        };
        let mut plan = Plan::compile(&job, options)?;
        plan.watch(&job, &recorded.outputs, recorded.primal)?;
        Ok(Self {
            recorded: Arc::new(recorded),
            plan: Arc::new(plan),
        })
    }

    /// A program made from this one's recording.
    fn derive(&self, transform: impl Fn(&Recorded) -> Result<Recorded>) -> Result<Self> {
        let (options, recorded) = (self.plan.options, &*self.recorded);
        let compile = |regions: &[Region]| {
            if regions.is_empty() {
                let mut made = transform(recorded)?;
                made.list.refused()?;
                return Self::compile(made, options);
            }
            let mut recorded = recorded.clone();
            regions.iter().for_each(|&r| recorded.list.add_region(r));
            let mut derived = transform(&recorded)?;
            derived.list.refused()?;
            derived.segments.extend(regions);
            Self::compile(derived, options)
        };
        let (list, outputs) = (&recorded.list, &recorded.outputs);
        budget::within(
            options.memory_budget,
            list,
            outputs,
            compile,
            Self::arena_bytes,
        )
    }

    /// The same program compiled with other options.
    pub fn with_options(&self, options: Options) -> Result<Self> {
        Self::compile((*self.recorded).clone(), options)?.checked()
    }

    /// The options it was compiled with.
    pub fn options(&self) -> Options {
        self.plan.options
    }

    /// A program of output `i` alone.
    pub fn output(&self, i: usize) -> Result<Self> {
        self.derive(|r| r.output(i))
    }

    /// The number of inputs.
    pub fn input_count(&self) -> usize {
        self.recorded.inputs.len()
    }
    /// The number of outputs.
    pub fn output_count(&self) -> usize {
        self.recorded.outputs.len()
    }
    /// Extents of input `i`.
    pub fn input_shape(&self, i: usize) -> Option<&[usize]> {
        let list = &self.recorded.list;
        self.recorded.inputs.get(i).map(|&v| list.dims(v))
    }
    /// Extents of output `i`.
    pub fn output_shape(&self, i: usize) -> Option<&[usize]> {
        let list = &self.recorded.list;
        self.recorded.outputs.get(i).map(|&v| list.dims(v))
    }
    /// Element type of input `i`.
    pub fn input_dtype(&self, i: usize) -> Option<retrograde_storage::DType> {
        let list = &self.recorded.list;
        self.recorded.inputs.get(i).map(|&v| list.dtype(v))
    }
    /// Element type of output `i`.
    pub fn output_dtype(&self, i: usize) -> Option<retrograde_storage::DType> {
        let list = &self.recorded.list;
        self.recorded.outputs.get(i).map(|&v| list.dtype(v))
    }

    /// Instructions after optimisation.
    pub fn len(&self) -> usize {
        self.plan.list.len()
    }
    /// Whether there is no instruction.
    pub fn is_empty(&self) -> bool {
        self.plan.list.is_empty()
    }
    /// Number of fused groups.
    pub fn groups(&self) -> usize {
        self.plan.groups.len()
    }
    /// Bytes of the planned arena: the peak of everything that is neither input nor output.
    pub fn arena_bytes(&self) -> usize {
        self.plan.arena * retrograde_storage::PACKET_BYTES
    }
    /// Estimated time on one core, in nanoseconds.
    pub fn cost_ns(&self) -> f64 {
        self.plan.cost
    }
    /// The recording before any pass, as text.
    pub fn listing(&self) -> String {
        print::list(&self.recorded.list, &self.recorded.outputs)
    }
}

impl Recorded {
    /// Records a closure on the inputs of a feed; random draws that it branches on are those of run `step`.
    fn record<I: Inputs>(
        feed: &dyn Feed,
        step: u64,
        options: Options,
        f: impl for<'t> Fn(Rec<'t>, I::Vars<'t>) -> Result<Outs<'t>>,
    ) -> Result<Self> {
        let recorder = Recorder::default();
        {
            let mut state = recorder.state.borrow_mut();
            state.store.recording = true;
            state.store.step = step;
            state.store.cache.options = options;
        }
        let rec = Rec {
            recorder: &recorder,
            params: Bound::None,
        };
        let vars = I::declare(rec, feed)?;
        let outputs = f(rec, vars)?.values(&recorder)?;
        let state = recorder.state.into_inner();
        if let Some(error) = outputs.iter().find_map(|&v| state.poison_of(v)) {
            return Err(error.clone());
        }
        Ok(Self {
            inputs: state.store.leaves.iter().map(|l| l.value).collect(),
            outputs,
            uniforms: state.uniforms,
            seeds: state.streams.iter().map(|s| s.0).collect(),
            guards: state.store.guards,
            given: Vec::new(),
            segments: Vec::new(),
            primal: state.list.len(),
            list: state.list,
        })
    }

    fn output(&self, i: usize) -> Result<Self> {
        match self.outputs.get(i) {
            Some(&v) => Ok(Self {
                outputs: vec![v],
                ..self.clone()
            }),
            None => Err(no_output(i, self.outputs.len())),
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&print::plan(&self.plan))
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Program({} inputs, {} outputs, {} instructions)",
            self.input_count(),
            self.output_count(),
            self.len()
        )
    }
}
