//! Pooling against loops, over every kind of window; its derivatives; ties and NaN.

use retrograde::prelude::*;
use retrograde_tests::derivatives::{check_derivatives, samples};

/// Elements of a plane under each window, row by row, with what is beyond left out.
fn windows(shape: &[usize], o: &PoolOptions) -> (Vec<usize>, Vec<Vec<[usize; 4]>>) {
    let of =
        |axis: usize| (shape[2 + axis] + 2 * o.padding[axis] - o.kernel[axis]) / o.stride[axis] + 1;
    let dims = vec![shape[0], shape[1], of(0), of(1)];
    let mut windows = Vec::new();
    for n in 0..dims[0] {
        for c in 0..dims[1] {
            for p in 0..dims[2] {
                for q in 0..dims[3] {
                    let mut window = Vec::new();
                    for i in 0..o.kernel[0] {
                        for j in 0..o.kernel[1] {
                            let row = (p * o.stride[0] + i).wrapping_sub(o.padding[0]);
                            let column = (q * o.stride[1] + j).wrapping_sub(o.padding[1]);
                            if row < shape[2] && column < shape[3] {
                                window.push([n, c, row, column]);
                            }
                        }
                    }
                    windows.push(window);
                }
            }
        }
    }
    (dims, windows)
}

fn pools() -> Vec<PoolOptions> {
    let kernel = |rows, columns| PoolOptions::kernel([rows, columns]);
    vec![
        kernel(1, 1),
        kernel(2, 2),
        kernel(3, 3).stride(2).padding(1),
        kernel(2, 5).stride([3, 4]),
        kernel(3, 2).stride(1).padding([0, 1]),
        kernel(3, 3),
        kernel(2, 2).stride(3).padding(1),
    ]
}

/// Odd and even extents; windows of a row that fill no vector, one, and several; planes for several blocks.
const SHAPES: [[usize; 4]; 6] = [
    [2, 3, 7, 9],
    [1, 1, 5, 150],
    [3, 1, 64, 17],
    [5, 2, 6, 8],
    [2, 2, 4, 66],
    [30, 3, 28, 28],
];

/// Of equal elements, which are many here, the first of each window gets its gradient.
#[test]
fn gradients_of_max_pool_against_loops() -> Result<()> {
    for shape in SHAPES {
        // A few values, each many times.
        let x = samples(&shape, (0.0, 8.0)).map(f64::floor);
        for options in pools() {
            let (dims, windows) = windows(&shape, &options);
            let seeds = samples(&dims, (-4.0, 4.0)).map(f64::round);
            let mut expected = Array::<f64>::zeros(shape);
            for (window, &seed) in windows.iter().zip(seeds.iter()) {
                let first = window.iter().copied().reduce(
                    |best, at| {
                        if x[at] > x[best] { at } else { best }
                    },
                );
                expected[first.expect("a window sees something")] += seed;
            }
            let tape = Tape::new();
            let v = tape.variable(x.clone());
            v.max_pool2d(options).backward_with(&seeds)?;
            assert_eq!(v.grad()?, expected, "{shape:?} {options:?}");
            let v = tape.variable(x.cast::<f32>());
            v.max_pool2d(options).backward_with(&seeds.cast::<f32>())?;
            assert_eq!(v.grad()?, expected.cast::<f32>(), "{shape:?} {options:?}");
        }
    }
    Ok(())
}

#[test]
fn pooling_against_loops() -> Result<()> {
    for shape in SHAPES {
        let x = samples(&shape, (-1.0, 1.0));
        let tape = Tape::new();
        let (v, single) = (tape.constant(x.clone()), tape.constant(x.cast::<f32>()));
        for options in pools() {
            let (dims, windows) = windows(&shape, &options);
            let of = |f: &dyn Fn(&[f64]) -> f64| -> Result<Array<f64>> {
                let each = windows.iter().map(|w| {
                    let elements: Vec<f64> = w.iter().map(|&at| x[at]).collect();
                    f(&elements)
                });
                Ok(Array::from_vec(each.collect(), dims.clone())?)
            };
            let largest = of(&|w| w.iter().copied().fold(f64::NEG_INFINITY, f64::max))?;
            assert_eq!(v.max_pool2d(options).value()?, largest);
            let found = single.max_pool2d(options).value()?;
            assert_eq!(found, largest.cast::<f32>());
            let area = (options.kernel[0] * options.kernel[1]) as f64;
            let mean = of(&|w| w.iter().sum::<f64>() / area)?;
            v.avg_pool2d(options)
                .value()?
                .assert_close(&mean, 1e-14, 1e-14);
            let inside = of(&|w| w.iter().sum::<f64>() / w.len() as f64)?;
            let options = options.count_include_pad(false);
            v.avg_pool2d(options)
                .value()?
                .assert_close(&inside, 1e-14, 1e-14);
            let found = single.avg_pool2d(options).value()?.cast::<f64>();
            found.assert_close(&inside, 1e-6, 1e-6);
        }
    }
    Ok(())
}

#[test]
fn derivatives_of_pooling() -> Result<()> {
    let x = samples(&[2, 2, 6, 5], (-1.0, 1.0));
    for options in pools() {
        let p = Program::try_record(&[x.clone()], |_, [x]| {
            Ok((x.max_pool2d(options).sin() * 0.7).sum().into())
        })?;
        check_derivatives(&format!("max_pool2d {options:?}"), &p, &[&x])?;
        for count in [true, false] {
            let options = options.count_include_pad(count);
            let p = Program::try_record(&[x.clone()], |_, [x]| {
                Ok(x.avg_pool2d(options).sin().sum().into())
            })?;
            check_derivatives(&format!("avg_pool2d {options:?}"), &p, &[&x])?;
        }
    }
    Ok(())
}

/// Of equals the first gets the gradient, row by row; a NaN is larger than anything, and negative infinity is something.
#[test]
fn ties_and_nan_of_max_pool() -> Result<()> {
    let (nan, low) = (f64::NAN, f64::NEG_INFINITY);
    for (x, largest, at) in [
        ([1.0, 3.0, 3.0, 3.0], 3.0, 1),
        ([2.0, 2.0, 2.0, 2.0], 2.0, 0),
        ([low, low, low, low], low, 0),
        ([low, 0.0, 5.0, 5.0], 5.0, 2),
        ([7.0, nan, 9.0, nan], nan, 1),
        ([nan, 9.0, 9.0, 9.0], nan, 0),
        ([f64::INFINITY, 1.0, nan, 9.0], nan, 2),
    ] {
        // One window, by the kernel of halves and by that of all windows.
        for stride in [2, 1] {
            let tape = Tape::new();
            let v = tape.variable(Array::from(x).reshape([1, 1, 2, 2])?);
            let y = v.max_pool2d(PoolOptions::kernel(2).stride(stride));
            let found = y.item()?;
            assert!(
                found == largest || found.is_nan() && largest.is_nan(),
                "{x:?}: {found}"
            );
            (y * 2.0).sum().backward()?;
            let mut expected = [0.0; 4];
            expected[at] = 2.0;
            assert_eq!(v.grad()?.as_slice(), expected, "{x:?}");
            let single = v
                .cast::<f32>()
                .max_pool2d(PoolOptions::kernel(2).stride(stride));
            assert_eq!(single.item()?.is_nan(), largest.is_nan(), "{x:?}");
        }
    }
    Ok(())
}

/// Windows far larger than the image, and strides: one window that sees all of it.
#[test]
fn windows_beyond_any_image() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(Array::<f64>::arange(6).reshape([1, 1, 2, 3])?);
    let huge = PoolOptions::kernel(1 << 50)
        .padding(1 << 49)
        .stride(usize::MAX);
    assert_eq!(x.max_pool2d(huge).item()?, 5.0);
    let mean = x.avg_pool2d(huge.count_include_pad(false));
    assert_eq!(mean.item()?, 2.5);
    assert_eq!(x.avg_pool2d(huge).item()?, 15.0 / 2f64.powi(100));
    mean.sum().backward()?;
    assert_eq!(
        x.grad()?,
        Array::from([1.0 / 6.0; 6]).reshape([1, 1, 2, 3])?
    );
    let p = Program::record(&[x.value()?], |_, [x]| x.avg_pool2d(huge).sum())?;
    assert!(p.value_and_grad()?.cost().flops > 1 << 60);
    Ok(())
}
