//! Parts of a value: ranges, steps, pieces, and the same elements in turned order.

use std::ops::{Bound, RangeBounds};

use retrograde_storage::{Element, MAX_RANK, Shape};

use super::{Axes, Var};
use crate::error::Fault;
use crate::infer::{self, Few};
use crate::list::{List, Value};
use crate::op::{Attr, Op, SliceSpec};

/// Parts along axes; ranges that do not fit are errors.
///
/// ```
/// # use retrograde_graph::Tape;
/// # use retrograde_storage::{Array, Create};
/// # let tape = Tape::new();
/// let x = tape.variable(Array::<f64>::arange(6).reshape([2, 3])?);
/// assert_eq!(x.slice(1, -2..).value()?, Array::from([[1.0, 2.0], [4.0, 5.0]]));
/// assert_eq!(x.slice_step(1, .., -2).at(0, 0).value()?, Array::from([2.0, 0.0]));
/// assert_eq!(x.narrow(1, 1, 1).value()?, x.split(&[1, 1, 1], 1)[1].value()?);
/// assert_eq!(x.flip(1).value()?, Array::from([[2.0, 1.0, 0.0], [5.0, 4.0, 3.0]]));
/// assert_eq!(x.roll(1, 1).at(0, 0).value()?, Array::from([2.0, 0.0, 1.0]));
/// assert_eq!(x.chunk(2, 1)[0].shape()?, [2, 2]);
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<T: Element> Var<'_, T> {
    /// Elements of a range along an axis: `x.slice(0, 1..3)`, `x.slice(-1, ..-1)`. Negative bounds count from the end.
    /// The range must lie within the axis. (Clippy takes a literal `1..-1` for a mistake; write `.slice(0, 1..).slice(0, ..-1)`.)
    #[track_caller]
    pub fn slice(self, axis: isize, range: impl RangeBounds<isize>) -> Self {
        self.slice_step(axis, range, 1)
    }

    /// One index of an axis, which vanishes. A negative index counts from the end.
    #[track_caller]
    pub fn at(self, axis: isize, index: isize) -> Self {
        self.map("at", |s, x| {
            let shape = s.list.shape(x);
            let axis = infer::axis(shape, axis)?;
            let extent = shape.dims()[axis];
            let from_start = if index < 0 { index + extent as isize } else { index };
            let Some(at) = usize::try_from(from_start).ok().filter(|&at| at < extent) else {
                let reason = format!(
                    "index {index} does not lie within axis {axis} of extent {extent}; it may be negative to count from the \
                     end"
                );
                return Err(infer::argument(reason));
            };
            let one = match extent {
                1 => x,
                _ => s.list.narrow(x, axis, at, 1),
            };
            let mut dims = Few::from_slice(shape.dims());
            dims.remove(axis);
            Ok(s.list.reshape(one, infer::shape(&dims)?))
        })
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
