//! Shapes: rank 0 to 8, inline, any dimension may be zero.

use std::fmt;

/// The largest rank.
pub const MAX_RANK: usize = 8;

/// The extents of a tensor, outermost first. Rank 0 is a scalar with one element.
///
/// Invariant: the product of the non-zero extents fits `isize`, so no index arithmetic on a shape overflows.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    dims: [usize; MAX_RANK],
    rank: u8,
}

/// Why extents do not make a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// More than [`MAX_RANK`] dimensions.
    #[error("rank {0} is more than the largest supported rank {MAX_RANK}")]
    Rank(usize),
    /// More elements than memory can address.
    #[error("the number of elements overflows the address space")]
    Overflow,
}

impl Shape {
    /// Rank 0, one element.
    pub const SCALAR: Self = Self {
        dims: [1; MAX_RANK],
        rank: 0,
    };

    /// The shape with these extents.
    pub fn new(dims: &[usize]) -> Result<Self, ShapeError> {
        if dims.len() > MAX_RANK {
            return Err(ShapeError::Rank(dims.len()));
        }
        // Eight bytes an element at most; zero-size dimensions do not excuse the others, for strides multiply them.
        dims.iter()
            .filter(|&&d| d != 0)
            .try_fold(8usize, |n, &d| {
                n.checked_mul(d).filter(|&n| n <= isize::MAX as usize)
            })
            .ok_or(ShapeError::Overflow)?;
        let mut shape = Self {
            dims: [1; MAX_RANK],
            rank: dims.len() as u8,
        };
        shape.dims[..dims.len()].copy_from_slice(dims);
        Ok(shape)
    }

    /// The extents, outermost first.
    pub fn dims(&self) -> &[usize] {
        &self.dims[..self.rank as usize]
    }

    /// The number of dimensions.
    pub fn rank(&self) -> usize {
        self.rank as usize
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.dims().iter().product()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Strides, in elements, of a dense row-major tensor of this shape.
    pub fn strides(&self) -> [isize; MAX_RANK] {
        let mut strides = [0; MAX_RANK];
        let mut step = 1;
        for axis in (0..self.rank()).rev() {
            strides[axis] = step as isize;
            step *= self.dims[axis].max(1);
        }
        strides
    }

    /// The shape both broadcast to as in NumPy: aligned at the last axis, extents equal or one of them 1.
    pub fn broadcast(&self, other: &Self) -> Option<Self> {
        let rank = self.rank().max(other.rank());
        let mut dims = [1; MAX_RANK];
        for back in 1..=rank {
            let at = |s: &Self| {
                if back <= s.rank() {
                    s.dims[s.rank() - back]
                } else {
                    1
                }
            };
            dims[rank - back] = match (at(self), at(other)) {
                (a, b) if a == b => a,
                (1, b) => b,
                (a, 1) => a,
                _ => return None,
            };
        }
        Self::new(&dims[..rank]).ok()
    }
}

impl fmt::Display for Shape {
    /// As Rust writes an array: `[64, 10]`, `[]` for a scalar.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.dims()).finish()
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
