//! Which axes a reduction runs over, and whether they stay.

use std::ops::RangeFull;

use retrograde_storage::{MAX_RANK, Shape};

use crate::error::Fault;
use crate::infer;

/// Axes of a reduction: one (`1`), several (`[0, 2]`), all (`..`). Negative ones count from the end. They vanish from
/// the result, unless wrapped in [`keep`], which leaves them with extent 1 so that the result broadcasts against `x`.
///
/// `x.sum_over(1)`, `x.mean_over([0, -1])`, `x - x.max_over(keep(-1))`, `x.norm_over(keep(..))`.
#[derive(Clone, Copy, Debug)]
pub struct Axes {
    listed: [isize; MAX_RANK + 1],
    /// Entries of `listed`, or `ALL`.
    len: usize,
    keep: bool,
}

const ALL: usize = usize::MAX;

/// The same axes, kept with extent 1.
pub fn keep(axes: impl Into<Axes>) -> Axes {
    Axes {
        keep: true,
        ..axes.into()
    }
}

impl Axes {
    fn list(axes: impl Iterator<Item = isize>) -> Self {
        let mut listed = [0; MAX_RANK + 1];
        let mut len = 0;
        // More axes than the largest rank cannot be right; one too many is kept for the check to find.
        for (to, axis) in listed.iter_mut().zip(axes) {
            *to = axis;
            len += 1;
        }
        Self {
            listed,
            len,
            keep: false,
        }
    }

    /// Whether this is `..`.
    pub(crate) fn is_all(&self) -> bool {
        self.len == ALL
    }

    /// The axes of a shape, as a mask.
    pub(crate) fn mask(&self, shape: Shape) -> Result<u8, Fault> {
        if self.is_all() {
            return Ok(((1u16 << shape.rank()) - 1) as u8);
        }
        infer::axis_mask(shape, &self.listed[..self.len])
    }

    /// The result's shape: without the reduced axes, or with extent 1 there.
    pub(crate) fn result(&self, shape: Shape, mask: u8) -> Shape {
        let kept = crate::list::kept(shape, mask);
        if self.keep {
            kept
        } else {
            without(shape, mask)
        }
    }
}

/// `shape` without the axes of `mask`.
pub(crate) fn without(shape: Shape, mask: u8) -> Shape {
    let (mut dims, mut rank) = ([1; MAX_RANK], 0);
    for (axis, &d) in shape.dims().iter().enumerate() {
        if mask >> axis & 1 == 0 {
            dims[rank] = d;
            rank += 1;
        }
    }
    Shape::new(&dims[..rank]).expect("no larger than before")
}

impl From<RangeFull> for Axes {
    fn from(_: RangeFull) -> Self {
        Self {
            listed: [0; MAX_RANK + 1],
            len: ALL,
            keep: false,
        }
    }
}

macro_rules! from_integers {
    ($($t:ty),*) => {$(
        impl From<$t> for Axes {
            fn from(axis: $t) -> Self {
                Self::list(std::iter::once(axis as isize))
            }
        }
        impl<const N: usize> From<[$t; N]> for Axes {
            fn from(axes: [$t; N]) -> Self {
                Self::list(axes.into_iter().map(|a| a as isize))
            }
        }
        impl From<&[$t]> for Axes {
            fn from(axes: &[$t]) -> Self {
                Self::list(axes.iter().map(|&a| a as isize))
            }
        }
    )*};
}
from_integers!(i32, isize, usize);
