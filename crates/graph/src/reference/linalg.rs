//! Linear algebra by textbook loops, a matrix at a time.

use retrograde_ops::linalg::{Linalg, Solver};
use retrograde_storage::Shape;

use super::decomposition::{eigen, qr, singular};

/// What `op` makes of its operands; the number of the first matrix that will not do otherwise.
pub(super) fn evaluate(
    op: Linalg,
    how: Solver,
    operands: &[(Shape, &[f64])],
) -> Result<Vec<f64>, usize> {
    let dims = operands[0].0.dims();
    let (rows, n) = (dims[dims.len() - 2], dims[dims.len() - 1]);
    let count: usize = dims[..dims.len() - 2].iter().product();
    let columns = operands.get(1).map_or(0, |x| x.0.dims()[x.0.rank() - 1]);
    let mut result = Vec::new();
    for i in 0..count {
        let one = |x: &[f64], rows: usize, columns: usize| -> Vec<Vec<f64>> {
            let own = &x[i * rows * columns..][..rows * columns];
            (0..rows)
                .map(|r| own[r * columns..][..columns].to_vec())
                .collect()
        };
        let a = one(operands[0].1, rows, n);
        if let Some(part) = op.rows_of_factors(rows, n) {
            let factors = &operands[1].0.dims()[dims.len() - 2..];
            let all = one(operands[1].1, factors[0], factors[1]);
            result.extend(all[part].concat());
            continue;
        }
        let right = || one(operands[1].1, n, columns);
        match op {
            Linalg::Cholesky => result.extend(cholesky(&a).ok_or(i)?.concat()),
            Linalg::TriangularSolve => {
                let triangle = (0..n).map(|r| (0..n).map(|c| of_triangle(&a, r, c, how)).collect());
                result.extend(eliminate(triangle.collect(), right()).ok_or(i)?.0.concat());
            }
            Linalg::Solve => {
                let a = if how.transposed { transposed(&a) } else { a };
                result.extend(eliminate(a, right()).ok_or(i)?.0.concat());
            }
            Linalg::Lu => result.extend(factors(a).concat()),
            Linalg::Eigh => result.extend(eigen(&a).concat()),
            Linalg::Svd => result.extend(singular(&a, n).concat()),
            Linalg::Qr => result.extend(qr(&a, n).concat()),
            Linalg::Det | Linalg::LogAbsDet => {
                let det = eliminate(a, vec![Vec::new(); n]).map_or(0.0, |r| r.1);
                result.push(if op == Linalg::Det {
                    det
                } else {
                    det.abs().ln()
                });
            }
            Linalg::SignDet => {
                let pivots = (0..n).map(|r| a[r][r]);
                let sign = |x: f64| if x == 0.0 { 0.0 } else { x.signum() };
                let rows: Vec<usize> = a[n].iter().map(|&r| r as usize).collect();
                let inversions = (0..n).flat_map(|r| (0..r).map(move |q| (q, r)));
                let odd = inversions.filter(|&(q, r)| rows[q] > rows[r]).count() % 2 == 1;
                result.push(pivots.map(sign).product::<f64>() * if odd { -1.0 } else { 1.0 });
            }
            // Parts, above.
            Linalg::Eigenvalues | Linalg::Eigenvectors => {}
            Linalg::LeftVectors | Linalg::SingularValues | Linalg::RightVectors => {}
            Linalg::Orthogonal | Linalg::Upper => {}
        }
    }
    Ok(result)
}

fn of_triangle(a: &[Vec<f64>], r: usize, c: usize, how: Solver) -> f64 {
    match r.cmp(&c) {
        std::cmp::Ordering::Equal if how.unit => 1.0,
        std::cmp::Ordering::Less if !how.upper => 0.0,
        std::cmp::Ordering::Greater if how.upper => 0.0,
        _ => a[r][c],
    }
}

fn transposed(a: &[Vec<f64>]) -> Vec<Vec<f64>> {
    (0..a.len())
        .map(|c| a.iter().map(|row| row[c]).collect())
        .collect()
}

/// Row by row, by dot products of rows.
fn cholesky(a: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
    let n = a.len();
    let mut l = vec![vec![0.0; n]; n];
    for r in 0..n {
        for c in 0..=r {
            let sum: f64 = (0..c).map(|k| l[r][k] * l[c][k]).sum();
            let rest = a[r][c] - sum;
            l[r][c] = if r == c { rest.sqrt() } else { rest / l[c][c] };
        }
        if l[r][r].is_nan() || l[r][r] <= 0.0 {
            return None;
        }
    }
    Some(l)
}

/// Gauss and Jordan with row exchanges: the solution and the determinant, none if a pivot is zero.
fn eliminate(mut a: Vec<Vec<f64>>, mut b: Vec<Vec<f64>>) -> Option<(Vec<Vec<f64>>, f64)> {
    let (n, mut det) = (a.len(), 1.0);
    for k in 0..n {
        let pivot = pivot(&a, k);
        if pivot != k {
            a.swap(k, pivot);
            b.swap(k, pivot);
            det = -det;
        }
        det *= a[k][k];
        if a[k][k] == 0.0 {
            return None;
        }
        for r in (0..n).filter(|&r| r != k) {
            let factor = a[r][k] / a[k][k];
            let (from, from_b) = (a[k].clone(), b[k].clone());
            a[r].iter_mut()
                .zip(&from)
                .for_each(|(x, y)| *x -= factor * y);
            b[r].iter_mut()
                .zip(&from_b)
                .for_each(|(x, y)| *x -= factor * y);
        }
    }
    for k in 0..n {
        let pivot = a[k][k];
        b[k].iter_mut().for_each(|x| *x /= pivot);
    }
    Some((b, det))
}

/// The first row at or below the diagonal with the largest element of column `k`.
fn pivot(a: &[Vec<f64>], k: usize) -> usize {
    (k..a.len()).fold(k, |best, r| {
        if a[r][k].abs() > a[best][k].abs() {
            r
        } else {
            best
        }
    })
}

/// Packed LU factors and, as the last row, where the rows come from.
fn factors(mut a: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let n = a.len();
    let mut rows: Vec<f64> = (0..n).map(|r| r as f64).collect();
    for k in 0..n {
        let pivot = pivot(&a, k);
        a.swap(k, pivot);
        rows.swap(k, pivot);
        for r in k + 1..n {
            if a[k][k] != 0.0 {
                a[r][k] /= a[k][k];
            }
            for c in k + 1..n {
                a[r][c] -= a[r][k] * a[k][c];
            }
        }
    }
    a.push(rows);
    a
}
