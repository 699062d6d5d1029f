//! `C += A B` within and between the buffers of a factorisation, by the product kernels and on planned scratch.
//!
//! `faer` multiplies whatever is larger than 16 x 16 x 16 by `gemm`, which allocates its packing buffers. So `faer` gets
//! blocks of [`BLOCK`] alone, and what is between them is done here: no allocation, at the level of the run.

use retrograde_storage::Packet;

use super::Element;
use crate::Level;
use crate::product::{Operands, Plan, Spec, Strides};

/// Rows and columns of the blocks that `faer` gets: a triangle of 32 solved by halves multiplies 16 x 16.
pub(super) const BLOCK: usize = 32;

/// Right sides that are solved at a time: with halves of a [`BLOCK`] the most that is multiplied without allocation.
pub(super) const SIDES: usize = 16;

/// Extents `[m, n, k]` of a product, and strides of A, B and C.
#[derive(Clone, Copy, Debug)]
pub(super) struct Update {
    pub(super) extents: [usize; 3],
    pub(super) strides: [Strides; 3],
}

impl Update {
    fn plan<T: Element>(&self, level: Level) -> Plan<T> {
        let ([m, n, k], [a, b, c]) = (self.extents, self.strides);
        Plan::new(
            level,
            &Spec {
                m,
                n,
                k,
                a,
                b,
                c,
                max_blocks: 1,
            },
        )
    }

    /// Packets of scratch that [`run`](Self::run) takes.
    pub(super) fn scratch_packets<T: Element>(&self, level: Level) -> usize {
        self.plan::<T>(level).scratch_packets()
    }

    /// `C += A B`.
    ///
    /// # Safety
    /// Of the given extents and strides: A and B are readable and written by nobody, C's elements are initialised, apart
    /// from each other and from A and B, and accessed by nobody else meanwhile.
    pub(super) unsafe fn run<T: Element>(
        &self,
        level: Level,
        operands: Operands<T>,
        scratch: &mut [Packet],
    ) {
        let plan = self.plan::<T>(level);
        debug_assert_eq!(plan.parts(), 0, "one block shares nothing");
        for block in 0..plan.blocks() {
            // SAFETY: the caller's promise; one block shares no packed buffer, so that is not read.
            unsafe {
                plan.run_block(block, &operands, std::ptr::null(), scratch, true, |_, _| {});
            }
        }
    }
}

/// Where the blocks of `n` start.
pub(super) fn blocks(n: usize) -> impl DoubleEndedIterator<Item = usize> {
    (0..n).step_by(BLOCK)
}
