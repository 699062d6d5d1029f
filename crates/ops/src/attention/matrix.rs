//! The one door to raw memory: a strided matrix.

use std::ops::Range;

/// A strided matrix somewhere. Plain addresses: every access is in an `unsafe fn` whose caller vouches for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrix<T> {
    pub(super) at: *mut T,
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// From one row to the next, in elements.
    pub(super) row: isize,
    /// From one column to the next.
    pub(super) column: isize,
}

impl<T: Copy> Matrix<T> {
    /// `rows` rows of `columns` elements in a buffer whose rows stand `stride` apart.
    pub(super) fn of(buffer: &mut [T], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(rows == 0 || buffer.len() >= (rows - 1) * stride + columns);
        Self {
            at: buffer.as_mut_ptr(),
            rows,
            columns,
            row: stride as isize,
            column: 1,
        }
    }

    pub(super) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row: self.column,
            column: self.row,
            ..self
        }
    }

    /// Some of the rows.
    pub(super) fn slice(self, rows: Range<usize>) -> Self {
        debug_assert!(rows.end <= self.rows);
        Self {
            at: self.at.wrapping_offset(rows.start as isize * self.row),
            rows: rows.len(),
            ..self
        }
    }

    fn address(&self, i: usize, j: usize) -> *mut T {
        debug_assert!(i < self.rows && j < self.columns);
        let offset = i as isize * self.row + j as isize * self.column;
        self.at.wrapping_offset(offset)
    }

    /// Element (i, j), which must be one.
    ///
    /// # Safety
    /// The matrix's elements are readable, and nobody writes this one meanwhile.
    #[inline(always)]
    pub(super) unsafe fn get(&self, i: usize, j: usize) -> T {
        // SAFETY: the caller's promise.
        unsafe { *self.address(i, j) }
    }

    /// Writes element (i, j), which must be one.
    ///
    /// # Safety
    /// The matrix's elements are writable, and nobody else accesses this one meanwhile.
    #[inline(always)]
    pub(super) unsafe fn set(&self, i: usize, j: usize, x: T) {
        // SAFETY: the caller's promise.
        unsafe { *self.address(i, j) = x }
    }

    /// Row `i` as a slice, if its elements are neighbours.
    ///
    /// # Safety
    /// As [`get`](Self::get), for the row and the life of the slice.
    pub(super) unsafe fn row(&self, i: usize) -> Option<&[T]> {
        if self.column != 1 || self.columns == 0 {
            return None;
        }
        // SAFETY: `columns` neighbours from the row's first element on are the row.
        Some(unsafe { std::slice::from_raw_parts(self.address(i, 0), self.columns) })
    }
}
