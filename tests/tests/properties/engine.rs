//! What is true of any program, however it is recorded and run.

use retrograde::prelude::*;
use retrograde_tests::bits::{first_difference_of_all, first_distance};
use retrograde_tests::random::INPUTS;

use crate::{Programs, SMOOTH, check, direction, loss, run};

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
