//! `ode`: a system of ordinary differential equations by steps of Runge and Kutta, and the gradient of the last
//! component of the solution by all coefficients.

use retrograde::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use crate::measure::{Evaluated, Failure, Function, Replay, read, timed};

pub(crate) const FUNCTIONS: &[(&str, Function)] = &[("primal", primal), ("gradient", gradient)];

#[derive(Deserialize)]
struct Input {
    x: Vec<f64>,
    s: usize,
}

/// Steps that are recorded one after another, so that threads share each: few ones, and those of long vectors. Others
/// are a loop in the program, which a thread runs in its cache.
const FEW: usize = 16;
const LONG: usize = 8192;

/// `y` at time 2 of `y_0' = x_0`, `y_i' = x_i y_(i-1)`, `y(0) = 0`, in `steps` steps.
fn solve<'t>(t: Rec<'t>, x: Var<'t, f64>, n: usize, steps: usize) -> Var<'t, f64> {
    let h = 2.0 / steps as f64;
    let slope = |y: Var<'t, f64>| {
        let before = t.concat(&[t.ones([1]), y.narrow(0, 0, n - 1)], 0);
        x * before
    };
    let step = |y: Var<'t, f64>| {
        let k1 = slope(y);
        let k2 = slope(y + 0.5 * h * k1);
        let k3 = slope(y + 0.5 * h * k2);
        let k4 = slope(y + h * k3);
        y + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
    };
    let start = t.zeros([n]);
    if steps <= FEW || n >= LONG {
        return (0..steps).fold(start, |y, _| step(y));
    }
    let options = ScanOptions::new().length(steps);
    let (y, ()) = t.scan_with(options, start, (), |y, ()| (step(y), ()));
    y
}

fn inputs(input: &Value) -> Result<([Array<f64>; 1], usize), Failure> {
    let Input { x, s } = read(input)?;
    if x.is_empty() || s == 0 {
        return Err(Failure::new(
            "`x` must have an element, `s` be a step or more",
        ));
    }
    Ok(([Array::from(x)], s))
}

fn primal(input: &Value) -> Result<Evaluated, Failure> {
    let (x, steps) = inputs(input)?;
    let n = x[0].len();
    let (mut replay, mut y) = (Replay::default(), vec![0.0; n]);
    let times = timed(input, || {
        let record = || Program::record(&x, |t, [x]| solve(t, x, n, steps));
        replay.run(record, &x, &mut [y.as_mut_slice().into()])
    })?;
    Ok(times.output(y))
}

fn gradient(input: &Value) -> Result<Evaluated, Failure> {
    let (x, steps) = inputs(input)?;
    let n = x[0].len();
    let (mut replay, mut gradient) = (Replay::default(), vec![0.0; n]);
    let times = timed(input, || {
        let record = || Program::record(&x, |t, [x]| solve(t, x, n, steps).at(0, -1))?.grad();
        replay.run(record, &x, &mut [gradient.as_mut_slice().into()])
    })?;
    Ok(times.output(gradient))
}
