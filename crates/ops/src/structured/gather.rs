//! Reading along an axis at indices: gather, `index_select`, embedding, take.

use bytemuck::Pod;
use retrograde_storage::DType;

use super::copy::copy_run;
use super::index::{Bound, Index, is_index};
use super::loops::Loops;
use super::memory::{Dest, RawView, Source};
use super::sizes::MOVE_BLOCK;
use super::{ErrorCell, Mismatch, ensure, part};
use crate::Level;

/// `dst[o, k, i] = src[o, index[o, k, i], i]`, where `o` stands for the axes before `axis` and `i` for those after.
///
/// `index` is a view of `dst`'s shape: [`expand`](retrograde_storage::View::expand) an index vector to it (strides 0 on
/// `o` and `i`) and this is `index_select`, or with `axis` 0 an embedding; where the index does not vary along the innermost
/// axes whole rows are copied. An index out of range is reported to `errors` and writes 0.
///
/// The adjoint of `src` is [`Scatter`](super::Scatter) of the seed with the same index and [`Combine::Add`](super::Combine).
#[derive(Clone, Copy, Debug)]
pub struct Gather<'a> {
    /// What is read, any dtype.
    pub src: RawView,
    /// `u32`, or `i64` whose negative values count from the end; `dst`'s shape.
    pub index: RawView,
    /// What is written: `src`'s dtype, and its shape but for `axis`.
    pub dst: RawView,
    /// The axis of `src` that the index runs along.
    pub axis: usize,
    /// Where indices out of range are reported.
    pub errors: &'a ErrorCell,
    /// The instruction's number, for the report.
    pub site: u32,
}

impl Gather<'_> {
    /// Dtypes and shapes agree.
    pub fn check(&self) -> Result<(), Mismatch> {
        ensure(self.src.dtype == self.dst.dtype, "gather", "one dtype")?;
        ensure(
            is_index(self.index.dtype),
            "gather",
            "an index of u32 or i64",
        )?;
        ensure(
            self.index.shape == self.dst.shape,
            "gather",
            "an index of the destination's shape",
        )?;
        ensure(
            along(self.src.dims(), self.dst.dims(), self.axis),
            "gather",
            "shapes equal but for the axis",
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
            match self.src.dtype.size() {
                1 => self.run_word(&self.src.source::<u8>(), &mut self.dst.dest(), block),
                4 => self.run_word(&self.src.source::<u32>(), &mut self.dst.dest(), block),
                _ => self.run_word(&self.src.source::<u64>(), &mut self.dst.dest(), block),
            }
        }
    }

    /// # Safety
    /// [The block contract](super).
    unsafe fn run_word<T: Pod>(&self, src: &Source<T>, dst: &mut Dest<T>, block: usize) {
        // SAFETY: the block contract covers what `source` asks for.
        unsafe {
            match self.index.dtype {
                DType::U32 => self.run::<T, u32>(src, &self.index.source(), dst, block),
                _ => self.run::<T, i64>(src, &self.index.source(), dst, block),
            }
        }
    }

    fn run<T: Pod, I: Index>(
        &self,
        src: &Source<T>,
        index: &Source<I>,
        dst: &mut Dest<T>,
        block: usize,
    ) {
        let stride = self.src.strides[self.axis];
        let mut still = self.src.strides;
        still[self.axis] = 0;
        let loops = Loops::new(
            self.dst.dims(),
            [&self.dst.strides, &self.index.strides, &still],
            [self.dst.offset, self.index.offset, self.src.offset],
        )
        .merged();
        let bound = Bound {
            index: self.index,
            len: self.src.dims()[self.axis],
            errors: self.errors,
            site: self.site,
        };
        let (_, [to, next, from]) = loops.inner();
        let visits = part(loops.len(), MOVE_BLOCK, block);
        if next == 0 {
            loops.runs(visits, |visit, [d, i, s], len| {
                if let Some(k) = bound.place(index.get(i), visit) {
                    copy_run(src, dst, [d, s + k * stride], [to, from], len);
                } else {
                    let mut out = dst.run_mut(d, to, len);
                    (0..len).for_each(|e| out.set(e, T::zeroed()));
                }
            });
        } else {
            loops.runs(visits, |visit, [d, i, s], len| {
                let (index, mut out) = (index.run(i, next, len), dst.run_mut(d, to, len));
                for e in 0..len {
                    let place = bound.place(index.get(e), visit + e);
                    out.set(
                        e,
                        place.map_or(T::zeroed(), |k| src.get(s + e as isize * from + k * stride)),
                    );
                }
            });
        }
    }
}

/// Whether two shapes agree but for `axis`, which both have.
pub(super) fn along(a: &[usize], b: &[usize], axis: usize) -> bool {
    a.len() == b.len() && axis < a.len() && (0..a.len()).all(|i| i == axis || a[i] == b[i])
}
