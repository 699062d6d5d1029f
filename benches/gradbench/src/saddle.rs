//! `saddle`: a saddle point of `(x_1^2 + y_1^2) - (x_2^2 + y_2^2)` by gradient descent on the result of gradient ascent,
//! with derivatives through the latter. Both may go forward or in reverse.

use retrograde::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use crate::measure::{Evaluated, Failure, Function, read, timed};
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

/// [`largest`] as a function of `p`, and its derivative.
struct Largest {
    start: [Array<f64>; 2],
    value: (Dynamic, DynamicWorkspace),
    gradient: (Dynamic, DynamicWorkspace),
}

impl Largest {
    fn new(start: [f64; 2], outer: Mode, inner: Mode) -> retrograde::Result<Self> {
        let start = start.map(Array::<f64>::scalar);
        let example = [0, 1, 0, 1].map(|i: usize| start[i].clone());
        let value = Program::record_dynamic(&example, move |_, [p0, p1, s0, s1]| {
            Ok(largest([p0, p1], [s0, s1], inner)?.into())
        })?;
        let gradient = Program::record_dynamic(&example, move |_, [p0, p1, s0, s1]| {
            let largest = largest([p0, p1], [s0, s1], inner)?;
            Ok(outer.gradient(largest, [p0, p1]).into())
        })?;
        let with_workspace = |d: Dynamic| {
            let workspace = d.workspace();
            (d, workspace)
        };
        Ok(Self {
            start,
            value: with_workspace(value),
            gradient: with_workspace(gradient),
        })
    }
}

impl Objective<2> for Largest {
    fn value(&mut self, p: [f64; 2]) -> Result<f64, Failure> {
        let (program, workspace) = &mut self.value;
        let [p0, p1] = &p.map(Array::<f64>::scalar);
        let inputs = [p0, p1, &self.start[0], &self.start[1]];
        Ok(program.run(workspace, inputs)?.item(0)?)
    }
    fn gradient(&mut self, p: [f64; 2]) -> Result<[f64; 2], Failure> {
        let (program, workspace) = &mut self.gradient;
        let [p0, p1] = &p.map(Array::<f64>::scalar);
        let inputs = [p0, p1, &self.start[0], &self.start[1]];
        let out = program.run(workspace, inputs)?;
        Ok([out.item(0)?, out.item(1)?])
    }
}

fn saddle(input: &Value, outer: Mode, inner: Mode) -> Result<Evaluated, Failure> {
    let Input { start } = read(input)?;
    let mut found = [0.0; 4];
    let times = timed(input, || {
        let p = argmin(&mut Largest::new(start, outer, inner)?, start)?;
        // The second point, by the mode of the first.
        let tape = Tape::new();
        let constant = |x: f64| tape.constant(Array::<f64>::scalar(x));
        let from = p.map(constant);
        let q = argmax(outer, |q| cost(from, q), start.map(constant))?;
        found = [p[0], p[1], q[0].item()?, q[1].item()?];
        Ok(())
    })?;
    Ok(times.output(found.to_vec()))
}
