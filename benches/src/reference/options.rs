//! `black_scholes_1m`, `black_scholes_1m_f64`: European calls and their Greeks in closed form.

use crate::inputs::{self, Options, rounded};
use crate::results::Results;
use crate::workload::Workload;
use std::f64::consts::{FRAC_1_SQRT_2, PI};
use std::hint::black_box;

/// The options, with the memory of four gradients.
pub struct BlackScholes {
    inputs: Options,
    delta: Vec<f64>,
    theta: Vec<f64>,
    vega: Vec<f64>,
    rho: Vec<f64>,
}

impl BlackScholes {
    /// The first `count` options of the f32 workload's input.
    pub fn new(count: usize) -> Self {
        let o = inputs::options(count);
        Self::of(Options {
            spot: rounded(o.spot),
            strike: rounded(o.strike),
            maturity: rounded(o.maturity),
            sigma: rounded(o.sigma),
            rate: rounded(o.rate),
        })
    }

    /// The first `count` options of the f64 workload's input.
    pub fn new_f64(count: usize) -> Self {
        Self::of(inputs::options(count))
    }

    fn of(inputs: Options) -> Self {
        let count = inputs.spot.len();
        Self {
            inputs,
            delta: vec![0.0; count],
            theta: vec![0.0; count],
            vega: vec![0.0; count],
            rho: vec![0.0; count],
        }
    }

    fn run(&mut self) -> f64 {
        let o = &self.inputs;
        let mut total = 0.0;
        for i in 0..o.spot.len() {
            let greeks = call(o.spot[i], o.strike[i], o.maturity[i], o.sigma[i], o.rate[i]);
            total += greeks.price;
            self.delta[i] = greeks.delta;
            self.theta[i] = greeks.theta;
            self.vega[i] = greeks.vega;
            self.rho[i] = greeks.rho;
        }
        total
    }
}

struct Greeks {
    price: f64,
    delta: f64,
    /// The derivative by time *to* maturity, so the opposite sign of a trader's theta.
    theta: f64,
    vega: f64,
    rho: f64,
}

fn call(spot: f64, strike: f64, maturity: f64, sigma: f64, rate: f64) -> Greeks {
    let cdf = |x: f64| 0.5 * libm::erfc(-x * FRAC_1_SQRT_2);
    let root = maturity.sqrt();
    let d1 = ((spot / strike).ln() + (rate + 0.5 * sigma * sigma) * maturity) / (sigma * root);
    let d2 = d1 - sigma * root;
    let density = (-0.5 * d1 * d1).exp() / (2.0 * PI).sqrt();
    let paid = strike * (-rate * maturity).exp() * cdf(d2);
    Greeks {
        price: spot * cdf(d1) - paid,
        delta: cdf(d1),
        theta: spot * density * sigma / (2.0 * root) + rate * paid,
        vega: spot * density * root,
        rho: maturity * paid,
    }
}

impl Workload for BlackScholes {
    fn step(&mut self) -> Result<(), String> {
        black_box(self.run());
        Ok(())
    }

    fn results(&mut self) -> Result<Results, String> {
        let loss = self.run();
        Ok(Results {
            loss,
            grads: vec![
                ("spot", self.delta.clone()),
                ("maturity", self.theta.clone()),
                ("sigma", self.vega.clone()),
                ("rate", self.rho.clone()),
            ],
            loss_after: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::central_difference_error;

    #[test]
    fn greeks_match_central_differences() {
        let mut work = BlackScholes::new(100);
        work.run();
        let o = &work.inputs;
        for i in 0..100 {
            let at = [o.spot[i], o.maturity[i], o.sigma[i], o.rate[i]];
            let greeks = [work.delta[i], work.theta[i], work.vega[i], work.rho[i]];
            let price = |p: &[f64]| call(p[0], o.strike[i], p[1], p[2], p[3]).price;
            let direction = [1.0, 0.01, 0.01, 0.01];
            let error = central_difference_error(price, &at, &greeks, &direction, 1e-4);
            assert!(error < 1e-7, "option {i}: {error}");
        }
    }

    /// Hull, *Options, Futures and Other Derivatives*, example 15.6: 4.76.
    #[test]
    fn price_is_the_textbook_one() {
        assert!((call(42.0, 40.0, 0.5, 0.2, 0.1).price - 4.76).abs() < 0.005);
    }
}
