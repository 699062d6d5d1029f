//! The tape: define-by-run recording with lazy evaluation and gradients.

use std::panic::Location;

use retrograde_storage::{
    Array, ArrayRef, DType, Element, Id, PACKET_BYTES, Packed, Packet, Shape, packets_for,
};

use crate::error::{Error, ErrorKind, Result};
use crate::list::Value;
use crate::op::{Attr, Op};
use crate::params::{Bound, Param, Params};
use crate::recorder::{Recorder, Recording};
use crate::run::options::Options;
use crate::trace::{At, Cache, CacheStats, ProgramSummary};
use crate::var::{Float, Rec, Var};

/// What a leaf stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum LeafKind {
    /// Data in the store; a variable wants a gradient, a constant does not.
    Data { start: usize, wants_grad: bool },
    /// A parameter of the bound table.
    Param(Param),
    /// Optimiser state of a parameter.
    State(Param, usize),
    /// The seed of a backward sweep.
    Seed,
}

/// A leaf: an [`Op::Input`] of the recording, by its attribute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaf {
    pub value: Value,
    pub kind: LeafKind,
}

/// A guard: a value that was read while a program was recorded, and what it was (its bits, see
/// [`bits`](crate::program::run::bits)).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guard {
    pub value: Value,
    pub expected: u64,
    pub location: &'static Location<'static>,
}

/// Leaves, evaluated values and gradients of a recording.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub leaves: Vec<Leaf>,
    /// Elements of leaves and of evaluated values; capacity outlives a reset.
    data: Vec<Packet>,
    /// By value: where its elements stand in `data`.
    at: Vec<Packed<Row>>,
    /// By parameter: the value that reads it.
    params: Vec<Packed<Value>>,
    /// Gradients of variables: `(value, first packet in grad_data)`.
    grads: Vec<(Value, usize)>,
    grad_data: Vec<Packet>,
    /// Compiled traces.
    pub cache: Cache,
    /// The backward that ran last in this recording.
    pub last: Option<At>,
    /// Set while `Program::record` runs the user's closure: reads leave guards instead of steering unseen.
    pub recording: bool,
    pub guards: Vec<Guard>,
    /// A fused update has run: values not evaluated before would be computed on new parameters.
    pub updated: bool,
    /// Number of the step, for random draws.
    pub step: u64,
}

retrograde_storage::entity_id!(
    /// A packet of a store.
    Row, "b"
);

impl Store {
    /// Forgets everything but capacity and compiled traces.
    fn reset(&mut self) {
        self.leaves.clear();
        self.data.clear();
        self.at.clear();
        self.params.clear();
        self.grads.clear();
        self.grad_data.clear();
        self.guards.clear();
        self.updated = false;
        self.last = None;
        self.step += 1;
    }

    /// Forgets values from row `rows` on and leaves from number `leaves` on.
    pub(crate) fn truncate(&mut self, rows: usize, leaves: usize) {
        self.leaves.truncate(leaves);
        self.at.truncate(rows);
        for p in &mut self.params {
            if p.get().is_some_and(|v| v.index() >= rows) {
                *p = Packed::NONE;
            }
        }
    }

    /// Room for a value's elements; returns the first packet.
    pub(crate) fn reserve(&mut self, v: Value, shape: Shape, dtype: DType) -> Result<usize> {
        let (start, end) = self.begin(v, shape, dtype)?;
        self.data.resize(end, Packet::ZERO);
        Ok(start)
    }

    /// Keeps a copy of a value's elements. Zeros to be copied over would go through memory a second time: half of what a
    /// batch of megabytes takes.
    fn keep(&mut self, v: Value, shape: Shape, dtype: DType, bytes: &[u8]) -> Result<()> {
        let (_, end) = self.begin(v, shape, dtype)?;
        let whole = bytes.chunks_exact(PACKET_BYTES);
        let rest = whole.remainder();
        self.data
            .extend(whole.map(bytemuck::pod_read_unaligned::<Packet>));
        if !rest.is_empty() {
            let mut last = Packet::ZERO;
            bytemuck::bytes_of_mut(&mut last)[..rest.len()].copy_from_slice(rest);
            self.data.push(last);
        }
        debug_assert_eq!(self.data.len(), end, "elements of another number or type");
        self.data.resize(end, Packet::ZERO);
        Ok(())
    }

    /// Makes sure of memory for a value's elements at the end of the data, and notes that they will stand there: the
    /// first packet, and the one after the last.
    fn begin(&mut self, v: Value, shape: Shape, dtype: DType) -> Result<(usize, usize)> {
        let start = self.data.len();
        let packets = packets_for(shape.len(), dtype.size())
            .filter(|&n| self.data.try_reserve(n).is_ok())
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Memory,
                    format!("there is no memory for {shape} of {dtype}"),
                )
            })?;
        if self.at.len() <= v.index() {
            self.at.resize(v.index() + 1, Packed::NONE);
        }
        self.at[v.index()] = Packed::some(Row::from_index(start));
        Ok((start, start + packets))
    }

    /// Whether a value's elements are in the store.
    pub(crate) fn is_known(&self, v: Value) -> bool {
        self.at.get(v.index()).is_some_and(|r| r.get().is_some())
    }

    /// First packet of a known value.
    pub(crate) fn start(&self, v: Value) -> Option<usize> {
        self.at.get(v.index()).and_then(|r| r.get()).map(Id::index)
    }

    /// Undoes a reservation whose run failed.
    pub(crate) fn forget(&mut self, v: Value) {
        if let Some(row) = self.at.get_mut(v.index()) {
            *row = Packed::NONE;
        }
    }

    /// Address of a packet of the store.
    pub(crate) fn address(&mut self, start: usize) -> *mut u8 {
        self.data.as_mut_ptr().wrapping_add(start).cast()
    }

    fn bytes(&self, start: usize, len: usize) -> &[u8] {
        &bytemuck::cast_slice(&self.data)[start * PACKET_BYTES..start * PACKET_BYTES + len]
    }

    /// Elements of a known value.
    pub(crate) fn elements<T: Element>(&self, v: Value, shape: Shape) -> Option<Vec<T>> {
        let start = self.start(v)?;
        Some(decode(self.bytes(start, shape.len() * T::DTYPE.size())))
    }

    /// The first element of a known value.
    pub(crate) fn first<T: Element>(&self, v: Value) -> Option<T> {
        let start = self.start(v)?;
        let bytes = bytemuck::cast_slice(self.data.get(start..)?);
        bytes.get(..T::DTYPE.size()).map(T::from_bytes)
    }

    /// Adds a gradient to a variable's slot.
    pub(crate) fn accumulate<T: Float>(&mut self, v: Value, gradient: &[T]) {
        match self.grads.iter().find(|g| g.0 == v) {
            Some(&(_, start)) => {
                let slot = &mut bytemuck::cast_slice_mut::<Packet, T>(&mut self.grad_data[start..])
                    [..gradient.len()];
                slot.iter_mut()
                    .zip(gradient)
                    .for_each(|(to, &g)| *to = *to + g);
            }
            None => {
                let start = self.grad_data.len();
                let packets = packets_for(gradient.len(), size_of::<T>()).unwrap_or(0);
                self.grad_data.resize(start + packets, Packet::ZERO);
                bytemuck::cast_slice_mut::<Packet, T>(&mut self.grad_data[start..])
                    [..gradient.len()]
                    .copy_from_slice(gradient);
                self.grads.push((v, start));
            }
        }
    }

    /// The gradient accumulated for a variable.
    pub(crate) fn gradient<T: Float>(&self, v: Value, len: usize) -> Option<&[T]> {
        let &(_, start) = self.grads.iter().find(|g| g.0 == v)?;
        Some(&bytemuck::cast_slice::<Packet, T>(&self.grad_data[start..])[..len])
    }
}

/// Elements from their bytes in memory.
pub(crate) fn decode<T: Element>(bytes: &[u8]) -> Vec<T> {
    bytes
        .chunks_exact(T::DTYPE.size())
        .map(T::from_bytes)
        .collect()
}

/// A define-by-run recording: make variables, compute with them, ask for values and gradients.
///
/// ```
/// use retrograde_graph::{Result, Tape};
/// use retrograde_storage::Array;
/// # fn main() -> Result<()> {
/// let tape = Tape::new();
/// let x = tape.variable(Array::arange(4));
/// let y = 2.0 * x.dot(x);
/// y.backward()?;
/// assert_eq!(x.grad()?, 4.0 * x.value()?);
/// # Ok(()) }
/// ```
#[derive(Debug, Default)]
pub struct Tape {
    recorder: Recorder,
}

impl Tape {
    /// An empty tape.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty tape whose programs are compiled with these options: `Options { check: Check::Nan,
    /// ..Options::default() }` finds the operation that a NaN comes from.
    pub fn with_options(options: Options) -> Self {
        let tape = Self::default();
        tape.recorder.state.borrow_mut().store.cache.options = options;
        tape
    }

    /// Where to record on this tape.
    pub fn rec(&self) -> Rec<'_> {
        Rec {
            recorder: &self.recorder,
            params: Bound::None,
        }
    }

    /// A leaf that wants a gradient.
    #[track_caller]
    pub fn variable<T: Float>(&self, value: Array<T>) -> Var<'_, T> {
        self.rec().leaf(value.view(), true)
    }

    /// A leaf that does not: data, labels, masks.
    #[track_caller]
    pub fn constant<T: Element>(&self, value: Array<T>) -> Var<'_, T> {
        self.rec().leaf(value.view(), false)
    }

    /// Empties the gradient of every variable.
    pub fn zero_grad(&self) {
        let mut state = self.recorder.state.borrow_mut();
        state.store.grads.clear();
        state.store.grad_data.clear();
    }

    /// Forgets the recording, keeping memory and compiled programs: a step that records the same instructions again
    /// replays what was compiled for them. Needs `&mut`: no handle survives.
    pub fn reset(&mut self) {
        let state = self.recorder.state.get_mut();
        state.list.clear();
        state.poison.clear();
        state.uniforms.clear();
        state.streams.clear();
        state.literals_are_fixed = false;
        state.store.reset();
        state.store.cache.reset();
    }

    /// A fresh recording that reads parameters. Handles of earlier steps are dead: `&mut`.
    pub fn step<'s, T: Float>(&'s mut self, params: &'s Params<T>) -> Rec<'s> {
        self.reset();
        Rec {
            recorder: &self.recorder,
            params: T::bind(params).0,
        }
    }

    /// A fresh recording that reads parameters and may update them.
    pub fn train<'s, T: Float>(&'s mut self, params: &'s mut Params<T>) -> Rec<'s> {
        self.reset();
        Rec {
            recorder: &self.recorder,
            params: T::bind_mut(params).0,
        }
    }

    /// How often compiled programs were found and how often they had to be made.
    pub fn cache_stats(&self) -> CacheStats {
        self.recorder.state.borrow().store.cache.stats()
    }

    /// The compiled program that ran last: of a training step after `minimise`, for instance.
    pub fn last_program(&self) -> Option<ProgramSummary> {
        self.recorder.state.borrow().store.cache.last()
    }

    /// The number of instructions recorded since the last reset.
    pub fn len(&self) -> usize {
        self.recorder.len()
    }
    /// Whether nothing is recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of heap that the recording and its values hold.
    pub fn bytes(&self) -> usize {
        let state = self.recorder.state.borrow();
        (state.store.data.capacity() + state.store.grad_data.capacity()) * PACKET_BYTES
            + state.list.bytes()
    }
}

impl Recording {
    /// A new leaf.
    pub(crate) fn push_leaf(&mut self, kind: LeafKind, shape: Shape, dtype: DType) -> Value {
        let number = self.store.leaves.len();
        let value = self
            .list
            .push(Op::Input, &[], Attr::int(number as i64), shape, dtype);
        self.store.leaves.push(Leaf { value, kind });
        value
    }
}

impl<'t> Rec<'t> {
    /// An input of this step: data that wants no gradient. The elements are copied to the tape.
    #[track_caller]
    pub fn input<T: Element>(self, data: impl Into<ArrayRef<'t, T>>) -> Var<'t, T> {
        self.leaf(data.into(), false)
    }

    /// A leaf of this step that wants a gradient.
    #[track_caller]
    pub fn variable<T: Float>(self, data: &Array<T>) -> Var<'t, T> {
        self.leaf(data.view(), true)
    }

    #[track_caller]
    pub(crate) fn leaf<T: Element>(self, data: ArrayRef<'_, T>, wants_grad: bool) -> Var<'t, T> {
        match data.error() {
            None => self.leaf_of(data.shape_of(), data.as_bytes(), wants_grad),
            Some(e) => {
                let error = Error::new(ErrorKind::Shape, e.to_string());
                let error = error.at(Some(Location::caller()));
                let mut state = self.recorder.state.borrow_mut();
                let id = state.push_poison(error, T::DTYPE);
                drop(state);
                self.var(id)
            }
        }
    }

    /// A leaf that wants a gradient, of as many elements in `bytes` as `shape` has.
    #[track_caller]
    pub(crate) fn leaf_of_bytes<T: Element>(self, shape: Shape, bytes: &[u8]) -> Var<'t, T> {
        self.leaf_of(shape, bytes, true)
    }

    #[track_caller]
    fn leaf_of<T: Element>(self, shape: Shape, bytes: &[u8], wants_grad: bool) -> Var<'t, T> {
        let at = Location::caller();
        let mut state = self.recorder.state.borrow_mut();
        state.list.set_location(Some(at));
        let start = state.store.data.len();
        let v = state.push_leaf(LeafKind::Data { start, wants_grad }, shape, T::DTYPE);
        let id = match state.store.keep(v, shape, T::DTYPE, bytes) {
            Ok(()) => v,
            Err(e) => state.push_poison(e.at(Some(at)), T::DTYPE),
        };
        drop(state);
        self.var(id)
    }

    /// A parameter of the step's table. The same parameter asked for twice is the same value.
    #[track_caller]
    pub fn param<T: Float>(self, p: Param) -> Var<'t, T> {
        let at = Location::caller();
        let mut state = self.recorder.state.borrow_mut();
        state.list.set_location(Some(at));
        let found = self.params.shape_of::<T>(p);
        let id = match found {
            Err(e) => state.push_poison(e.at(Some(at)), T::DTYPE),
            Ok(shape) => {
                if state.store.params.len() <= p.index() {
                    state.store.params.resize(p.index() + 1, Packed::NONE);
                }
                match state.store.params[p.index()].get() {
                    Some(v) => v,
                    None => {
                        let v = state.push_leaf(LeafKind::Param(p), shape, T::DTYPE);
                        state.store.params[p.index()] = Packed::some(v);
                        v
                    }
                }
            }
        };
        drop(state);
        self.var(id)
    }
}
