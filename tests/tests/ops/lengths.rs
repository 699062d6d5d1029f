//! Lengths around what the engine is cut into: lanes, packets, chunks, tiles, blocks.

use retrograde::prelude::*;
use retrograde_tests::derivatives::samples;

/// 1 to two lanes + 1 of the widest level in `f32`, and one less, as many and one more than a chunk and a block.
fn lengths() -> Vec<usize> {
    let around = [64, 512, 1024, 4096, 32 << 10]
        .into_iter()
        .flat_map(|n| [n - 1, n, n + 1]);
    (0..=33).chain([812]).chain(around).collect()
}

#[test]
fn elementwise_and_sums() -> Result<()> {
    for n in lengths() {
        let x = samples(&[n], (-1.0, 1.0));
        let tape = Tape::new();
        let v = tape.variable(x.clone());
        let y = (v * v).exp() * 0.5 - v.sin();
        let expected = x.map(|x: f64| (x * x).exp() * 0.5 - x.sin());
        y.value()?.assert_close(&expected, 1e-14, 1e-14);
        let sum: f64 = expected.iter().sum();
        assert!(
            (y.sum().item()? - sum).abs() <= 1e-13 * (1.0 + n as f64),
            "sum of {n}"
        );
        y.sum().backward()?;
        let slope = x.map(|x: f64| (x * x).exp() * x - x.cos());
        v.grad()?.assert_close(&slope, 1e-14, 1e-14);
        let single = tape.constant(x.cast::<f32>());
        let half = (single * single).exp() * 0.5 - single.sin();
        half.value()?
            .cast::<f64>()
            .assert_close(&expected, 1e-6, 1e-6);
        let low = x.iter().copied().fold(f64::INFINITY, f64::min);
        if n > 0 {
            assert_eq!(v.min().item()?, low, "min of {n}");
        }
    }
    Ok(())
}

/// Rows and columns of those lengths, and matrices of part tiles.
#[test]
fn rows_and_columns() -> Result<()> {
    for n in [
        1, 2, 3, 7, 8, 9, 15, 16, 17, 23, 31, 33, 812, 1023, 1025, 2049,
    ] {
        for shape in [[n, 3], [3, n]] {
            let x = samples(&shape, (-1.0, 1.0));
            let tape = Tape::new();
            let v = tape.constant(x.clone());
            let sums: [Vec<f64>; 2] = [0, 1].map(|axis| {
                (0..shape[1 - axis])
                    .map(|i| {
                        (0..shape[axis])
                            .map(|j| x[if axis == 0 { [j, i] } else { [i, j] }])
                            .sum()
                    })
                    .collect()
            });
            for (axis, sums) in sums.into_iter().enumerate() {
                let kept = v.sum_over(keep(axis));
                v.sum_over(axis)
                    .value()?
                    .assert_close(&sums.clone().into(), 1e-13, 1e-13);
                let centred = (v - kept).value()?;
                let expected = Array::from_shape_fn(shape, |i| x[[i[0], i[1]]] - sums[i[1 - axis]]);
                centred.assert_close(&expected, 1e-13, 1e-13);
                let soft = v.softmax(axis as isize).sum_over(axis).value()?;
                soft.assert_close(&Array::ones([shape[1 - axis]]).cast(), 1e-13, 0.0);
            }
            let product = v.matmul(v.t()).value()?;
            let expected = Array::from_shape_fn([shape[0], shape[0]], |i| {
                (0..shape[1]).map(|k| x[[i[0], k]] * x[[i[1], k]]).sum()
            });
            product.assert_close(&expected, 1e-12, 1e-12);
        }
    }
    Ok(())
}
