//! Nested loops over several operands of one shape, merged where strides allow.

use std::ops::Range;

use retrograde_storage::MAX_RANK;

/// A nest of loops over `N` operands: along axis `a` operand `n` advances by `steps[a][n]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loops<const N: usize> {
    rank: usize,
    dims: [usize; MAX_RANK],
    steps: [[isize; N]; MAX_RANK],
    origin: [isize; N],
}

impl<const N: usize> Loops<N> {
    /// The loops over `dims`, outermost first, operand `n` starting at `origin[n]`.
    pub(super) fn new(dims: &[usize], strides: [&[isize]; N], origin: [isize; N]) -> Self {
        let mut loops = Self {
            rank: dims.len(),
            dims: [1; MAX_RANK],
            steps: [[0; N]; MAX_RANK],
            origin,
        };
        loops.dims[..dims.len()].copy_from_slice(dims);
        for axis in 0..dims.len() {
            loops.steps[axis] = strides.map(|s| s[axis]);
        }
        loops
    }

    /// Drops axes of one element and joins neighbours that every operand walks as one. Keeps the order of visits.
    pub(super) fn merged(mut self) -> Self {
        let mut kept = 0;
        for axis in 0..self.rank {
            let (dim, step) = (self.dims[axis], self.steps[axis]);
            if dim == 1 {
                continue;
            }
            let joins =
                kept > 0 && (0..N).all(|n| self.steps[kept - 1][n] == step[n] * dim as isize);
            if joins {
                self.dims[kept - 1] *= dim;
                self.steps[kept - 1] = step;
            } else {
                self.dims[kept] = dim;
                self.steps[kept] = step;
                kept += 1;
            }
        }
        self.rank = kept;
        self.dims[kept..].fill(1);
        self.steps[kept..].fill([0; N]);
        self
    }

    /// Walks operand 0 forwards, its longest strides outermost: for kernels whose order of visits is free.
    pub(super) fn ordered_by_first(mut self) -> Self {
        for axis in 0..self.rank {
            if self.steps[axis][0] < 0 && self.dims[axis] > 0 {
                let last = self.dims[axis] as isize - 1;
                shift(&mut self.origin, self.steps[axis], last);
                self.steps[axis] = self.steps[axis].map(|s| -s);
            }
        }
        for end in 1..self.rank {
            for axis in (1..=end).rev() {
                if self.steps[axis - 1][0] < self.steps[axis][0] {
                    self.dims.swap(axis - 1, axis);
                    self.steps.swap(axis - 1, axis);
                }
            }
        }
        self
    }

    /// Number of visits.
    pub(super) fn len(&self) -> usize {
        self.dims[..self.rank].iter().product()
    }

    /// Number of axes.
    pub(super) fn rank(&self) -> usize {
        self.rank
    }

    /// Extent and steps of axis `axis`.
    pub(super) fn axis(&self, axis: usize) -> (usize, [isize; N]) {
        (self.dims[axis], self.steps[axis])
    }

    /// Extent and steps of the innermost axis (1 and zeros at rank 0).
    pub(super) fn inner(&self) -> (usize, [isize; N]) {
        self.axis(self.rank.saturating_sub(1))
    }

    /// Removes the axis and returns its extent and steps.
    pub(super) fn take_axis(&mut self, axis: usize) -> (usize, [isize; N]) {
        let taken = self.axis(axis);
        self.dims.copy_within(axis + 1.., axis);
        self.steps.copy_within(axis + 1.., axis);
        self.dims[MAX_RANK - 1] = 1;
        self.steps[MAX_RANK - 1] = [0; N];
        self.rank -= 1;
        taken
    }

    /// Where the operands stand at visit `at`.
    pub(super) fn at(&self, mut at: usize) -> [isize; N] {
        let mut place = self.origin;
        for axis in (0..self.rank).rev() {
            let i = (at % self.dims[axis]) as isize;
            at /= self.dims[axis];
            shift(&mut place, self.steps[axis], i);
        }
        place
    }

    /// Calls `f(first visit, places, length)` for every run along the innermost axis inside the visits `range`.
    #[inline(always)]
    pub(super) fn runs(&self, range: Range<usize>, mut f: impl FnMut(usize, [isize; N], usize)) {
        if range.is_empty() {
            return;
        }
        let (width, step) = self.inner();
        let outer = self.rank.saturating_sub(1);
        let mut visit = range.start;
        let mut column = visit % width;
        let mut index = [0; MAX_RANK];
        let mut row = visit / width;
        for axis in (0..outer).rev() {
            index[axis] = row % self.dims[axis];
            row /= self.dims[axis];
        }
        let mut place = self.at(visit - column);
        loop {
            let len = (width - column).min(range.end - visit);
            let mut from = place;
            if column > 0 {
                shift(&mut from, step, column as isize);
            }
            f(visit, from, len);
            visit += len;
            if visit == range.end {
                return;
            }
            column = 0;
            // Odometer: the innermost outer axis that has a next index takes it, those inside it start over.
            for axis in (0..outer).rev() {
                index[axis] += 1;
                if index[axis] < self.dims[axis] {
                    shift(&mut place, self.steps[axis], 1);
                    break;
                }
                index[axis] = 0;
                shift(&mut place, self.steps[axis], 1 - self.dims[axis] as isize);
            }
        }
    }
}

/// `place += by * times`.
#[inline(always)]
pub(super) fn shift<const N: usize>(place: &mut [isize; N], by: [isize; N], times: isize) {
    for (p, b) in place.iter_mut().zip(by) {
        *p += b * times;
    }
}
