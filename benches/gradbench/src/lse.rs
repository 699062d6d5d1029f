//! `lse`: the logarithm of a sum of exponentials, from its parts, and its gradient.

use retrograde::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use crate::measure::{Evaluated, Failure, Function, Replay, read, timed};

pub(crate) const FUNCTIONS: &[(&str, Function)] = &[("primal", primal), ("gradient", gradient)];

#[derive(Deserialize)]
struct Input {
    x: Vec<f64>,
}

/// `max x + ln sum exp(x - max x)`.
fn logsumexp(x: Var<'_, f64>) -> Var<'_, f64> {
    let a = x.max();
    a + (x - a).exp().sum().ln()
}

fn primal(input: &Value) -> Result<Evaluated, Failure> {
    let x = [Array::from(read::<Input>(input)?.x)];
    let (mut replay, mut value) = (Replay::default(), [0.0]);
    let times = timed(input, || {
        let record = || Program::record(&x, |_, [x]| logsumexp(x));
        replay.run(record, &x, &mut [value.as_mut_slice().into()])
    })?;
    Ok(times.output(value[0]))
}

fn gradient(input: &Value) -> Result<Evaluated, Failure> {
    let x = [Array::from(read::<Input>(input)?.x)];
    let (mut replay, mut gradient) = (Replay::default(), vec![0.0; x[0].len()]);
    let times = timed(input, || {
        let record = || Program::record(&x, |_, [x]| logsumexp(x))?.grad();
        replay.run(record, &x, &mut [gradient.as_mut_slice().into()])
    })?;
    Ok(times.output(gradient))
}
