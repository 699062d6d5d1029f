//! `hello`: the square of a number, and its derivative.

use retrograde::prelude::*;
use serde_json::Value;

use crate::measure::{Evaluated, Failure, Function, read, timed};

pub(crate) const FUNCTIONS: &[(&str, Function)] = &[("square", square), ("double", double)];

fn square(input: &Value) -> Result<Evaluated, Failure> {
    let (x, mut y): (f64, _) = (read(input)?, 0.0);
    let times = timed(input, || {
        let tape = Tape::new();
        let x = tape.variable(Array::<f64>::scalar(x));
        y = (x * x).item()?;
        Ok(())
    })?;
    Ok(times.output(y))
}

fn double(input: &Value) -> Result<Evaluated, Failure> {
    let (x, mut derivative): (f64, _) = (read(input)?, 0.0);
    let times = timed(input, || {
        let tape = Tape::new();
        let x = tape.variable(Array::<f64>::scalar(x));
        (x * x).backward()?;
        derivative = x.grad()?.item()?;
        Ok(())
    })?;
    Ok(times.output(derivative))
}
