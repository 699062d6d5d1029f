//! Checking indices before something else uses them, such as the labels of a cross-entropy.

use retrograde_storage::DType;

use super::index::{Bound, Index, is_index};
use super::loops::Loops;
use super::memory::{RawView, Source};
use super::sizes::MOVE_BLOCK;
use super::{ErrorCell, Mismatch, ensure, part};
use crate::Level;

/// Reports the first element of `index` that is neither `ignored` nor a place on an axis of `bound` elements.
#[derive(Clone, Copy, Debug)]
pub struct CheckIndex<'a> {
    /// `u32`, or `i64` whose negative values count from the end.
    pub index: RawView,
    /// Elements of the axis.
    pub bound: usize,
    /// A value that passes whatever the bound.
    pub ignored: Option<i64>,
    /// Where indices out of range are reported.
    pub errors: &'a ErrorCell,
    /// The instruction's number, for the report.
    pub site: u32,
}

impl CheckIndex<'_> {
    /// The dtype is an index's.
    pub fn check(&self) -> Result<(), Mismatch> {
        ensure(
            is_index(self.index.dtype),
            "check_index",
            "an index of u32 or i64",
        )
    }

    /// Pieces the work divides into.
    pub fn blocks(&self) -> usize {
        self.index.shape.len().div_ceil(MOVE_BLOCK)
    }

    /// Does one piece.
    ///
    /// # Safety
    /// [The block contract](super).
    pub unsafe fn run_block(&self, _level: Level, block: usize) {
        // SAFETY: the block contract covers what `source` asks for.
        unsafe {
            match self.index.dtype {
                DType::U32 => self.run::<u32>(&self.index.source(), block),
                _ => self.run::<i64>(&self.index.source(), block),
            }
        }
    }

    fn run<I: Index>(&self, index: &Source<I>, block: usize) {
        let loops = Loops::new(
            self.index.dims(),
            [&self.index.strides],
            [self.index.offset],
        )
        .merged();
        let bound = Bound {
            index: self.index,
            len: self.bound,
            errors: self.errors,
            site: self.site,
        };
        let (_, [step]) = loops.inner();
        loops.runs(part(loops.len(), MOVE_BLOCK, block), |visit, [at], len| {
            let run = index.run(at, step, len);
            for e in 0..len {
                let i = run.get(e);
                if i.place(self.bound).is_none() && Some(i.value()) != self.ignored {
                    bound.report(i.value(), visit + e);
                }
            }
        });
    }
}
