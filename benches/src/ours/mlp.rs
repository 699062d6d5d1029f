//! `mlp_b64`, `mlp_b512`: a perceptron.

use retrograde_nn::prelude::*;

use super::training::{Classifier, Training};
use crate::inputs::{MLP_WIDTHS, mlp_batch, mlp_params, to_f32};
use crate::workload::Config;

const NAMES: [&str; 6] = ["w1", "b1", "w2", "b2", "w3", "b3"];

pub(super) fn mlp(config: &Config, batch: usize) -> Result<Training<Classifier>> {
    let (images, labels) = mlp_batch(batch, MLP_WIDTHS[0], MLP_WIDTHS[3] as u32);
    let images = Array::from_vec(to_f32(&images), [batch, MLP_WIDTHS[0]])?;
    let initial = linear_shapes(&MLP_WIDTHS)
        .into_iter()
        .zip(mlp_params(&MLP_WIDTHS))
        .collect();
    Classifier::training(
        config,
        &NAMES,
        initial,
        (images, labels),
        |step, ids, x, labels| linear_layers(step.input(x), ids).cross_entropy(step.input(labels)),
    )
}

/// Shapes of weights and biases.
pub(super) fn linear_shapes(widths: &[usize]) -> Vec<Vec<usize>> {
    let pairs = widths.windows(2);
    pairs.flat_map(|w| [w.to_vec(), vec![w[1]]]).collect()
}

/// `x` through linear layers with relu between them.
pub(super) fn linear_layers<'t>(mut x: Var<'t, f32>, ids: &[Param]) -> Var<'t, f32> {
    for (layer, pair) in ids.chunks_exact(2).enumerate() {
        if layer > 0 {
            x = x.relu();
        }
        x = x.matmul(x.rec().param(pair[0])) + x.rec().param(pair[1]);
    }
    x
}
