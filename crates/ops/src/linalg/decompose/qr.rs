//! QR by Householder reflections.

use super::reflect::{multiply_out, reflect, reflection};

pub(super) fn scratch_len(m: usize, n: usize) -> usize {
    m * n + n * n + n + m
}

/// `A = Q R` of a matrix with no more columns than rows, at the beginning of `scratch`: `m` by `n` and `n` by `n`,
/// column-major. No element of R's diagonal is negative.
pub(super) fn qr(m: usize, n: usize, scratch: &mut [f64]) -> (&[f64], &[f64]) {
    let (a, rest) = scratch.split_at_mut(m * n);
    let (r, rest) = rest.split_at_mut(n * n);
    let (factors, copy) = rest.split_at_mut(n);
    r.fill(0.0);
    for j in 0..n {
        let (own, after) = a[j * m..].split_at_mut(m);
        r[j * n..][..j].copy_from_slice(&own[..j]);
        let v = &mut own[j..];
        (factors[j], r[j * n + j]) = reflection(v);
        after
            .chunks_exact_mut(m)
            .for_each(|column| reflect(&mut column[j..], v, factors[j]));
    }
    multiply_out(a, m, 0, factors, copy);
    for i in 0..n {
        if r[i * n + i] < 0.0 {
            a[i * m..][..m].iter_mut().for_each(|x| *x = -*x);
            (i..n).for_each(|j| r[j * n + i] = -r[j * n + i]);
        }
    }
    (a, r)
}
