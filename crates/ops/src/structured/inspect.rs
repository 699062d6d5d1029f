//! What a tensor holds, for reports of where NaN came from.

use retrograde_storage::{DType, Element};

use super::loops::Loops;
use super::memory::{RawView, Source};
use super::part;
use super::sizes::MOVE_BLOCK;
use crate::Level;

/// Looks at every element of a tensor.
#[derive(Clone, Copy, Debug)]
pub struct Inspect {
    /// What is read: every dtype and shape will do.
    pub view: RawView,
}

/// What [`Inspect`] found in a part of a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contents {
    /// Row-major position of the first element that is infinite or NaN.
    pub first_non_finite: Option<usize>,
    /// How many elements are NaN.
    pub nans: usize,
    /// How many are infinite.
    pub infinities: usize,
    /// The smallest element that is not NaN; infinity if there is none.
    pub min: f64,
    /// The largest element that is not NaN; negative infinity if there is none.
    pub max: f64,
}

impl Contents {
    /// What no elements hold: the identity of [`join`](Self::join).
    pub const EMPTY: Self = Self {
        first_non_finite: None,
        nans: 0,
        infinities: 0,
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
    };

    /// What two parts hold together. The order of joining does not matter.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        let firsts = [self.first_non_finite, other.first_non_finite];
        Self {
            first_non_finite: firsts.into_iter().flatten().min(),
            nans: self.nans + other.nans,
            infinities: self.infinities + other.infinities,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }

    fn add(&mut self, x: f64, position: usize) {
        if !x.is_finite() {
            self.first_non_finite = self.first_non_finite.or(Some(position));
            if x.is_nan() {
                self.nans += 1;
                return;
            }
            self.infinities += 1;
        }
        self.min = self.min.min(x);
        self.max = self.max.max(x);
    }
}

impl Inspect {
    /// Pieces the work divides into.
    pub fn blocks(&self) -> usize {
        self.view.shape.len().div_ceil(MOVE_BLOCK)
    }

    /// What one piece holds; [`join`](Contents::join) the pieces.
    ///
    /// # Safety
    /// [The block contract](super).
    pub unsafe fn run_block(&self, _level: Level, block: usize) -> Contents {
        // SAFETY: the block contract covers what `source` asks for.
        unsafe {
            match self.view.dtype {
                DType::F32 => self.run(&self.view.source(), block, <f32 as Element>::to_f64),
                DType::F64 => self.run(&self.view.source(), block, <f64 as Element>::to_f64),
                DType::U32 => self.run(&self.view.source(), block, <u32 as Element>::to_f64),
                DType::I64 => self.run(&self.view.source(), block, <i64 as Element>::to_f64),
                DType::Bool => self.run(&self.view.source(), block, <u8 as Into<f64>>::into),
            }
        }
    }

    fn run<T: bytemuck::Pod>(
        &self,
        src: &Source<T>,
        block: usize,
        number: impl Fn(T) -> f64,
    ) -> Contents {
        let loops = Loops::new(self.view.dims(), [&self.view.strides], [self.view.offset]).merged();
        let (_, [step]) = loops.inner();
        let mut found = Contents::EMPTY;
        loops.runs(part(loops.len(), MOVE_BLOCK, block), |visit, [at], len| {
            let run = src.run(at, step, len);
            for e in 0..len {
                found.add(number(run.get(e)), visit + e);
            }
        });
        found
    }
}
