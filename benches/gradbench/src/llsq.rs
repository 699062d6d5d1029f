//! `llsq`: a polynomial's squared distance from the sign function on a grid, and its gradient by the coefficients.

use retrograde::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use crate::measure::{Evaluated, Failure, Function, Replay, read, timed};

pub(crate) const FUNCTIONS: &[(&str, Function)] = &[("primal", primal), ("gradient", gradient)];

#[derive(Deserialize)]
struct Input {
    x: Vec<f64>,
    n: usize,
}

/// `sum (s_i - x_0 - x_1 t_i - x_2 t_i^2 - ...)^2 / 2` over a grid of `n` points `t` from -1 to 1, `s` their signs. By
/// Horner's rule; grid and signs are part of the program, which computes them in every run.
fn squares<'t>(t: Rec<'t>, x: Var<'t, f64>, coefficients: usize, n: usize) -> Var<'t, f64> {
    let grid = t.arange::<f64>(n) * 2.0 / (n as f64 - 1.0) - 1.0;
    let coefficient = |j: usize| x.at(0, j as isize);
    let polynomial = (0..coefficients)
        .rev()
        .map(coefficient)
        .reduce(|p, c| p * grid + c);
    let residual = match polynomial {
        Some(p) => grid.sign() - p,
        None => grid.sign(),
    };
    0.5 * (residual * residual).sum()
}

fn record(x: &[Array<f64>; 1], n: usize) -> retrograde::Result<Program> {
    Program::record(x, |t, [v]| squares(t, v, x[0].len(), n))
}

fn primal(input: &Value) -> Result<Evaluated, Failure> {
    let Input { x, n } = read(input)?;
    let x = [Array::from(x)];
    let (mut replay, mut value) = (Replay::default(), [0.0]);
    let times = timed(input, || {
        let record = || record(&x, n);
        replay.run(record, &x, &mut [value.as_mut_slice().into()])
    })?;
    Ok(times.output(value[0]))
}

fn gradient(input: &Value) -> Result<Evaluated, Failure> {
    let Input { x, n } = read(input)?;
    let x = [Array::from(x)];
    let (mut replay, mut gradient) = (Replay::default(), vec![0.0; x[0].len()]);
    let times = timed(input, || {
        let record = || record(&x, n)?.grad();
        replay.run(record, &x, &mut [gradient.as_mut_slice().into()])
    })?;
    Ok(times.output(gradient))
}
