use retrograde_storage::{DType, Packet, Shape, View};

use super::*;
use crate::structured::{Cause, ErrorCell, RawView};

/// Runs a kernel over whole memory and returns its result.
fn run(
    op: Linalg,
    how: Solver,
    matrix: (&mut [f64], View),
    right: Option<(&mut [f64], View)>,
    shape: &[usize],
    errors: &ErrorCell,
) -> Vec<f64> {
    let shape = Shape::new(shape).unwrap();
    let mut out = vec![f64::NAN; shape.len()];
    let raw = |memory: &mut [f64], view: &View| {
        RawView::new(memory.as_mut_ptr().cast(), DType::F64, view)
    };
    let kernel = Kernel {
        op,
        how,
        level: crate::Level::detect(),
        operands: Operands {
            matrix: raw(matrix.0, &matrix.1),
            right: right.map(|(memory, view)| raw(memory, &view)),
        },
        dst: raw(&mut out, &View::dense(shape)),
        errors,
        site: 3,
    };
    kernel.check().unwrap();
    let mut scratch = vec![Packet::ZERO; kernel.scratch_packets()];
    for block in 0..kernel.blocks() {
        // SAFETY: checked; the memory is ours and as large as the views say.
        unsafe { kernel.run_block(block, &mut scratch) };
    }
    out
}

fn dense(dims: &[usize]) -> View {
    View::dense(Shape::new(dims).unwrap())
}

/// Numbers in no order, diagonals large.
fn matrix(n: usize) -> Vec<f64> {
    let x = |e: usize| ((e * e * 7 + e * 13) % 101) as f64 / 50.0 - 1.0;
    (0..n * n)
        .map(|e| x(e) + if e % (n + 1) == 0 { 3.0 } else { 0.0 })
        .collect()
}

/// `a b`, or of their transposes.
fn product(a: &[f64], b: &[f64], n: usize, k: usize, (ta, tb): (bool, bool)) -> Vec<f64> {
    let a = |i: usize, l: usize| if ta { a[l * n + i] } else { a[i * n + l] };
    let b = |l: usize, j: usize| if tb { b[j * n + l] } else { b[l * k + j] };
    let cells = (0..n).flat_map(|i| (0..k).map(move |j| (i, j)));
    cells
        .map(|(i, j)| (0..n).map(|l| a(i, l) * b(l, j)).sum())
        .collect()
}

fn close(x: &[f64], y: &[f64]) {
    assert_eq!(x.len(), y.len());
    for (x, y) in x.iter().zip(y) {
        assert!((x - y).abs() <= 1e-10 * (1.0 + y.abs()), "{x} is not {y}");
    }
}

#[test]
fn solutions_solve_their_systems() {
    let errors = ErrorCell::new();
    for n in [1, 2, 3, 7, 16, 33, 100] {
        let k = n % 4 + 1;
        let b: Vec<f64> = (0..n * k).map(|e| (e % 11) as f64 - 5.0).collect();
        let a = matrix(n);
        let plain = Solver::default();
        let lu = run(
            Linalg::Lu,
            plain,
            (&mut a.clone(), dense(&[n, n])),
            None,
            &[n + 1, n],
            &errors,
        );
        for transposed in [false, true] {
            let how = Solver {
                transposed,
                ..plain
            };
            let factors = (&mut lu.clone()[..], dense(&[n + 1, n]));
            let x = run(
                Linalg::Solve,
                how,
                factors,
                Some((&mut b.clone(), dense(&[n, k]))),
                &[n, k],
                &errors,
            );
            close(&product(&a, &x, n, k, (transposed, false)), &b);
        }
        for (upper, unit) in [(false, false), (false, true), (true, false), (true, true)] {
            let of = |e: usize| {
                let (i, j) = (e / n, e % n);
                match i.cmp(&j) {
                    std::cmp::Ordering::Equal if unit => 1.0,
                    std::cmp::Ordering::Less if !upper => 0.0,
                    std::cmp::Ordering::Greater if upper => 0.0,
                    _ => a[e] / if i == j { 1.0 } else { n as f64 },
                }
            };
            let triangle: Vec<f64> = (0..n * n).map(of).collect();
            // What is not read may be anything.
            let mut given: Vec<f64> = (0..n * n)
                .map(|e| {
                    let (i, j) = (e / n, e % n);
                    let hidden = (unit && i == j) || (i != j && (i < j) != upper);
                    if hidden { f64::NAN } else { triangle[e] }
                })
                .collect();
            let how = Solver {
                upper,
                unit,
                ..plain
            };
            let right = Some((&mut b.clone()[..], dense(&[n, k])));
            let x = run(
                Linalg::TriangularSolve,
                how,
                (&mut given, dense(&[n, n])),
                right,
                &[n, k],
                &errors,
            );
            close(&product(&triangle, &x, n, k, (false, false)), &b);
        }
        let mut positive = product(&a, &a, n, n, (false, true));
        let l = run(
            Linalg::Cholesky,
            plain,
            (&mut positive, dense(&[n, n])),
            None,
            &[n, n],
            &errors,
        );
        close(&product(&l, &l, n, n, (false, true)), &positive);
        assert!((0..n * n).all(|e| e / n >= e % n || l[e] == 0.0));
    }
    assert!(errors.is_clear());
}

#[test]
fn determinants_of_permutations_and_products() {
    let errors = ErrorCell::new();
    // The third matrix is singular.
    let mut a = vec![
        0.0, 2.0, 0.0, 0.0, 0.0, 3.0, 4.0, 0.0, 0.0, //
        0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 5.0, //
        1.0, 2.0, 3.0, 2.0, 4.0, 6.0, 1.0, 1.0, 1.0,
    ];
    let plain = Solver::default();
    let lu = run(
        Linalg::Lu,
        plain,
        (&mut a, dense(&[3, 3, 3])),
        None,
        &[3, 4, 3],
        &errors,
    );
    let of = |op| {
        run(
            op,
            plain,
            (&mut lu.clone(), dense(&[3, 4, 3])),
            None,
            &[3],
            &errors,
        )
    };
    close(&of(Linalg::Det), &[24.0, -5.0, 0.0]);
    assert_eq!(of(Linalg::SignDet), [1.0, -1.0, 0.0]);
    let logarithms = of(Linalg::LogAbsDet);
    close(&logarithms[..2], &[24.0f64.ln(), 5.0f64.ln()]);
    assert_eq!(logarithms[2], f64::NEG_INFINITY);
}

#[test]
fn the_first_matrix_at_fault_is_named() {
    let mut errors = ErrorCell::new();
    let plain = Solver::default();
    let mut a = vec![
        4.0,
        0.0,
        0.0,
        1.0,
        4.0,
        0.0,
        2.0,
        -1.0,
        1.0,
        0.0,
        0.0,
        f64::NAN,
    ];
    run(
        Linalg::Cholesky,
        plain,
        (&mut a, dense(&[3, 2, 2])),
        None,
        &[3, 2, 2],
        &errors,
    );
    let fault = errors.take().unwrap();
    assert_eq!(
        (fault.site, fault.position, fault.value, fault.cause),
        (3, 1, 1, Cause::NotPositiveDefinite)
    );
    run(
        Linalg::Cholesky,
        plain,
        (&mut a[8..], dense(&[1, 2, 2])),
        None,
        &[1, 2, 2],
        &errors,
    );
    assert_eq!(errors.take().unwrap().value, 1, "NaN is not positive");

    let mut triangle = vec![1.0, 0.0, 5.0, 0.0];
    let how = Solver {
        upper: true,
        ..plain
    };
    let right = Some((&mut [1.0, 1.0][..], dense(&[2, 1])));
    run(
        Linalg::TriangularSolve,
        how,
        (&mut triangle, dense(&[2, 2])),
        right,
        &[2, 1],
        &errors,
    );
    let fault = errors.take().unwrap();
    assert_eq!(
        (fault.value, fault.bound, fault.cause),
        (1, 2, Cause::Singular)
    );
}

/// Wide and tall, of full rank and of rank one, of numbers from tiny to huge; zeros, and zeros on a diagonal.
#[test]
fn decompositions_multiply_to_their_matrix() {
    let errors = ErrorCell::new();
    let worst = |x: &[f64], y: &[f64]| {
        let apart = x.iter().zip(y).map(|(x, y)| (x - y).abs());
        apart.fold(0.0, f64::max)
    };
    let transposed = |x: &[f64], rows: usize, columns: usize| -> Vec<f64> {
        let cells = (0..columns).flat_map(|j| (0..rows).map(move |i| (i, j)));
        cells.map(|(i, j)| x[i * columns + j]).collect()
    };
    // `x` is m by k, `y` n by k.
    let times = |x: &[f64], y: &[f64], k: usize| -> Vec<f64> {
        let rows = x
            .chunks_exact(k)
            .flat_map(|x| y.chunks_exact(k).map(move |y| (x, y)));
        rows.map(|(x, y)| x.iter().zip(y).map(|(x, y)| x * y).sum())
            .collect()
    };
    let identity = |k: usize| -> Vec<f64> {
        (0..k * k)
            .map(|e| f64::from(u8::from(e % (k + 1) == 0)))
            .collect()
    };
    let sizes = [
        (1, 1),
        (2, 2),
        (3, 3),
        (5, 3),
        (3, 5),
        (16, 16),
        (40, 33),
        (20, 50),
    ];
    for ((m, n), kind) in sizes
        .into_iter()
        .flat_map(|s| (0..8).map(move |kind| (s, kind)))
    {
        let of = |e: usize| {
            let (i, j) = (e / n, e % n);
            let (number, other) = (
                ((e * e * 7 + e * 13) % 101) as f64 / 50.0 - 1.0,
                i as f64 - 1.5,
            );
            match kind {
                0 => number,
                1 => other * (j as f64 + 0.3),
                2 => 0.0,
                3 => f64::from(u8::from(j == i + 1)),
                4 => f64::from(u8::from(i / 2 == j / 2)),
                5 => number * 1e-300,
                6 => number * 1e300,
                _ => number * 10f64.powi(-8 * (i + j) as i32),
            }
        };
        let mut a: Vec<f64> = (0..m * n).map(of).collect();
        let made = |op, rows: usize, a: &[f64]| {
            let k = m.min(n);
            let shape = [rows, k];
            let matrix = (&mut a.to_vec()[..], dense(&[m, n]));
            run(op, Solver::default(), matrix, None, &shape, &errors)
        };
        let k = m.min(n);
        let size = a.iter().fold(f64::MIN_POSITIVE, |m, x| m.max(x.abs()));
        let relative = |x: &[f64]| -> Vec<f64> { x.iter().map(|x| x / size).collect() };
        let check = |name: &str, left: &[f64], values: &[f64], right: &[f64], a: &[f64]| {
            let left_scaled: Vec<f64> = left
                .chunks_exact(k)
                .flat_map(|row| row.iter().zip(values).map(|(x, s)| x * s))
                .collect();
            let off = worst(&times(&left_scaled, right, k), &relative(a));
            assert!(off < 1e-13, "{name} of {m} by {n}, kind {kind}: {off}");
            for (x, rows) in [(left, m), (right, n)] {
                let columns = transposed(x, rows, k);
                let off = worst(&times(&columns, &columns, rows), &identity(k));
                let upper = name == "qr" && rows == n && std::ptr::eq(x, right);
                assert!(
                    upper || off < 1e-13,
                    "{name} of {m} by {n}, kind {kind}: {off}"
                );
            }
        };
        let f = made(Linalg::Svd, m + 1 + n, &a);
        let s = relative(&f[m * k..(m + 1) * k]);
        assert!(s.windows(2).all(|s| s[0] >= s[1]) && s.iter().all(|&s| s >= 0.0));
        check("svd", &f[..m * k], &s, &f[(m + 1) * k..], &a);
        if m >= n {
            let f = made(Linalg::Qr, m + n, &a);
            let r = relative(&f[m * n..]);
            assert!(
                (0..n).all(|i| r[i * n + i] >= 0.0 && r[i * n..][..i].iter().all(|&r| r == 0.0))
            );
            check("qr", &f[..m * n], &vec![1.0; n], &transposed(&r, n, n), &a);
        }
        if m == n {
            (0..n).for_each(|i| (0..i).for_each(|j| a[j * n + i] = a[i * n + j]));
            let f = made(Linalg::Eigh, n + 1, &a);
            let w = relative(&f[..n]);
            assert!(w.windows(2).all(|w| w[0] <= w[1]));
            check("eigh", &f[n..], &w, &f[n..], &a);
            a[0] = f64::NAN;
            assert!(made(Linalg::Eigh, n + 1, &a).iter().all(|x| x.is_nan()));
        }
    }
    assert!(errors.is_clear());
}
