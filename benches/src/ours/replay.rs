//! A workload that is recorded once and replayed.

use retrograde::prelude::*;
use retrograde::{AnyArray, DType, Options, OutputsRef};
use std::hint::black_box;

use super::text;
use crate::results::Results;
use crate::workload::{Config, StepCost, Workload};

/// What a replayed program computes of a value.
#[derive(Clone, Copy)]
pub(super) enum Derivative {
    /// Value and gradients by the inputs of those numbers.
    Gradients(&'static [usize]),
    /// The Hessian by that input times the last input.
    HessianProduct(usize),
}

impl Derivative {
    fn of(self, value: &Program) -> Result<Program> {
        match self {
            Self::Gradients(wrt) => value.value_and_grad_of(wrt),
            Self::HessianProduct(wrt) => value.hvp_of(&[wrt]),
        }
    }
}

/// A program of derivatives with its inputs.
pub(super) struct Replay {
    value: Program,
    value_workspace: Workspace,
    derivative: Derivative,
    program: Program,
    workspace: Workspace,
    inputs: Vec<AnyArray>,
    /// Names of the derivatives, in the order of the outputs that hold them.
    names: &'static [&'static str],
}

impl Replay {
    /// The derivative of `value` at `inputs`.
    pub(super) fn new(
        value: &Program,
        inputs: Vec<AnyArray>,
        derivative: Derivative,
        names: &'static [&'static str],
        config: &Config,
    ) -> Result<Self> {
        let options = Options {
            threads: config.threads,
            ..value.options()
        };
        let value = value.with_options(options)?;
        let program = derivative.of(&value)?;
        Ok(Self {
            value_workspace: value.workspace()?,
            value,
            derivative,
            workspace: program.workspace()?,
            program,
            inputs,
            names,
        })
    }

    fn run(&mut self) -> Result<OutputsRef<'_>, String> {
        self.program
            .run(&mut self.workspace, self.inputs.as_slice())
            .map_err(text)
    }
}

/// Output `i` in f64.
fn column(out: OutputsRef<'_>, dtype: DType, i: usize) -> Result<Vec<f64>> {
    Ok(if dtype == DType::F64 {
        out.slice::<f64>(i)?.to_vec()
    } else {
        out.slice::<f32>(i)?.iter().map(|&x| x.into()).collect()
    })
}

impl Workload for Replay {
    fn step(&mut self) -> Result<(), String> {
        black_box(self.run()?);
        Ok(())
    }

    fn results(&mut self) -> Result<Results, String> {
        let (names, derivative) = (self.names, self.derivative);
        let dtype = self.program.output_dtype(0).unwrap_or(DType::F32);
        let direction = self.inputs.last().and_then(|v| v.downcast_ref::<f64>());
        let direction = direction.map_or(Vec::new(), |v| v.as_slice().to_vec());
        let out = self.run()?;
        let of = |i| column(out, dtype, i).map_err(text);
        let (loss, first) = match derivative {
            Derivative::Gradients(_) => (of(0)?[0], 1),
            // A product has no loss: the curvature along the direction stands for it.
            Derivative::HessianProduct(_) => {
                let pairs = of(0)?.into_iter().zip(direction);
                (pairs.map(|(h, v)| h * v).sum(), 0)
            }
        };
        let grads = names.iter().enumerate();
        Ok(Results {
            loss,
            grads: grads
                .map(|(i, &name)| Ok((name, of(first + i)?)))
                .collect::<Result<_, String>>()?,
            loss_after: None,
        })
    }

    fn primal(&mut self) -> Result<(), String> {
        let inputs = &self.inputs[..self.value.input_count()];
        let run = self.value.run(&mut self.value_workspace, inputs);
        black_box(run.map_err(text)?);
        Ok(())
    }

    fn cost(&mut self) -> Option<StepCost> {
        let cost = self.program.cost();
        Some(StepCost {
            instructions: cost.instructions,
            flops: cost.flops,
            bytes: cost.bytes,
            planned_bytes: cost.arena_bytes + cost.input_bytes + cost.output_bytes,
        })
    }

    fn compile(&mut self) -> Result<(), String> {
        black_box(self.derivative.of(&self.value).map_err(text)?);
        Ok(())
    }
}
