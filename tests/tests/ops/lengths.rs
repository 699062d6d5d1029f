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

/// Lines longer than a tile, a chunk and a block, by operations that go along them; of one and of several, as rows and as
/// columns.
#[test]
fn long_lines() -> Result<()> {
    fn check(n: usize, lines: usize, axis: isize) -> Result<()> {
        let dims = if axis == 0 { [n, lines] } else { [lines, n] };
        let x = samples(&dims, (-1.0, 1.0));
        let at = |line: usize, i: usize| x[if axis == 0 { [i, line] } else { [line, i] }];
        // What `f` makes of each line, where it stands.
        let along = |f: &dyn Fn(&[f64]) -> Vec<f64>| {
            let made: Vec<Vec<f64>> = (0..lines)
                .map(|line| f(&(0..n).map(|i| at(line, i)).collect::<Vec<_>>()))
                .collect();
            Array::from_shape_fn(dims, |i| {
                if axis == 0 {
                    made[i[1]][i[0]]
                } else {
                    made[i[0]][i[1]]
                }
            })
        };
        let running = |f: fn(f64, f64) -> f64| {
            along(&|line| {
                let mut last = None;
                line.iter()
                    .map(|&x| *last.insert(last.map_or(x, |l| f(l, x))))
                    .collect()
            })
        };
        let softmax = along(&|line| {
            let sum: f64 = line.iter().map(|x| x.exp()).sum();
            line.iter().map(|x| x.exp() / sum).collect()
        });
        let sorted = along(&|line| {
            let mut line = line.to_vec();
            line.sort_by(f64::total_cmp);
            line
        });
        let what = format!("{n} x {lines} along {axis}");
        let p = Program::try_record(&[x.clone()], |_, [x]| {
            let soft = x.softmax(axis);
            let [g] = (soft * soft).sum().grad_of([x]);
            let backwards = x.argsort(axis, retrograde::Order::Ascending);
            Ok([
                soft,
                x.log_softmax(axis).exp(),
                x.cumsum(axis),
                x.cummax(axis),
                x.logcumsumexp(axis).exp(),
                x.sort(axis, retrograde::Order::Ascending),
                x.gather(axis, backwards),
                x.rec().concat(&[x.sin(), x], axis).narrow(axis, n, n),
                x.roll(7, axis).roll(-7, axis),
                x.max_over(keep(axis)) + x * 0.0,
                g,
            ]
            .into())
        })?;
        let largest =
            along(&|line| vec![line.iter().copied().fold(f64::MIN, f64::max); line.len()]);
        // 2 s (s - sum s^2).
        let slope = {
            let s = &softmax;
            let of = |line: usize, i: usize| s[if axis == 0 { [i, line] } else { [line, i] }];
            let squares: Vec<f64> = (0..lines)
                .map(|line| (0..n).map(|i| of(line, i).powi(2)).sum())
                .collect();
            Array::from_shape_fn(dims, |i| {
                let s = s[[i[0], i[1]]];
                2.0 * s * (s - squares[if axis == 0 { i[1] } else { i[0] }])
            })
        };
        let expected = [
            softmax.clone(),
            softmax,
            running(|a, b| a + b),
            running(f64::max),
            along(&|line| {
                let mut sum = 0.0;
                line.iter().map(|x| (sum += x.exp(), sum).1).collect()
            }),
            sorted.clone(),
            sorted,
            x.clone(),
            x.clone(),
            largest,
            slope,
        ];
        let mut ws = p.workspace()?;
        let out = p.run(&mut ws, [&x])?;
        for (k, expected) in expected.iter().enumerate() {
            let close = out.array::<f64>(k)?.check_close(expected, 1e-11, 1e-11);
            assert!(close.is_ok(), "{what}, output {k}: {close:?}");
        }
        Ok(())
    }
    for n in [4097, 32_767, 32_769, 70_001] {
        check(n, 1, 1)?;
        check(n, 1, 0)?;
    }
    check(40_000, 3, 1)?;
    check(40_000, 3, 0)
}
