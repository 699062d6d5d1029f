//! Prints the tables of `docs/accuracy.md`: `cargo run --release -p retrograde-ops --example accuracy [function...]`.
//!
//! `RETROGRADE_LONG=1` takes every `f32` there is (hours) and a hundred times the points in `f64`.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the support modules are shared with tests; each uses a part"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::time::Instant;

use retrograde_ops::Level;
use support::functions::{Function, Map, functions, pow};
use support::measure::Ulp;
use support::samples::{Random, double, power, singles};

const BLOCK: usize = 1 << 16;

/// The largest error seen and its argument.
#[derive(Clone, Default)]
struct Worst {
    error: f64,
    at: String,
}

impl Worst {
    fn note(&mut self, error: f64, at: impl FnOnce() -> String) {
        if error > self.error {
            *self = Worst { error, at: at() };
        }
    }
}

/// The worst of `kernel` per level on blocks of pairs of arguments, each with its exact value.
fn worst<T: Ulp + Default + std::fmt::LowerExp>(
    kernel: Map<T>,
    levels: &[Level],
    binary: bool,
    mut block: impl FnMut(u64) -> Option<(Vec<T>, Vec<T>, Vec<f64>)>,
) -> Vec<Worst> {
    let mut worst = vec![Worst::default(); levels.len()];
    let mut out = vec![T::default(); BLOCK];
    for index in 0.. {
        let Some((xs, ys, exact)) = block(index) else {
            break;
        };
        for (level, worst) in levels.iter().zip(&mut worst) {
            kernel(*level, &xs, &ys, &mut out);
            for i in 0..BLOCK {
                worst.note(out[i].distance(exact[i]), || {
                    if binary {
                        format!("{:e}, {:e}", xs[i], ys[i])
                    } else {
                        format!("{:e}", xs[i])
                    }
                });
            }
        }
    }
    worst
}

fn unary(f: &Function, levels: &[Level], stride: u64, blocks: u64) -> [Vec<Worst>; 2] {
    let single = worst(f.single, levels, false, |index| {
        let mut xs = singles(stride, BLOCK, index);
        if xs.is_empty() {
            return None;
        }
        xs.resize(BLOCK, 0.0);
        let exact = xs.iter().map(|&x| (f.of_single)(f64::from(x))).collect();
        Some((xs.clone(), xs, exact))
    });
    let mut random = Random(1);
    let double = worst(f.double, levels, false, |index| {
        let xs: Vec<f64> = (0..BLOCK).map(|_| double(&mut random)).collect();
        let exact = xs.iter().map(|&x| (f.of_double)(x)).collect();
        (index < blocks).then(|| (xs.clone(), xs, exact))
    });
    [single, double]
}

fn binary(f: &Function, levels: &[Level], blocks: u64) -> [Vec<Worst>; 2] {
    let mut random = Random(2);
    let single = worst(f.single, levels, true, |index| {
        let (xs, ys): (Vec<f32>, Vec<f32>) = (0..BLOCK)
            .map(|_| power(&mut random, 88.0))
            .map(|(x, y)| (x as f32, y as f32))
            .unzip();
        let exact = xs
            .iter()
            .zip(&ys)
            .map(|(&x, &y)| core_math::pow(f64::from(x), f64::from(y)))
            .collect();
        (index < blocks).then_some((xs, ys, exact))
    });
    let double = worst(f.double, levels, true, |index| {
        let (xs, ys): (Vec<f64>, Vec<f64>) = (0..BLOCK).map(|_| power(&mut random, 709.0)).unzip();
        let exact = xs
            .iter()
            .zip(&ys)
            .map(|(&x, &y)| core_math::pow(x, y))
            .collect();
        (index < blocks).then_some((xs, ys, exact))
    });
    [single, double]
}

/// Nanoseconds an element, best of several runs over 2048 elements between `low` and `high`.
fn time<T: Copy + Default>(
    kernel: Map<T>,
    level: Level,
    of: fn(f64) -> T,
    (low, high): (f64, f64),
) -> f64 {
    let mut random = Random(3);
    let xs: Vec<T> = (0..2048)
        .map(|_| of(low + (high - low) * random.unit()))
        .collect();
    let ys: Vec<T> = (0..2048).map(|_| of(random.within(3.0))).collect();
    let mut out = vec![T::default(); 2048];
    let mut best = f64::INFINITY;
    for _ in 0..40 {
        let start = Instant::now();
        for _ in 0..20 {
            kernel(level, black_box(&xs), black_box(&ys), black_box(&mut out));
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    best * 1e9 / (20.0 * 2048.0)
}

fn main() {
    let levels = Level::available();
    let only: Vec<String> = std::env::args().skip(1).collect();
    let long = std::env::var_os("RETROGRADE_LONG").is_some();
    let (stride, blocks) = if long { (1, 3200) } else { (509, 64) };
    println!("| function | level | f32 ulp | at | f64 steps | at | f32 ns | f64 ns |");
    println!("|---|---|---:|---|---:|---|---:|---:|");
    for f in functions().into_iter().chain([pow()]) {
        if !only.is_empty() && !only.iter().any(|n| n == f.name) {
            continue;
        }
        let [single, double] = if f.name == "pow" {
            binary(&f, &levels, blocks)
        } else {
            unary(&f, &levels, stride, blocks)
        };
        for (i, &level) in levels.iter().enumerate() {
            println!(
                "| {} | {} | {:.2} | {} | {} | {} | {:.2} | {:.2} |",
                f.name,
                level,
                single[i].error,
                single[i].at,
                double[i].error,
                double[i].at,
                time(f.single, level, |x| x as f32, f.range),
                time(f.double, level, |x| x, f.range),
            );
        }
    }
}
