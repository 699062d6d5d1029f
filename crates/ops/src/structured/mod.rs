//! Whole-buffer kernels that are neither elementwise, reductions of tiles, nor products.
//!
//! Every kernel is a plain struct of [`RawView`]s and attributes with the same four questions:
//!
//! - `check()`: do dtypes and shapes fit? Nothing else may be asked of a kernel that fails it.
//! - `blocks()`: into how many pieces is the work divided? Fixed by shapes alone.
//! - `scratch()`: packets of scratch memory one running block needs; kernels without that method need none.
//! - `unsafe run_block(level, .., block)`: does one piece. Different threads may run different blocks at once, in any
//!   order; every block must run once. An element's bits depend neither on the blocks nor on the threads.
//!
//! The contract of `run_block`, the same for all and called *the block contract*: `check()` passed; every element a view
//! addresses lies in one live, aligned, initialised allocation; no element of a destination is addressed twice by its
//! view, or by a source; while any block of the kernel runs nobody else writes the sources or touches the destinations.

mod cast;
mod check_index;
mod copy;
mod division;
mod fault;
mod fill;
mod gather;
mod halve;
mod index;
mod inspect;
mod lines;
mod loops;
pub(crate) mod memory;
mod pool;
mod random;
mod scatter;
pub mod sizes;
mod sort;

pub use cast::Cast;
pub use check_index::CheckIndex;
pub use copy::Copy;
pub use division::{Divide, Division};
pub use fault::{Cause, ErrorCell, Fault};
pub use fill::Fill;
pub use gather::Gather;
pub use inspect::{Contents, Inspect};
pub use lines::{Lines, Walk};
pub use memory::RawView;
pub use pool::{Pool, Pooling};
pub use random::{Counter, Draw, Permutation, Random, philox};
pub use scatter::{Combine, Scatter};
pub use sort::{Search, Sort};

use std::fmt;

/// Operands a kernel cannot run on: what [`check`](Copy::check) found. The planner's mistake, never the user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The kernel.
    pub kernel: &'static str,
    /// What does not hold.
    pub expected: &'static str,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}", self.kernel, self.expected)
    }
}

impl std::error::Error for Mismatch {}

/// `Ok` if `holds`.
pub(crate) fn ensure(
    holds: bool,
    kernel: &'static str,
    expected: &'static str,
) -> Result<(), Mismatch> {
    if holds {
        Ok(())
    } else {
        Err(Mismatch { kernel, expected })
    }
}

/// The part of `0..len` that block `block` of blocks of `size` does.
fn part(len: usize, size: usize, block: usize) -> std::ops::Range<usize> {
    (block * size).min(len)..((block + 1) * size).min(len)
}
