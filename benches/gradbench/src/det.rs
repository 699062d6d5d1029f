//! `det`: a determinant by expansion along rows into minors, and its gradient by all entries.

use retrograde::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use crate::measure::{Evaluated, Failure, Function, Replay, read, timed};

pub(crate) const FUNCTIONS: &[(&str, Function)] = &[("primal", primal), ("gradient", gradient)];

/// The largest matrix: its minors are as many as subsets of its columns.
const LARGEST: usize = 16;

#[derive(Deserialize)]
#[expect(non_snake_case, reason = "the protocol's name")]
struct Input {
    A: Vec<f64>,
    ell: usize,
}

/// Minors of the last rows of a matrix, by the columns that they have (a set as bits).
struct Minors<'t> {
    entries: Vec<Var<'t, f64>>,
    ell: usize,
    known: Vec<Option<Var<'t, f64>>>,
}

impl<'t> Minors<'t> {
    fn new(a: Var<'t, f64>, ell: usize) -> Self {
        Self {
            entries: (0..ell * ell).map(|i| a.at(0, i as isize)).collect(),
            ell,
            known: vec![None; 1 << ell],
        }
    }

    /// The determinant of the last rows and of `columns`, as many, expanded along the first of those rows. A minor
    /// belongs to several larger ones; it is recorded when it is first asked for.
    fn minor(&mut self, columns: usize) -> Var<'t, f64> {
        if let Some(known) = self.known[columns] {
            return known;
        }
        let row = self.ell - columns.count_ones() as usize;
        let inside = (0..self.ell).filter(|j| columns & 1 << j != 0);
        let mut sum: Option<Var<'t, f64>> = None;
        for (i, j) in inside.enumerate() {
            let entry = self.entries[row * self.ell + j];
            let rest = columns & !(1 << j);
            let term = if rest == 0 {
                entry
            } else {
                entry * self.minor(rest)
            };
            sum = Some(match sum {
                None => term,
                Some(sum) if i % 2 == 0 => sum + term,
                Some(sum) => sum - term,
            });
        }
        let minor = sum.unwrap_or_else(|| self.entries[0].rec().scalar(1.0));
        self.known[columns] = Some(minor);
        minor
    }
}

fn record(a: &[Array<f64>; 1], ell: usize) -> retrograde::Result<Program> {
    Program::record(a, |_, [a]| Minors::new(a, ell).minor((1 << ell) - 1))
}

fn inputs(input: &Value) -> Result<([Array<f64>; 1], usize), Failure> {
    let Input { A: a, ell } = read(input)?;
    if ell == 0 || ell > LARGEST || a.len() != ell * ell {
        let message = format!("`ell` must be 1 to {LARGEST}, and `A` be `ell * ell` numbers");
        return Err(Failure::new(message));
    }
    Ok(([Array::from(a)], ell))
}

fn primal(input: &Value) -> Result<Evaluated, Failure> {
    let (a, ell) = inputs(input)?;
    let (mut replay, mut value) = (Replay::default(), [0.0]);
    let times = timed(input, || {
        replay.run(|| record(&a, ell), &a, &mut [value.as_mut_slice().into()])
    })?;
    Ok(times.output(value[0]))
}

fn gradient(input: &Value) -> Result<Evaluated, Failure> {
    let (a, ell) = inputs(input)?;
    let (mut replay, mut gradient) = (Replay::default(), vec![0.0; a[0].len()]);
    let times = timed(input, || {
        let record = || record(&a, ell)?.grad();
        replay.run(record, &a, &mut [gradient.as_mut_slice().into()])
    })?;
    Ok(times.output(gradient))
}
