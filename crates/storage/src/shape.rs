//! Shapes: rank 0 to 8, inline, any dimension may be zero.

use std::fmt;
use std::hash::{Hash, Hasher};

/// The largest rank.
pub const MAX_RANK: usize = 8;

/// The extents of a tensor, outermost first. Rank 0 is a scalar with one element.
///
/// Invariant: the product of the non-zero extents fits `isize`, so no index arithmetic on a shape overflows.
#[derive(Clone, Copy, Eq)]
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

    /// Rank 1, no element.
    pub const EMPTY: Self = {
        let mut dims = [1; MAX_RANK];
        dims[0] = 0;
        Self { dims, rank: 1 }
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
                n.checked_mul(d).filter(|&n| isize::try_from(n).is_ok())
            })
            .ok_or(ShapeError::Overflow)?;
        let mut shape = Self {
            dims: [1; MAX_RANK],
            rank: dims.len() as u8,
        };
        shape.dims[..dims.len()].copy_from_slice(dims);
        Ok(shape)
    }

    /// Extents known to make a shape; those past `rank` are 1.
    pub(crate) fn known(dims: [usize; MAX_RANK], rank: usize) -> Self {
        let shape = Self {
            dims,
            rank: rank as u8,
        };
        debug_assert_eq!(Self::new(shape.dims()), Ok(shape));
        shape
    }

    /// Rank 1, `len` elements that exist in memory, so that they cannot be too many.
    pub(crate) fn line(len: usize) -> Self {
        let mut shape = Self::EMPTY;
        shape.dims[0] = len;
        shape
    }

    /// The innermost `rank` extents.
    pub(crate) fn tail(&self, rank: usize) -> Self {
        let mut shape = Self::SCALAR;
        let skip = self.rank().saturating_sub(rank);
        let tail = &self.dims()[skip..];
        shape.dims[..tail.len()].copy_from_slice(tail);
        shape.rank = tail.len() as u8;
        shape
    }

    /// The row-major position of the element at `index`, `None` out of bounds or at another rank.
    pub fn position(&self, index: &[usize]) -> Option<usize> {
        if index.len() != self.rank() {
            return None;
        }
        let mut position = 0;
        for (&d, &i) in self.dims().iter().zip(index) {
            if i >= d {
                return None;
            }
            position = position * d + i;
        }
        Some(position)
    }

    /// The index of the element at a row-major `position`; entries past the rank are 0.
    pub fn index_of(&self, mut position: usize) -> [usize; MAX_RANK] {
        let mut index = [0; MAX_RANK];
        for axis in (0..self.rank()).rev() {
            let d = self.dims[axis].max(1);
            index[axis] = position % d;
            position /= d;
        }
        index
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

    /// The shape both broadcast to as in `NumPy`: aligned at the last axis, extents equal or one of them 1.
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

/// By hand because the derived one is a call, and every input of every run is compared: a few instructions without a
/// branch instead.
impl PartialEq for Shape {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        let pairs = self.dims.iter().zip(&other.dims);
        pairs.fold(usize::from(self.rank ^ other.rank), |d, (a, b)| d | (a ^ b)) == 0
    }
}

impl Hash for Shape {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.dims().hash(state);
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
