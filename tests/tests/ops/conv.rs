//! Convolutions against loops, over every kind of window; their derivatives; bits at any level and thread.

use retrograde::prelude::*;
use retrograde::{Level, Options};
use retrograde_tests::bits::first_difference_of_all;
use retrograde_tests::derivatives::{check_derivatives, run, samples};

/// `x` at a row and column that may lie in the padding, which is zero.
fn padded(x: &Array<f64>, [n, c]: [usize; 2], row: isize, column: isize) -> f64 {
    let [height, width] = [x.shape()[2], x.shape()[3]].map(|d| d as isize);
    if (0..height).contains(&row) && (0..width).contains(&column) {
        x[[n, c, row as usize, column as usize]]
    } else {
        0.0
    }
}

fn places(extent: usize, kernel: usize, axis: usize, o: &ConvOptions) -> usize {
    (extent + 2 * o.padding[axis] - o.dilation[axis] * (kernel - 1) - 1) / o.stride[axis] + 1
}

/// Which row or column tap `t` of output `p` sees.
fn seen(p: usize, t: usize, axis: usize, o: &ConvOptions) -> isize {
    (p * o.stride[axis] + t * o.dilation[axis]) as isize - o.padding[axis] as isize
}

/// `conv2d` by its definition.
fn convolved(x: &Array<f64>, w: &Array<f64>, o: &ConvOptions) -> Array<f64> {
    let (xs, ws) = (x.shape(), w.shape());
    let rows = places(xs[2], ws[2], 0, o);
    let columns = places(xs[3], ws[3], 1, o);
    Array::from_shape_fn([xs[0], ws[0], rows, columns], |at| {
        let group = at[1] / (ws[0] / o.groups);
        let mut sum = 0.0;
        for c in 0..ws[1] {
            for i in 0..ws[2] {
                for j in 0..ws[3] {
                    let place = [at[0], group * ws[1] + c];
                    let element = padded(x, place, seen(at[2], i, 0, o), seen(at[3], j, 1, o));
                    sum += w[[at[1], c, i, j]] * element;
                }
            }
        }
        sum
    })
}

/// Every combination of stride, padding, dilation and groups, in both float types.
#[test]
fn convolutions_against_loops() -> Result<()> {
    let x = samples(&[2, 4, 9, 7], (-1.0, 1.0));
    for kernel in [[1, 1], [3, 2], [2, 5]] {
        for stride in [[1, 1], [2, 3]] {
            for padding in [[0, 0], [1, 2], [3, 0]] {
                for dilation in [[1, 1], [2, 1]] {
                    for groups in [1, 2, 4] {
                        let w = samples(&[4, 4 / groups, kernel[0], kernel[1]], (-0.9, 1.1));
                        let options = ConvOptions::default()
                            .stride(stride)
                            .padding(padding)
                            .dilation(dilation)
                            .groups(groups);
                        let expected = convolved(&x, &w, &options);
                        let tape = Tape::new();
                        let (v, u) = (tape.constant(x.clone()), tape.constant(w.clone()));
                        let found = v.conv2d(u, options).value()?;
                        found.assert_close(&expected, 1e-13, 1e-13);
                        let v = tape.constant(x.cast::<f32>());
                        let u = tape.constant(w.cast::<f32>());
                        let found = v.conv2d(u, options).value()?.cast::<f64>();
                        found.assert_close(&expected, 1e-5, 1e-5);
                    }
                }
            }
        }
    }
    Ok(())
}

/// Rows around vectors, more channels than one chunk, images larger than a tile, planes of one element, depthwise.
#[test]
fn sizes_against_loops() -> Result<()> {
    let cases: [([usize; 4], [usize; 4], usize); 9] = [
        ([1, 1, 3, 3], [1, 1, 3, 3], 0),
        ([3, 2, 5, 16], [3, 2, 3, 3], 1),
        ([1, 2, 4, 17], [7, 2, 1, 3], 0),
        ([2, 1, 2, 33], [1, 1, 2, 2], 1),
        ([5, 3, 1, 1], [4, 3, 1, 1], 0),
        ([1, 65, 5, 6], [3, 65, 3, 3], 1),
        ([1, 40, 70, 30], [2, 40, 3, 3], 1),
        ([1, 3, 1, 4000], [2, 3, 1, 9], 0),
        ([19, 2, 6, 6], [50, 2, 3, 3], 1),
    ];
    for (image, weight, padding) in cases {
        let (x, w) = (samples(&image, (-1.0, 1.0)), samples(&weight, (-0.9, 1.1)));
        let options = ConvOptions::default().padding([padding, 0]);
        let tape = Tape::new();
        let y = tape
            .constant(x.clone())
            .conv2d(tape.constant(w.clone()), options);
        y.value()?
            .assert_close(&convolved(&x, &w, &options), 1e-12, 1e-12);
    }
    Ok(())
}

/// Gradients and second order by differences, of both operands and of every map of the family.
#[test]
fn derivatives_of_convolutions() -> Result<()> {
    let options = ConvOptions::default();
    let cases: [(&str, [usize; 4], [usize; 4], ConvOptions); 6] = [
        ("plain", [2, 2, 5, 4], [3, 2, 3, 2], options),
        (
            "padded",
            [1, 1, 3, 4],
            [2, 1, 2, 3],
            options.padding([1, 2]),
        ),
        (
            "strided",
            [2, 1, 6, 7],
            [2, 1, 2, 3],
            options.stride([3, 2]),
        ),
        (
            "dilated",
            [1, 2, 6, 7],
            [1, 2, 2, 3],
            options.dilation([3, 2]),
        ),
        (
            "groups",
            [1, 4, 4, 3],
            [2, 2, 2, 2],
            options.groups(2).padding(1),
        ),
        (
            "depthwise",
            [2, 3, 4, 4],
            [3, 1, 3, 3],
            options.groups(3).padding(1).stride(2),
        ),
    ];
    for (name, image, weight, options) in cases {
        let (x, w) = (samples(&image, (-1.0, 1.0)), samples(&weight, (-0.9, 1.1)));
        let p = Program::try_record(&[x.clone(), w.clone()], |_, [x, w]| {
            Ok(x.conv2d(w, options).sin().sum().into())
        })?;
        check_derivatives(name, &p, &[&x, &w])?;
        // The adjoints' own derivatives: the gradient of something that is not linear in them.
        let p = Program::try_record(&[x.clone(), w.clone()], |_, [x, w]| {
            let [gx, gw] = x.conv2d(w, options).square().sum().grad_of([x, w]);
            Ok(((gx * 0.1).sin().sum() + (gw * 0.1).cos().sum()).into())
        })?;
        check_derivatives(&format!("gradients of {name}"), &p, &[&x, &w])?;
    }
    Ok(())
}

/// `<conv_transpose2d(y, w), x> = <y, conv2d(x, w)>`, and its shape is that of the images.
#[test]
fn transposed_convolutions() -> Result<()> {
    let options = ConvOptions::default();
    for (options, extra) in [
        (options, [0, 0]),
        (options.stride([2, 3]).padding(1), [1, 0]),
        (options.stride(2).dilation([1, 2]).groups(2), [1, 0]),
    ] {
        let x = samples(&[2, 4, 8, 9], (-1.0, 1.0));
        let w = samples(&[6, 4 / options.groups, 3, 2], (-0.9, 1.1));
        let y = samples(convolved(&x, &w, &options).shape(), (-1.0, 1.0));
        let inputs = [x.clone(), w.clone(), y.clone()];
        let p = Program::try_record(&inputs, |_, [x, w, y]| {
            let back = y.conv_transpose2d(w, options.output_padding(extra));
            assert_eq!(back.shape()?, x.shape()?);
            Ok([(back * x).sum(), (x.conv2d(w, options) * y).sum()].into())
        })?;
        let found = run(&p, &[&x, &w, &y])?;
        found[0].assert_close(&found[1], 1e-12, 1e-12);
        let p = Program::try_record(&[w.clone(), y.clone()], |_, [w, y]| {
            Ok(y.conv_transpose2d(w, options).sin().sum().into())
        })?;
        check_derivatives("transposed", &p, &[&w, &y])?;
    }
    Ok(())
}

#[test]
fn along_one_axis() -> Result<()> {
    let (x, w) = (
        samples(&[2, 4, 19], (-1.0, 1.0)),
        samples(&[6, 2, 3], (-0.9, 1.1)),
    );
    let options = ConvOptions::default()
        .stride(2)
        .padding(2)
        .dilation(3)
        .groups(2);
    let as_images = |a: &Array<f64>| {
        let s = a.shape();
        a.clone().reshape([s[0], s[1], 1, s[2]])
    };
    let columns = ConvOptions::default()
        .stride([1, 2])
        .padding([0, 2])
        .dilation([1, 3])
        .groups(2);
    let expected = convolved(&as_images(&x)?, &as_images(&w)?, &columns);
    let p = Program::try_record(&[x.clone(), w.clone()], |_, [x, w]| {
        Ok(x.conv1d(w, options).into())
    })?;
    let found = run(&p, &[&x, &w])?;
    assert_eq!(found[0].shape(), [2, 6, expected.shape()[3]]);
    found[0].assert_close(&expected.reshape(found[0].shape().to_vec())?, 1e-13, 1e-13);
    let p = Program::try_record(&[x.clone(), w.clone()], |_, [x, w]| {
        Ok(x.conv1d(w, options).sin().sum().into())
    })?;
    check_derivatives("conv1d", &p, &[&x, &w])
}

/// Operands that are views, one value as both, images and outputs of nothing.
#[test]
fn operands_of_every_kind() -> Result<()> {
    let x = samples(&[3, 2, 6, 7], (-1.0, 1.0));
    let w = samples(&[4, 2, 3, 3], (-0.9, 1.1));
    let options = ConvOptions::default();
    let tape = Tape::new();
    let (v, u) = (tape.constant(x.clone()), tape.constant(w.clone()));
    let same = |y: Var<'_, f64>, x: Var<'_, f64>, w: Var<'_, f64>| -> Result<()> {
        let expected = convolved(&x.value()?, &w.value()?, &options);
        y.value()?.assert_close(&expected, 1e-13, 1e-13);
        Ok(())
    };
    let turned = v.transpose(2, 3).flip(1);
    same(turned.conv2d(u.flip(2), options), turned, u.flip(2))?;
    let cut = v.narrow(0, 1, 2).slice_step(3, .., 2);
    same(cut.conv2d(u, options), cut, u)?;
    let spread = v.narrow(0, 0, 1).broadcast_to([3, 2, 6, 7]);
    same(spread.conv2d(u, options), spread, u)?;
    let own = v.narrow(2, 0, 3).narrow(3, 0, 3);
    same(v.conv2d(own, options), v, own)?;
    assert_eq!(v.narrow(0, 0, 0).conv2d(u, options).shape()?, [0, 4, 4, 5]);
    assert_eq!(v.narrow(0, 0, 0).conv2d(u, options).value()?.len(), 0);
    let nothing = v.narrow(1, 0, 0).conv2d(u.narrow(1, 0, 0), options);
    assert_eq!(nothing.value()?, Array::<f64>::zeros([3, 4, 4, 5]));
    // A stride beyond the image: one window, as by any other such stride.
    let far = options.stride(usize::MAX);
    let one = v.narrow(2, 0, 3).narrow(3, 0, 3).conv2d(u, options);
    assert_eq!(v.conv2d(u, far).value()?, one.value()?);
    let [by_far, by_one] = [v.conv2d(u, far), one].map(|y| y.sum().grad_of([u])[0]);
    assert_eq!(by_far.value()?, by_one.value()?);
    // Gradients of nothing are zeros.
    let (v, u) = (
        tape.variable(samples(&[0, 2, 6, 7], (0.0, 1.0))),
        tape.variable(w.clone()),
    );
    v.conv2d(u, options).sum().backward()?;
    assert_eq!(u.grad()?, Array::<f64>::zeros([4, 2, 3, 3]));
    Ok(())
}

/// The same bits on one thread and on many, at all levels with fused multiply-adds, of gradients too.
#[test]
fn the_same_bits_at_any_level_and_thread_count() -> Result<()> {
    let x = samples(&[9, 3, 20, 21], (-1.0, 1.0)).cast::<f32>();
    let w = samples(&[8, 3, 3, 3], (-0.9, 1.1)).cast::<f32>();
    let inputs = [x, w];
    let p = Program::try_record(&inputs, |_, [x, w]| {
        let y = x.conv2d(w, ConvOptions::default().padding(1));
        let y = y.relu().max_pool2d(PoolOptions::kernel(2));
        Ok(y.avg_pool2d(PoolOptions::kernel(3).stride(2))
            .square()
            .sum()
            .into())
    })?
    .value_and_grad()?;
    let with = |options: Options| -> Result<Vec<Array<f32>>> {
        let p = p.with_options(options)?;
        let mut ws = p.workspace()?;
        let out = p.run(&mut ws, [&inputs[0], &inputs[1]])?;
        (0..out.len()).map(|i| out.array(i)).collect()
    };
    let expected = with(Options::default())?;
    for threads in [1, 2, 5] {
        for level in Level::available() {
            if level == Level::Baseline && level != Options::default().level {
                continue;
            }
            let found = with(Options {
                threads,
                level,
                ..Options::default()
            })?;
            assert_eq!(
                first_difference_of_all(&expected, &found),
                None,
                "{level}, {threads} threads"
            );
        }
    }
    Ok(())
}
