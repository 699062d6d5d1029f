//! Order: the permutation that sorts lines along an axis, and searches in sorted ones.
//!
//! Elements become unsigned keys in the same order, with NaN above everything and zeros of both signs equal. A key with
//! its position beneath it is one integer, and sorting these is stable whatever the algorithm.

use bytemuck::Pod;
use retrograde_storage::{DType, Packet, packets_for};

use super::memory::{Dest, RawView, Source};
use super::sizes::MOVE_BLOCK;
use super::{Mismatch, ensure};

/// An element type with an order.
trait Key: Pod {
    /// A key and a position.
    type Word: Pod + Ord;
    /// The key.
    fn key(self) -> u64;
    /// A key, reversed or not, and a position beneath it.
    fn word(key: u64, descending: bool, at: u32) -> Self::Word;
    /// The position.
    fn at(word: Self::Word) -> u32;
}

macro_rules! keys {
    ($($t:ty, $key:ty, $word:ty, $x:ident => $make:expr;)*) => {$(
        impl Key for $t {
            type Word = $word;
            #[inline(always)]
            fn key(self) -> u64 {
                let $x = self;
                u64::from($make)
            }
            #[inline(always)]
            fn word(key: u64, descending: bool, at: u32) -> $word {
                let key = key as $key;
                let key = if descending { !key } else { key };
                <$word>::from(key) << 32 | <$word>::from(at)
            }
            #[inline(always)]
            fn at(word: $word) -> u32 {
                word as u32
            }
        }
    )*};
}

/// Bits of a float as a key: negative numbers backwards, then positive ones.
macro_rules! float_key {
    ($x:ident, $bits:ty) => {{
        const SIGN: $bits = 1 << (<$bits>::BITS - 1);
        if $x.is_nan() {
            <$bits>::MAX
        } else {
            let bits = if $x == 0.0 { 0 } else { $x.to_bits() };
            if bits & SIGN == 0 { bits | SIGN } else { !bits }
        }
    }};
}

keys! {
    f32, u32, u64, x => float_key!(x, u32);
    f64, u64, u128, x => float_key!(x, u64);
    i64, u64, u128, x => (x as u64) ^ (1 << 63);
    u32, u32, u64, x => x;
    u8, u32, u64, x => x;
}

/// Calls a generic function with the element type of a dtype.
macro_rules! with_key {
    ($dtype:expr, $f:ident $args:tt) => {
        match $dtype {
            DType::F32 => $f::<f32> $args,
            DType::F64 => $f::<f64> $args,
            DType::I64 => $f::<i64> $args,
            DType::U32 => $f::<u32> $args,
            DType::Bool => $f::<u8> $args,
        }
    };
}

/// Where line `line` of a view starts: the lines along `axis`, numbered row-major.
fn start(view: &RawView, axis: usize, line: usize) -> isize {
    let (mut rest, mut at) = (line, view.offset);
    for (other, &d) in view.dims().iter().enumerate().rev() {
        if other != axis {
            at += (rest % d) as isize * view.strides[other];
            rest /= d;
        }
    }
    at
}

/// The lines of one block: so many that a block has about [`MOVE_BLOCK`] elements.
fn lines(block: usize, total: usize, len: usize) -> std::ops::Range<usize> {
    super::part(total, lines_a_block(len), block)
}

fn lines_a_block(len: usize) -> usize {
    (MOVE_BLOCK / len.max(1)).max(1)
}

/// `dst` (u32) along `axis`: the positions of the elements of `src` in order, ties in the order they stand in.
#[derive(Clone, Copy, Debug)]
pub struct Sort {
    /// What is sorted.
    pub src: RawView,
    /// The permutation of each line.
    pub dst: RawView,
    /// Along which axis.
    pub axis: usize,
    /// Largest first.
    pub descending: bool,
}

impl Sort {
    /// The result holds positions and has the shape of the source.
    pub fn check(&self) -> Result<(), Mismatch> {
        ensure(self.dst.dtype == DType::U32, "sort", "a result of u32")?;
        ensure(self.src.shape == self.dst.shape, "sort", "one shape")?;
        ensure(
            self.axis < self.src.dims().len(),
            "sort",
            "an axis of the shape",
        )
    }

    fn len(&self) -> usize {
        self.src.dims()[self.axis]
    }

    fn lines(&self) -> usize {
        self.src.shape.len() / self.len().max(1)
    }

    /// Pieces the work divides into.
    pub fn blocks(&self) -> usize {
        self.lines().div_ceil(lines_a_block(self.len()))
    }

    /// Packets of scratch that a running block needs.
    pub fn scratch_packets(&self) -> usize {
        let word = if self.src.dtype.size() == 8 {
            size_of::<u128>()
        } else {
            size_of::<u64>()
        };
        packets_for(self.len(), word).unwrap_or(usize::MAX)
    }

    /// Does one piece.
    ///
    /// # Safety
    /// [The block contract](super), with the scratch asked for.
    pub unsafe fn run_block(&self, block: usize, scratch: &mut [Packet]) {
        // SAFETY: passed on.
        unsafe { with_key!(self.src.dtype, sort(self, block, scratch)) }
    }
}

/// # Safety
/// As [`Sort::run_block`], for a source of `T`.
unsafe fn sort<T: Key>(of: &Sort, block: usize, scratch: &mut [Packet]) {
    // SAFETY: the caller's contract.
    let (src, mut dst): (Source<T>, Dest<u32>) = unsafe { (of.src.source(), of.dst.dest()) };
    let n = of.len();
    let words = &mut bytemuck::cast_slice_mut::<Packet, T::Word>(scratch)[..n];
    for line in lines(block, of.lines(), n) {
        let from = src.run(start(&of.src, of.axis, line), of.src.strides[of.axis], n);
        for (i, word) in words.iter_mut().enumerate() {
            *word = T::word(from.get(i).key(), of.descending, i as u32);
        }
        words.sort_unstable();
        let mut to = dst.run_mut(start(&of.dst, of.axis, line), of.dst.strides[of.axis], n);
        words
            .iter()
            .enumerate()
            .for_each(|(i, &word)| to.set(i, T::at(word)));
    }
}

/// `dst` (u32) `[.., m]`: how many elements of the sorted line `[.., n]` stand before each of `values` `[.., m]`.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// Lines in ascending order.
    pub sorted: RawView,
    /// What is looked for.
    pub values: RawView,
    /// The counts.
    pub dst: RawView,
    /// Equal elements stand before.
    pub right: bool,
}

impl Search {
    /// One element type, and leading axes of one shape.
    pub fn check(&self) -> Result<(), Mismatch> {
        ensure(self.dst.dtype == DType::U32, "search", "a result of u32")?;
        ensure(self.sorted.dtype == self.values.dtype, "search", "one type")?;
        ensure(
            self.values.shape == self.dst.shape,
            "search",
            "a result for each value",
        )?;
        let lead = |x: &RawView| {
            x.dims()
                .len()
                .checked_sub(1)
                .map(|n| x.dims()[..n].to_vec())
        };
        let fit = lead(&self.sorted).is_some() && lead(&self.sorted) == lead(&self.values);
        ensure(fit, "search", "leading axes of one shape")
    }

    fn axis(&self) -> usize {
        self.values.dims().len() - 1
    }

    fn lines(&self) -> usize {
        self.values.dims()[..self.axis()].iter().product()
    }

    /// Pieces the work divides into.
    pub fn blocks(&self) -> usize {
        self.lines()
            .div_ceil(lines_a_block(self.values.dims()[self.axis()]))
    }

    /// Does one piece.
    ///
    /// # Safety
    /// [The block contract](super).
    pub unsafe fn run_block(&self, block: usize) {
        // SAFETY: passed on.
        unsafe { with_key!(self.values.dtype, search(self, block)) }
    }
}

/// # Safety
/// As [`Search::run_block`], for operands of `T`.
unsafe fn search<T: Key>(of: &Search, block: usize) {
    // SAFETY: the caller's contract.
    let (sorted, values, mut dst): (Source<T>, Source<T>, Dest<u32>) =
        unsafe { (of.sorted.source(), of.values.source(), of.dst.dest()) };
    let axis = of.axis();
    let (n, m) = (of.sorted.dims()[axis], of.values.dims()[axis]);
    for line in lines(block, of.lines(), m) {
        let at = |view: &RawView| start(view, axis, line);
        let sorted = sorted.run(at(&of.sorted), of.sorted.strides[axis], n);
        let values = values.run(at(&of.values), of.values.strides[axis], m);
        let mut to = dst.run_mut(at(&of.dst), of.dst.strides[axis], m);
        for i in 0..m {
            let key = values.get(i).key();
            let (mut low, mut high) = (0, n);
            while low < high {
                let middle = low + (high - low) / 2;
                let other = sorted.get(middle).key();
                if other < key || (of.right && other == key) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            to.set(i, low as u32);
        }
    }
}
