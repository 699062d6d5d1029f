//! Values made larger: joined, repeated, padded.

use retrograde_storage::{Element, MAX_RANK, Shape};
use smallvec::SmallVec;

use super::{Rec, Var};
use crate::error::Fault;
use crate::infer::{self, Few};
use crate::list::{List, Value};
use crate::op::{Attr, Op};

/// Copies and room; axes and counts that do not fit are errors.
///
/// ```
/// # use retrograde_graph::Tape;
/// # use retrograde_storage::{Array, Create};
/// # let tape = Tape::new();
/// let x = tape.variable(Array::<f64>::arange(6).reshape([2, 3])?);
/// assert_eq!((x.repeat([2, 1]).shape()?, x.tile([2]).shape()?), (vec![4, 3], vec![2, 6]));
/// assert_eq!(x.at(0, 0).repeat_interleave(2, 0).value()?, Array::from([0.0, 0.0, 1.0, 1.0, 2.0, 2.0]));
/// assert_eq!(x.at(0, 0).pad([(1, 2)], 9.0).value()?, Array::from([9.0, 0.0, 1.0, 2.0, 9.0, 9.0]));
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<T: Element> Var<'_, T> {
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
}

/// Joining; parts whose other extents differ are an error, and so is no part.
///
/// ```
/// # use retrograde_graph::Tape;
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

fn nothing_to_join() -> Fault {
    Fault::shape("there is nothing to join; give at least one value")
}

pub(super) fn joined(list: &mut List, parts: &[Value], axis: isize) -> Result<Value, Fault> {
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
