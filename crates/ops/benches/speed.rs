//! Nanoseconds an element of the functions of `math`, per level, in L1 and on one thread:
//! `cargo bench -p retrograde-ops --bench speed -- [function...]`.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "the support modules are shared with tests; each uses a part"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::time::Instant;

use retrograde_ops::Level;
use support::functions::{Function, Map, functions};
use support::samples::Random;

/// Both operands and the result lie in L1 in either type.
const ELEMENTS: usize = 1024;
const PASSES: usize = 20;
const RUNS: usize = 60;

/// Nanoseconds an element: the best of several runs, on arguments uniform in `range`.
fn time<T: Copy + Default>(
    kernel: Map<T>,
    level: Level,
    of: fn(f64) -> T,
    (low, high): (f64, f64),
) -> f64 {
    let mut random = Random(3);
    let xs: Vec<T> = (0..ELEMENTS)
        .map(|_| of(low + (high - low) * random.unit()))
        .collect();
    let ys: Vec<T> = (0..ELEMENTS).map(|_| of(random.within(3.0))).collect();
    let mut out = vec![T::default(); ELEMENTS];
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let start = Instant::now();
        for _ in 0..PASSES {
            kernel(level, black_box(&xs), black_box(&ys), black_box(&mut out));
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    best * 1e9 / (PASSES * ELEMENTS) as f64
}

fn main() {
    let levels = Level::available();
    let only = support::named();
    let heads = levels.iter().map(|l| format!(" f32 {l} | f64 {l} |"));
    println!("| function |{}", heads.collect::<String>());
    println!("|---|{}", "---:|".repeat(2 * levels.len()));
    let chosen = |f: &Function| only.is_empty() || only.iter().any(|n| n == f.name);
    for f in functions().into_iter().filter(chosen) {
        let cells = levels.iter().map(|&level| {
            format!(
                " {:.2} | {:.2} |",
                time(f.single, level, |x| x as f32, f.range),
                time(f.double, level, |x| x, f.range),
            )
        });
        println!("| {} |{}", f.name, cells.collect::<String>());
    }
}
