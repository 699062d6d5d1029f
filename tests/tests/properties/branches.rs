//! Programs that branch on what they compute, nested and in loops: whatever path the inputs take, a recorded program
//! gives what running the closure anew gives, gradients included.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use retrograde::prelude::*;
use retrograde_tests::{cases, explores};

/// A function with a region for each way through its branches.
#[derive(Clone, Debug)]
enum Tree {
    /// Ends in a smooth function of its own.
    Leaf(u8),
    /// Asks whether the sum of the state is above a bound.
    Branch(f64, Box<Self>, Box<Self>),
    /// Grows the state until its largest magnitude reaches a bound, by one of two rules each time round.
    Loop(f64, Box<Self>),
    /// Counts, by an integer that is read, which of several rules applies.
    Count(Box<Self>),
}

impl Tree {
    fn apply<'t>(&self, x: Var<'t, f64>) -> Result<Var<'t, f64>> {
        match self {
            Self::Leaf(0) => Ok((x * x).sum()),
            Self::Leaf(1) => Ok(x.sin().sum() * 3.0),
            Self::Leaf(k) => Ok((x * f64::from(*k)).tanh().mean()),
            Self::Branch(bound, above, below) => {
                if x.sum().gt(*bound).item()? {
                    above.apply(x * 1.1 + 0.1)
                } else {
                    below.apply(x.cos() - 0.3)
                }
            }
            Self::Loop(bound, then) => {
                let mut x = x + 0.01;
                while x.abs().max().lt(*bound).item()? {
                    x = if x.at(0, 0).gt(0.0).item()? {
                        x * 1.7
                    } else {
                        x * 1.4 - 0.2
                    };
                }
                then.apply(x)
            }
            Self::Count(then) => {
                let positive = x.gt(0.0).count().item()?;
                then.apply(x * (positive as f64 + 0.5))
            }
        }
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = (0u8..4).prop_map(Tree::Leaf);
    leaf.prop_recursive(4, 16, 2, |inner| {
        prop_oneof![
            3 => (-1.5..1.5, inner.clone(), inner.clone())
                .prop_map(|(at, a, b)| Tree::Branch(at, Box::new(a), Box::new(b))),
            1 => (0.5..4.0, inner.clone()).prop_map(|(at, a)| Tree::Loop(at, Box::new(a))),
            1 => inner.prop_map(|a| Tree::Count(Box::new(a))),
        ]
    })
}

fn by_run(tree: &Tree, x: &Array<f64>) -> Result<(f64, Array<f64>)> {
    let tape = Tape::new();
    let x = tape.variable(x.clone());
    let y = tree.apply(x)?;
    y.backward()?;
    Ok((y.item()?, x.grad()?))
}

/// Runs every point twice, in two orders, so that known paths are met again after others.
fn check(tree: &Tree, points: &[Array<f64>]) -> Result<()> {
    let closure = tree.clone();
    let f = Program::record_dynamic(&[points[0].clone()], move |_, [x]| {
        Ok(closure.apply(x)?.into())
    })?
    .value_and_grad()?;
    let mut ws = f.workspace();
    for x in points.iter().chain(points.iter().rev()) {
        let (value, gradient) = by_run(tree, x)?;
        let out = f.run(&mut ws, &[x])?;
        assert_eq!(out.item::<f64>(0)?.to_bits(), value.to_bits(), "at {x}");
        assert_eq!(out.array::<f64>(1)?, gradient, "at {x}");
    }
    let stats = f.stats();
    assert_eq!(stats.runs, 2 * points.len() as u64);
    // The second time round every path is known, unless there were more than the list holds.
    assert!(stats.recorded < points.len() as u64 || stats.unheld > 0);
    Ok(())
}

#[test]
fn a_replay_takes_the_branches_that_running_anew_takes() {
    let config = Config {
        cases: cases(60),
        rng_seed: if explores() {
            RngSeed::Random
        } else {
            RngSeed::Fixed(23)
        },
        failure_persistence: None,
        ..Config::default()
    };
    let point = proptest::collection::vec(-2.0..2.0f64, 3);
    let points = proptest::collection::vec(point, 12);
    let outcome = TestRunner::new(config).run(&(trees(), points), |(tree, points)| {
        let points: Vec<_> = points
            .into_iter()
            .map(|x| Array::from_vec(x, [3]).expect("three numbers"))
            .collect();
        check(&tree, &points).map_err(|e| TestCaseError::fail(e.to_string()))
    });
    if let Err(e) = outcome {
        panic!("{e}");
    }
}
