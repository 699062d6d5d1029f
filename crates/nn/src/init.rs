//! Initial values of parameters. Every function is a pure function of its shape and seed, on any machine.
//!
//! The fans of a weight `[.., in, out]` (as `x.matmul(w)` wants it) are the product of all extents but the last, and the
//! last. A shape that is too large gives an array that holds the error, which the table reports at its next use.

use retrograde::{Array, Create, Float, IntoShape, Shape};

use crate::random::SplitMix;

fn draw<T: Float>(
    shape: impl IntoShape,
    seed: u64,
    f: impl Fn(&Shape, &mut SplitMix) -> f64,
) -> Array<T> {
    match shape.into_shape() {
        Ok(shape) => {
            let mut random = SplitMix::new(seed);
            Array::from_shape_fn(shape, |_| T::of(f(&shape, &mut random)))
        }
        Err(error) => Array::invalid(error),
    }
}

/// `(fan_in, fan_out)`, at least 1 each.
fn fans(shape: &Shape) -> (f64, f64) {
    let (last, lead) = shape
        .dims()
        .split_last()
        .map_or((1, &[][..]), |(&last, lead)| (last, lead));
    (
        lead.iter().product::<usize>().max(1) as f64,
        last.max(1) as f64,
    )
}

/// All zeros: biases.
pub fn zeros<T: Float>(shape: impl IntoShape) -> Array<T> {
    Create::zeros(shape)
}

/// Normal with mean 0 and the given standard deviation.
pub fn normal<T: Float>(shape: impl IntoShape, deviation: f64, seed: u64) -> Array<T> {
    draw(shape, seed, |_, r| deviation * r.normal())
}

/// Uniform in `[low, high)`.
pub fn uniform<T: Float>(shape: impl IntoShape, low: f64, high: f64, seed: u64) -> Array<T> {
    draw(shape, seed, |_, r| low + (high - low) * r.unit())
}

/// Normal with standard deviation `sqrt(2 / fan_in)`: keeps the variance through layers with `relu` (He et al., 2015).
pub fn he_normal<T: Float>(shape: impl IntoShape, seed: u64) -> Array<T> {
    draw(shape, seed, |s, r| (2.0 / fans(s).0).sqrt() * r.normal())
}

/// Uniform with the variance of [`he_normal`]: within `sqrt(6 / fan_in)`.
pub fn he_uniform<T: Float>(shape: impl IntoShape, seed: u64) -> Array<T> {
    draw(shape, seed, |s, r| {
        (6.0 / fans(s).0).sqrt() * (2.0 * r.unit() - 1.0)
    })
}

/// Normal with standard deviation `sqrt(2 / (fan_in + fan_out))`, for `tanh` and the like (Glorot and Bengio, 2010).
pub fn xavier_normal<T: Float>(shape: impl IntoShape, seed: u64) -> Array<T> {
    draw(shape, seed, |s, r| {
        (2.0 / (fans(s).0 + fans(s).1)).sqrt() * r.normal()
    })
}

/// Uniform with the variance of [`xavier_normal`]: within `sqrt(6 / (fan_in + fan_out))`.
pub fn xavier_uniform<T: Float>(shape: impl IntoShape, seed: u64) -> Array<T> {
    draw(shape, seed, |s, r| {
        (6.0 / (fans(s).0 + fans(s).1)).sqrt() * (2.0 * r.unit() - 1.0)
    })
}
