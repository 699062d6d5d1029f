//! Eigenvalues, singular values and QR of one matrix: orthogonal transformations in scratch, sequential.
//!
//! Our own: `faer`'s go through its products throughout, which allocate above 16 x 16 x 16 (see `update`). All is done in
//! `f64` for matrices of `f32` too: one copy of the code, a second to compile, and results that are rounded once. It
//! is compiled for the baseline alone: AVX2 and AVX-512 made it 0 to 20% faster, so the bits are the same at every level.
//!
//! - `reflect` makes, applies and multiplies out Householder reflections, `rotate` does Givens rotations;
//! - `eigen`, `singular` and `qr` are the factorisations, column-major.
//!
//! What is not unique is chosen: see `upright` for signs. A matrix with an element that is not finite has no factors; all
//! are NaN then.

mod eigen;
mod qr;
mod reflect;
mod rotate;
mod singular;

use super::Linalg;

/// Numbers of scratch that [`decompose`] takes for an `m` by `n` matrix.
pub(super) fn scratch_len(op: Linalg, m: usize, n: usize) -> usize {
    match op {
        Linalg::Eigh => eigen::scratch_len(n),
        Linalg::Svd => singular::scratch_len(m, n),
        _ => qr::scratch_len(m, n),
    }
}

/// The factors of an `m` by `n` matrix that is column-major at the beginning of `scratch`, as rows of `out`, of
/// `min(m, n)` each: see [`Linalg`].
pub(super) fn decompose<T: super::Element>(
    op: Linalg,
    (m, n): (usize, usize),
    scratch: &mut [f64],
    out: &mut [T],
) {
    let a = &mut scratch[..m * n];
    let scale = if a.iter().all(|x| x.is_finite()) {
        scale(a)
    } else {
        out.fill(T::from_f64(f64::NAN));
        return;
    };
    a.iter_mut().for_each(|x| *x *= scale);
    let k = m.min(n);
    // Written row by row: `at` says what stands where.
    let mut write = |rows: usize, start: usize, factor: f64, at: &dyn Fn(usize, usize) -> f64| {
        for (i, row) in out[start * k..][..rows * k]
            .chunks_exact_mut(k.max(1))
            .enumerate()
        {
            row.iter_mut()
                .enumerate()
                .for_each(|(j, x)| *x = T::from_f64(at(i, j) * factor));
        }
    };
    let unscale = scale.recip();
    match op {
        Linalg::Eigh => {
            let found = eigen::eigen(n, scratch);
            write(1, 0, unscale, &|_, j| found.values[j]);
            write(n, 1, 1.0, &|i, j| found.vectors[j * n + i]);
        }
        Linalg::Svd => {
            let found = singular::singular(m, n, scratch);
            write(m, 0, 1.0, &|i, j| found.left[j * m + i]);
            write(1, m, unscale, &|_, j| found.values[j]);
            write(n, m + 1, 1.0, &|i, j| found.right[j * n + i]);
        }
        _ => {
            let (q, r) = qr::qr(m, n, scratch);
            write(m, 0, 1.0, &|i, j| q[j * m + i]);
            write(n, m, unscale, &|i, j| r[j * n + i]);
        }
    }
}

/// The power of two that brings the largest element near 1, so that no square overflows and no reflection is lost to
/// underflow. Multiplying by it is exact but where an element vanishes beside the largest.
fn scale(a: &[f64]) -> f64 {
    let exponent = (largest(a).to_bits() >> 52) as i64 - 1023;
    f64::from_bits(((1023 - exponent.clamp(-1022, 1022)) as u64) << 52)
}

/// Turns a vector so that it is unique: the first element whose magnitude is at least 15/16 of the largest is positive.
/// Not the largest itself, for symmetric problems have vectors with elements that are equal but for sign and rounding.
/// Whether it was turned.
fn upright(x: &mut [f64]) -> bool {
    let largest = largest(x);
    let first = x.iter().find(|x| x.abs() >= largest * (15.0 / 16.0));
    let turn = first.is_some_and(|&x| x < 0.0);
    if turn {
        x.iter_mut().for_each(|x| *x = -*x);
    }
    turn
}

/// Brings values in order, `before(x, y)` saying that `x` must stand before `y`, and with each what `exchange` exchanges.
fn order(
    values: &mut [f64],
    before: impl Fn(f64, f64) -> bool,
    mut exchange: impl FnMut(usize, usize),
) {
    for i in 0..values.len() {
        let first = (i + 1..values.len()).fold(i, |best, j| {
            if before(values[j], values[best]) {
                j
            } else {
                best
            }
        });
        if first != i {
            values.swap(i, first);
            exchange(i, first);
        }
    }
}

/// The largest magnitude.
fn largest(x: &[f64]) -> f64 {
    x.iter().fold(0.0f64, |m, x| m.max(x.abs()))
}

/// Iterations for each value, of which two or three are what it takes.
const SWEEPS: usize = 60;

/// Sweeps over a matrix of diagonal `d` with `e` beside it until no `e` is more than what counts as zero, which `sweep` is
/// told, with the first and last row of the last block that is left. Whether it came to an end.
fn sweep_all(
    d: &mut [f64],
    e: &mut [f64],
    mut sweep: impl FnMut(&mut [f64], &mut [f64], (usize, usize), f64),
) -> bool {
    let mut last = d.len().saturating_sub(1);
    let zero = f64::EPSILON * largest(d).max(largest(&e[..last]));
    let mut left = SWEEPS * d.len();
    while last > 0 {
        if e[last - 1].abs() <= zero {
            last -= 1;
            continue;
        }
        if left == 0 {
            return false;
        }
        left -= 1;
        let cut = e[..last - 1].iter().rposition(|x| x.abs() <= zero);
        sweep(d, e, (cut.map_or(0, |k| k + 1), last), zero);
    }
    true
}

/// Columns `i < j` of `rows` each.
fn two_columns(a: &mut [f64], rows: usize, i: usize, j: usize) -> (&mut [f64], &mut [f64]) {
    let (head, tail) = a.split_at_mut(j * rows);
    (&mut head[i * rows..][..rows], &mut tail[..rows])
}
