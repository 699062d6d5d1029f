//! `mlp_b64`, `mlp_b512`: a perceptron with relu, mean cross-entropy and Adam.

use super::training::{Network, Training};
use crate::inputs::{mlp_batch, mlp_params, rounded};

/// Names of the parameters, in order.
const NAMES: [&str; 6] = ["w1", "b1", "w2", "b2", "w3", "b3"];

/// A perceptron with one batch.
pub struct Perceptron {
    widths: Vec<usize>,
    images: Vec<f64>,
    labels: Vec<u32>,
}

/// Training a perceptron on one batch.
pub type Mlp = Training<Perceptron>;

impl Mlp {
    /// The workload's, with these widths and batch.
    pub fn new(widths: &[usize], batch: usize) -> Self {
        let classes = widths[widths.len() - 1] as u32;
        let (images, labels) = mlp_batch(batch, widths[0], classes);
        let network = Perceptron {
            widths: widths.to_vec(),
            images: rounded(images),
            labels,
        };
        let start = mlp_params(widths).into_iter().map(rounded).collect();
        Self::from_start(network, start)
    }
}

impl Network for Perceptron {
    const NAMES: &'static [&'static str] = &NAMES;

    fn loss_and_grads(&self, params: &[Vec<f64>]) -> (f64, Vec<Vec<f64>>) {
        let (loss, grads, _) = perceptron(&self.widths, &self.images, &self.labels, params);
        (loss, grads)
    }
}

/// Loss, gradients of the parameters, and of the images.
pub(super) fn perceptron(
    widths: &[usize],
    images: &[f64],
    labels: &[u32],
    params: &[Vec<f64>],
) -> (f64, Vec<Vec<f64>>, Vec<f64>) {
    let batch = labels.len();
    let layers = widths.len() - 1;

    // The input of every layer, after its relu; the last entry is the logits.
    let mut inputs = vec![images.to_vec()];
    for l in 0..layers {
        let (n_in, n_out) = (widths[l], widths[l + 1]);
        let (weight, bias) = (&params[2 * l], &params[2 * l + 1]);
        let mut out = Vec::with_capacity(batch * n_out);
        for row in inputs[l].chunks_exact(n_in) {
            let mut sums = bias.clone();
            for (x, w) in row.iter().zip(weight.chunks_exact(n_out)) {
                add_scaled(&mut sums, *x, w);
            }
            if l + 1 < layers {
                for v in &mut sums {
                    *v = v.max(0.0);
                }
            }
            out.extend(sums);
        }
        inputs.push(out);
    }

    let classes = widths[layers];
    let mut delta = inputs.pop().unwrap_or_default();
    let mut loss = 0.0;
    for (logits, &label) in delta.chunks_exact_mut(classes).zip(labels) {
        let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits.iter().map(|z| (z - top).exp()).sum();
        loss += (top + sum.ln() - logits[label as usize]) / batch as f64;
        for z in &mut *logits {
            *z = (*z - top).exp() / sum / batch as f64;
        }
        logits[label as usize] -= 1.0 / batch as f64;
    }

    let mut grads: Vec<_> = params.iter().map(|p| vec![0.0; p.len()]).collect();
    for l in (0..layers).rev() {
        let (n_in, n_out) = (widths[l], widths[l + 1]);
        let weight = &params[2 * l];
        let mut before = Vec::with_capacity(batch * n_in);
        for (row, d) in inputs[l].chunks_exact(n_in).zip(delta.chunks_exact(n_out)) {
            for (x, g) in row.iter().zip(grads[2 * l].chunks_exact_mut(n_out)) {
                add_scaled(g, *x, d);
            }
            add_scaled(&mut grads[2 * l + 1], 1.0, d);
            let through = row.iter().zip(weight.chunks_exact(n_out)).map(|(x, w)| {
                let sum: f64 = w.iter().zip(d).map(|(w, d)| w * d).sum();
                // The input of the first layer has been through no relu.
                if l == 0 || *x > 0.0 { sum } else { 0.0 }
            });
            before.extend(through);
        }
        delta = before;
    }
    (loss, grads, delta)
}

fn add_scaled(to: &mut [f64], scale: f64, row: &[f64]) {
    for (t, r) in to.iter_mut().zip(row) {
        *t += scale * r;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::{ADAM, uniform};
    use crate::reference::central_difference_error;
    use crate::workload::Workload;

    #[test]
    fn gradients_match_central_differences() {
        let mut work = Mlp::new(&[7, 6, 5, 4], 9);
        let (_, grads) = work.loss_and_grads();
        for k in 0..work.params.len() {
            let at = work.params[k].clone();
            let direction = uniform(k as u64, at.len(), -1.0, 1.0);
            let shifted = |p: &[f64]| {
                let mut other = Mlp::new(&[7, 6, 5, 4], 9);
                other.params[k] = p.to_vec();
                other.loss_and_grads().0
            };
            let error = central_difference_error(shifted, &at, &grads[k], &direction, 1e-6);
            assert!(error < 1e-7, "{}: {error}", NAMES[k]);
        }
        work.reset().unwrap();
    }

    /// Adam's first step moves every parameter with a gradient by the learning rate, against its sign.
    #[test]
    fn first_step_of_adam_has_the_size_of_the_learning_rate() {
        let mut work = Mlp::new(&[7, 6, 5, 4], 9);
        let (_, grads) = work.train();
        for (k, grad) in grads.iter().enumerate() {
            for (i, g) in grad.iter().enumerate().filter(|(_, g)| g.abs() > 1e-4) {
                let moved = work.params[k][i] - work.start[k][i];
                assert!((moved + ADAM.lr * g.signum()).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn training_lowers_the_loss_and_reset_restores_it() {
        let mut work = Mlp::new(&[7, 6, 5, 4], 9);
        let first = work.results().unwrap();
        assert!(first.loss_after.unwrap() < first.loss);
        assert_eq!(work.results().unwrap().loss, first.loss);
    }
}
