//! Operands that are not what they seem: the same extents as a view of something else.

use retrograde::prelude::*;

/// How an operand stands in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// As it is.
    Dense,
    /// Axes in reverse order.
    Transposed,
    /// Every second element of every axis.
    Stepped,
    /// Every axis from its end.
    Reversed,
    /// The first axis repeats one row.
    Expanded,
    /// Part of something larger, from the second element on.
    Offset,
}

impl View {
    /// All but the dense one.
    pub const OTHERS: [Self; 5] = [
        Self::Transposed,
        Self::Stepped,
        Self::Reversed,
        Self::Expanded,
        Self::Offset,
    ];

    /// The extents of what the view of `dims` is a view of.
    pub fn stored(self, dims: &[usize]) -> Vec<usize> {
        let mut stored = dims.to_vec();
        match self {
            Self::Dense | Self::Reversed => {}
            Self::Transposed => stored.reverse(),
            Self::Stepped => stored.iter_mut().for_each(|d| *d *= 2),
            Self::Expanded => {
                if let Some(first) = stored.first_mut() {
                    *first = 1;
                }
            }
            Self::Offset => stored.iter_mut().for_each(|d| *d += 2),
        }
        stored
    }

    /// The view of `dims`.
    pub fn of<'t, T: Float>(self, x: Var<'t, T>, dims: &[usize]) -> Var<'t, T> {
        let axes = 0..dims.len() as isize;
        match self {
            Self::Dense => x,
            Self::Transposed => x.permute(axes.rev().collect::<Vec<_>>()),
            Self::Stepped => axes.fold(x, |x, axis| x.slice_step(axis, .., 2)),
            Self::Reversed => x.flip(..),
            Self::Expanded => x.broadcast_to(dims),
            Self::Offset => axes.zip(dims).fold(x, |x, (axis, &d)| x.narrow(axis, 1, d)),
        }
    }
}
