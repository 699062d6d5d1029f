//! Random numbers from counters: an element's value depends on the key, the op's ordinal, the step and the element's
//! position, never on blocks, threads or levels.

mod normal;
mod permutation;
mod philox;

pub use permutation::Permutation;
pub use philox::philox;

use bytemuck::Pod;
use fearless_simd::prelude::*;
use fearless_simd::{f32x16, f64x8, u32x16, u64x8};
use retrograde_storage::DType;

use super::memory::{Dest, RawView};
use super::sizes::RANDOM_BLOCK;
use super::{Mismatch, ensure, part};
use crate::{Level, at_level};
use normal::normals;

/// Which random numbers: those of one op of one stream in one step.
///
/// The 128-bit counter of [`philox`] is `(group, step low, ordinal, step high)`: 2^32 groups of four words, so that a
/// tensor has at most 2^34 words, checked by the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Counter {
    /// The stream's seed.
    pub key: u64,
    /// The op's number in the stream.
    pub ordinal: u32,
    /// How often the op has drawn before: a replay draws anew when it counts up and repeats when it does not.
    pub step: u64,
}

impl Counter {
    fn key(&self) -> [u32; 2] {
        [self.key as u32, (self.key >> 32) as u32]
    }

    fn counter(&self, group: u32) -> [u32; 4] {
        [
            group,
            self.step as u32,
            self.ordinal,
            (self.step >> 32) as u32,
        ]
    }

    /// The words of one counter.
    fn words(&self, group: u32) -> [u32; 4] {
        philox(self.counter(group), self.key())
    }

    /// The words of the 16 counters from `16 * group`, the upper halves arbitrary.
    #[inline(always)]
    fn raw_group(&self, group: u32) -> [[u64; LANES]; 4] {
        let mut words = self.counter(0).map(|word| [u64::from(word); LANES]);
        for (lane, word) in words[0].iter_mut().enumerate() {
            *word = u64::from(group) * LANES as u64 + lane as u64;
        }
        philox::rounds(words, self.key())
    }

    /// The words of the 16 counters from `16 * group`: word `w` of counter `16 group + lane` stands at `16 w + lane`. So
    /// the lanes of a vector are neighbours in memory without a transpose.
    #[inline(always)]
    fn group(&self, group: u32) -> [u32; WORDS] {
        let words = self.raw_group(group);
        let mut out = [0; WORDS];
        for w in 0..4 {
            for lane in 0..LANES {
                out[w * LANES + lane] = words[w][lane] as u32;
            }
        }
        out
    }

    /// [`group`](Self::group) as 64-bit words: the first 16 from words 0 and 1 of each counter, the others from 2 and 3.
    #[inline(always)]
    fn wide_group(&self, group: u32) -> [u64; WORDS / 2] {
        let words = self.raw_group(group);
        let mut out = [0; WORDS / 2];
        for half in 0..2 {
            for lane in 0..LANES {
                let [low, high] = [words[2 * half][lane], words[2 * half + 1][lane]];
                out[half * LANES + lane] = (low & 0xffff_ffff) | high << 32;
            }
        }
        out
    }
}

/// `words.map(f)` as the loop that compilers make vectors of (`map` on arrays of this size, they do not).
#[inline(always)]
fn each<A: Pod, B: Pod, const N: usize>(words: [A; N], f: impl Fn(A) -> B) -> [B; N] {
    let mut out = [B::zeroed(); N];
    for i in 0..N {
        out[i] = f(words[i]);
    }
    out
}

/// Counters computed at once.
const LANES: usize = 16;
/// The words they give.
const WORDS: usize = 4 * LANES;

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Draw {
    /// 32 random bits, into `u32`.
    Bits,
    /// Uniform in `[0, 1)`: a multiple of 2^-24 (`f32`) or 2^-53 (`f64`).
    Uniform,
    /// Standard normal, into `f32` (of 32 random bits: at most 6.3 from 0) or `f64` (of 53: at most 8.3).
    Normal,
    /// True with probability `p`, to within 2^-33; never below 0, always from 1. Into `bool`.
    Bernoulli {
        /// The probability; NaN is never.
        p: f64,
    },
    /// An integer `low <= x < high`, into `u32` or `i64`. The probability of each of the `n` values is off by at most
    /// 2^-64 for `n <= 2^32` (64 random bits times `n`, shifted), 2^-128 beyond (128 random bits).
    Integer {
        /// The smallest value.
        low: i64,
        /// One more than the largest.
        high: i64,
    },
}

/// Fills a dense tensor with random numbers.
#[derive(Clone, Copy, Debug)]
pub struct Random {
    /// Which numbers.
    pub counter: Counter,
    /// Of which distribution.
    pub draw: Draw,
    /// What is written: dense, of a dtype that `draw` names.
    pub dst: RawView,
}

impl Random {
    /// The dtype is the distribution's, the destination dense and not too long, the range of integers not empty.
    pub fn check(&self) -> Result<(), Mismatch> {
        let dtype = self.dst.dtype;
        ensure(
            match self.draw {
                Draw::Bits => dtype == DType::U32,
                Draw::Uniform | Draw::Normal => dtype.is_float(),
                Draw::Bernoulli { .. } => dtype == DType::Bool,
                Draw::Integer { .. } => matches!(dtype, DType::U32 | DType::I64),
            },
            "random",
            "a dtype of the distribution",
        )?;
        if let Draw::Integer { low, high } = self.draw {
            ensure(low < high, "random", "a range that is not empty")?;
            ensure(
                dtype == DType::I64 || (low >= 0 && high <= 1 << 32),
                "random",
                "a range inside u32",
            )?;
        }
        ensure(self.dst.view().is_dense(), "random", "a dense destination")?;
        ensure(
            self.dst.shape.len() as u64 <= 1 << 32,
            "random",
            "at most 2^32 elements",
        )
    }

    /// Pieces the work divides into.
    pub fn blocks(&self) -> usize {
        self.dst.shape.len().div_ceil(RANDOM_BLOCK)
    }

    /// Does one piece.
    ///
    /// # Safety
    /// [The block contract](super::super).
    pub unsafe fn run_block(&self, level: Level, block: usize) {
        // SAFETY: the block contract covers what `dest` asks for; blocks write disjoint ranges.
        unsafe {
            match (self.draw, self.dst.dtype) {
                (Draw::Bits, _) => self.bits(level, &mut self.dst.dest(), block),
                (Draw::Uniform, DType::F32) => self.uniform_f32(level, &mut self.dst.dest(), block),
                (Draw::Uniform, _) => self.uniform_f64(level, &mut self.dst.dest(), block),
                (Draw::Normal, DType::F32) => self.normal_f32(level, &mut self.dst.dest(), block),
                (Draw::Normal, _) => self.normal_f64(level, &mut self.dst.dest(), block),
                (Draw::Bernoulli { p }, _) => {
                    self.bernoulli(level, p, &mut self.dst.dest(), block);
                }
                (Draw::Integer { low, high }, DType::U32) => {
                    self.integers(level, low, high, &mut self.dst.dest::<u32>(), block, |x| {
                        x as u32
                    });
                }
                (Draw::Integer { low, high }, _) => {
                    self.integers(level, low, high, &mut self.dst.dest::<i64>(), block, |x| x);
                }
            }
        }
    }

    /// Writes a block's elements, `N` at a time: `make(g)` gives elements `g * N..`.
    #[inline(always)]
    fn groups<T: Pod, const N: usize>(
        &self,
        dst: &mut Dest<T>,
        block: usize,
        make: impl Fn(u32) -> [T; N],
    ) {
        // A multiple of every `N`, so that a block starts with a group.
        const { assert!(RANDOM_BLOCK.is_multiple_of(N)) }
        let elements = part(self.dst.shape.len(), RANDOM_BLOCK, block);
        let first = elements.start / N;
        let row = dst.row_mut(self.dst.offset + elements.start as isize, elements.len());
        for (i, out) in row.chunks_mut(N).enumerate() {
            let values = make((first + i) as u32);
            if let Ok(out) = <&mut [T; N]>::try_from(&mut *out) {
                *out = values;
            } else {
                out.copy_from_slice(&values[..out.len()]);
            }
        }
    }

    fn bits(&self, level: Level, dst: &mut Dest<u32>, block: usize) {
        at_level!(level, simd => simd.vectorize(
            #[inline(always)]
            || self.groups(dst, block, #[inline(always)] |g| self.counter.group(g))
        ));
    }

    fn uniform_f32(&self, level: Level, dst: &mut Dest<f32>, block: usize) {
        at_level!(level, simd => simd.vectorize(
            #[inline(always)]
            || self.groups(dst, block, #[inline(always)] |g| {
                // 24 bits fit a signed integer, which every level converts.
                each(self.counter.group(g), #[inline(always)] |w| (w >> 8) as i32 as f32 * (1.0 / 16777216.0))
            })
        ));
    }

    fn uniform_f64(&self, level: Level, dst: &mut Dest<f64>, block: usize) {
        at_level!(level, simd => simd.vectorize(
            #[inline(always)]
            || self.groups(dst, block, #[inline(always)] |g| {
                each(self.counter.wide_group(g), #[inline(always)] |w| (w >> 11) as f64 * (1.0 / 9007199254740992.0))
            })
        ));
    }

    fn normal_f32(&self, level: Level, dst: &mut Dest<f32>, block: usize) {
        at_level!(level, simd => simd.vectorize(
            #[inline(always)]
            || self.groups(dst, block, #[inline(always)] |g| {
                let words = self.counter.group(g);
                let mut out = [0.0; WORDS];
                for (out, words) in out.chunks_exact_mut(16).zip(words.chunks_exact(16)) {
                    let x: f32x16<_> = normals(u32x16::from_slice(simd, words));
                    x.store_slice(out);
                }
                out
            })
        ));
    }

    fn normal_f64(&self, level: Level, dst: &mut Dest<f64>, block: usize) {
        at_level!(level, simd => simd.vectorize(
            #[inline(always)]
            || self.groups(dst, block, #[inline(always)] |g| {
                let words = self.counter.wide_group(g);
                let mut out = [0.0; WORDS / 2];
                for (out, words) in out.chunks_exact_mut(8).zip(words.chunks_exact(8)) {
                    let x: f64x8<_> = normals(u64x8::from_slice(simd, words));
                    x.store_slice(out);
                }
                out
            })
        ));
    }

    fn bernoulli(&self, level: Level, p: f64, dst: &mut Dest<u8>, block: usize) {
        // True for the words below this, of 2^32. `as` takes NaN and negatives to 0 and saturates.
        let below = ((p * 4294967296.0).round() as u64).min(1 << 32);
        let (any, last) = (u8::from(below > 0), below.saturating_sub(1) as u32);
        at_level!(level, simd => simd.vectorize(
            #[inline(always)]
            || self.groups(dst, block, #[inline(always)] |g| {
                each(self.counter.group(g), #[inline(always)] |w| u8::from(w <= last) & any)
            })
        ));
    }

    fn integers<T: Pod>(
        &self,
        level: Level,
        low: i64,
        high: i64,
        dst: &mut Dest<T>,
        block: usize,
        of: impl Fn(i64) -> T,
    ) {
        let n = high.wrapping_sub(low) as u64;
        if n <= 1 << 32 {
            at_level!(level, simd => simd.vectorize(
                #[inline(always)]
                || self.groups(dst, block, #[inline(always)] |g| {
                    each(self.counter.wide_group(g), #[inline(always)] |w| of(low.wrapping_add(scale(w, n) as i64)))
                })
            ));
        } else {
            // Every element has a counter of its own.
            self.groups(dst, block, |g| {
                let [a, b, c, d] = self.counter.words(g).map(u128::from);
                let (high, low_word) = (d << 32 | c, b << 32 | a);
                let n = u128::from(n);
                let x = (high * n + ((low_word * n) >> 64)) >> 64;
                [of(low.wrapping_add(x as i64))]
            });
        }
    }
}

/// `word * n / 2^64` rounded down, for `1 <= n <= 2^32`: uniform in `0..n` if `word` is uniform.
#[inline(always)]
fn scale(word: u64, n: u64) -> u64 {
    // By halves, and by `n - 1` which has 32 bits: products that vectors have.
    let m = (n - 1) & 0xffff_ffff;
    let (low, high) = (word & 0xffff_ffff, word >> 32);
    (high * m + high + ((low * m + low) >> 32)) >> 32
}

#[cfg(test)]
mod tests {
    use super::scale;

    #[test]
    fn scale_is_the_high_half_of_the_product() {
        for word in [
            0,
            1,
            u64::MAX,
            0x0123_4567_89ab_cdef,
            0xffff_ffff,
            0xffff_ffff << 32,
        ] {
            for n in [1, 2, 3, 1000, 0x8765_4321, 0xffff_ffff, 1 << 32] {
                let exact = (u128::from(word) * u128::from(n)) >> 64;
                assert_eq!(u128::from(scale(word, n)), exact, "{word:#x} * {n}");
            }
        }
    }
}
