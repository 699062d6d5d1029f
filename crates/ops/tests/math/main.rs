//! The functions of `math`: error bounds, special values, and bits that no level, width or neighbour changes.
//!
//! `RETROGRADE_LONG=1` takes a hundred times the points.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "the support modules are shared with examples; each uses a part"
)]

#[path = "../support/mod.rs"]
mod support;

mod accuracy;
mod bits;
mod exact;
mod gamma;
mod power;
mod special;
mod table;

use support::functions::Domain;
use support::samples::{Random, double, limits, singles};

/// How many times the points of a short run.
fn effort() -> usize {
    if std::env::var_os("RETROGRADE_LONG").is_some() {
        100
    } else {
        1
    }
}

/// The limits in `f32` and the numbers next to them.
fn single_limits() -> Vec<f32> {
    let around = |x: f64| {
        let bits = (x as f32).to_bits();
        (-4_i32..=4).map(move |step| f32::from_bits(bits.wrapping_add_signed(step)))
    };
    limits().into_iter().flat_map(around).collect()
}

/// The limits in `f64` and the numbers next to them.
fn double_limits() -> Vec<f64> {
    let around = |x: f64| {
        let bits = x.to_bits();
        (-4_i64..=4).map(move |step| f64::from_bits(bits.wrapping_add_signed(step)))
    };
    limits().into_iter().flat_map(around).collect()
}

/// Arguments all over the domain of a function.
fn single_pairs(domain: Domain) -> Vec<(f32, f32)> {
    let mut random = Random(4);
    let count = 40_000 * effort();
    if domain.is_two() {
        let pair = |_| domain.point(&mut random, 88.0);
        return (0..count)
            .map(pair)
            .map(|(x, y)| (x as f32, y as f32))
            .collect();
    }
    let patterns = singles(((1 << 32) / count as u64) | 1, count, 0);
    let structured = (0..count).map(|_| double(&mut random) as f32);
    patterns
        .into_iter()
        .chain(structured)
        .map(|x| domain.fold(x))
        .map(|x| (x, x))
        .collect()
}

/// See [`single_pairs`].
fn double_pairs(domain: Domain) -> Vec<(f64, f64)> {
    let mut random = Random(5);
    let pair = |_| domain.point(&mut random, 709.0);
    (0..60_000 * effort()).map(pair).collect()
}
