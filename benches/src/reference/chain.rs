//! `chain_4m`: `sum(tanh(x x + 0.5) sigmoid(x) + exp(-x x))`.

use crate::inputs;
use crate::results::Results;
use crate::workload::Workload;
use std::hint::black_box;

/// The chain over `x`, with its gradient's memory.
pub struct Chain {
    x: Vec<f64>,
    grad: Vec<f64>,
}

impl Chain {
    /// Over the first `len` elements of the workload's input.
    pub fn new(len: usize) -> Self {
        Self {
            x: inputs::rounded(inputs::chain(len)),
            grad: vec![0.0; len],
        }
    }

    fn run(&mut self) -> f64 {
        let mut loss = 0.0;
        for (&x, grad) in self.x.iter().zip(&mut self.grad) {
            let (value, slope) = element(x);
            loss += value;
            *grad = slope;
        }
        loss
    }
}

fn element(x: f64) -> (f64, f64) {
    let t = (x * x + 0.5).tanh();
    let s = 1.0 / (1.0 + (-x).exp());
    let e = (-x * x).exp();
    let slope = (1.0 - t * t) * 2.0 * x * s + t * s * (1.0 - s) - 2.0 * x * e;
    (t * s + e, slope)
}

impl Workload for Chain {
    fn step(&mut self) -> Result<(), String> {
        black_box(self.run());
        Ok(())
    }

    fn results(&mut self) -> Result<Results, String> {
        let loss = self.run();
        Ok(Results {
            loss,
            grads: vec![("x", self.grad.clone())],
            loss_after: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::central_difference_error;

    #[test]
    fn matches_central_differences() {
        let mut work = Chain::new(200);
        let results = work.results().unwrap();
        let loss = |x: &[f64]| x.iter().map(|&x| element(x).0).sum();
        let direction = inputs::uniform(1, 200, -1.0, 1.0);
        let error = central_difference_error(loss, &work.x, &results.grads[0].1, &direction, 1e-5);
        assert!(error < 1e-8, "{error}");
    }
}
