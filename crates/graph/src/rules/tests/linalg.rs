//! Linear algebra and sorting against central differences, first and second order, forward and reverse.

use super::differences::{Case, check};
use crate::var::{Order, Side, Triangle, Var};

/// Well away from singular, whatever the elements between 0 and 1.
fn regular(x: Var<'_, f64>) -> Var<'_, f64> {
    let n = x.shape().unwrap()[1] as f64;
    x + x.rec().eye(n as usize) * n
}

/// Symmetric and positive definite.
fn positive(x: Var<'_, f64>) -> Var<'_, f64> {
    x.matmul(x.t()) + x.rec().eye(x.shape().unwrap()[1])
}

#[test]
fn factorisations_and_solves() {
    type F = crate::testing::Function;
    let cases: [(&'static str, F, &'static [&'static [usize]]); 22] = [
        ("cholesky", |_, x| positive(x[0]).cholesky(), &[&[3, 3]]),
        (
            "cholesky, batch",
            |_, x| positive(x[0]).cholesky(),
            &[&[2, 2, 2]],
        ),
        (
            "cholesky of no symmetric matrix",
            |_, x| regular(x[0]).cholesky(),
            &[&[3, 3]],
        ),
        ("cholesky, one", |_, x| x[0].cholesky(), &[&[1, 1]]),
        (
            "solve",
            |_, x| regular(x[0]).solve(x[1]),
            &[&[3, 3], &[3, 2]],
        ),
        (
            "solve, vector",
            |_, x| regular(x[0]).solve(x[1]),
            &[&[3, 3], &[3]],
        ),
        ("solve, one", |_, x| x[0].solve(x[1]), &[&[1, 1], &[1, 1]]),
        (
            "solve, batch of sides",
            |_, x| regular(x[0]).solve(x[1]),
            &[&[2, 2], &[2, 2, 1]],
        ),
        (
            "solve, batch of matrices",
            |_, x| regular(x[0]).solve(x[1]),
            &[&[2, 2, 2], &[2]],
        ),
        (
            "solve, batches",
            |_, x| regular(x[0]).unsqueeze(1).solve(x[1]),
            &[&[2, 2, 2], &[3, 2, 1]],
        ),
        (
            "lower",
            |_, x| regular(x[0]).solve_triangular(x[1], Triangle::lower()),
            &[&[3, 3], &[3, 2]],
        ),
        (
            "upper",
            |_, x| regular(x[0]).solve_triangular(x[1], Triangle::upper()),
            &[&[3, 3], &[3]],
        ),
        (
            "unit",
            |_, x| x[0].solve_triangular(x[1], Triangle::lower().unit()),
            &[&[3, 3], &[3, 2]],
        ),
        (
            "upper unit",
            |_, x| x[0].solve_triangular(x[1], Triangle::upper().unit()),
            &[&[3, 3], &[3, 1]],
        ),
        (
            "transposed",
            |_, x| regular(x[0]).solve_triangular(x[1], Triangle::lower().transposed()),
            &[&[2, 3, 3], &[3, 1]],
        ),
        ("inverse", |_, x| regular(x[0]).inverse(), &[&[3, 3]]),
        ("det", |_, x| regular(x[0]).det(), &[&[2, 2, 2]]),
        (
            "det of exchanged rows",
            |_, x| regular(x[0]).flip(0).det(),
            &[&[3, 3]],
        ),
        ("logdet", |_, x| regular(x[0]).logdet(), &[&[3, 3]]),
        (
            "slogdet",
            |_, x| (regular(x[0]) * -1.0).slogdet().1,
            &[&[3, 3]],
        ),
        ("trace", |_, x| x[0].square().trace(), &[&[2, 2, 3]]),
        (
            "diagonals",
            |_, x| x[0].square().diagonal(1).diag_embed(-1).triu(-1).tril(0),
            &[&[2, 3]],
        ),
    ];
    for (seed, (name, f, shapes)) in cases.into_iter().enumerate() {
        let domain = (0.1, 0.9);
        check(
            &Case {
                name,
                f,
                shapes,
                domain,
            },
            seed as u64,
        );
    }
}

/// Eigenvalues and singular values well apart, whatever the elements between 0 and 1.
fn spread(x: Var<'_, f64>) -> Var<'_, f64> {
    let dims = x.shape().unwrap();
    let k = dims[dims.len() - 2].min(dims[dims.len() - 1]);
    let diagonal = x.rec().arange::<f64>(k).diag() * 2.0;
    let (m, n) = (dims[dims.len() - 2], dims[dims.len() - 1]);
    x + diagonal.pad([(0, m - k), (0, n - k)], 0.0)
}

#[test]
fn decompositions() {
    type F = crate::testing::Function;
    const SQUARE: &[&[usize]] = &[&[3, 3]];
    const BATCH: &[&[usize]] = &[&[2, 2, 2]];
    const TALL: &[&[usize]] = &[&[4, 2]];
    const WIDE: &[&[usize]] = &[&[2, 4]];
    const ONE: &[&[usize]] = &[&[1, 1]];
    let cases: [(&'static str, F, &[&[&[usize]]]); 9] = [
        (
            "eigenvalues",
            |_, x| spread(x[0]).eigvalsh(),
            &[SQUARE, BATCH, ONE],
        ),
        (
            "eigenvectors",
            |_, x| spread(x[0]).eigh().1,
            &[SQUARE, BATCH, ONE],
        ),
        (
            "function of a matrix",
            |_, x| {
                let (w, v) = spread(x[0]).eigh();
                (v * w.sin().unsqueeze(-2)).matmul(v.t())
            },
            &[SQUARE],
        ),
        (
            "singular values",
            |_, x| spread(x[0]).svdvals(),
            &[SQUARE, BATCH, TALL, WIDE, ONE],
        ),
        (
            "left vectors",
            |_, x| spread(x[0]).svd().0,
            &[SQUARE, BATCH, TALL, WIDE, ONE],
        ),
        (
            "right vectors",
            |_, x| spread(x[0]).svd().2,
            &[SQUARE, BATCH, TALL, WIDE, ONE],
        ),
        (
            "polar factor",
            |_, x| {
                let (u, s, v) = spread(x[0]).svd();
                u.matmul(v) * s.sum()
            },
            &[SQUARE, TALL, WIDE],
        ),
        (
            "orthogonal factor",
            |_, x| spread(x[0]).qr().0,
            &[SQUARE, BATCH, TALL, WIDE, ONE],
        ),
        (
            "triangular factor",
            |_, x| spread(x[0]).qr().1,
            &[SQUARE, BATCH, TALL, WIDE, ONE],
        ),
    ];
    for (seed, (name, f, sets)) in cases.into_iter().enumerate() {
        for shapes in sets.iter().copied() {
            let domain = (0.1, 0.9);
            let case = Case {
                name,
                f,
                shapes,
                domain,
            };
            check(&case, seed as u64);
        }
    }
}

#[test]
fn sorting() {
    type F = crate::testing::Function;
    let cases: [(&'static str, F, &'static [&'static [usize]]); 4] = [
        (
            "sort",
            |_, x| x[0].square().sort(1, Order::Ascending),
            &[&[2, 5]],
        ),
        (
            "sort, descending, outer axis",
            |_, x| x[0].sort(0, Order::Descending).square(),
            &[&[4, 2]],
        ),
        (
            "topk",
            |_, x| x[0].square().topk(2, -1, Order::Descending).0,
            &[&[3, 4]],
        ),
        (
            "by position",
            |_, x| {
                x[0].square().index_select(
                    0,
                    x[0].sort(0, Order::Ascending)
                        .searchsorted(x[0], Side::Left),
                )
            },
            &[&[5]],
        ),
    ];
    for (seed, (name, f, shapes)) in cases.into_iter().enumerate() {
        let domain = (0.1, 0.9);
        check(
            &Case {
                name,
                f,
                shapes,
                domain,
            },
            seed as u64,
        );
    }
}
