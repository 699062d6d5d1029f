//! Pooling: the largest element or the sum under every place of a window, and the adjoints.

use std::ops::Range;

use fearless_simd::Simd;
use retrograde_storage::{DType, Real};

use super::memory::RawView;
use super::sizes::MOVE_BLOCK;
use super::{Mismatch, ensure, halve, part};
use crate::product::Float;
use crate::{Level, Window, at_level};

/// What becomes of the elements under a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The element where the first largest of another image stands (NaN counts as larger than any): with the image
    /// itself as the other the largest.
    Max,
    /// Its adjoint: added to that element, whose image is the result.
    MaxAdjoint,
    /// The sum, row after row.
    Sum,
    /// Its adjoint: added to every element.
    SumAdjoint,
}

/// Windows over the last two axes of `[batch, channels, height, width]`. What is beyond the image does not take part.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    /// What is computed.
    pub kind: Pooling,
    /// The window, without dilation; its groups mean nothing here.
    pub window: Window,
    /// What is read, dense: images, or for the adjoints what is pooled.
    pub src: RawView,
    /// The images whose largest elements are looked for, dense.
    pub by: Option<RawView>,
    /// What is written, dense: one element a window, or images for the adjoints.
    pub dst: RawView,
}

impl Pool {
    /// Dtypes, shapes and strides fit.
    pub fn check(&self) -> Result<(), Mismatch> {
        let views = [Some(self.src), self.by, Some(self.dst)];
        let all = |f: &dyn Fn(&RawView) -> bool| views.iter().flatten().all(f);
        ensure(self.src.dtype.is_float(), "pool", "floats")?;
        ensure(all(&|v| v.dtype == self.src.dtype), "pool", "one dtype")?;
        ensure(all(&|v| v.view().is_dense()), "pool", "dense operands")?;
        let (image, pooled) = self.dims();
        let looks = matches!(self.kind, Pooling::Max | Pooling::MaxAdjoint);
        let by = self.by.is_none_or(|by| by.dims() == image);
        ensure(
            by && self.by.is_some() == looks && self.window.dilation == [1, 1],
            "pool",
            "an image to look for the largest in, and taps side by side",
        )?;
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
            Pooling::SumAdjoint | Pooling::MaxAdjoint => (self.dst.dims(), self.src.dims()),
            Pooling::Max | Pooling::Sum => (self.src.dims(), self.dst.dims()),
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
    unsafe fn run<T: Float>(&self, level: Level, block: usize) {
        let planes = self.planes();
        let range = part(planes.count, planes.in_a_block(), block);
        if range.is_empty() {
            return;
        }
        let [image, pooled] = [planes.image, planes.pooled].map(|[rows, columns]| rows * columns);
        let (from, to) = match self.kind {
            Pooling::SumAdjoint | Pooling::MaxAdjoint => (pooled, image),
            Pooling::Max | Pooling::Sum => (image, pooled),
        };
        let at = |view: &RawView, each: usize| view.offset + (range.start * each) as isize;
        // SAFETY: the block contract covers what `source` and `dest` ask for; blocks write disjoint planes.
        unsafe {
            let (src, mut dst) = (self.src.source::<T>(), self.dst.dest::<T>());
            let by = self.by.map(|by| (by.source::<T>(), at(&by, image)));
            let src = src.row(at(&self.src, from), range.len() * from);
            let dst = dst.row_mut(at(&self.dst, to), range.len() * to);
            let by = by
                .as_ref()
                .map_or(&[][..], |(by, at)| by.row(*at, range.len() * image));
            at_level!(level, simd => simd.vectorize(
                #[inline(always)]
                || planes.run(simd, self.kind, src, by, dst)
            ));
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

impl Planes {
    fn in_a_block(&self) -> usize {
        (MOVE_BLOCK / (self.image[0] * self.image[1]).max(1)).max(1)
    }

    #[inline(always)]
    fn run<S: Simd, T: Float>(&self, simd: S, kind: Pooling, src: &[T], by: &[T], dst: &mut [T]) {
        let [image, pooled] = [self.image, self.pooled].map(|[rows, columns]| rows * columns);
        let halves = self.window.kernel == [2, 2]
            && self.window.stride == [2, 2]
            && self.window.padding == [0, 0];
        match kind {
            Pooling::Max if halves => halve::pick(simd, self.image, self.pooled, src, by, dst),
            Pooling::MaxAdjoint if halves => {
                // What is left over at the end of odd extents is in no window.
                if self.image != self.pooled.map(|n| 2 * n) {
                    dst.fill(T::default());
                }
                halve::put(simd, self.image, self.pooled, src, by, dst);
            }
            Pooling::Max => {
                let images = src.chunks_exact(image).zip(by.chunks_exact(image));
                for ((x, by), to) in images.zip(dst.chunks_exact_mut(pooled)) {
                    self.windows(|w, e| to[e] = x[self.largest(by, w)]);
                }
            }
            Pooling::MaxAdjoint => {
                let images = dst.chunks_exact_mut(image).zip(by.chunks_exact(image));
                for ((x, by), from) in images.zip(src.chunks_exact(pooled)) {
                    x.fill(T::default());
                    self.windows(|w, e| {
                        let at = self.largest(by, w);
                        x[at] = x[at] + from[e];
                    });
                }
            }
            Pooling::Sum => {
                for (x, to) in src.chunks_exact(image).zip(dst.chunks_exact_mut(pooled)) {
                    self.windows(|w, e| {
                        to[e] = T::default();
                        self.rows(w, |row| x[row].iter().for_each(|&x| to[e] = to[e] + x));
                    });
                }
            }
            Pooling::SumAdjoint => {
                for (x, from) in dst.chunks_exact_mut(image).zip(src.chunks_exact(pooled)) {
                    x.fill(T::default());
                    self.windows(|w, e| {
                        self.rows(w, |row| x[row].iter_mut().for_each(|x| *x = *x + from[e]));
                    });
                }
            }
        }
    }

    /// Calls `f(rows and columns of the image, number)` for every window.
    #[inline(always)]
    fn windows(&self, mut f: impl FnMut([Range<usize>; 2], usize)) {
        let Window {
            kernel,
            stride,
            padding,
            ..
        } = self.window;
        let along = |axis: usize, place: usize| {
            let first = place * stride[axis];
            let end = (first + kernel[axis]).saturating_sub(padding[axis]);
            first.saturating_sub(padding[axis])..end.min(self.image[axis])
        };
        for p in 0..self.pooled[0] {
            let rows = along(0, p);
            for q in 0..self.pooled[1] {
                f([rows.clone(), along(1, q)], p * self.pooled[1] + q);
            }
        }
    }

    /// Calls `f` with the positions in the plane of each row of a window.
    #[inline(always)]
    fn rows(&self, [rows, columns]: [Range<usize>; 2], mut f: impl FnMut(Range<usize>)) {
        for row in rows {
            let first = row * self.image[1];
            f(first + columns.start..first + columns.end);
        }
    }

    /// Position in the plane of the first largest element of a window.
    #[inline(always)]
    fn largest<T: Real>(&self, plane: &[T], window: [Range<usize>; 2]) -> usize {
        let mut at = window[0].start * self.image[1] + window[1].start;
        let mut best = plane[at];
        self.rows(window, |row| {
            for (e, &x) in row.clone().zip(&plane[row]) {
                let better = better(x, best);
                // Not a branch: which element is largest is anybody's guess.
                best = if better { x } else { best };
                at = if better { e } else { at };
            }
        });
        at
    }
}

/// Whether `x` is larger than what comes before it; a NaN is larger than any number.
#[inline(always)]
#[expect(clippy::eq_op, reason = "what is not equal to itself is NaN")]
#[expect(
    clippy::needless_bitwise_bool,
    reason = "a branch would be guessed wrong half the time"
)]
#[expect(
    clippy::neg_cmp_op_on_partial_ord,
    reason = "true for NaN, as it must be"
)]
pub(super) fn better<T: Real>(x: T, best: T) -> bool {
    !(x <= best) & (best == best)
}
