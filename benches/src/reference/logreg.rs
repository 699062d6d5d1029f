//! `logreg_hvp_f64`: the Hessian of a logistic regression's mean loss, times a direction.

use crate::inputs::{self, LOGREG};
use crate::results::Results;
use crate::workload::Workload;
use std::hint::black_box;

/// The regression with its data; labels do not show in the Hessian.
pub struct LogReg {
    features: Vec<f64>,
    weights: Vec<f64>,
    direction: Vec<f64>,
}

impl LogReg {
    /// The workload's.
    pub fn new() -> Self {
        let (n, d) = LOGREG;
        Self::of(n, d)
    }

    fn of(n: usize, d: usize) -> Self {
        let [features, _, weights, direction] = inputs::logreg(n, d);
        Self {
            features,
            weights,
            direction,
        }
    }

    /// `X^T (s (1 - s) X v) / n` with `s = sigmoid(X w)`.
    fn product(&self) -> Vec<f64> {
        let d = self.weights.len();
        let n = self.features.len() / d;
        let mut product = vec![0.0; d];
        for row in self.features.chunks_exact(d) {
            let s = 1.0 / (1.0 + (-dot(row, &self.weights)).exp());
            let curvature = s * (1.0 - s) * dot(row, &self.direction) / n as f64;
            for (p, x) in product.iter_mut().zip(row) {
                *p += curvature * x;
            }
        }
        product
    }
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

impl Default for LogReg {
    fn default() -> Self {
        Self::new()
    }
}

impl Workload for LogReg {
    fn step(&mut self) -> Result<(), String> {
        black_box(self.product());
        Ok(())
    }

    /// The value is the curvature along the direction, `v^T H v`: a product has no loss of its own.
    fn results(&mut self) -> Result<Results, String> {
        let product = self.product();
        Ok(Results {
            loss: dot(&self.direction, &product),
            grads: vec![("product", product)],
            loss_after: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against second central differences of the loss itself, along the direction and across it.
    #[test]
    fn matches_central_differences() {
        let (n, d) = (50, 6);
        let work = LogReg::of(n, d);
        let labels = inputs::logreg(n, d)[1].clone();
        let loss = |w: &[f64]| -> f64 {
            let rows = work.features.chunks_exact(d).zip(&labels);
            let terms = rows.map(|(row, y)| {
                let z = dot(row, w);
                z.exp().ln_1p() - y * z
            });
            terms.sum::<f64>() / n as f64
        };
        let product = work.product();
        let h = 1e-4;
        for i in 0..d {
            let moved = |a: f64, b: f64| {
                let mut w: Vec<f64> = work.weights.clone();
                w.iter_mut()
                    .zip(&work.direction)
                    .for_each(|(w, v)| *w += a * v);
                w[i] += b;
                loss(&w)
            };
            let second =
                (moved(h, h) - moved(h, -h) - moved(-h, h) + moved(-h, -h)) / (4.0 * h * h);
            assert!(
                (second - product[i]).abs() < 1e-6,
                "{i}: {second}, {}",
                product[i]
            );
        }
    }
}
