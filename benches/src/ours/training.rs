//! Training steps recorded anew, each found in the trace cache and run as one program.

use retrograde::Options;
use retrograde_nn::optim::{AdamRule, Optimiser, Rule};
use retrograde_nn::prelude::*;
use std::hint::black_box;

use super::text;
use crate::inputs::{ADAM, STEPS_CHECKED, to_f32};
use crate::results::Results;
use crate::workload::{Config, StepCost, Workload};

/// A model with its batch.
pub(super) trait Network {
    type Rule: Rule;

    /// What it is trained by, before the first step.
    fn optimiser() -> Optimiser<Self::Rule>;

    /// The loss of a step that is being recorded.
    fn loss<'t>(&'t self, step: Rec<'t>) -> Var<'t, f32>;

    /// Numbers in the batch, of four bytes each.
    fn batch_len(&self) -> usize;
}

/// A network, its parameters and their training.
pub(super) struct Training<N: Network> {
    tape: Tape,
    options: Options,
    params: Params,
    names: Vec<&'static str>,
    start: Vec<f32>,
    optimiser: Optimiser<N::Rule>,
    network: N,
}

impl<N: Network> Training<N> {
    /// Parameters as they are before the first step; those of these names are compared with the reference's.
    pub(super) fn new(
        config: &Config,
        params: Params,
        names: Vec<&'static str>,
        network: N,
    ) -> Self {
        let options = Options {
            threads: config.threads,
            ..Options::default()
        };
        Self {
            tape: Tape::with_options(options),
            options,
            start: params.values().to_vec(),
            params,
            names,
            optimiser: N::optimiser(),
            network,
        }
    }

    fn train(&mut self) -> Result<f32> {
        let step = self.tape.train(&mut self.params);
        let loss = self.network.loss(step);
        self.optimiser.minimise(loss)
    }

    fn restart(&mut self) {
        self.params.values_mut().copy_from_slice(&self.start);
        self.params.clear_state();
        self.optimiser = N::optimiser();
    }

    fn gradients(&mut self) -> Result<Vec<(&'static str, Vec<f64>)>> {
        let step = self.tape.step(&self.params);
        let grads = self.network.loss(step).backward()?;
        let of = |name: &str| self.params.find(name).and_then(|p| grads.slice(p));
        let each = self.names.iter().map(|&name| {
            let grad = of(name).unwrap_or_default();
            (name, grad.iter().map(|&g| f64::from(g)).collect())
        });
        Ok(each.collect())
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

impl<N: Network> Workload for Training<N> {
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
        black_box(self.network.loss(step).item().map_err(text)?);
        Ok(())
    }

    fn cost(&mut self) -> Option<StepCost> {
        self.train().ok()?;
        let program = self.tape.last_program()?;
        // Weights with two moments, and the batch.
        let held = 3 * self.params.count() + self.network.batch_len();
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

/// The loss of a network on images, of its parameters, images and labels.
pub(super) type Loss =
    for<'t> fn(Rec<'t>, &[Param], &'t Array<f32>, &'t Array<u32>) -> Var<'t, f32>;

/// A classifier of images, with a batch of them; trained by Adam.
pub(super) struct Classifier {
    ids: Vec<Param>,
    images: Array<f32>,
    labels: Array<u32>,
    loss: Loss,
}

impl Classifier {
    /// Parameters by name, shape and initial values; images and labels of one batch.
    pub(super) fn training(
        config: &Config,
        names: &[&'static str],
        initial: Vec<(Vec<usize>, Vec<f64>)>,
        (images, labels): (Array<f32>, Vec<u32>),
        loss: Loss,
    ) -> Result<Training<Self>> {
        let mut params = Params::new();
        let mut ids = Vec::new();
        for (name, (shape, values)) in names.iter().zip(initial) {
            ids.push(params.insert(name, Array::from_vec(to_f32(&values), shape)?));
        }
        let network = Self {
            ids,
            images,
            labels: Array::from(labels),
            loss,
        };
        Ok(Training::new(config, params, names.to_vec(), network))
    }
}

impl Network for Classifier {
    type Rule = AdamRule<false>;

    fn optimiser() -> Adam {
        Adam::new(ADAM.lr)
            .betas(ADAM.beta1, ADAM.beta2)
            .eps(ADAM.eps)
    }

    fn loss<'t>(&'t self, step: Rec<'t>) -> Var<'t, f32> {
        (self.loss)(step, &self.ids, &self.images, &self.labels)
    }

    fn batch_len(&self) -> usize {
        self.images.len() + self.labels.len()
    }
}
