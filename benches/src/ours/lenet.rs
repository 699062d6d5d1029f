//! `lenet_b64`: two convolutions with pooling, then linear layers.

use retrograde_nn::prelude::*;

use super::mlp::{linear_layers, linear_shapes};
use super::training::{Classifier, Training};
use crate::inputs::{
    LENET_CHANNELS, LENET_KERNEL, LENET_SIDE, LENET_WIDTHS, lenet_params, mlp_batch, to_f32,
};
use crate::workload::Config;

const NAMES: [&str; 10] = ["c1", "cb1", "c2", "cb2", "w1", "b1", "w2", "b2", "w3", "b3"];

pub(super) fn lenet(config: &Config, batch: usize) -> Result<Training<Classifier>> {
    let pixels = LENET_SIDE * LENET_SIDE;
    let (images, labels) = mlp_batch(batch, pixels, LENET_WIDTHS[3] as u32);
    let images = Array::from_vec(to_f32(&images), [batch, 1, LENET_SIDE, LENET_SIDE])?;
    let convolutions = LENET_CHANNELS.windows(2).flat_map(|pair| {
        let weight = vec![pair[1], pair[0], LENET_KERNEL, LENET_KERNEL];
        [weight, vec![pair[1], 1, 1]]
    });
    let shapes = convolutions.chain(linear_shapes(&LENET_WIDTHS));
    let initial = shapes.zip(lenet_params()).collect();
    Classifier::training(config, &NAMES, initial, (images, labels), loss)
}

fn loss<'t>(
    step: Rec<'t>,
    ids: &[Param],
    images: &'t Array<f32>,
    labels: &'t Array<u32>,
) -> Var<'t, f32> {
    let halved = PoolOptions::kernel(2);
    let mut x = step.input(images);
    for (layer, pair) in ids[..4].chunks_exact(2).enumerate() {
        let options = ConvOptions::default().padding(if layer == 0 { 2 } else { 0 });
        x = x.conv2d(step.param(pair[0]), options) + step.param(pair[1]);
        x = x.relu().max_pool2d(halved);
    }
    let flat = x.reshape([images.shape()[0], LENET_WIDTHS[0]]);
    linear_layers(flat, &ids[4..]).cross_entropy(step.input(labels))
}
