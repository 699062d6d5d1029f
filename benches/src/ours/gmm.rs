//! `gmm_f64`: ADBench's Gaussian mixture.

use retrograde::prelude::*;

use super::replay::{Derivative, Replay};
use crate::inputs::{GMM, mixture, mixture_constant};
use crate::workload::Config;

/// For each of the `d * d` entries of a row-major triangular factor, where `[diagonal, lower, 0]` holds it.
fn layout(d: usize) -> Array<u32> {
    let zero = d + d * (d - 1) / 2;
    let below =
        |row: usize, column: usize| column * d - column * (column + 1) / 2 + row - column - 1;
    Array::from_shape_fn([d * d], |i| {
        let (row, column) = (i[0] / d, i[0] % d);
        let at = match row.cmp(&column) {
            std::cmp::Ordering::Equal => row,
            std::cmp::Ordering::Greater => d + below(row, column),
            std::cmp::Ordering::Less => zero,
        };
        at as u32
    })
}

/// The negative log posterior of a mixture and its gradient by all parameters.
pub(super) fn gmm(config: &Config) -> Result<Replay> {
    let (n, d, k) = GMM;
    let at = mixture(n, d, k);
    let inputs = (
        Array::from(at.alpha),
        Array::from_vec(at.mean, [k, d])?,
        Array::from_vec(at.diagonal, [k, d])?,
        Array::from_vec(at.lower, [k, d * (d - 1) / 2])?,
        Array::from_vec(at.points, [n, d])?,
        layout(d),
    );
    let value = Program::record(
        &inputs,
        |t, (alpha, mean, diagonal, lower, points, layout)| {
            let scales = diagonal.exp();
            let parts = t.concat(&[scales, lower, t.zeros([k, 1])], 1);
            let factors = parts.index_select(1, layout).reshape([k, d, d]);
            // Q (x - mean) for all components and points in one product: [Q, -Q mean] times [x, 1]. The long axis of the
            // points goes last, where every later step runs along it.
            let centres = (factors * mean.unsqueeze(1)).sum_over(2);
            let maps = t.concat(
                &[factors.reshape([k * d, d]), -centres.reshape([k * d, 1])],
                1,
            );
            let columns = t.concat(&[points.t(), t.ones([1, n])], 0);
            let images = maps.matmul(columns).reshape([k, d, n]);
            // A product rather than `square`: its derivative reads the images again instead of keeping them doubled.
            let squares = (images * images).sum_over(1);
            let main = (alpha + diagonal.sum_over(1)).unsqueeze(1) - 0.5 * squares;
            let prior = 0.5 * (scales.square().sum() + lower.square().sum());
            let likelihood = main.logsumexp_over(0).sum() - n as f64 * alpha.logsumexp();
            likelihood + prior + mixture_constant(n, d, k)
        },
    )?;
    let names = &["alpha", "mean", "diagonal", "lower"];
    let (alpha, mean, diagonal, lower, points, layout) = inputs;
    let inputs = vec![
        alpha.into(),
        mean.into(),
        diagonal.into(),
        lower.into(),
        points.into(),
        layout.into(),
    ];
    let wrt = Derivative::Gradients(&[0, 1, 2, 3]);
    Replay::new(&value, inputs, wrt, names, config)
}
