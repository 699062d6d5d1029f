//! Programs: recorded once, compiled, replayed any number of times on any number of threads.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use retrograde_storage::{Array, ArrayRef, DType, Element, Packet, Shape, packets_for};

use crate::error::{Error, ErrorKind, Result};
use crate::list::{List, Value};
use crate::op::{Attr, Op};
use crate::params::Bound;
use crate::passes::gates;
use crate::passes::rebuild::Job;
use crate::recorder::Recorder;
use crate::run::plan::{Options, Plan};
use crate::run::workspace::{Given, Memory};
use crate::tape::{Guard, decode};
use crate::var::{Float, Rec, Var};
use crate::{print, rules};

/// Example inputs of a program: they give element types and shapes, and the values that branches are recorded on.
pub trait Inputs {
    /// The handles that the closure gets.
    type Vars<'t>;
    /// Declares the inputs on a recording.
    fn declare<'t>(&self, rec: Rec<'t>) -> Self::Vars<'t>;
}

impl<T: Element, const N: usize> Inputs for [Array<T>; N] {
    type Vars<'t> = [Var<'t, T>; N];
    fn declare<'t>(&self, rec: Rec<'t>) -> [Var<'t, T>; N] {
        std::array::from_fn(|i| rec.leaf(self[i].view(), true))
    }
}

/// Inputs of one run, in the order and of the shapes of the recording.
pub trait Feed {
    /// How many there are.
    fn count(&self) -> usize;
    /// Type, shape and first element of input `i`.
    fn port(&self, i: usize) -> Option<FeedPort<'_>>;
}

/// One input of a run.
#[derive(Clone, Copy)]
pub struct FeedPort<'a> {
    dtype: DType,
    shape: Shape,
    data: *const u8,
    life: PhantomData<&'a u8>,
}

impl<'a, T: Element> From<ArrayRef<'a, T>> for FeedPort<'a> {
    fn from(x: ArrayRef<'a, T>) -> Self {
        Self {
            dtype: T::DTYPE,
            shape: x.shape_of(),
            data: x.as_slice().as_ptr().cast(),
            life: PhantomData,
        }
    }
}

impl<T: Element, const N: usize> Feed for [&Array<T>; N] {
    fn count(&self) -> usize {
        N
    }
    fn port(&self, i: usize) -> Option<FeedPort<'_>> {
        self.get(i).map(|a| a.view().into())
    }
}
impl<T: Element, const N: usize> Feed for [ArrayRef<'_, T>; N] {
    fn count(&self) -> usize {
        N
    }
    fn port(&self, i: usize) -> Option<FeedPort<'_>> {
        self.get(i).map(|&a| a.into())
    }
}
impl<T: Element> Feed for [&Array<T>] {
    fn count(&self) -> usize {
        self.len()
    }
    fn port(&self, i: usize) -> Option<FeedPort<'_>> {
        self.get(i).map(|a| a.view().into())
    }
}
impl<F: Feed + ?Sized> Feed for &F {
    fn count(&self) -> usize {
        (**self).count()
    }
    fn port(&self, i: usize) -> Option<FeedPort<'_>> {
        (**self).port(i)
    }
}

macro_rules! tuples {
    ($(($($t:ident $i:tt),+)),*) => {$(
        impl<$($t: Element),+> Inputs for ($(Array<$t>,)+) {
            type Vars<'t> = ($(Var<'t, $t>,)+);
            fn declare<'t>(&self, rec: Rec<'t>) -> Self::Vars<'t> {
                ($(rec.leaf(self.$i.view(), true),)+)
            }
        }
        impl<$($t: Element),+> Feed for ($(&Array<$t>,)+) {
            fn count(&self) -> usize { [$($i),+].len() }
            fn port(&self, i: usize) -> Option<FeedPort<'_>> {
                match i {
                    $($i => Some(self.$i.view().into()),)+
                    _ => None,
                }
            }
        }
    )*};
}
tuples!((A 0), (A 0, B 1), (A 0, B 1, C 2), (A 0, B 1, C 2, D 3), (A 0, B 1, C 2, D 3, E 4), (A 0, B 1, C 2, D 3, E 4, F 5));

/// What a closure given to [`Program::try_record`] returns: one value, or several of one type.
pub struct Outs<'t>(Vec<Value>, PhantomData<&'t ()>);

impl<'t, T> From<Var<'t, T>> for Outs<'t> {
    fn from(v: Var<'t, T>) -> Self {
        Outs(vec![v.id], PhantomData)
    }
}
impl<'t, T, const M: usize> From<[Var<'t, T>; M]> for Outs<'t> {
    fn from(v: [Var<'t, T>; M]) -> Self {
        Outs(v.iter().map(|v| v.id).collect(), PhantomData)
    }
}
impl<'t, T> From<Vec<Var<'t, T>>> for Outs<'t> {
    fn from(v: Vec<Var<'t, T>>) -> Self {
        Outs(v.iter().map(|v| v.id).collect(), PhantomData)
    }
}

/// A recording as transforms see it: the list and what goes in and comes out.
#[derive(Clone)]
struct Recorded {
    list: List,
    inputs: Vec<Value>,
    outputs: Vec<Value>,
    uniforms: Vec<f64>,
    seeds: Vec<u64>,
    guards: Vec<Guard>,
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
#[derive(Clone)]
pub struct Program {
    recorded: Arc<Recorded>,
    plan: Arc<Plan>,
}

/// The memory of one running copy of a program, with its outputs. `Send`; one thread at a time.
#[derive(Debug)]
pub struct Workspace {
    plan: Arc<Plan>,
    memory: Memory,
    outputs: Vec<Vec<Packet>>,
    step: u64,
    repeat: bool,
}

/// Outputs of the last run, borrowed from its workspace.
#[derive(Clone, Copy, Debug)]
pub struct OutputsRef<'w> {
    ws: &'w Workspace,
    count: usize,
}

impl Program {
    /// Records a closure of one result and compiles it.
    pub fn record<I: Inputs, T: Element, F>(inputs: &I, f: F) -> Result<Self>
    where
        F: for<'t> Fn(Rec<'t>, I::Vars<'t>) -> Var<'t, T>,
    {
        Self::try_record(inputs, |t, v| Ok(f(t, v).into()))
    }

    /// Records a closure of several results, or one that uses `?`, and compiles it.
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
        let recorder = Recorder::default();
        recorder.state.borrow_mut().store.recording = true;
        let rec = Rec {
            recorder: &recorder,
            params: Bound::None,
        };
        let vars = inputs.declare(rec);
        let outputs = f(rec, vars)?.0;
        let state = recorder.state.into_inner();
        if let Some(error) = outputs.iter().find_map(|&v| state.poison_of(v)) {
            return Err(error.clone());
        }
        if let Some((_, error)) = state
            .poison
            .iter()
            .find(|p| state.store.leaves.iter().any(|l| l.value == p.0))
        {
            return Err(error.clone());
        }
        let recorded = Recorded {
            inputs: state.store.leaves.iter().map(|l| l.value).collect(),
            outputs,
            uniforms: state.uniforms,
            seeds: state.streams.iter().map(|s| s.0).collect(),
            guards: state.store.guards,
            list: state.list,
        };
        Self::compile(recorded, options)
    }

    fn compile(recorded: Recorded, options: Options) -> Result<Self> {
        let mut list = recorded.list.clone();
        gates::downgrade(&mut list);
        let mut outputs = recorded.outputs.clone();
        outputs.extend(recorded.guards.iter().map(|g| g.value));
        let job = Job {
            list: &list,
            known: &[],
            outputs: &outputs,
            updates: &[],
        };
        let plan = Arc::new(Plan::compile(&job, options)?);
        Ok(Self {
            recorded: Arc::new(recorded),
            plan,
        })
    }

    /// The same program compiled with other options.
    pub fn with_options(&self, options: Options) -> Result<Self> {
        Self::compile((*self.recorded).clone(), options)
    }

    /// The options it was compiled with.
    pub fn options(&self) -> Options {
        self.plan.options
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
        self.recorded
            .inputs
            .get(i)
            .map(|&v| self.recorded.list.dims(v))
    }
    /// Extents of output `i`.
    pub fn output_shape(&self, i: usize) -> Option<&[usize]> {
        self.recorded
            .outputs
            .get(i)
            .map(|&v| self.recorded.list.dims(v))
    }

    /// A program of output `i` alone.
    pub fn output(&self, i: usize) -> Result<Self> {
        let mut recorded = (*self.recorded).clone();
        let Some(&v) = recorded.outputs.get(i) else {
            let message = format!(
                "output {i} does not exist: the program has {}",
                recorded.outputs.len()
            );
            return Err(Error::new(ErrorKind::Inputs, message));
        };
        recorded.outputs = vec![v];
        Self::compile(recorded, self.plan.options)
    }

    /// Inputs of the type of the first output: those that get gradients.
    fn differentiable(&self) -> Vec<Value> {
        let list = &self.recorded.list;
        let dtype = self.recorded.outputs.first().map(|&v| list.dtype(v));
        self.recorded
            .inputs
            .iter()
            .copied()
            .filter(|&v| Some(list.dtype(v)) == dtype && list.dtype(v).is_float())
            .collect()
    }

    fn scalar_output(&self, what: &str) -> Result<Value> {
        let list = &self.recorded.list;
        let Some(&y) = self.recorded.outputs.first() else {
            return Err(Error::new(
                ErrorKind::Inputs,
                format!("{what}: the program has no output"),
            ));
        };
        if !list.dtype(y).is_float() {
            return Err(Error::new(
                ErrorKind::DType,
                format!(
                    "{what}: the output is {}, which has no gradient",
                    list.dtype(y)
                ),
            ));
        }
        if list.shape(y).len() != 1 {
            let message = format!(
                "{what} of {} {}: only a scalar has a gradient; record `.sum()`, or use `vjp` with a seed",
                list.shape(y),
                list.dtype(y)
            );
            return Err(Error::new(ErrorKind::Seed, message));
        }
        Ok(y)
    }

    fn gradients(&self, what: &str, keep_value: bool, wrt: &[Value]) -> Result<Self> {
        let y = self.scalar_output(what)?;
        let mut recorded = (*self.recorded).clone();
        let list = &mut recorded.list;
        let one = list.like(1.0, y);
        let seed = list.expand(one, list.shape(y));
        let grads = rules::reverse(list, y, seed, wrt);
        let grads = wrt
            .iter()
            .zip(grads)
            .map(|(&w, g)| g.unwrap_or_else(|| list.zeros_like(w)));
        recorded.outputs = if keep_value {
            [y].into_iter().chain(grads).collect()
        } else {
            grads.collect()
        };
        Self::compile(recorded, self.plan.options)
    }

    /// The first output (a scalar) and its gradient with respect to every input of its type, in order.
    pub fn value_and_grad(&self) -> Result<Self> {
        self.gradients("value_and_grad", true, &self.differentiable())
    }

    /// As [`value_and_grad`](Self::value_and_grad), with respect to the inputs of those numbers alone: nothing is
    /// computed or kept for the others.
    pub fn value_and_grad_of(&self, inputs: &[usize]) -> Result<Self> {
        let possible = self.differentiable();
        let wanted = inputs.iter().map(|&i| {
            let v = self.recorded.inputs.get(i).copied().ok_or_else(|| {
                let message = format!(
                    "value_and_grad_of: input {i} does not exist, the program has {}",
                    self.input_count()
                );
                Error::new(ErrorKind::Inputs, message)
            })?;
            if possible.contains(&v) {
                return Ok(v);
            }
            let message = format!(
                "value_and_grad_of: input {i} is {}, which has no gradient here",
                self.recorded.list.dtype(v)
            );
            Err(Error::new(ErrorKind::DType, message))
        });
        let wanted = wanted.collect::<Result<Vec<Value>>>()?;
        self.gradients("value_and_grad_of", true, &wanted)
    }

    /// The gradient of the first output (a scalar) with respect to every input of its type, in order.
    pub fn grad(&self) -> Result<Self> {
        self.gradients("grad", false, &self.differentiable())
    }

    /// Vector-Jacobian product: takes the inputs and then a seed of the first output's shape; gives the first output and
    /// `seed^T J` for every input of its type.
    pub fn vjp(&self) -> Result<Self> {
        let mut recorded = (*self.recorded).clone();
        let Some(&y) = recorded.outputs.first() else {
            return Err(Error::new(
                ErrorKind::Inputs,
                "vjp: the program has no output",
            ));
        };
        let list = &mut recorded.list;
        let (shape, dtype) = (list.shape(y), list.dtype(y));
        let leaf = list.push(
            Op::Input,
            &[],
            Attr::int(recorded.inputs.len() as i64),
            shape,
            dtype,
        );
        let seed = list.push(Op::Detach, &[leaf], Attr::NONE, shape, dtype);
        let wrt = self.differentiable();
        let grads = rules::reverse(list, y, seed, &wrt);
        let grads = wrt
            .iter()
            .zip(grads)
            .map(|(&w, g)| g.unwrap_or_else(|| list.zeros_like(w)));
        recorded.outputs = [y].into_iter().chain(grads).collect();
        recorded.inputs.push(leaf);
        Self::compile(recorded, self.plan.options)
    }

    /// Jacobian-vector product: takes the inputs and then a tangent for each input of the first output's type; gives
    /// every output of that type's tangent. Values come first: `[outputs.., tangents..]`.
    pub fn jvp(&self) -> Result<Self> {
        let mut recorded = (*self.recorded).clone();
        let wrt = self.differentiable();
        let list = &mut recorded.list;
        let mut tangents = Vec::new();
        for (i, &w) in wrt.iter().enumerate() {
            let number = (recorded.inputs.len() + i) as i64;
            tangents.push(list.push(
                Op::Input,
                &[],
                Attr::int(number),
                list.shape(w),
                list.dtype(w),
            ));
        }
        let dtype = recorded.outputs.first().map(|&v| list.dtype(v));
        let of: Vec<Value> = recorded
            .outputs
            .iter()
            .copied()
            .filter(|&v| Some(list.dtype(v)) == dtype)
            .collect();
        let moved = rules::forward(list, &of, &wrt, &tangents);
        recorded.outputs.extend(moved);
        recorded.inputs.extend(tangents);
        Self::compile(recorded, self.plan.options)
    }

    /// Hessian-vector product of the first output (a scalar): takes the inputs and then a vector for each input of its
    /// type; gives `H v` for each. Forward over reverse.
    pub fn hvp(&self) -> Result<Self> {
        let gradient = self.grad()?;
        let count = gradient.output_count();
        let mut both = (*gradient.jvp()?.recorded).clone();
        both.outputs.drain(..count);
        Self::compile(both, self.plan.options)
    }

    /// Memory to run in. One for each thread that runs the program at the same time.
    pub fn workspace(&self) -> Result<Workspace> {
        let outputs = self.plan.outputs.iter().map(|p| {
            let n = packets_for(p.shape.len(), p.dtype.size()).unwrap_or(usize::MAX);
            let mut memory = Vec::new();
            memory.try_reserve_exact(n).map_err(|_| {
                Error::new(
                    ErrorKind::Memory,
                    format!("no memory for an output of {}", p.shape),
                )
            })?;
            memory.resize(n, Packet::ZERO);
            Ok(memory)
        });
        let outputs = outputs.collect::<Result<_>>()?;
        Ok(Workspace {
            memory: Memory::new(&self.plan)?,
            plan: Arc::clone(&self.plan),
            outputs,
            step: 0,
            repeat: false,
        })
    }

    /// Runs on inputs of the recorded types and shapes. A steady state allocates nothing.
    pub fn run<'w>(&self, ws: &'w mut Workspace, inputs: impl Feed) -> Result<OutputsRef<'w>> {
        if !Arc::ptr_eq(&ws.plan, &self.plan) {
            return Err(Error::new(
                ErrorKind::Foreign,
                "this workspace belongs to another program; make one with `program.workspace()`",
            ));
        }
        self.check_feed(&inputs)?;
        let recorded = &*self.recorded;
        let Workspace {
            memory,
            outputs,
            step,
            repeat,
            ..
        } = ws;
        let externals = &self.plan.externals;
        let given = Given {
            externals: &mut |i| {
                let number = recorded.list.attr(externals[i]).as_int() as usize;
                inputs
                    .port(number)
                    .map_or(std::ptr::null_mut(), |p| p.data.cast_mut())
            },
            outputs: &mut |i| outputs[i].as_mut_ptr().cast(),
            uniforms: &recorded.uniforms,
            seeds: &recorded.seeds,
            step: *step,
        };
        // SAFETY: the inputs were checked to have the ports' types and shapes and are borrowed for the call; a program
        // has no updates, so they are only read. Outputs are this workspace's own, sized for their ports.
        unsafe { memory.run(&self.plan, given)? };
        if !*repeat {
            *step += 1;
        }
        let ws = &*ws;
        let count = recorded.outputs.len();
        for (guard, memory) in recorded.guards.iter().zip(&ws.outputs[count..]) {
            let found = value_bits(
                recorded.list.dtype(guard.value),
                bytemuck::cast_slice(memory),
            );
            if found != guard.expected {
                let message = format!(
                    "the recorded branch does not hold for these inputs: {} read as {}, recorded as {}",
                    guard.value,
                    f64::from_bits(found),
                    f64::from_bits(guard.expected)
                );
                return Err(Error::new(ErrorKind::Guard, message).at(Some(guard.location)));
            }
        }
        Ok(OutputsRef { ws, count })
    }

    fn check_feed(&self, inputs: &impl Feed) -> Result<()> {
        let recorded = &*self.recorded;
        if inputs.count() != recorded.inputs.len() {
            let message = format!(
                "the program takes {} inputs, given were {}",
                recorded.inputs.len(),
                inputs.count()
            );
            return Err(Error::new(ErrorKind::Inputs, message));
        }
        for (i, &v) in recorded.inputs.iter().enumerate() {
            let port = inputs
                .port(i)
                .ok_or_else(|| Error::new(ErrorKind::Inputs, format!("input {i} is missing")))?;
            let (shape, dtype) = (recorded.list.shape(v), recorded.list.dtype(v));
            if port.shape != shape || port.dtype != dtype {
                let message = format!(
                    "input {i} is {} {}, the program was recorded for {shape} {dtype}",
                    port.shape, port.dtype
                );
                return Err(Error::new(ErrorKind::Inputs, message));
            }
        }
        Ok(())
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
    /// Source lines of the guards.
    pub fn guards(&self) -> impl Iterator<Item = &'static std::panic::Location<'static>> + '_ {
        self.recorded.guards.iter().map(|g| g.location)
    }
    /// The recording before any pass, as text.
    pub fn listing(&self) -> String {
        print::list(&self.recorded.list, &self.recorded.outputs)
    }
}

/// A value's first element as the bits of an `f64`.
fn value_bits(dtype: DType, bytes: &[u8]) -> u64 {
    fn first<T: Element>(bytes: &[u8]) -> u64 {
        decode::<T>(&bytes[..T::DTYPE.size()])
            .first()
            .map_or(0, |x| x.to_f64().to_bits())
    }
    match dtype {
        DType::F32 => first::<f32>(bytes),
        DType::F64 => first::<f64>(bytes),
        DType::U32 => first::<u32>(bytes),
        DType::I64 => first::<i64>(bytes),
        DType::Bool => first::<bool>(bytes),
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

impl Workspace {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.memory.bytes()
            + self
                .outputs
                .iter()
                .map(|o| size_of_val(o.as_slice()))
                .sum::<usize>()
    }
    /// Whether random draws repeat from run to run instead of going on.
    pub fn set_repeat(&mut self, repeat: bool) {
        self.repeat = repeat;
    }
    /// The number of the next run, which random draws depend on.
    pub fn set_step(&mut self, step: u64) {
        self.step = step;
    }
}

impl<'w> OutputsRef<'w> {
    /// The number of outputs.
    pub fn len(&self) -> usize {
        self.count
    }
    /// Whether there is no output.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
    fn port<T: Element>(&self, i: usize) -> Result<(Shape, &'w [u8])> {
        if i >= self.count {
            return Err(Error::new(
                ErrorKind::Inputs,
                format!("output {i} does not exist: the program has {}", self.count),
            ));
        }
        let port = self.ws.plan.outputs[i];
        if port.dtype != T::DTYPE {
            return Err(Error::new(
                ErrorKind::DType,
                format!("output {i} is {}, asked for was {}", port.dtype, T::DTYPE),
            ));
        }
        let bytes: &[u8] = bytemuck::cast_slice(&self.ws.outputs[i]);
        Ok((port.shape, &bytes[..port.shape.len() * T::DTYPE.size()]))
    }
    /// A copy of output `i`.
    pub fn array<T: Element>(&self, i: usize) -> Result<Array<T>> {
        let (shape, bytes) = self.port::<T>(i)?;
        Ok(Array::from_vec(decode(bytes), shape)?)
    }
    /// Elements of output `i`, row-major.
    pub fn slice<T: Element + bytemuck::Pod>(&self, i: usize) -> Result<&'w [T]> {
        Ok(bytemuck::cast_slice(self.port::<T>(i)?.1))
    }
    /// The only element of output `i`.
    pub fn item<T: Element>(&self, i: usize) -> Result<T> {
        Ok(self.array::<T>(i)?.item()?)
    }
}

/// Dense Jacobian of a program's first output with respect to one input, by as many replays as the smaller side has
/// elements: reverse sweeps for few outputs, forward sweeps for few inputs. Shape: output's, then input's extents.
pub fn jacobian<T: Float>(program: &Program, inputs: &[&Array<T>], wrt: usize) -> Result<Array<T>> {
    let shape = |dims: Option<&[usize]>, what: &str| {
        dims.map(<[usize]>::to_vec).ok_or_else(|| {
            Error::new(
                ErrorKind::Inputs,
                format!("jacobian: {what} does not exist"),
            )
        })
    };
    let (out, inp) = (
        shape(program.output_shape(0), "output 0")?,
        shape(program.input_shape(wrt), "the input")?,
    );
    let (m, n): (usize, usize) = (out.iter().product(), inp.iter().product());
    let mut data = vec![T::default(); m * n];
    let one_hot = |dims: &[usize], i: usize| {
        let mut a = Array::<T>::try_zeros(dims)?;
        a.as_mut_slice()[i] = T::of(1.0);
        Ok::<_, Error>(a)
    };
    if m <= n {
        let vjp = program.vjp()?;
        let mut ws = vjp.workspace()?;
        for i in 0..m {
            let seed = one_hot(&out, i)?;
            let feed: Vec<&Array<T>> = inputs.iter().copied().chain([&seed]).collect();
            let row = vjp.run(&mut ws, feed.as_slice())?.array::<T>(1 + wrt)?;
            data[i * n..(i + 1) * n].copy_from_slice(row.as_slice());
        }
    } else {
        let jvp = program.jvp()?;
        let first = jvp.output_count() - 1;
        let mut ws = jvp.workspace()?;
        for j in 0..n {
            let mut tangents = Vec::new();
            for (i, x) in inputs.iter().enumerate() {
                tangents.push(if i == wrt {
                    one_hot(&inp, j)?
                } else {
                    Array::<T>::try_zeros(x.shape())?
                });
            }
            let feed: Vec<&Array<T>> = inputs.iter().copied().chain(&tangents).collect();
            let column = jvp.run(&mut ws, feed.as_slice())?.array::<T>(first)?;
            column
                .as_slice()
                .iter()
                .enumerate()
                .for_each(|(i, &d)| data[i * n + j] = d);
        }
    }
    let dims: Vec<usize> = out.into_iter().chain(inp).collect();
    Ok(Array::from_vec(data, dims)?)
}

/// Dense Hessian of a program's first output (a scalar) with respect to one input: a Jacobian of its gradient.
pub fn hessian<T: Float>(program: &Program, inputs: &[&Array<T>], wrt: usize) -> Result<Array<T>> {
    jacobian(&program.grad()?.output(wrt)?, inputs, wrt)
}
