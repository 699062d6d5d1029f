//! Images resized, windows laid side by side, features turned: against loops.

use retrograde::prelude::*;
use retrograde_tests::derivatives::samples;

const SIZES: [[usize; 2]; 8] = [
    [1, 1],
    [6, 7],
    [3, 7],
    [2, 3],
    [4, 5],
    [9, 2],
    [12, 14],
    [13, 20],
];

/// `f` of (row, column) of the result, on each plane of an image.
fn planes(
    x: &Array<f64>,
    size: [usize; 2],
    f: impl Fn(&dyn Fn(usize, usize) -> f64, [usize; 2]) -> f64,
) -> Array<f64> {
    let dims = x.shape();
    Array::from_shape_fn([dims[0], dims[1], size[0], size[1]], |i| {
        let plane = |r: usize, c: usize| *x.get(&[i[0], i[1], r, c]).expect("inside");
        f(&plane, [i[2], i[3]])
    })
}

#[test]
fn adaptive_means() -> Result<()> {
    let x = samples(&[2, 3, 6, 7], (-1.0, 1.0));
    for size in SIZES {
        let expected = planes(&x, size, |plane, at| {
            let range = |axis: usize, extent: usize| {
                let start = at[axis] * extent / size[axis];
                start..((at[axis] + 1) * extent).div_ceil(size[axis])
            };
            let (rows, columns) = (range(0, 6), range(1, 7));
            let count = (rows.len() * columns.len()) as f64;
            let cells = rows.flat_map(|r| columns.clone().map(move |c| (r, c)));
            cells.map(|(r, c)| plane(r, c)).sum::<f64>() / count
        });
        let tape = Tape::new();
        let found = tape.constant(x.clone()).adaptive_avg_pool2d(size).value()?;
        found.assert_close(&expected, 1e-14, 1e-14);
    }
    Ok(())
}

#[test]
fn interpolations() -> Result<()> {
    let x = samples(&[1, 2, 6, 7], (-1.0, 1.0));
    for size in SIZES {
        let tape = Tape::new();
        let v = tape.constant(x.clone());
        let nearest = planes(&x, size, |plane, [r, c]| {
            plane(r * 6 / size[0], c * 7 / size[1])
        });
        assert_eq!(v.upsample(size, Interpolation::Nearest).value()?, nearest);
        for (how, aligned) in [
            (Interpolation::Bilinear, false),
            (Interpolation::BilinearAligned, true),
        ] {
            let expected = planes(&x, size, |plane, at| {
                let point = |axis: usize, extent: usize| {
                    let (i, n, to) = (at[axis] as f64, extent as f64, size[axis] as f64);
                    if aligned {
                        if to == 1.0 {
                            0.0
                        } else {
                            i * (n - 1.0) / (to - 1.0)
                        }
                    } else {
                        ((i + 0.5) * n / to - 0.5).clamp(0.0, n - 1.0)
                    }
                };
                let (r, c) = (point(0, 6), point(1, 7));
                let (r0, c0) = (r.floor(), c.floor());
                let mut sum = 0.0;
                for (row, by_row) in [(r0, 1.0 - (r - r0)), (r0 + 1.0, r - r0)] {
                    for (column, by_column) in [(c0, 1.0 - (c - c0)), (c0 + 1.0, c - c0)] {
                        let weight = by_row * by_column;
                        if weight > 0.0 {
                            sum += weight * plane(row as usize, column as usize);
                        }
                    }
                }
                sum
            });
            let found = v.upsample(size, how).value()?;
            found.assert_close(&expected, 1e-13, 1e-13);
        }
    }
    Ok(())
}

/// A pixel that a result does not lie between leaves nothing in it.
#[test]
fn what_is_not_seen_does_not_pollute() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(Array::from([[[[1.0, f64::NAN], [3.0, f64::INFINITY]]]]));
    for how in [
        Interpolation::Nearest,
        Interpolation::Bilinear,
        Interpolation::BilinearAligned,
    ] {
        let y = x.upsample([4, 4], how).narrow(3, 0, 1);
        let found = y.value()?;
        assert!(
            found.iter().all(|x: &f64| x.is_finite()),
            "{how:?}: {found}"
        );
        let [g] = y.sum().grad_of([x]);
        let expected = Array::from([[[[2.0, 0.0], [2.0, 0.0]]]]);
        g.value()?.assert_close(&expected, 1e-15, 0.0);
    }
    let wide = tape.variable(Array::from([[[[1.0, 2.0, f64::NAN]]]]));
    let y = wide.adaptive_avg_pool2d([1, 2]).narrow(3, 0, 1);
    assert_eq!(y.value()?.as_slice(), [1.5]);
    let [g] = y.sum().grad_of([wide]);
    assert_eq!(g.value()?.as_slice(), [0.5, 0.5, 0.0]);
    Ok(())
}

/// Patches times a weight are a convolution.
#[test]
fn patches_are_what_convolutions_see() -> Result<()> {
    let tape = Tape::new();
    let x = tape.constant(samples(&[2, 3, 6, 7], (-1.0, 1.0)));
    let w = tape.constant(samples(&[4, 3, 2, 3], (-1.0, 1.0)));
    for stride in [[1, 1], [2, 1]] {
        for padding in [[0, 0], [1, 2]] {
            for dilation in [[1, 1], [2, 3]] {
                let how = ConvOptions::default()
                    .stride(stride)
                    .padding(padding)
                    .dilation(dilation);
                let expected = x.conv2d(w, how);
                let columns = x.unfold([2, 3], how);
                let found = w.flatten_axes(1, 3).matmul(columns);
                let found = found.reshape(expected.shape()?).value()?;
                found.assert_close(&expected.value()?, 1e-13, 1e-13);
            }
        }
    }
    let seen = x.unfold(2, ConvOptions::default().padding(1)).value()?;
    let outside = seen.get(&[1, 7, 7]).copied();
    assert_eq!(outside, Some(0.0), "channel 1, tap (1, 1), place (0, 7)");
    Ok(())
}

#[test]
fn windows_along_an_axis() -> Result<()> {
    let x = samples(&[2, 9, 3], (-1.0, 1.0));
    let tape = Tape::new();
    let v = tape.constant(x.clone());
    for (size, step) in [(1, 1), (3, 1), (3, 2), (3, 3), (2, 4), (9, 5)] {
        let count = (9 - size) / step + 1;
        let expected = Array::from_shape_fn([2, count, 3, size], |i| {
            *x.get(&[i[0], i[1] * step + i[3], i[2]]).expect("inside")
        });
        assert_eq!(
            v.windows(1, size, step).value()?,
            expected,
            "{size}, {step}"
        );
    }
    Ok(())
}

#[test]
fn rotations() -> Result<()> {
    let x = samples(&[2, 5, 6], (-1.0, 1.0));
    let tape = Tape::new();
    let v = tape.constant(x.clone());
    for (base, offset) in [(10000.0, 0), (50.0, 3)] {
        for interleaved in [false, true] {
            let expected = Array::from_shape_fn([2, 5, 6], |i| {
                let pair = |i: usize| if interleaved { i / 2 } else { i % 3 };
                let first = if interleaved { i[2] % 2 == 0 } else { i[2] < 3 };
                let partner = match (interleaved, first) {
                    (true, true) => i[2] + 1,
                    (true, false) => i[2] - 1,
                    (false, true) => i[2] + 3,
                    (false, false) => i[2] - 3,
                };
                let angle =
                    (i[1] + offset) as f64 * f64::powf(base, -2.0 * pair(i[2]) as f64 / 6.0);
                let own = x.get(&[i[0], i[1], i[2]]).expect("inside");
                let other = x.get(&[i[0], i[1], partner]).expect("inside");
                let sign = if first { -1.0 } else { 1.0 };
                own * angle.cos() + sign * other * angle.sin()
            });
            let how = Rope::default()
                .base(base)
                .offset(offset)
                .interleaved(interleaved);
            v.rope(how).value()?.assert_close(&expected, 1e-14, 1e-14);
        }
    }
    // Far positions keep their digits in single precision: angles are computed in double.
    let near = tape.constant(Array::<f32>::ones([1, 2]));
    let found = near
        .rope(Rope::default().offset(1_000_000))
        .flatten()
        .value()?;
    let angle = 1e6f64;
    let expected = [
        (angle.cos() - angle.sin()) as f32,
        (angle.cos() + angle.sin()) as f32,
    ];
    assert!(
        (found[0] - expected[0]).abs() < 2e-7 && (found[1] - expected[1]).abs() < 2e-7,
        "{found}"
    );
    Ok(())
}

#[test]
fn what_does_not_fit() {
    let tape = Tape::new();
    let x = tape.constant(samples(&[1, 2, 4, 5], (0.0, 1.0)));
    let flat = x.at(0, 0);
    let empty = x.narrow(2, 0, 0);
    let size = [0, 3];
    let near = Interpolation::Nearest;
    let wide = ConvOptions::default();
    let table: [(Var<'_, f64>, &str); 15] = [
        (
            flat.upsample(2, near),
            "upsample of [2, 4, 5] f64: the images must have shape",
        ),
        (
            x.upsample(size, near),
            "upsample of [1, 2, 4, 5] f64: the size is [0, 3]; it must be 1 at least",
        ),
        (
            empty.upsample(2, near),
            "upsample of [1, 2, 0, 5] f64: axis 2 has extent 0",
        ),
        (
            x.adaptive_avg_pool2d(size),
            "adaptive_avg_pool2d of [1, 2, 4, 5] f64: the size is [0, 3]",
        ),
        (
            flat.adaptive_avg_pool2d(1),
            "adaptive_avg_pool2d of [2, 4, 5] f64: the images must have shape",
        ),
        (
            flat.unfold(2, wide),
            "unfold of [2, 4, 5] f64: the images must have shape",
        ),
        (
            x.unfold([5, 1], wide),
            "unfold of [1, 2, 4, 5] f64: a kernel of 5 does not fit 4 rows",
        ),
        (x.unfold([0, 1], wide), "the kernel is [0, 1]"),
        (x.unfold(1, wide.stride(0)), "the stride is [0, 0]"),
        (x.unfold(1, wide.dilation(0)), "the dilation is [0, 0]"),
        (
            x.unfold(1, wide.groups(2)),
            "there are no groups of patches",
        ),
        (
            x.windows(4, 1, 1),
            "windows of [1, 2, 4, 5] f64: axis 4 is out of range",
        ),
        (
            x.windows(2, 5, 1),
            "windows of 5 elements, 1 apart, of an axis of 4",
        ),
        (
            x.rope(Rope::default()),
            "rope of [1, 2, 4, 5] f64: the features are turned in pairs, but there are 5",
        ),
        (
            x.narrow(3, 0, 4).rope(Rope::default().base(0.0)),
            "the base must be finite and above 0",
        ),
    ];
    // Nothing is computed of what nobody has, however large it would be.
    let none = x.narrow(0, 0, 0);
    let far = wide.padding(1 << 20);
    for (value, extents) in [
        (none.upsample(1 << 27, near), vec![0, 2, 1 << 27, 1 << 27]),
        (
            none.adaptive_avg_pool2d(1 << 27),
            vec![0, 2, 1 << 27, 1 << 27],
        ),
        (
            none.unfold(3, far),
            vec![0, 18, ((1 << 21) + 2) * ((1 << 21) + 3)],
        ),
        (x.narrow(1, 0, 0).windows(2, 3, 1), vec![1, 0, 2, 5, 3]),
    ] {
        assert_eq!(value.value().expect("nothing").shape(), extents);
    }
    for (value, expected) in table {
        let text = value.value().unwrap_err().to_string();
        assert!(text.contains(expected) && text.contains(file!()), "{text}");
    }
}
