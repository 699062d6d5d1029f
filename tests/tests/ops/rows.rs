//! Operations that make rows of rows: softmax and its like, norms, scans; along every axis.

use retrograde::prelude::*;
use retrograde_tests::derivatives::samples;

type Row = for<'t> fn(Var<'t, f64>, isize) -> Var<'t, f64>;
type Single = for<'t> fn(Var<'t, f32>, isize) -> Var<'t, f32>;

const SHAPES: [&[usize]; 11] = [
    &[1],
    &[9],
    &[0],
    &[3, 0],
    &[0, 3],
    &[4, 5],
    &[2, 3, 4],
    &[2, 1, 3, 2],
    &[2, 2, 2, 2, 3],
    &[3, 1030],
    &[70, 33],
];

/// `f` of every line along an axis, by coordinates.
fn along(x: &Array<f64>, axis: usize, f: impl Fn(&[f64]) -> Vec<f64>) -> Array<f64> {
    let dims = x.shape().to_vec();
    let stride: usize = dims[axis + 1..].iter().product();
    let mut result = x.clone();
    for start in 0..x.len() {
        if !(start / stride).is_multiple_of(dims[axis]) {
            continue;
        }
        let place = |i: usize| start + i * stride;
        let line: Vec<f64> = (0..dims[axis]).map(|i| x.as_slice()[place(i)]).collect();
        for (i, y) in f(&line).into_iter().enumerate() {
            result.as_mut_slice()[place(i)] = y;
        }
    }
    result
}

fn softmax(x: &[f64]) -> Vec<f64> {
    let sum: f64 = x.iter().map(|x| x.exp()).sum();
    x.iter().map(|x| x.exp() / sum).collect()
}

/// Each prefix of a line, folded.
fn running(x: &[f64], fold: fn(&[f64]) -> f64) -> Vec<f64> {
    (1..=x.len()).map(|n| fold(&x[..n])).collect()
}

fn standardised(x: &[f64], eps: f64) -> Vec<f64> {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let var = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    x.iter().map(|x| (x - mean) / (var + eps).sqrt()).collect()
}

#[test]
fn values_along_every_axis() -> Result<()> {
    macro_rules! table {
        ($($name:literal, $single:literal, |$x:ident, $a:ident| $body:expr, $oracle:expr;)*) => {
            [$(($name, $single, (|$x, $a| $body) as Row, (|$x, $a| $body) as Single, ($oracle) as fn(&[f64]) -> Vec<f64>)),*]
        };
    }
    // Name, what `f32` may be off by, the operation, the oracle.
    let table = table! {
        "softmax", 1e-6, |x, a| x.softmax(a), softmax;
        "log_softmax", 1e-6, |x, a| x.log_softmax(a), |x| softmax(x).iter().map(|p| p.ln()).collect();
        "cumsum", 1e-4, |x, a| x.cumsum(a), |x| running(x, |x| x.iter().sum());
        "cumprod", 1e-4, |x, a| x.cumprod(a), |x| running(x, |x| x.iter().product());
        "cummax", 1e-6, |x, a| x.cummax(a), |x| running(x, |x| x.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        "logcumsumexp", 1e-6, |x, a| x.logcumsumexp(a), |x| running(x, |x| x.iter().map(|x| x.exp()).sum::<f64>().ln());
    };
    for (name, bound, op, single, oracle) in table {
        for shape in SHAPES {
            let x = samples(shape, (-1.05, 1.1));
            for axis in 0..shape.len() {
                let tape = Tape::new();
                let expected = along(&x, axis, oracle);
                for axis in [axis as isize, axis as isize - shape.len() as isize] {
                    let found = op(tape.constant(x.clone()), axis).value()?;
                    let close = found.check_close(&expected, 1e-12, 1e-12);
                    assert!(close.is_ok(), "{name} of {shape:?} along {axis}: {close:?}");
                }
                let half = single(tape.constant(x.cast()), axis as isize).value()?;
                let close = half.cast::<f64>().check_close(&expected, bound, bound);
                assert!(
                    close.is_ok(),
                    "{name} of f32 {shape:?} along {axis}: {close:?}"
                );
            }
        }
    }
    Ok(())
}

/// In single precision, against the same numbers in double: a softmax's logarithm is no worse where it is large.
#[test]
fn log_softmax_is_within_two_ulp() -> Result<()> {
    for n in [4, 17, 1030] {
        let x = samples(&[40, n], (-1.0, 1.0)).cast::<f32>();
        let tape = Tape::new();
        let single = tape.constant(x.clone()).log_softmax(1).value()?;
        let double = tape.constant(x.cast::<f64>()).log_softmax(1).value()?;
        for (&found, &expected) in single.iter().zip(&double) {
            let near = (expected as f32).abs();
            let ulp = f64::from(near.next_up() - near);
            let off = (f64::from(found) - expected).abs() / ulp;
            assert!(off < 2.0, "{found} is {off} ulp from {expected}");
        }
    }
    Ok(())
}

#[test]
fn norms_of_rows() -> Result<()> {
    const EPS: f64 = 1e-3;
    for shape in SHAPES {
        let (x, last) = (samples(shape, (-2.0, 3.0)), shape.len() - 1);
        let n = shape[last];
        let (w, b) = (samples(&[n], (0.5, 1.5)), samples(&[n], (-0.3, 0.4)));
        let tape = Tape::new();
        let [x_, w_, b_] = [&x, &w, &b].map(|v| tape.constant(v.clone()));
        let scale = |y: Vec<f64>| -> Vec<f64> { y.iter().zip(&w).map(|(y, w)| y * w).collect() };
        let layer = along(&x, last, |row| {
            scale(standardised(row, EPS))
                .iter()
                .zip(&b)
                .map(|(y, b)| y + b)
                .collect()
        });
        x_.layer_norm(w_, b_, EPS)
            .value()?
            .assert_close(&layer, 1e-12, 1e-12);
        let rms = along(&x, last, |row| {
            let square = row.iter().map(|x| x * x).sum::<f64>() / row.len() as f64;
            scale(row.iter().map(|x| x / (square + EPS).sqrt()).collect())
        });
        x_.rms_norm(w_, EPS)
            .value()?
            .assert_close(&rms, 1e-12, 1e-12);
    }
    Ok(())
}

/// Where a naive formula overflows, and rows with infinite elements.
#[test]
fn extreme_rows() -> Result<()> {
    let inf = f64::INFINITY;
    let x = Array::from([
        [1e3, 1e3, -1e3],
        [-1e3, -1e3, -1e3],
        [-inf, 0.0, 0.0],
        [-inf, -inf, -inf],
        [inf, 0.0, inf],
        [1e300, -1e300, 0.0],
    ]);
    let tape = Tape::new();
    let v = tape.constant(x.clone());
    let (half, third) = (0.5f64, 1.0 / 3.0f64);
    let expected = Array::from([
        [half, half, 0.0],
        [third, third, third],
        [0.0, half, half],
        [0.0, 0.0, 0.0],
        [half, 0.0, half],
        [1.0, 0.0, 0.0],
    ]);
    v.softmax(1).value()?.assert_close(&expected, 1e-15, 0.0);
    let (ln2, ln3) = (2f64.ln(), 3f64.ln());
    let sums = Array::from([1e3 + ln2, ln3 - 1e3, ln2, -inf, inf, 1e300]);
    v.logsumexp_over(1).value()?.assert_close(&sums, 1e-15, 0.0);
    let expected = Array::from([
        [-ln2, -ln2, -2e3 - ln2],
        [-ln3, -ln3, -ln3],
        [-inf, -ln2, -ln2],
        [-inf, -inf, -inf],
        [-ln2, -inf, -ln2],
        [0.0, -2e300, -1e300],
    ]);
    v.log_softmax(1)
        .value()?
        .assert_close(&expected, 1e-15, 1e-15);
    let running = v.at(0, 0).logcumsumexp(0).value()?;
    running.assert_close(&Array::from([1e3, 1e3 + ln2, 1e3 + ln2]), 1e-15, 0.0);
    Ok(())
}
