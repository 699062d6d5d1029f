//! Batches of samples that branch: each takes its own path, and what is told of it.

use retrograde::ErrorKind;
use retrograde::prelude::*;
use retrograde::{DynamicBatch, Options};

/// Collatz-like: halved or tripled by the parity of a counter that is read, until below 2; a data-dependent number of
/// trips, with a branch in each.
fn collatz(x: Var<'_, f64>) -> Result<Var<'_, f64>> {
    let (mut x, mut y) = (x, x * 1.0);
    while x.gt(1.0).item()? {
        if (x % 2.0).lt(1.0).item()? {
            (x, y) = ((x * 0.5).floor(), y.sin());
        } else {
            (x, y) = ((x * 3.0).floor() + 1.0, y * 0.75);
        }
    }
    Ok(y + x)
}

fn batch() -> Result<DynamicBatch> {
    let f = Program::record_dynamic(
        &[Array::<f64>::scalar(6.0)],
        |_, [x]| Ok(collatz(x)?.into()),
    )?;
    f.value_and_grad()?.vmap(&[Some(0)])
}

fn by_run(x: f64) -> Result<(f64, f64)> {
    let tape = Tape::new();
    let x = tape.variable(Array::scalar(x));
    let y = collatz(x)?;
    y.backward()?;
    Ok((y.item()?, x.grad()?.item()?))
}

#[test]
fn loops_of_many_lengths() -> Result<()> {
    let batch = batch()?;
    let mut ws = batch.workspace();
    for n in [1, 2, 7, 40] {
        let x = Array::from_shape_fn([n], |at| 0.3 + at[0] as f64);
        let out = batch.run(&mut ws, [&x])?;
        let (values, gradients) = (out.array::<f64>(0)?, out.array::<f64>(1)?);
        for i in 0..n {
            let (value, gradient) = by_run(x.as_slice()[i])?;
            assert_eq!(
                values.as_slice()[i].to_bits(),
                value.to_bits(),
                "{i} of {n}"
            );
            assert_eq!(
                gradients.as_slice()[i].to_bits(),
                gradient.to_bits(),
                "{i} of {n}"
            );
        }
    }
    Ok(())
}

/// Every sample counts: hits and misses by line, as many runs as samples, nothing recorded twice.
#[test]
fn statistics_name_the_lines() -> Result<()> {
    let f = Program::record_dynamic(&[Array::<f64>::scalar(1.0)], |_, [x]| {
        let first = x.gt(0.0).item()?;
        let second = x.abs().gt(10.0).item()?;
        Ok(match (first, second) {
            (true, _) => x.exp(),
            (false, true) => x.sin(),
            (false, false) => x.cos(),
        }
        .into())
    })?;
    let batch = f.vmap(&[Some(0)])?;
    let mut ws = batch.workspace();
    // Three of the recorded path, one that leaves it at the second guard, two at the first, which disagree at the second.
    let x = Array::from([1.0, 2.0, 3.0, 20.0, -1.0, -20.0]);
    let expected = x.map(|x: f64| {
        if x > 0.0 {
            x.exp()
        } else if x < -10.0 {
            x.sin()
        } else {
            x.cos()
        }
    });
    batch
        .run(&mut ws, [&x])?
        .array::<f64>(0)?
        .assert_close(&expected, 1e-15, 0.0);
    let stats = batch.stats();
    assert_eq!(
        (stats.runs, stats.held, stats.recorded),
        (6, 4, 3),
        "{stats}"
    );
    assert_eq!(stats.guards.len(), 2);
    assert!(
        stats
            .guards
            .iter()
            .all(|g| g.location.file().ends_with("guards.rs"))
    );
    let counts: Vec<_> = stats.guards.iter().map(|g| (g.hits, g.misses)).collect();
    // On the first trace four samples pass the first line, and three the second. Those that leave it go to a trace of one
    // sample, and to one of two, which disagree at the second line, so that one of them goes to a trace of its own.
    assert_eq!(
        counts,
        [(4 + 1 + 2 + 1, 2), (3 + 1 + 1 + 1, 1 + 1)],
        "{stats}"
    );
    // The same again: no new path; the paths that are known are found.
    batch.run(&mut ws, [&x])?;
    assert_eq!((batch.stats().runs, batch.stats().recorded), (12, 3));
    Ok(())
}

/// An index that is out of range on a branch that a sample does not take is no error, on one that it takes it is its own.
#[test]
fn errors_are_those_of_a_samples_own_path() -> Result<()> {
    let table = Array::<f64>::from([1.0, 2.0, 3.0]);
    let f = Program::record_dynamic(
        &(Array::<i64>::scalar(0), table.clone()),
        |t, (i, table)| {
            let inside = i.lt(3).item()?;
            let i = i.unsqueeze(0);
            Ok(if inside {
                // A guard that depends on what may fail.
                let x = table.index_select(0, i).sum();
                if x.gt(1.5).item()? { x.square() } else { x }
            } else {
                t.scalar(-1.0)
            }
            .into())
        },
    )?;
    let batch = f.vmap(&[Some(0), None])?;
    let mut ws = batch.workspace();
    let out = batch.run(&mut ws, (&Array::<i64>::from([0, 7, 2, -1, 100]), &table))?;
    assert_eq!(
        out.array::<f64>(0)?,
        Array::from([1.0, -1.0, 9.0, 9.0, -1.0])
    );
    let error = batch
        .run(&mut ws, (&Array::<i64>::from([0, 7, -9, -4]), &table))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Index, "{error}");
    assert!(error.to_string().contains("sample 2"), "{error}");
    // And the next batch is right again.
    let out = batch.run(&mut ws, (&Array::<i64>::from([1, 3]), &table))?;
    assert_eq!(out.array::<f64>(0)?, Array::from([4.0, -1.0]));
    Ok(())
}

#[test]
fn mistakes() -> Result<()> {
    let pair = [Array::<f64>::ones([2]), Array::<f64>::ones([3])];
    let f = Program::record_dynamic(&pair, |_, [x, y]| {
        Ok(if x.sum().gt(0.0).item()? { x } else { y }.into())
    })?;
    let says =
        |error: retrograde::Error, part: &str| assert!(error.to_string().contains(part), "{error}");
    says(f.vmap(&[None, None]).unwrap_err(), "every input is shared");
    says(f.vmap(&[Some(2), None]).unwrap_err(), "vmap of input 0");
    says(
        f.vmap(&[Some(0)]).unwrap_err(),
        "2 inputs, given were axes for 1",
    );
    let batch = f.vmap(&[Some(0), Some(1)])?;
    let mut ws = batch.workspace();
    let (x, y) = (Array::<f64>::ones([4, 2]), Array::<f64>::ones([3, 4]));
    assert_eq!(batch.run(&mut ws, [&x, &y])?.array::<f64>(0)?, x);
    says(
        batch.run(&mut ws, [&x]).unwrap_err(),
        "takes 2 inputs, given were 1",
    );
    says(
        batch
            .run(&mut ws, [&x, &Array::<f64>::ones([3, 5])])
            .unwrap_err(),
        "input 1 has 5 samples along axis 1, but input 0 has 4",
    );
    says(
        batch
            .run(&mut ws, [&Array::<f64>::ones([]), &y])
            .unwrap_err(),
        "vmap of input 0: axis 0 is out of range",
    );
    // Paths of different shapes.
    let mixed = Array::from([[1.0, 1.0], [1.0, 1.0], [-1.0, -1.0], [1.0, 1.0]]);
    says(
        batch.run(&mut ws, [&mixed, &y]).unwrap_err(),
        "all paths must give one shape",
    );
    assert_eq!(
        batch.run(&mut ws, [&x, &y])?.array::<f64>(0)?,
        x,
        "the next run is right again"
    );
    let none = batch.run(
        &mut ws,
        [&Array::<f64>::ones([0, 2]), &Array::<f64>::ones([3, 0])],
    )?;
    assert_eq!(none.array::<f64>(0)?.shape(), [0, 2]);
    // Another batch's memory.
    let other = f.vmap(&[Some(0), Some(1)])?;
    assert_eq!(
        other.run(&mut ws, [&x, &y]).unwrap_err().kind(),
        ErrorKind::Foreign
    );
    // Draws would depend on the grouping.
    let random = Program::record_dynamic(&[Array::<f64>::scalar(1.0)], |t, [x]| {
        let noise = t.rng(1).normal([], 0.0, 1.0);
        Ok(if x.gt(0.0).item()? { x * noise } else { x }.into())
    })?;
    says(random.vmap(&[Some(0)]).unwrap_err(), "random numbers");
    Ok(())
}

/// Clones and threads share what was recorded and compiled.
#[test]
fn many_threads() -> Result<()> {
    let batch = batch()?;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|k| {
                let batch = batch.clone();
                scope.spawn(move || -> Result<()> {
                    let mut ws = batch.workspace();
                    for round in 0..3 {
                        let x =
                            Array::from_shape_fn([9], |at| 0.6 + (at[0] * 3 + k + round) as f64);
                        let out = batch.run(&mut ws, [&x])?;
                        for (i, &x) in x.iter().enumerate() {
                            assert_eq!(out.slice::<f64>(0)?[i].to_bits(), by_run(x)?.0.to_bits());
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        threads
            .into_iter()
            .try_for_each(|t| t.join().expect("no panic"))
    })
}

/// More paths than there is room for are run a sample at a time, and right.
#[test]
fn without_room_for_traces() -> Result<()> {
    for room in [0, 1, 3] {
        let example = [Array::<f64>::scalar(6.0)];
        let f = Program::record_dynamic_with(&example, Options::default(), room, |_, [x]| {
            Ok(collatz(x)?.into())
        })?;
        let batch = f.vmap(&[Some(0)])?;
        let mut ws = batch.workspace();
        let x = Array::from([6.2, 3.1, 0.5, 9.9, 6.4]);
        let out = batch.run(&mut ws, [&x])?;
        for (i, &x) in x.iter().enumerate() {
            assert_eq!(
                out.slice::<f64>(0)?[i].to_bits(),
                by_run(x)?.0.to_bits(),
                "room for {room}"
            );
        }
        assert_eq!(batch.stats().runs, 5);
    }
    Ok(())
}
