//! The flat instruction list: struct of arrays, operands pointing only backwards.

use std::panic::Location;

use retrograde_ops::{Binary, Reduce, Unary, Window};
use retrograde_storage::{DType, Id, MAX_RANK, Shape, entity_id};
use rustc_hash::FxHashMap;

use crate::body::ScanSpec;
use crate::custom::call::AnyCall;
use crate::custom::same_call;
use crate::error::Error;
use crate::op::{Attr, Op, SliceSpec};

entity_id!(
    /// The result of one instruction, and so the instruction itself: row of every column of a [`List`].
    Value, "v"
);
entity_id!(
    /// A shape in a list's table.
    ShapeId, "s"
);

/// Opcode and operands. Sixteen bytes, pinned by a test: replay and cache lookups walk millions of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inst {
    /// What to do.
    pub op: Op,
    len: u8,
    args: [Value; 3],
}

impl Inst {
    /// The operands (for [`Op::Concat`] see [`List::args`]).
    fn inline(&self) -> &[Value] {
        &self.args[..self.len as usize]
    }
}

/// Rows whose values are not kept for a derivative but computed again, see [`region`](crate::rules).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    /// The first row.
    pub start: usize,
    /// The row after the last.
    pub end: usize,
}

/// Marks an instruction whose operands are a range of the pool: `args[0]` is the start, `args[1]` the length.
const IN_POOL: u8 = u8::MAX;

/// Shapes compared one by one before the table is searched.
const RECENT: usize = 8;

/// The instruction list. Invariants: every operand's row is smaller than its user's row; all columns are equally long.
#[derive(Clone, Debug, Default)]
pub struct List {
    inst: Vec<Inst>,
    attr: Vec<Attr>,
    shape: Vec<ShapeId>,
    dtype: Vec<DType>,
    location: Vec<Option<&'static Location<'static>>>,
    shapes: Vec<Shape>,
    /// Where each shape stands in the table.
    shape_ids: FxHashMap<Shape, ShapeId>,
    pool: Vec<Value>,
    slices: Vec<SliceSpec>,
    windows: Vec<Window>,
    /// Of custom operations.
    pub(crate) calls: Vec<AnyCall>,
    /// Why a derivative that was asked for does not exist.
    refusal: Option<Error>,
    scans: Vec<ScanSpec>,
    /// Any two of them are apart, or one is within the other.
    regions: Vec<Region>,
    /// By row, as far as a read has asked: whether the value can be structurally zero, see
    /// [`gates`](crate::passes::gates).
    pub(crate) zeros: Vec<bool>,
    /// Given to instructions pushed from now on.
    at: Option<&'static Location<'static>>,
}

impl List {
    /// The number of instructions.
    pub fn len(&self) -> usize {
        self.inst.len()
    }
    /// Whether there is no instruction.
    pub fn is_empty(&self) -> bool {
        self.inst.is_empty()
    }
    /// All values, in order.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = Value> + ExactSizeIterator + use<> {
        (0..self.len()).map(Value::from_index)
    }
    /// Opcode of `v`.
    pub fn op(&self, v: Value) -> Op {
        self.inst[v.index()].op
    }
    /// Operands of `v`.
    pub fn args(&self, v: Value) -> &[Value] {
        let inst = &self.inst[v.index()];
        if inst.len == IN_POOL {
            let start = inst.args[0].index();
            &self.pool[start..start + inst.args[1].index()]
        } else {
            inst.inline()
        }
    }
    /// Operand `i` of `v`.
    pub fn arg(&self, v: Value, i: usize) -> Value {
        self.args(v)[i]
    }
    /// Attribute of `v`.
    pub fn attr(&self, v: Value) -> Attr {
        self.attr[v.index()]
    }
    /// Shape of `v`.
    pub fn shape(&self, v: Value) -> Shape {
        self.shapes[self.shape[v.index()].index()]
    }
    /// Shape of `v`, where it stands.
    pub(crate) fn shape_ref(&self, v: Value) -> &Shape {
        &self.shapes[self.shape[v.index()].index()]
    }
    /// Extents of `v`.
    pub fn dims(&self, v: Value) -> &[usize] {
        self.shapes[self.shape[v.index()].index()].dims()
    }
    /// Number of `v`'s shape: equal shapes have equal numbers.
    pub(crate) fn shape_id(&self, v: Value) -> ShapeId {
        self.shape[v.index()]
    }
    /// Element type of `v`.
    pub fn dtype(&self, v: Value) -> DType {
        self.dtype[v.index()]
    }
    /// The user's line that recorded `v`.
    pub fn location(&self, v: Value) -> Option<&'static Location<'static>> {
        self.location[v.index()]
    }
    /// Instructions pushed from now on belong to this line of the user's.
    pub fn set_location(&mut self, at: Option<&'static Location<'static>>) {
        self.at = at;
    }
    /// The slice of an [`Op::Slice`] or [`Op::Unslice`].
    pub fn slice_spec(&self, v: Value) -> &SliceSpec {
        &self.slices[self.attr(v).as_int() as usize]
    }

    /// The window of an operation that [has one](Op::has_window).
    pub fn window(&self, v: Value) -> &Window {
        &self.windows[self.attr(v).as_int() as usize]
    }

    /// The body and length of an [`Op::Scan`].
    pub(crate) fn scan_spec(&self, v: Value) -> &ScanSpec {
        &self.scans[self.attr(v).as_int() as usize]
    }

    /// Whether a run may find that an operand's elements are not what `v` takes: an index out of range.
    pub(crate) fn may_fail(&self, v: Value) -> bool {
        match self.op(v) {
            Op::Scan => self.scan_spec(v).body.may_fail(),
            op => op.may_fail(),
        }
    }

    /// What is computed again for derivatives.
    pub(crate) fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// Adds a region, which cuts no other in two.
    pub(crate) fn add_region(&mut self, region: Region) {
        if region.start < region.end {
            self.regions.push(region);
        }
    }

    /// The line that instructions pushed from now on belong to.
    pub(crate) fn here(&self) -> Option<&'static Location<'static>> {
        self.at
    }

    /// Bytes of heap held.
    pub fn bytes(&self) -> usize {
        let each = size_of::<Inst>()
            + size_of::<Attr>()
            + size_of::<ShapeId>()
            + size_of::<DType>()
            + size_of::<usize>();
        self.inst.capacity() * each
            + self.shapes.capacity() * (2 * size_of::<Shape>() + size_of::<ShapeId>())
    }

    /// Forgets all instructions, keeping the capacity.
    pub fn clear(&mut self) {
        self.truncate(0);
        self.shapes.clear();
        self.shape_ids.clear();
        self.pool.clear();
        self.slices.clear();
        self.windows.clear();
        self.calls.clear();
        self.refusal = None;
        self.scans.clear();
    }
    /// Forgets the instructions from row `len` on (shapes and pools stay: they only grow until [`clear`](Self::clear)).
    pub fn truncate(&mut self, len: usize) {
        self.inst.truncate(len);
        self.attr.truncate(len);
        self.shape.truncate(len);
        self.dtype.truncate(len);
        self.location.truncate(len);
        self.regions.retain(|r| r.end <= len);
        self.zeros.truncate(len);
    }

    /// Replaces operand `i` of `v` (a pass found an equal value); `to` must stand before `v`.
    pub(crate) fn set_arg(&mut self, v: Value, i: usize, to: Value) {
        debug_assert!(to < v, "operands point only backwards");
        let inst = &mut self.inst[v.index()];
        if inst.len == IN_POOL {
            self.pool[inst.args[0].index() + i] = to;
        } else {
            inst.args[i] = to;
        }
    }
    /// Replaces the opcode of `v` by one with the same operands and result.
    pub(crate) fn set_op(&mut self, v: Value, op: Op) {
        self.inst[v.index()].op = op;
    }
    pub(crate) fn set_attr(&mut self, v: Value, attr: Attr) {
        self.attr[v.index()] = attr;
    }
    /// Makes literals of the uniforms, which have these values from now on.
    pub(crate) fn fix_uniforms(&mut self, values: &[f64]) {
        for (inst, attr) in self.inst.iter_mut().zip(&mut self.attr) {
            if inst.op == Op::Uniform {
                inst.op = Op::Const;
                *attr = Attr::float(values[attr.as_int() as usize]);
            }
        }
    }
    /// Adds a slice to the table.
    pub(crate) fn add_spec(&mut self, spec: SliceSpec) -> u32 {
        self.slices.push(spec);
        self.slices.len() as u32 - 1
    }

    /// The attribute that stands for a window.
    pub(crate) fn add_window(&mut self, window: Window) -> Attr {
        let known = self.windows.iter().position(|w| *w == window);
        let at = known.unwrap_or_else(|| {
            self.windows.push(window);
            self.windows.len() - 1
        });
        Attr::int(at as i64)
    }

    /// The attribute that stands for a scan.
    pub(crate) fn add_scan(&mut self, spec: ScanSpec) -> Attr {
        let known = self.scans.iter().position(|s| *s == spec);
        let at = known.unwrap_or_else(|| {
            self.scans.push(spec);
            self.scans.len() - 1
        });
        Attr::int(at as i64)
    }

    /// The attribute that an instruction of another list has in this one: what it numbers is in this list's tables then.
    pub(crate) fn carry(&mut self, from: &Self, v: Value) -> Attr {
        match from.op(v) {
            Op::Slice | Op::Unslice => Attr::int(self.add_spec(*from.slice_spec(v)).into()),
            Op::Scan => self.add_scan(from.scan_spec(v).clone()),
            op if op.has_window() => self.add_window(*from.window(v)),
            op if op.is_custom() => self.add_call(from.call(v).clone()),
            _ => from.attr(v),
        }
    }

    /// Notes that a derivative asked for does not exist; the first reason is kept.
    pub(crate) fn refuse(&mut self, error: Error) {
        self.refusal.get_or_insert(error);
    }

    /// The reason noted since it was asked last, if there is one.
    pub(crate) fn refused(&mut self) -> Result<(), Error> {
        self.refusal.take().map_or(Ok(()), Err)
    }

    /// Appends `v` of another list, on these operands.
    pub(crate) fn copy_row(&mut self, from: &Self, v: Value, args: &[Value]) -> Value {
        let attr = self.carry(from, v);
        self.push(from.op(v), args, attr, from.shape(v), from.dtype(v))
    }

    /// Whether two lists are the same program: every column but the source lines. (Two recordings of one closure fill
    /// the shape table and the pools in the same order, so comparing the columns compares what they mean.)
    pub fn same_program(&self, other: &Self) -> bool {
        self.inst == other.inst
            && self.attr == other.attr
            && self.shape == other.shape
            && self.dtype == other.dtype
            && self.shapes == other.shapes
            && self.pool == other.pool
            && self.slices == other.slices
            && self.windows == other.windows
            && self.calls.len() == other.calls.len()
            && self
                .calls
                .iter()
                .zip(&other.calls)
                .all(|(a, b)| same_call(a, b))
            && self.scans == other.scans
            && self.regions == other.regions
    }

    /// Whether instructions of two lists of one program were recorded by the same lines.
    pub(crate) fn same_lines(&self, other: &Self) -> bool {
        self.location == other.location
    }

    fn intern(&mut self, shape: Shape, args: &[Value]) -> ShapeId {
        // Most results have the shape of an operand, or of the instruction before: no search for those.
        let near = args
            .iter()
            .map(|a| self.shape[a.index()])
            .chain(self.shape.last().copied());
        for id in near {
            if self.shapes[id.index()] == shape {
                return id;
            }
        }
        // The newest are the likeliest; of programs with many shapes, the others are looked up.
        let recent = self.shapes.len().saturating_sub(RECENT);
        if let Some(at) = self.shapes[recent..].iter().rposition(|s| *s == shape) {
            return ShapeId::from_index(recent + at);
        }
        let next = ShapeId::from_index(self.shapes.len());
        let id = *self.shape_ids.entry(shape).or_insert(next);
        if id == next {
            self.shapes.push(shape);
        }
        id
    }

    /// Appends an instruction. The caller has checked shapes and types; operands must exist already.
    pub fn push(
        &mut self,
        op: Op,
        args: &[Value],
        attr: Attr,
        shape: Shape,
        dtype: DType,
    ) -> Value {
        let row = self.inst.len();
        debug_assert!(
            args.iter().all(|a| a.index() < row),
            "operands point only backwards"
        );
        let id = self.intern(shape, args);
        let fill = Value::from_index(0);
        let inst = if args.len() > 3 || matches!(op, Op::Concat) {
            let start = self.pool.len();
            self.pool.extend_from_slice(args);
            Inst {
                op,
                len: IN_POOL,
                args: [
                    Value::from_index(start),
                    Value::from_index(args.len()),
                    fill,
                ],
            }
        } else {
            let mut inline = [fill; 3];
            inline[..args.len()].copy_from_slice(args);
            Inst {
                op,
                len: args.len() as u8,
                args: inline,
            }
        };
        self.inst.push(inst);
        self.attr.push(attr);
        self.shape.push(id);
        self.dtype.push(dtype);
        self.location.push(self.at);
        Value::from_index(row)
    }
}

/// Emission: append an instruction whose shape and type follow from its operands. Rules, lowering and the checked API
/// all come through here. Operands must fit (the API has checked them; rules are right by construction).
impl List {
    /// A float literal of `dtype`, rank 0.
    pub fn float(&mut self, x: f64, dtype: DType) -> Value {
        debug_assert!(dtype.is_float());
        self.push(Op::Const, &[], Attr::float(x), Shape::SCALAR, dtype)
    }
    /// An integer or bool literal, rank 0.
    pub fn int(&mut self, x: i64, dtype: DType) -> Value {
        debug_assert!(!dtype.is_float());
        self.push(Op::Const, &[], Attr::int(x), Shape::SCALAR, dtype)
    }
    /// A literal of `v`'s (float) type.
    pub fn like(&mut self, x: f64, v: Value) -> Value {
        self.float(x, self.dtype(v))
    }
    /// Elementwise, one operand.
    pub fn unary(&mut self, op: Unary, x: Value) -> Value {
        let dtype = if matches!(op, Unary::IsNan | Unary::IsFinite | Unary::Not) {
            DType::Bool
        } else {
            self.dtype(x)
        };
        self.push(Op::Unary(op), &[x], Attr::NONE, self.shape(x), dtype)
    }
    /// Elementwise, two operands of one type.
    pub fn binary(&mut self, op: Binary, x: Value, y: Value) -> Value {
        use Binary::{Eq, Ge, Gt, Le, Lt, Ne};
        debug_assert_eq!(self.dtype(x), self.dtype(y), "{op:?}");
        let dtype = if matches!(op, Lt | Le | Gt | Ge | Eq | Ne) {
            DType::Bool
        } else {
            self.dtype(x)
        };
        let shape = self.broadcast(&[x, y]);
        self.push(Op::Binary(op), &[x, y], Attr::NONE, shape, dtype)
    }
    /// `mask ? a : b`.
    pub fn select(&mut self, mask: Value, a: Value, b: Value) -> Value {
        let (shape, dtype) = (self.broadcast(&[mask, a, b]), self.dtype(a));
        self.push(
            Op::Ternary(retrograde_ops::Ternary::Select),
            &[mask, a, b],
            Attr::NONE,
            shape,
            dtype,
        )
    }
    /// `x + y`.
    pub fn add(&mut self, x: Value, y: Value) -> Value {
        self.binary(Binary::Add, x, y)
    }
    /// `x - y`.
    pub fn sub(&mut self, x: Value, y: Value) -> Value {
        self.binary(Binary::Sub, x, y)
    }
    /// `x y`.
    pub fn mul(&mut self, x: Value, y: Value) -> Value {
        self.binary(Binary::Mul, x, y)
    }
    /// `g d`, exactly 0 where the adjoint `g` is 0 (design.md contract 5): how rules apply a local derivative.
    pub fn chain(&mut self, g: Value, d: Value) -> Value {
        self.binary(Binary::MulStrong, g, d)
    }
    /// Another element type; `x` itself if that is its own.
    pub fn cast(&mut self, x: Value, dtype: DType) -> Value {
        if self.dtype(x) == dtype {
            return x;
        }
        self.push(Op::Cast, &[x], Attr::NONE, self.shape(x), dtype)
    }
    /// Reduction over `axes` (bit mask), which stay with extent 1.
    pub fn reduce(&mut self, kind: Reduce, x: Value, axes: u8) -> Value {
        self.keepdim(Op::Reduce(kind), x, axes, self.dtype(x))
    }
    /// Any op whose result has extent 1 on `axes` and otherwise the operand's shape.
    pub fn keepdim(&mut self, op: Op, x: Value, axes: u8, dtype: DType) -> Value {
        let shape = kept(self.shape(x), axes);
        self.push(op, &[x], Attr::axes(axes), shape, dtype)
    }
    /// The same elements under another shape of as many.
    pub fn reshape(&mut self, x: Value, shape: Shape) -> Value {
        if self.shape(x) == shape {
            x
        } else {
            self.push(Op::Reshape, &[x], Attr::NONE, shape, self.dtype(x))
        }
    }
    /// Axis `i` of the result is axis `order[i]` of `x`.
    pub fn permute(&mut self, x: Value, order: &[usize]) -> Value {
        let mut dims = [1; MAX_RANK];
        for (to, &axis) in dims.iter_mut().zip(order) {
            *to = self.dims(x)[axis];
        }
        let shape = Shape::new(&dims[..order.len()]).expect("a permutation keeps the extents");
        self.push(Op::Permute, &[x], Attr::order(order), shape, self.dtype(x))
    }
    /// The last two axes exchanged.
    pub fn transpose(&mut self, x: Value) -> Value {
        let rank = self.shape(x).rank();
        let mut order: [usize; MAX_RANK] = std::array::from_fn(|axis| axis);
        order.swap(rank - 1, rank - 2);
        self.permute(x, &order[..rank])
    }
    /// Broadcast to `shape`.
    pub fn expand(&mut self, x: Value, shape: Shape) -> Value {
        if self.shape(x) == shape {
            x
        } else {
            self.push(Op::Expand, &[x], Attr::NONE, shape, self.dtype(x))
        }
    }
    /// The elements at `spec`, of extents `shape`.
    pub fn slice(&mut self, x: Value, spec: SliceSpec, shape: Shape) -> Value {
        self.slices.push(spec);
        self.push(
            Op::Slice,
            &[x],
            Attr::int(self.slices.len() as i64 - 1),
            shape,
            self.dtype(x),
        )
    }
    /// Zeros of `shape` with `x` at `spec`.
    pub fn unslice(&mut self, x: Value, spec: SliceSpec, shape: Shape) -> Value {
        self.slices.push(spec);
        self.push(
            Op::Unslice,
            &[x],
            Attr::int(self.slices.len() as i64 - 1),
            shape,
            self.dtype(x),
        )
    }
    /// Elements `start..start + len` along one axis.
    pub fn narrow(&mut self, x: Value, axis: usize, start: usize, len: usize) -> Value {
        let mut spec = SliceSpec {
            start: [0; MAX_RANK],
            step: [1; MAX_RANK],
        };
        spec.start[axis] = start;
        let mut dims = crate::infer::Few::from_slice(self.dims(x));
        dims[axis] = len;
        let shape = Shape::new(&dims).expect("a slice is no larger than its source");
        self.slice(x, spec, shape)
    }
    /// `x y` over the last two axes, batch axes broadcast.
    pub fn matmul(&mut self, x: Value, y: Value) -> Value {
        let (a, b) = (self.shape(x), self.shape(y));
        let (ra, rb) = (a.rank(), b.rank());
        let lead = |s: &Shape| Shape::new(&s.dims()[..s.rank() - 2]).expect("fewer axes");
        let batch = lead(&a)
            .broadcast(&lead(&b))
            .expect("batch axes were checked");
        let (mut dims, lead) = ([1; MAX_RANK], batch.rank());
        dims[..lead].copy_from_slice(batch.dims());
        (dims[lead], dims[lead + 1]) = (a.dims()[ra - 2], b.dims()[rb - 1]);
        let shape = Shape::new(&dims[..lead + 2]).expect("shape was checked");
        self.push(Op::MatMul, &[x, y], Attr::NONE, shape, self.dtype(x))
    }
    /// `x` summed over whatever broadcasting added, so that it has `shape` again.
    pub fn sum_to(&mut self, x: Value, shape: Shape) -> Value {
        let from = self.shape(x);
        if from == shape {
            return x;
        }
        let lead = from.rank() - shape.rank();
        let axes = (0..from.rank())
            .filter(|&i| i < lead || (shape.dims()[i - lead] == 1 && from.dims()[i] != 1))
            .fold(0u8, |mask, i| mask | 1 << i);
        let summed = if axes == 0 {
            x
        } else {
            self.reduce(Reduce::Sum, x, axes)
        };
        self.reshape(summed, shape)
    }
    /// The shape all operands broadcast to.
    pub fn broadcast(&self, operands: &[Value]) -> Shape {
        let first = self.shape(operands[0]);
        operands[1..].iter().fold(first, |s, &v| {
            s.broadcast(&self.shape(v))
                .expect("operands were checked to broadcast")
        })
    }
}

/// `shape` with extent 1 on `axes`.
pub(crate) fn kept(shape: Shape, axes: u8) -> Shape {
    let (mut dims, rank) = ([1; MAX_RANK], shape.rank());
    for (axis, &d) in shape.dims().iter().enumerate() {
        if axes >> axis & 1 == 0 {
            dims[axis] = d;
        }
    }
    Shape::new(&dims[..rank]).expect("no larger than before")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_is_sixteen_bytes() {
        assert_eq!(size_of::<Inst>(), 16);
    }
}
