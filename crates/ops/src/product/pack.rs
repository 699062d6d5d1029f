//! Packing: an operand, read by its strides, copied into the order in which the micro-kernels read it.

use fearless_simd::Simd;

use super::float::{Float, Isa};
use super::kernel::{load, store};
use crate::at_level;

/// Part of an operand: `outer` elements (lanes or columns) by `k` terms, strides in elements.
pub(super) struct Source<T> {
    pub(super) from: *const T,
    pub(super) outer: usize,
    pub(super) outer_stride: isize,
    pub(super) k: usize,
    pub(super) k_stride: isize,
}

/// Writes `to[p * width + i] = source[i, p]`, and zeros for lanes from `outer` up to `width`.
///
/// The zeros are computed with, never stored; what stood there before could be a NaN's slow path or a subnormal.
///
/// # Safety
/// `width` is a multiple of `T::LANES`, at least `outer`; every element of the source is readable and
/// `width * k` elements at `to` are writable, all accessed by nobody else meanwhile and not overlapping.
pub(super) unsafe fn panel<T: Float>(isa: Isa, source: &Source<T>, to: *mut T, width: usize) {
    // SAFETY: the same contract.
    at_level!(isa, simd => simd.vectorize(
        #[inline(always)]
        || unsafe { panel_at(simd, source, to, width) }
    ));
}

/// # Safety
/// As [`panel`].
#[inline(always)]
unsafe fn panel_at<S: Simd, T: Float>(simd: S, source: &Source<T>, to: *mut T, width: usize) {
    let at = |i: usize, p: usize| {
        source
            .from
            .wrapping_offset(i as isize * source.outer_stride + p as isize * source.k_stride)
    };
    let whole = source.outer / T::LANES * T::LANES;
    if source.outer_stride == 1 {
        for p in 0..source.k {
            // SAFETY: `width` elements of the output belong to term `p`; the source has `outer` contiguous ones.
            unsafe {
                let (from, to) = (at(0, p), to.add(p * width));
                for i in (0..whole).step_by(T::LANES) {
                    store(to.add(i), load(simd, from.add(i)));
                }
                for i in whole..source.outer {
                    *to.add(i) = *from.add(i);
                }
            }
        }
    } else if source.k_stride == 1 {
        let terms = source.k / T::LANES * T::LANES;
        for i in (0..whole).step_by(T::LANES) {
            for p in (0..terms).step_by(T::LANES) {
                // SAFETY: rows `i..i + LANES` and terms `p..p + LANES` are within the source, and their transposed
                // square within the panel.
                unsafe {
                    square(
                        simd,
                        at(i, p),
                        source.outer_stride,
                        to.add(p * width + i),
                        width,
                    )
                };
            }
        }
        // SAFETY: both rectangles lie within the source and the panel.
        unsafe {
            scalar(source, to, width, 0..whole, terms..source.k);
            scalar(source, to, width, whole..source.outer, 0..source.k);
        }
    } else {
        // SAFETY: the whole source.
        unsafe { scalar(source, to, width, 0..source.outer, 0..source.k) };
    }
    if source.outer < width {
        for p in 0..source.k {
            for i in source.outer..width {
                // SAFETY: within the panel.
                unsafe { *to.add(p * width + i) = T::default() };
            }
        }
    }
}

/// `to[p * width + i] = from[i * stride + p]` for `LANES` rows and terms.
///
/// # Safety
/// Those elements are readable and writable.
#[inline(always)]
unsafe fn square<S: Simd, T: Float>(
    simd: S,
    from: *const T,
    stride: isize,
    to: *mut T,
    width: usize,
) {
    // Of `f64`'s sixteen rows the transpose uses eight.
    // SAFETY: the caller's promise; the row repeated for `f64` is one of them.
    unsafe {
        let mut block = [load::<S, T>(simd, from); 16];
        for (i, row) in block.iter_mut().enumerate().take(T::LANES) {
            *row = load(simd, from.wrapping_offset(i as isize * stride));
        }
        T::transpose(&mut block);
        for (p, &row) in block.iter().enumerate().take(T::LANES) {
            store(to.add(p * width), row);
        }
    }
}

/// The panel's layout, one element at a time.
///
/// # Safety
/// As [`panel`], for the elements named.
#[inline(always)]
unsafe fn scalar<T: Float>(
    source: &Source<T>,
    to: *mut T,
    width: usize,
    outer: std::ops::Range<usize>,
    terms: std::ops::Range<usize>,
) {
    for i in outer {
        let from = source
            .from
            .wrapping_offset(i as isize * source.outer_stride);
        for p in terms.clone() {
            // SAFETY: the caller's promise.
            unsafe { *to.add(p * width + i) = *from.wrapping_offset(p as isize * source.k_stride) };
        }
    }
}

/// Writes `to[p * outer + j] = source[j, p]`: a tile of the broadcast operand, read front to back by the kernel.
///
/// # Safety
/// As [`panel`] with `width == outer`, which may be any number.
pub(super) unsafe fn columns<T: Float>(source: &Source<T>, to: *mut T) {
    // SAFETY: the same contract; the copies of fixed width are within `outer` elements of a term.
    unsafe {
        match (source.outer_stride, source.outer) {
            (1, 8) => rows_of::<T, 8>(source, to),
            (1, 6) => rows_of::<T, 6>(source, to),
            (1, 5) => rows_of::<T, 5>(source, to),
            (1, 4) => rows_of::<T, 4>(source, to),
            _ => scalar(source, to, source.outer, 0..source.outer, 0..source.k),
        }
    }
}

/// [`columns`] for contiguous columns of a width known to the compiler.
///
/// # Safety
/// As [`columns`].
unsafe fn rows_of<T: Float, const N: usize>(source: &Source<T>, to: *mut T) {
    for p in 0..source.k {
        let from = source.from.wrapping_offset(p as isize * source.k_stride);
        // SAFETY: `outer == N` contiguous elements on both sides; `[T; N]` is aligned as `T`.
        unsafe { *to.add(p * N).cast::<[T; N]>() = *from.cast::<[T; N]>() };
    }
}
