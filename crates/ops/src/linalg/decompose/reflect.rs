//! Householder reflections `H = I - t v v^T` with `v[0] = 1` (Golub and Van Loan, Matrix Computations, 5.1).

use super::largest;

/// The sum of products, in eight lanes whatever the level.
pub(super) fn dot(x: &[f64], y: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (xs, ys) = (x.chunks_exact(8), y.chunks_exact(8));
    let rest = xs.remainder().iter().zip(ys.remainder());
    let rest: f64 = rest.map(|(x, y)| x * y).sum();
    for (x, y) in xs.zip(ys) {
        for i in 0..8 {
            lanes[i] += x[i] * y[i];
        }
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h)) + rest
}

/// `y += a x`.
pub(super) fn add_multiple(y: &mut [f64], a: f64, x: &[f64]) {
    y.iter_mut().zip(x).for_each(|(y, &x)| *y += a * x);
}

/// Overwrites `x` by the `v` of the reflection that maps it to a multiple of the first axis. Returns `t` and that
/// multiple; `t` is 0 if there is nothing to do.
pub(super) fn reflection(x: &mut [f64]) -> (f64, f64) {
    let Some((first, tail)) = x.split_first_mut() else {
        return (0.0, 0.0);
    };
    let largest = largest(tail);
    if largest == 0.0 {
        return (0.0, std::mem::replace(first, 1.0));
    }
    // The matrix was scaled, so squares do not overflow; in a column of tiny elements they would vanish.
    let up = if largest.max(first.abs()) < f64::from_bits((1023 - 400) << 52) {
        f64::from_bits((1023 + 600) << 52)
    } else {
        1.0
    };
    if up != 1.0 {
        *first *= up;
        tail.iter_mut().for_each(|x| *x *= up);
    }
    let length = -(*first * *first + dot(tail, tail)).sqrt().copysign(*first);
    let t = (length - *first) / length;
    let by = (*first - length).recip();
    tail.iter_mut().for_each(|x| *x *= by);
    *first = 1.0;
    (t, length / up)
}

/// `x = H x`.
pub(super) fn reflect(x: &mut [f64], v: &[f64], t: f64) {
    let by = -t * dot(v, x);
    add_multiple(x, by, v);
}

/// Multiplies out `H_0 H_1 ...`, of which `H_j` has its `v` in column `j + skip` of `q` from row `j + skip` on and its `t`
/// in `factors[j]`: what overwrites `q` are the product's first columns. `copy` has room for a column.
pub(super) fn multiply_out(
    q: &mut [f64],
    rows: usize,
    skip: usize,
    factors: &[f64],
    copy: &mut [f64],
) {
    let columns = q.len() / rows.max(1);
    for j in (0..columns).rev() {
        let from = &mut q[j * rows..];
        let v = &mut copy[..rows - j];
        v.copy_from_slice(&from[j..rows]);
        from[..rows].fill(0.0);
        from[j] = 1.0;
        let t = if j < skip { 0.0 } else { factors[j - skip] };
        if t != 0.0 {
            from.chunks_exact_mut(rows)
                .for_each(|column| reflect(&mut column[j..], v, t));
        }
    }
}
