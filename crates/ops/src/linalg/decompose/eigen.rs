//! Eigenvalues and eigenvectors of a symmetric matrix: reflections make it tridiagonal, rotations diagonal (Golub and Van
//! Loan, Matrix Computations, 8.3: the implicit QR iteration with Wilkinson's shift).

use super::reflect::{add_multiple, dot, multiply_out, reflection};
use super::rotate::Rotation;
use super::{order, sweep_all, two_columns, upright};

pub(super) struct Eigen<'a> {
    /// Ascending.
    pub(super) values: &'a [f64],
    /// Columns.
    pub(super) vectors: &'a [f64],
}

pub(super) fn scratch_len(n: usize) -> usize {
    2 * n * n + 4 * n
}

/// Of the matrix at the beginning of `scratch`, of which the lower triangle is read.
pub(super) fn eigen(n: usize, scratch: &mut [f64]) -> Eigen<'_> {
    let (a, rest) = scratch.split_at_mut(n * n);
    let (q, rest) = rest.split_at_mut(n * n);
    let (d, rest) = rest.split_at_mut(n);
    let (e, rest) = rest.split_at_mut(n);
    let (factors, work) = rest.split_at_mut(n);
    tridiagonal(n, a, q, (d, e), (factors, work));
    multiply_out(q, n, 1, factors, work);
    if diagonalise(n, d, e, q) {
        order(
            d,
            |x, y| x < y,
            |i, j| {
                let (x, y) = two_columns(q, n, i, j);
                x.swap_with_slice(y);
            },
        );
        q.chunks_exact_mut(n.max(1)).for_each(|column| {
            upright(column);
        });
    } else {
        // It is not known to happen.
        d.fill(f64::NAN);
        q.fill(f64::NAN);
    }
    Eigen {
        values: d,
        vectors: q,
    }
}

/// Diagonal `d` and subdiagonal `e` of a tridiagonal matrix that is similar to `a` by the reflections put into `q` from
/// column 1 on.
fn tridiagonal(
    n: usize,
    a: &mut [f64],
    q: &mut [f64],
    (d, e): (&mut [f64], &mut [f64]),
    (factors, work): (&mut [f64], &mut [f64]),
) {
    // Whole columns are faster than triangles of half the size.
    for j in 0..n {
        (0..j).for_each(|i| a[j * n + i] = a[i * n + j]);
    }
    for k in 0..n {
        d[k] = a[k * n + k];
        let (own, after) = a[k * n..].split_at_mut(n);
        let v = &mut own[k + 1..];
        (factors[k], e[k]) = reflection(v);
        if v.is_empty() {
            break;
        }
        q[(k + 1) * n + k + 1..][..v.len()].copy_from_slice(v);
        let t = factors[k];
        if t == 0.0 {
            continue;
        }
        // H B H = B - v w^T - w v^T for what is left of the matrix.
        let w = &mut work[..v.len()];
        for (w, column) in w.iter_mut().zip(after.chunks_exact(n)) {
            *w = t * dot(&column[k + 1..], v);
        }
        let half = -0.5 * t * dot(w, v);
        add_multiple(w, half, v);
        for (column, (&vj, &wj)) in after.chunks_exact_mut(n).zip(v.iter().zip(&*w)) {
            for (x, (&vi, &wi)) in column[k + 1..].iter_mut().zip(v.iter().zip(&*w)) {
                // The same bits on either side of the diagonal.
                *x -= vi * wj + wi * vj;
            }
        }
    }
}

/// Rotates the tridiagonal matrix to a diagonal one, and the columns of `q` with it. Whether it came to an end.
fn diagonalise(n: usize, d: &mut [f64], e: &mut [f64], q: &mut [f64]) -> bool {
    sweep_all(d, e, |d, e, (first, last), _| {
        // The eigenvalue of the last 2 by 2 that is next to its last element.
        let (half, off) = ((d[last - 1] - d[last]) * 0.5, e[last - 1]);
        let root = (half * half + off * off).sqrt().copysign(half);
        let shift = d[last] - off * (off / (half + root));
        let (mut x, mut z) = (d[first] - shift, e[first]);
        for k in first..last {
            let (turn, r) = Rotation::to_first(x, z);
            let Rotation { c, s } = turn;
            if k > first {
                e[k - 1] = r;
            }
            let (p, o, b) = (d[k], e[k], d[k + 1]);
            let cross = 2.0 * c * s * o;
            d[k] = c * c * p + cross + s * s * b;
            d[k + 1] = s * s * p - cross + c * c * b;
            e[k] = c * s * (b - p) + (c * c - s * s) * o;
            if k + 1 < last {
                x = e[k];
                z = s * e[k + 1];
                e[k + 1] *= c;
            }
            turn.turn(two_columns(q, n, k, k + 1));
        }
    })
}
