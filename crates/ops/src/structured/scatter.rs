//! Writing along an axis at indices: `scatter_add` (the adjoint of a gather) and `scatter`.

use std::ops::Range;

use bytemuck::Pod;
use fearless_simd::Simd;
use retrograde_storage::DType;

use super::gather::along;
use super::index::{Bound, Index, is_index};
use super::loops::Loops;
use super::memory::{Dest, RawView, Source};
use super::sizes::{SCATTER_RANGES, SCATTER_SERIAL};
use super::{ErrorCell, Mismatch, ensure};
use crate::{Level, at_level};

/// What a scatter does with a source element that reaches a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Combine {
    /// Adds it (integers wrap), in order of increasing position along the axis: the bits are fixed. Not for bools.
    Add,
    /// Overwrites; of several the last position along the axis stays.
    Set,
}

/// `dst = base` (or 0), then `dst[o, index[o, k, i], i] += src[o, k, i]` (or `=`) for every `k` in increasing order, where
/// `o` stands for the axes before `axis` and `i` for those after.
///
/// `index` is a view of `src`'s shape, as in [`Gather`](super::Gather). An index out of range is reported to `errors`
/// and adds nothing.
///
/// The adjoint of `src` is the gather of the seed with the same index (for `Set`, where no later position overwrote it);
/// the adjoint of `base` is the seed (for `Set`, with zeros scattered into it).
///
/// Every block owns a part of the destination: a range of `o`, of `i`, or, reading the whole index list, of the axis.
#[derive(Clone, Copy, Debug)]
pub struct Scatter<'a> {
    /// What is added.
    pub src: RawView,
    /// `u32`, or `i64` whose negative values count from the end; `src`'s shape.
    pub index: RawView,
    /// What the destination starts from, 0 if absent: `dst`'s dtype and shape.
    pub base: Option<RawView>,
    /// What is written: `src`'s dtype, and its shape but for `axis`.
    pub dst: RawView,
    /// The axis of `dst` that the index runs along.
    pub axis: usize,
    /// What happens to a source element.
    pub combine: Combine,
    /// Where indices out of range are reported.
    pub errors: &'a ErrorCell,
    /// The instruction's number, for the report.
    pub site: u32,
}

/// How many pieces the axes before, the axis itself and the axes after are cut into.
struct Grid {
    outer: usize,
    range: usize,
    inner: usize,
}

/// The part of the destination a block owns.
struct Part {
    outer: Range<usize>,
    range: Range<usize>,
    inner: Range<usize>,
}

/// Piece `i` of `n` nearly equal ones of `0..len`.
fn piece(len: usize, n: usize, i: usize) -> Range<usize> {
    // In `u128`: lengths may be anything and the product is taken once a block.
    let cut = |i: usize| (len as u128 * i as u128 / n as u128) as usize;
    cut(i)..cut(i + 1)
}

impl Scatter<'_> {
    /// Dtypes and shapes agree.
    pub fn check(&self) -> Result<(), Mismatch> {
        ensure(self.src.dtype == self.dst.dtype, "scatter", "one dtype")?;
        ensure(
            self.combine == Combine::Set || self.src.dtype != DType::Bool,
            "scatter",
            "numbers to add",
        )?;
        ensure(
            is_index(self.index.dtype),
            "scatter",
            "an index of u32 or i64",
        )?;
        ensure(
            self.index.shape == self.src.shape,
            "scatter",
            "an index of the source's shape",
        )?;
        ensure(
            self.base
                .is_none_or(|b| b.dtype == self.dst.dtype && b.shape == self.dst.shape),
            "scatter",
            "a base like the destination",
        )?;
        ensure(
            along(self.src.dims(), self.dst.dims(), self.axis),
            "scatter",
            "shapes equal but for the axis",
        )
    }

    fn grid(&self) -> Grid {
        let dims = self.dst.dims();
        let outer: usize = dims[..self.axis].iter().product();
        let inner: usize = dims[self.axis + 1..].iter().product();
        let work = self.src.shape.len() + self.dst.shape.len();
        let want = work.div_ceil(SCATTER_SERIAL).min(SCATTER_RANGES);
        let by_outer = outer.min(want).max(1);
        let rest = want.div_ceil(by_outer);
        // Pieces of a row keep whole pages; a row too short to cut is cut along the axis, as often as reading the index
        // once more stays cheap beside adding a row.
        let by_inner = (inner / 1024).clamp(1, rest.max(1));
        let rest = rest.div_ceil(by_inner);
        let by_range = rest.min(1 + inner / 8).clamp(1, dims[self.axis].max(1));
        Grid {
            outer: by_outer,
            range: by_range,
            inner: by_inner,
        }
    }

    /// Pieces the work divides into.
    pub fn blocks(&self) -> usize {
        if self.dst.shape.is_empty() && self.src.shape.is_empty() {
            return 0;
        }
        let grid = self.grid();
        grid.outer * grid.range * grid.inner
    }

    /// Does one piece.
    ///
    /// # Safety
    /// [The block contract](super).
    pub unsafe fn run_block(&self, level: Level, block: usize) {
        // SAFETY: the caller's promise, passed on.
        unsafe {
            match (self.combine, self.src.dtype) {
                (Combine::Add, DType::F32) => {
                    self.run_word(block, |y: &mut [f32], x| add_row(level, y, x), |y, x| y + x);
                }
                (Combine::Add, DType::F64) => {
                    self.run_word(block, |y: &mut [f64], x| add_row(level, y, x), |y, x| y + x);
                }
                (Combine::Add, DType::U32) => {
                    self.run_word(block, wrapping_row::<u32>, u32::wrapping_add);
                }
                (Combine::Add, DType::I64) => {
                    self.run_word(block, wrapping_row::<u64>, u64::wrapping_add);
                }
                (_, dtype) => match dtype.size() {
                    1 => self.run_word(block, <[u8]>::copy_from_slice, |_, x| x),
                    4 => self.run_word(block, <[u32]>::copy_from_slice, |_, x| x),
                    _ => self.run_word(block, <[u64]>::copy_from_slice, |_, x| x),
                },
            }
        }
    }

    /// # Safety
    /// [The block contract](super).
    unsafe fn run_word<T: Pod>(
        &self,
        block: usize,
        row: impl Fn(&mut [T], &[T]),
        one: impl Fn(T, T) -> T,
    ) {
        // SAFETY: the block contract covers what `source` and `dest` ask for; a block writes its own `Part` only.
        unsafe {
            let (src, mut dst) = (self.src.source::<T>(), self.dst.dest::<T>());
            let grid = self.grid();
            let dims = self.dst.dims();
            let part = Part {
                outer: piece(
                    dims[..self.axis].iter().product(),
                    grid.outer,
                    block / (grid.inner * grid.range),
                ),
                range: piece(dims[self.axis], grid.range, block / grid.inner % grid.range),
                inner: piece(
                    dims[self.axis + 1..].iter().product(),
                    grid.inner,
                    block % grid.inner,
                ),
            };
            let base = self.base.map(|b| b.source::<T>());
            self.start(base.as_ref(), &mut dst, &part);
            match self.index.dtype {
                DType::U32 => {
                    self.run::<T, u32>(&src, &self.index.source(), &mut dst, &part, row, one);
                }
                _ => self.run::<T, i64>(&src, &self.index.source(), &mut dst, &part, row, one),
            }
        }
    }

    /// Writes the base, or zeros, to the part.
    fn start<T: Pod>(&self, base: Option<&Source<T>>, dst: &mut Dest<T>, part: &Part) {
        let like = self.base.unwrap_or(self.dst);
        let origin = [self.dst.offset, like.offset];
        let strides = [&self.dst.strides, &like.strides];
        let (outer, step, inner) = nest(self.dst.dims(), self.axis, strides, origin);
        let (_, [to, from]) = inner.inner();
        for o in part.outer.clone() {
            let first = outer.at(o);
            for v in part.range.clone() {
                let at = [0, 1].map(|n| first[n] + v as isize * step[n]);
                inner.runs(part.inner.clone(), |_, place, len| {
                    let [d, s] = [at[0] + place[0], at[1] + place[1]];
                    match base {
                        Some(base) => super::copy::copy_run(base, dst, [d, s], [to, from], len),
                        None if to == 1 => dst.row_mut(d, len).fill(T::zeroed()),
                        None => {
                            let mut run = dst.run_mut(d, to, len);
                            (0..len).for_each(|e| run.set(e, T::zeroed()));
                        }
                    }
                });
            }
        }
    }

    #[inline(always)]
    fn run<T: Pod, I: Index>(
        &self,
        src: &Source<T>,
        index: &Source<I>,
        dst: &mut Dest<T>,
        part: &Part,
        row: impl Fn(&mut [T], &[T]),
        one: impl Fn(T, T) -> T,
    ) {
        let stride = self.dst.strides[self.axis];
        let mut still = self.dst.strides;
        still[self.axis] = 0;
        let (outer, step, inner) = nest(
            self.src.dims(),
            self.axis,
            [&still, &self.src.strides, &self.index.strides],
            [self.dst.offset, self.src.offset, self.index.offset],
        );
        let bound = Bound {
            index: self.index,
            len: self.dst.dims()[self.axis],
            errors: self.errors,
            site: self.site,
        };
        let count = self.src.dims()[self.axis];
        let width = inner.len();
        if width == 0 {
            return;
        }
        let (_, [to, from, next]) = inner.inner();
        let own = |v: isize| part.range.contains(&(v as usize));
        let steady = (0..inner.rank()).all(|axis| inner.axis(axis).1[2] == 0);
        for o in part.outer.clone() {
            let [d, s, i] = outer.at(o);
            if width == 1 {
                let (xs, is) = (src.run(s, step[1], count), index.run(i, step[2], count));
                for k in 0..count {
                    if let Some(v) = bound.place(is.get(k), o * count + k).filter(|&v| own(v)) {
                        let at = d + v * stride;
                        dst.set(at, one(dst.get(at), xs.get(k)));
                    }
                }
                continue;
            }
            for k in 0..count {
                let [s, i] = [s + k as isize * step[1], i + k as isize * step[2]];
                let visit = (o * count + k) * width;
                if steady {
                    let place = bound.place(index.get(i), visit).filter(|&v| own(v));
                    let Some(v) = place else { continue };
                    inner.runs(part.inner.clone(), |_, place, len| {
                        let [d, s] = [d + v * stride + place[0], s + place[1]];
                        if to == 1 && from == 1 {
                            row(dst.row_mut(d, len), src.row(s, len));
                        } else {
                            let (xs, mut ys) = (src.run(s, from, len), dst.run_mut(d, to, len));
                            (0..len).for_each(|e| ys.set(e, one(ys.get(e), xs.get(e))));
                        }
                    });
                } else {
                    inner.runs(part.inner.clone(), |at, place, len| {
                        let (xs, is) = (
                            src.run(s + place[1], from, len),
                            index.run(i + place[2], next, len),
                        );
                        for e in 0..len {
                            let place_of = bound.place(is.get(e), visit + at + e);
                            if let Some(v) = place_of.filter(|&v| own(v)) {
                                let at = d + place[0] + e as isize * to + v * stride;
                                dst.set(at, one(dst.get(at), xs.get(e)));
                            }
                        }
                    });
                }
            }
        }
    }
}

/// The axes before `axis`, starting at `origin`; the steps along it; the axes after, starting at 0.
fn nest<const N: usize>(
    dims: &[usize],
    axis: usize,
    strides: [&[isize; retrograde_storage::MAX_RANK]; N],
    origin: [isize; N],
) -> (Loops<N>, [isize; N], Loops<N>) {
    let outer = Loops::new(&dims[..axis], strides.map(|s| &s[..axis]), origin).merged();
    let inner = Loops::new(
        &dims[axis + 1..],
        strides.map(|s| &s[axis + 1..dims.len()]),
        [0; N],
    )
    .merged();
    (outer, strides.map(|s| s[axis]), inner)
}

/// `y += x`.
fn add_row<T: Pod + std::ops::Add<Output = T>>(level: Level, y: &mut [T], x: &[T]) {
    at_level!(level, simd => simd.vectorize(
        #[inline(always)]
        || {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = *y + x;
            }
        }
    ));
}

/// `y += x`, wrapping; `u64` serves both signs.
fn wrapping_row<T: Pod + bytemuck::Zeroable>(y: &mut [T], x: &[T])
where
    std::num::Wrapping<T>: std::ops::Add<Output = std::num::Wrapping<T>>,
{
    for (y, &x) in y.iter_mut().zip(x) {
        *y = (std::num::Wrapping(*y) + std::num::Wrapping(x)).0;
    }
}
