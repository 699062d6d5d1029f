//! Sorting and searching.

use retrograde_ops::structured as kernels;
use retrograde_storage::Packet;

use super::{Block, Operand, Work};
use crate::run::bind::Bindings;

/// A sort or a search with operands that have no addresses yet.
#[derive(Debug)]
pub(super) enum Ordering {
    Sort {
        src: Operand,
        dst: Operand,
        axis: usize,
        descending: bool,
    },
    Search {
        sorted: Operand,
        values: Operand,
        dst: Operand,
        right: bool,
    },
}

/// With addresses.
enum Bound {
    Sort(kernels::Sort),
    Search(kernels::Search),
}

/// Nanoseconds of a comparison: measured 1 to 2 in long lines.
const COMPARISON_NS: f64 = 1.5;

impl Ordering {
    fn bind(&self, bindings: &Bindings<'_>) -> Bound {
        let raw = |x: &Operand| x.raw(bindings);
        match *self {
            Self::Sort {
                ref src,
                ref dst,
                axis,
                descending,
            } => Bound::Sort(kernels::Sort {
                src: raw(src),
                dst: raw(dst),
                axis,
                descending,
            }),
            Self::Search {
                ref sorted,
                ref values,
                ref dst,
                right,
            } => Bound::Search(kernels::Search {
                sorted: raw(sorted),
                values: raw(values),
                dst: raw(dst),
                right,
            }),
        }
    }

    fn nowhere(&self) -> Bound {
        self.bind(&Bindings::nowhere())
    }
}

impl Work for Ordering {
    fn check(&self) -> Result<(), kernels::Mismatch> {
        match self.nowhere() {
            Bound::Sort(kernel) => kernel.check(),
            Bound::Search(kernel) => kernel.check(),
        }
    }

    fn phases(&self) -> Vec<usize> {
        vec![match self.nowhere() {
            Bound::Sort(kernel) => kernel.blocks(),
            Bound::Search(kernel) => kernel.blocks(),
        }]
    }

    fn cost_ns(&self) -> f64 {
        let (elements, line) = match self {
            Self::Sort { dst, axis, .. } => (dst.view.shape.len(), dst.view.shape.dims()[*axis]),
            Self::Search { sorted, dst, .. } => (
                dst.view.shape.len(),
                sorted.view.shape.dims().last().copied().unwrap_or(0),
            ),
        };
        elements as f64 * ((line + 1) as f64).log2() * COMPARISON_NS
    }

    fn scratch_packets(&self) -> usize {
        match self.nowhere() {
            Bound::Sort(kernel) => kernel.scratch_packets(),
            Bound::Search(_) => 0,
        }
    }

    unsafe fn run(&self, at: Block<'_>, scratch: &mut [Packet]) {
        // SAFETY: the caller's contract is the kernel's; binding changed addresses alone, so what `check` found for the
        // operands holds for what is bound to them; scratch is what was asked for.
        unsafe {
            match self.bind(at.bindings) {
                Bound::Sort(kernel) => kernel.run_block(at.block, scratch),
                Bound::Search(kernel) => kernel.run_block(at.block),
            }
        }
    }
}
