//! Shape: elements stay what they are and move elsewhere. Views cost nothing where strides can say them.

use std::ops::{Bound, RangeBounds};

use retrograde_storage::{Element, IntoShape, MAX_RANK, Shape};
use smallvec::SmallVec;

use super::axes::without;
use super::{Axes, Rec, Var};
use crate::error::Fault;
use crate::infer::{self, Few};
use crate::list::{List, Value};
use crate::op::{Attr, Op, SliceSpec};

/// The extent that [`Var::reshape`] works out from the others: `x.reshape([2, INFER])`.
pub const INFER: usize = usize::MAX;

/// Views and copies; axes, ranges and shapes that do not fit are errors.
///
/// ```
/// # use retrograde_graph::{INFER, Tape, keep};
/// # use retrograde_storage::{Array, Create};
/// # let tape = Tape::new();
/// let x = tape.variable(Array::<f64>::arange(6).reshape([2, 3])?);
/// assert_eq!(x.reshape([3, INFER]).shape()?, [3, 2]);
/// assert_eq!((x.flatten().len()?, x.t().shape()?, x.transpose(0, -1).shape()?), (6, vec![3, 2], vec![3, 2]));
/// assert_eq!((x.unflatten(1, [3, 1]).shape()?, x.unsqueeze(0).flatten_axes(0, 1).shape()?), (vec![2, 3, 1], vec![2, 3]));
/// assert_eq!(x.permute([1, 0]).at(0, 2).value()?, Array::from([2.0, 5.0]));
/// assert_eq!((x.unsqueeze(0).shape()?, x.unsqueeze(-1).squeeze(2).shape()?), (vec![1, 2, 3], vec![2, 3]));
/// assert_eq!((x.broadcast_to([4, 2, 3]).shape()?, x.expand([1, 2, 3]).shape()?), (vec![4, 2, 3], vec![1, 2, 3]));
/// assert_eq!(x.slice(1, -2..).value()?, Array::from([[1.0, 2.0], [4.0, 5.0]]));
/// assert_eq!(x.slice_step(1, .., -2).at(0, 0).value()?, Array::from([2.0, 0.0]));
/// assert_eq!(x.narrow(1, 1, 1).value()?, x.split(&[1, 1, 1], 1)[1].value()?);
/// assert_eq!(x.flip(1).value()?, Array::from([[2.0, 1.0, 0.0], [5.0, 4.0, 3.0]]));
/// assert_eq!(x.roll(1, 1).at(0, 0).value()?, Array::from([2.0, 0.0, 1.0]));
/// assert_eq!(x.chunk(2, 1)[0].shape()?, [2, 2]);
/// assert_eq!((x.repeat([2, 1]).shape()?, x.tile([2]).shape()?), (vec![4, 3], vec![2, 6]));
/// assert_eq!(x.at(0, 0).repeat_interleave(2, 0).value()?, Array::from([0.0, 0.0, 1.0, 1.0, 2.0, 2.0]));
/// assert_eq!(x.at(0, 0).pad([(1, 2)], 9.0).value()?, Array::from([9.0, 0.0, 1.0, 2.0, 9.0, 9.0]));
/// let error = x.reshape([5]).value().unwrap_err().to_string();
/// assert!(error.starts_with("reshape of [2, 3] f64: [5] has 5 elements, but the operand has 6"));
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<T: Element> Var<'_, T> {
    /// The same elements in row-major order under another shape of as many. One extent may be [`INFER`].
    #[track_caller]
    pub fn reshape(self, dims: impl AsRef<[usize]>) -> Self {
        self.map("reshape", |s, x| {
            let shape = reshaped(s.list.shape(x), dims.as_ref())?;
            Ok(s.list.reshape(x, shape))
        })
    }

    /// All elements in one axis.
    #[track_caller]
    pub fn flatten(self) -> Self {
        self.reshape([INFER])
    }

    /// The axes `first..=last` as one, in row-major order (`PyTorch`'s `flatten(start_dim, end_dim)`).
    #[track_caller]
    pub fn flatten_axes(self, first: isize, last: isize) -> Self {
        self.map("flatten_axes", |s, x| {
            let shape = s.list.shape(x);
            let (first, last) = (infer::axis(shape, first)?, infer::axis(shape, last)?);
            if first > last {
                let reason =
                    format!("axis {first} comes after axis {last}; name the first one first");
                return Err(Fault::axis(reason));
            }
            let mut dims = Few::from_slice(&shape.dims()[..first]);
            dims.push(shape.dims()[first..=last].iter().product());
            dims.extend_from_slice(&shape.dims()[last + 1..]);
            Ok(s.list.reshape(x, infer::shape(&dims)?))
        })
    }

    /// One axis as several of these extents, whose product is its own; one may be [`INFER`].
    #[track_caller]
    pub fn unflatten(self, axis: isize, dims: impl AsRef<[usize]>) -> Self {
        self.map("unflatten", |s, x| {
            let shape = s.list.shape(x);
            let axis = infer::axis(shape, axis)?;
            let one = infer::shape(&shape.dims()[axis..=axis])?;
            let mut all = Few::from_slice(&shape.dims()[..axis]);
            all.extend_from_slice(reshaped(one, dims.as_ref())?.dims());
            all.extend_from_slice(&shape.dims()[axis + 1..]);
            Ok(s.list.reshape(x, infer::shape(&all)?))
        })
    }

    /// Two axes exchanged.
    #[track_caller]
    pub fn transpose(self, a: isize, b: isize) -> Self {
        self.map("transpose", |s, x| {
            let shape = s.list.shape(x);
            let mut order: Few = (0..shape.rank()).collect();
            order.swap(infer::axis(shape, a)?, infer::axis(shape, b)?);
            Ok(permuted(&mut s.list, x, &order))
        })
    }

    /// The last two axes exchanged: a matrix transposed, or every matrix of a batch. Rank 2 at least.
    #[track_caller]
    pub fn t(self) -> Self {
        self.map("t", |s, x| {
            infer::rank_at_least(s.list.shape(x), 2)?;
            Ok(s.list.transpose(x))
        })
    }

    /// Axes in another order: axis `i` of the result is axis `order[i]` of `x`.
    #[track_caller]
    pub fn permute(self, order: impl AsRef<[isize]>) -> Self {
        self.map("permute", |s, x| {
            let (shape, order) = (s.list.shape(x), order.as_ref());
            if order.len() != shape.rank() {
                let reason = format!(
                    "{} axes are named, but the operand has {}; name each once",
                    order.len(),
                    shape.rank()
                );
                return Err(Fault::axis(reason));
            }
            infer::axis_mask(shape, order)?;
            let order = order
                .iter()
                .map(|&a| infer::axis(shape, a))
                .collect::<Result<Few, _>>()?;
            Ok(permuted(&mut s.list, x, &order))
        })
    }

    /// Without the given axes, which must have extent 1; `..` drops all such axes.
    #[track_caller]
    pub fn squeeze(self, axes: impl Into<Axes>) -> Self {
        let axes = axes.into();
        self.map("squeeze", |s, x| {
            let shape = s.list.shape(x);
            let mut mask = axes.mask(shape)?;
            for (axis, &extent) in shape.dims().iter().enumerate() {
                if mask >> axis & 1 == 1 && extent != 1 {
                    if !axes.is_all() {
                        let reason = format!("axis {axis} has extent {extent}, only extent 1 can be dropped; try `slice` or a reduction");
                        return Err(Fault::shape(reason));
                    }
                    mask &= !(1 << axis);
                }
            }
            Ok(s.list.reshape(x, without(shape, mask)))
        })
    }

    /// A new axis of extent 1, at this place of the result.
    #[track_caller]
    pub fn unsqueeze(self, axis: isize) -> Self {
        self.map("unsqueeze", |s, x| {
            let shape = s.list.shape(x);
            infer::room_for_axis(shape)?;
            let mut dims = Few::from_slice(shape.dims());
            dims.insert(infer::new_axis(shape, axis)?, 1);
            let shape = infer::shape(&dims)?;
            Ok(s.list.reshape(x, shape))
        })
    }

    /// Broadcast to a shape: new axes in front, axes of extent 1 repeated. The gradient sums what was repeated.
    #[track_caller]
    pub fn broadcast_to(self, shape: impl IntoShape) -> Self {
        let shape = shape.into_shape();
        self.map("broadcast_to", |s, x| {
            let shape = shape.map_err(|e| Fault::shape(e.to_string()))?;
            infer::broadcasts_to(s.list.shape(x), shape)?;
            Ok(s.list.expand(x, shape))
        })
    }

    /// [`broadcast_to`](Self::broadcast_to) by its other name.
    #[track_caller]
    pub fn expand(self, shape: impl IntoShape) -> Self {
        self.broadcast_to(shape)
    }

    /// Elements of a range along an axis: `x.slice(0, 1..3)`, `x.slice(-1, ..-1)`. Negative bounds count from the end.
    /// The range must lie within the axis. (Clippy takes a literal `1..-1` for a mistake; write `.slice(0, 1..).slice(0, ..-1)`.)
    #[track_caller]
    pub fn slice(self, axis: isize, range: impl RangeBounds<isize>) -> Self {
        self.slice_step(axis, range, 1)
    }

    /// One index of an axis, which vanishes. A negative index counts from the end.
    #[track_caller]
    pub fn at(self, axis: isize, index: isize) -> Self {
        let one = if index == -1 {
            self.slice(axis, index..)
        } else {
            self.slice(axis, index..index.saturating_add(1))
        };
        one.squeeze(axis)
    }

    /// Every `step`-th element of a range along an axis, from its start; with a negative step from its end backwards:
    /// `x.slice_step(0, .., -1)` reverses, `x.slice_step(0, 2..6, -2)` takes elements 5 and 3.
    #[track_caller]
    pub fn slice_step(self, axis: isize, range: impl RangeBounds<isize>, step: isize) -> Self {
        self.map("slice", |s, x| {
            let shape = s.list.shape(x);
            let axis = infer::axis(shape, axis)?;
            if step == 0 {
                return Err(infer::argument("the step must not be 0"));
            }
            let (start, end) = bounds(&range, shape.dims()[axis])?;
            let len = (end - start).div_ceil(step.unsigned_abs());
            if step == 1 && len == shape.dims()[axis] {
                return Ok(x);
            }
            let first = if step > 0 || len == 0 { start } else { end - 1 };
            Ok(sliced(&mut s.list, x, axis, first, step, len))
        })
    }

    /// `len` elements from `start` along an axis.
    #[track_caller]
    pub fn narrow(self, axis: isize, start: usize, len: usize) -> Self {
        self.map("narrow", |s, x| {
            let shape = s.list.shape(x);
            let axis = infer::axis(shape, axis)?;
            let extent = shape.dims()[axis];
            if start.checked_add(len).is_none_or(|end| end > extent) {
                let reason = format!(
                    "{len} elements from {start} do not lie within axis {axis} of extent {extent}"
                );
                return Err(infer::argument(reason));
            }
            Ok(s.list.narrow(x, axis, start, len))
        })
    }

    /// Reversed along the given axes.
    #[track_caller]
    pub fn flip(self, axes: impl Into<Axes>) -> Self {
        let axes = axes.into();
        self.map("flip", |s, x| {
            let shape = s.list.shape(x);
            let mask = axes.mask(shape)?;
            let mut spec = SliceSpec {
                start: [0; MAX_RANK],
                step: [1; MAX_RANK],
            };
            for (axis, &extent) in shape.dims().iter().enumerate() {
                if mask >> axis & 1 == 1 && extent > 0 {
                    spec.start[axis] = extent - 1;
                    spec.step[axis] = -1;
                }
            }
            Ok(s.list.slice(x, spec, shape))
        })
    }

    /// Moved along an axis by `shift` (towards the end if positive), what leaves at one end coming in at the other.
    #[track_caller]
    pub fn roll(self, shift: isize, axis: isize) -> Self {
        self.map("roll", |s, x| {
            let shape = s.list.shape(x);
            let axis = infer::axis(shape, axis)?;
            let n = shape.dims()[axis];
            // The first element of the result is the one `shift` before.
            let at = if n == 0 {
                0
            } else {
                (n as isize - shift.rem_euclid(n as isize)) as usize % n
            };
            if at == 0 {
                return Ok(x);
            }
            let head = s.list.narrow(x, axis, at, n - at);
            let tail = s.list.narrow(x, axis, 0, at);
            Ok(s.list.push(
                Op::Concat,
                &[head, tail],
                Attr::axis(axis, false),
                shape,
                T::DTYPE,
            ))
        })
    }

    /// Consecutive pieces of these extents along an axis; they must add up to its extent. If they do not, every
    /// piece is the error, and where there is none, the one that is returned.
    #[track_caller]
    pub fn split(self, extents: &[usize], axis: isize) -> Vec<Self> {
        let mut start = 0usize;
        let mut pieces = Vec::with_capacity(extents.len());
        let total = extents.iter().fold(0usize, |sum, &n| sum.saturating_add(n));
        // No extents are pieces of nothing: right for an empty axis, but as an error they need a piece to be told by.
        let none: &[usize] = match self
            .shape_checked()
            .map(|s| infer::axis(s, axis).map(|a| s.dims()[a]))
        {
            Ok(Ok(0)) => &[],
            _ => &[0],
        };
        for &n in if extents.is_empty() { none } else { extents } {
            pieces.push(self.map("split", |s, x| {
                let shape = s.list.shape(x);
                let axis = infer::axis(shape, axis)?;
                if total != shape.dims()[axis] {
                    let extent = shape.dims()[axis];
                    let reason = format!("the pieces {extents:?} add up to {total}, but axis {axis} has extent {extent}");
                    return Err(Fault::shape(reason));
                }
                Ok(s.list.narrow(x, axis, start, n))
            }));
            start = start.saturating_add(n);
        }
        pieces
    }

    /// `n` consecutive pieces along an axis, as equal as possible, the longer ones first. No pieces, or more than there
    /// are elements, are an error, which is the one piece then.
    #[track_caller]
    pub fn chunk(self, n: usize, axis: isize) -> Vec<Self> {
        let most = self
            .shape_checked()
            .map_or(1, |s| s.dims().iter().copied().max().unwrap_or(1));
        let mut pieces = Vec::new();
        for i in 0..n.clamp(1, most.max(1)) {
            pieces.push(self.map("chunk", |s, x| {
                let shape = s.list.shape(x);
                let axis = infer::axis(shape, axis)?;
                if n == 0 || n > shape.dims()[axis].max(1) {
                    let extent = shape.dims()[axis];
                    let reason =
                        format!("axis {axis} of extent {extent} cannot be cut into {n} pieces");
                    return Err(Fault::shape(reason));
                }
                let (each, longer) = (shape.dims()[axis] / n, shape.dims()[axis] % n);
                Ok(s.list.narrow(
                    x,
                    axis,
                    each * i + longer.min(i),
                    each + usize::from(i < longer),
                ))
            }));
        }
        pieces
    }

    /// Copies along every axis, `counts[i]` of axis `i`; more counts than axes make new axes in front.
    #[track_caller]
    pub fn repeat(self, counts: impl AsRef<[usize]>) -> Self {
        self.map("repeat", |s, x| {
            let (rank, counts) = (s.list.shape(x).rank(), counts.as_ref());
            if counts.len() < rank {
                let reason = format!(
                    "{} counts for {rank} axes; give one for each, or use `tile`",
                    counts.len()
                );
                return Err(Fault::axis(reason));
            }
            tiled(&mut s.list, x, counts)
        })
    }

    /// As [`repeat`](Self::repeat), but fewer counts than axes are counts of the last axes.
    #[track_caller]
    pub fn tile(self, counts: impl AsRef<[usize]>) -> Self {
        self.map("tile", |s, x| {
            let (rank, counts) = (s.list.shape(x).rank(), counts.as_ref());
            let mut all = Few::from_elem(1, rank.saturating_sub(counts.len()));
            all.extend_from_slice(counts);
            tiled(&mut s.list, x, &all)
        })
    }

    /// Every element `n` times in a row along an axis.
    #[track_caller]
    pub fn repeat_interleave(self, n: usize, axis: isize) -> Self {
        self.map("repeat_interleave", |s, x| {
            let shape = s.list.shape(x);
            let axis = infer::axis(shape, axis)?;
            let mut dims = Few::from_slice(shape.dims());
            dims[axis] = times(dims[axis], n)?;
            let result = infer::shape(&dims)?;
            // An axis behind the repeated one; what stands before and after is one axis each.
            let (outer, inner) = shape.dims().split_at(axis + 1);
            let (outer, inner) = (outer.iter().product(), inner.iter().product());
            repeated(&mut s.list, x, [outer, n, inner], result)
        })
    }

    /// Room around the elements, filled with a value: `(before, after)` positions for each of the last axes.
    #[track_caller]
    pub fn pad(self, room: impl AsRef<[(usize, usize)]>, value: T) -> Self {
        let room = room.as_ref();
        self.map("pad", |s, x| {
            let rank = s.list.shape(x).rank();
            let Some(first) = rank.checked_sub(room.len()) else {
                let reason = format!(
                    "room is given for {} axes, but there are {rank}",
                    room.len()
                );
                return Err(Fault::axis(reason));
            };
            let value = s.literal(value);
            let (l, mut x) = (&mut s.list, x);
            for (axis, &(before, after)) in (first..).zip(room) {
                let mut dims = Few::from_slice(l.dims(x));
                let mut filled = |l: &mut List, n: usize| {
                    dims[axis] = n;
                    Ok(l.expand(value, infer::shape(&dims)?))
                };
                let (head, tail) = (filled(l, before)?, filled(l, after)?);
                let parts = [head, x, tail];
                let parts = &parts[usize::from(before == 0)..3 - usize::from(after == 0)];
                x = joined(l, parts, axis as isize)?;
            }
            Ok(x)
        })
    }

    /// The same value with nothing behind it for a derivative: a constant from here on.
    #[track_caller]
    pub fn detach(self) -> Self {
        self.map("detach", |s, x| {
            let (shape, dtype) = (s.list.shape(x), s.list.dtype(x));
            Ok(s.list.push(Op::Detach, &[x], Attr::NONE, shape, dtype))
        })
    }
}

/// Joining; parts whose other extents differ are an error, and so is no part.
///
/// ```
/// # use retrograde_graph::{INFER, Tape, keep};
/// # use retrograde_storage::{Array, Create};
/// # let tape = Tape::new();
/// let (x, y) = (tape.variable(Array::from([1.0_f64, 2.0])), tape.variable(Array::from([3.0_f64, 4.0])));
/// assert_eq!(tape.rec().concat(&[x, y], 0).value()?, Array::from([1.0, 2.0, 3.0, 4.0]));
/// assert_eq!(tape.rec().stack(&[x, y], 1).value()?, Array::from([[1.0, 3.0], [2.0, 4.0]]));
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<'t> Rec<'t> {
    /// Values joined along an axis; all other extents must be equal.
    #[track_caller]
    pub fn concat<T: Element>(self, parts: &[Var<'t, T>], axis: isize) -> Var<'t, T> {
        let operands: SmallVec<[_; MAX_RANK]> = parts.iter().map(|&p| p.into()).collect();
        self.apply("concat", &operands, |s| {
            let ids: SmallVec<[Value; MAX_RANK]> = parts.iter().map(|p| p.id).collect();
            joined(&mut s.list, &ids, axis)
        })
    }

    /// Values of one shape joined along a new axis.
    #[track_caller]
    pub fn stack<T: Element>(self, parts: &[Var<'t, T>], axis: isize) -> Var<'t, T> {
        let operands: SmallVec<[_; MAX_RANK]> = parts.iter().map(|&p| p.into()).collect();
        self.apply("stack", &operands, |s| {
            let Some(first) = parts.first() else {
                return Err(nothing_to_join());
            };
            let shape = s.list.shape(first.id);
            infer::room_for_axis(shape)?;
            let at = infer::new_axis(shape, axis)?;
            let mut dims = Few::from_slice(shape.dims());
            dims.insert(at, 1);
            let shape = infer::shape(&dims)?;
            let mut ids = SmallVec::<[Value; MAX_RANK]>::with_capacity(parts.len());
            for part in parts {
                infer::equal_shapes(&s.list, first.id, part.id)?;
                ids.push(s.list.reshape(part.id, shape));
            }
            joined(&mut s.list, &ids, at as isize)
        })
    }
}

fn reshaped(from: Shape, dims: &[usize]) -> Result<Shape, Fault> {
    let mut dims = Few::from_slice(dims);
    let unknown: Few = (0..dims.len()).filter(|&i| dims[i] == INFER).collect();
    match unknown.as_slice() {
        [] => {}
        &[at] => {
            let known = dims
                .iter()
                .filter(|&&d| d != INFER)
                .try_fold(1usize, |n, &d| n.checked_mul(d));
            dims[at] = match known {
                Some(known) if known > 0 && from.len().is_multiple_of(known) => from.len() / known,
                _ => {
                    let known: Vec<_> = dims.iter().filter(|&&d| d != INFER).collect();
                    let reason = format!(
                        "{} elements are no multiple of the known extents {known:?}",
                        from.len()
                    );
                    return Err(Fault::shape(reason));
                }
            };
        }
        _ => return Err(Fault::shape("only one extent can be `INFER`")),
    }
    let shape = infer::shape(&dims)?;
    if shape.len() == from.len() {
        return Ok(shape);
    }
    Err(Fault::shape(format!(
        "{shape} has {} elements, but the operand has {}; one extent may be `INFER`",
        shape.len(),
        from.len()
    )))
}

fn permuted(list: &mut List, x: Value, order: &[usize]) -> Value {
    if order.iter().enumerate().all(|(i, &a)| i == a) {
        x
    } else {
        list.permute(x, order)
    }
}

/// A range's start and end within `0..=extent`.
fn bounds(range: &impl RangeBounds<isize>, extent: usize) -> Result<(usize, usize), Fault> {
    let n = extent as isize;
    let from_start = |i: isize| if i < 0 { i.saturating_add(n) } else { i };
    let start = match range.start_bound() {
        Bound::Unbounded => 0,
        Bound::Included(&i) => from_start(i),
        Bound::Excluded(&i) => from_start(i).saturating_add(1),
    };
    let end = match range.end_bound() {
        Bound::Unbounded => n,
        Bound::Included(&i) => from_start(i).saturating_add(1),
        Bound::Excluded(&i) => from_start(i),
    };
    if 0 <= start && start <= end && end <= n {
        return Ok((start as usize, end as usize));
    }
    Err(infer::argument(format!(
        "the range {start}..{end} does not lie within an axis of extent {extent}; bounds may be negative to count from the end"
    )))
}

fn sliced(list: &mut List, x: Value, axis: usize, start: usize, step: isize, len: usize) -> Value {
    let mut spec = SliceSpec {
        start: [0; MAX_RANK],
        step: [1; MAX_RANK],
    };
    spec.start[axis] = if len == 0 { 0 } else { start };
    spec.step[axis] = step;
    let mut dims = Few::from_slice(list.dims(x));
    dims[axis] = len;
    let shape = Shape::new(&dims).expect("a slice is no larger than its source");
    list.slice(x, spec, shape)
}

fn nothing_to_join() -> Fault {
    Fault::shape("there is nothing to join; give at least one value")
}

fn joined(list: &mut List, parts: &[Value], axis: isize) -> Result<Value, Fault> {
    let Some(&first) = parts.first() else {
        return Err(nothing_to_join());
    };
    let shape = list.shape(first);
    let axis = infer::axis(shape, axis)?;
    let mut extent = 0usize;
    for (i, &part) in parts.iter().enumerate() {
        let other = list.shape(part);
        let differs = |a: usize| a != axis && other.dims()[a] != shape.dims()[a];
        if other.rank() != shape.rank() || (0..shape.rank()).any(differs) {
            return Err(Fault::shape(format!(
                "all must have the extents of the first but along axis {axis}: part {i} has {other}, the first {shape}"
            )));
        }
        extent = extent.saturating_add(other.dims()[axis]);
    }
    if let [only] = parts {
        return Ok(*only);
    }
    let mut dims = Few::from_slice(shape.dims());
    dims[axis] = extent;
    let shape = infer::shape(&dims)?;
    Ok(list.push(
        Op::Concat,
        parts,
        Attr::axis(axis, false),
        shape,
        list.dtype(first),
    ))
}

fn times(extent: usize, n: usize) -> Result<usize, Fault> {
    extent
        .checked_mul(n)
        .ok_or_else(|| Fault::shape("the result has more elements than memory can address"))
}

/// Copies axis by axis: each as one broadcast axis before the repeated one.
fn tiled(list: &mut List, x: Value, counts: &[usize]) -> Result<Value, Fault> {
    let mut dims = Few::from_elem(1, counts.len() - list.shape(x).rank());
    dims.extend_from_slice(list.dims(x));
    let mut shape = infer::shape(&dims)?;
    let mut x = list.reshape(x, shape);
    for (axis, &n) in counts.iter().enumerate().filter(|(_, n)| **n != 1) {
        let (outer, inner) = shape.dims().split_at(axis);
        let (outer, inner) = (outer.iter().product(), inner.iter().product());
        dims[axis] = times(dims[axis], n)?;
        shape = infer::shape(&dims)?;
        x = repeated(list, x, [outer, n, inner], shape)?;
    }
    Ok(x)
}

/// `x` as `[outer, 1, inner]`, broadcast in the middle to `n`, as `shape`.
fn repeated(
    list: &mut List,
    x: Value,
    [outer, n, inner]: [usize; 3],
    shape: Shape,
) -> Result<Value, Fault> {
    let x = list.reshape(x, infer::shape(&[outer, 1, inner])?);
    let x = list.expand(x, infer::shape(&[outer, n, inner])?);
    Ok(list.reshape(x, shape))
}
