//! Random shapes, views and buffers; independent of the kernels' own index arithmetic.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use retrograde_ops::structured::RawView;
use retrograde_storage::{DType, MAX_RANK, Shape, View};

/// Cases a randomised test runs.
pub(crate) fn cases(short: usize) -> usize {
    if std::env::var_os("RETROGRADE_LONG").is_some() {
        short * 20
    } else {
        short
    }
}

/// `SplitMix64`, for test data.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    pub(crate) fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }
    /// In [-2, 2), on a grid coarse enough to hit exact ties now and then.
    pub(crate) fn float(&mut self) -> f64 {
        (self.below(4096) as f64 - 2048.0) / 1024.0
    }
    /// Rank 0 to 5, extents 0 to 9 (zeros rare), now and then one up to 70.
    pub(crate) fn shape(&mut self, least_rank: usize) -> Vec<usize> {
        let rank = least_rank + self.below(6 - least_rank);
        let mut dims: Vec<usize> = (0..rank)
            .map(|_| {
                if self.chance(25) {
                    0
                } else {
                    1 + self.below(6)
                }
            })
            .collect();
        if rank > 0 && self.chance(3) {
            let axis = self.below(rank);
            dims[axis] = 1 + self.below(70);
        }
        if rank > 1 && self.chance(4) {
            let axis = self.below(rank);
            dims[axis] = 1 + self.below(40);
        }
        dims
    }
    pub(crate) fn dtype(&mut self) -> DType {
        [DType::F32, DType::F64, DType::U32, DType::I64, DType::Bool][self.below(5)]
    }
    /// A view of `dims` with axes in any order of memory, gaps, steps, flips; with `repeat`, now and then stride 0.
    pub(crate) fn view(&mut self, dims: &[usize], repeat: bool) -> View {
        let mut order: Vec<usize> = (0..dims.len()).collect();
        if self.chance(2) {
            for i in (1..order.len()).rev() {
                order.swap(i, self.below(i + 1));
            }
        }
        let plain = self.chance(3);
        let mut strides = [0; MAX_RANK];
        let mut offset = if plain { 0 } else { self.below(5) as isize };
        let mut extent = 1isize;
        for &axis in order.iter().rev() {
            if repeat && self.chance(5) {
                continue;
            }
            if !plain && self.chance(4) {
                extent *= 1 + self.below(3) as isize;
            }
            strides[axis] = extent;
            extent *= dims[axis].max(1) as isize;
            if !plain && self.chance(4) {
                extent += self.below(4) as isize;
            }
            if !plain && self.chance(4) {
                offset += (dims[axis] as isize - 1).max(0) * strides[axis];
                strides[axis] = -strides[axis];
            }
        }
        View {
            shape: Shape::new(dims).unwrap(),
            offset,
            strides,
        }
    }
}

/// A buffer with one view of it; elements go in and out as bits, addressed by row-major position in the view.
pub(crate) struct Buf {
    words: Vec<Cell<u64>>,
    pub(crate) dtype: DType,
    pub(crate) view: View,
}

/// What untouched memory holds.
const MARK: u64 = 0xa5a5_a5a5_a5a5_a5a5;

impl Buf {
    pub(crate) fn new(dtype: DType, view: View) -> Self {
        let top = positions(&view).into_iter().max().map_or(0, |p| p + 1);
        let bytes = top as usize * dtype.size();
        Self {
            words: vec![Cell::new(MARK); bytes.div_ceil(8) + 1],
            dtype,
            view,
        }
    }
    pub(crate) fn dense(dtype: DType, dims: &[usize]) -> Self {
        Self::new(dtype, View::dense(Shape::new(dims).unwrap()))
    }
    pub(crate) fn from_fn(dtype: DType, view: View, mut f: impl FnMut(usize) -> u64) -> Self {
        let buf = Self::new(dtype, view);
        for (i, p) in positions(&view).into_iter().enumerate() {
            buf.put(p, f(i));
        }
        buf
    }
    /// Values of the dtype, small, some ties; bools 0 or 1.
    pub(crate) fn random(dtype: DType, view: View, rng: &mut Rng) -> Self {
        Self::from_fn(dtype, view, |_| bits(dtype, rng.float()))
    }
    pub(crate) fn raw(&self) -> RawView {
        // Cells: what the kernels write through this pointer, `peek` reads through a shared reference.
        let ptr = self.words.as_ptr().cast_mut().cast();
        RawView::new(ptr, self.dtype, &self.view)
    }
    /// The word an element stands in, the shift to it and its mask. No element straddles words.
    fn locate(&self, at: isize) -> (&Cell<u64>, u32, u64) {
        let size = self.dtype.size();
        let byte = at as usize * size;
        let mask = u64::MAX >> (64 - 8 * size);
        (&self.words[byte / 8], (byte % 8 * 8) as u32, mask)
    }
    fn put(&self, at: isize, x: u64) {
        let (word, shift, mask) = self.locate(at);
        word.set(word.get() & !(mask << shift) | (x & mask) << shift);
    }
    fn peek(&self, at: isize) -> u64 {
        let (word, shift, mask) = self.locate(at);
        word.get() >> shift & mask
    }
    /// All elements in row-major order, as bits.
    pub(crate) fn all(&self) -> Vec<u64> {
        positions(&self.view)
            .into_iter()
            .map(|p| self.peek(p))
            .collect()
    }
    /// All elements in row-major order, as numbers.
    pub(crate) fn numbers(&self) -> Vec<f64> {
        self.all()
            .into_iter()
            .map(|b| number(self.dtype, b))
            .collect()
    }
    /// Whether everything outside the view is as `new` left it.
    pub(crate) fn rest_untouched(&self) -> bool {
        let fresh = Self::new(self.dtype, self.view);
        for p in positions(&self.view) {
            fresh.put(p, self.peek(p));
        }
        fresh.words == self.words
    }
}

/// The bits of `x as dtype` for small values.
pub(crate) fn bits(dtype: DType, x: f64) -> u64 {
    match dtype {
        DType::F32 => u64::from((x as f32).to_bits()),
        DType::F64 => x.to_bits(),
        DType::U32 => u64::from((x as i64) as u32),
        DType::I64 => x as i64 as u64,
        DType::Bool => u64::from(x > 0.0),
    }
}

/// The value of bits, exact but for large `i64`.
pub(crate) fn number(dtype: DType, bits: u64) -> f64 {
    match dtype {
        DType::F32 => f64::from(f32::from_bits(bits as u32)),
        DType::F64 => f64::from_bits(bits),
        DType::U32 => f64::from(bits as u32),
        DType::I64 => bits as i64 as f64,
        DType::Bool => f64::from(bits as u8),
    }
}

/// Where the elements of a view stand, in row-major order.
pub(crate) fn positions(view: &View) -> Vec<isize> {
    let mut places = vec![view.offset];
    for (axis, &d) in view.shape.dims().iter().enumerate() {
        places = places
            .iter()
            .flat_map(|&p| (0..d as isize).map(move |i| p + i * view.strides[axis]))
            .collect();
    }
    places
}

/// `(outer, axis, inner)` of a row-major position.
pub(crate) fn split(dims: &[usize], axis: usize) -> (usize, usize, usize) {
    (
        dims[..axis].iter().product(),
        dims[axis],
        dims[axis + 1..].iter().product(),
    )
}

/// Runs all blocks: on two threads, or last to first on this one.
pub(crate) fn run(threads: bool, blocks: usize, f: impl Fn(usize) + Sync) {
    if threads {
        let next = AtomicUsize::new(0);
        std::thread::scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    loop {
                        let block = next.fetch_add(1, Ordering::Relaxed);
                        if block >= blocks {
                            return;
                        }
                        f(block);
                    }
                });
            }
        });
    } else {
        (0..blocks).rev().for_each(f);
    }
}
