//! `gpt`: training steps of a small transformer, recorded anew, each found in the trace cache and run as one program.

use retrograde_nn::optim::AdamRule;
use retrograde_nn::prelude::*;

use super::training::{Network, Training};
use crate::inputs::{ADAM, GPT, GPT_DECAY, gpt_batch, gpt_params, to_f32};
use crate::workload::Config;

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
    model: Model,
    tokens: Array<u32>,
    next: Array<u32>,
}

pub(super) fn gpt(config: &Config) -> Result<Training<Gpt>> {
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
    let network = Gpt {
        model,
        tokens: Array::from_vec(tokens, shape)?,
        next: Array::from_vec(next, shape)?,
    };
    Ok(Training::new(config, params, names, network))
}

impl Network for Gpt {
    type Rule = AdamRule<true>;

    fn optimiser() -> AdamW {
        AdamW::new(ADAM.lr)
            .betas(ADAM.beta1, ADAM.beta2)
            .eps(ADAM.eps)
            .weight_decay(GPT_DECAY)
    }

    fn loss<'t>(&'t self, step: Rec<'t>) -> Var<'t, f32> {
        self.model
            .loss(step.input(&self.tokens), step.input(&self.next))
    }

    fn batch_len(&self) -> usize {
        self.tokens.len() + self.next.len()
    }
}
