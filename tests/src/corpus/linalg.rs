//! Factorisations, systems, determinants, decompositions, diagonals.

use retrograde::prelude::*;

use super::{Case, Given, any, case};

/// Square matrices and right sides.
fn systems() -> Vec<Vec<Given>> {
    let sets: [[&[usize]; 2]; 9] = [
        [&[3, 3], &[3, 2]],
        [&[1, 1], &[1]],
        [&[4, 4], &[4]],
        [&[2, 3, 3], &[2, 3, 1]],
        [&[2, 2, 2], &[2, 5]],
        [&[0, 3, 3], &[3, 1]],
        [&[0, 0], &[0, 2]],
        [&[2, 0, 0], &[0]],
        [&[2, 2, 2], &[2, 0]],
    ];
    sets.map(|s| s.map(any).to_vec()).to_vec()
}

/// Larger than one block of a factorisation.
fn large() -> Vec<Vec<Given>> {
    vec![vec![any(&[70, 70]), any(&[70, 40])]]
}

fn diagonals() -> Vec<Vec<Given>> {
    let sets: [&[usize]; 5] = [&[3, 4], &[1, 1], &[2, 4, 3], &[0, 3], &[2, 1, 3, 3]];
    sets.map(|s| vec![any(s)]).to_vec()
}

/// A matrix with a diagonal that outweighs its rows.
fn regular<T: Float>(a: Var<'_, T>) -> Var<'_, T> {
    let eye = identity(a);
    a + eye * eye.sum()
}

/// A matrix that is symmetric and positive.
fn positive<T: Float>(a: Var<'_, T>) -> Var<'_, T> {
    a.matmul(a.t()) + identity(a)
}

fn identity<T: Float>(a: Var<'_, T>) -> Var<'_, T> {
    let n = a.shape().ok().and_then(|s| s.last().copied());
    a.rec().eye(n.unwrap_or(1))
}

/// Matrices to decompose.
fn any_matrices() -> Vec<Vec<Given>> {
    let sets: [&[usize]; 8] = [
        &[3, 3],
        &[1, 1],
        &[4, 2],
        &[2, 4],
        &[2, 3, 3],
        &[2, 3, 2],
        &[0, 3, 3],
        &[3, 0],
    ];
    sets.map(|s| vec![any(s)]).to_vec()
}

/// More than two vectors' worth of everything.
fn larger() -> Vec<Vec<Given>> {
    vec![vec![any(&[23, 23]), any(&[23, 11])]]
}

/// A matrix with eigenvalues and singular values that are well apart, whatever is near zero beside its diagonal.
fn apart<T: Float>(a: Var<'_, T>) -> Var<'_, T> {
    let shape = a.shape().unwrap_or_default();
    let [m, n] = [2, 1].map(|k| shape.len().checked_sub(k).map_or(0, |axis| shape[axis]));
    let k = m.min(n);
    let diagonal = (a.rec().arange::<T>(k) * T::of(2.0) + T::of(1.0)).diag();
    a * T::of(0.5) + diagonal.pad([(0, m - k), (0, n - k)], T::of(0.0))
}

/// The family.
pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("cholesky", systems(), |a| positive(a).cholesky()),
        case!("solve", systems(), |a, b| [
            regular(a).solve(b),
            regular(a).t().solve(b)
        ]),
        case!("solve_triangular", systems(), |a, b| {
            let a = regular(a);
            [
                a.solve_triangular(b, Triangle::lower()),
                a.solve_triangular(b, Triangle::upper().unit()),
                a.solve_triangular(b, Triangle::lower().transposed()),
            ]
        }),
        case!("inverse", systems(), |a| regular(a).inverse()),
        case!("det, logdet", systems(), |a| [
            regular(a).det(),
            positive(a).logdet()
        ])
        .single_within(1e-3),
        case!("slogdet", systems(), |a| {
            let (sign, logarithm) = (-regular(a)).slogdet();
            [sign, logarithm]
        }),
        case!("large systems", large(), |a, b| {
            let plain = regular(a);
            [
                plain.solve(b),
                positive(a).cholesky(),
                plain.logdet(),
                plain.solve_triangular(b, Triangle::upper()),
            ]
        })
        .single_within(1e-3),
        case!("eigh", systems(), |a| {
            let (values, vectors) = apart(a).eigh();
            [values, vectors, apart(a).eigvalsh().square()]
        })
        .single_within(1e-4),
        case!("svd", any_matrices(), |a| {
            let (u, s, vh) = apart(a).svd();
            [u, s, vh, apart(a).svdvals().square()]
        })
        .single_within(1e-4),
        case!("qr", any_matrices(), |a| {
            let (q, r) = apart(a).qr();
            [q, r]
        })
        .single_within(1e-4),
        case!("larger decompositions", larger(), |a, b| {
            let ((w, v), (u, s, vh), (q, r)) = (apart(a).eigh(), apart(b).svd(), apart(b.t()).qr());
            [w, v, u, s, vh, q, r]
        })
        .single_within(1e-3),
        case!("trace, diagonal", diagonals(), |x| [
            x.trace(),
            x.diagonal(0),
            x.diagonal(-1),
            x.diagonal(2)
        ]),
        case!("tril, triu", diagonals(), |x| [
            x.tril(0),
            x.tril(-1),
            x.triu(1)
        ]),
        case!("diag_embed", diagonals(), |x| [
            x.diag_embed(0),
            x.diag_embed(-1)
        ]),
    ]
}
