//! Random programs give the same bits however they are compiled and run.

use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use retrograde::Options;
use retrograde::prelude::*;
use retrograde_ops::Level;
use retrograde_tests::bits::{first_difference_of_all, first_distance};
use retrograde_tests::random::{INPUTS, Recipe, recipes};
use retrograde_tests::variants::variants;
use retrograde_tests::{cases, explores};

/// Runs a check on random recipes: always the same few, or many new ones.
fn check(
    steps: usize,
    smooth: bool,
    products: bool,
    f: impl Fn(&Recipe) -> Result<Option<String>>,
) {
    let config = Config {
        cases: cases(48),
        rng_seed: if explores() {
            RngSeed::Random
        } else {
            RngSeed::Fixed(11)
        },
        failure_persistence: None,
        max_shrink_time: 20_000,
        ..Config::default()
    };
    let outcome =
        TestRunner::new(config).run(&recipes(steps, smooth, products), |recipe| {
            match f(&recipe) {
                Ok(None) => Ok(()),
                Ok(Some(difference)) => Err(TestCaseError::fail(difference)),
                Err(e) => Err(TestCaseError::fail(e.to_string())),
            }
        });
    if let Err(e) = outcome {
        panic!("{e}");
    }
}

/// Every value of a recipe, and the loss with its gradient.
fn programs<T: Float>(recipe: &Recipe) -> Result<[Program; 2]> {
    let inputs = recipe.inputs::<T>();
    let values = Program::try_record(&inputs, |_, v| Ok(recipe.build(v)?.1.into()))?;
    let loss = Program::try_record(&inputs, |_, v| Ok(recipe.build(v)?.0.into()))?;
    Ok([values, loss.value_and_grad()?])
}

fn run<T: Float>(
    p: &Program,
    ws: &mut Workspace,
    inputs: &[Array<T>; INPUTS],
) -> Result<Vec<Array<T>>> {
    let out = p.run(ws, inputs.each_ref())?;
    (0..out.len()).map(|i| out.array(i)).collect()
}

/// Runs two times and demands that nothing is left behind by the first.
fn run_twice<T: Float>(
    p: &Program,
    inputs: &[Array<T>; INPUTS],
) -> Result<Result<Vec<Array<T>>, String>> {
    let mut ws = p.workspace()?;
    let first = run(p, &mut ws, inputs)?;
    let second = run(p, &mut ws, inputs)?;
    Ok(match first_difference_of_all(&first, &second) {
        Some(difference) => Err(format!("replay: {difference}\n{p}")),
        None => Ok(first),
    })
}

/// Compares variants with the default options.
fn same_bits<T: Float>(recipe: &Recipe, variants: &[(&str, Options)]) -> Result<Option<String>> {
    let inputs = recipe.inputs::<T>();
    for program in programs::<T>(recipe)? {
        let expected = match run_twice(&program, &inputs)? {
            Ok(expected) => expected,
            Err(difference) => return Ok(Some(difference)),
        };
        for (name, options) in variants {
            let variant = program.with_options(*options)?;
            let difference = match run_twice(&variant, &inputs)? {
                Ok(found) => first_difference_of_all(&expected, &found),
                Err(difference) => Some(difference),
            };
            if let Some(difference) = difference {
                return Ok(Some(format!(
                    "default and {name}: {difference}\n{}\n{program}\n{name}:\n{variant}",
                    program.listing()
                )));
            }
        }
    }
    Ok(None)
}

#[test]
fn options_f32() {
    check(14, false, true, |recipe| {
        same_bits::<f32>(recipe, &variants())
    });
}

#[test]
fn options_f64() {
    check(14, false, true, |recipe| {
        same_bits::<f64>(recipe, &variants())
    });
}

/// A tape's values and gradients.
fn on_tape<T: Float>(recipe: &Recipe, inputs: &[Array<T>; INPUTS]) -> Result<Vec<Array<T>>> {
    let tape = Tape::new();
    let leaves = inputs.each_ref().map(|x| tape.variable(x.clone()));
    let (loss, _) = recipe.build(leaves)?;
    loss.backward()?;
    let mut results = vec![loss.value()?];
    for (leaf, input) in leaves.iter().zip(inputs) {
        // A variable without influence has no gradient on a tape, zeros in a program.
        results.push(
            leaf.grad()
                .or_else(|_| Array::try_zeros(input.shape()).map_err(Error::from))?,
        );
    }
    Ok(results)
}

#[test]
fn tape_equals_program() {
    check(14, false, true, |recipe| {
        let inputs = recipe.inputs::<f64>();
        let [_, gradient] = programs::<f64>(recipe)?;
        let expected = run(&gradient, &mut gradient.workspace()?, &inputs)?;
        Ok(first_difference_of_all(
            &expected,
            &on_tape(recipe, &inputs)?,
        ))
    });
}

/// Values read one by one, which makes small programs of pieces, are those of the whole.
#[test]
fn reads_equal_program() {
    check(10, false, true, |recipe| {
        let inputs = recipe.inputs::<f32>();
        let [values, _] = programs::<f32>(recipe)?;
        let expected = run(&values, &mut values.workspace()?, &inputs)?;
        let tape = Tape::new();
        let (_, pool) = recipe.build(inputs.each_ref().map(|x| tape.constant(x.clone())))?;
        let found: Vec<Array<f32>> = pool.iter().map(|v| v.value()).collect::<Result<_>>()?;
        Ok(first_difference_of_all(&expected, &found))
    });
}

#[test]
fn wide_levels_agree() {
    let levels: Vec<Level> = Level::available()
        .into_iter()
        .filter(|&l| l > Level::Baseline)
        .collect();
    let variants: Vec<_> = levels
        .iter()
        .map(|&level| {
            (
                level.name(),
                Options {
                    level,
                    ..Options::default()
                },
            )
        })
        .collect();
    check(14, false, false, |recipe| {
        same_bits::<f32>(recipe, &variants)
    });
    check(14, false, false, |recipe| {
        same_bits::<f64>(recipe, &variants)
    });
}

fn near_baseline<T: Float>(recipe: &Recipe, tolerance: f64) -> Result<Option<String>> {
    let inputs = recipe.inputs::<T>();
    for program in programs::<T>(recipe)? {
        let narrow = program.with_options(Options {
            level: Level::Baseline,
            ..Options::default()
        })?;
        let expected = run(&program, &mut program.workspace()?, &inputs)?;
        let found = run(&narrow, &mut narrow.workspace()?, &inputs)?;
        if let Some(distance) = first_distance(&expected, &found, tolerance) {
            return Ok(Some(format!("{distance}\n{program}")));
        }
    }
    Ok(None)
}

#[test]
fn baseline_is_near() {
    check(8, true, true, |recipe| near_baseline::<f64>(recipe, 1e-12));
    check(8, true, true, |recipe| near_baseline::<f32>(recipe, 1e-4));
}
