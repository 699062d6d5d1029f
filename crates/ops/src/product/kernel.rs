//! Micro-kernels: one tile of the output in registers, the whole piece of k in one call.
//!
//! A tile has *lanes* (the output's unit-stride direction, whole vectors) and *columns* (one broadcast element each):
//! `out[lane, column] (+)= sum over k of lane_operand[k, lane] * broadcast_operand[k, column]`. Every element is the
//! plain sum over ascending k, one multiply-add a term, so it does not matter which kernel, tile width or neighbour an
//! element is computed with: the bits are the same.

use std::fmt;

use fearless_simd::{Level as Token, Simd, SimdBase, SimdFloat};

use super::float::Float;
use super::whole::{self, Whole};

/// The operands of one call; strides and steps in elements.
pub(super) struct Tile<T> {
    /// Terms of the sum.
    pub(super) k: usize,
    /// First lane of the first term; the lanes of a term are contiguous.
    pub(super) lane: *const T,
    /// From one term's lanes to the next's.
    pub(super) lane_step: isize,
    /// First column's element of the first term.
    pub(super) broadcast: *const T,
    /// From one term to the next.
    pub(super) broadcast_step: isize,
    /// From one column to the next.
    pub(super) broadcast_stride: isize,
    /// The first element stored.
    pub(super) out: *mut T,
    /// From one column to the next.
    pub(super) out_stride: isize,
    /// Lanes computed but not stored, at the front.
    pub(super) skip: usize,
    /// Lanes stored.
    pub(super) lanes: usize,
    /// Whether to add to the output rather than overwrite it.
    pub(super) accumulate: bool,
}

/// Computes one tile. The token must be of the table's level.
///
/// # Safety
/// Every read of `VECTORS * T::LANES` elements at `lane + p * lane_step`, of one element at
/// `broadcast + p * broadcast_step + j * broadcast_stride` and every write (and read, to accumulate) of `lanes`
/// elements at `out + j * out_stride`, for `p < k` and `j < COLUMNS`, must be in bounds of live memory that nobody
/// else writes (reads) meanwhile; `skip + lanes <= VECTORS * T::LANES`.
pub(super) type TileFn<T> = unsafe fn(Token, &Tile<T>);

/// The micro-kernels of one level.
pub(super) struct Kernels<T: 'static> {
    /// `tiles[vectors - 1][columns - 1]`.
    pub(super) tiles: &'static [&'static [TileFn<T>]],
    /// `gemm`'s kernels for tiles of the most vectors, by columns - 1.
    pub(super) whole: Option<&'static [Whole<T>]>,
    /// When packing the broadcast operand pays.
    pub(super) pack_broadcast: PackBroadcast,
}

/// When the broadcast operand is packed; read in place it costs a cache line a term if k is not its unit stride.
#[derive(Clone, Copy)]
pub(super) enum PackBroadcast {
    /// Where those lines collide in L1 besides: a panel of four vectors hides the rest.
    Colliding,
    /// Where k is not its unit stride.
    Strided,
    /// Always: the kernels read packed columns as vectors.
    #[cfg(target_arch = "aarch64")]
    Always,
}

impl<T> fmt::Debug for Kernels<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} vectors by {} columns",
            self.vectors(),
            self.columns(self.vectors())
        )
    }
}

impl<T> Kernels<T> {
    /// Vectors in a panel of the lane operand.
    pub(super) fn vectors(&self) -> usize {
        self.tiles.len()
    }

    /// Columns in a tile of that many vectors, at most.
    pub(super) fn columns(&self, vectors: usize) -> usize {
        self.tiles[vectors - 1].len()
    }
}

/// One term: `VECTORS * COLUMNS` multiply-adds.
///
/// # Safety
/// As [`TileFn`], for one `p`.
#[inline(always)]
unsafe fn term<S: Simd, T: Float, const VECTORS: usize, const COLUMNS: usize>(
    simd: S,
    lane: *const T,
    broadcast: *const T,
    stride: isize,
    sums: &mut [[T::Vector<S>; VECTORS]; COLUMNS],
) {
    let mut lanes = [T::Vector::<S>::splat(simd, T::default()); VECTORS];
    for (v, lanes) in lanes.iter_mut().enumerate() {
        // SAFETY: the caller promises `VECTORS * LANES` readable elements at `lane`.
        *lanes = unsafe { load(simd, lane.add(v * T::LANES)) };
    }
    for (j, sums) in sums.iter_mut().enumerate() {
        // SAFETY: the caller promises an element at each column.
        let x = unsafe { *broadcast.wrapping_offset(j as isize * stride) };
        let x = T::Vector::<S>::splat(simd, x);
        for (sum, &lanes) in sums.iter_mut().zip(&lanes) {
            *sum = lanes.mul_add(x, *sum);
        }
    }
}

/// A packet from memory.
///
/// # Safety
/// `T::LANES` readable elements at `from`.
#[inline(always)]
pub(super) unsafe fn load<S: Simd, T: Float>(simd: S, from: *const T) -> T::Vector<S> {
    // SAFETY: the caller's promise; elements need no more than their own alignment.
    T::Vector::<S>::from_slice(simd, unsafe { std::slice::from_raw_parts(from, T::LANES) })
}

/// A packet to memory.
///
/// # Safety
/// `T::LANES` writable elements at `to` that nobody else accesses meanwhile.
#[inline(always)]
pub(super) unsafe fn store<S: Simd, T: Float>(to: *mut T, lanes: T::Vector<S>) {
    // SAFETY: the caller's promise.
    lanes.store_slice(unsafe { std::slice::from_raw_parts_mut(to, T::LANES) });
}

/// The tile; see [`TileFn`].
///
/// # Safety
/// As [`TileFn`].
#[inline(always)]
unsafe fn tile<S: Simd, T: Float, const VECTORS: usize, const COLUMNS: usize>(
    simd: S,
    tile: &Tile<T>,
) {
    let mut sums = [[T::Vector::<S>::splat(simd, T::default()); VECTORS]; COLUMNS];
    let (mut lane, mut broadcast) = (tile.lane, tile.broadcast);
    let (ls, bs) = (tile.lane_step, tile.broadcast_step);
    // Four terms a turn: 165 GFLOP/s instead of 151 (AVX-512, 256 x 64 x 512).
    for _ in 0..tile.k / 4 {
        for p in 0..4 {
            // SAFETY: the caller's promise for this term; pointers are only formed (wrapping) beyond the last.
            unsafe {
                term(
                    simd,
                    lane.wrapping_offset(p * ls),
                    broadcast.wrapping_offset(p * bs),
                    tile.broadcast_stride,
                    &mut sums,
                );
            }
        }
        lane = lane.wrapping_offset(4 * ls);
        broadcast = broadcast.wrapping_offset(4 * bs);
    }
    for _ in 0..tile.k % 4 {
        // SAFETY: as above.
        unsafe { term(simd, lane, broadcast, tile.broadcast_stride, &mut sums) };
        lane = lane.wrapping_offset(ls);
        broadcast = broadcast.wrapping_offset(bs);
    }

    for (j, sums) in sums.iter().enumerate() {
        let out = tile.out.wrapping_offset(j as isize * tile.out_stride);
        // SAFETY: the caller promises `lanes` elements of the output in each column, and no other access to them.
        // All vectors but the last (without `skip`) end within them; `skip + lanes` fit the buffer's vectors.
        unsafe {
            if tile.skip == 0 {
                for (v, &sum) in sums.iter().enumerate() {
                    let lanes = if v + 1 < VECTORS {
                        T::LANES
                    } else {
                        tile.lanes - v * T::LANES
                    };
                    finish(simd, out.add(v * T::LANES), sum, lanes, tile.accumulate);
                }
            } else {
                let mut buffer = [T::default(); 64];
                for (v, &sum) in sums.iter().enumerate() {
                    store(buffer.as_mut_ptr().add(v * T::LANES), sum);
                }
                for i in (0..tile.lanes).step_by(T::LANES) {
                    let lanes = T::LANES.min(tile.lanes - i);
                    let mut sum = [T::default(); 16];
                    copy_short(buffer.as_ptr().add(tile.skip + i), sum.as_mut_ptr(), lanes);
                    let sum = load(simd, sum.as_ptr());
                    finish(simd, out.add(i), sum, lanes, tile.accumulate);
                }
            }
        }
    }
}

/// Stores, or adds, the first `lanes` lanes.
///
/// # Safety
/// `lanes <= T::LANES` elements at `out` that nobody else accesses meanwhile.
#[inline(always)]
unsafe fn finish<S: Simd, T: Float>(
    simd: S,
    out: *mut T,
    sum: T::Vector<S>,
    lanes: usize,
    accumulate: bool,
) {
    // SAFETY: whole vectors only if all lanes are the caller's, else through a buffer of a vector.
    unsafe {
        if lanes == T::LANES {
            let sum = if accumulate {
                sum + load(simd, out)
            } else {
                sum
            };
            store(out, sum);
        } else {
            let mut buffer = [T::default(); 16];
            if accumulate {
                copy_short(out, buffer.as_mut_ptr(), lanes);
                let sum = sum + load(simd, buffer.as_ptr());
                store(buffer.as_mut_ptr(), sum);
            } else {
                store(buffer.as_mut_ptr(), sum);
            }
            copy_short(buffer.as_ptr(), out, lanes);
        }
    }
}

/// Copies up to 16 elements as two overlapping blocks of a fixed size: a call of `memcpy` would cost more.
///
/// # Safety
/// `len <= 16` elements, readable and writable, not overlapping.
#[inline(always)]
pub(super) unsafe fn copy_short<T: Float>(from: *const T, to: *mut T, len: usize) {
    /// # Safety
    /// `N <= len` elements as above.
    #[inline(always)]
    unsafe fn ends<T: Copy, const N: usize>(from: *const T, to: *mut T, len: usize) {
        // SAFETY: the first and the last `N` of `len` elements; arrays are aligned as their elements.
        unsafe {
            let (first, last) = (*from.cast::<[T; N]>(), *from.add(len - N).cast::<[T; N]>());
            *to.cast::<[T; N]>() = first;
            *to.add(len - N).cast::<[T; N]>() = last;
        }
    }
    // SAFETY: each size is at most `len`, and twice the size at least `len`.
    unsafe {
        match len {
            0 => {}
            1 => *to = *from,
            2..4 => ends::<T, 2>(from, to, len),
            4..8 => ends::<T, 4>(from, to, len),
            _ => ends::<T, 8>(from, to, len),
        }
    }
}

/// An entry for one level's token: features do not cross a call that is not inlined.
macro_rules! entry {
    ($name:ident, $variant:ident) => {
        unsafe fn $name<T: Float, const VECTORS: usize, const COLUMNS: usize>(
            token: Token,
            operands: &Tile<T>,
        ) {
            let Token::$variant(simd) = token else {
                unreachable!("the table was chosen by this token")
            };
            simd.vectorize(
                #[inline(always)]
                // SAFETY: the same contract.
                || unsafe { tile::<_, T, VECTORS, COLUMNS>(simd, operands) },
            );
        }
    };
}
#[cfg(target_arch = "x86_64")]
entry!(avx512, Avx512);
#[cfg(target_arch = "x86_64")]
entry!(avx2, Avx2);
#[cfg(target_arch = "x86_64")]
entry!(sse2, Sse2);
#[cfg(target_arch = "aarch64")]
entry!(neon, Neon);

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn other<T: Float, const VECTORS: usize, const COLUMNS: usize>(
    token: Token,
    operands: &Tile<T>,
) {
    fearless_simd::dispatch!(token, simd => {
        // SAFETY: the same contract.
        unsafe { tile::<_, T, VECTORS, COLUMNS>(simd, operands) }
    });
}

/// The tables of one element type. Shapes: the registers of the level less one vector of lanes and one broadcast.
///
/// A packet is 1, 2 or 4 registers: 4 packets x 6 columns of 32 registers (AVX-512), 1 x 6 of 16 with 2 a packet
/// (AVX2) or of 32 with 4 a packet (NEON), 1 x 3 of 16 with 4 a packet (SSE2: 37 GFLOP/s, 36 with 2 columns). One
/// AVX-512 vector gets 8 columns: 6 multiply-adds in flight do not cover 2 a cycle with a latency of 4.
macro_rules! tables {
    ($t:ident) => {
        pub(super) fn $t(token: Token) -> &'static Kernels<$t> {
            #[cfg(target_arch = "x86_64")]
            static AVX512: Kernels<$t> = Kernels {
                tiles: &[
                    &row!(avx512, $t, 1, [1, 2, 3, 4, 5, 6, 7, 8]),
                    &row!(avx512, $t, 2, [1, 2, 3, 4, 5, 6]),
                    &row!(avx512, $t, 3, [1, 2, 3, 4, 5, 6]),
                    &row!(avx512, $t, 4, [1, 2, 3, 4, 5, 6]),
                ],
                whole: whole::AVX512.$t,
                pack_broadcast: PackBroadcast::Colliding,
            };
            #[cfg(target_arch = "x86_64")]
            static AVX2: Kernels<$t> = Kernels {
                tiles: &[&row!(avx2, $t, 1, [1, 2, 3, 4, 5, 6])],
                whole: whole::AVX2.$t,
                pack_broadcast: PackBroadcast::Strided,
            };
            #[cfg(target_arch = "x86_64")]
            static SSE2: Kernels<$t> = Kernels {
                tiles: &[&row!(sse2, $t, 1, [1, 2, 3])],
                whole: None,
                pack_broadcast: PackBroadcast::Strided,
            };
            // Four columns, not six, because `gemm`'s kernels have four and read them as one vector when packed.
            #[cfg(target_arch = "aarch64")]
            static NEON: Kernels<$t> = Kernels {
                tiles: &[&row!(neon, $t, 1, [1, 2, 3, 4])],
                whole: whole::NEON.$t,
                pack_broadcast: PackBroadcast::Always,
            };
            #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
            static OTHER: Kernels<$t> = Kernels {
                tiles: &[&row!(other, $t, 1, [1, 2, 3])],
                whole: None,
                pack_broadcast: PackBroadcast::Strided,
            };
            match token {
                #[cfg(target_arch = "x86_64")]
                Token::Avx512(_) => &AVX512,
                #[cfg(target_arch = "x86_64")]
                Token::Avx2(_) => &AVX2,
                #[cfg(target_arch = "x86_64")]
                Token::Sse2(_) => &SSE2,
                #[cfg(target_arch = "aarch64")]
                Token::Neon(_) => &NEON,
                #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
                _ => &OTHER,
                #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
                _ => unreachable!("Level::token returns the levels above only"),
            }
        }
    };
}

macro_rules! row {
    ($entry:ident, $t:ident, $vectors:literal, [$($columns:literal),*]) => {
        [$($entry::<$t, $vectors, $columns> as TileFn<$t>),*]
    };
}
tables!(f32);
tables!(f64);
