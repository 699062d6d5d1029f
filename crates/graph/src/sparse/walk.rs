//! Elements of strided views, in row-major order of the view.

use retrograde_storage::{MAX_RANK, Shape};

/// Extents, and how far apart neighbours along each axis are in some other tensor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    dims: [usize; MAX_RANK],
    strides: [isize; MAX_RANK],
    rank: usize,
    start: isize,
}

impl Walk {
    /// A tensor's own elements.
    pub(super) fn of(shape: Shape) -> Self {
        let mut walk = Self::nowhere(shape);
        walk.strides = shape.strides();
        walk
    }

    /// As many elements, all the same one.
    fn nowhere(shape: Shape) -> Self {
        let mut dims = [1; MAX_RANK];
        dims[..shape.rank()].copy_from_slice(shape.dims());
        Self {
            dims,
            strides: [0; MAX_RANK],
            rank: shape.rank(),
            start: 0,
        }
    }

    /// For each element of `to` the one of `from` that broadcasts to it.
    pub(super) fn broadcast(from: Shape, to: Shape) -> Self {
        let mut walk = Self::nowhere(to);
        let (lead, strides) = (to.rank() - from.rank(), from.strides());
        for axis in 0..from.rank() {
            if from.dims()[axis] != 1 {
                walk.strides[lead + axis] = strides[axis];
            }
        }
        walk
    }

    /// Axis `i` of the walk is axis `order[i]` of `from`.
    pub(super) fn permuted(from: Shape, to: Shape, order: &[usize]) -> Self {
        let mut walk = Self::nowhere(to);
        let strides = from.strides();
        for (stride, &axis) in walk.strides.iter_mut().zip(order) {
            *stride = strides[axis];
        }
        walk
    }

    /// The elements of `from` at `start, start + step, ...` along each axis, as many as `to` has.
    pub(super) fn sliced(from: Shape, to: Shape, start: &[usize], step: &[isize]) -> Self {
        let mut walk = Self::nowhere(to);
        let strides = from.strides();
        for axis in 0..to.rank() {
            walk.strides[axis] = strides[axis] * step[axis];
            walk.start += strides[axis] * start[axis] as isize;
        }
        walk
    }

    /// Those axes alone for which `keep` holds.
    pub(super) fn along(mut self, keep: impl Fn(usize) -> bool) -> Self {
        for axis in 0..self.rank {
            if !keep(axis) {
                self.dims[axis] = 1;
            }
        }
        self
    }

    /// The same from another element on.
    pub(super) fn starting_at(mut self, start: usize) -> Self {
        self.start = start as isize;
        self
    }

    /// The walk's extents.
    pub(super) fn dims(&self) -> &[usize] {
        &self.dims[..self.rank]
    }

    /// The elements' positions.
    pub(super) fn positions(self) -> Positions {
        let empty = self.dims[..self.rank].contains(&0);
        Positions {
            walk: self,
            at: [0; MAX_RANK],
            next: (!empty).then_some(self.start),
        }
    }
}

/// See [`Walk::positions`].
pub(super) struct Positions {
    walk: Walk,
    at: [usize; MAX_RANK],
    next: Option<isize>,
}

impl Iterator for Positions {
    type Item = usize;
    fn next(&mut self) -> Option<usize> {
        let here = self.next?;
        let (mut offset, walk) = (here, &self.walk);
        self.next = None;
        for axis in (0..walk.rank).rev() {
            offset += walk.strides[axis];
            self.at[axis] += 1;
            if self.at[axis] < walk.dims[axis] {
                self.next = Some(offset);
                break;
            }
            offset -= walk.strides[axis] * walk.dims[axis] as isize;
            self.at[axis] = 0;
        }
        Some(here as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_walked_in_their_own_order() {
        let shape = |dims: &[usize]| Shape::new(dims).unwrap();
        let all = |walk: Walk| walk.positions().collect::<Vec<_>>();
        let matrix = shape(&[2, 3]);
        assert_eq!(all(Walk::of(matrix)), [0, 1, 2, 3, 4, 5]);
        assert_eq!(
            all(Walk::permuted(matrix, shape(&[3, 2]), &[1, 0])),
            [0, 3, 1, 4, 2, 5]
        );
        assert_eq!(
            all(Walk::broadcast(shape(&[2, 1]), matrix)),
            [0, 0, 0, 1, 1, 1]
        );
        assert_eq!(
            all(Walk::broadcast(shape(&[3]), matrix)),
            [0, 1, 2, 0, 1, 2]
        );
        let back = Walk::sliced(matrix, shape(&[1, 2]), &[1, 2], &[1, -2]);
        assert_eq!(all(back), [5, 3]);
        assert_eq!(all(Walk::of(matrix).along(|axis| axis == 0)), [0, 3]);
        assert_eq!(
            all(Walk::of(matrix).along(|axis| axis == 1).starting_at(3)),
            [3, 4, 5]
        );
        assert_eq!(all(Walk::of(Shape::SCALAR)), [0]);
        assert_eq!(all(Walk::of(shape(&[2, 0]))), []);
    }
}
