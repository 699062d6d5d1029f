//! Properties of derivatives, on random programs: what mathematics says about gradients whatever the function.
//!
//! A test tries a few dozen programs, always the same, or `RETROGRADE_CASES=5000` new ones.

use std::cell::Cell;

use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use retrograde::prelude::*;
use retrograde_tests::bits::{first_difference, first_difference_of_all, first_distance};
use retrograde_tests::random::{INPUTS, Recipe, recipes};
use retrograde_tests::{cases, explores};

/// What a check says of one program: nothing, that it cannot tell, or what is wrong.
enum Verdict {
    Holds,
    Unclear,
    Broken(String),
}

impl From<Option<String>> for Verdict {
    fn from(wrong: Option<String>) -> Self {
        wrong.map_or(Verdict::Holds, Verdict::Broken)
    }
}

struct Programs {
    few: u32,
    steps: usize,
    smooth: bool,
    products: bool,
}

/// Smooth programs with products.
const SMOOTH: Programs = Programs {
    few: 40,
    steps: 8,
    smooth: true,
    products: true,
};

/// Runs a check on random programs; it must be clear on three of four at least.
fn check<V: Into<Verdict>>(programs: Programs, f: impl Fn(&Recipe) -> Result<V>) {
    let cases = cases(programs.few);
    let config = Config {
        cases,
        rng_seed: if explores() {
            RngSeed::Random
        } else {
            RngSeed::Fixed(17)
        },
        failure_persistence: None,
        max_shrink_time: 20_000,
        ..Config::default()
    };
    let unclear = Cell::new(0);
    let recipes = recipes(programs.steps, programs.smooth, programs.products);
    let outcome = TestRunner::new(config).run(&recipes, |recipe| match f(&recipe).map(V::into) {
        Ok(Verdict::Holds) => Ok(()),
        Ok(Verdict::Unclear) => {
            unclear.set(unclear.get() + 1);
            Ok(())
        }
        Ok(Verdict::Broken(what)) => Err(TestCaseError::fail(what)),
        Err(e) => Err(TestCaseError::fail(e.to_string())),
    });
    if let Err(e) = outcome {
        panic!("{e}");
    }
    assert!(
        4 * unclear.get() <= cases,
        "{} of {cases} are unclear",
        unclear.get()
    );
}

/// The loss of a recipe as a program.
fn loss<T: Float>(recipe: &Recipe) -> Result<Program> {
    Program::try_record(&recipe.inputs::<T>(), |_, v| Ok(recipe.build(v)?.0.into()))
}

/// The last value of a recipe as a program.
fn last(recipe: &Recipe) -> Result<Program> {
    Program::try_record(&recipe.inputs::<f64>(), |_, v| {
        let all = recipe.build(v)?.1;
        Ok(all[all.len() - 1].into())
    })
}

fn run<T: Float>(p: &Program, inputs: &[&Array<T>]) -> Result<Vec<Array<T>>> {
    let mut ws = p.workspace()?;
    let out = p.run(&mut ws, inputs)?;
    (0..out.len()).map(|i| out.array(i)).collect()
}

/// Numbers of a shape, unlike any input's.
fn direction(shape: &[usize], seed: f64) -> Array<f64> {
    let mut k = seed;
    Array::from_shape_fn(shape.to_vec(), |_| {
        k += 1.0;
        (k * k * 0.377 + k).sin()
    })
}

fn directions(inputs: &[Array<f64>], seed: f64) -> Vec<Array<f64>> {
    inputs.iter().map(|x| direction(x.shape(), seed)).collect()
}

/// The inner product, and the sum of the terms' magnitudes, which its rounding is relative to.
fn dot(a: &[Array<f64>], b: &[Array<f64>]) -> (f64, f64) {
    let terms = a
        .iter()
        .zip(b)
        .flat_map(|(a, b)| a.iter().zip(b).map(|(a, b)| a * b));
    terms.fold((0.0, 0.0), |(sum, size), t| (sum + t, size + t.abs()))
}

fn near(
    what: &str,
    (a, size_a): (f64, f64),
    (b, size_b): (f64, f64),
    tolerance: f64,
) -> Option<String> {
    // What is summed inside is of the order of 1, though little of it may be left.
    let size = size_a.max(size_b).max(1e-3);
    ((a - b).abs() > tolerance * size)
        .then(|| format!("{what}: {a:e} and {b:e} of terms of {size:e}"))
}

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
        let twice = slope.grad_of(x).map(|g| g.value());
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
            let values = |recipe: &Recipe| -> Result<(Vec<Array<f32>>, Vec<Array<f64>>)> {
                let (single, double) = (recipe.inputs::<f32>(), recipe.inputs::<f64>());
                let low = run(&loss::<f32>(recipe)?.value_and_grad()?, &single.each_ref())?;
                let high = run(&loss::<f64>(recipe)?.value_and_grad()?, &double.each_ref())?;
                Ok((low, high))
            };
            let (low, high) = values(recipe)?;
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

/// A program recorded on other data is the same program.
#[test]
fn a_replay_equals_a_fresh_recording() {
    check(
        Programs {
            smooth: false,
            ..SMOOTH
        },
        |recipe| {
            let first = recipe.inputs::<f64>();
            let second: Vec<Array<f64>> = first
                .iter()
                .map(|x| direction(x.shape(), recipe.data as f64 % 7.0))
                .collect();
            let second: [Array<f64>; INPUTS] = second.try_into().expect("as many");
            let replayed = loss::<f64>(recipe)?.value_and_grad()?;
            let mut ws = replayed.workspace()?;
            replayed.run(&mut ws, first.each_ref())?;
            let out = replayed.run(&mut ws, second.each_ref())?;
            let found: Vec<Array<f64>> = (0..out.len())
                .map(|i| out.array(i))
                .collect::<Result<_>>()?;
            let fresh = Program::try_record(&second, |_, v| Ok(recipe.build(v)?.0.into()))?;
            let expected = run(&fresh.value_and_grad()?, &second.each_ref())?;
            Ok(first_difference_of_all(&found, &expected))
        },
    );
}

/// Twice the backward pass is twice the gradient, bit for bit; zeroing in between is once.
#[test]
fn backward_accumulates() {
    check(
        Programs {
            few: 24,
            smooth: false,
            ..SMOOTH
        },
        |recipe| {
            let tape = Tape::new();
            let x = recipe.inputs::<f64>().map(|x| tape.variable(x));
            let y = recipe.build(x)?.0;
            y.backward()?;
            let reached: Vec<Var<'_, f64>> = x.into_iter().filter(|x| x.grad().is_ok()).collect();
            let all = || {
                reached
                    .iter()
                    .map(|x| x.grad())
                    .collect::<Result<Vec<Array<f64>>>>()
            };
            let once = all()?;
            y.backward()?;
            let doubled: Vec<_> = once.iter().map(|g| g.clone() * 2.0).collect();
            let wrong = first_difference_of_all(&all()?, &doubled);
            tape.zero_grad();
            y.backward()?;
            Ok(wrong.or(first_difference_of_all(&all()?, &once)))
        },
    );
}

/// One program, many workspaces, a thread each.
#[test]
fn many_threads_run_one_program() {
    check(
        Programs {
            few: 16,
            smooth: false,
            ..SMOOTH
        },
        |recipe| {
            let p = loss::<f64>(recipe)?.value_and_grad()?;
            let inputs: Vec<[Array<f64>; INPUTS]> = (0..6)
                .map(|i| {
                    recipe
                        .inputs::<f64>()
                        .map(|x| direction(x.shape(), f64::from(i)))
                })
                .collect();
            let expected: Vec<_> = inputs
                .iter()
                .map(|x| run(&p, &x.each_ref()))
                .collect::<Result<_>>()?;
            let found = std::thread::scope(|scope| {
                let threads: Vec<_> = inputs
                    .iter()
                    .map(|x| {
                        scope.spawn(|| {
                            (0..3)
                                .map(|_| run(&p, &x.each_ref()))
                                .collect::<Result<Vec<_>>>()
                        })
                    })
                    .collect();
                threads
                    .into_iter()
                    .map(|t| t.join().expect("no panic"))
                    .collect::<Result<Vec<_>>>()
            })?;
            let each = found.iter().zip(&expected);
            Ok(each
                .flat_map(|(runs, e)| runs.iter().map(move |r| (r, e)))
                .find_map(|(r, e)| first_difference_of_all(r, e)))
        },
    );
}

/// Beside a detached value the gradient is that beside a constant of its value, bit for bit; alone it has none.
#[test]
fn detached_values_are_constants() {
    check(Programs { few: 24, ..SMOOTH }, |recipe| {
        let tape = Tape::new();
        let x = recipe.inputs::<f64>().map(|x| tape.variable(x));
        let (y, pool) = recipe.build(x)?;
        let some = pool[pool.len() / 2];
        let detached = some.detach();
        if x.iter().any(|_| detached.sum().backward().is_err())
            || x.iter().any(|x| x.grad().is_ok())
        {
            return Ok(Some("a detached value has a gradient".to_string()));
        }
        let gradient = |factor: Var<'_, f64>| -> Result<Vec<Array<f64>>> {
            tape.zero_grad();
            (factor.sum() * y + (factor * some).sum()).backward()?;
            x.iter()
                .filter(|x| x.grad().is_ok())
                .map(|x| x.grad())
                .collect()
        };
        // Strong products, which a detached value brings with it, do not keep the sign of a zero.
        let unsigned = |g: Vec<Array<f64>>| g.into_iter().map(|g| g + 0.0).collect::<Vec<_>>();
        let constant = tape.constant(some.value()?);
        Ok(first_difference_of_all(
            &unsigned(gradient(detached)?),
            &unsigned(gradient(constant)?),
        ))
    });
}

/// A branch of NaN, infinities and zeros that is masked off leaves exact zeros behind it and no trace elsewhere, but for
/// the signs of zeros, which strong products do not keep.
#[test]
fn a_masked_branch_leaves_no_trace() {
    let programs = Programs {
        few: 120,
        steps: 10,
        smooth: false,
        products: false,
    };
    check(programs, |recipe| {
        let bad = recipe.inputs::<f64>().map(|x| {
            let mut k = recipe.data;
            x.map(|x: f64| {
                k = k
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, x][(k >> 33) as usize % 6]
            })
        });
        let tape = Tape::new();
        let good = recipe.inputs::<f64>().map(|x| tape.variable(x));
        let bad = bad.map(|x| tape.variable(x));
        let (taken, not) = (recipe.build(good)?.0, recipe.build(bad)?.0);
        let on = tape.constant(Array::scalar(true));
        taken.backward()?;
        let alone = good.map(|x| x.grad());
        for (masked, second) in [
            (on.select(taken, not), false),
            (taken + not.masked_fill(on, 0.0), false),
            (on.select(taken, not), true),
        ] {
            tape.zero_grad();
            if second {
                // Through the gradient too.
                let gradients = masked.grad_of(bad);
                (taken + gradients[0].sum() + gradients[1].sum()).backward()?;
            } else {
                masked.backward()?;
            }
            for x in bad {
                if x.grad().is_ok_and(|g| g.iter().any(|&g| g != 0.0)) {
                    return Ok(Some(format!(
                        "second {second}: {} reached {}",
                        x.grad()?,
                        x.value()?
                    )));
                }
            }
            for (x, alone) in good.iter().zip(&alone) {
                if let (Ok(found), Ok(alone)) = (x.grad(), alone)
                    && let Some(difference) = first_difference(&(found + 0.0), &(alone + 0.0))
                {
                    return Ok(Some(format!(
                        "second {second}, the branch taken: {difference}"
                    )));
                }
            }
        }
        Ok(None)
    });
}

/// The engine against the reference evaluator on the same recording, adjoints included.
#[test]
fn tapes_agree_with_the_reference() {
    check(Programs { few: 60, ..SMOOTH }, |recipe| {
        let tape = Tape::new();
        let x = recipe.inputs::<f64>().map(|x| tape.variable(x));
        let (y, pool) = recipe.build(x)?;
        let values: Vec<_> = pool.into_iter().chain([y]).chain(y.grad_of(x)).collect();
        let engine: Vec<_> = values.iter().map(|v| v.value()).collect::<Result<_>>()?;
        let Some(reference) = retrograde::reference::on_tape(&values) else {
            return Ok(Some("the reference has no value".to_string()));
        };
        let shaped = reference.into_iter().zip(&engine);
        let reference: Vec<_> = shaped
            .map(|(data, v)| Ok(Array::from_vec(data, v.shape())?))
            .collect::<Result<_>>()?;
        Ok(first_distance(&reference, &engine, 1e-10))
    });
}
