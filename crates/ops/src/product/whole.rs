//! `gemm`'s public micro-kernels for whole tiles: every vector of the panel full.
//!
//! Ragged tiles go to our own kernel, which stores by vectors through a buffer where `gemm`'s store one element at a
//! time. Both add the terms of an element in ascending order, one fused multiply-add a term, so the bits agree.

use gemm_common::microkernel::MicroKernelFn;

use super::kernel::Tile;

/// One of `gemm`'s micro-kernels.
pub(super) type Whole<T> = MicroKernelFn<T>;

/// The whole-tile kernels of one level, by columns - 1.
pub(super) struct Level {
    pub(super) f32: Option<&'static [Whole<f32>]>,
    pub(super) f64: Option<&'static [Whole<f64>]>,
}

/// `gemm`'s panels in its own vectors, and columns; they must be those of `kernel.rs`.
macro_rules! level {
    ($name:ident, $module:ident, $vectors:literal, $columns:literal) => {
        pub(super) const $name: Level = Level {
            f32: {
                use gemm_f32::microkernel::$module::f32::{MR_DIV_N, NR, UKR};
                const { assert!(MR_DIV_N == $vectors && NR == $columns) };
                static KERNELS: [Whole<f32>; NR] = UKR[MR_DIV_N - 1];
                Some(&KERNELS)
            },
            f64: {
                use gemm_f64::microkernel::$module::f64::{MR_DIV_N, NR, UKR};
                const { assert!(MR_DIV_N == $vectors && NR == $columns) };
                static KERNELS: [Whole<f64>; NR] = UKR[MR_DIV_N - 1];
                Some(&KERNELS)
            },
        };
    };
}
#[cfg(target_arch = "x86_64")]
level!(AVX512, avx512f, 4, 6);
#[cfg(target_arch = "x86_64")]
level!(AVX2, fma, 2, 6);
#[cfg(target_arch = "aarch64")]
level!(NEON, neon, 4, 4);

/// Computes a tile whose vectors are all full.
///
/// # Safety
/// As [`super::kernel::TileFn`] for the level's most vectors and `columns` columns, with `skip` 0 and all lanes
/// stored; `kernel` must be the one of that many columns, of a level that this machine has.
#[inline(always)]
pub(super) unsafe fn call<T: super::Float>(kernel: Whole<T>, columns: usize, tile: &Tile<T>) {
    // `out = alpha * out + beta * sum`; a status of 0 says that alpha is 0 and the output is not read, 1 that it is 1.
    let (alpha, status) = (T::default(), u8::from(tile.accumulate));
    // SAFETY: read in gemm-common 0.19.0, `microkernel!`: per term it loads the panel's vectors whole at
    // `lhs + p * lhs_cs` and the elements `rhs + p * rhs_rs + j * rhs_cs` for `j < columns` (on NEON with `rhs_cs` 1 as
    // vectors that divide `columns` exactly), nothing beyond; with `m` the whole panel and `dst_rs` 1 it stores (and
    // loads, to accumulate) whole vectors at `dst + j * dst_cs`. That is the caller's promise. `next_lhs` is unused.
    unsafe {
        kernel(
            tile.lanes,
            columns,
            tile.k,
            tile.out,
            tile.lane,
            tile.broadcast,
            tile.out_stride,
            1,
            tile.lane_step,
            tile.broadcast_step,
            tile.broadcast_stride,
            alpha,
            T::from_f64(1.0),
            status,
            false,
            false,
            false,
            std::ptr::null(),
        );
    }
}
