//! Division of integers, which unlike that of floats may fail.

use bytemuck::Pod;
use retrograde_storage::DType;

use super::index::is_index;
use super::loops::Loops;
use super::memory::{Dest, RawView, Source};
use super::sizes::MOVE_BLOCK;
use super::{Cause, ErrorCell, Fault, Mismatch, ensure, part};
use crate::Level;

/// Which result of a division: `x = quotient * y + remainder`, wrapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Division {
    /// Truncated towards zero; the smallest `i64` by -1 wraps to itself.
    Quotient,
    /// With the sign of the dividend; the smallest `i64` by -1 leaves 0.
    Remainder,
}

impl Division {
    /// As users write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quotient => "div",
            Self::Remainder => "rem",
        }
    }
}

/// `dst = x / y` or `x % y` of integers. A divisor of zero is reported, with its place in `dst`, and gives 0.
#[derive(Clone, Copy, Debug)]
pub struct Divide<'a> {
    /// Quotient or remainder.
    pub what: Division,
    /// The dividends.
    pub x: RawView,
    /// The divisors, of the same type.
    pub y: RawView,
    /// What is written: of the type and shape of both.
    pub dst: RawView,
    /// Where zeros are reported.
    pub errors: &'a ErrorCell,
    /// The instruction's number, for the report.
    pub site: u32,
}

impl Divide<'_> {
    /// Integers of one type and shape.
    pub fn check(&self) -> Result<(), Mismatch> {
        let (x, y, dst) = (&self.x, &self.y, &self.dst);
        ensure(is_index(dst.dtype), "division", "integers")?;
        ensure(
            x.dtype == dst.dtype && y.dtype == dst.dtype,
            "division",
            "one dtype",
        )?;
        ensure(
            x.shape == dst.shape && y.shape == dst.shape,
            "division",
            "one shape",
        )
    }

    /// Pieces the work divides into.
    pub fn blocks(&self) -> usize {
        self.dst.shape.len().div_ceil(MOVE_BLOCK)
    }

    /// Does one piece.
    ///
    /// # Safety
    /// [The block contract](super).
    pub unsafe fn run_block(&self, _level: Level, block: usize) {
        // SAFETY: the block contract covers what `source` and `dest` ask for; blocks write disjoint visits.
        unsafe {
            match self.dst.dtype {
                DType::U32 => self.run::<u32>(
                    &self.x.source(),
                    &self.y.source(),
                    &mut self.dst.dest(),
                    block,
                ),
                _ => self.run::<i64>(
                    &self.x.source(),
                    &self.y.source(),
                    &mut self.dst.dest(),
                    block,
                ),
            }
        }
    }

    fn run<I: Integer>(&self, x: &Source<I>, y: &Source<I>, dst: &mut Dest<I>, block: usize) {
        // Axes are merged but not reordered, so that visits are row-major positions.
        let loops = Loops::new(
            self.dst.dims(),
            [&self.dst.strides, &self.x.strides, &self.y.strides],
            [self.dst.offset, self.x.offset, self.y.offset],
        )
        .merged();
        let (_, [to, of_x, of_y]) = loops.inner();
        loops.runs(
            part(loops.len(), MOVE_BLOCK, block),
            |visit, [d, at_x, at_y], len| {
                let (x, y) = (x.run(at_x, of_x, len), y.run(at_y, of_y, len));
                let mut dst = dst.run_mut(d, to, len);
                for i in 0..len {
                    let (x, y) = (x.get(i), y.get(i));
                    let r = match self.what {
                        Division::Quotient => x.quotient(y),
                        Division::Remainder => x.remainder(y),
                    };
                    if r.is_none() {
                        self.report(x.value(), visit + i);
                    }
                    dst.set(i, r.unwrap_or(I::zeroed()));
                }
            },
        );
    }

    #[cold]
    #[inline(never)]
    fn report(&self, dividend: i64, visit: usize) {
        self.errors.report(Fault {
            site: self.site,
            position: visit as u64,
            value: dividend,
            bound: 0,
            cause: Cause::DivisionByZero,
        });
    }
}

/// An integer as stored; `None` is a division by zero.
trait Integer: Pod {
    fn quotient(self, by: Self) -> Option<Self>;
    fn remainder(self, by: Self) -> Option<Self>;
    fn value(self) -> i64;
}

macro_rules! integers {
    ($($t:ty),*) => {$(
        impl Integer for $t {
            #[inline(always)]
            fn quotient(self, by: Self) -> Option<Self> {
                (by != 0).then(|| self.wrapping_div(by))
            }
            #[inline(always)]
            fn remainder(self, by: Self) -> Option<Self> {
                (by != 0).then(|| self.wrapping_rem(by))
            }
            fn value(self) -> i64 {
                i64::from(self)
            }
        }
    )*};
}
integers!(u32, i64);
