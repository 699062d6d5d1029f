//! `saddle`: a saddle point of `(x_1^2 + y_1^2) - (x_2^2 + y_2^2)` by gradient descent on the result of gradient ascent,
//! with derivatives through the latter. Both may go forward or in reverse.

use retrograde::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use crate::measure::{Branching, Evaluated, Failure, Function, read, timed};
use crate::solver::{Mode, Objective, argmax, argmin};

pub(crate) const FUNCTIONS: &[(&str, Function)] = &[
    ("ff", |input| saddle(input, Mode::Forward, Mode::Forward)),
    ("fr", |input| saddle(input, Mode::Forward, Mode::Reverse)),
    ("rf", |input| saddle(input, Mode::Reverse, Mode::Forward)),
    ("rr", |input| saddle(input, Mode::Reverse, Mode::Reverse)),
];

#[derive(Deserialize)]
struct Input {
    start: [f64; 2],
}

/// A point of the plane.
type Point<'t> = [Var<'t, f64>; 2];

fn cost<'t>(p: Point<'t>, q: Point<'t>) -> Var<'t, f64> {
    (p[0] * p[0] + p[1] * p[1]) - (q[0] * q[0] + q[1] * q[1])
}

/// The largest cost for a point `p`, found from `start` on.
fn largest<'t>(p: Point<'t>, start: Point<'t>, mode: Mode) -> retrograde::Result<Var<'t, f64>> {
    let q = argmax(mode, |q| cost(p, q), start)?;
    Ok(cost(p, q))
}

/// [`largest`] as a function of `p`, its derivative, and where it is found; each records a path for each sequence of
/// decisions that the search takes.
struct Largest {
    start: [f64; 2],
    value: Branching,
    gradient: Branching,
    place: Branching,
}

impl Largest {
    fn new([a, b]: [f64; 2], outer: Mode, inner: Mode) -> retrograde::Result<Self> {
        let example = [a, b, a, b];
        Ok(Self {
            start: [a, b],
            value: Branching::new(example, move |[p0, p1, s0, s1]| {
                Ok(vec![largest([p0, p1], [s0, s1], inner)?])
            })?,
            gradient: Branching::new(example, move |[p0, p1, s0, s1]| {
                let largest = largest([p0, p1], [s0, s1], inner)?;
                Ok(outer.gradient(largest, [p0, p1]).to_vec())
            })?,
            // The second point is found by the mode of the first.
            place: Branching::new(example, move |[p0, p1, s0, s1]| {
                Ok(argmax(outer, |q| cost([p0, p1], q), [s0, s1])?.to_vec())
            })?,
        })
    }

    fn inputs(&self, [p0, p1]: [f64; 2]) -> [f64; 4] {
        [p0, p1, self.start[0], self.start[1]]
    }
}

impl Objective<2> for Largest {
    fn value(&mut self, p: [f64; 2]) -> Result<f64, Failure> {
        let [value] = self.value.run(self.inputs(p))?;
        Ok(value)
    }
    fn gradient(&mut self, p: [f64; 2]) -> Result<[f64; 2], Failure> {
        Ok(self.gradient.run(self.inputs(p))?)
    }
}

fn saddle(input: &Value, outer: Mode, inner: Mode) -> Result<Evaluated, Failure> {
    let Input { start } = read(input)?;
    let (mut largest, mut found) = (None, [0.0; 4]);
    let times = timed(input, || {
        let largest = match &mut largest {
            Some(largest) => largest,
            none => none.insert(Largest::new(start, outer, inner)?),
        };
        let p = argmin(largest, start)?;
        let q: [f64; 2] = largest.place.run(largest.inputs(p))?;
        found = [p[0], p[1], q[0], q[1]];
        Ok(())
    })?;
    Ok(times.output(found.to_vec()))
}
