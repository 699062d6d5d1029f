//! Functions of batches of samples: `vmap f = stack of f`, for every operation, every choice of batched operands, every
//! order of transforms.

mod compose;
mod guards;
mod mistakes;
mod numeric;
mod structured;

use retrograde::prelude::*;
use retrograde_tests::derivatives::run;

/// Samples in a batch.
const SAMPLES: usize = 3;

/// Elements of input `i` of sample `sample`: in (0.2, 1.8), no two equal, in no order.
fn sample(shape: &[usize], i: usize, sample: usize) -> Array<f64> {
    let mut k = 17.0 * i as f64 + 101.0 * sample as f64;
    Array::from_shape_fn(shape.to_vec(), |_| {
        k += 1.0;
        0.2 + 1.6 * (k * 0.618_033_988_749_895).fract()
    })
}

/// Arrays of one shape as one with a new axis.
fn stack(each: &[Array<f64>], axis: usize) -> Array<f64> {
    let dims = each[0].shape();
    let inner: usize = dims[axis..].iter().product();
    let outer: usize = dims[..axis].iter().product();
    let mut data = Vec::new();
    for o in 0..outer {
        for x in each {
            data.extend_from_slice(&x.as_slice()[o * inner..][..inner]);
        }
    }
    let mut dims = dims.to_vec();
    dims.insert(axis, each.len());
    Array::from_vec(data, dims).expect("as many elements")
}

/// Within `tolerance` of the largest element; for 0, the same bits but for the sign of zeros.
fn same(what: &str, found: &Array<f64>, expected: &Array<f64>, tolerance: f64) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    let largest = expected.iter().fold(1.0f64, |m, x| m.max(x.abs()));
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        let near = (a - b).abs() <= tolerance * largest;
        assert!(
            a == b || (a.is_nan() && b.is_nan()) || near,
            "{what}: element {i} is {a:?}, expected {b:?}"
        );
    }
}

/// What a program gives for each sample, stacked; `batched` tells which inputs differ from sample to sample.
fn stacked(p: &Program, shapes: &[&[usize]], batched: &[bool]) -> Result<Vec<Array<f64>>> {
    let each: Result<Vec<Vec<Array<f64>>>> = (0..SAMPLES)
        .map(|s| {
            let inputs: Vec<Array<f64>> = shapes
                .iter()
                .enumerate()
                .map(|(i, shape)| sample(shape, i, if batched[i] { s } else { 0 }))
                .collect();
            run(p, &inputs.iter().collect::<Vec<_>>())
        })
        .collect();
    let each = each?;
    Ok((0..p.output_count())
        .map(|o| stack(&each.iter().map(|e| e[o].clone()).collect::<Vec<_>>(), 0))
        .collect())
}

/// The inputs of a batch, with the batch axis where `axes` says.
fn batch(shapes: &[&[usize]], axes: &[Option<usize>]) -> Vec<Array<f64>> {
    let each = shapes.iter().zip(axes).enumerate();
    each.map(|(i, (shape, axis))| match axis {
        Some(axis) => {
            let all: Vec<_> = (0..SAMPLES).map(|s| sample(shape, i, s)).collect();
            stack(&all, *axis)
        }
        None => sample(shape, i, 0),
    })
    .collect()
}

/// Runs `p`'s vmap and compares it with `p` on each sample.
fn compare(
    name: &str,
    p: &Program,
    shapes: &[&[usize]],
    axes: &[Option<usize>],
    tolerance: f64,
) -> Result<()> {
    let batched: Vec<bool> = axes.iter().map(Option::is_some).collect();
    let signed: Vec<Option<isize>> = axes.iter().map(|a| a.map(|a| a as isize)).collect();
    let expected = stacked(p, shapes, &batched)?;
    let mapped = p.vmap(SAMPLES, &signed)?;
    let inputs = batch(shapes, axes);
    let found = run(&mapped, &inputs.iter().collect::<Vec<_>>())?;
    for (o, (found, expected)) in found.iter().zip(&expected).enumerate() {
        same(
            &format!("{name}, axes {axes:?}, output {o}"),
            found,
            expected,
            tolerance,
        );
    }
    Ok(())
}

/// `f` on a batch against `f` on each sample, for every choice of batched inputs: values, gradients of each sample, the
/// gradient of the batch's sum, tangents, and a batch of batches. Values differ by `tolerance` at most, the others by
/// 1e-12 of the largest.
fn check<const N: usize>(
    name: &str,
    shapes: [&[usize]; N],
    tolerance: f64,
    f: impl for<'t> Fn(Rec<'t>, [Var<'t, f64>; N]) -> Var<'t, f64>,
) {
    if let Err(e) = try_check(name, shapes, tolerance, true, f) {
        panic!("{name}: {e}");
    }
}

/// The same of a function without derivatives.
fn check_values<const N: usize>(
    name: &str,
    shapes: [&[usize]; N],
    tolerance: f64,
    f: impl for<'t> Fn(Rec<'t>, [Var<'t, f64>; N]) -> Var<'t, f64>,
) {
    if let Err(e) = try_check(name, shapes, tolerance, false, f) {
        panic!("{name}: {e}");
    }
}

fn try_check<const N: usize>(
    name: &str,
    shapes: [&[usize]; N],
    tolerance: f64,
    derivatives: bool,
    f: impl for<'t> Fn(Rec<'t>, [Var<'t, f64>; N]) -> Var<'t, f64>,
) -> Result<()> {
    const NEAR: f64 = 1e-12;
    let examples: [Array<f64>; N] = std::array::from_fn(|i| sample(shapes[i], i, 0));
    let p = Program::record(&examples, &f)?;
    let loss = Program::record(&examples, |t, x| f(t, x).sin().sum())?;
    for pattern in 1..1usize << N {
        let axes: Vec<Option<usize>> = (0..N)
            // The first and the last place in turn.
            .map(|i| {
                (pattern >> i & 1 == 1).then_some(if (pattern + i) % 2 == 0 {
                    0
                } else {
                    shapes[i].len()
                })
            })
            .collect();
        compare(name, &p, &shapes, &axes, tolerance)?;
        if !derivatives {
            continue;
        }
        let gradient = loss.grad()?;
        compare(
            &format!("{name}, gradients"),
            &gradient,
            &shapes,
            &axes,
            NEAR,
        )?;
        batch_gradient(name, &loss, &shapes, &axes, NEAR)?;
    }
    // Everything once more with all inputs batched, in more involved orders.
    let axes = [Some(0); N];
    if derivatives {
        let tangents = loss.jvp()?;
        let twice: Vec<&[usize]> = shapes.iter().chain(&shapes).copied().collect();
        let both = vec![Some(0); 2 * N];
        compare(&format!("{name}, tangents"), &tangents, &twice, &both, NEAR)?;
    }
    batch_of_batches(name, &p, &shapes, &axes, tolerance)
}

/// The gradient of the sum over a batch: of what differs from sample to sample each sample's, of what is shared the sum.
fn batch_gradient(
    name: &str,
    loss: &Program,
    shapes: &[&[usize]],
    axes: &[Option<usize>],
    tolerance: f64,
) -> Result<()> {
    let batched: Vec<bool> = axes.iter().map(Option::is_some).collect();
    let signed: Vec<Option<isize>> = axes.iter().map(|a| a.map(|a| a as isize)).collect();
    let each = stacked(&loss.grad()?, shapes, &batched)?;
    let pulled = loss.vmap(SAMPLES, &signed)?.vjp()?;
    let mut inputs = batch(shapes, axes);
    inputs.push(Array::<f64>::ones([SAMPLES]));
    let found = run(&pulled, &inputs.iter().collect::<Vec<_>>())?;
    for (i, each) in each.iter().enumerate() {
        let expected = match axes[i] {
            None => summed(each),
            Some(axis) => moved(each, axis),
        };
        let what = format!("{name}, axes {axes:?}, gradient of the batch by input {i}");
        same(&what, &found[i + 1], &expected, tolerance * SAMPLES as f64);
    }
    Ok(())
}

/// The sum over the first axis.
fn summed(x: &Array<f64>) -> Array<f64> {
    let rest = x.shape()[1..].to_vec();
    let n: usize = rest.iter().product();
    let sum = (0..n).map(|e| (0..x.shape()[0]).map(|s| x.as_slice()[s * n + e]).sum());
    Array::from_vec(sum.collect(), rest).expect("as many")
}

/// The first axis at place `axis`.
fn moved(x: &Array<f64>, axis: usize) -> Array<f64> {
    stack(&parts(x), axis)
}

/// Along the first axis.
fn parts(x: &Array<f64>) -> Vec<Array<f64>> {
    let rest = x.shape()[1..].to_vec();
    let n: usize = rest.iter().product();
    (0..x.shape()[0])
        .map(|s| {
            Array::from_vec(x.as_slice()[s * n..][..n].to_vec(), rest.clone()).expect("a part")
        })
        .collect()
}

/// `vmap(vmap f)`: the outer batch shares the last input, if there are several.
fn batch_of_batches(
    name: &str,
    p: &Program,
    shapes: &[&[usize]],
    axes: &[Option<usize>],
    tolerance: f64,
) -> Result<()> {
    const OUTER: usize = 2;
    let inner = p.vmap(SAMPLES, &vec![Some(0); axes.len()])?;
    let last = shapes.len() - 1;
    let shared = |i: usize| i == last && shapes.len() > 1;
    let outer: Vec<Option<isize>> = (0..shapes.len())
        .map(|i| (!shared(i)).then_some(0))
        .collect();
    let all = inner.vmap(OUTER, &outer)?;
    let of = |i: usize, o: usize| -> Vec<Array<f64>> {
        let o = if shared(i) { 0 } else { o };
        (0..SAMPLES)
            .map(|s| sample(shapes[i], i, o * SAMPLES + s))
            .collect()
    };
    let inputs: Vec<Array<f64>> = (0..shapes.len())
        .map(|i| {
            if shared(i) {
                return stack(&of(i, 0), 0);
            }
            stack(
                &(0..OUTER).map(|o| stack(&of(i, o), 0)).collect::<Vec<_>>(),
                0,
            )
        })
        .collect();
    let found = run(&all, &inputs.iter().collect::<Vec<_>>())?;
    let mut expected = Vec::new();
    for o in 0..OUTER {
        for s in 0..SAMPLES {
            let each: Vec<Array<f64>> = (0..shapes.len()).map(|i| of(i, o)[s].clone()).collect();
            expected.push(run(p, &each.iter().collect::<Vec<_>>())?);
        }
    }
    for k in 0..p.output_count() {
        let rows: Vec<Array<f64>> = (0..OUTER)
            .map(|o| {
                let row: Vec<_> = (0..SAMPLES)
                    .map(|s| expected[o * SAMPLES + s][k].clone())
                    .collect();
                stack(&row, 0)
            })
            .collect();
        same(
            &format!("{name}, batch of batches"),
            &found[k],
            &stack(&rows, 0),
            tolerance,
        );
    }
    Ok(())
}
