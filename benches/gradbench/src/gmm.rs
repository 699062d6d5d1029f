//! `gmm`: the log posterior of a mixture of Gaussians under a Wishart prior, and its gradient by all parameters.

use std::cmp::Ordering;

use retrograde::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::measure::{Evaluated, Failure, Function, Replay, matrix, read, rows, timed};

pub(crate) const FUNCTIONS: &[(&str, Function)] =
    &[("objective", objective), ("jacobian", jacobian)];

#[derive(Deserialize)]
struct Input {
    d: usize,
    k: usize,
    n: usize,
    x: Vec<Vec<f64>>,
    m: u32,
    gamma: f64,
    alpha: Vec<f64>,
    mu: Vec<Vec<f64>>,
    q: Vec<Vec<f64>>,
    l: Vec<Vec<f64>>,
}

/// `alpha`, `mu`, `q`, `l`, the points, and where a factor's entries stand.
type Arrays = (
    Array<f64>,
    Array<f64>,
    Array<f64>,
    Array<f64>,
    Array<f64>,
    Array<u32>,
);

impl Input {
    fn arrays(&self) -> Result<Arrays, Failure> {
        let (d, k, n) = (self.d, self.k, self.n);
        if d == 0 || k == 0 || self.alpha.len() != k {
            return Err(Failure::new(
                "`d` and `k` must be positive, and `alpha` be `k` numbers",
            ));
        }
        Ok((
            Array::from(self.alpha.clone()),
            matrix("mu", &self.mu, [k, d])?,
            matrix("q", &self.q, [k, d])?,
            matrix("l", &self.l, [k, d * (d - 1) / 2])?,
            matrix("x", &self.x, [n, d])?,
            layout(d),
        ))
    }

    /// What neither parameters nor points change: of the Gaussians `-n d / 2 ln 2 pi`, of the priors
    /// `k (w d ln(gamma / sqrt 2) - ln Gamma_d(w / 2))` for `w = d + m + 1` degrees of freedom.
    fn constant(&self) -> f64 {
        let (d, k, n) = (self.d as f64, self.k as f64, self.n as f64);
        let w = d + f64::from(self.m) + 1.0;
        let ln_pi = std::f64::consts::PI.ln();
        let gammas: f64 = (0..self.d)
            .map(|j| ln_gamma_of_half(self.d as u64 + u64::from(self.m) + 1 - j as u64))
            .sum();
        let ln_multigamma = 0.25 * d * (d - 1.0) * ln_pi + gammas;
        let prior = w * d * (self.gamma.ln() - 0.5 * std::f64::consts::LN_2) - ln_multigamma;
        k * prior - 0.5 * n * d * (std::f64::consts::LN_2 + ln_pi)
    }

    /// The log posterior. Its gradient is by inputs 0 to 3.
    fn record(&self, arrays: &Arrays) -> retrograde::Result<Program> {
        let (d, k, n) = (self.d, self.k, self.n);
        let (m, gamma, constant) = (f64::from(self.m), self.gamma, self.constant());
        Program::record(arrays, |t, (alpha, mu, q, l, points, layout)| {
            let scales = q.exp();
            let entries = t.concat(&[scales, l, t.zeros([k, 1])], 1);
            let factors = entries.index_select(1, layout).reshape([k, d, d]);
            // Q (x - mu) for all components and points in one product: [Q, -Q mu] times [x, 1]. The long axis of the
            // points goes last, where every later step runs along it.
            let centres = (factors * mu.unsqueeze(1)).sum_over(2);
            let maps = [factors.reshape([k * d, d]), -centres.reshape([k * d, 1])];
            let columns = t.concat(&[points.t(), t.ones([1, n])], 0);
            let images = t.concat(&maps, 1).matmul(columns).reshape([k, d, n]);
            let squares = (images * images).sum_over(1);
            let sums = q.sum_over(1);
            let main = (alpha + sums).unsqueeze(1) - 0.5 * squares;
            let likelihood = main.logsumexp_over(0).sum() - n as f64 * alpha.logsumexp();
            let frobenius = (scales * scales).sum() + (l * l).sum();
            likelihood - 0.5 * gamma * gamma * frobenius + m * sums.sum() + constant
        })
    }
}

/// For each of the `d * d` entries of a row-major lower triangular factor, where `[diagonal, lower, 0]` holds it; the
/// part below the diagonal is listed column by column.
fn layout(d: usize) -> Array<u32> {
    Array::from_shape_fn([d * d], |i| {
        let (row, column) = (i[0] / d, i[0] % d);
        let at = match row.cmp(&column) {
            Ordering::Equal => row,
            Ordering::Greater => d + column * d - column * (column + 1) / 2 + row - column - 1,
            Ordering::Less => d + d * (d - 1) / 2,
        };
        at as u32
    })
}

/// `ln Gamma(twice / 2)`, by `Gamma(x + 1) = x Gamma(x)` from `Gamma(1/2) = sqrt pi` or `Gamma(1) = 1`.
fn ln_gamma_of_half(twice: u64) -> f64 {
    let (first, start) = match twice % 2 {
        0 => (2, 0.0),
        _ => (1, 0.5 * std::f64::consts::PI.ln()),
    };
    let factors = (first..twice).step_by(2).map(|t| (t as f64 / 2.0).ln());
    start + factors.sum::<f64>()
}

fn objective(input: &Value) -> Result<Evaluated, Failure> {
    let mixture: Input = read(input)?;
    let arrays = mixture.arrays()?;
    let (mut replay, mut value) = (Replay::default(), [0.0]);
    let times = timed(input, || {
        let record = || mixture.record(&arrays);
        replay.run(record, &arrays, &mut [value.as_mut_slice().into()])
    })?;
    Ok(times.output(value[0]))
}

fn jacobian(input: &Value) -> Result<Evaluated, Failure> {
    let mixture: Input = read(input)?;
    let arrays = mixture.arrays()?;
    let (mut replay, mut value) = (Replay::default(), [0.0]);
    let (mut alpha, mut mu, mut q, mut l) = (
        arrays.0.clone(),
        arrays.1.clone(),
        arrays.2.clone(),
        arrays.3.clone(),
    );
    let times = timed(input, || {
        let record = || mixture.record(&arrays)?.value_and_grad_of(&[0, 1, 2, 3]);
        let outputs = &mut [
            value.as_mut_slice().into(),
            (&mut alpha).into(),
            (&mut mu).into(),
            (&mut q).into(),
            (&mut l).into(),
        ];
        replay.run(record, &arrays, outputs)
    })?;
    Ok(times.output(json!({
        "alpha": alpha.into_vec(),
        "mu": rows(&mu),
        "q": rows(&q),
        "l": rows(&l),
    })))
}
