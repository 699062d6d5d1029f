//! Factorisations of one matrix, column-major in scratch, block by block: `faer` factors blocks, products update.

use faer::linalg::cholesky::llt::factor::{
    LltError, LltRegularization, cholesky_in_place, cholesky_in_place_scratch,
};
use faer::linalg::lu::partial_pivoting::factor::{
    PartialPivLuParams, lu_in_place, lu_in_place_scratch,
};
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_unit_lower_triangular_in_place,
};
use faer::{Auto, MatMut, MatRef, Par, Spec};
use retrograde_storage::{PACKET_BYTES, Packet};

use super::Element;
use super::scratch::{packets, stack, take};
use super::update::{BLOCK, SIDES, Update, blocks};
use crate::Level;
use crate::product::{Operands, Strides};

/// The update of the block column at `p`: of all rows from `p` on, by all columns before.
fn cholesky_update(n: usize, p: usize) -> Update {
    Update {
        extents: [n - p, BLOCK.min(n - p), p],
        strides: [
            Strides::column_major(n),
            // The rows of the block, transposed.
            Strides::column_major(BLOCK).transposed(),
            Strides::column_major(n),
        ],
    }
}

/// Packets that [`cholesky`] takes beside the matrix.
pub(super) fn cholesky_packets<T: Element>(level: Level, n: usize) -> usize {
    let block = BLOCK.min(n);
    let request = cholesky_in_place_scratch::<T>(block, Par::Seq, Spec::default());
    let own = request.unaligned_bytes_required().div_ceil(PACKET_BYTES);
    let update = blocks(n)
        .skip(1)
        .map(|p| cholesky_update(n, p).scratch_packets::<T>(level));
    packets(BLOCK * n, size_of::<T>()) + own.max(update.max().unwrap_or(0))
}

/// Overwrites the lower triangle of `a` by its Cholesky factor.
///
/// # Errors
/// The first pivot that is not positive.
pub(super) fn cholesky<T: Element>(
    level: Level,
    a: &mut [T],
    n: usize,
    scratch: &mut [Packet],
) -> Result<(), usize> {
    let (negated, scratch) = take::<T>(scratch, BLOCK * n);
    for p in blocks(n) {
        let width = BLOCK.min(n - p);
        if p > 0 {
            for (j, to) in negated.chunks_exact_mut(BLOCK).take(p).enumerate() {
                let from = &a[j * n + p..][..width];
                to.iter_mut().zip(from).for_each(|(to, &x)| *to = -x);
            }
            let at = a.as_mut_ptr();
            let operands = Operands {
                a: at.wrapping_add(p),
                b: negated.as_ptr(),
                c: at.wrapping_add(p * n + p),
            };
            // SAFETY: A is rows `p..n` of columns `0..p`, C the same rows of columns `p..p + width`, all in `a`; B is
            // what was just written, in a buffer of its own.
            unsafe { cholesky_update(n, p).run(level, operands, scratch) };
        }
        let (_, below) = MatMut::from_column_major_slice_mut(a, n, n)
            .subcols_mut(p, width)
            .split_at_row_mut(p);
        let (mut block, below) = below.split_at_row_mut(width);
        cholesky_in_place(
            block.as_mut(),
            LltRegularization::default(),
            Par::Seq,
            stack(scratch),
            Spec::default(),
        )
        .map_err(|LltError::NonPositivePivot { index }| p + index)?;
        let mut below = below;
        for row in (0..below.nrows()).step_by(SIDES) {
            let rows = SIDES.min(below.nrows() - row);
            let sides = below.as_mut().subrows_mut(row, rows);
            solve_lower_triangular_in_place(block.as_ref(), sides.transpose_mut(), Par::Seq);
        }
    }
    Ok(())
}

/// The update of what is right of and below the block at `p`.
fn lu_update(n: usize, p: usize) -> Update {
    let rest = n - p - BLOCK;
    Update {
        extents: [rest, rest, BLOCK],
        strides: [n, BLOCK, n].map(Strides::column_major),
    }
}

/// Factors of a panel as wide as a block, column by column.
fn panel<T: Element>() -> Spec<PartialPivLuParams, T> {
    PartialPivLuParams {
        recursion_threshold: BLOCK,
        ..<PartialPivLuParams as Auto<T>>::auto()
    }
    .into()
}

/// Packets that [`lu`] takes beside the matrix.
pub(super) fn lu_packets<T: Element>(level: Level, n: usize) -> usize {
    let request = lu_in_place_scratch::<u32, T>(n, BLOCK.min(n), Par::Seq, panel());
    let own = request.unaligned_bytes_required().div_ceil(PACKET_BYTES);
    let update = blocks(n.saturating_sub(BLOCK))
        .map(|p| lu_update(n, p).scratch_packets::<T>(level))
        .max();
    3 * packets(n, size_of::<u32>())
        + packets(n, size_of::<T>())
        + packets(BLOCK * n, size_of::<T>())
        + own.max(update.unwrap_or(0))
}

/// Overwrites `a` by its LU factors with partial pivoting; returns which row of `a` each row of their product is.
pub(super) fn lu<'s, T: Element>(
    level: Level,
    a: &mut [T],
    n: usize,
    scratch: &'s mut [Packet],
) -> &'s [u32] {
    let (rows, rest) = take::<u32>(scratch, n);
    let (forward, rest) = take::<u32>(rest, n);
    let (inverse, rest) = take::<u32>(rest, n);
    let (column, rest) = take::<T>(rest, n);
    let (negated, scratch) = take::<T>(rest, BLOCK * n);
    rows.iter_mut().zip(0..).for_each(|(row, i)| *row = i);
    for p in blocks(n) {
        let (width, height) = (BLOCK.min(n - p), n - p);
        let forward = &mut forward[..height];
        lu_in_place(
            MatMut::from_column_major_slice_mut(a, n, n).submatrix_mut(p, p, height, width),
            forward,
            &mut inverse[..height],
            Par::Seq,
            stack(scratch),
            panel(),
        );
        // The panel's rows were exchanged; those of the other columns follow.
        let others = (0..p).chain(p + width..n);
        others.for_each(|j| exchange(&mut a[j * n + p..][..height], forward, column));
        exchange(&mut rows[p..], forward, &mut inverse[..height]);
        if width < height {
            let rest = height - width;
            let (left, mut right) =
                MatMut::from_column_major_slice_mut(a, n, n).split_at_col_mut(p + width);
            let block = left.as_ref().submatrix(p, p, width, width);
            for j in (0..rest).step_by(SIDES) {
                let count = SIDES.min(rest - j);
                let sides = right.as_mut().submatrix_mut(p, j, width, count);
                solve_unit_lower_triangular_in_place(block, sides, Par::Seq);
            }
            negate(right.as_ref().subrows(p, width), negated);
            let at = a.as_mut_ptr();
            let below = p * n + p + width;
            let operands = Operands {
                a: at.wrapping_add(below),
                b: negated.as_ptr(),
                c: at.wrapping_add(below + width * n),
            };
            // SAFETY: A is the rows below the block of the block's columns, C the same rows of the columns after, all in
            // `a`; B is what was just written, in a buffer of its own.
            unsafe { lu_update(n, p).run(level, operands, scratch) };
        }
    }
    rows
}

/// `x[i] = x[from[i]]`, by way of `copy`.
fn exchange<T: Copy>(x: &mut [T], from: &[u32], copy: &mut [T]) {
    let copy = &mut copy[..x.len()];
    copy.copy_from_slice(x);
    x.iter_mut()
        .zip(from)
        .for_each(|(x, &i)| *x = copy[i as usize]);
}

/// The negative of rows of a whole block, column-major.
fn negate<T: Element>(of: MatRef<'_, T>, to: &mut [T]) {
    for (column, to) in of.col_iter().zip(to.chunks_exact_mut(BLOCK)) {
        to.iter_mut()
            .zip(column.iter())
            .for_each(|(to, &x)| *to = -x);
    }
}
