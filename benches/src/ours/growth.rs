//! The two chains whose growth is measured, at any size.

use retrograde::prelude::*;
use retrograde::{AnyArray, Options as Compile};
use std::hint::black_box;

use super::programs::{activations, scalars};
use super::text;
use crate::cli::Options;

/// A program of value and gradient with its input.
pub struct Recorded {
    program: Program,
    workspace: Workspace,
    input: AnyArray,
}

impl Recorded {
    fn new(value: &Program, input: Array<f32>) -> Result<Self> {
        let program = value.value_and_grad()?;
        Ok(Self {
            workspace: program.workspace()?,
            program,
            input: input.into(),
        })
    }

    /// Replays it.
    ///
    /// # Errors
    /// What the run met.
    pub fn run(&mut self) -> Result<(), String> {
        let input = std::slice::from_ref(&self.input);
        let out = self.program.run(&mut self.workspace, input);
        black_box(out.map_err(text)?);
        Ok(())
    }

    /// Bytes of its workspace.
    pub fn bytes(&self) -> usize {
        self.workspace.bytes()
    }
}

fn compile(options: &Options) -> Compile {
    Compile {
        threads: options.threads,
        ..Compile::default()
    }
}

/// `chain_4m` of these elements.
///
/// # Errors
/// What stops its compilation.
pub fn chain(x: Vec<f32>, options: &Options) -> Result<Recorded, String> {
    let x = [Array::from(x)];
    let value = Program::try_record_with(&x, compile(options), |_, [x]| Ok(activations(x).into()));
    let [x] = x;
    value.and_then(|v| Recorded::new(&v, x)).map_err(text)
}

/// `scalar_chain` of so many rounds.
///
/// # Errors
/// What stops its compilation.
pub fn scalar_chain(rounds: usize, options: &Options) -> Result<Recorded, String> {
    let x = [Array::scalar(crate::inputs::SCALAR_X as f32)];
    let value =
        Program::try_record_with(&x, compile(options), |_, [x]| Ok(scalars(x, rounds).into()));
    let [x] = x;
    value.and_then(|v| Recorded::new(&v, x)).map_err(text)
}
