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
