//! `lstm`: the loss of a recurrent network with diagonal weights that predicts a text bit by bit, and its gradient by all
//! weights.
//!
//! Layers run one after another, each over the whole text: of the four gates only two read the state, so that the others
//! and everything outside the recurrence are computed for all characters at once. Rows are padded with units of no weight
//! to whole vectors: a loop over short rows spends its time on their ends.

use retrograde::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use crate::measure::{Evaluated, Failure, Function, Replay, matrix, read, timed};

pub(crate) const FUNCTIONS: &[(&str, Function)] =
    &[("objective", objective), ("jacobian", jacobian)];

/// Elements of a SIMD vector, of which rows are a multiple.
const VECTOR: usize = 8;

#[derive(Deserialize)]
struct Input {
    main_params: Vec<Vec<f64>>,
    extra_params: Vec<Vec<f64>>,
    state: Vec<Vec<f64>>,
    sequence: Vec<Vec<f64>>,
}

/// Weights of layers `[layers, 2, 4, bits]`, weights in and out `[3, bits]`, state `[layers, 2, bits]`, text
/// `[characters, bits]`.
type Arrays = [Array<f64>; 4];

impl Input {
    fn arrays(&self) -> Result<Arrays, Failure> {
        let layers = self.state.len() / 2;
        let bits = self.state.first().map_or(0, Vec::len);
        if layers == 0 || bits == 0 || self.sequence.len() < 2 {
            let message = "`state` must be two rows a layer, `sequence` two characters or more";
            return Err(Failure::new(message));
        }
        let main = matrix("main_params", &self.main_params, [2 * layers, 4 * bits])?;
        let state = matrix("state", &self.state, [2 * layers, bits])?;
        let characters = self.sequence.len();
        Ok([
            main.reshape([layers, 2, 4, bits])?,
            matrix("extra_params", &self.extra_params, [3, bits])?,
            state.reshape([layers, 2, bits])?,
            matrix("sequence", &self.sequence, [characters, bits])?,
        ])
    }
}

/// What a layer puts out for all characters, and it reads `inputs`, both `[steps, units]`.
fn layer<'t>(
    t: Rec<'t>,
    inputs: Var<'t, f64>,
    params: Var<'t, f64>,
    state: Var<'t, f64>,
    shape: [usize; 2],
) -> Var<'t, f64> {
    let [weights, biases] = [0, 1].map(|i| [0, 1, 2, 3].map(|g| params.at(0, i).at(0, g)));
    let gate = |g: usize| (inputs * weights[g] + biases[g]).sigmoid();
    // Gates that read the state get their weights step by step: each gradient is then one sum after the loop instead of
    // a sum that is carried through it.
    let each = |of: Var<'t, f64>| of.expand(shape);
    let inner = [1, 3].map(|g| [each(weights[g]), each(biases[g])]);
    let start = [state.at(0, 0), state.at(0, 1)];
    let steps = (gate(0), gate(2), inner);
    let (_, hidden) = t.scan(start, steps, |[hidden, cell], (forget, out, inner)| {
        let [ingate, change] = inner.map(|[weight, bias]| hidden * weight + bias);
        let cell = cell * forget + ingate.sigmoid() * change.tanh();
        let hidden = out * cell.tanh();
        ([hidden, cell], hidden)
    });
    hidden
}

/// The mean of `-y (p - ln(2 + sum exp p))` over the bits `y` of the characters that follow, for predictions `p`.
fn loss<'t>(
    t: Rec<'t>,
    [main, extra, state, text]: [Var<'t, f64>; 4],
    [layers, steps, bits]: [usize; 3],
) -> Var<'t, f64> {
    let (read, expected) = (text.slice(0, ..-1), text.slice(0, 1..));
    let units = bits.next_multiple_of(VECTOR);
    let room = (0, units - bits);
    let main = main.pad([(0, 0), (0, 0), (0, 0), room], 0.0);
    let state = state.pad([(0, 0), (0, 0), room], 0.0);
    let mut x = (read * extra.at(0, 0)).pad([(0, 0), room], 0.0);
    for i in 0..layers as isize {
        x = layer(t, x, main.at(0, i), state.at(0, i), [steps, units]);
    }
    let predicted = x.narrow(1, 0, bits) * extra.at(0, 1) + extra.at(0, 2);
    let total = (predicted.exp().sum_over(keep(1)) + 2.0).ln();
    -(expected * (predicted - total)).mean()
}

fn record(arrays: &Arrays) -> retrograde::Result<Program> {
    let layers = arrays[2].shape()[0];
    let [characters, bits] = [0, 1].map(|axis| arrays[3].shape()[axis]);
    Program::record(arrays, |t, v| loss(t, v, [layers, characters - 1, bits]))
}

fn objective(input: &Value) -> Result<Evaluated, Failure> {
    let arrays = read::<Input>(input)?.arrays()?;
    let (mut replay, mut value) = (Replay::default(), [0.0]);
    let times = timed(input, || {
        replay.run(
            || record(&arrays),
            &arrays,
            &mut [value.as_mut_slice().into()],
        )
    })?;
    Ok(times.output(value[0]))
}

fn jacobian(input: &Value) -> Result<Evaluated, Failure> {
    let arrays = read::<Input>(input)?.arrays()?;
    let (mut replay, mut value) = (Replay::default(), [0.0]);
    let (mut main, mut extra) = (arrays[0].clone(), arrays[1].clone());
    let times = timed(input, || {
        let record = || record(&arrays)?.value_and_grad_of(&[0, 1]);
        let outputs = &mut [
            value.as_mut_slice().into(),
            (&mut main).into(),
            (&mut extra).into(),
        ];
        replay.run(record, &arrays, outputs)
    })?;
    Ok(times.output([main.into_vec(), extra.into_vec()].concat()))
}
