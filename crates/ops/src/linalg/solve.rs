//! Solving with one matrix, column-major in scratch, in place of the right side, row-major.

use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_unit_lower_triangular_in_place,
    solve_unit_upper_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::reborrow::ReborrowMut;
use faer::{MatMut, MatRef, Par};

use super::{Element, Solver};

/// The first zero on the diagonal of `a`.
fn zero_pivot<T: Element>(a: &[T], n: usize) -> Option<usize> {
    (0..n).find(|&i| a[i * (n + 1)] == T::default())
}

/// `b = a^-1 b` for a triangular `a`.
///
/// # Errors
/// The first pivot that is zero.
pub(super) fn triangular<T: Element>(
    a: &[T],
    b: &mut [T],
    n: usize,
    how: Solver,
) -> Result<(), usize> {
    if !how.unit
        && let Some(pivot) = zero_pivot(a, n)
    {
        return Err(pivot);
    }
    let columns = b.len() / n.max(1);
    let a = MatRef::from_column_major_slice(a, n, n);
    let b = MatMut::from_row_major_slice_mut(b, n, columns);
    match (how.upper, how.unit) {
        (false, false) => solve_lower_triangular_in_place(a, b, Par::Seq),
        (false, true) => solve_unit_lower_triangular_in_place(a, b, Par::Seq),
        (true, false) => solve_upper_triangular_in_place(a, b, Par::Seq),
        (true, true) => solve_unit_upper_triangular_in_place(a, b, Par::Seq),
    }
    Ok(())
}

/// `b = (L U)^-1 b`, or of the transposed product.
///
/// # Errors
/// The first pivot that is zero.
pub(super) fn factored<T: Element>(
    lu: &[T],
    b: &mut [T],
    n: usize,
    transposed: bool,
) -> Result<(), usize> {
    if let Some(pivot) = zero_pivot(lu, n) {
        return Err(pivot);
    }
    let columns = b.len() / n.max(1);
    let lu = MatRef::from_column_major_slice(lu, n, n);
    let mut b = MatMut::from_row_major_slice_mut(b, n, columns);
    if transposed {
        solve_lower_triangular_in_place(lu.transpose(), b.rb_mut(), Par::Seq);
        solve_unit_upper_triangular_in_place(lu.transpose(), b, Par::Seq);
    } else {
        solve_unit_lower_triangular_in_place(lu, b.rb_mut(), Par::Seq);
        solve_upper_triangular_in_place(lu, b, Par::Seq);
    }
    Ok(())
}
