//! `logreg_hvp_f64`: the Hessian of a logistic regression times a direction.

use retrograde::prelude::*;

use super::replay::{Derivative, Replay};
use crate::inputs::{self, LOGREG};
use crate::workload::Config;

/// Forward over reverse, by the weights alone.
pub(super) fn logreg(config: &Config) -> Result<Replay> {
    let (n, d) = LOGREG;
    let [features, labels, weights, direction] = inputs::logreg(n, d);
    let features = Array::from_vec(features, [n, d])?;
    let [labels, weights, direction] = [labels, weights, direction].map(Array::from);
    let data = [features, labels, weights];
    let loss = Program::record(&data, |_, [features, labels, weights]| {
        features.matmul(weights).bce_with_logits(labels)
    })?;
    let [features, labels, weights] = data;
    let inputs = [features, labels, weights, direction].map(Into::into);
    let product = Derivative::HessianProduct(2);
    Replay::new(&loss, inputs.into(), product, &["product"], config)
}
