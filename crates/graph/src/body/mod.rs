//! Loops in the list: an [`Op::Scan`] runs a [`Body`], a list of its own, once for every step.
//!
//! A body's inputs are its first rows: carries, which the step before computed; per-step inputs, element `t` of an
//! operand along its first axis; constants. Its outputs are the next carries and what every step puts out.
//!
//! The scan's one result is a vector: the last carries and then the outputs, each stacked along a new first axis, every
//! piece from a packet on. Pieces are cut out as slices, which cost nothing. Every scan that is recorded also puts out
//! the carries that its steps were given, which a derivative may read: compilation drops what nobody uses
//! ([`Body::pruned`]).

mod extract;

use std::panic::Location;
use std::sync::Arc;

use retrograde_storage::{DType, Id, PACKET_BYTES, Shape};

use crate::list::{List, Value};
use crate::op::{Attr, Op};

pub(crate) use extract::{PLACEHOLDER, Recorded, extract};

/// What a step computes.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    /// Inputs first, numbered by their rows.
    pub list: List,
    pub carries: usize,
    pub steps: usize,
    pub constants: usize,
    /// The next carries, then what is stacked.
    pub outputs: Vec<Value>,
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        self.carries == other.carries
            && self.steps == other.steps
            && self.constants == other.constants
            && self.outputs == other.outputs
            && self.list.same_program(&other.list)
    }
}

/// An [`Op::Scan`] besides its operands.
#[derive(Clone, Debug)]
pub(crate) struct ScanSpec {
    pub body: Arc<Body>,
    /// Steps, at least one.
    pub length: usize,
    /// Whether steps run from the last element to the first.
    pub reverse: bool,
}

impl PartialEq for ScanSpec {
    fn eq(&self, other: &Self) -> bool {
        let body = || Arc::ptr_eq(&self.body, &other.body) || self.body == other.body;
        (self.length, self.reverse) == (other.length, other.reverse) && body()
    }
}

/// Where one of a scan's results stands in its vector.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    /// First element.
    pub start: usize,
    pub shape: Shape,
}

/// `shape` with a first axis of `length`, if there is such a shape.
pub(crate) fn stacked(shape: Shape, length: usize) -> Option<Shape> {
    let dims: Vec<usize> = [length]
        .into_iter()
        .chain(shape.dims().iter().copied())
        .collect();
    Shape::new(&dims).ok()
}

/// Elements that a piece takes: no two start at the same.
fn padded(shape: Shape, packet: usize) -> usize {
    shape.len().max(1).next_multiple_of(packet)
}

/// `shape` without its first axis.
pub(crate) fn step_of(shape: Shape) -> Shape {
    Shape::new(&shape.dims()[1..]).expect("fewer axes")
}

impl ScanSpec {
    /// The type of carries and outputs.
    pub(crate) fn dtype(&self) -> DType {
        self.body.list.dtype(self.body.outputs[0])
    }

    /// The last carries, then the stacked outputs.
    pub(crate) fn pieces(&self) -> Vec<Piece> {
        let (body, mut end) = (&*self.body, 0);
        let packet = PACKET_BYTES / self.dtype().size();
        let pieces = body.outputs.iter().enumerate().map(|(i, &v)| {
            let shape = body.list.shape(v);
            let shape = if i < body.carries {
                shape
            } else {
                stacked(shape, self.length).expect("recording checked that it stacks")
            };
            let start = end;
            end += padded(shape, packet);
            Piece { start, shape }
        });
        pieces.collect()
    }

    /// The shape of the whole.
    pub(crate) fn shape(&self) -> Shape {
        let packet = PACKET_BYTES / self.dtype().size();
        let end = self
            .pieces()
            .last()
            .map_or(0, |p| p.start + padded(p.shape, packet));
        Shape::new(&[end]).expect("pieces fit memory")
    }

    /// The piece that starts at an element.
    pub(crate) fn piece_at(&self, start: usize, len: usize) -> Option<usize> {
        let pieces = self.pieces();
        pieces
            .iter()
            .position(|p| p.start == start && p.shape.len() == len)
    }
}

/// What is left of a scan.
pub(crate) struct Pruned {
    pub spec: ScanSpec,
    /// Operands that are left.
    pub operands: Vec<usize>,
    /// By piece: its number now.
    pub pieces: Vec<Option<usize>>,
}

impl Body {
    /// The rows of `list` that `outputs` need, its first rows being inputs: so many carries, per-step inputs and
    /// constants. Carries stay; of the others those that are read. Also which inputs these are.
    pub(crate) fn new(list: &List, counts: [usize; 3], outputs: &[Value]) -> (Self, Vec<usize>) {
        Self::of(list, counts, outputs, &vec![true; counts[0]])
    }

    fn of(
        list: &List,
        counts: [usize; 3],
        outputs: &[Value],
        carries: &[bool],
    ) -> (Self, Vec<usize>) {
        let count: usize = counts.iter().sum();
        let mut needed = needed(list, outputs);
        needed[..counts[0]].copy_from_slice(carries);
        let kept: Vec<usize> = (0..count).filter(|&i| needed[i]).collect();
        let mut new = List::default();
        let mut map = vec![Value::from_index(0); list.len()];
        for v in list.values().filter(|v| needed[v.index()]) {
            new.set_location(list.location(v));
            map[v.index()] = if v.index() < count {
                new.body_input(list.shape(v), list.dtype(v))
            } else {
                let args: Vec<Value> = list.args(v).iter().map(|a| map[a.index()]).collect();
                new.copy_row(list, v, &args)
            };
        }
        let within = |from: usize, n: usize| {
            let range = from..from + n;
            kept.iter().filter(|i| range.contains(i)).count()
        };
        let body = Self {
            carries: within(0, counts[0]),
            steps: within(counts[0], counts[1]),
            constants: within(counts[0] + counts[1], counts[2]),
            outputs: outputs.iter().map(|v| map[v.index()]).collect(),
            list: new,
        };
        (body, kept)
    }

    /// The number of inputs.
    pub(crate) fn inputs(&self) -> usize {
        self.carries + self.steps + self.constants
    }

    /// The same body, which also puts out the carries that it is given.
    pub(crate) fn stacking(mut self) -> Self {
        for i in 0..self.carries {
            let carry = Value::from_index(i);
            if !self.outputs[self.carries..].contains(&carry) {
                self.outputs.push(carry);
            }
        }
        self
    }

    /// The piece that holds what carry `i` was before every step.
    pub(crate) fn stack_of(&self, i: usize) -> Option<usize> {
        let stacked = &self.outputs[self.carries..];
        let found = stacked.iter().position(|&v| v.index() == i);
        found.map(|j| self.carries + j)
    }

    /// Whether a step may find that an operand's elements are not what it takes.
    pub(crate) fn may_fail(&self) -> bool {
        self.list.values().any(|v| self.list.may_fail(v))
    }

    /// The line of the only instruction that may fail.
    pub(crate) fn fault_location(&self) -> Option<&'static Location<'static>> {
        let mut failing = self.list.values().filter(|&v| self.list.may_fail(v));
        match (failing.next(), failing.next()) {
            (Some(v), None) if self.list.op(v) == Op::Scan => {
                self.list.scan_spec(v).body.fault_location()
            }
            (Some(v), None) => self.list.location(v),
            _ => None,
        }
    }
}

impl ScanSpec {
    /// The scan of those pieces alone: outputs that are not used go, and with them the carries and operands that only
    /// they needed.
    pub(crate) fn pruned(&self, used: &[bool]) -> Pruned {
        let body = &*self.body;
        let mut live: Vec<bool> = used[..body.carries].to_vec();
        let output = |i: usize, live: &[bool]| {
            if i < body.carries { live[i] } else { used[i] }
        };
        loop {
            let outputs: Vec<Value> = (0..body.outputs.len())
                .filter(|&i| output(i, &live))
                .map(|i| body.outputs[i])
                .collect();
            let needed = needed(&body.list, &outputs);
            let more = (0..body.carries).filter(|&i| needed[i] && !live[i]);
            let more: Vec<usize> = more.collect();
            if more.is_empty() {
                break;
            }
            more.into_iter().for_each(|i| live[i] = true);
        }
        let (mut outputs, mut pieces) = (Vec::new(), Vec::new());
        for (i, &v) in body.outputs.iter().enumerate() {
            pieces.push(output(i, &live).then_some(outputs.len()));
            if output(i, &live) {
                outputs.push(v);
            }
        }
        let counts = [body.carries, body.steps, body.constants];
        let (body, operands) = Body::of(&body.list, counts, &outputs, &live);
        Pruned {
            spec: Self {
                body: Arc::new(body),
                ..*self
            },
            operands,
            pieces,
        }
    }
}

/// By row: whether one of `outputs` is it or needs it.
fn needed(list: &List, outputs: &[Value]) -> Vec<bool> {
    let mut needed = vec![false; list.len()];
    outputs.iter().for_each(|v| needed[v.index()] = true);
    for v in list.values().rev() {
        if needed[v.index()] {
            list.args(v).iter().for_each(|a| needed[a.index()] = true);
        }
    }
    needed
}

/// Emission.
impl List {
    /// The next input of a body.
    pub(crate) fn body_input(&mut self, shape: Shape, dtype: DType) -> Value {
        let number = Attr::int(self.len() as i64);
        self.push(Op::Input, &[], number, shape, dtype)
    }

    /// A scan of at least one step; its pieces are cut out by [`piece`](Self::piece).
    pub(crate) fn scan_of(&mut self, spec: ScanSpec, operands: &[Value]) -> Value {
        debug_assert_eq!(spec.body.inputs(), operands.len());
        let (shape, dtype) = (spec.shape(), spec.dtype());
        let attr = self.add_scan(spec);
        self.push(Op::Scan, operands, attr, shape, dtype)
    }

    /// A piece of a scan's vector, or of its adjoint.
    pub(crate) fn piece(&mut self, whole: Value, piece: Piece) -> Value {
        let part = self.narrow(whole, 0, piece.start, piece.shape.len());
        self.reshape(part, piece.shape)
    }

    /// The body of a scan whose steps are `every` steps of this one: only the carries between these are put out.
    fn segment(&mut self, spec: &ScanSpec, every: usize) -> Body {
        let body = &*spec.body;
        let mut list = Self::default();
        list.set_location(self.here());
        let inputs: Vec<Value> = (0..body.inputs())
            .map(|i| {
                let v = Value::from_index(i);
                let is_step = (body.carries..body.carries + body.steps).contains(&i);
                let shape = body.list.shape(v);
                let shape = if is_step {
                    stacked(shape, every).expect("recording checked that it stacks")
                } else {
                    shape
                };
                list.body_input(shape, body.list.dtype(v))
            })
            .collect();
        let inner = ScanSpec {
            body: Arc::new(body.clone().stacking()),
            length: every,
            ..*spec
        };
        let pieces = inner.pieces();
        let whole = list.scan_of(inner, &inputs);
        let outputs: Vec<Value> = (0..body.outputs.len())
            .map(|i| list.piece(whole, pieces[i]))
            .collect();
        let counts = [body.carries, body.steps, body.constants];
        Body::new(&list, counts, &outputs).0
    }

    /// The last carries and the stacked outputs of a scan. With `every`, what a derivative keeps of it are the carries
    /// before every so many steps.
    pub(crate) fn scan_results(
        &mut self,
        spec: ScanSpec,
        operands: &[Value],
        every: Option<usize>,
    ) -> Vec<Value> {
        let (length, count) = (spec.length, spec.body.outputs.len());
        let Some(every) = every.filter(|&k| k < length) else {
            let spec = ScanSpec {
                body: Arc::new((*spec.body).clone().stacking()),
                ..spec
            };
            let pieces = spec.pieces();
            let whole = self.scan_of(spec, operands);
            return (0..count).map(|i| self.piece(whole, pieces[i])).collect();
        };
        let (carries, steps) = (spec.body.carries, spec.body.steps);
        let (segments, rest) = (length / every, length % every);
        let bulk = segments * every;
        // What is left over is run last.
        let (first, last) = if spec.reverse { (rest, 0) } else { (0, bulk) };
        let mut inputs = operands.to_vec();
        for x in &mut inputs[carries..carries + steps] {
            let part = self.narrow(*x, 0, first, bulk);
            let step = stacked(step_of(self.shape(part)), every);
            let blocks = step.and_then(|s| stacked(s, segments));
            *x = self.reshape(part, blocks.expect("recording checked that it stacks"));
        }
        let body = Arc::new(self.segment(&spec, every));
        let outer = ScanSpec {
            body,
            length: segments,
            ..spec
        };
        let mut results = self.scan_results(outer, &inputs, None);
        for y in &mut results[carries..] {
            let step = step_of(step_of(self.shape(*y)));
            let flat = stacked(step, bulk).expect("no more elements than before");
            *y = self.reshape(*y, flat);
        }
        if rest == 0 {
            return results;
        }
        let mut inputs = operands.to_vec();
        inputs[..carries].copy_from_slice(&results[..carries]);
        for x in &mut inputs[carries..carries + steps] {
            *x = self.narrow(*x, 0, last, rest);
        }
        let tail = ScanSpec {
            length: rest,
            ..spec
        };
        let reverse = tail.reverse;
        let tail = self.scan_results(tail, &inputs, None);
        let joined = results.into_iter().zip(tail).enumerate();
        joined
            .map(|(i, (bulk, rest))| {
                if i < carries {
                    return rest;
                }
                let parts = if reverse { [rest, bulk] } else { [bulk, rest] };
                let shape = stacked(step_of(self.shape(bulk)), length);
                let (shape, dtype) = (shape.expect("as recorded"), self.dtype(bulk));
                self.push(Op::Concat, &parts, Attr::axis(0, false), shape, dtype)
            })
            .collect()
    }
}
