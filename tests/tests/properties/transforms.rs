//! What transforms of one function have to do with each other.

use retrograde::prelude::*;
use retrograde_tests::bits::{first_difference_of_all, first_distance};
use retrograde_tests::random::{INPUTS, Recipe};

use crate::{Programs, SMOOTH, Verdict, check, direction, directions, dot, last, loss, near, run};

const SAMPLES: usize = 3;

/// The inputs of sample `s` of a recipe.
fn sample(recipe: &Recipe, s: usize) -> [Array<f64>; INPUTS] {
    let first = recipe.inputs::<f64>();
    if s == 0 {
        return first;
    }
    first.map(|x| direction(x.shape(), s as f64 + 0.37))
}

/// Arrays along a new first axis.
fn stack(each: &[Array<f64>]) -> Array<f64> {
    let data = each.iter().flat_map(|x| x.as_slice().to_vec()).collect();
    let mut dims = vec![each.len()];
    dims.extend(each[0].shape());
    Array::from_vec(data, dims).expect("as many elements")
}

/// A program on a batch, and on each sample; the bits of `which` tell which inputs differ from sample to sample.
fn both_ways(recipe: &Recipe, p: &Program, which: usize) -> Result<[Vec<Array<f64>>; 2]> {
    let batched = |i: usize| which >> i & 1 == 1;
    let of = |s: usize| -> Vec<Array<f64>> {
        let (own, first) = (sample(recipe, s), sample(recipe, 0));
        (0..INPUTS)
            .map(|i| {
                if batched(i) {
                    own[i].clone()
                } else {
                    first[i].clone()
                }
            })
            .collect()
    };
    let samples: Vec<Vec<Array<f64>>> = (0..SAMPLES).map(of).collect();
    let each: Vec<Vec<Array<f64>>> = samples
        .iter()
        .map(|x| run(p, &x.iter().collect::<Vec<_>>()))
        .collect::<Result<_>>()?;
    let expected = (0..p.output_count())
        .map(|o| stack(&each.iter().map(|e| e[o].clone()).collect::<Vec<_>>()));
    let inputs: Vec<Array<f64>> = (0..INPUTS)
        .map(|i| {
            let all: Vec<_> = samples.iter().map(|x| x[i].clone()).collect();
            if batched(i) {
                stack(&all)
            } else {
                all[0].clone()
            }
        })
        .collect();
    let axes: Vec<Option<isize>> = (0..INPUTS).map(|i| batched(i).then_some(0)).collect();
    let found = run(&p.vmap(SAMPLES, &axes)?, &inputs.iter().collect::<Vec<_>>())?;
    Ok([found, expected.collect()])
}

/// `vmap f = stack of f`: values, gradients, and products with Hessians are those of each sample.
#[test]
fn a_batch_is_its_samples() {
    check(SMOOTH, |recipe| {
        let p = loss::<f64>(recipe)?;
        let which = recipe.data as usize / 7 % ((1 << INPUTS) - 1) + 1;
        let [found, expected] = both_ways(recipe, &p.value_and_grad()?, which)?;
        Ok(first_distance(&found, &expected, 1e-11))
    });
}

/// Elementwise operations, and those that move elements, give a sample's bits in a batch too, kinks and all; sums may be
/// added up in another order.
#[test]
fn a_batch_without_sums_has_the_bits_of_its_samples() {
    let programs = Programs {
        products: false,
        smooth: false,
        ..SMOOTH
    };
    check(programs, |recipe| {
        let mut recipe = recipe.clone();
        recipe
            .steps
            .retain(|step| !matches!(step[0] % 61, 31..=38 | 52..=54 | 60));
        let p = last(&recipe)?;
        let which = recipe.data as usize / 7 % ((1 << INPUTS) - 1) + 1;
        let unsigned = |g: Vec<Array<f64>>| g.into_iter().map(|g| g + 0.0).collect::<Vec<_>>();
        let [found, expected] = both_ways(&recipe, &p, which)?.map(unsigned);
        Ok(first_difference_of_all(&found, &expected))
    });
}

/// The gradient of a batch's outputs, weighted, is the gradient of each, added up where samples share an input; forward
/// mode is its transpose.
#[test]
fn gradients_of_batches_are_sums() {
    check(Programs { few: 30, ..SMOOTH }, |recipe| {
        let p = loss::<f64>(recipe)?;
        let which = recipe.data as usize / 3 % ((1 << INPUTS) - 1) + 1;
        let axes: Vec<Option<isize>> = (0..INPUTS)
            .map(|i| (which >> i & 1 == 1).then_some(0))
            .collect();
        let inputs: Vec<Array<f64>> = (0..INPUTS)
            .map(|i| match axes[i] {
                Some(_) => stack(
                    &(0..SAMPLES)
                        .map(|s| sample(recipe, s)[i].clone())
                        .collect::<Vec<_>>(),
                ),
                None => sample(recipe, 0)[i].clone(),
            })
            .collect();
        let seed = direction(&[SAMPLES], 2.2);
        let mapped = p.vmap(SAMPLES, &axes)?;
        let feed: Vec<_> = inputs.iter().chain([&seed]).collect();
        let pulled = run(&mapped.vjp()?, &feed)?;
        let mut expected: Vec<Array<f64>> = Vec::new();
        for s in 0..SAMPLES {
            let own: Vec<Array<f64>> = (0..INPUTS)
                .map(|i| sample(recipe, if axes[i].is_some() { s } else { 0 })[i].clone())
                .collect();
            let g = run(&p.grad()?, &own.iter().collect::<Vec<_>>())?;
            let g = g.into_iter().map(|g| g * seed.as_slice()[s]);
            expected.extend(g);
        }
        let expected: Vec<Array<f64>> = (0..INPUTS)
            .map(|i| {
                let mut own = (0..SAMPLES).map(|s| expected[s * INPUTS + i].clone());
                match axes[i] {
                    Some(_) => stack(&own.collect::<Vec<_>>()),
                    None => {
                        let first = own.next().expect("a sample");
                        own.fold(first, |sum, g| sum + &g)
                    }
                }
            })
            .collect();
        if let Some(wrong) = first_distance(&pulled[1..], &expected, 1e-10) {
            return Ok(Some(wrong));
        }
        let along = directions(&inputs, 1.9);
        let feed: Vec<_> = inputs.iter().chain(&along).collect();
        let pushed = run(&mapped.jvp()?, &feed)?;
        Ok(near(
            "forward and reverse",
            dot(&[seed], &pushed[1..]),
            dot(&pulled[1..], &along),
            1e-10,
        ))
    });
}

/// `hvp` is the tangent of the gradient, and the gradient of the gradient's product with the vector.
#[test]
fn hessian_products_are_tangents_of_gradients() {
    check(Programs { few: 30, ..SMOOTH }, |recipe| {
        let (p, inputs) = (loss::<f64>(recipe)?, recipe.inputs::<f64>());
        let along = directions(&inputs, 0.6);
        let feed: Vec<_> = inputs.iter().chain(&along).collect();
        let hvp = run(&p.hvp()?, &feed)?;
        let tangent = run(&p.grad()?.jvp()?, &feed)?.split_off(INPUTS);
        if let Some(wrong) = first_difference_of_all(&hvp, &tangent) {
            return Ok(Some(format!("tangent of the gradient: {wrong}")));
        }
        // Reverse over forward: the gradient of the value's tangent.
        let slope = p.jvp()?.output(1)?.value_and_grad_of(&[0, 1, 2])?;
        let reverse = run(&slope, &feed)?.split_off(1);
        Ok(first_distance(&hvp, &reverse, 1e-10))
    });
}

/// A linearised program gives the bits of forward mode.
#[test]
fn linearised_programs_are_forward_mode() {
    check(
        Programs {
            smooth: false,
            few: 30,
            ..SMOOTH
        },
        |recipe| {
            let (p, inputs) = (loss::<f64>(recipe)?, recipe.inputs::<f64>());
            let mut at = p.linearize()?.at(inputs.each_ref())?;
            let value = vec![at.values().array::<f64>(0)?];
            for seed in [0.3, 4.4] {
                let along = directions(&inputs, seed);
                let feed: Vec<_> = inputs.iter().chain(&along).collect();
                let expected = run(&p.jvp()?, &feed)?;
                let tangents: Vec<_> = along.iter().collect();
                let pushed: Array<f64> = at.push(tangents.as_slice())?.array(0)?;
                let found = [value.clone(), vec![pushed]].concat();
                if let Some(wrong) = first_difference_of_all(&found, &expected) {
                    return Ok(Some(wrong));
                }
            }
            Ok(None)
        },
    );
}

/// A region that is computed again changes not a bit.
#[test]
fn checkpoints_change_nothing() {
    check(
        Programs {
            smooth: false,
            few: 30,
            ..SMOOTH
        },
        |recipe| {
            let inputs = recipe.inputs::<f64>();
            let again = Program::try_record(&inputs, |t, v| {
                let built = t.checkpoint(|| recipe.build(v));
                Ok(built?.0.into())
            })?;
            let (kept, again) = (
                loss::<f64>(recipe)?.value_and_grad()?,
                again.value_and_grad()?,
            );
            let feed = inputs.each_ref();
            Ok(first_difference_of_all(
                &run(&again, &feed)?,
                &run(&kept, &feed)?,
            ))
        },
    );
}

/// A loop in the list is the loop written out: values and gradients, in a batch too.
#[test]
fn loops_are_their_steps() {
    check(
        Programs {
            few: 24,
            steps: 5,
            ..SMOOTH
        },
        |recipe| {
            const STEPS: usize = 4;
            let inputs = recipe.inputs::<f64>();
            // Each step mixes what the recipe makes of the carry into it.
            let looped = Program::try_record(&inputs, |t, [c, y, z]| {
                let rates = t.linspace(0.5, 1.5, STEPS);
                let mut failed = None;
                let (last, path) = t.scan(c, rates, |c, x| match recipe.build([c, y, z]) {
                    Ok((loss, _)) => {
                        let c = c * 0.5 + (loss * 0.1).tanh() * x;
                        (c, c.sum())
                    }
                    Err(e) => {
                        failed = Some(e);
                        (c, c.sum())
                    }
                });
                match failed {
                    Some(e) => Err(e),
                    None => Ok((last.sin().sum() + path.square().sum()).into()),
                }
            })?;
            let unrolled = Program::try_record(&inputs, |t, [mut c, y, z]| {
                let rates = t.linspace(0.5, 1.5, STEPS);
                let mut path = t.scalar(0.0);
                for i in 0..STEPS {
                    let loss = recipe.build([c, y, z])?.0;
                    c = c * 0.5 + (loss * 0.1).tanh() * rates.at(0, i as isize);
                    path += c.sum().square();
                }
                Ok((c.sin().sum() + path).into())
            })?;
            let feed = inputs.each_ref();
            let found = run(&looped.value_and_grad()?, &feed)?;
            let expected = run(&unrolled.value_and_grad()?, &feed)?;
            let largest = expected
                .iter()
                .flatten()
                .fold(0.0f64, |m, x| m.max(x.abs()));
            if largest > 1e8 {
                return Ok(Verdict::Unclear);
            }
            if let Some(wrong) = first_distance(&found, &expected, 1e-10) {
                return Ok(Verdict::Broken(wrong));
            }
            let which = recipe.data as usize / 5 % ((1 << INPUTS) - 1) + 1;
            let [found, expected] = both_ways(recipe, &looped.value_and_grad()?, which)?;
            Ok(first_distance(&found, &expected, 1e-10).into())
        },
    );
}
