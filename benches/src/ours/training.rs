//! Training steps recorded anew, each found in the trace cache and run as one program.

use retrograde::Options;
use retrograde_nn::prelude::*;
use std::hint::black_box;

use super::text;
use crate::inputs::{ADAM, STEPS_CHECKED, to_f32};
use crate::results::Results;
use crate::workload::{Config, Workload};

/// The loss of a step that is being recorded, of its parameters, images and labels.
pub(super) type Loss =
    for<'t> fn(Rec<'t>, &[Param], &'t Array<f32>, &'t Array<u32>) -> Var<'t, f32>;

/// A network with its batch.
pub(super) struct Training {
    tape: Tape,
    params: Params,
    names: &'static [&'static str],
    ids: Vec<Param>,
    start: Vec<f32>,
    adam: Adam,
    images: Array<f32>,
    labels: Array<u32>,
    loss: Loss,
}

fn adam() -> Adam {
    Adam::new(ADAM.lr)
        .betas(ADAM.beta1, ADAM.beta2)
        .eps(ADAM.eps)
}

impl Training {
    /// Parameters by name, shape and initial values; images and labels of one batch.
    pub(super) fn new(
        config: &Config,
        names: &'static [&'static str],
        initial: Vec<(Vec<usize>, Vec<f64>)>,
        (images, labels): (Array<f32>, Vec<u32>),
        loss: Loss,
    ) -> Result<Self> {
        let mut params = Params::new();
        let mut ids = Vec::new();
        for (name, (shape, values)) in names.iter().zip(initial) {
            ids.push(params.insert(name, Array::from_vec(to_f32(&values), shape)?));
        }
        Ok(Self {
            tape: Tape::with_options(Options {
                threads: config.threads,
                ..Options::default()
            }),
            start: params.values().to_vec(),
            params,
            names,
            ids,
            adam: adam(),
            images,
            labels: Array::from(labels),
            loss,
        })
    }

    fn train(&mut self) -> Result<f32> {
        let step = self.tape.train(&mut self.params);
        let loss = (self.loss)(step, &self.ids, &self.images, &self.labels);
        self.adam.minimise(loss)
    }

    fn restart(&mut self) {
        self.params.values_mut().copy_from_slice(&self.start);
        self.params.clear_state();
        self.adam = adam();
    }

    fn gradients(&mut self) -> Result<Vec<(&'static str, Vec<f64>)>> {
        let step = self.tape.step(&self.params);
        let grads = (self.loss)(step, &self.ids, &self.images, &self.labels).backward()?;
        let of = |p: &Param| grads.slice(*p).unwrap_or_default();
        let each = self.names.iter().zip(&self.ids);
        Ok(each
            .map(|(name, p)| (*name, of(p).iter().map(|&g| f64::from(g)).collect()))
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

impl Workload for Training {
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
}
