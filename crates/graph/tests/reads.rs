//! What is read after a backward is an output of its program from the next such step on.

use retrograde_graph::{Params, Result, Tape};
use retrograde_storage::{Array, Create};

fn weights() -> Params {
    let mut params = Params::new();
    params.insert(
        "w",
        Array::from_shape_fn([3, 5], |i| (i[0] as f32 - i[1] as f32) / 4.0),
    );
    params
}

/// A step's hidden values, loss and gradient; `read` says whether hidden values are read, and how.
fn step(tape: &mut Tape, params: &Params, read: Read) -> Result<(Vec<f32>, f64, Vec<f32>)> {
    let w = params.find("w").expect("inserted");
    let x = Array::from_shape_fn([4, 3], |i| (i[0] * 3 + i[1]) as f32 / 8.0);
    let rec = tape.step(params);
    let hidden = rec.input(&x).matmul(rec.param::<f32>(w)).tanh();
    let grads = hidden.square().sum().backward()?;
    let seen = match read {
        Read::Nothing => Vec::new(),
        Read::Hidden => hidden.value()?.into_vec(),
        Read::Beyond => (hidden + 1.0).value()?.into_vec(),
    };
    Ok((seen, grads.loss(), grads.column().to_vec()))
}

#[derive(Clone, Copy, Debug)]
enum Read {
    Nothing,
    Hidden,
    Beyond,
}

#[test]
fn a_value_that_was_read_is_computed_once() -> Result<()> {
    let (mut tape, params) = (Tape::new(), weights());
    let counts = |tape: &Tape| {
        (
            tape.cache_stats().misses,
            tape.cache_stats().hits,
            tape.cache_stats().held,
        )
    };
    let (first, ..) = step(&mut tape, &params, Read::Hidden)?;
    assert_eq!(
        counts(&tape),
        (2, 0, 2),
        "a backward, and a read that computes again"
    );
    let second = step(&mut tape, &params, Read::Hidden)?;
    assert_eq!(
        counts(&tape),
        (3, 0, 2),
        "the backward with one more output; the read runs nothing"
    );
    let third = step(&mut tape, &params, Read::Hidden)?;
    assert_eq!(counts(&tape), (3, 1, 2), "one program for all");
    assert_eq!(first, second.0);
    assert_eq!(second, third);
    let unread = step(&mut tape, &params, Read::Nothing)?;
    assert_eq!(
        counts(&tape),
        (3, 2, 2),
        "not reading it makes no difference"
    );
    assert_eq!((unread.1, unread.2), (third.1, third.2));
    Ok(())
}

/// A value that the backward did not compute is computed by the read; but what it needs of the backward is kept.
#[test]
fn what_a_read_needs_is_computed_once() -> Result<()> {
    let (mut tape, params) = (Tape::new(), weights());
    let mut fresh = Tape::new();
    let expected = step(&mut fresh, &params, Read::Beyond)?;
    for _ in 0..3 {
        assert_eq!(step(&mut tape, &params, Read::Beyond)?, expected);
    }
    let settled = tape.cache_stats().misses;
    assert_eq!(step(&mut tape, &params, Read::Beyond)?, expected);
    assert_eq!(tape.cache_stats().misses, settled);
    let program = tape.last_program().expect("the read ran last").listing;
    assert!(
        !program.contains("matmul") && !program.contains("tanh"),
        "{program}"
    );
    Ok(())
}

/// The kept value is of this step, not of the one that was compiled for.
#[test]
fn a_kept_value_is_of_its_own_step() -> Result<()> {
    let mut tape = Tape::new();
    for n in 0..4 {
        tape.reset();
        let x = tape.variable(Array::from([n as f32, 2.0]));
        let y = x.exp();
        y.sum().backward()?;
        assert_eq!(y.value()?.as_slice(), [(n as f32).exp(), 2f32.exp()]);
        assert_eq!(x.grad()?, y.value()?);
        // Another backward in the same step finds the value known.
        (y * y).sum().backward()?;
        assert_eq!(x.grad()?, y.value()? + 2.0 * y.value()?.map(|y| y * y));
    }
    Ok(())
}

/// Steps of a loop that are alike are one program, however many values are read and whatever was recorded before.
#[test]
fn the_reads_of_a_loop_find_one_program() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(Array::<f64>::linspace(0.0, 1.0, 5));
    let start = x.value()?;
    let (mut y, mut by_hand) = (x, start.clone());
    for step in 0..100 {
        let shift = f64::from(step) * 0.01;
        y = (y * x).cos() + shift;
        by_hand = (by_hand * &start).map(f64::cos) + shift;
        let difference = (y - tape.constant(by_hand.clone())).abs().max().item()?;
        assert!(difference < 1e-14, "{step}: {difference}");
    }
    let stats = tape.cache_stats();
    assert!(stats.misses <= 3, "{stats:?}");
    Ok(())
}

/// An error names the line of its own instruction, not that of an instruction for which the same program was compiled.
#[test]
fn a_shared_program_names_its_own_line() -> Result<()> {
    let tape = Tape::new();
    let x = tape.constant(Array::<f64>::from([1.0, 2.0]));
    let bad = tape.constant(Array::<u32>::from([7]));
    let (first, at_first) = (x.index_select(0, bad), line!());
    let (second, at_second) = (x.index_select(0, bad), line!());
    for (value, line) in [(first, at_first), (second, at_second)] {
        let error = value.value().unwrap_err();
        assert_eq!(error.location().map(std::panic::Location::line), Some(line));
    }
    Ok(())
}
