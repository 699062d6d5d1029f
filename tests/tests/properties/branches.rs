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
        let out = f.run(&mut ws, [x])?;
        assert_eq!(out.item::<f64>(0)?.to_bits(), value.to_bits(), "at {x}");
        assert_eq!(out.array::<f64>(1)?, gradient, "at {x}");
    }
    let stats = f.stats();
    assert_eq!(stats.runs, 2 * points.len() as u64);
    // The second time round every path is known, unless there were more than the list holds.
    assert!(stats.recorded < points.len() as u64 || stats.unheld > 0);
    Ok(())
}

/// Runs all points at once, each on its own path, beside a shared factor; twice, and in another order.
fn check_batch(tree: &Tree, points: &[Array<f64>], traces: usize) -> Result<()> {
    let closure = tree.clone();
    let example = [points[0].clone(), Array::scalar(1.25)];
    let f = Program::record_dynamic_with(
        &example,
        retrograde::Options::default(),
        traces,
        move |_, [x, a]| Ok(closure.apply(x * a)?.into()),
    )?;
    let (each, all) = (
        f.value_and_grad()?.vmap(&[Some(1), None])?,
        f.vmap(&[Some(0), None])?.vjp(),
    );
    let (mut ws, factor) = (each.workspace(), &example[1]);
    let mut order: Vec<usize> = (0..points.len()).collect();
    for _ in 0..2 {
        let expected: Vec<_> = order
            .iter()
            .map(|&i| {
                let tape = Tape::new();
                let (x, a) = (
                    tape.variable(points[i].clone()),
                    tape.variable(factor.clone()),
                );
                let y = tree.apply(x * a)?;
                y.backward()?;
                Ok((y.item()?, x.grad()?, a.grad()?.item()?))
            })
            .collect::<Result<_>>()?;
        // Samples as columns.
        let columns = Array::from_shape_fn([3, order.len()], |at| {
            points[order[at[1]]].as_slice()[at[0]]
        });
        let rows = Array::from_shape_fn([order.len(), 3], |at| {
            points[order[at[0]]].as_slice()[at[1]]
        });
        let out = each.run(&mut ws, [&columns, factor])?;
        let (values, gx, ga) = (
            out.array::<f64>(0)?,
            out.array::<f64>(1)?,
            out.array::<f64>(2)?,
        );
        for (i, (value, x, a)) in expected.iter().enumerate() {
            assert_eq!(
                values.as_slice()[i].to_bits(),
                value.to_bits(),
                "sample {i}"
            );
            assert_eq!(&gx.as_slice()[3 * i..][..3], x.as_slice(), "sample {i}");
            assert_eq!(ga.as_slice()[i].to_bits(), a.to_bits(), "sample {i}");
        }
        // One gradient for all: a sum over samples where they share an input.
        if let Ok(all) = &all {
            let seed = Array::from_shape_fn([order.len()], |at| 1.0 + at[0] as f64);
            let mut ws = all.workspace();
            let out = all.run(&mut ws, [&rows, factor, &seed])?;
            let weighted = expected.iter().zip(&seed).map(|(e, s)| e.2 * s);
            let sum: f64 = weighted.clone().sum();
            let size: f64 = weighted.map(f64::abs).sum();
            assert!((out.item::<f64>(2)? - sum).abs() <= 1e-12 * size.max(1e-300));
            for (i, (_, x, _)) in expected.iter().enumerate() {
                let own = &out.array::<f64>(1)?.into_vec()[3 * i..][..3];
                let scaled = x.clone() * seed.as_slice()[i];
                Array::from_vec(own.to_vec(), [3])?.assert_close(&scaled, 1e-13, 1e-300);
            }
        }
        order.rotate_left(points.len() / 2);
        order.swap(0, 1);
    }
    let stats = each.stats();
    assert_eq!(
        stats.runs,
        2 * points.len() as u64,
        "every sample is run once a batch"
    );
    assert!(stats.held <= traces && stats.recorded <= 2 * points.len() as u64);
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

/// With room for all traces, for a few, and for none.
#[test]
fn samples_of_a_batch_take_their_own_branches() {
    let config = Config {
        cases: cases(40),
        rng_seed: if explores() {
            RngSeed::Random
        } else {
            RngSeed::Fixed(29)
        },
        failure_persistence: None,
        ..Config::default()
    };
    let point = proptest::collection::vec(-2.0..2.0f64, 3);
    let points = proptest::collection::vec(point, 9);
    let room = prop_oneof![2 => Just(64), 1 => Just(2), 1 => Just(0)];
    let outcome = TestRunner::new(config).run(&(trees(), points, room), |(tree, points, room)| {
        let points: Vec<_> = points
            .into_iter()
            .map(|x| Array::from_vec(x, [3]).expect("three numbers"))
            .collect();
        check_batch(&tree, &points, room).map_err(|e| TestCaseError::fail(e.to_string()))
    });
    if let Err(e) = outcome {
        panic!("{e}");
    }
}
