//! Indices as operands: their types, their bounds, and what happens outside them.

use bytemuck::Pod;
use retrograde_storage::{DType, MAX_RANK};

use super::memory::RawView;
use super::{Cause, ErrorCell, Fault};

/// An index as stored: `u32`, or `i64` whose negative values count from the end.
pub(super) trait Index: Pod {
    /// The place in `0..len`, if it is one.
    fn place(self, len: usize) -> Option<usize>;
    /// The value, for reports.
    fn value(self) -> i64;
}

impl Index for u32 {
    #[inline(always)]
    fn place(self, len: usize) -> Option<usize> {
        let i = self as usize;
        (i < len).then_some(i)
    }
    fn value(self) -> i64 {
        i64::from(self)
    }
}

impl Index for i64 {
    #[inline(always)]
    fn place(self, len: usize) -> Option<usize> {
        let i = if self < 0 {
            self.wrapping_add(len as i64)
        } else {
            self
        };
        // A negative `i` becomes larger than any length.
        ((i as u64) < len as u64).then_some(i as usize)
    }
    fn value(self) -> i64 {
        self
    }
}

/// Whether elements of this type can be indices.
pub(super) fn is_index(dtype: DType) -> bool {
    matches!(dtype, DType::U32 | DType::I64)
}

/// The bound of an index operand and where its violations go.
#[derive(Clone, Copy)]
pub(super) struct Bound<'a> {
    pub(super) index: RawView,
    pub(super) len: usize,
    pub(super) errors: &'a ErrorCell,
    pub(super) site: u32,
}

impl Bound<'_> {
    /// The place `i`, read at row-major visit `visit` of the index view, points to; a bad one is reported.
    #[inline(always)]
    pub(super) fn place<I: Index>(&self, i: I, visit: usize) -> Option<isize> {
        if let Some(place) = i.place(self.len) {
            Some(place as isize)
        } else {
            self.report(i.value(), visit);
            None
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn report(&self, value: i64, visit: usize) {
        self.errors.report(Fault {
            site: self.site,
            position: position(&self.index, visit),
            value,
            bound: self.len as u64,
            cause: Cause::Index,
        });
    }
}

/// The row-major position of visit `visit` among the elements of `view` that are not mere repetitions (stride 0).
fn position(view: &RawView, mut visit: usize) -> u64 {
    let mut coordinates = [0; MAX_RANK];
    for (axis, &d) in view.dims().iter().enumerate().rev() {
        coordinates[axis] = visit % d;
        visit /= d;
    }
    view.dims()
        .iter()
        .enumerate()
        .filter(|&(axis, _)| view.strides[axis] != 0)
        .fold(0, |at, (axis, &d)| at * d as u64 + coordinates[axis] as u64)
}
