//! Training by Adam, whatever the network.

use crate::inputs::{ADAM, STEPS_CHECKED};
use crate::results::Results;
use crate::workload::Workload;
use std::hint::black_box;

/// A network with its batch, whose loss and gradients are written out.
pub trait Network {
    /// Names of the parameters, in order.
    const NAMES: &'static [&'static str];

    /// The loss, and the gradient of each parameter.
    fn loss_and_grads(&self, params: &[Vec<f64>]) -> (f64, Vec<Vec<f64>>);
}

/// A network, its parameters and Adam's moments.
pub struct Training<N> {
    network: N,
    pub(super) start: Vec<Vec<f64>>,
    pub(super) params: Vec<Vec<f64>>,
    first: Vec<Vec<f64>>,
    second: Vec<Vec<f64>>,
    steps: i32,
}

impl<N: Network> Training<N> {
    pub(super) fn from_start(network: N, start: Vec<Vec<f64>>) -> Self {
        let zeros: Vec<_> = start.iter().map(|p| vec![0.0; p.len()]).collect();
        Self {
            network,
            params: start.clone(),
            start,
            first: zeros.clone(),
            second: zeros,
            steps: 0,
        }
    }

    pub(super) fn loss_and_grads(&self) -> (f64, Vec<Vec<f64>>) {
        self.network.loss_and_grads(&self.params)
    }

    pub(super) fn train(&mut self) -> (f64, Vec<Vec<f64>>) {
        let (loss, grads) = self.loss_and_grads();
        self.steps += 1;
        let correct1 = 1.0 - ADAM.beta1.powi(self.steps);
        let correct2 = 1.0 - ADAM.beta2.powi(self.steps);
        for (k, grad) in grads.iter().enumerate() {
            let moments = self.first[k].iter_mut().zip(&mut self.second[k]);
            for ((p, (m, v)), g) in self.params[k].iter_mut().zip(moments).zip(grad) {
                *m = ADAM.beta1 * *m + (1.0 - ADAM.beta1) * g;
                *v = ADAM.beta2 * *v + (1.0 - ADAM.beta2) * g * g;
                *p -= ADAM.lr * (*m / correct1) / ((*v / correct2).sqrt() + ADAM.eps);
            }
        }
        (loss, grads)
    }
}

impl<N: Network> Workload for Training<N> {
    fn reset(&mut self) -> Result<(), String> {
        self.params.clone_from(&self.start);
        for moment in self.first.iter_mut().chain(&mut self.second) {
            moment.fill(0.0);
        }
        self.steps = 0;
        Ok(())
    }

    fn step(&mut self) -> Result<(), String> {
        black_box(self.train().0);
        Ok(())
    }

    fn results(&mut self) -> Result<Results, String> {
        self.reset()?;
        let (loss, grads) = self.train();
        let mut after = loss;
        for _ in 0..STEPS_CHECKED {
            after = self.train().0;
        }
        Ok(Results {
            loss,
            grads: N::NAMES.iter().copied().zip(grads).collect(),
            loss_after: Some(after),
        })
    }
}
