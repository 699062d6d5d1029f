//! What is true of the derivatives of any function.

use retrograde::prelude::*;
use retrograde_tests::bits::{first_difference_of_all, first_distance};

use crate::{Programs, SMOOTH, Verdict, check, direction, directions, dot, last, loss, near, run};

/// Differences with two steps tell how far to trust them: where they disagree, so may the gradient.
#[test]
fn gradients_are_limits_of_differences() {
    check(SMOOTH, |recipe| {
        let (p, inputs) = (loss::<f64>(recipe)?, recipe.inputs::<f64>());
        let along = directions(&inputs, 0.3);
        let gradient = run(&p.grad()?, &inputs.each_ref())?;
        let (slope, _) = dot(&gradient, &along);
        let at = |by: f64| -> Result<f64> {
            let moved: Vec<Array<f64>> = inputs
                .iter()
                .zip(&along)
                .map(|(x, d)| x.clone() + &(d.clone() * by))
                .collect();
            Ok(run(&p, &moved.iter().collect::<Vec<_>>())?[0].item()?)
        };
        let difference = |h: f64| -> Result<f64> { Ok((at(h)? - at(-h)?) / (2.0 * h)) };
        let (near, far) = (difference(1e-5)?, difference(2e-5)?);
        let (value, size) = (at(0.0)?, near.abs().max(slope.abs()).max(1e-3));
        // Rounding of the two values, and the error of order h^2, a third of what doubling the step changes.
        let doubt = (near - far).abs() + 4e-16 * value.abs() * 1e5 * 10.0;
        if !near.is_finite() || doubt > 1e-4 * size {
            return Ok(Verdict::Unclear);
        }
        let wrong = (slope - near).abs() > 2.0 * doubt + 1e-8 * size;
        Ok(wrong
            .then(|| {
                format!(
                    "gradient {slope:e}, differences {near:e} +- {doubt:e}\n{}",
                    p.listing()
                )
            })
            .into())
    });
}

/// `<u, J v> = <J' u, v>`.
#[test]
fn forward_is_the_transpose_of_reverse() {
    check(SMOOTH, |recipe| {
        let (p, inputs) = (last(recipe)?, recipe.inputs::<f64>());
        let along = directions(&inputs, 0.7);
        let feed: Vec<_> = inputs.iter().chain(&along).collect();
        let forward = run(&p.jvp()?, &feed)?;
        let seed = direction(forward[0].shape(), 0.1);
        let feed: Vec<_> = inputs.iter().chain([&seed]).collect();
        let reverse = run(&p.vjp()?, &feed)?;
        let seed = [seed];
        Ok(near(
            "forward and reverse",
            dot(&seed, &forward[1..]),
            dot(&reverse[1..], &along),
            1e-10,
        ))
    });
}

/// `<u, H v> = <H u, v>`.
#[test]
fn second_derivatives_are_symmetric() {
    check(SMOOTH, |recipe| {
        let (p, inputs) = (loss::<f64>(recipe)?.hvp()?, recipe.inputs::<f64>());
        let (u, v) = (directions(&inputs, 0.2), directions(&inputs, 5.1));
        let times = |d: &[Array<f64>]| run(&p, &inputs.iter().chain(d).collect::<Vec<_>>());
        Ok(near(
            "u H v and v H u",
            dot(&u, &times(&v)?),
            dot(&times(&u)?, &v),
            1e-9,
        ))
    });
}

/// The gradient of the gradient along a direction is the product with the Hessian.
#[test]
fn gradients_of_gradients_are_hessian_products() {
    check(Programs { few: 20, ..SMOOTH }, |recipe| {
        let inputs = recipe.inputs::<f64>();
        let along = directions(&inputs, 0.4);
        let tape = Tape::new();
        let x = inputs.each_ref().map(|x| tape.variable(x.clone()));
        let gradient = recipe.build(x)?.0.grad_of(x);
        let mut slope = tape.rec().scalar(0.0);
        for (g, d) in gradient.iter().zip(&along) {
            slope += (*g * tape.constant(d.clone())).sum();
        }
        let twice = slope.grad_of(x).map(retrograde::Var::value);
        let twice: Vec<_> = twice.into_iter().collect::<Result<_>>()?;
        let feed: Vec<_> = inputs.iter().chain(&along).collect();
        let hvp = run(&loss::<f64>(recipe)?.hvp()?, &feed)?;
        Ok(first_distance(&hvp, &twice, 1e-10))
    });
}

/// Scaling a seed by a power of two changes no rounding, so that not a bit differs unless near the smallest numbers; sums
/// of seeds round.
#[test]
fn gradients_are_linear_in_the_seed() {
    check(
        Programs {
            smooth: false,
            ..SMOOTH
        },
        |recipe| {
            let (p, inputs) = (last(recipe)?.vjp()?, recipe.inputs::<f64>());
            let shape = p.output_shape(0).unwrap_or(&[]).to_vec();
            let pull = |seed: &Array<f64>| -> Result<Vec<Array<f64>>> {
                let feed: Vec<_> = inputs.iter().chain([seed]).collect();
                Ok(run(&p, &feed)?.split_off(1))
            };
            let (u, v) = (direction(&shape, 0.9), direction(&shape, 3.3));
            let (of_u, of_v, of_both) = (pull(&u)?, pull(&v)?, pull(&(u.clone() + &v))?);
            // Subnormal numbers have fewer digits.
            let normal = |g: Vec<Array<f64>>, by: f64| -> Vec<Array<f64>> {
                let large = |g: f64| if g.abs() < 1e-290 { 0.0 } else { g };
                g.iter().map(|g| g.map(|g: f64| large(g * by))).collect()
            };
            let (once, eight_times) = (normal(of_u.clone(), 8.0), normal(pull(&(u * 8.0))?, 1.0));
            if let Some(difference) = first_difference_of_all(&once, &eight_times) {
                return Ok(Some(format!("eight times the seed: {difference}")));
            }
            let sum: Vec<_> = of_u.iter().zip(&of_v).map(|(a, b)| a.clone() + b).collect();
            let nothing = pull(&Array::<f64>::zeros(&shape))?;
            if nothing.iter().any(|g| g.iter().any(|&g| g != 0.0)) {
                return Ok(Some(
                    "a seed of zeros gives something else than zeros".to_string(),
                ));
            }
            Ok(first_distance(&sum, &of_both, 1e-12))
        },
    );
}

/// Single precision follows double precision within a bound relative to the largest number that occurs.
#[test]
fn single_precision_follows_double() {
    check(
        Programs {
            few: 80,
            steps: 6,
            ..SMOOTH
        },
        |recipe| {
            let (single, double) = (recipe.inputs::<f32>(), recipe.inputs::<f64>());
            let low = run(&loss::<f32>(recipe)?.value_and_grad()?, &single.each_ref())?;
            let high = run(&loss::<f64>(recipe)?.value_and_grad()?, &double.each_ref())?;
            let low: Vec<Array<f64>> = low.iter().map(Array::cast).collect();
            let largest = high.iter().flatten().fold(1.0, |m: f64, x| m.max(x.abs()));
            if largest > 1e6 {
                return Ok(Verdict::Unclear);
            }
            Ok(first_distance(&high, &low, SINGLE).into())
        },
    );
}

/// Six steps of functions whose slopes are a few units at most amplify a rounding of 6e-8 to no more than this.
const SINGLE: f64 = 1e-4;
