//! Matrix by vector, and dot products: a micro-kernel of one column would leave most multiply-adds idle.
//!
//! Element i is the sum over k of `matrix[i, k] * x[k]`, defined by the shape alone: within a piece of [`PIECE`] terms,
//! term p is added to partial sum `p % LANES`, in ascending order, one multiply-add a term; pieces' partial sums add up
//! lane by lane; a tree folds the lanes at the end (halves onto each other). Both forms below compute just that:
//!
//! - *rows*, where a row of the matrix is contiguous: a vector of partial sums a row;
//! - *columns*, where a column is contiguous: a vector of rows a partial sum.
//!
//! A matrix with neither unit stride goes to the first form row by row through a buffer.
//!
//! As pieces are summed apart, threads may share out the pieces of one chunk of outputs ([`run_pieces`]) and one of them
//! add up what they left ([`add_pieces`]): for a matrix of few long columns side by side, of which strips of outputs would
//! read a line or two in each place.

use std::ops::Range;

use fearless_simd::{Simd, SimdBase, SimdFloat};

use super::float::Float;
use super::kernel::load;
use super::plan::Plan;
use super::run::Operands;
use super::tuning::{PIECE, VECTOR_OUTPUTS};
use crate::at_level;

/// Packets of scratch: a piece of the vector, a piece of a row, and partial sums of a piece and in total.
pub(super) fn scratch_packets<T: Float>() -> usize {
    2 * PIECE / T::LANES + 2 * VECTOR_OUTPUTS
}

/// The scratch, by name.
struct Buffers<'a, T> {
    x: &'a mut [T],
    row: &'a mut [T],
    /// Partial sums of the piece (columns form), `[lane][output]`.
    piece: &'a mut [T],
    /// Partial sums of the pieces so far: `[output][lane]` in the rows form, `[lane][output]` in the columns form.
    total: &'a mut [T],
}

/// The matrix and the vector, where a chunk of outputs starts.
#[derive(Clone, Copy)]
struct Source<T> {
    matrix: *const T,
    row_stride: isize,
    k_stride: isize,
    outputs: usize,
}

/// Elements `outputs` of the product.
///
/// # Safety
/// As [`Plan::run_block`].
pub(super) unsafe fn run<T: Float>(
    plan: &Plan<T>,
    operands: &Operands<T>,
    outputs: Range<usize>,
    scratch: &mut [T],
    accumulate: bool,
    finished: &mut impl FnMut(Range<usize>, Range<usize>),
) {
    let (x, rest) = scratch.split_at_mut(PIECE);
    let (row, rest) = rest.split_at_mut(PIECE);
    let (piece, rest) = rest.split_at_mut(VECTOR_OUTPUTS * T::LANES);
    let mut buffers = Buffers {
        x,
        row,
        piece,
        total: &mut rest[..VECTOR_OUTPUTS * T::LANES],
    };
    let (matrix, x) = if plan.swapped {
        (operands.b, operands.a)
    } else {
        (operands.a, operands.b)
    };
    for first in outputs.clone().step_by(VECTOR_OUTPUTS) {
        let chunk = first..outputs.end.min(first + VECTOR_OUTPUTS);
        let source = Source {
            matrix: matrix.wrapping_offset(first as isize * plan.lane_strides.outer),
            row_stride: plan.lane_strides.outer,
            k_stride: plan.lane_strides.k,
            outputs: chunk.len(),
        };
        // SAFETY: the chunk's rows of the matrix, and the vector.
        at_level!(plan.isa, simd => simd.vectorize(
            #[inline(always)]
            || unsafe {
                sums(simd, source, x, plan.broadcast_strides.k, plan.k, &mut buffers);
            }
        ));
        // SAFETY: elements of the block.
        unsafe { put(plan, operands, chunk.clone(), buffers.total, accumulate) };
        finished(chunk, 0..1);
    }
}

/// Writes the chunk's outputs.
///
/// # Safety
/// As [`run`], for `chunk`.
unsafe fn put<T: Float>(
    plan: &Plan<T>,
    operands: &Operands<T>,
    chunk: Range<usize>,
    sums: &[T],
    accumulate: bool,
) {
    for (i, &sum) in chunk.zip(sums) {
        // SAFETY: element `i` of the block.
        unsafe {
            let out = operands
                .c
                .wrapping_offset(i as isize * plan.out_lane_stride);
            *out = if accumulate { sum + *out } else { sum };
        }
    }
}

/// Packets of partial sums that each piece of a plan that is cut by terms leaves.
pub(super) fn piece_packets<T: Float>(plan: &Plan<T>) -> usize {
    plan.lanes.next_multiple_of(T::LANES)
}

/// The chunks of outputs, each with where its partial sums start among those of a piece.
fn chunks<T: Float>(plan: &Plan<T>) -> impl Iterator<Item = (Range<usize>, usize)> {
    let lanes = plan.lanes;
    (0..lanes)
        .step_by(VECTOR_OUTPUTS)
        .map(move |first| (first..lanes.min(first + VECTOR_OUTPUTS), first * T::LANES))
}

/// The partial sums of some pieces, in the columns form, which every chunk of the plan's outputs has.
///
/// # Safety
/// As [`Plan::run_part`]; `sums` is where those of piece 0 stand, or would.
pub(super) unsafe fn run_pieces<T: Float>(
    plan: &Plan<T>,
    operands: &Operands<T>,
    pieces: Range<usize>,
    scratch: &mut [T],
    sums: *mut T,
) {
    let (matrix, x) = if plan.swapped {
        (operands.b, operands.a)
    } else {
        (operands.a, operands.b)
    };
    let buffer = &mut scratch[..PIECE];
    for piece in pieces {
        let term = piece * PIECE;
        let depth = PIECE.min(plan.k - term);
        let at = sums.wrapping_add(piece * piece_packets(plan) * T::LANES);
        // SAFETY: terms of the vector.
        let x = unsafe {
            let stride = plan.broadcast_strides.k;
            contiguous(
                x.wrapping_offset(term as isize * stride),
                stride,
                depth,
                buffer,
            )
        };
        for (chunk, first) in chunks(plan) {
            let source = Source {
                matrix: matrix
                    .wrapping_offset(chunk.start as isize + term as isize * plan.lane_strides.k),
                row_stride: 1,
                k_stride: plan.lane_strides.k,
                outputs: chunk.len(),
            };
            let len = chunk.len().next_multiple_of(T::LANES) * T::LANES;
            // SAFETY: this piece's packets are ours alone; the chunk's rows of the matrix in the piece.
            unsafe {
                let sums = std::slice::from_raw_parts_mut(at.add(first), len);
                at_level!(plan.isa, simd => simd.vectorize(
                    #[inline(always)]
                    || piece_columns(simd, source, x, depth, sums)
                ));
            }
        }
    }
}

/// The outputs, from the partial sums of all pieces.
///
/// # Safety
/// As [`Plan::run_block`]; `sums` holds what [`run_pieces`] left of every piece, and nobody writes it.
pub(super) unsafe fn add_pieces<T: Float>(
    plan: &Plan<T>,
    operands: &Operands<T>,
    scratch: &mut [T],
    sums: *const T,
    accumulate: bool,
) {
    for (chunk, first) in chunks(plan) {
        let wide = chunk.len().next_multiple_of(T::LANES);
        let total = &mut scratch[..wide * T::LANES];
        total.fill(T::default());
        for piece in 0..plan.pieces() {
            let at = piece * piece_packets(plan) * T::LANES + first;
            // SAFETY: this piece's sums of the chunk.
            let sums = unsafe { std::slice::from_raw_parts(sums.add(at), total.len()) };
            at_level!(plan.isa, simd => simd.vectorize(
                #[inline(always)]
                || add_all(total, sums)
            ));
        }
        fold_columns(wide, T::LANES, total);
        // SAFETY: the caller's promise.
        unsafe { put(plan, operands, chunk, total, accumulate) };
    }
}

/// `to += sums`.
#[inline(always)]
fn add_all<T: Float>(to: &mut [T], sums: &[T]) {
    for (to, &sum) in to.iter_mut().zip(sums) {
        *to += sum;
    }
}

/// Leaves the chunk's outputs at the front of `total`.
///
/// # Safety
/// The elements of the matrix and of the vector are readable and not written meanwhile.
#[inline(always)]
unsafe fn sums<S: Simd, T: Float>(
    simd: S,
    source: Source<T>,
    x: *const T,
    x_stride: isize,
    k: usize,
    buffers: &mut Buffers<'_, T>,
) {
    let in_columns = source.k_stride != 1 && source.row_stride == 1 && source.outputs >= T::LANES;
    let wide = source.outputs.next_multiple_of(T::LANES);
    buffers.total[..wide * T::LANES].fill(T::default());
    let mut term = 0;
    // A single dot product: four pieces at a time, or each multiply-add would wait for the last.
    if source.outputs == 1 && source.k_stride == 1 && x_stride == 1 {
        while term + 4 * PIECE <= k {
            let starts = [0, 1, 2, 3].map(|i| term + i * PIECE);
            // SAFETY: four pieces within the row and the vector.
            let pieces = unsafe {
                partial(
                    simd,
                    starts.map(|p| source.matrix.wrapping_add(p)),
                    starts.map(|p| x.wrapping_add(p)),
                    PIECE,
                )
            };
            for sum in pieces {
                add_into(simd, &mut buffers.total[..T::LANES], sum);
            }
            term += 4 * PIECE;
        }
    }
    while term < k {
        let depth = PIECE.min(k - term);
        let from = x.wrapping_offset(term as isize * x_stride);
        let piece = Source {
            matrix: source
                .matrix
                .wrapping_offset(term as isize * source.k_stride),
            ..source
        };
        // SAFETY: the piece's part of the vector and the matrix.
        unsafe {
            let from = contiguous(from, x_stride, depth, buffers.x);
            if in_columns {
                columns(simd, piece, from, depth, buffers.piece, buffers.total);
            } else {
                rows(simd, piece, from, depth, buffers.row, buffers.total);
            }
        }
        term += depth;
    }
    if in_columns {
        fold_columns(wide, T::LANES, buffers.total);
    } else {
        for i in 0..source.outputs {
            let mut lanes = [T::default(); 16];
            lanes[..T::LANES].copy_from_slice(&buffers.total[i * T::LANES..][..T::LANES]);
            fold_columns(1, T::LANES, &mut lanes);
            buffers.total[i] = lanes[0];
        }
    }
}

/// Sums `lanes` rows of `width` elements onto the first, halves onto each other.
#[inline(always)]
fn fold_columns<T: Float>(width: usize, lanes: usize, rows: &mut [T]) {
    let mut half = lanes / 2;
    while half > 0 {
        let (low, high) = rows.split_at_mut(half * width);
        for (low, &high) in low.iter_mut().zip(&high[..half * width]) {
            *low += high;
        }
        half /= 2;
    }
}

/// `to += sum`.
#[inline(always)]
fn add_into<S: Simd, T: Float>(simd: S, to: &mut [T], sum: T::Vector<S>) {
    (T::Vector::<S>::from_slice(simd, to) + sum).store_slice(to);
}

/// `len` elements in a row: in place if they are, else copied to the buffer.
///
/// # Safety
/// They are readable and not written meanwhile; the result is valid as long as they and the buffer are.
#[inline(always)]
unsafe fn contiguous<T: Float>(
    from: *const T,
    stride: isize,
    len: usize,
    buffer: &mut [T],
) -> *const T {
    if stride == 1 {
        return from;
    }
    for (i, to) in buffer[..len].iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *to = unsafe { *from.wrapping_offset(i as isize * stride) };
    }
    buffer.as_ptr()
}

/// The partial sums of `R` dot products of `depth` terms.
///
/// # Safety
/// `depth` readable elements at each pointer.
#[inline(always)]
unsafe fn partial<S: Simd, T: Float, const R: usize>(
    simd: S,
    rows: [*const T; R],
    x: [*const T; R],
    depth: usize,
) -> [T::Vector<S>; R] {
    let mut sums = [T::Vector::<S>::splat(simd, T::default()); R];
    let whole = depth / T::LANES * T::LANES;
    for p in (0..whole).step_by(T::LANES) {
        for r in 0..R {
            // SAFETY: `p + LANES <= depth`.
            unsafe {
                sums[r] =
                    load::<S, T>(simd, rows[r].add(p)).mul_add(load(simd, x[r].add(p)), sums[r]);
            }
        }
    }
    if whole < depth {
        for r in 0..R {
            let (mut row, mut vector) = ([T::default(); 16], [T::default(); 16]);
            for p in whole..depth {
                // SAFETY: `p < depth`.
                unsafe {
                    row[p - whole] = *rows[r].add(p);
                    vector[p - whole] = *x[r].add(p);
                }
            }
            // The lanes beyond add 0 * 0; `columns` adds 0 to the same lanes.
            let row = T::Vector::<S>::from_slice(simd, &row[..T::LANES]);
            let vector = T::Vector::<S>::from_slice(simd, &vector[..T::LANES]);
            sums[r] = row.mul_add(vector, sums[r]);
        }
    }
    sums
}

/// The rows form of one piece: `total[output][lane] += ...`.
///
/// # Safety
/// The piece's elements are readable, `x` points to `depth` of them.
#[inline(always)]
unsafe fn rows<S: Simd, T: Float>(
    simd: S,
    source: Source<T>,
    x: *const T,
    depth: usize,
    buffer: &mut [T],
    total: &mut [T],
) {
    let row = |i: usize| {
        source
            .matrix
            .wrapping_offset(i as isize * source.row_stride)
    };
    let mut i = 0;
    if source.k_stride == 1 {
        while i + 4 <= source.outputs {
            // SAFETY: four rows of the piece.
            let sums = unsafe { partial(simd, [0, 1, 2, 3].map(|r| row(i + r)), [x; 4], depth) };
            for (r, sum) in sums.into_iter().enumerate() {
                add_into(simd, &mut total[(i + r) * T::LANES..][..T::LANES], sum);
            }
            i += 4;
        }
    }
    while i < source.outputs {
        // SAFETY: a row of the piece, in place or copied.
        let [sum] = unsafe {
            let row = contiguous(row(i), source.k_stride, depth, buffer);
            partial(simd, [row], [x], depth)
        };
        add_into(simd, &mut total[i * T::LANES..][..T::LANES], sum);
        i += 1;
    }
}

/// The columns form of one piece: `total[lane][output] += ...`.
///
/// # Safety
/// As [`rows`], with the elements of a column contiguous and a vector of them at least.
#[inline(always)]
unsafe fn columns<S: Simd, T: Float>(
    simd: S,
    source: Source<T>,
    x: *const T,
    depth: usize,
    piece: &mut [T],
    total: &mut [T],
) {
    let len = source.outputs.next_multiple_of(T::LANES) * T::LANES;
    // SAFETY: passed on.
    unsafe { piece_columns(simd, source, x, depth, &mut piece[..len]) };
    add_all(&mut total[..len], &piece[..len]);
}

/// The partial sums of one piece by themselves: `piece[lane][output] = ...`.
///
/// # Safety
/// As [`columns`].
#[inline(always)]
unsafe fn piece_columns<S: Simd, T: Float>(
    simd: S,
    source: Source<T>,
    x: *const T,
    depth: usize,
    piece: &mut [T],
) {
    let outputs = source.outputs;
    let wide = outputs.next_multiple_of(T::LANES);
    piece[..wide * T::LANES].fill(T::default());
    for first in (0..depth).step_by(4 * T::LANES) {
        for l in 0..T::LANES.min(depth - first) {
            let from = Source {
                matrix: source
                    .matrix
                    .wrapping_offset((first + l) as isize * source.k_stride),
                ..source
            };
            let x = x.wrapping_add(first + l);
            let sums = &mut piece[l * wide..][..outputs];
            // Terms of the same partial sum, up to four of them while it is in registers.
            // SAFETY: terms `first + l + t * LANES < depth` of the piece, for `t` below that number.
            unsafe {
                match (depth - first - l).div_ceil(T::LANES) {
                    1 => add_columns::<S, T, 1>(simd, from, x, sums),
                    2 => add_columns::<S, T, 2>(simd, from, x, sums),
                    3 => add_columns::<S, T, 3>(simd, from, x, sums),
                    _ => add_columns::<S, T, 4>(simd, from, x, sums),
                }
            }
        }
    }
    // What the rows form adds to the lanes of a last vector that the piece does not fill.
    if !depth.is_multiple_of(T::LANES) {
        for sum in &mut piece[depth % T::LANES * wide..T::LANES * wide] {
            *sum += T::default();
        }
    }
}

/// `sums += ` columns `0`, `LANES`, ... of the source by the same elements of `x`.
///
/// # Safety
/// Those `N` columns and elements are readable; there are `T::LANES` sums at least, one a row.
#[inline(always)]
unsafe fn add_columns<S: Simd, T: Float, const N: usize>(
    simd: S,
    source: Source<T>,
    x: *const T,
    sums: &mut [T],
) {
    let mut terms = [T::Vector::<S>::splat(simd, T::default()); N];
    let mut columns = [source.matrix; N];
    for t in 0..N {
        // SAFETY: the caller's promise.
        terms[t] = T::Vector::<S>::splat(simd, unsafe { *x.add(t * T::LANES) });
        columns[t] = source
            .matrix
            .wrapping_offset((t * T::LANES) as isize * source.k_stride);
    }
    let add = |at: usize, mut sum: T::Vector<S>| {
        for t in 0..N {
            // SAFETY: rows `at..at + LANES` of a column.
            sum = unsafe { load::<S, T>(simd, columns[t].add(at)) }.mul_add(terms[t], sum);
        }
        sum
    };
    let whole = sums.len() / T::LANES * T::LANES;
    for at in (0..whole).step_by(T::LANES) {
        let sums = &mut sums[at..at + T::LANES];
        add(at, T::Vector::<S>::from_slice(simd, sums)).store_slice(sums);
    }
    if whole < sums.len() {
        // The last vector starts early enough to end with the column. Its first lanes would be added twice: they are
        // computed, and not stored.
        let at = sums.len() - T::LANES;
        let mut buffer = [T::default(); 16];
        let sum = add(at, T::Vector::<S>::from_slice(simd, &sums[at..]));
        sum.store_slice(&mut buffer[..T::LANES]);
        sums[whole..].copy_from_slice(&buffer[whole - at..T::LANES]);
    }
}
