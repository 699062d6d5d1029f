//! Linear algebra: identities in closed form, engines, empty and bad operands.

use retrograde::Triangle;
use retrograde::prelude::*;
use retrograde_tests::derivatives::samples;
use retrograde_tests::variants::assert_variants_agree;

/// Regular matrices of no structure.
fn regular(dims: &[usize]) -> Array<f64> {
    let n = dims[dims.len() - 1];
    let mut a = samples(dims, (-1.0, 1.0));
    let square = a.as_mut_slice().chunks_exact_mut((n * n).max(1));
    square.for_each(|one| (0..n).for_each(|i| one[i * (n + 1)] += 2.0 + n as f64 / 4.0));
    a
}

fn positive(dims: &[usize]) -> Array<f64> {
    let tape = Tape::new();
    let a = tape.constant(regular(dims));
    a.matmul(a.t()).value().unwrap()
}

fn close(a: &Array<f64>, b: &Array<f64>) {
    a.assert_close(b, 1e-9, 1e-9);
}

#[test]
fn identities() -> Result<()> {
    for dims in [
        &[1, 1][..],
        &[2, 2],
        &[5, 3, 3],
        &[2, 3, 8, 8],
        &[31, 31],
        &[97, 97],
    ] {
        let n = dims[dims.len() - 1];
        let tape = Tape::new();
        let (a, p) = (tape.variable(regular(dims)), tape.variable(positive(dims)));
        let identity = tape.rec().eye::<f64>(n).broadcast_to(dims).value()?;
        let inverse = a.inverse();
        close(&a.matmul(inverse).value()?, &identity);
        close(&inverse.matmul(a).value()?, &identity);
        let l = p.cholesky();
        close(&l.matmul(l.t()).value()?, &p.value()?);
        assert_eq!(l.triu(1).abs().sum().item()?, 0.0);
        // log det of a positive definite matrix by its factor.
        let by_factor = 2.0 * l.diagonal(0).ln().sum_over(-1);
        close(&p.logdet().value()?, &by_factor.value()?);
        close(&p.slogdet().1.exp().value()?, &p.det().value()?);
        assert!(p.slogdet().0.value()?.as_slice().iter().all(|&s| s == 1.0));

        // First order: the transposed inverse, its multiple, and both ways to the same.
        let [g, by_cholesky, by_det] = [
            a.slogdet().1.sum().grad_of([a])[0],
            by_factor.sum().grad_of([p])[0],
            a.det().sum().grad_of([a])[0],
        ];
        close(&g.value()?, &inverse.t().value()?);
        close(&by_cholesky.value()?, &p.inverse().value()?);
        let det = a.det().unsqueeze(-1).unsqueeze(-1);
        by_det.value()?.assert_close(
            &(inverse.t() * det).value()?,
            1e-9,
            1e-9 * det.value()?.as_slice()[0].abs(),
        );
        // Second order: the derivative of <A^-T, V> is -A^-T V^T A^-T.
        let v = tape.constant(samples(dims, (-1.0, 1.0)));
        let [h] = (g * v).sum().grad_of([a]);
        close(
            &h.value()?,
            &(-inverse.t().matmul(v.t()).matmul(inverse.t())).value()?,
        );
        let [h] = (by_cholesky * v).sum().grad_of([p]);
        let q = p.inverse();
        let twice = q.matmul(v + v.t()).matmul(q) * -0.5;
        close(&h.value()?, &twice.value()?);

        // Systems.
        let b = tape.variable(samples(&[n, 3], (-1.0, 1.0)));
        let x = a.solve(b);
        close(&a.matmul(x).value()?, &b.broadcast_to(x.shape()?).value()?);
        let [ga, gb] = x.square().sum().grad_of([a, b]);
        let adjoint = a.t().solve(2.0 * x);
        close(&ga.value()?, &(-adjoint.matmul(x.t())).value()?);
        let summed = (0..dims.len() - 2).fold(adjoint, |g, _| g.sum_over(0));
        close(&gb.value()?, &summed.value()?);
        for (triangle, own) in [
            (Triangle::lower(), a.tril(0)),
            (Triangle::upper(), a.triu(0)),
            (Triangle::lower().transposed(), a.tril(0).t()),
            (Triangle::upper().transposed(), a.triu(0).t()),
        ] {
            let x = a.solve_triangular(b, triangle);
            close(
                &own.matmul(x).value()?,
                &b.broadcast_to(x.shape()?).value()?,
            );
            close(&x.value()?, &own.solve(b).value()?);
            let [one, other] = [x, own.solve(b)].map(|x| x.square().sum().grad_of([a])[0]);
            close(&one.value()?, &other.value()?);
        }
    }
    Ok(())
}

#[test]
fn single_precision_and_views() -> Result<()> {
    let tape = Tape::new();
    let a = tape.variable(regular(&[2, 12, 12]));
    let single = a.cast::<f32>();
    for (wide, narrow) in [
        (a.inverse(), single.inverse()),
        (
            a.matmul(a.t()).cholesky(),
            single.matmul(single.t()).cholesky(),
        ),
        (a.logdet().unsqueeze(-1), single.logdet().unsqueeze(-1)),
    ] {
        narrow
            .cast::<f64>()
            .value()?
            .assert_close(&wide.value()?, 1e-4, 1e-4);
    }
    // Operands that stand in memory in any way.
    let flipped = a.flip(1).flip(2);
    let exchanged = tape.rec().eye::<f64>(12).flip(0);
    close(
        &flipped.inverse().value()?,
        &exchanged.matmul(a.inverse()).matmul(exchanged).value()?,
    );
    close(&a.t().inverse().value()?, &a.inverse().t().value()?);
    Ok(())
}

#[test]
fn nothing_and_no_batch() -> Result<()> {
    let tape = Tape::new();
    let empty = tape.variable(Array::<f64>::zeros([0, 0]));
    assert_eq!(empty.det().item()?, 1.0);
    assert_eq!(empty.logdet().item()?, 0.0);
    assert_eq!(empty.slogdet().0.item()?, 1.0);
    assert_eq!(empty.trace().item()?, 0.0);
    for y in [
        empty.inverse(),
        empty.cholesky(),
        empty.solve(empty),
        empty.diag().diag(),
    ] {
        assert_eq!(y.shape()?, [0, 0]);
        (y.sum() + empty.det()).backward()?;
        assert_eq!(empty.grad()?.shape(), [0, 0]);
    }
    let none = tape.variable(Array::<f64>::zeros([0, 3, 3]));
    assert_eq!(none.inverse().value()?.shape(), [0, 3, 3]);
    assert_eq!(none.logdet().value()?.shape(), [0]);
    assert_eq!(none.cholesky().sum().item()?, 0.0);
    let a = tape.variable(regular(&[3, 3]));
    assert_eq!(
        a.solve(tape.constant(Array::<f64>::zeros([3, 0])))
            .value()?
            .shape(),
        [3, 0]
    );
    assert_eq!(a.diagonal(7).value()?.shape(), [0]);
    assert_eq!(a.diagonal(isize::MIN).value()?.shape(), [0]);
    assert_eq!(a.triu(isize::MAX).value()?, Array::<f64>::zeros([3, 3]));
    assert_eq!(a.tril(isize::MAX).value()?, a.value()?);
    assert!(a.diag().diag_embed(isize::MAX).value().is_err());
    Ok(())
}

#[test]
fn every_engine_gives_the_same_bits() -> Result<()> {
    let (a, b) = (positive(&[37, 5, 5]), samples(&[37, 5, 2], (-1.0, 1.0)));
    let p = Program::record(&[a.clone(), b.clone()], |_, [a, b]| {
        let l = a.cholesky().solve_triangular(b, Triangle::lower());
        l.square().sum() + a.solve(b).sin().sum() + a.logdet().sum() + a.inverse().trace().sum()
    })?
    .value_and_grad()?;
    assert_variants_agree(&p, &[&a, &b])?;
    Ok(())
}

#[test]
fn matrices_that_will_not_do_are_named() -> Result<()> {
    let mut a = positive(&[2, 3, 4, 4]);
    // Matrix [1, 0]: the third leading minor is not positive.
    a.as_mut_slice()[3 * 16 + 10] = -1.0;
    let p = Program::record(&[a.clone()], |_, [a]| a.cholesky())?;
    let line = line!() - 1;
    let mut ws = p.workspace()?;
    let error = p.run(&mut ws, [&a]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Singular);
    let expected = format!(
        "cholesky of [2, 3, 4, 4] f64: matrix [1, 0] is not positive definite: pivot 2 of 4 is not positive\n  at {}:{line}:",
        file!()
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
    // The workspace goes on.
    p.run(&mut ws, [&positive(&[2, 3, 4, 4])])?;

    let tape = Tape::new();
    let mut b = regular(&[3, 2, 2]);
    b.as_mut_slice()[8..12].copy_from_slice(&[1.0, 2.0, 2.0, 4.0]);
    let b = tape.variable(b);
    let says = |y: Var<'_, f64>, start: &str| {
        let error = y.value().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Singular);
        assert!(error.to_string().starts_with(start), "{error}");
    };
    says(
        b.inverse(),
        "inverse of [3, 2, 2] f64: matrix 2 is singular: pivot 1 of 2 is zero",
    );
    says(
        b.solve(tape.rec().ones([2])),
        "solve of [3, 2, 2] f64: matrix 2 is singular",
    );
    let zero = tape.variable(Array::<f64>::zeros([2, 2]));
    says(
        zero.solve_triangular(zero, Triangle::lower()),
        "solve_triangular of [2, 2] f64: the matrix is singular: pivot 0",
    );
    // A singular matrix has a determinant, but no gradient of it.
    assert_eq!(b.det().value()?.as_slice()[2], 0.0);
    assert_eq!(b.logdet().value()?.as_slice()[2], f64::NEG_INFINITY);
    says(
        b.det().sum().grad_of([b])[0],
        "inverse of [3, 2, 2] f64: matrix 2 is singular",
    );
    // NaN goes through what does not need an order.
    let nan = tape.variable(Array::from([[f64::NAN, 1.0], [1.0, 1.0]]));
    assert!(nan.det().item()?.is_nan());
    assert!(nan.inverse().value()?.as_slice()[0].is_nan());
    says(
        nan.cholesky(),
        "cholesky of [2, 2] f64: the matrix is not positive definite: pivot 0",
    );

    for (y, expected) in [
        (
            a_row(&tape).cholesky(),
            "cholesky of [1, 3] f64: the matrices in the last two axes must be square",
        ),
        (
            a_row(&tape).squeeze(0).det(),
            "det of [3] f64: expected rank 2 at least",
        ),
        (
            b.solve(a_row(&tape)),
            "solve of [3, 2, 2] f64 and [1, 3] f64: the right side must have a row for each of the matrix's 2, but has 1",
        ),
        (
            b.solve(tape.rec().zeros([2, 2, 1])),
            "solve of [3, 2, 2] f64 and [2, 2, 1] f64: the leading axes of [3, 2, 2] and [2, 2, 1] do not broadcast",
        ),
        (
            b.diag(),
            "diag of [3, 2, 2] f64: expected a vector or a matrix; try `diagonal`",
        ),
    ] {
        let error = y.value().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
        assert!(error.to_string().starts_with(expected), "{error}");
    }
    Ok(())
}

fn a_row(tape: &Tape) -> Var<'_, f64> {
    tape.constant(Array::from([[1.0, 2.0, 3.0]]))
}
