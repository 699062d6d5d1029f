//! Pooling: the largest element, where it stands, or the sum, under every place of a window.

use std::ops::Range;

use bytemuck::Pod;
use fearless_simd::Simd;
use retrograde_storage::{DType, Real};

use super::memory::RawView;
use super::sizes::MOVE_BLOCK;
use super::{Mismatch, ensure, part};
use crate::{Level, Window, at_level};

/// What is kept of the elements under a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The largest; NaN counts as larger than any.
    Max,
    /// Where the first largest stands in its plane of the image (u32).
    MaxIndex,
    /// The sum, row after row.
    Sum,
    /// The adjoint of `Sum`: every element of the image is the sum of what its windows had.
    SumAdjoint,
}

/// Windows over the last two axes of `[batch, channels, height, width]`. What is beyond the image does not take part.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    /// What is computed.
    pub kind: Pooling,
    /// The window; its groups mean nothing here.
    pub window: Window,
    /// What is read, dense: images, or sums for the adjoint.
    pub src: RawView,
    /// What is written, dense: one element a window, or images for the adjoint.
    pub dst: RawView,
}

/// Windows of a row that are looked at together: their best so far stay in L1.
const CHUNK: usize = 64;

impl Pool {
    /// Dtypes, shapes and strides fit.
    pub fn check(&self) -> Result<(), Mismatch> {
        let index = self.kind == Pooling::MaxIndex;
        let dtype = if index { DType::U32 } else { self.src.dtype };
        ensure(self.src.dtype.is_float(), "pool", "floats")?;
        ensure(self.dst.dtype == dtype, "pool", "one dtype, or u32 indices")?;
        let dense = self.src.view().is_dense() && self.dst.view().is_dense();
        ensure(dense, "pool", "dense operands")?;
        let (image, pooled) = self.dims();
        let fit = image.len() == 4
            && pooled.len() == 4
            && image[..2] == pooled[..2]
            && (0..2)
                .all(|axis| self.window.outputs(axis, image[2 + axis]) == Some(pooled[2 + axis]));
        ensure(fit, "pool", "a place in the result for every window")
    }

    /// Extents of the images and of what is pooled.
    fn dims(&self) -> (&[usize], &[usize]) {
        match self.kind {
            Pooling::SumAdjoint => (self.dst.dims(), self.src.dims()),
            Pooling::Max | Pooling::MaxIndex | Pooling::Sum => (self.src.dims(), self.dst.dims()),
        }
    }

    fn planes(&self) -> Planes {
        let (image, pooled) = self.dims();
        Planes {
            window: self.window,
            count: image[0] * image[1],
            image: [image[2], image[3]],
            pooled: [pooled[2], pooled[3]],
        }
    }

    /// Pieces the work divides into.
    pub fn blocks(&self) -> usize {
        let planes = self.planes();
        planes.count.div_ceil(planes.in_a_block())
    }

    /// Does one piece.
    ///
    /// # Safety
    /// [The block contract](super).
    pub unsafe fn run_block(&self, level: Level, block: usize) {
        // SAFETY: the caller's promise, passed on.
        unsafe {
            match self.src.dtype {
                DType::F32 => self.run::<f32>(level, block),
                _ => self.run::<f64>(level, block),
            }
        }
    }

    /// # Safety
    /// [The block contract](super).
    unsafe fn run<T: Real + Pod>(&self, level: Level, block: usize) {
        let planes = self.planes();
        let range = part(planes.count, planes.in_a_block(), block);
        if range.is_empty() {
            return;
        }
        let image = planes.image[0] * planes.image[1];
        let pooled = planes.pooled[0] * planes.pooled[1];
        let (from, to) = match self.kind {
            Pooling::SumAdjoint => (pooled, image),
            Pooling::Max | Pooling::MaxIndex | Pooling::Sum => (image, pooled),
        };
        // SAFETY: the block contract covers what `source` and `dest` ask for; blocks write disjoint planes.
        unsafe {
            let src = self.src.source::<T>();
            let at = self.src.offset + (range.start * from) as isize;
            let src = src.row(at, range.len() * from);
            let at = self.dst.offset + (range.start * to) as isize;
            if self.kind == Pooling::MaxIndex {
                let mut dst = self.dst.dest::<u32>();
                planes.indices(level, src, dst.row_mut(at, range.len() * to));
                return;
            }
            let mut dst = self.dst.dest::<T>();
            let dst = dst.row_mut(at, range.len() * to);
            match self.kind {
                Pooling::Max => planes.largest(level, src, dst),
                Pooling::Sum => planes.sums(level, src, dst),
                Pooling::SumAdjoint => planes.spread(level, src, dst),
                Pooling::MaxIndex => {}
            }
        }
    }
}

/// Planes of one size with the window that goes over them.
struct Planes {
    window: Window,
    count: usize,
    image: [usize; 2],
    pooled: [usize; 2],
}

/// One tap over neighbouring windows: the first element it sees, and the windows of the chunk that see one.
struct Tap {
    first: usize,
    windows: Range<usize>,
}

impl Planes {
    fn in_a_block(&self) -> usize {
        (MOVE_BLOCK / (self.image[0] * self.image[1]).max(1)).max(1)
    }

    /// Calls `f` for every tap of the windows `chunk` in the row `row`, in order.
    #[inline(always)]
    fn taps(&self, row: usize, chunk: &Range<usize>, mut f: impl FnMut(Tap)) {
        let Window {
            kernel,
            stride,
            padding,
            dilation,
            ..
        } = self.window;
        let [height, width] = self.image;
        for i in 0..kernel[0] {
            let h = row * stride[0] + i * dilation[0];
            if h < padding[0] || h >= padding[0] + height {
                continue;
            }
            let plane = (h - padding[0]) * width;
            for j in 0..kernel[1] {
                // Windows whose column `q * stride + offset` is in the image.
                let offset = j * dilation[1];
                let until = |end: usize| {
                    let q = end.saturating_sub(offset).div_ceil(stride[1]);
                    q.clamp(chunk.start, chunk.end)
                };
                let inside = until(padding[1])..until(padding[1] + width);
                if !inside.is_empty() {
                    f(Tap {
                        first: plane + inside.start * stride[1] + offset - padding[1],
                        windows: inside.start - chunk.start..inside.end - chunk.start,
                    });
                }
            }
        }
    }

    /// Calls `f(row, windows, first of them in the plane)` for every chunk of windows.
    #[inline(always)]
    fn chunks(&self, mut f: impl FnMut(usize, Range<usize>, usize)) {
        let [rows, columns] = self.pooled;
        for row in 0..rows {
            for first in (0..columns).step_by(CHUNK) {
                let windows = first..columns.min(first + CHUNK);
                f(row, windows, row * columns + first);
            }
        }
    }

    fn largest<T: Real>(&self, level: Level, src: &[T], dst: &mut [T]) {
        at_level!(level, simd => simd.vectorize(
            #[inline(always)]
            || self.each(src, dst, #[inline(always)] |image, pooled| {
                self.chunks(#[inline(always)] |row, windows, first| {
                    let best = &mut pooled[first..first + windows.len()];
                    best.fill(-T::INFINITY);
                    self.taps(row, &windows, #[inline(always)] |tap| {
                        let best = &mut best[tap.windows.clone()];
                        strided(self.window.stride[1], &image[tap.first..], best, #[inline(always)] |x, best, _| {
                            // A NaN is kept: nothing is larger than one.
                            if x > *best || x != x {
                                *best = x;
                            }
                        });
                    });
                });
            })
        ));
    }

    fn indices<T: Real>(&self, level: Level, src: &[T], dst: &mut [u32]) {
        let step = self.window.stride[1];
        at_level!(level, simd => simd.vectorize(
            #[inline(always)]
            || self.each(src, dst, #[inline(always)] |image, pooled| {
                self.chunks(#[inline(always)] |row, windows, first| {
                    let index = &mut pooled[first..first + windows.len()];
                    // Nothing found yet: what comes first is taken, were it negative infinity.
                    let mut best = [T::default(); CHUNK];
                    index.fill(u32::MAX);
                    self.taps(row, &windows, #[inline(always)] |tap| {
                        let index = &mut index[tap.windows.clone()];
                        let best = &mut best[tap.windows.clone()];
                        strided(step, &image[tap.first..], best, #[inline(always)] |x, best, e| {
                            let larger = x > *best || (x != x && *best == *best);
                            if larger || index[e] == u32::MAX {
                                *best = x;
                                index[e] = (tap.first + e * step) as u32;
                            }
                        });
                    });
                });
            })
        ));
    }

    fn sums<T: Real>(&self, level: Level, src: &[T], dst: &mut [T]) {
        at_level!(level, simd => simd.vectorize(
            #[inline(always)]
            || self.each(src, dst, #[inline(always)] |image, pooled| {
                self.chunks(#[inline(always)] |row, windows, first| {
                    let sums = &mut pooled[first..first + windows.len()];
                    sums.fill(T::default());
                    self.taps(row, &windows, #[inline(always)] |tap| {
                        let sums = &mut sums[tap.windows.clone()];
                        strided(self.window.stride[1], &image[tap.first..], sums, #[inline(always)] |x, sum, _| {
                            *sum = *sum + x;
                        });
                    });
                });
            })
        ));
    }

    fn spread<T: Real>(&self, level: Level, src: &[T], dst: &mut [T]) {
        let step = self.window.stride[1];
        at_level!(level, simd => simd.vectorize(
            #[inline(always)]
            || self.each(dst, src, #[inline(always)] |image: &mut [T], pooled: &[T]| {
                image.fill(T::default());
                self.chunks(#[inline(always)] |row, windows, first| {
                    let pooled = &pooled[first..first + windows.len()];
                    self.taps(row, &windows, #[inline(always)] |tap| {
                        let image = image[tap.first..].iter_mut().step_by(step);
                        for (to, &g) in image.zip(&pooled[tap.windows.clone()]) {
                            *to = *to + g;
                        }
                    });
                });
            })
        ));
    }

    /// Calls `f` for every plane of the images and of what is pooled.
    #[inline(always)]
    fn each<I: Chunks, P: Chunks>(
        &self,
        images: I,
        pooled: P,
        mut f: impl FnMut(I::Chunk, P::Chunk),
    ) {
        let images = images.chunks_of(self.image[0] * self.image[1]);
        let pooled = pooled.chunks_of(self.pooled[0] * self.pooled[1]);
        images.zip(pooled).for_each(
            #[inline(always)]
            |(image, pooled)| f(image, pooled),
        );
    }
}

/// Slices to read and to write alike, cut into equal parts.
trait Chunks {
    type Chunk;
    fn chunks_of(self, len: usize) -> impl Iterator<Item = Self::Chunk>;
}

impl<'a, T> Chunks for &'a [T] {
    type Chunk = &'a [T];
    #[inline(always)]
    fn chunks_of(self, len: usize) -> impl Iterator<Item = &'a [T]> {
        self.chunks_exact(len)
    }
}

impl<'a, T> Chunks for &'a mut [T] {
    type Chunk = &'a mut [T];
    #[inline(always)]
    fn chunks_of(self, len: usize) -> impl Iterator<Item = &'a mut [T]> {
        self.chunks_exact_mut(len)
    }
}

/// Calls `f(from[e * step], to[e], e)` for every element of `to`; the common steps as loops that vectors can run.
#[inline(always)]
fn strided<T: Copy, U>(step: usize, from: &[T], to: &mut [U], f: impl FnMut(T, &mut U, usize)) {
    /// The last element is apart: `from` may end with it.
    #[inline(always)]
    fn by<const STEP: usize, T: Copy, U>(
        from: &[T],
        to: &mut [U],
        mut f: impl FnMut(T, &mut U, usize),
    ) {
        let Some((last, rest)) = to.split_last_mut() else {
            return;
        };
        let count = rest.len();
        let pairs = from.as_chunks::<STEP>().0.iter().zip(rest).enumerate();
        for (e, (x, to)) in pairs {
            f(x[0], to, e);
        }
        f(from[count * STEP], last, count);
    }
    match step {
        1 => by::<1, _, _>(from, to, f),
        2 => by::<2, _, _>(from, to, f),
        3 => by::<3, _, _>(from, to, f),
        _ => {
            let mut f = f;
            let pairs = from.iter().step_by(step).zip(to).enumerate();
            pairs.for_each(|(e, (&x, to))| f(x, to, e));
        }
    }
}
