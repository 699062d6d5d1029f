//! Transforms of batches and batches of transforms.

use retrograde::prelude::*;
use retrograde_tests::derivatives::run;
use retrograde_tests::variants::assert_variants_agree;

use super::{SAMPLES, batch, compare, sample, stack, stacked};

const SHAPES: [&[usize]; 2] = [&[3, 4], &[4]];

/// A layer, its activation, a sum: a matrix, then a vector.
fn layer() -> Result<Program> {
    let examples = [sample(SHAPES[0], 0, 0), sample(SHAPES[1], 1, 0)];
    Program::record(&examples, |_, [w, x]| w.matmul(x).tanh().square().sum())
}

fn close(a: &[Array<f64>], b: &[Array<f64>]) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        a.assert_close(b, 1e-12, 1e-12);
    }
}

/// Samples with a shared matrix and samples with one each.
const AXES: [[Option<usize>; 2]; 3] = [[None, Some(0)], [Some(2), Some(1)], [Some(0), None]];

#[test]
fn batches_of_transforms() -> Result<()> {
    let f = layer()?;
    for axes in AXES {
        compare(
            "value and gradient",
            &f.value_and_grad()?,
            &SHAPES,
            &axes,
            1e-13,
        )?;
        compare(
            "one gradient",
            &f.value_and_grad_of(&[0])?,
            &SHAPES,
            &axes,
            1e-13,
        )?;
        let twice: Vec<&[usize]> = SHAPES.iter().chain(&SHAPES).copied().collect();
        let both = [axes[0], axes[1], Some(0), None];
        compare("jvp", &f.jvp()?, &twice, &both, 1e-13)?;
        compare("hvp", &f.hvp()?, &twice, &both, 1e-13)?;
        compare(
            "gradient of a gradient",
            &f.grad()?.output(0)?.vjp()?,
            &[SHAPES[0], SHAPES[1], SHAPES[0]],
            &[axes[0], axes[1], Some(1)],
            1e-13,
        )?;
    }
    Ok(())
}

/// The gradient of a batch's mean is the mean of its gradients; with a shared matrix it is one product, not one a sample.
#[test]
fn transforms_of_batches() -> Result<()> {
    let f = layer()?;
    let mapped = f.vmap(SAMPLES, &[None, Some(0)])?;
    let inputs = batch(&SHAPES, &[None, Some(0)]);
    let [w, x] = [&inputs[0], &inputs[1]];
    let each = stacked(&f.value_and_grad()?, &SHAPES, &[false, true])?;
    let seed = sample(&[SAMPLES], 7, 0);
    let out = run(&mapped.vjp()?, &[w, x, &seed])?;
    let mut expected = Array::<f64>::zeros([3, 4]);
    for (s, g) in super::parts(&each[1]).into_iter().enumerate() {
        expected = expected + &(g * seed.as_slice()[s]);
    }
    close(&out[..2], &[each[0].clone(), expected]);
    // Forward: tangents of the shared matrix and of the samples.
    let [dw, dx] = [sample(SHAPES[0], 3, 0), sample(&[SAMPLES, 4], 4, 0)];
    let tangents = run(&mapped.jvp()?, &[w, x, &dw, &dx])?;
    let own: Vec<Array<f64>> = super::parts(x)
        .iter()
        .zip(super::parts(&dx))
        .map(|(x, dx)| Ok(run(&f.jvp()?, &[w, x, &dw, &dx])?.remove(1)))
        .collect::<Result<_>>()?;
    close(&tangents[1..], &[stack(&own, 0)]);
    // The Jacobian of a batch is block diagonal in the samples.
    let j: Array<f64> = mapped.jacobian(1)?.run([w, x])?;
    for s in 0..SAMPLES {
        for other in 0..SAMPLES {
            for e in 0..4 {
                let found = j.as_slice()[(s * SAMPLES + other) * 4 + e];
                let expected = if s == other {
                    each[2].as_slice()[s * 4 + e]
                } else {
                    0.0
                };
                assert!((found - expected).abs() < 1e-13);
            }
        }
    }
    Ok(())
}

/// Every engine gives the same bits.
#[test]
fn engines_agree() -> Result<()> {
    let p = layer()?.value_and_grad()?.vmap(SAMPLES, &[None, Some(0)])?;
    let inputs = batch(&SHAPES, &[None, Some(0)]);
    let inputs: Vec<_> = inputs.iter().collect();
    assert_variants_agree(&p, &inputs)?;
    Ok(())
}

/// What depends on shared inputs alone has no batch axis: it is computed once.
#[test]
fn shared_work_is_done_once() -> Result<()> {
    let examples = [sample(&[40, 40], 0, 0), sample(&[40], 1, 0)];
    let f = Program::record(&examples, |_, [a, x]| a.matmul(a).exp().matmul(x))?;
    let mapped = f.vmap(1000, &[None, Some(0)])?;
    let once = f.cost().flops;
    assert!(
        mapped.cost().flops < 1000 * once / 5,
        "{} against {once}",
        mapped.cost().flops
    );
    // And a gradient with respect to it is a product over all samples: no matrix for each.
    let gradient = mapped.vjp()?;
    assert!(
        gradient.arena_bytes() < 1000 * 40 * 40 * 8 / 2,
        "{}",
        gradient.arena_bytes()
    );
    Ok(())
}

/// Regions are computed again in a batch too: the same bits in less memory.
#[test]
fn regions_stay_regions() -> Result<()> {
    let x = [Array::<f64>::linspace(0.0, 1.0, 2000)];
    let deep = |again: bool| {
        let f = Program::record(&x, |t, [mut x]| {
            for _ in 0..4 {
                let block = || (0..6).fold(x, |x, _| x.cumsum(0).sin());
                x = if again { t.checkpoint(block) } else { block() };
            }
            x.sum()
        })?;
        f.vmap(8, &[Some(0)])?.vjp()
    };
    let (kept, again) = (deep(false)?, deep(true)?);
    let batch = Array::<f64>::linspace(0.0, 1.0, 16_000).reshape([8, 2000])?;
    let seed = Array::<f64>::ones([8]);
    assert_eq!(
        run(&kept, &[&batch, &seed])?,
        run(&again, &[&batch, &seed])?
    );
    assert!(
        again.arena_bytes() < kept.arena_bytes() * 3 / 4,
        "{} {}",
        again.arena_bytes(),
        kept.arena_bytes()
    );
    Ok(())
}

/// While recording: nested, around and within loops, with what is captured shared.
#[test]
fn while_recording() -> Result<()> {
    let tape = Tape::new();
    let t = tape.rec();
    let [w, xs] = <[Array<f64>; 2]>::try_from(batch(&SHAPES, &[None, Some(0)])).expect("two");
    let [w_leaf, x_leaf] = [tape.variable(w.clone()), tape.variable(xs.clone())];
    let y = t.vmap(x_leaf, |x| w_leaf.matmul(x).tanh());
    let direct = x_leaf.matmul(w_leaf.t()).tanh();
    y.value()?.assert_close(&direct.value()?, 1e-14, 1e-14);
    (y * y).sum().backward()?;
    let gradients = [w_leaf.grad()?, x_leaf.grad()?];
    tape.zero_grad();
    (direct * direct).sum().backward()?;
    close(&gradients, &[w_leaf.grad()?, x_leaf.grad()?]);
    // A gradient within: for each sample.
    let each = t.vmap(x_leaf, |x| {
        let [g] = w_leaf.matmul(x).tanh().square().sum().grad_of([w_leaf]);
        g
    });
    let expected = stacked(&layer()?.grad()?, &SHAPES, &[false, true])?;
    close(&[each.value()?], &expected[..1]);
    // A loop over samples' loops, and a batch within a loop's body.
    let running = t.vmap(x_leaf, |x| {
        t.scan(x.sum() * 0.0, x, |c, x| (c + x, c + x)).1
    });
    running
        .value()?
        .assert_close(&x_leaf.cumsum(1).value()?, 1e-14, 1e-14);
    let (last, ()) = t.scan(x_leaf * 0.0, t.ones::<f64>([2]), |c, one| {
        (t.vmap((c, x_leaf), |(c, x)| c + x * one), ())
    });
    last.value()?.assert_close(&(xs * 2.0), 1e-14, 1e-14);
    // Outputs that are the same for all are repeated.
    let (a, b) = t.vmap(x_leaf, |x| (x.sum(), w_leaf.sum()));
    assert_eq!((a.shape()?, b.shape()?), (vec![SAMPLES], vec![SAMPLES]));
    Ok(())
}
