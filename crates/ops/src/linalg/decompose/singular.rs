//! Singular values and vectors: reflections make the matrix bidiagonal, rotations diagonal (Golub and Van Loan, Matrix
//! Computations, 8.6; without a shift, as Demmel and Kahan 1990, where the bidiagonal matrix is singular).

use super::reflect::{add_multiple, multiply_out, reflect, reflection};
use super::rotate::Rotation;
use super::{order, sweep_all, two_columns, upright};

pub(super) struct Singular<'a> {
    /// Columns.
    pub(super) left: &'a [f64],
    /// Descending.
    pub(super) values: &'a [f64],
    /// Columns.
    pub(super) right: &'a [f64],
}

pub(super) fn scratch_len(m: usize, n: usize) -> usize {
    let (long, short) = (m.max(n), m.min(n));
    // A wide matrix is transposed, for which it takes a copy in the place of the right vectors.
    long * short + long.max(short) * short + 4 * short + 2 * long
}

/// Of the matrix at the beginning of `scratch`.
pub(super) fn singular(m: usize, n: usize, scratch: &mut [f64]) -> Singular<'_> {
    let (long, short) = (m.max(n), m.min(n));
    let (a, rest) = scratch.split_at_mut(long * short);
    let (copy, rest) = rest.split_at_mut(long * short);
    if m < n {
        copy.copy_from_slice(a);
        for (j, column) in a.chunks_exact_mut(long.max(1)).enumerate() {
            let row = copy[j..].iter().step_by(m);
            column.iter_mut().zip(row).for_each(|(x, &y)| *x = y);
        }
    }
    let v = &mut copy[..short * short];
    let (d, rest) = rest.split_at_mut(short);
    let (e, rest) = rest.split_at_mut(short);
    let (lefts, rest) = rest.split_at_mut(short);
    let (rights, work) = rest.split_at_mut(short);
    bidiagonal((long, short), a, v, (d, e), (lefts, rights), work);
    multiply_out(a, long, 0, lefts, work);
    multiply_out(v, short, 1, rights, work);
    if diagonalise((long, short), d, e, a, v) {
        for (value, column) in d.iter_mut().zip(v.chunks_exact_mut(short.max(1))) {
            if *value < 0.0 {
                *value = -*value;
                column.iter_mut().for_each(|x| *x = -*x);
            }
        }
        order(
            d,
            |x, y| x > y,
            |i, j| {
                for (columns, rows) in [(&mut *a, long), (&mut *v, short)] {
                    let (x, y) = two_columns(columns, rows, i, j);
                    x.swap_with_slice(y);
                }
            },
        );
        let (left, right) = if m < n { (v, a) } else { (a, v) };
        let columns = left
            .chunks_exact_mut(m.max(1))
            .zip(right.chunks_exact_mut(n.max(1)));
        for (left, right) in columns {
            if upright(left) {
                right.iter_mut().for_each(|x| *x = -*x);
            }
        }
        return Singular {
            left,
            values: d,
            right,
        };
    }
    // It is not known to happen.
    for x in [&mut *a, v, d] {
        x.fill(f64::NAN);
    }
    let (left, right) = if m < n { (&*v, &*a) } else { (&*a, &*v) };
    Singular {
        left,
        values: d,
        right,
    }
}

/// Diagonal `d` and superdiagonal `e` of an upper bidiagonal matrix that `a` becomes by reflections from the left, put into
/// `a`, and from the right, put into `v` from column 1 on.
fn bidiagonal(
    (m, n): (usize, usize),
    a: &mut [f64],
    v: &mut [f64],
    (d, e): (&mut [f64], &mut [f64]),
    (lefts, rights): (&mut [f64], &mut [f64]),
    work: &mut [f64],
) {
    for k in 0..n {
        let (own, after) = a[k * m..].split_at_mut(m);
        let u = &mut own[k..];
        (lefts[k], d[k]) = reflection(u);
        after
            .chunks_exact_mut(m)
            .for_each(|column| reflect(&mut column[k..], u, lefts[k]));
        if k + 1 == n {
            break;
        }
        let row = &mut v[(k + 1) * n + k + 1..][..n - k - 1];
        row.iter_mut()
            .zip(after[k..].iter().step_by(m))
            .for_each(|(x, &y)| *x = y);
        (rights[k], e[k]) = reflection(row);
        // All rows below: A - (A v) t v^T.
        let product = &mut work[..m - k - 1];
        product.fill(0.0);
        for (column, &x) in after.chunks_exact(m).zip(&*row) {
            add_multiple(product, x, &column[k + 1..]);
        }
        for (column, &x) in after.chunks_exact_mut(m).zip(&*row) {
            add_multiple(&mut column[k + 1..], -rights[k] * x, product);
        }
    }
}

/// Rotates the bidiagonal matrix to a diagonal one, and the columns of `u` and `v` with it. Whether it came to an end.
fn diagonalise(
    (m, n): (usize, usize),
    d: &mut [f64],
    e: &mut [f64],
    u: &mut [f64],
    v: &mut [f64],
) -> bool {
    sweep_all(d, e, |d, e, (first, last), zero| {
        // One sweep without a shift takes a zero on the diagonal, exactly one, to the end of a row that is zero then.
        let mut singular = false;
        for x in d[first..=last].iter_mut().filter(|x| x.abs() <= zero) {
            (*x, singular) = (0.0, true);
        }
        let mut f = d[first];
        if !singular {
            // The eigenvalue of the last 2 by 2 of B^T B that is next to its last element.
            let above = if last - 1 > first { e[last - 2] } else { 0.0 };
            let corner = d[last] * d[last] + e[last - 1] * e[last - 1];
            let half = (d[last - 1] * d[last - 1] + above * above - corner) * 0.5;
            let off = d[last - 1] * e[last - 1];
            let root = (half * half + off * off).sqrt().copysign(half);
            let shift = corner - off * (off / (half + root));
            f -= shift / d[first];
        }
        let mut g = e[first];
        for k in first..last {
            // From the right, columns k and k + 1.
            let (turn, r) = Rotation::to_first(f, g);
            if k > first {
                e[k - 1] = r;
            }
            let diagonal;
            (diagonal, e[k]) = turn.of(d[k], e[k]);
            let below = turn.s * d[k + 1];
            d[k + 1] *= turn.c;
            turn.turn(two_columns(v, n, k, k + 1));
            // From the left, rows k and k + 1.
            let (turn, r) = Rotation::to_first(diagonal, below);
            d[k] = r;
            (e[k], d[k + 1]) = turn.of(e[k], d[k + 1]);
            if k + 1 < last {
                (f, g) = (e[k], turn.s * e[k + 1]);
                e[k + 1] *= turn.c;
            }
            turn.turn(two_columns(u, m, k, k + 1));
        }
    })
}
