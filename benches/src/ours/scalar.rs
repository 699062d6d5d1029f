//! `tiny`, recorded anew every step.

use retrograde::Options;
use retrograde::prelude::*;
use std::hint::black_box;

use super::text;
use crate::results::Results;
use crate::workload::{Config, Workload};

/// A tape that is reset before every step.
pub(super) struct TinyDefineByRun {
    tape: Tape,
    options: Options,
    x: Array<f32>,
}

impl TinyDefineByRun {
    pub(super) fn new(config: &Config) -> Self {
        let options = Options {
            threads: config.threads,
            ..Options::default()
        };
        Self {
            tape: Tape::with_options(options),
            options,
            x: Array::arange(4),
        }
    }

    fn run(&mut self) -> Result<(f32, Array<f32>)> {
        self.tape.reset();
        let x = self.tape.rec().variable(&self.x);
        let y = 2.0 * x.dot(x);
        y.backward()?;
        Ok((y.item()?, x.grad()?))
    }
}

impl Workload for TinyDefineByRun {
    fn step(&mut self) -> Result<(), String> {
        black_box(self.run().map_err(text)?);
        Ok(())
    }

    fn results(&mut self) -> Result<Results, String> {
        let (loss, grad) = self.run().map_err(text)?;
        let grad = grad.as_slice().iter().map(|&g| f64::from(g)).collect();
        Ok(Results {
            loss: f64::from(loss),
            grads: vec![("x", grad)],
            loss_after: None,
        })
    }

    fn primal(&mut self) -> Result<(), String> {
        self.tape.reset();
        let x = self.tape.rec().variable(&self.x);
        black_box((2.0 * x.dot(x)).item().map_err(text)?);
        Ok(())
    }

    fn compile(&mut self) -> Result<(), String> {
        self.tape = Tape::with_options(self.options);
        self.step()
    }
}
