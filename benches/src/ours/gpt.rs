//! `gpt`: training steps of a small transformer, recorded anew, each found in the trace cache and run as one program.

use retrograde::Options;
use retrograde_nn::prelude::*;
use std::hint::black_box;

use super::text;
use crate::inputs::{ADAM, GPT, GPT_DECAY, STEPS_CHECKED, gpt_batch, gpt_params, to_f32};
use crate::results::Results;
use crate::workload::{Config, Workload};

/// The model: its parameters' ids.
struct Model {
    tokens: Embedding,
    positions: Embedding,
    blocks: Vec<TransformerBlock>,
    norm: LayerNorm,
}

impl Model {
    fn new(params: &mut Params) -> Self {
        let block = |l: usize, params: &mut Params| {
            TransformerBlock::new(params, &l.to_string(), GPT.width, GPT.heads, 0).causal()
        };
        Self {
            tokens: Embedding::new(params, "tokens", GPT.vocabulary, GPT.width, 0),
            positions: Embedding::new(params, "positions", GPT.context, GPT.width, 0),
            blocks: (0..GPT.layers).map(|l| block(l, params)).collect(),
            norm: LayerNorm::new(params, "norm", GPT.width),
        }
    }

    /// The mean cross-entropy of the tokens that follow. The head is the table of tokens.
    fn loss<'t>(&self, tokens: Var<'t, u32>, next: Var<'t, u32>) -> Var<'t, f32> {
        let rec = tokens.rec();
        let mut x = self.tokens.forward(tokens) + rec.param(self.positions.weight);
        for block in &self.blocks {
            x = block.forward(x);
        }
        let logits = self
            .norm
            .forward(x)
            .matmul(rec.param(self.tokens.weight).t());
        logits.cross_entropy(next)
    }
}

/// A model with its batch.
pub(super) struct Gpt {
    tape: Tape,
    params: Params,
    model: Model,
    names: Vec<&'static str>,
    start: Vec<f32>,
    adam: AdamW,
    tokens: Array<u32>,
    next: Array<u32>,
}

fn adam() -> AdamW {
    AdamW::new(ADAM.lr)
        .betas(ADAM.beta1, ADAM.beta2)
        .eps(ADAM.eps)
        .weight_decay(GPT_DECAY)
}

impl Gpt {
    pub(super) fn new(config: &Config) -> Result<Self> {
        let mut params = Params::new();
        let model = Model::new(&mut params);
        let mut names = Vec::new();
        for start in gpt_params(&GPT) {
            if let Some(p) = params.find(start.name) {
                params.set(p, &Array::from_vec(to_f32(&start.values), start.dims)?)?;
                names.push(start.name);
            }
        }
        let (tokens, next) = gpt_batch(&GPT);
        let shape = [GPT.batch, GPT.context];
        Ok(Self {
            tape: Tape::with_options(Options {
                threads: config.threads,
                ..Options::default()
            }),
            start: params.values().to_vec(),
            params,
            model,
            names,
            adam: adam(),
            tokens: Array::from_vec(tokens, shape)?,
            next: Array::from_vec(next, shape)?,
        })
    }

    fn train(&mut self) -> Result<f32> {
        let step = self.tape.train(&mut self.params);
        let loss = self
            .model
            .loss(step.input(&self.tokens), step.input(&self.next));
        self.adam.minimise(loss)
    }

    fn restart(&mut self) {
        self.params.values_mut().copy_from_slice(&self.start);
        self.params.clear_state();
        self.adam = adam();
    }

    fn gradients(&mut self) -> Result<Vec<(&'static str, Vec<f64>)>> {
        let step = self.tape.step(&self.params);
        let loss = self
            .model
            .loss(step.input(&self.tokens), step.input(&self.next));
        let grads = loss.backward()?;
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

impl Workload for Gpt {
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
