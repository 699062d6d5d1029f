//! Solving with one matrix, column-major in scratch, in place of the right side, row-major: `faer` solves with the blocks
//! on the diagonal, products take what is solved from the rows that are left.

use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_unit_lower_triangular_in_place,
    solve_unit_upper_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::{MatMut, MatRef, Par};
use retrograde_storage::Packet;

use super::scratch::{packets, take};
use super::update::{BLOCK, SIDES, Update, blocks};
use super::{Element, Solver};
use crate::Level;
use crate::product::{Operands, Strides};

/// The first zero on the diagonal of `a`.
fn zero_pivot<T: Element>(a: &[T], n: usize) -> Option<usize> {
    (0..n).find(|&i| a[i * (n + 1)] == T::default())
}

/// A triangle of `n` rows for right sides of `k` columns.
#[derive(Clone, Copy)]
struct Triangle {
    n: usize,
    k: usize,
    upper: bool,
    unit: bool,
    /// The matrix is the transpose of the one in memory.
    transposed: bool,
}

impl Triangle {
    fn strides(&self) -> Strides {
        let stored = Strides::column_major(self.n);
        if self.transposed {
            stored.transposed()
        } else {
            stored
        }
    }

    /// The update of so many rows.
    fn update(&self, rows: usize, solved: usize) -> Update {
        let sides = Strides::row_major(self.k);
        Update {
            extents: [rows, self.k, solved],
            strides: [self.strides(), sides, sides],
        }
    }

    fn packets<T: Element>(&self, level: Level) -> usize {
        let update = blocks(self.n).filter_map(|p| {
            let width = BLOCK.min(self.n - p);
            let rows = if self.upper { p } else { self.n - p - width };
            (rows > 0).then(|| self.update(rows, width).scratch_packets::<T>(level))
        });
        packets(BLOCK * self.k, size_of::<T>()) + update.max().unwrap_or(0)
    }

    /// `b = a^-1 b`.
    fn solve<T: Element>(&self, level: Level, a: &[T], b: &mut [T], scratch: &mut [Packet]) {
        let &Self { n, k, upper, .. } = self;
        let (negated, scratch) = take::<T>(scratch, BLOCK * k);
        let mut one = |p: usize| {
            let width = BLOCK.min(n - p);
            let rows = p..p + width;
            self.block(a, p, width, &mut b[p * k..][..width * k]);
            let left = if upper { 0..p } else { rows.end..n };
            if left.is_empty() || k == 0 {
                return;
            }
            let solved = &b[p * k..][..width * k];
            negated.iter_mut().zip(solved).for_each(|(to, &x)| *to = -x);
            let Strides { row, column } = self.strides();
            let operands = Operands {
                a: a.as_ptr()
                    .wrapping_offset(left.start as isize * row + p as isize * column),
                b: negated.as_ptr(),
                c: b.as_mut_ptr().wrapping_add(left.start * k),
            };
            let update = self.update(left.len(), width);
            // SAFETY: A is rows `left` of the block's columns of `a`, C rows `left` of `b`; B is what was just written.
            // The three are buffers of their own.
            unsafe { update.run(level, operands, scratch) };
        };
        if upper {
            blocks(n).rev().for_each(&mut one);
        } else {
            blocks(n).for_each(&mut one);
        }
    }

    /// Solves with the block on the diagonal at `p`.
    fn block<T: Element>(&self, a: &[T], p: usize, width: usize, b: &mut [T]) {
        let a = MatRef::from_column_major_slice(a, self.n, self.n);
        let a = if self.transposed { a.transpose() } else { a };
        let a = a.submatrix(p, p, width, width);
        let mut b = MatMut::from_row_major_slice_mut(b, width, self.k);
        for j in (0..self.k).step_by(SIDES) {
            let b = b.as_mut().subcols_mut(j, SIDES.min(self.k - j));
            match (self.upper, self.unit) {
                (false, false) => solve_lower_triangular_in_place(a, b, Par::Seq),
                (false, true) => solve_unit_lower_triangular_in_place(a, b, Par::Seq),
                (true, false) => solve_upper_triangular_in_place(a, b, Par::Seq),
                (true, true) => solve_unit_upper_triangular_in_place(a, b, Par::Seq),
            }
        }
    }
}

/// The triangles of a solve, in order.
fn triangles(of_factors: bool, how: Solver, n: usize, k: usize) -> [Option<Triangle>; 2] {
    let triangle = |upper, unit, transposed| {
        Some(Triangle {
            n,
            k,
            upper,
            unit,
            transposed,
        })
    };
    match (of_factors, how.transposed) {
        (false, _) => [triangle(how.upper, how.unit, false), None],
        (true, false) => [triangle(false, true, false), triangle(true, false, false)],
        // U^T, then L^T.
        (true, true) => [triangle(false, false, true), triangle(true, true, true)],
    }
}

/// Packets that solving takes beside matrix and right side.
pub(super) fn solve_packets<T: Element>(
    level: Level,
    of_factors: bool,
    how: Solver,
    n: usize,
    k: usize,
) -> usize {
    let triangles = triangles(of_factors, how, n, k);
    let each = triangles.iter().flatten().map(|t| t.packets::<T>(level));
    each.max().unwrap_or(0)
}

/// `b = a^-1 b` for a triangular `a`, or with its LU factors in `a`.
///
/// # Errors
/// The first pivot that is zero.
pub(super) fn solve<T: Element>(
    level: Level,
    (of_factors, how): (bool, Solver),
    a: &[T],
    b: &mut [T],
    n: usize,
    scratch: &mut [Packet],
) -> Result<(), usize> {
    if (of_factors || !how.unit)
        && let Some(pivot) = zero_pivot(a, n)
    {
        return Err(pivot);
    }
    let k = b.len() / n.max(1);
    for triangle in triangles(of_factors, how, n, k).iter().flatten() {
        triangle.solve(level, a, b, scratch);
    }
    Ok(())
}
