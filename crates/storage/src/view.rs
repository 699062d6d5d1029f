//! Strided views: how a tensor's elements are found in a buffer without moving them.

use crate::{MAX_RANK, Shape};

/// A shape with an offset and strides, all in elements. Strides may be 0 (expanded) or negative (flipped).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The extents.
    pub shape: Shape,
    /// Where the first element stands.
    pub offset: isize,
    /// Distance between neighbours along each axis; entries past the rank are 0.
    pub strides: [isize; MAX_RANK],
}

impl View {
    /// The whole of a dense row-major buffer.
    pub fn dense(shape: Shape) -> Self {
        Self {
            shape,
            offset: 0,
            strides: shape.strides(),
        }
    }

    /// Whether the elements stand one after another in row-major order (offset apart).
    pub fn is_dense(&self) -> bool {
        let dense = self.shape.strides();
        self.shape.is_empty()
            || self
                .shape
                .dims()
                .iter()
                .enumerate()
                .all(|(axis, &d)| d == 1 || self.strides[axis] == dense[axis])
    }

    /// Axis `i` of the result is axis `order[i]` of this view; `order` must be a permutation of the axes.
    pub fn permute(&self, order: &[usize]) -> Self {
        let mut dims = [1; MAX_RANK];
        let mut strides = [0; MAX_RANK];
        for (to, &from) in order.iter().enumerate() {
            dims[to] = self.shape.dims()[from];
            strides[to] = self.strides[from];
        }
        // The same extents in another order have the same product.
        let shape = Shape::known(dims, order.len());
        Self {
            shape,
            offset: self.offset,
            strides,
        }
    }

    /// Elements `start, start + step, ...` (`len` of them) along `axis`. `step` may be negative. All of them must
    /// be in bounds.
    pub fn slice(&self, axis: usize, start: usize, step: isize, len: usize) -> Self {
        let mut dims = [1; MAX_RANK];
        dims[..self.shape.rank()].copy_from_slice(self.shape.dims());
        dims[axis] = len;
        let mut view = *self;
        // No larger than the source's.
        view.shape = Shape::known(dims, self.shape.rank());
        // Without elements there is no first one, without a second one no distance: a start or a step out of bounds
        // must not overflow then.
        if len > 0 {
            view.offset += start as isize * self.strides[axis];
        }
        if len > 1 {
            view.strides[axis] *= step;
        }
        view
    }

    /// Broadcast to `shape`, which must be reachable by [`Shape::broadcast`]: new and size-1 axes get stride 0.
    pub fn expand(&self, shape: Shape) -> Self {
        let lead = shape.rank() - self.shape.rank();
        let mut strides = [0; MAX_RANK];
        for axis in 0..self.shape.rank() {
            if self.shape.dims()[axis] == shape.dims()[lead + axis] {
                strides[lead + axis] = self.strides[axis];
            }
        }
        Self {
            shape,
            offset: self.offset,
            strides,
        }
    }

    /// The same elements in row-major order under another shape of as many elements, or `None` where no strides say it
    /// or the number of elements differs.
    pub fn reshape(&self, shape: Shape) -> Option<Self> {
        if shape.len() != self.shape.len() {
            return None;
        }
        if shape.is_empty() {
            return Some(Self {
                shape,
                offset: self.offset,
                strides: shape.strides(),
            });
        }
        // Walk both shapes from the right in runs of equal product; each run of old axes must be uniform in stride.
        let (old, new) = (self.shape.dims(), shape.dims());
        let mut strides = [0; MAX_RANK];
        let (mut i, mut j) = (old.len(), new.len());
        while i > 0 || j > 0 {
            let (i_end, j_end) = (i, j);
            let (mut a, mut b) = (1, 1);
            if i > 0 {
                i -= 1;
                a = old[i];
            }
            if j > 0 {
                j -= 1;
                b = new[j];
            }
            while a != b {
                if a < b {
                    if i == 0 {
                        return None;
                    }
                    i -= 1;
                    a *= old[i];
                } else {
                    if j == 0 {
                        return None;
                    }
                    j -= 1;
                    b *= new[j];
                }
            }
            // Old axes i..i_end merge into one with the innermost stride, ignoring size-1 axes.
            let mut step = None;
            let mut extent = 1isize;
            for axis in (i..i_end).rev() {
                if old[axis] == 1 {
                    continue;
                }
                match step {
                    None => step = Some(self.strides[axis]),
                    Some(s) if self.strides[axis] == s * extent => {}
                    Some(_) => return None,
                }
                extent *= old[axis] as isize;
            }
            let mut stride = step.unwrap_or(0);
            for axis in (j..j_end).rev() {
                strides[axis] = stride;
                stride *= new[axis] as isize;
            }
        }
        Some(Self {
            shape,
            offset: self.offset,
            strides,
        })
    }
}
