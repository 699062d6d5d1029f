//! Conversion between element types.

use bytemuck::Pod;
use fearless_simd::Simd;
use retrograde_storage::DType;

use super::loops::Loops;
use super::memory::{Dest, RawView, Source};
use super::sizes::MOVE_BLOCK;
use super::{Mismatch, ensure, part};
use crate::{Level, at_level};

/// `dst[i] = src[i] as T`: Rust's `as` (floats to integers truncate and saturate, NaN becomes 0; integers wrap), to bool
/// `x != 0` (so NaN is true), from bool 0 or 1.
#[derive(Clone, Copy, Debug)]
pub struct Cast {
    /// What is read.
    pub src: RawView,
    /// What is written: same shape, another dtype (of the same one, [`Copy`](super::Copy) is the kernel).
    pub dst: RawView,
}

impl Cast {
    /// Shapes agree, dtypes differ.
    pub fn check(&self) -> Result<(), Mismatch> {
        ensure(self.src.dtype != self.dst.dtype, "cast", "two dtypes")?;
        ensure(self.src.shape == self.dst.shape, "cast", "one shape")
    }

    /// Pieces the work divides into.
    pub fn blocks(&self) -> usize {
        self.dst.shape.len().div_ceil(MOVE_BLOCK)
    }

    /// Does one piece.
    ///
    /// # Safety
    /// [The block contract](super).
    pub unsafe fn run_block(&self, level: Level, block: usize) {
        // SAFETY: the block contract covers what `source` asks for.
        unsafe {
            match self.src.dtype {
                DType::F32 => self.run_from::<f32>(level, &self.src.source(), block),
                DType::F64 => self.run_from::<f64>(level, &self.src.source(), block),
                DType::U32 => self.run_from::<u32>(level, &self.src.source(), block),
                DType::I64 => self.run_from::<i64>(level, &self.src.source(), block),
                DType::Bool => self.run_from::<u8>(level, &self.src.source(), block),
            }
        }
    }

    /// # Safety
    /// [The block contract](super).
    unsafe fn run_from<A: Convert>(&self, level: Level, src: &Source<A>, block: usize) {
        // SAFETY: the block contract covers what `dest` asks for; blocks write disjoint visits.
        unsafe {
            match self.dst.dtype {
                DType::F32 => self.run::<A, f32>(level, src, &mut self.dst.dest(), block),
                DType::F64 => self.run::<A, f64>(level, src, &mut self.dst.dest(), block),
                DType::U32 => self.run::<A, u32>(level, src, &mut self.dst.dest(), block),
                DType::I64 => self.run::<A, i64>(level, src, &mut self.dst.dest(), block),
                DType::Bool => self.run::<A, u8>(level, src, &mut self.dst.dest(), block),
            }
        }
    }

    fn run<A: Convert, B: Convert>(
        &self,
        level: Level,
        src: &Source<A>,
        dst: &mut Dest<B>,
        block: usize,
    ) {
        let loops = Loops::new(
            self.dst.dims(),
            [&self.dst.strides, &self.src.strides],
            [self.dst.offset, self.src.offset],
        )
        .merged()
        .ordered_by_first()
        .merged();
        let (_, [to, from]) = loops.inner();
        at_level!(level, simd => simd.vectorize(
            #[inline(always)]
            || loops.runs(part(loops.len(), MOVE_BLOCK, block), |_, [d, s], len| {
                if to == 1 && from == 1 {
                    for (y, &x) in dst.row_mut(d, len).iter_mut().zip(src.row(s, len)) {
                        *y = convert(x);
                    }
                } else {
                    let (src, mut dst) = (src.run(s, from, len), dst.run_mut(d, to, len));
                    for i in 0..len {
                        dst.set(i, convert(src.get(i)));
                    }
                }
            })
        ));
    }
}

/// An element type on its way to another. Every float is exact in `f64` and every integer in `i64`, so going through
/// those gives the very bits of a direct `as`.
trait Convert: Pod {
    const FLOAT: bool;
    fn to_f64(self) -> f64;
    fn to_i64(self) -> i64;
    fn from_f64(x: f64) -> Self;
    fn from_i64(x: i64) -> Self;
}

macro_rules! convert_by_as {
    ($($t:ty, $float:literal);*) => {$(
        impl Convert for $t {
            const FLOAT: bool = $float;
            #[inline(always)]
            fn to_f64(self) -> f64 { self as f64 }
            #[inline(always)]
            fn to_i64(self) -> i64 { self as i64 }
            #[inline(always)]
            fn from_f64(x: f64) -> Self { x as $t }
            #[inline(always)]
            fn from_i64(x: i64) -> Self { x as $t }
        }
    )*};
}
convert_by_as!(f32, true; f64, true; u32, false; i64, false);

/// A bool's byte.
impl Convert for u8 {
    const FLOAT: bool = false;
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn to_i64(self) -> i64 {
        i64::from(self)
    }
    #[inline(always)]
    fn from_f64(x: f64) -> Self {
        u8::from(x != 0.0)
    }
    #[inline(always)]
    fn from_i64(x: i64) -> Self {
        u8::from(x != 0)
    }
}

#[inline(always)]
fn convert<A: Convert, B: Convert>(x: A) -> B {
    if A::FLOAT {
        B::from_f64(x.to_f64())
    } else {
        B::from_i64(x.to_i64())
    }
}
