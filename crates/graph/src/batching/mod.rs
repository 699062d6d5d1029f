//! Functions of a sample as functions of a batch of samples, list to list: `vmap`.
//!
//! Every row that a batched value leads to gets a batch axis, the first, in front of its own; rows that no batched value
//! leads to stay as they are, so what all samples have in common is computed once. One rule an operation, one file a
//! family, as for derivatives ([`rules`](crate::rules)). Rules emit operations that have rules of both kinds, so
//! transforms compose in any order.
//!
//! What rules are free to choose is where the batch goes. It is folded into an axis that an operation has anyway where
//! that is more than a loop: rows of a product with a shared matrix, images of a convolution with a shared weight,
//! places of a gather from a shared table. A convolution with a weight for each sample is one with as many groups.
//!
//! Random draws differ from sample to sample: a draw `[..]` becomes one draw `[samples, ..]` of the same stream and
//! ordinal, so sample 0 gets what the function alone gets, and sample `i` what element `i` of a batch of draws is.

mod attention;
mod body;
mod conv;
mod custom;
mod index;
mod product;
mod shape;

use retrograde_storage::{DType, Id, MAX_RANK, Shape};
use rustc_hash::FxHashMap;

use crate::error::{Error, ErrorKind, Result};
use crate::infer::Few;
use crate::list::{List, Value};
use crate::op::{Attr, Draw, Op};

/// What a row has become.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lane {
    pub v: Value,
    /// Whether it has a batch axis: its first.
    pub batched: bool,
}

impl Lane {
    /// The same for all samples.
    pub(crate) fn shared(v: Value) -> Self {
        Self { v, batched: false }
    }
    /// Another one for each.
    pub(crate) fn batched(v: Value) -> Self {
        Self { v, batched: true }
    }
}

/// A walk over the rows of a list that appends what becomes of them to another one.
pub(crate) struct Batch<'a> {
    from: &'a List,
    pub to: &'a mut List,
    samples: usize,
    lanes: Vec<Option<Lane>>,
    /// The pieces of scans that are batched: their vectors are made only if somebody reads one as a whole.
    scans: FxHashMap<Value, Vec<Lane>>,
    /// By row: how many rows of the result stood there before it.
    starts: Vec<usize>,
}

/// Whether a row differs from sample to sample, given which of its operands do.
fn varies(op: Op, operand: impl Fn(usize) -> bool, count: usize) -> bool {
    match op {
        // The other operand says when, not what.
        Op::After => operand(0),
        Op::Random(_) => true,
        _ => (0..count).any(operand),
    }
}

/// By row, whether it differs from sample to sample, given which of the first rows, the inputs, do.
fn varying(list: &List, inputs: &[bool]) -> Vec<bool> {
    let mut found = inputs.to_vec();
    for v in list.values().skip(inputs.len()) {
        let args = list.args(v);
        let varies = varies(list.op(v), |i| found[args[i].index()], args.len());
        found.push(varies);
    }
    found
}

impl<'a> Batch<'a> {
    pub(crate) fn new(from: &'a List, to: &'a mut List, samples: usize) -> Self {
        Self {
            lanes: vec![None; from.len()],
            scans: FxHashMap::default(),
            starts: Vec::new(),
            from,
            to,
            samples,
        }
    }

    /// What a row becomes that the caller makes: an input.
    pub(crate) fn give(&mut self, v: Value, lane: Lane) {
        self.lanes[v.index()] = Some(lane);
    }

    /// Appends what becomes of the rows for which `live` holds; before each, `input` may make it.
    pub(crate) fn run(
        &mut self,
        live: impl Fn(Value) -> bool,
        mut input: impl FnMut(&mut Self, Value) -> Result<Option<Lane>>,
    ) -> Result<()> {
        for v in self.from.values() {
            self.starts.push(self.to.len());
            if !live(v) || self.lanes[v.index()].is_some() {
                continue;
            }
            self.to.set_location(self.from.location(v));
            let made = match input(self, v)? {
                Some(lane) => Some(lane),
                None => self.row(v)?,
            };
            self.lanes[v.index()] = made;
        }
        self.starts.push(self.to.len());
        Ok(())
    }

    /// An input's counterpart, of the same number; `None` of other rows.
    pub(crate) fn input(&mut self, v: Value) -> Result<Option<Lane>> {
        if self.from.op(v) != Op::Input {
            return Ok(None);
        }
        self.emit(v, &[], self.from.attr(v))
            .map(|v| Some(Lane::batched(v)))
    }

    /// Where rows from this one on begin in the result.
    pub(crate) fn start(&self, row: usize) -> usize {
        self.starts[row]
    }

    /// What a live row, which stands before the one whose turn it is, has become.
    pub(crate) fn lane(&mut self, v: Value) -> Result<Lane> {
        if let Some(lane) = self.lanes[v.index()] {
            return Ok(lane);
        }
        let lane = self.whole(v)?;
        self.lanes[v.index()] = Some(lane);
        Ok(lane)
    }

    /// What operand `i` of `v` has become.
    fn arg(&mut self, v: Value, i: usize) -> Result<Lane> {
        self.lane(self.from.arg(v, i))
    }

    fn args(&mut self, v: Value) -> Result<Vec<Lane>> {
        (0..self.from.args(v).len())
            .map(|i| self.arg(v, i))
            .collect()
    }

    /// Whether a live row differs from sample to sample.
    fn is_batched(&self, v: Value) -> bool {
        self.lanes[v.index()].map_or_else(|| self.scans.contains_key(&v), |lane| lane.batched)
    }

    /// What becomes of `v`; nothing yet of a scan, whose pieces are kept.
    fn row(&mut self, v: Value) -> Result<Option<Lane>> {
        let (op, operands) = (self.from.op(v), self.from.args(v));
        let operand = |i: usize| self.is_batched(operands[i]);
        if !varies(op, operand, operands.len()) {
            let args = self.args(v)?;
            let args: Vec<Value> = args.into_iter().map(|a| a.v).collect();
            return Ok(Some(Lane::shared(self.to.copy_row(self.from, v, &args))));
        }
        if let Some(piece) = self.shared_piece(v) {
            return Ok(Some(Lane::shared(piece)));
        }
        if op == Op::Scan {
            let pieces = self.scan(v)?;
            self.scans.insert(v, pieces);
            return Ok(None);
        }
        if self.samples == 0 {
            // Nothing of nobody: rules need not know of it.
            let shape = self.shape(v)?;
            return Ok(Some(Lane::batched(self.zeros(shape, self.from.dtype(v)))));
        }
        let made = self.rule(v)?;
        debug_assert_eq!(
            Ok(self.to.shape(made)),
            self.shape(v).map_err(|e| e.to_string()),
            "{op:?} with a batch axis"
        );
        Ok(Some(Lane::batched(made)))
    }

    /// What becomes of `v`, some operand of which is batched.
    fn rule(&mut self, v: Value) -> Result<Value> {
        match self.from.op(v) {
            Op::Random(Draw::Permutation) => self.permutation(v),
            Op::Random(_) => {
                let token = self.args(v)?;
                let token: Vec<Value> = token.into_iter().map(|t| t.v).collect();
                self.emit(v, &token, self.from.attr(v))
            }
            // Without operands they are never batched.
            Op::Input | Op::Const | Op::Uniform | Op::Iota => {
                Err(Error::internal("a leaf has a batch axis"))
            }

            Op::Unary(_) | Op::Binary(_) | Op::Ternary(_) | Op::PowI | Op::Cast => {
                self.aligned(v, self.from.attr(v))
            }
            Op::Division(_) => self.aligned(v, Attr::NONE),
            Op::Detach | Op::Copy | Op::CheckIndex => self.aligned(v, self.from.attr(v)),
            Op::After => {
                let (x, token) = (self.arg(v, 0)?, self.arg(v, 1)?);
                self.emit(v, &[x.v, token.v], Attr::NONE)
            }

            Op::Reduce(_) | Op::LogSumExp | Op::Softmax | Op::LogSoftmax => {
                let axes = self.from.attr(v).as_axes() << 1;
                self.aligned(v, Attr::axes(axes))
            }
            Op::ArgMax | Op::ArgMin => self.aligned(v, self.next_axis(v)),
            Op::CumMax | Op::CumArgMax | Op::LogCumSumExp | Op::ArgSort => {
                self.aligned(v, self.next_axis(v))
            }
            // Its rule takes both operands to have the result's shape.
            Op::Recurrence => self.each(v, self.next_axis(v)),
            Op::SearchSorted => self.each(v, self.from.attr(v)),

            Op::Reshape => self.aligned(v, Attr::NONE),
            Op::Permute => self.permute(v),
            Op::Slice | Op::Unslice => self.slice(v),
            Op::Expand => self.expand(v),
            Op::Concat => self.each(v, self.next_axis(v)),

            Op::MatMul => self.matmul(v),
            Op::Linalg(_) => self.each(v, self.from.attr(v)),
            Op::Attention => self.each(v, self.from.attr(v)),
            Op::AttentionGrad => self.attention_grad(v),

            Op::Conv2d => self.conv2d(v),
            Op::ConvInput => self.conv_input(v),
            Op::ConvWeight => self.conv_weight(v),
            Op::MaxPool | Op::MaxPoolInput | Op::SumPool | Op::SumPoolInput => self.pool(v),

            Op::Custom => self.custom(v),
            Op::CustomGrad => self.custom_grad(v),

            Op::Gather => self.gather(v),
            Op::ScatterAdd => self.scatter_add(v),

            Op::Scan => Err(Error::internal("a scan is batched by pieces")),
        }
    }

    /// The axis of `v`'s attribute is one further to the right.
    fn next_axis(&self, v: Value) -> Attr {
        // The axis is in the lowest bits.
        Attr(self.from.attr(v).0 + 1)
    }

    /// `v`'s shape with a batch axis.
    fn shape(&self, v: Value) -> Result<Shape> {
        self.with_axis(v, self.from.shape(v))
    }

    /// A shape with a batch axis, on behalf of `v`.
    fn with_axis(&self, v: Value, shape: Shape) -> Result<Shape> {
        let mut dims = Few::from_slice(&[self.samples]);
        dims.extend_from_slice(shape.dims());
        self.checked(v, &dims)
    }

    /// A shape of these extents, if there is one.
    fn checked(&self, v: Value, dims: &[usize]) -> Result<Shape> {
        Shape::new(dims).map_err(|_| {
            let reason = if dims.len() > MAX_RANK {
                format!("rank {}, the largest is {MAX_RANK}", dims.len())
            } else {
                "more elements than memory can address".into()
            };
            let message = format!(
                "vmap: {} of {} {} with a batch axis of {} would have {reason}",
                self.from.op(v).name(),
                self.from.shape(v),
                self.from.dtype(v),
                self.samples
            );
            Error::new(ErrorKind::Shape, message).at(self.from.location(v))
        })
    }

    /// `v`'s operation on these operands, its shape with a batch axis.
    fn emit(&mut self, v: Value, args: &[Value], attr: Attr) -> Result<Value> {
        let shape = self.shape(v)?;
        let (op, dtype) = (self.from.op(v), self.from.dtype(v));
        Ok(self.to.push(op, args, attr, shape, dtype))
    }

    /// `v`'s operation on operands that broadcast: those without a batch axis do as they are.
    fn aligned(&mut self, v: Value, attr: Attr) -> Result<Value> {
        let rank = match self.from.op(v) {
            Op::Reshape => 0,
            _ => self.from.shape(v).rank(),
        };
        // Operands are given as many axes as the result has: it must have room for the batch.
        self.shape(v)?;
        let args = self.args(v)?;
        let args: Vec<Value> = args.into_iter().map(|a| self.lined_up(a, rank)).collect();
        self.emit(v, &args, attr)
    }

    /// A lane that broadcasts with others of `rank` axes besides the batch: with axes of extent 1 behind its batch axis.
    fn lined_up(&mut self, lane: Lane, rank: usize) -> Value {
        let own = self.to.shape(lane.v);
        if !lane.batched || own.rank() > rank {
            return lane.v;
        }
        let mut dims = Few::from_slice(&[self.samples]);
        dims.resize(1 + rank + 1 - own.rank(), 1);
        dims.extend_from_slice(&own.dims()[1..]);
        let shape = Shape::new(&dims).expect("no higher rank than the result's");
        self.to.reshape(lane.v, shape)
    }

    /// `v`'s operation on operands that each have a batch axis.
    fn each(&mut self, v: Value, attr: Attr) -> Result<Value> {
        let args = self.all_wide(v)?;
        self.emit(v, &args, attr)
    }

    fn all_wide(&mut self, v: Value) -> Result<Vec<Value>> {
        let args = self.args(v)?;
        args.into_iter().map(|a| self.wide(v, a)).collect()
    }

    /// A lane with a batch axis, which strides make of one without; on behalf of `v`.
    pub(crate) fn wide(&mut self, v: Value, lane: Lane) -> Result<Value> {
        if lane.batched {
            return Ok(lane.v);
        }
        let shape = self.with_axis(v, self.to.shape(lane.v))?;
        // What is broadcast already is broadcast further, so that rules see what it is made of.
        let source = match self.to.op(lane.v) {
            Op::Expand => self.to.arg(lane.v, 0),
            _ => lane.v,
        };
        Ok(self.to.expand(source, shape))
    }

    fn zeros(&mut self, shape: Shape, dtype: DType) -> Value {
        let zero = if dtype.is_float() {
            self.to.float(0.0, dtype)
        } else {
            self.to.int(0, dtype)
        };
        self.to.expand(zero, shape)
    }

    /// A permutation for each sample: the order of uniform numbers, for there is no draw of several.
    fn permutation(&mut self, v: Value) -> Result<Value> {
        let (shape, attr) = (self.shape(v)?, self.from.attr(v));
        let token = self.args(v)?;
        let token: Vec<Value> = token.into_iter().map(|t| t.v).collect();
        let uniform = Op::Random(Draw::Uniform);
        let keys = self.to.push(uniform, &token, attr, shape, DType::F64);
        let axis = Attr::axis(1, false);
        Ok(self.to.push(Op::ArgSort, &[keys], axis, shape, DType::U32))
    }

    /// `x` under a shape of as many elements.
    fn reshaped(&mut self, x: Value, dims: &[usize]) -> Value {
        let shape = Shape::new(dims).expect("as many elements as before, and few axes");
        self.to.reshape(x, shape)
    }
}
