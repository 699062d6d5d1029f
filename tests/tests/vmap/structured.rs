//! Operations that move elements, windows, attention, indexing, loops, regions, custom operations, random draws.

use retrograde::prelude::*;
use retrograde::{Attention, ConvOptions, CustomOp, PoolOptions, ScanOptions};

use super::{check, check_values};

#[test]
fn moves() {
    let s: &[usize] = &[2, 3, 4];
    check("reshape", [s], 0.0, |_, [x]| x.reshape([4, 6]) * 2.0);
    check("permute", [s], 0.0, |_, [x]| x.permute([2, 0, 1]) * 2.0);
    check("slice", [s], 0.0, |_, [x]| {
        x.slice_step(2, .., -2).narrow(1, 1, 2) * 2.0
    });
    check("expand", [&[3, 1], &[4]], 0.0, |_, [x, y]| {
        x.broadcast_to([2, 3, 4]) * y
    });
    check("concat", [&[2, 3], &[2, 1]], 0.0, |t, [x, y]| {
        t.concat(&[x, y, x], 1) * 2.0
    });
    check("stack", [&[3], &[3]], 0.0, |t, [x, y]| {
        t.stack(&[x, y], -1) * 2.0
    });
    check("flip and roll", [s], 0.0, |_, [x]| {
        x.flip(0).roll(1, 2) * 2.0
    });
    check("pad", [&[2, 3]], 0.0, |_, [x]| {
        x.pad([(1, 0), (0, 2)], 0.5) * 2.0
    });
    check("diag", [&[3]], 0.0, |_, [x]| x.diag_embed(0) * 2.0);
    check("arange", [&[3]], 0.0, |t, [x]| x * t.arange::<f64>(3));
    check("scalar to matrix", [&[]], 0.0, |_, [x]| {
        x.expand([2, 3]).sin()
    });
}

#[test]
fn convolutions() {
    const R: f64 = 1e-13;
    for groups in [1, 2] {
        let weight: &[usize] = &[4, 4 / groups, 2, 3];
        let options = ConvOptions::default()
            .groups(groups)
            .stride([2, 1])
            .padding([1, 1])
            .dilation([1, 2]);
        check("conv2d", [&[2, 4, 5, 6], weight], R, move |_, [x, w]| {
            x.conv2d(w, options)
        });
        let weight: &[usize] = &[4, 4 / groups, 2, 3];
        let options = ConvOptions::default().groups(groups).stride([2, 1]);
        check(
            "conv_transpose2d",
            [&[2, 4, 3, 4], weight],
            R,
            move |_, [x, w]| x.conv_transpose2d(w, options),
        );
    }
    check("conv1d", [&[1, 2, 7], &[3, 2, 3]], R, |_, [x, w]| {
        x.conv1d(w, ConvOptions::default())
    });
}

#[test]
fn pooling() {
    let images: &[usize] = &[2, 3, 5, 4];
    let options = PoolOptions::kernel([2, 3]).stride([2, 1]).padding([1, 0]);
    check("max_pool2d", [images], 0.0, move |_, [x]| {
        x.max_pool2d(options)
    });
    check("avg_pool2d", [images], 1e-14, move |_, [x]| {
        x.avg_pool2d(options)
    });
}

#[test]
fn attention() {
    const R: f64 = 1e-13;
    // Gradients in one tensor, and one after the other.
    for (keys, width) in [(4, 3), (5, 2)] {
        let (q, k, v): (&[usize], &[usize], &[usize]) =
            (&[2, 4, 3], &[2, keys, 3], &[2, keys, width]);
        check("attention", [q, k, v], R, |_, [q, k, v]| {
            q.scaled_dot_product_attention(k, v, Attention::full())
        });
        check("causal attention", [q, k, v], R, |_, [q, k, v]| {
            q.scaled_dot_product_attention(k, v, Attention::causal())
        });
        check("masked attention", [q, k, v], R, |_, [q, k, v]| {
            let mask = k.sum_over(-1).unsqueeze(1).gt(2.0);
            q.scaled_dot_product_attention(k, v, Attention::full().keep(mask))
        });
        check("biased attention", [q, k, v], R, |_, [q, k, v]| {
            let bias = k.sum_over(-1).unsqueeze(1);
            q.scaled_dot_product_attention(k, v, Attention::full().bias(bias))
        });
    }
}

#[test]
fn indexing() {
    // Indices that come from a batch or not as their input does; repeated, and negative.
    fn at(y: Var<'_, f64>, n: f64) -> Var<'_, i64> {
        (y * n / 2.0 - n / 2.0).floor().cast::<i64>()
    }
    check("gather", [&[4, 3], &[2, 3]], 0.0, move |_, [x, y]| {
        x.gather(0, at(y, 4.0)) * 2.0
    });
    check(
        "gather of the last",
        [&[2, 4], &[2, 5]],
        0.0,
        move |_, [x, y]| x.gather(1, at(y, 4.0)) * 2.0,
    );
    check(
        "one index for rows",
        [&[2, 4], &[1, 5]],
        0.0,
        move |_, [x, y]| x.gather(1, at(y, 4.0).expand([2, 5])) * 2.0,
    );
    check("index_select", [&[3, 4, 2], &[5]], 0.0, move |_, [x, y]| {
        x.index_select(1, at(y, 4.0)) * 2.0
    });
    check("take", [&[3, 4], &[2, 2]], 0.0, move |_, [x, y]| {
        x.take(at(y, 12.0)) * 2.0
    });
    check("embedding", [&[4, 3], &[2, 5]], 0.0, move |_, [x, y]| {
        x.embedding(at(y, 4.0)) * 2.0
    });
    check(
        "scatter_add",
        [&[4, 3], &[2, 3], &[2, 3]],
        1e-14,
        move |_, [x, y, z]| x.scatter_add(0, at(y, 4.0), z),
    );
    check(
        "index_add",
        [&[4, 3], &[5], &[5, 3]],
        1e-14,
        move |_, [x, y, z]| x.index_add(0, at(y, 4.0), z),
    );
    check("one_hot", [&[4], &[3]], 1e-14, move |_, [x, y]| {
        at(y, 4.0).one_hot::<f64>(4).matmul(x)
    });
    check("cross_entropy", [&[3, 4], &[3]], 1e-14, move |_, [x, y]| {
        x.cross_entropy((2.0 * y).floor().cast::<u32>())
    });
}

#[test]
fn loops() {
    const R: f64 = 1e-13;
    let shapes: [&[usize]; 3] = [&[2], &[4, 2], &[2]];
    // The carry, the steps and the constant, each batched or not.
    check("scan", shapes, R, |t, [c, x, a]| {
        let (last, path) = t.scan(c, x, |c, x| {
            let c = (c * a + x).tanh();
            (c, c * 2.0)
        });
        last + path.sum_over(0)
    });
    check("a carry of its own", shapes, R, |t, [c, x, a]| {
        // The first carry stays the same for all unless its own start differs.
        let ([s, c], ()) = t.scan([0.1 * c, c], x, |[s, c], x| {
            ([s * 1.1, (c + s * a) * x], ())
        });
        s + c
    });
    check("stacked outputs", shapes, R, |t, [c, x, a]| {
        t.scan(c, x, |c, x| (c * 0.9, [c + x, a * x])).1[0] * 2.0
    });
    let options = ScanOptions::new().reverse().checkpoint_every(3);
    check("reverse with checkpoints", shapes, R, |t, [c, x, a]| {
        t.scan_with(options, c, x, |c, x| ((c * a + x).sin(), ())).0
    });
    check("a loop in a loop", shapes, R, |t, [c, x, a]| {
        let (c, ()) = t.scan(c, x, |c, x| {
            let inner = ScanOptions::new().length(2);
            (
                t.scan_with(inner, c, (), |c, ()| ((c + x * a).sin(), ())).0,
                (),
            )
        });
        c
    });
    check("a region", [&[3], &[3]], 0.0, |t, [x, y]| {
        t.checkpoint(|| (x.sin() * y).exp() * x)
    });
}

/// `x^2 y`.
fn bend() -> CustomOp<f64> {
    CustomOp::<f64>::new("bend", |inputs, out| {
        for (i, r) in out.iter_mut().enumerate() {
            *r = inputs[0].as_slice()[i].powi(2) * inputs[1].as_slice()[i];
        }
    })
}

#[test]
fn custom_operations() {
    let recorded = bend()
        .derivative(|inputs, _, g| vec![2.0 * inputs[0] * inputs[1] * g, inputs[0].square() * g]);
    check(
        "custom by a recorded rule",
        [&[3], &[3]],
        0.0,
        move |_, [x, y]| recorded.apply([x, y]),
    );
    let slices = bend().backward(|inputs, _, g, grads| {
        for i in 0..g.len() {
            let (x, y) = (inputs[0].as_slice()[i], inputs[1].as_slice()[i]);
            (grads[0][i], grads[1][i]) = (2.0 * x * y * g[i], x * x * g[i]);
        }
    });
    // A rule on slices serves one reverse sweep: before or after the batch.
    let shapes: [&[usize]; 2] = [&[3], &[3]];
    check_values("custom on slices", shapes, 0.0, {
        let slices = slices.clone();
        move |_, [x, y]| slices.apply([x, y])
    });
    let examples = [super::sample(&[3], 0, 0), super::sample(&[3], 1, 0)];
    let loss = Program::record(&examples, move |_, [x, y]| slices.apply([x, y]).sin().sum())
        .expect("a program");
    for axes in [[Some(0), Some(0)], [None, Some(1)], [Some(0), None]] {
        super::compare(
            "custom on slices",
            &loss.grad().expect("a rule"),
            &shapes,
            &axes,
            1e-13,
        )
        .expect("runs");
        super::batch_gradient("custom on slices", &loss, &shapes, &axes, 1e-13).expect("runs");
    }
}

/// Sample `i` draws what element `i` of a batch of draws is; the first what the function alone draws.
#[test]
fn random_draws_differ_from_sample_to_sample() -> Result<()> {
    let x = [Array::<f64>::ones([2])];
    let alone = Program::record(&x, |t, [x]| x * t.rng(5).normal([2], 0.0, 1.0))?;
    let batch = Program::record(&[Array::<f64>::ones([3, 2])], |t, [x]| {
        x * t.rng(5).normal([3, 2], 0.0, 1.0)
    })?;
    let mapped = alone.vmap(3, &[Some(0)])?;
    let shared = alone.vmap(3, &[None])?;
    let ones = Array::<f64>::ones([3, 2]);
    let of = |p: &Program, x: &Array<f64>| retrograde_tests::derivatives::run(p, &[x]);
    let found = of(&mapped, &ones)?;
    assert_eq!(found, of(&batch, &ones)?);
    assert_eq!(
        of(&shared, &x[0])?,
        found,
        "an input that all share changes nothing"
    );
    assert_eq!(
        found[0].as_slice()[..2],
        of(&alone, &x[0])?[0].as_slice()[..]
    );
    // While recording.
    let recorded = Program::record(&[ones.clone()], |t, [x]| {
        let rng = t.rng(5);
        t.vmap(x, |x| x * rng.normal([2], 0.0, 1.0))
    })?;
    assert_eq!(of(&recorded, &ones)?, found);
    // A permutation for each.
    let orders = Program::record(&x, |t, [x]| {
        x.sum() * t.rng(1).permutation(50).cast::<f64>()
    })?;
    let orders = &of(
        &orders.vmap(3, &[Some(0)])?,
        &Array::<f64>::full([3, 2], 0.5),
    )?[0];
    let mut rows: Vec<Vec<f64>> = orders.as_slice().chunks(50).map(<[f64]>::to_vec).collect();
    assert!(rows[0] != rows[1] && rows[1] != rows[2]);
    for row in &mut rows {
        row.sort_by(f64::total_cmp);
        assert!(row.iter().enumerate().all(|(i, &x)| x == i as f64));
    }
    Ok(())
}
