//! Workloads that are recorded once and replayed.

use retrograde::prelude::*;
use retrograde::{Options, OutputsRef};
use std::hint::black_box;

use super::text;
use crate::inputs::{self, ASIAN, PATHS, SCALAR_ROUNDS, SCALAR_X, STEPS};
use crate::results::Results;
use crate::workload::{Config, Workload};

/// A program of value and gradients with its inputs.
pub(super) struct Replay {
    program: Program,
    workspace: Workspace,
    inputs: Vec<Array<f32>>,
    /// Names of the gradients, outputs 1, 2, ...
    names: &'static [&'static str],
}

impl Replay {
    /// `value` compiled with its gradients by the inputs of those numbers.
    fn new(
        value: &Program,
        inputs: Vec<Array<f32>>,
        wrt: &[usize],
        names: &'static [&'static str],
        config: &Config,
    ) -> Result<Self> {
        let options = Options {
            threads: config.threads,
            ..value.options()
        };
        let program = value.value_and_grad_of(wrt)?.with_options(options)?;
        Ok(Self {
            workspace: program.workspace()?,
            program,
            inputs,
            names,
        })
    }

    fn run(&mut self) -> Result<OutputsRef<'_>, String> {
        let feed: [&Array<f32>; 5];
        // Replays take a fixed number of inputs without collecting them.
        match self.inputs.as_slice() {
            [a] => self.program.run(&mut self.workspace, [a]),
            [a, b, c, d] => self.program.run(&mut self.workspace, [a, b, c, d]),
            [a, b, c, d, e] => {
                feed = [a, b, c, d, e];
                self.program.run(&mut self.workspace, feed)
            }
            other => return Err(format!("no workload has {} inputs", other.len())),
        }
        .map_err(text)
    }
}

impl Workload for Replay {
    fn step(&mut self) -> Result<(), String> {
        black_box(self.run()?);
        Ok(())
    }

    fn results(&mut self) -> Result<Results, String> {
        let names = self.names;
        let out = self.run()?;
        let grad = |i: usize| -> Result<Vec<f64>, String> {
            let slice = out.slice::<f32>(i).map_err(text)?;
            Ok(slice.iter().map(|&x| f64::from(x)).collect())
        };
        let grads = names
            .iter()
            .enumerate()
            .map(|(i, &name)| Ok((name, grad(i + 1)?)));
        Ok(Results {
            loss: f64::from(out.item::<f32>(0).map_err(text)?),
            grads: grads.collect::<Result<_, String>>()?,
            loss_after: None,
        })
    }
}

fn column(data: &[f64]) -> Array<f32> {
    Array::from(inputs::to_f32(data))
}

/// `2 dot(x, x)`.
pub(super) fn tiny(config: &Config) -> Result<Replay> {
    let x = Array::arange(4);
    let value = Program::record(&[x.clone()], |_, [x]| 2.0 * x.dot(x))?;
    Replay::new(&value, vec![x], &[0], &["x"], config)
}

/// A chain of scalar instructions.
pub(super) fn scalar_chain(config: &Config) -> Result<Replay> {
    let x = Array::scalar(SCALAR_X as f32);
    let value = Program::record(&[x.clone()], |_, [x]| {
        let mut y = x;
        for _ in 0..SCALAR_ROUNDS {
            y = y.sin() * x + 0.1;
            y = 0.9 * y;
        }
        y
    })?;
    Replay::new(&value, vec![x], &[0], &["x"], config)
}

/// A chain of activations.
pub(super) fn chain(config: &Config) -> Result<Replay> {
    let x = column(&inputs::chain(inputs::CHAIN_LEN));
    let value = Program::record(&[x.clone()], |_, [x]| {
        ((x * x + 0.5).tanh() * x.sigmoid() + (-x * x).exp()).sum()
    })?;
    Replay::new(&value, vec![x], &[0], &["x"], config)
}

/// Prices of European calls.
pub(super) fn black_scholes(config: &Config) -> Result<Replay> {
    let o = inputs::options(inputs::OPTIONS);
    let inputs = [&o.spot, &o.strike, &o.maturity, &o.sigma, &o.rate].map(|c| column(c));
    let value = Program::record(&inputs, |_, [spot, strike, maturity, sigma, rate]| {
        let root = maturity.sqrt();
        let d1 = ((spot / strike).ln() + (rate + 0.5 * sigma * sigma) * maturity) / (sigma * root);
        let d2 = d1 - sigma * root;
        (spot * d1.normal_cdf() - strike * (-rate * maturity).exp() * d2.normal_cdf()).sum()
    })?;
    let names = &["spot", "maturity", "sigma", "rate"];
    Replay::new(&value, inputs.to_vec(), &[0, 2, 3, 4], names, config)
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
        inputs.to_vec(),
        &[1, 2, 3],
        &["s0", "r", "sigma"],
        config,
    )
}
