//! Pieces of a define-by-run step, taken apart.

use retrograde::Options;
use retrograde::prelude::*;
use serde::{Deserialize, Serialize};
use std::hint::black_box;

use super::text;
use crate::measure::fewest;

/// Seconds of a step and of its parts.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Pieces {
    /// Operations recorded.
    pub instructions: usize,
    /// Instructions of the gradient's program.
    pub replayed: usize,
    /// Recording alone.
    pub record_s: f64,
    /// Recording, finding, running.
    pub hit_s: f64,
    /// The first step on a new tape: recording, compiling, running.
    pub miss_s: f64,
    /// Running alone.
    pub replay_s: f64,
    /// Bytes of heap by operation.
    pub heap_bytes: f64,
}

/// Operations of the step.
const LENGTH: usize = 2_000;

fn options() -> Options {
    Options {
        threads: 1,
        ..Options::default()
    }
}

fn chain<'t>(x: Var<'t>, a: Var<'t>) -> Var<'t> {
    let mut y = x;
    for _ in 0..LENGTH / 2 {
        y = y * a + x;
    }
    y
}

/// Takes a step of scalar operations apart.
///
/// # Errors
/// What stops a step.
pub fn measure(quick: bool) -> Result<Pieces, String> {
    pieces(if quick { 20 } else { 500 }).map_err(text)
}

fn pieces(rounds: usize) -> Result<Pieces> {
    let (x, a) = (Array::scalar(0.5), Array::scalar(0.9));
    let mut tape = Tape::with_options(options());
    let record = |tape: &mut Tape| {
        tape.reset();
        let rec = tape.rec();
        black_box(chain(rec.variable(&x), rec.variable(&a)).len().is_ok());
    };
    let step = |tape: &mut Tape| -> Result<()> {
        tape.reset();
        let rec = tape.rec();
        let y = chain(rec.variable(&x), rec.variable(&a));
        black_box(y.backward()?.loss());
        Ok(())
    };
    // Seconds a call: the fewest of three batches.
    let time = |call: &mut dyn FnMut() -> Result<()>| -> Result<f64> {
        let mut failure = None;
        let batch = fewest(|| {
            failure = (0..rounds).try_for_each(|_| call()).err();
            Ok(())
        });
        match failure {
            Some(error) => Err(error),
            None => Ok(batch.unwrap_or(f64::INFINITY) / rounds as f64),
        }
    };
    let miss_s = {
        let mut best = f64::INFINITY;
        for _ in 0..5 {
            let mut fresh = Tape::with_options(options());
            let start = std::time::Instant::now();
            step(&mut fresh)?;
            best = best.min(start.elapsed().as_secs_f64());
        }
        best
    };
    step(&mut tape)?;
    let hit_s = time(&mut || step(&mut tape))?;
    let record_s = time(&mut || {
        record(&mut tape);
        Ok(())
    })?;
    let heap_bytes = tape.bytes() as f64 / LENGTH as f64;

    let value = Program::try_record_with(&[x.clone(), a.clone()], options(), |_, [x, a]| {
        Ok(chain(x, a).into())
    })?;
    let program = value.value_and_grad()?;
    let mut workspace = program.workspace()?;
    let replay_s = time(&mut || {
        black_box(program.run(&mut workspace, [&x, &a])?);
        Ok(())
    })?;
    Ok(Pieces {
        instructions: LENGTH,
        replayed: program.cost().instructions,
        record_s,
        hit_s,
        miss_s,
        replay_s,
        heap_bytes,
    })
}

/// Records a small step `times` over on one tape, reset before each; `look` is told the bytes that the tape holds.
///
/// # Errors
/// What stops a step.
pub fn reset_often(times: usize, mut look: impl FnMut(usize, usize)) -> Result<(), String> {
    let mut tape = Tape::with_options(options());
    let x = Array::linspace(-1.0, 1.0, 64);
    for step in 0..times {
        tape.reset();
        let rec = tape.rec();
        let y = (rec.variable(&x) * 0.5).tanh().sum();
        y.backward().map_err(text)?;
        look(step, tape.bytes());
    }
    Ok(())
}
