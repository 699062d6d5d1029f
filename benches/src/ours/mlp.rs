//! `mlp_b64`, `mlp_b512`: training steps recorded anew, each found in the trace cache and run as one program.

use retrograde::Options;
use retrograde_nn::prelude::*;
use std::hint::black_box;

use super::text;
use crate::inputs::{ADAM, MLP_WIDTHS, STEPS_CHECKED, mlp_batch, mlp_params, to_f32};
use crate::results::Results;
use crate::workload::{Config, StepCost, Workload};

const NAMES: [&str; 6] = ["w1", "b1", "w2", "b2", "w3", "b3"];

/// A perceptron with its batch.
pub(super) struct Mlp {
    tape: Tape,
    options: Options,
    params: Params,
    ids: Vec<Param>,
    start: Vec<f32>,
    adam: Adam,
    images: Array<f32>,
    labels: Array<u32>,
}

fn adam() -> Adam {
    Adam::new(ADAM.lr)
        .betas(ADAM.beta1, ADAM.beta2)
        .eps(ADAM.eps)
}

impl Mlp {
    pub(super) fn new(config: &Config, batch: usize) -> Result<Self> {
        let mut params = Params::new();
        let mut ids = Vec::new();
        for (i, values) in mlp_params(&MLP_WIDTHS).iter().enumerate() {
            let (rows, columns) = (MLP_WIDTHS[i / 2], MLP_WIDTHS[i / 2 + 1]);
            let values = to_f32(values);
            let initial = if i % 2 == 0 {
                Array::from_vec(values, [rows, columns])?
            } else {
                Array::from(values)
            };
            ids.push(params.insert(NAMES[i], initial));
        }
        let (images, labels) = mlp_batch(batch, MLP_WIDTHS[0], MLP_WIDTHS[3] as u32);
        let options = Options {
            threads: config.threads,
            ..Options::default()
        };
        Ok(Self {
            tape: Tape::with_options(options),
            options,
            start: params.values().to_vec(),
            params,
            ids,
            adam: adam(),
            images: Array::from_vec(to_f32(&images), [batch, MLP_WIDTHS[0]])?,
            labels: Array::from(labels),
        })
    }

    /// The loss of a step that is being recorded.
    fn loss<'t>(
        step: Rec<'t>,
        ids: &[Param],
        images: &'t Array<f32>,
        labels: &'t Array<u32>,
    ) -> Var<'t, f32> {
        let mut x = step.input(images);
        for (layer, pair) in ids.chunks_exact(2).enumerate() {
            if layer > 0 {
                x = x.relu();
            }
            x = x.matmul(step.param(pair[0])) + step.param(pair[1]);
        }
        x.cross_entropy(step.input(labels))
    }

    fn train(&mut self) -> Result<f32> {
        let step = self.tape.train(&mut self.params);
        let loss = Self::loss(step, &self.ids, &self.images, &self.labels);
        self.adam.minimise(loss)
    }

    fn restart(&mut self) {
        self.params.values_mut().copy_from_slice(&self.start);
        self.params.clear_state();
        self.adam = adam();
    }

    fn gradients(&mut self) -> Result<Vec<(&'static str, Vec<f64>)>> {
        let step = self.tape.step(&self.params);
        let grads = Self::loss(step, &self.ids, &self.images, &self.labels).backward()?;
        let of = |p: &Param| grads.slice(*p).unwrap_or_default();
        let each = NAMES.into_iter().zip(&self.ids);
        Ok(each
            .map(|(name, p)| (name, of(p).iter().map(|&g| f64::from(g)).collect()))
            .collect())
    }

    fn all(&mut self) -> Result<Results> {
        self.restart();
        let grads = self.gradients()?;
        let loss = self.train()?;
        let mut after = loss;
        for _ in 0..STEPS_CHECKED {
            after = self.train()?;
        }
        Ok(Results {
            loss: f64::from(loss),
            grads,
            loss_after: Some(f64::from(after)),
        })
    }
}

impl Workload for Mlp {
    fn reset(&mut self) -> Result<(), String> {
        self.restart();
        Ok(())
    }

    fn step(&mut self) -> Result<(), String> {
        black_box(self.train().map_err(text)?);
        Ok(())
    }

    fn results(&mut self) -> Result<Results, String> {
        self.all().map_err(text)
    }

    fn primal(&mut self) -> Result<(), String> {
        let step = self.tape.step(&self.params);
        let loss = Self::loss(step, &self.ids, &self.images, &self.labels);
        black_box(loss.item().map_err(text)?);
        Ok(())
    }

    fn cost(&mut self) -> Option<StepCost> {
        self.train().ok()?;
        let program = self.tape.last_program()?;
        // Weights with two moments, and the batch.
        let held = 3 * self.params.count() + self.images.len() + self.labels.len();
        Some(StepCost {
            instructions: program.instructions,
            flops: program.flops,
            bytes: program.bytes,
            planned_bytes: program.arena_bytes + held * size_of::<f32>(),
        })
    }

    fn compile(&mut self) -> Result<(), String> {
        self.tape = Tape::with_options(self.options);
        self.step()
    }
}
