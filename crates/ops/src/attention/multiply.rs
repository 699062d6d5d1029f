//! Products of a tile, by the loops and micro-kernels of [`product`](crate::product).

use retrograde_storage::Packet;

use super::matrix::Matrix;
use crate::Level;
use crate::product::{Float, Operands, Plan, Spec, Strides};

/// A planned product of matrices of these extents and strides, run as one block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Multiply<T: Float> {
    plan: Plan<T>,
}

impl<T: Float> Multiply<T> {
    /// `C (m x n) = A (m x k) B (k x n)` with these strides of A, B and C.
    pub(super) fn new(level: Level, [m, n, k]: [usize; 3], [a, b, c]: [Strides; 3]) -> Self {
        let spec = Spec {
            m,
            n,
            k,
            a,
            b,
            c,
            max_blocks: 1,
        };
        Self {
            plan: Plan::new(level, &spec),
        }
    }

    pub(super) fn scratch_packets(&self) -> usize {
        self.plan.scratch_packets()
    }

    /// `C = A B`, or `C += A B`.
    ///
    /// # Safety
    /// The matrices have the plan's extents and strides; A and B are readable and written by nobody, C's elements are
    /// writable (initialised, to accumulate), apart from A and B, and accessed by nobody else meanwhile.
    pub(super) unsafe fn run(
        &self,
        c: &Matrix<T>,
        a: &Matrix<T>,
        b: &Matrix<T>,
        scratch: &mut [Packet],
        accumulate: bool,
    ) {
        let operands = Operands {
            a: a.at,
            b: b.at,
            c: c.at,
        };
        for block in 0..self.plan.blocks() {
            debug_assert_eq!(self.plan.parts(), 0, "one block shares nothing");
            // SAFETY: the caller's promise. Of at most one block none shares what is packed, so that is not read.
            unsafe {
                self.plan.run_block(
                    block,
                    &operands,
                    std::ptr::null(),
                    scratch,
                    accumulate,
                    |_, _| {},
                );
            }
        }
    }
}
