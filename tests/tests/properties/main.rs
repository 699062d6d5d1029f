//! Properties of derivatives, on random programs: what mathematics says about gradients whatever the function.
//!
//! A test tries a few dozen programs, always the same, or `RETROGRADE_CASES=5000` new ones.

mod branches;
mod derivatives;
mod engine;
mod transforms;
mod zeros;

use std::cell::Cell;

use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use retrograde::prelude::*;
use retrograde_tests::random::{Recipe, recipes};
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
