//! One value everywhere.

use bytemuck::Pod;

use super::loops::Loops;
use super::memory::{Dest, RawView};
use super::part;
use super::sizes::MOVE_BLOCK;
use crate::Level;

/// `dst[i] = value` for every index `i`.
#[derive(Clone, Copy, Debug)]
pub struct Fill {
    /// What is written; every dtype and shape will do.
    pub dst: RawView,
    /// The value's bits, in the lowest bytes.
    pub bits: u64,
}

impl Fill {
    /// Pieces the work divides into.
    pub fn blocks(&self) -> usize {
        self.dst.shape.len().div_ceil(MOVE_BLOCK)
    }

    /// Does one piece.
    ///
    /// # Safety
    /// [The block contract](super).
    pub unsafe fn run_block(&self, _level: Level, block: usize) {
        // SAFETY: the block contract covers what `dest` asks for; blocks write disjoint visits.
        unsafe {
            match self.dst.dtype.size() {
                1 => self.run(&mut self.dst.dest(), self.bits as u8, block),
                4 => self.run(&mut self.dst.dest(), self.bits as u32, block),
                _ => self.run(&mut self.dst.dest(), self.bits, block),
            }
        }
    }

    fn run<T: Pod>(&self, dst: &mut Dest<T>, value: T, block: usize) {
        let loops = Loops::new(self.dst.dims(), [&self.dst.strides], [self.dst.offset])
            .merged()
            .ordered_by_first()
            .merged();
        let (_, [step]) = loops.inner();
        loops.runs(part(loops.len(), MOVE_BLOCK, block), |_, [d], len| {
            if step == 1 {
                dst.row_mut(d, len).fill(value);
            } else {
                let mut run = dst.run_mut(d, step, len);
                for i in 0..len {
                    run.set(i, value);
                }
            }
        });
    }
}
