//! `mc_asian`: an arithmetic Asian call by Monte Carlo, differentiated path by path.

use crate::inputs::{ASIAN, PATHS, STEPS, asian_normals, rounded};
use crate::results::Results;
use crate::workload::Workload;
use std::hint::black_box;

/// The option on given normals, `[STEPS, PATHS]`.
pub struct Asian {
    normals: Vec<f64>,
    paths: usize,
    /// Spot, rate, volatility.
    at: [f64; 3],
}

impl Asian {
    /// The workload's.
    pub fn new() -> Self {
        Self {
            normals: rounded(asian_normals()),
            paths: PATHS,
            at: [ASIAN.s0, ASIAN.r, ASIAN.sigma].map(|v| f64::from(v as f32)),
        }
    }

    /// The price and its derivatives by spot, rate and volatility.
    fn price(&self, [s0, r, sigma]: [f64; 3]) -> (f64, [f64; 3]) {
        let dt = ASIAN.maturity / STEPS as f64;
        let mut sums = [0.0; 4];
        for path in 0..self.paths {
            let (mut noise, mut mean, mut by_r, mut by_sigma) = (0.0, 0.0, 0.0, 0.0);
            for step in 0..STEPS {
                noise += dt.sqrt() * self.normals[step * self.paths + path];
                let time = (step + 1) as f64 * dt;
                let spot = s0 * ((r - 0.5 * sigma * sigma) * time + sigma * noise).exp();
                mean += spot;
                by_r += spot * time;
                by_sigma += spot * (noise - sigma * time);
            }
            let n = STEPS as f64;
            let payoff = mean / n - ASIAN.strike;
            if payoff > 0.0 {
                let terms = [payoff, mean / n / s0, by_r / n, by_sigma / n];
                for (sum, term) in sums.iter_mut().zip(terms) {
                    *sum += term;
                }
            }
        }
        let discount = (-r * ASIAN.maturity).exp() / self.paths as f64;
        let [payoff, by_s0, by_r, by_sigma] = sums.map(|s| s * discount);
        (payoff, [by_s0, by_r - ASIAN.maturity * payoff, by_sigma])
    }
}

impl Default for Asian {
    fn default() -> Self {
        Self::new()
    }
}

impl Workload for Asian {
    fn step(&mut self) -> Result<(), String> {
        black_box(self.price(self.at));
        Ok(())
    }

    fn results(&mut self) -> Result<Results, String> {
        let (loss, [s0, r, sigma]) = self.price(self.at);
        Ok(Results {
            loss,
            grads: vec![("s0", vec![s0]), ("r", vec![r]), ("sigma", vec![sigma])],
            loss_after: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::normal;
    use crate::reference::central_difference_error;

    #[test]
    fn matches_central_differences() {
        let work = Asian {
            normals: normal(5, STEPS * 200, 1.0),
            paths: 200,
            at: [100.0, 0.03, 0.2],
        };
        let (_, grad) = work.price(work.at);
        for direction in [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]] {
            let price = |p: &[f64]| work.price([p[0], p[1], p[2]]).0;
            let error = central_difference_error(price, &work.at, &grad, &direction, 1e-6);
            assert!(error < 1e-6, "{direction:?}: {error}");
        }
    }
}
