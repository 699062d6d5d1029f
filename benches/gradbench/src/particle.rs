//! `particle`: how to place one of two charges that deflect a particle, so that it passes the origin.
//!
//! The force on the particle is a gradient, inside a loop that ends when the particle crosses the axis; the derivative of
//! where it does so, through all of that, drives gradient descent. The two derivatives may go forward or in reverse.

use retrograde::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use crate::measure::{Branching, Evaluated, Failure, Function, read, timed};
use crate::solver::{Mode, Objective, argmin};

pub(crate) const FUNCTIONS: &[(&str, Function)] = &[
    ("ff", |input| particle(input, Mode::Forward, Mode::Forward)),
    ("fr", |input| particle(input, Mode::Forward, Mode::Reverse)),
    ("rf", |input| particle(input, Mode::Reverse, Mode::Forward)),
    ("rr", |input| particle(input, Mode::Reverse, Mode::Reverse)),
];

/// Seconds between two positions.
const STEP: f64 = 0.1;

#[derive(Deserialize)]
struct Input {
    w: f64,
}

/// The square of where the particle crosses the axis, for a second charge at `(10, 10 - w)`.
fn miss<'t>(w: Var<'t, f64>, mode: Mode) -> retrograde::Result<Var<'t, f64>> {
    let t = w.rec();
    let charges = [[t.scalar(10.0), 10.0 - w], [t.scalar(10.0), t.scalar(0.0)]];
    let mut x = [t.scalar(0.0), t.scalar(8.0)];
    let mut speed = [t.scalar(0.75), t.scalar(0.0)];
    loop {
        let inverse_distance = |[a, b]: [Var<'t, f64>; 2]| {
            let (dx, dy) = (x[0] - a, x[1] - b);
            1.0 / (dx * dx + dy * dy).sqrt()
        };
        let potential = inverse_distance(charges[0]) + inverse_distance(charges[1]);
        let slope = mode.gradient(potential, x);
        x = std::array::from_fn(|i| x[i] + STEP * speed[i]);
        if x[1].le(0.0).item()? {
            let crossing = x[0] - x[1] / speed[1] * speed[0];
            return Ok(crossing * crossing);
        }
        speed = std::array::from_fn(|i| speed[i] - STEP * slope[i]);
    }
}

/// The miss alone, and its derivative alone; each records a path for each number of steps that the particle takes.
struct Flight {
    value: Branching,
    derivative: Branching,
}

impl Flight {
    fn new(w: f64, outer: Mode, inner: Mode) -> retrograde::Result<Self> {
        Ok(Self {
            value: Branching::new([w], move |[w]| Ok(vec![miss(w, inner)?]))?,
            derivative: Branching::new([w], move |[w]| {
                Ok(outer.gradient(miss(w, inner)?, [w]).to_vec())
            })?,
        })
    }
}

impl Objective<1> for Flight {
    fn value(&mut self, w: [f64; 1]) -> Result<f64, Failure> {
        let [value] = self.value.run(w)?;
        Ok(value)
    }
    fn gradient(&mut self, w: [f64; 1]) -> Result<[f64; 1], Failure> {
        Ok(self.derivative.run(w)?)
    }
}

fn particle(input: &Value, outer: Mode, inner: Mode) -> Result<Evaluated, Failure> {
    let Input { w } = read(input)?;
    let (mut flight, mut best) = (None, w);
    let times = timed(input, || {
        let flight = match &mut flight {
            Some(flight) => flight,
            none => none.insert(Flight::new(w, outer, inner)?),
        };
        [best] = argmin(flight, [w])?;
        Ok(())
    })?;
    Ok(times.output(best))
}
