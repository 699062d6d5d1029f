//! Random permutations.

use bytemuck::Pod;
use retrograde_storage::DType;

use super::{Counter, scale};
use crate::Level;
use crate::structured::memory::{Dest, RawView};
use crate::structured::{Mismatch, ensure};

/// Fills a vector with the numbers `0..n` in random order (Fisher and Yates' shuffle as Durstenfeld's loop): place `i` is
/// swapped with one of `0..=i` chosen by counter `i`. Sequential by nature, hence one block.
#[derive(Clone, Copy, Debug)]
pub struct Permutation {
    /// Which permutation.
    pub counter: Counter,
    /// What is written: rank 1, `u32` or `i64`.
    pub dst: RawView,
}

impl Permutation {
    /// Rank 1, integers that can hold the length.
    pub fn check(&self) -> Result<(), Mismatch> {
        ensure(
            matches!(self.dst.dtype, DType::U32 | DType::I64),
            "permutation",
            "u32 or i64",
        )?;
        ensure(self.dst.shape.rank() == 1, "permutation", "a vector")?;
        ensure(
            self.dst.shape.len() as u64 <= 1 << 32,
            "permutation",
            "at most 2^32 elements",
        )
    }

    /// 1, or 0 if there is nothing to do.
    pub fn blocks(&self) -> usize {
        usize::from(!self.dst.shape.is_empty())
    }

    /// Does it all.
    ///
    /// # Safety
    /// [The block contract](crate::structured).
    pub unsafe fn run_block(&self, _level: Level, _block: usize) {
        // SAFETY: the block contract covers what `dest` asks for.
        unsafe {
            match self.dst.dtype {
                DType::U32 => self.run(&mut self.dst.dest(), |i| i as u32),
                _ => self.run(&mut self.dst.dest(), |i| i as i64),
            }
        }
    }

    fn run<T: Pod>(&self, dst: &mut Dest<T>, of: impl Fn(usize) -> T) {
        let n = self.dst.shape.len();
        let mut row = dst.run_mut(self.dst.offset, self.dst.strides[0], n);
        // Forwards ("inside out"), so that the numbers need not be written first.
        for i in 0..n {
            let [low, high, ..] = self.counter.words(i as u32);
            let j = scale(u64::from(low) | u64::from(high) << 32, i as u64 + 1) as usize;
            if j != i {
                row.set(i, row.get(j));
            }
            row.set(j, of(i));
        }
    }
}
