//! Reference results: every workload written out by hand in f64, value and gradients, as plain loops.
//!
//! They share nothing with the library and are themselves held against central differences. Inputs of the f32 workloads
//! are rounded to f32 first. Timed as the peer `hand`, they say what hand-written derivatives cost before anyone
//! tunes them.

pub mod asian;
pub mod chain;
pub mod gmm;
pub mod gpt;
pub mod lenet;
pub mod logreg;
pub mod mlp;
pub mod options;
pub mod scalar;
pub mod training;

/// The relative error of `gradient` along `direction` against a central difference of `loss` (f64, so about 1e-9).
#[cfg(test)]
fn central_difference_error(
    loss: impl Fn(&[f64]) -> f64,
    at: &[f64],
    gradient: &[f64],
    direction: &[f64],
    step: f64,
) -> f64 {
    let moved = |s: f64| -> Vec<f64> { at.iter().zip(direction).map(|(x, d)| x + s * d).collect() };
    let difference = (loss(&moved(step)) - loss(&moved(-step))) / (2.0 * step);
    let slope: f64 = gradient.iter().zip(direction).map(|(g, d)| g * d).sum();
    (difference - slope).abs() / difference.abs().max(slope.abs())
}
