//! Checks of arguments: what they must be, and what to try when they are not. Everything recorded has passed here, so
//! rules, lowering and kernels need not check again.

use retrograde_storage::{MAX_RANK, Shape};

use crate::error::{ErrorKind, Fault};
use crate::list::{List, Value};

/// The axis of `shape` that `axis` means; negative ones count from the end.
pub(crate) fn axis(shape: Shape, axis: isize) -> Result<usize, Fault> {
    let rank = shape.rank() as isize;
    let at = if axis < 0 { axis + rank } else { axis };
    if (0..rank).contains(&at) {
        return Ok(at as usize);
    }
    Err(Fault::axis(match rank {
        0 => format!("axis {axis} is out of range: a scalar has no axes"),
        1 => format!("axis {axis} is out of range: rank 1 has axis 0 (or -1) alone"),
        _ => format!(
            "axis {axis} is out of range: rank {rank} has axes 0 to {} (or -{rank} to -1)",
            rank - 1
        ),
    }))
}

/// An axis of a result of one rank more: where a new axis can go.
pub(crate) fn new_axis(shape: Shape, axis: isize) -> Result<usize, Fault> {
    let rank = shape.rank() as isize;
    let at = if axis < 0 { axis + rank + 1 } else { axis };
    if (0..=rank).contains(&at) {
        return Ok(at as usize);
    }
    Err(Fault::axis(format!(
        "a new axis of rank {rank} goes to 0 to {rank} (or -{} to -1), not to {axis}",
        rank + 1
    )))
}

/// A mask of axes, each given once.
pub(crate) fn axis_mask(shape: Shape, axes: &[isize]) -> Result<u8, Fault> {
    let mut mask = 0u8;
    for &given in axes {
        let at = axis(shape, given)?;
        if mask >> at & 1 == 1 {
            return Err(Fault::axis(format!(
                "axis {at} is given twice in {axes:?}; name each axis once"
            )));
        }
        mask |= 1 << at;
    }
    Ok(mask)
}

/// The shape that operands broadcast to.
pub(crate) fn broadcast(list: &List, operands: &[Value]) -> Result<Shape, Fault> {
    let mut shape = list.shape(operands[0]);
    for &v in &operands[1..] {
        let other = list.shape(v);
        shape = match shape.broadcast(&other) {
            Some(both) => both,
            None => return Err(no_broadcast(shape, other)),
        };
    }
    Ok(shape)
}

fn no_broadcast(a: Shape, b: Shape) -> Fault {
    let pairs = a.dims().iter().rev().zip(b.dims().iter().rev());
    let clash = pairs
        .enumerate()
        .find(|(_, (m, n))| m != n && **m != 1 && **n != 1);
    Fault::shape(match clash {
        Some((back, (m, n))) => format!(
            "{a} and {b} do not broadcast: counted from the end, axis -{} has extents {m} and {n}, which must be equal \
             or one of them 1; try `reshape`, `unsqueeze` or `transpose`",
            back + 1
        ),
        None => format!("{a} and {b} broadcast to more elements than memory can address"),
    })
}

/// That `x` broadcasts to exactly `shape`.
pub(crate) fn broadcasts_to(x: Shape, shape: Shape) -> Result<(), Fault> {
    match x.broadcast(&shape) {
        Some(both) if both == shape => Ok(()),
        Some(_) | None => Err(Fault::shape(format!(
            "{x} does not broadcast to {shape}: counted from the end, every extent must be equal or 1 before"
        ))),
    }
}

/// A few extents or axes without a heap: recording does not allocate.
pub(crate) type Few = smallvec::SmallVec<[usize; retrograde_storage::MAX_RANK]>;

/// A shape of these extents.
pub(crate) fn shape(dims: &[usize]) -> Result<Shape, Fault> {
    Shape::new(dims).map_err(|e| Fault::shape(format!("{dims:?} is not a shape: {e}")))
}

/// That two operands have one shape, where broadcasting would hide a mistake.
pub(crate) fn equal_shapes(list: &List, x: Value, y: Value) -> Result<(), Fault> {
    let (a, b) = (list.shape(x), list.shape(y));
    if a == b {
        return Ok(());
    }
    let hint = if a.len() == b.len() {
        "; they have as many elements, try `reshape`"
    } else {
        ""
    };
    Err(Fault::shape(format!(
        "both must have one shape, but {a} is not {b}{hint}"
    )))
}

/// That there is an element to choose along the axes of `mask`.
pub(crate) fn not_empty(shape: Shape, mask: u8) -> Result<(), Fault> {
    let empty = |&axis: &usize| mask >> axis & 1 == 1 && shape.dims()[axis] == 0;
    match (0..shape.rank()).find(empty) {
        None => Ok(()),
        Some(axis) => Err(Fault::shape(format!(
            "axis {axis} has extent 0: there is no element to choose"
        ))),
    }
}

/// That the operand has this rank at least.
pub(crate) fn rank_at_least(shape: Shape, rank: usize) -> Result<(), Fault> {
    if shape.rank() >= rank {
        return Ok(());
    }
    Err(Fault::shape(format!(
        "expected rank {rank} at least, but {shape} has rank {}; try `unsqueeze`",
        shape.rank()
    )))
}

/// That a shape with one axis more is possible.
pub(crate) fn room_for_axis(shape: Shape) -> Result<(), Fault> {
    if shape.rank() < MAX_RANK {
        return Ok(());
    }
    Err(Fault::shape(format!(
        "the result would have rank {}, the largest is {MAX_RANK}",
        shape.rank() + 1
    )))
}

/// That a number lies in `[0, 1]`.
pub(crate) fn probability(p: f64) -> Result<(), Fault> {
    if (0.0..=1.0).contains(&p) {
        return Ok(());
    }
    Err(argument(format!(
        "a probability is between 0 and 1, but {p} was given"
    )))
}

/// An argument out of its domain.
pub(crate) fn argument(reason: impl Into<String>) -> Fault {
    Fault::new(ErrorKind::Index, reason)
}
