//! QR, eigenvalues and singular values: closed forms and identities, equal values, engines, bad operands.

use retrograde::Triangle;
use retrograde::prelude::*;
use retrograde_tests::derivatives::samples;
use retrograde_tests::variants::assert_variants_agree;

const EVERY: [&[usize]; 8] = [
    &[1, 1],
    &[2, 2],
    &[5, 3, 3],
    &[31, 31],
    &[6, 4],
    &[4, 6],
    &[2, 7, 1],
    &[1, 9],
];

fn close(a: Var<'_, f64>, b: Var<'_, f64>) {
    let b = b.broadcast_to(a.shape().unwrap()).value().unwrap();
    a.value().unwrap().assert_close(&b, 1e-9, 1e-9);
}

/// A factor for each column.
fn columns(x: Var<'_, f64>) -> Var<'_, f64> {
    x.unsqueeze(-2)
}

/// `V diag(w) V^T`.
fn with_vectors<'t>(w: Var<'t, f64>, v: Var<'t, f64>) -> Var<'t, f64> {
    (v * columns(w)).matmul(v.t())
}

/// The gradient of `y`, weighted, and that gradient's own, weighted.
fn both<'t>(
    y: Var<'t, f64>,
    g: Var<'t, f64>,
    x: Var<'t, f64>,
    v: Var<'t, f64>,
) -> [Var<'t, f64>; 2] {
    let [first] = (y * g).sum().grad_of([x]);
    let [second] = (first * v).sum().grad_of([x]);
    [first, second]
}

fn random<'t>(tape: &'t Tape, dims: &[usize], shift: f64) -> Var<'t, f64> {
    tape.variable(samples(dims, (shift - 1.0, shift + 1.0)))
}

/// Values well apart.
fn apart<'t>(tape: &'t Tape, dims: &[usize]) -> Var<'t, f64> {
    let [m, n] = [dims[dims.len() - 2], dims[dims.len() - 1]];
    let k = m.min(n);
    let diagonal = (tape.rec().arange::<f64>(k) + 1.0).diag();
    let a = random(tape, dims, 0.1) * 0.5 + diagonal.pad([(0, m - k), (0, n - k)], 0.0);
    tape.variable(a.value().unwrap())
}

#[test]
fn factors_are_what_they_should_be() -> Result<()> {
    for dims in EVERY {
        let tape = Tape::new();
        let a = random(&tape, dims, 0.1);
        let eye = |k: usize| tape.rec().eye::<f64>(k);
        let [m, n] = [dims[dims.len() - 2], dims[dims.len() - 1]];
        let k = m.min(n);
        let (u, s, vh) = a.svd();
        close((u * columns(s)).matmul(vh), a);
        close(u.t().matmul(u), eye(k));
        close(vh.matmul(vh.t()), eye(k));
        let falls = s.narrow(-1, 0, k - 1) - s.narrow(-1, 1, k - 1);
        assert!(s.min().item()? >= 0.0 && falls.value()?.as_slice().iter().all(|&x| x >= 0.0));
        let (q, r) = a.qr();
        close(q.matmul(r), a);
        close(q.t().matmul(q), eye(k));
        assert_eq!(r.tril(-1).abs().sum().item()?, 0.0);
        assert!(r.diagonal(0).min().item()? >= 0.0);
        // Largest elements are positive.
        let top = u.abs().max_over(-2) - u.max_over(-2);
        assert!(top.max().item()? <= u.abs().max().item()? / 16.0);
        if m != n {
            continue;
        }
        let p = a + a.t();
        let (w, v) = p.eigh();
        close((v * columns(w)).matmul(v.t()), p);
        close(v.t().matmul(v), eye(k));
        let rises = w.narrow(-1, 1, k - 1) - w.narrow(-1, 0, k - 1);
        assert!(rises.value()?.as_slice().iter().all(|&x| x >= 0.0));
        close(p.eigvalsh().abs().sort(-1, Order::Descending), p.svdvals());
        close(w.prod_over(-1), p.det());
    }
    Ok(())
}

/// Matrices whose values are known.
#[test]
fn values_in_closed_form() -> Result<()> {
    let tape = Tape::new();
    let n = 40;
    // Second differences: 2 - 2 cos(k pi / (n + 1)), with sines as vectors.
    let one = tape.rec().ones::<f64>([n - 1]);
    let second = tape.rec().eye::<f64>(n) * 2.0 - one.diag_embed(1) - one.diag_embed(-1);
    let (w, v) = second.eigh();
    let step = std::f64::consts::PI / (n + 1) as f64;
    let expected = Array::from_shape_fn([n], |k| 2.0 - 2.0 * ((k[0] + 1) as f64 * step).cos());
    w.value()?.assert_close(&expected, 0.0, 1e-13);
    let sines = Array::from_shape_fn([n, n], |i| {
        ((i[0] + 1) as f64 * (i[1] + 1) as f64 * step).sin() * (2.0 / (n + 1) as f64).sqrt()
    });
    v.abs()
        .value()?
        .assert_close(&tape.constant(sines).abs().value()?, 0.0, 1e-12);
    // Sums of beginnings: 1 / (2 sin((2k - 1) pi / (4n + 2))).
    let sums = tape.rec().ones::<f64>([n, n]).tril(0);
    let step = std::f64::consts::PI / (4 * n + 2) as f64;
    let expected = Array::from_shape_fn([n], |k| 0.5 / ((2 * k[0] + 1) as f64 * step).sin());
    sums.svdvals().value()?.assert_close(&expected, 1e-13, 0.0);
    // R is the Cholesky factor of A^T A.
    let a = random(&tape, &[9, 5], 0.3);
    close(a.qr().1, a.t().matmul(a).cholesky().t());
    // Rank one, and none.
    let (x, y) = (random(&tape, &[6], 0.0), random(&tape, &[4], 0.5));
    let s = x.outer(y).svdvals();
    let norms = (x.norm() * y.norm()).item()?;
    s.value()?
        .assert_close(&Array::from([norms, 0.0, 0.0, 0.0]), 1e-14, 1e-14);
    let [g] = s.sum().grad_of([x]);
    assert!(g.value()?.as_slice().iter().all(|x| x.is_finite()));
    let (u, s, vh) = tape.rec().zeros::<f64>([3, 2]).svd();
    assert_eq!(s.value()?, Array::<f64>::zeros([2]));
    close(u.t().matmul(u), vh.matmul(vh.t()));
    // Far from 1, and within one matrix.
    for scale in [1e-300, 1e300] {
        let p = second * scale;
        (p.eigvalsh() / scale)
            .value()?
            .assert_close(&w.value()?, 0.0, 1e-13);
        ((sums * scale).svdvals() / scale).value()?.assert_close(
            &sums.svdvals().value()?,
            1e-13,
            0.0,
        );
        let (q, r) = (sums * scale).qr();
        close(q.matmul(r / scale), sums);
    }
    // Twice an element is not finite.
    let large = tape.constant(Array::from([[1e308, 0.0], [0.0, 1.0]]));
    assert_eq!(large.eigvalsh().value()?, Array::from([1.0, 1e308]));
    Ok(())
}

/// Functions whose derivatives are known without a decomposition, to second order.
#[test]
fn derivatives_in_closed_form() -> Result<()> {
    for dims in EVERY {
        let tape = Tape::new();
        let a = apart(&tape, dims);
        let (g, d) = (random(&tape, dims, 0.0), random(&tape, dims, 0.2));
        // The product of the factors is the matrix: all terms of the gradient together are the seed.
        let (u, s, vh) = a.svd();
        let (q, r) = a.qr();
        let again = [(u * columns(s)).matmul(vh), q.matmul(r)];
        for product in again {
            let [first, second] = both(product, g, a, d);
            close(first, g);
            close(second, g * 0.0);
        }
        // The sum of squares, the sum of fourth powers.
        let [first, second] = both(s.square().sum(), tape.rec().scalar(1.0), a, d);
        close(first, 2.0 * a);
        close(second, 2.0 * d);
        let fourth = a.matmul(a.t()).square().sum();
        let [first, second] = both(s.powi(4).sum(), tape.rec().scalar(1.0), a, d);
        let [one, other] = both(fourth, tape.rec().scalar(1.0), a, d);
        close(first, one);
        close(second, other);
        let [m, n] = [dims[dims.len() - 2], dims[dims.len() - 1]];
        if m >= n {
            let seed = random(&tape, &[n, n], 0.4);
            let by_cholesky = a.t().matmul(a).cholesky().t();
            let [first, second] = both(r, seed, a, d);
            let [one, other] = both(by_cholesky, seed, a, d);
            close(first, one);
            close(second, other);
            let q_by_it = by_cholesky
                .solve_triangular(a.t(), Triangle::upper().transposed())
                .t();
            let [first, second] = both(q, g, a, d);
            let [one, other] = both(q_by_it, g, a, d);
            close(first, one);
            close(second, other);
        }
        if m != n {
            continue;
        }
        // Functions of a symmetric matrix: itself, its square, its inverse; the determinant.
        let p = tape.variable((a + a.t()).value()?);
        let (w, v) = p.eigh();
        let of = |w| with_vectors(w, v);
        let symmetric = (p + p.t()) * 0.5;
        for (one, other) in [
            (of(w), symmetric),
            (of(w.square()), symmetric.matmul(symmetric)),
            (of(1.0 / w), symmetric.inverse()),
            (w.abs().ln().sum(), symmetric.slogdet().1.sum()),
        ] {
            let seed = if one.shape()?.is_empty() {
                tape.rec().scalar(1.0)
            } else {
                g
            };
            let [first, second] = both(one, seed, p, d);
            let [expected, next] = both(other, seed, p, d);
            // Of matrices with eigenvalues near zero inverses are large.
            let scale = expected.abs().max() + next.abs().max() + 1.0;
            close(first / scale, expected / scale);
            close(second / scale, next / scale);
        }
    }
    Ok(())
}

/// Where values are equal: what depends on their vectors by the space that these span is exact, and nothing is infinite.
#[test]
fn equal_values() -> Result<()> {
    let tape = Tape::new();
    for n in [2, 3, 8] {
        let q = tape.constant(random(&tape, &[n, n], 0.1).qr().0.value()?);
        let g = random(&tape, &[n, n], 0.3);
        let eye = tape.rec().eye::<f64>(n);
        // Eigenvalues 1 and 3, several of each; the projection onto the vectors of the first.
        let first = |i: usize| f64::from(u8::from(2 * i < n));
        let own = tape.constant(Array::from_shape_fn([n], |i| first(i[0])));
        let projection = with_vectors(own, q);
        let other = eye - projection;
        let p = projection + 3.0 * other;
        let p = tape.variable(((p + p.t()) * 0.5).value()?);
        let (w, v) = p.eigh();
        close(with_vectors(own, v), projection);
        let [gradient] = (with_vectors(own, v) * g).sum().grad_of([p]);
        let across = projection.matmul(g + g.t()).matmul(other);
        close(gradient, (across + across.t()) * -0.25);
        let [gradient] = w.exp().sum().grad_of([p]);
        close(gradient, with_vectors(w.exp(), v));
        // Of vectors themselves there is no derivative, but no infinity either.
        let [gradient] = (v * g).sum().grad_of([p]);
        assert!(gradient.abs().max().item()? < 1e3);
        // A function of the matrix, all values equal: what is between vectors of equal values is left out.
        let p = tape.variable(eye.value()?);
        let (w, v) = p.eigh();
        let [gradient] = (with_vectors(w.square(), v) * g).sum().grad_of([p]);
        close(gradient, g.diag().diag() * 2.0);
        // The orthogonal part of a multiple of an orthogonal matrix, whose singular values are all equal.
        let a = tape.variable((q * 5.0).value()?);
        let (u, s, vh) = a.svd();
        let [first] = (u.matmul(vh) * g).sum().grad_of([a]);
        close(first, (g - q.matmul(g.t()).matmul(q)) / 10.0);
        let [first] = s.sum().grad_of([a]);
        close(first, q);
        let [first] = (u * g).sum().grad_of([a]);
        assert!(first.abs().max().item()?.is_finite());
    }
    Ok(())
}

#[test]
fn engines_and_single_precision() -> Result<()> {
    let a = samples(&[37, 5, 5], (-1.0, 1.0));
    let p = Program::record(&[a.clone()], |_, [a]| {
        let ((w, v), (u, s, vh), (q, r)) = (a.eigh(), a.svd(), a.narrow(1, 0, 3).t().qr());
        let all =
            (v * columns(w.sin())).matmul(v.t()).square().sum() + (u * columns(s)).cos().sum();
        all + vh.powi(3).sum() + q.exp().sum() + r.sin().sum()
    })?
    .value_and_grad()?;
    assert_variants_agree(&p, &[&a])?;
    // One factorisation serves all its parts, and their derivatives.
    let listing = p.to_string();
    for name in ["eigh", "svd", "qr"] {
        assert_eq!(listing.matches(&format!("{name} ")).count(), 1, "{listing}");
    }
    let tape = Tape::new();
    let a = tape.constant(samples(&[3, 12, 12], (-1.0, 1.0)));
    let a = tape.constant(a.cast::<f32>().cast::<f64>().value()?);
    let narrow = a.cast::<f32>();
    let wide = |x: Var<'_, f32>| x.cast::<f64>().value();
    let near = |x: Array<f64>, y: Var<'_, f64>| {
        x.assert_close(&y.value().unwrap(), 1e-5, 1e-5);
    };
    near(wide(narrow.svdvals())?, a.svdvals());
    near(wide(narrow.svd().0)?, a.svd().0);
    near(wide(narrow.eigh().1)?, a.eigh().1);
    near(wide(narrow.qr().1)?, a.qr().1);
    // Operands that stand in memory in any way.
    close(a.flip(1).flip(2).svdvals(), a.svdvals());
    close(a.t().svd().1, a.svd().1);
    Ok(())
}

#[test]
fn nothing_nan_and_mistakes() -> Result<()> {
    let tape = Tape::new();
    for dims in [[0, 0], [0, 3], [3, 0]] {
        let empty = tape.variable(Array::<f64>::zeros(dims));
        let ((u, s, vh), (q, r)) = (empty.svd(), empty.qr());
        assert_eq!(
            (u.shape()?, s.shape()?, vh.shape()?),
            (vec![dims[0], 0], vec![0], vec![0, dims[1]])
        );
        assert_eq!(
            (q.shape()?, r.shape()?),
            (vec![dims[0], 0], vec![0, dims[1]])
        );
        let mut all = u.sum() + s.sum() + vh.sum() + q.sum() + r.sum();
        if dims[0] == dims[1] {
            let (w, v) = empty.eigh();
            all += w.sum() + v.sum();
        }
        all.backward()?;
        assert_eq!(empty.grad()?.shape(), dims);
    }
    // What is not finite is NaN, in its own matrix alone.
    for bad in [f64::NAN, f64::INFINITY] {
        let mut a = samples(&[2, 3, 3], (-1.0, 1.0));
        a.as_mut_slice()[4] = bad;
        let a = tape.variable(a);
        let ((w, v), (u, s, vh), (q, r)) = (a.eigh(), a.svd(), a.qr());
        for y in [w, v, u, s, vh, q, r] {
            let y = y.value()?;
            let (first, second) = y.as_slice().split_at(y.len() / 2);
            assert!(first.iter().all(|x| x.is_nan()), "{first:?}");
            assert!(second.iter().all(|x| x.is_finite()), "{second:?}");
        }
        let [g] = (w.sum() + u.sum()).grad_of([a]);
        assert!(g.value()?.as_slice()[9..].iter().all(|x| x.is_finite()));
    }
    let a = tape.variable(Array::<f64>::ones([2, 3]));
    let row = a.at(0, 0);
    for (y, expected) in [
        (
            a.eigh().0,
            "eigh of [2, 3] f64: the matrices in the last two axes must be square",
        ),
        (
            a.eigvalsh(),
            "eigvalsh of [2, 3] f64: the matrices in the last two axes must be square",
        ),
        (row.eigh().1, "eigh of [3] f64: expected rank 2 at least"),
        (row.svd().2, "svd of [3] f64: expected rank 2 at least"),
        (
            row.svdvals(),
            "svdvals of [3] f64: expected rank 2 at least",
        ),
        (row.qr().1, "qr of [3] f64: expected rank 2 at least"),
    ] {
        let line = line!();
        let error = y.value().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
        let message = error.to_string();
        assert!(message.starts_with(expected), "{message}");
        assert!(message.contains(file!()) && !message.contains(&format!(":{line}:")));
    }
    // Columns that depend on each other have a Q, but no gradient of it.
    let (q, r) = a.t().qr();
    close(q.matmul(r), a.t());
    let zero = tape.variable(Array::<f64>::zeros([2, 2]));
    let [g] = zero.qr().1.sum().grad_of([zero]);
    let error = g.value().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Singular);
    assert!(
        error
            .to_string()
            .starts_with("solve_triangular of [2, 2] f64: the matrix is singular: pivot 0"),
        "{error}"
    );
    Ok(())
}
