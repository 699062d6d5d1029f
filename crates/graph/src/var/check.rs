//! Checks of arguments: what does not fit becomes a fault that says what was expected and what to try.

use retrograde_storage::{Shape, ShapeError};

use crate::error::{ErrorKind, Fault};
use crate::list::{List, Value};

type Checked<T> = Result<T, Fault>;

/// All operands broadcast to one shape.
pub(super) fn broadcast(list: &List, operands: &[Value]) -> Checked<Shape> {
    let mut shape = list.shape(operands[0]);
    for &v in &operands[1..] {
        let other = list.shape(v);
        shape = shape.broadcast(&other).ok_or_else(|| {
            Fault::shape(format!(
                "the shapes do not broadcast: aligned at the last axis, extents must be equal or one of them 1; {shape} and {other} are not (try `reshape` or `unsqueeze`)"
            ))
        })?;
    }
    Ok(shape)
}

/// A shape from extents.
pub(super) fn shape(dims: &[usize]) -> Checked<Shape> {
    Shape::new(dims).map_err(|e: ShapeError| Fault::shape(e.to_string()))
}

/// An axis, counted from the end if negative.
pub(super) fn axis(rank: usize, axis: isize) -> Checked<usize> {
    let resolved = if axis < 0 { axis + rank as isize } else { axis };
    if (0..rank as isize).contains(&resolved) {
        return Ok(resolved as usize);
    }
    Err(Fault::axis(match rank {
        0 => format!("axis {axis} does not exist: the operand is a scalar"),
        _ => format!("axis {axis} is out of range; rank {rank} has axes 0 to {} (or -1 to -{rank})", rank - 1),
    }))
}

/// A set of axes, none twice.
pub(super) fn axes(rank: usize, axes: &[isize]) -> Checked<u8> {
    axes.iter().try_fold(0u8, |mask, &a| {
        let bit = 1u8 << axis(rank, a)?;
        if mask & bit != 0 {
            return Err(Fault::axis(format!("axis {a} is given twice")));
        }
        Ok(mask | bit)
    })
}

/// The extents of a product's operands fit.
pub(super) fn matmul(list: &List, x: Value, y: Value) -> Checked<()> {
    let (a, b) = (list.dims(x), list.dims(y));
    let (inner_a, inner_b) = (a[a.len() - 1], b[b.len() - 2]);
    if inner_a != inner_b {
        return Err(Fault::shape(format!(
            "the inner extents must be equal, but {inner_a} is not {inner_b}; transpose one of them with `.t()`?"
        )));
    }
    let lead = |d: &[usize]| Shape::new(&d[..d.len() - 2]).expect("fewer axes");
    lead(a).broadcast(&lead(b)).map(|_| ()).ok_or_else(|| Fault::shape("the batch axes do not broadcast"))
}

/// At least so many axes.
pub(super) fn rank_at_least(list: &List, v: Value, rank: usize) -> Checked<()> {
    let found = list.shape(v).rank();
    if found < rank {
        return Err(Fault::shape(format!("expected rank {rank} at least, found {found}")));
    }
    Ok(())
}

/// An argument out of its domain.
pub(super) fn domain(holds: bool, reason: impl FnOnce() -> String) -> Checked<()> {
    if holds { Ok(()) } else { Err(Fault::new(ErrorKind::Index, reason())) }
}
