//! Workloads of elementwise chains.

use retrograde::prelude::*;

use super::replay::{Derivative, Replay};
use crate::inputs::{self, ASIAN, PATHS, SCALAR_ROUNDS, SCALAR_X, STEPS};
use crate::workload::Config;

/// `2 dot(x, x)`.
pub(super) fn tiny(config: &Config) -> Result<Replay> {
    let x = Array::arange(4);
    let value = Program::record(&[x.clone()], |_, [x]| 2.0 * x.dot(x))?;
    let by_x = Derivative::Gradients(&[0]);
    Replay::new(&value, vec![x.into()], by_x, &["x"], config)
}

/// Rounds of four scalar instructions.
pub(super) fn scalars(x: Var<'_, f32>, rounds: usize) -> Var<'_, f32> {
    let mut y = x;
    for _ in 0..rounds {
        y = y.sin() * x + 0.1;
        y = 0.9 * y;
    }
    y
}

/// Activations of every element, added up.
pub(super) fn activations(x: Var<'_, f32>) -> Var<'_, f32> {
    ((x * x + 0.5).tanh() * x.sigmoid() + (-x * x).exp()).sum()
}

/// A chain of scalar instructions.
pub(super) fn scalar_chain(config: &Config) -> Result<Replay> {
    let x = Array::scalar(SCALAR_X as f32);
    let value = Program::record(&[x.clone()], |_, [x]| scalars(x, SCALAR_ROUNDS))?;
    let by_x = Derivative::Gradients(&[0]);
    Replay::new(&value, vec![x.into()], by_x, &["x"], config)
}

/// A chain of activations.
pub(super) fn chain(config: &Config) -> Result<Replay> {
    let x = Array::from(inputs::to_f32(&inputs::chain(inputs::CHAIN_LEN)));
    let value = Program::record(&[x.clone()], |_, [x]| activations(x))?;
    let by_x = Derivative::Gradients(&[0]);
    Replay::new(&value, vec![x.into()], by_x, &["x"], config)
}

/// Prices of European calls.
pub(super) fn black_scholes<T: Float>(config: &Config, count: usize) -> Result<Replay> {
    let o = inputs::options(count);
    let inputs = [o.spot, o.strike, o.maturity, o.sigma, o.rate]
        .map(|c| Array::from(c.into_iter().map(T::of).collect::<Vec<T>>()));
    let value = Program::record(&inputs, |_, [spot, strike, maturity, sigma, rate]| {
        let root = maturity.sqrt();
        let variance = T::of(0.5) * sigma * sigma;
        let d1 = ((spot / strike).ln() + (rate + variance) * maturity) / (sigma * root);
        let d2 = d1 - sigma * root;
        (spot * d1.normal_cdf() - strike * (-rate * maturity).exp() * d2.normal_cdf()).sum()
    })?;
    let names = &["spot", "maturity", "sigma", "rate"];
    let wrt = Derivative::Gradients(&[0, 2, 3, 4]);
    Replay::new(&value, inputs.map(Into::into).into(), wrt, names, config)
}

/// An Asian call along simulated paths.
pub(super) fn asian(config: &Config) -> Result<Replay> {
    let normals = Array::from_vec(inputs::to_f32(&inputs::asian_normals()), [STEPS, PATHS])?;
    let scalar = |x: f64| Array::scalar(x as f32);
    let inputs = [
        normals,
        scalar(ASIAN.s0),
        scalar(ASIAN.r),
        scalar(ASIAN.sigma),
    ];
    let (strike, maturity) = (ASIAN.strike as f32, ASIAN.maturity as f32);
    let value = Program::record(&inputs, |_, [normals, s0, r, sigma]| {
        let dt = maturity / STEPS as f32;
        let drift = (r - 0.5 * sigma * sigma) * dt;
        let diffusion = sigma * dt.sqrt();
        let mut log_spot = s0.ln();
        let mut sum: Option<Var<'_, f32>> = None;
        for step in 0..STEPS {
            log_spot = log_spot + drift + diffusion * normals.at(0, step as isize);
            let spot = log_spot.exp();
            sum = Some(sum.map_or(spot, |s| s + spot));
        }
        let mean = sum.expect("there are steps") / STEPS as f32;
        (-r * maturity).exp() * (mean - strike).relu().mean()
    })?;
    Replay::new(
        &value,
        inputs.map(Into::into).into(),
        Derivative::Gradients(&[1, 2, 3]),
        &["s0", "r", "sigma"],
        config,
    )
}
