//! Gradient descent as the evals `particle` and `saddle` specify it, once for numbers and once for a recording.

use retrograde::prelude::*;

use crate::measure::Failure;

/// The step size at the start.
const ETA: f64 = 1e-5;
/// A gradient or a step of at most this length ends the search.
const CLOSE: f64 = 1e-5;
/// Steps that went well one after another, after which the step size doubles.
const GOOD: usize = 10;

/// Which way derivatives are carried.
#[derive(Clone, Copy)]
pub(crate) enum Mode {
    Forward,
    Reverse,
}

impl Mode {
    /// The gradient of a scalar by other scalars of its recording.
    pub(crate) fn gradient<'t, const N: usize>(
        self,
        of: Var<'t, f64>,
        wrt: [Var<'t, f64>; N],
    ) -> [Var<'t, f64>; N] {
        let t = of.rec();
        match self {
            Self::Reverse => of.grad_of(wrt),
            Self::Forward => std::array::from_fn(|i| {
                let direction = |j| t.scalar(if i == j { 1.0 } else { 0.0 });
                of.jvp_of(wrt, std::array::from_fn(direction))
            }),
        }
    }
}

/// A function to minimise: its value, and its value and gradient.
pub(crate) trait Objective<const N: usize> {
    fn value(&mut self, x: [f64; N]) -> Result<f64, Failure>;
    fn gradient(&mut self, x: [f64; N]) -> Result<[f64; N], Failure>;
}

fn length<const N: usize>(x: [f64; N]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Where `f` is smallest, from `x` on.
pub(crate) fn argmin<const N: usize>(
    f: &mut impl Objective<N>,
    mut x: [f64; N],
) -> Result<[f64; N], Failure> {
    let (mut value, mut gradient) = (f.value(x)?, f.gradient(x)?);
    let (mut eta, mut good) = (ETA, 0);
    while length(gradient) > CLOSE {
        if good == GOOD {
            (eta, good) = (2.0 * eta, 0);
            continue;
        }
        let next: [f64; N] = std::array::from_fn(|i| x[i] - eta * gradient[i]);
        if length::<N>(std::array::from_fn(|i| x[i] - next[i])) <= CLOSE {
            break;
        }
        let next_value = f.value(next)?;
        if next_value < value {
            (x, value, gradient) = (next, next_value, f.gradient(next)?);
            good += 1;
        } else {
            (eta, good) = (0.5 * eta, 0);
        }
    }
    Ok(x)
}

fn length_of<const N: usize>(x: [Var<'_, f64>; N]) -> Option<Var<'_, f64>> {
    let squares = x.into_iter().map(|x| x * x);
    squares.reduce(|a, b| a + b).map(Var::sqrt)
}

/// Where `f` is largest, from `x` on: a recording of the steps that these values take, with a guard for each decision.
pub(crate) fn argmax<'t, const N: usize>(
    mode: Mode,
    f: impl Fn([Var<'t, f64>; N]) -> Var<'t, f64>,
    mut x: [Var<'t, f64>; N],
) -> retrograde::Result<[Var<'t, f64>; N]> {
    let within = |of| length_of::<N>(of).map_or(Ok(true), |l| l.le(CLOSE).item());
    let mut value = f(x);
    let mut gradient = mode.gradient(value, x);
    let (mut eta, mut good) = (ETA, 0);
    while !within(gradient)? {
        if good == GOOD {
            (eta, good) = (2.0 * eta, 0);
            continue;
        }
        let next: [Var<'t, f64>; N] = std::array::from_fn(|i| x[i] + eta * gradient[i]);
        if within(std::array::from_fn(|i| x[i] - next[i]))? {
            break;
        }
        let next_value = f(next);
        if next_value.gt(value).item()? {
            gradient = mode.gradient(next_value, next);
            (x, value) = (next, next_value);
            good += 1;
        } else {
            (eta, good) = (0.5 * eta, 0);
        }
    }
    Ok(x)
}
