//! `gmm_f64`: ADBench's Gaussian mixture, its objective and hand-written gradient.

use crate::inputs::{self, GMM, mixture_constant};
use crate::results::Results;
use crate::workload::Workload;
use std::hint::black_box;

/// A mixture with its points.
pub struct Mixture {
    at: inputs::Mixture,
    /// Points, dimensions, components.
    n: usize,
    d: usize,
    k: usize,
}

/// The gradient by every parameter, laid out as the parameters.
struct Gradient {
    alpha: Vec<f64>,
    mean: Vec<f64>,
    diagonal: Vec<f64>,
    lower: Vec<f64>,
}

/// Where entry `(row, column)` of a strictly lower triangle stands when it is stored column by column.
fn position(d: usize, row: usize, column: usize) -> usize {
    column * d - column * (column + 1) / 2 + row - column - 1
}

/// `ln sum exp` and the softmax that is its derivative.
fn softmax(x: &[f64]) -> (f64, Vec<f64>) {
    let top = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = x.iter().map(|v| (v - top).exp()).sum();
    let shares = x.iter().map(|v| (v - top).exp() / sum).collect();
    (top + sum.ln(), shares)
}

impl Mixture {
    /// The workload's.
    pub fn new() -> Self {
        let (n, d, k) = GMM;
        Self::of(n, d, k)
    }

    fn of(n: usize, d: usize, k: usize) -> Self {
        Self {
            at: inputs::mixture(n, d, k),
            n,
            d,
            k,
        }
    }

    fn value_and_gradient(&self) -> (f64, Gradient) {
        let (n, d, k) = (self.n, self.d, self.k);
        let (at, triangle) = (&self.at, d * (d - 1) / 2);
        let scales: Vec<f64> = at.diagonal.iter().map(|q| q.exp()).collect();
        let mut g = Gradient {
            alpha: vec![0.0; k],
            mean: vec![0.0; k * d],
            diagonal: vec![0.0; k * d],
            lower: vec![0.0; k * triangle],
        };
        let mut value = mixture_constant(n, d, k);
        let (mut main, mut centred, mut image) = (vec![0.0; k], vec![0.0; k * d], vec![0.0; k * d]);
        for point in at.points.chunks_exact(d) {
            for c in 0..k {
                let diagonal = &at.diagonal[c * d..][..d];
                let lower = &at.lower[c * triangle..][..triangle];
                let mut squares = 0.0;
                for row in 0..d {
                    centred[c * d + row] = point[row] - at.mean[c * d + row];
                    let below: f64 = (0..row)
                        .map(|column| lower[position(d, row, column)] * centred[c * d + column])
                        .sum();
                    let y = scales[c * d + row] * centred[c * d + row] + below;
                    image[c * d + row] = y;
                    squares += y * y;
                }
                main[c] = at.alpha[c] + diagonal.iter().sum::<f64>() - 0.5 * squares;
            }
            let (log_sum, shares) = softmax(&main);
            value += log_sum;
            for (c, share) in shares.into_iter().enumerate() {
                g.alpha[c] += share;
                for row in 0..d {
                    let (scale, adjoint) = (scales[c * d + row], -share * image[c * d + row]);
                    g.diagonal[c * d + row] += share + adjoint * scale * centred[c * d + row];
                    g.mean[c * d + row] -= adjoint * scale;
                    for column in 0..row {
                        let l = c * triangle + position(d, row, column);
                        g.lower[l] += adjoint * centred[c * d + column];
                        g.mean[c * d + column] -= adjoint * at.lower[l];
                    }
                }
            }
        }
        let (log_weight, shares) = softmax(&at.alpha);
        value -= n as f64 * log_weight;
        for (slope, share) in g.alpha.iter_mut().zip(shares) {
            *slope -= n as f64 * share;
        }
        for (slope, scale) in g.diagonal.iter_mut().zip(&scales) {
            value += 0.5 * scale * scale;
            *slope += scale * scale;
        }
        for (slope, l) in g.lower.iter_mut().zip(&at.lower) {
            value += 0.5 * l * l;
            *slope += l;
        }
        (value, g)
    }
}

impl Default for Mixture {
    fn default() -> Self {
        Self::new()
    }
}

impl Workload for Mixture {
    fn step(&mut self) -> Result<(), String> {
        black_box(self.value_and_gradient().0);
        Ok(())
    }

    fn results(&mut self) -> Result<Results, String> {
        let (loss, g) = self.value_and_gradient();
        Ok(Results {
            loss,
            grads: vec![
                ("alpha", g.alpha),
                ("mean", g.mean),
                ("diagonal", g.diagonal),
                ("lower", g.lower),
            ],
            loss_after: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::uniform;
    use crate::reference::central_difference_error;

    #[test]
    fn matches_central_differences() {
        let column: [fn(&mut inputs::Mixture) -> &mut Vec<f64>; 4] = [
            |m| &mut m.alpha,
            |m| &mut m.mean,
            |m| &mut m.diagonal,
            |m| &mut m.lower,
        ];
        let mut work = Mixture::of(30, 4, 3);
        let grads = work.results().unwrap().grads;
        for ((name, grad), column) in grads.into_iter().zip(column) {
            let at = column(&mut work.at).clone();
            let value = |p: &[f64]| {
                let mut moved = Mixture::of(30, 4, 3);
                *column(&mut moved.at) = p.to_vec();
                moved.value_and_gradient().0
            };
            let direction = uniform(1, at.len(), -1.0, 1.0);
            let error = central_difference_error(value, &at, &grad, &direction, 1e-6);
            assert!(error < 1e-7, "{name}: {error}");
        }
    }

    /// ADBench's own test instance, `gmm_test_d2_K3_n1`, and the objective it expects.
    #[test]
    fn objective_is_adbenchs() {
        let at = inputs::Mixture {
            alpha: vec![-0.649014, 1.181166, -0.758453],
            mean: vec![0.092339, 0.186260, 0.345561, 0.396767, 0.538817, 0.419195],
            diagonal: vec![
                0.586443, -0.851887, -1.509405, 0.875874, 0.166813, -1.965419,
            ],
            lower: vec![0.800321, -0.242790, -1.270071],
            points: vec![1.175171, 2.029160],
        };
        let work = Mixture {
            at,
            n: 1,
            d: 2,
            k: 3,
        };
        let (value, gradient) = work.value_and_gradient();
        // ADBench writes pi with 12 digits.
        assert!((value - 8.07380408004975791).abs() < 1e-10, "{value}");
        assert!((gradient.alpha[0] - 1.08662855508652456e-01).abs() < 1e-9);
    }

    #[test]
    fn columns_of_the_triangle() {
        let order = [(1, 0), (2, 0), (3, 0), (2, 1), (3, 1), (3, 2)];
        let found: Vec<_> = order.iter().map(|&(r, c)| position(4, r, c)).collect();
        assert_eq!(found, [0, 1, 2, 3, 4, 5]);
    }
}
