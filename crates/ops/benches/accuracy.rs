//! Prints `docs/accuracy.md`: `cargo bench -p retrograde-ops --bench accuracy -- [function...]`, or
//! `cargo xtask accuracy`, which asks for every `f32` by `RETROGRADE_LONG=1` (minutes) and writes the file.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "the support modules are shared with tests; each uses a part"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use retrograde_ops::Level;
use support::functions::{Function, Map, functions};
use support::measure::{Points, Ulp, Worst};
use support::samples::{Random, singles};

const BLOCK: usize = 1 << 13;

/// How many points are taken.
struct Effort {
    /// Every how manieth `f32` at the level without fused multiply-add, or, in a short run, at both.
    stride: u64,
    /// Blocks of random points.
    blocks: u64,
    /// Every `f32` at the level with fused multiply-add.
    exhaustive: bool,
}

const SHORT: Effort = Effort {
    stride: 2039,
    blocks: 100,
    exhaustive: false,
};
const LONG: Effort = Effort {
    stride: 1021,
    blocks: 400,
    exhaustive: true,
};

const INTRODUCTION: &str = "\
The largest error found of every function that is not exact by construction, and where. `cargo xtask accuracy` makes
this table; `tests/math` holds the errors below the bounds.

The references are `core-math`, which rounds correctly, and double-word arithmetic for the functions it lacks (`sigmoid`,
`softplus`, `normal_cdf`, `normal_icdf`, `sinc`, `digamma` and its derivatives `trigamma` and `tetragamma`). In `f32` the
error is the distance to the exact value in units of the last place (0.5 is perfect); in `f64` the number of steps to the
correctly rounded value (0 is perfect; the error is at most half a unit more). Subnormal results count in units of the
least subnormal number, overflow as the next number after the largest. `lgamma` and its derivatives are measured right of
0: left of it they have zeros between poles, near which no relative error is bounded; `tests/math/gamma.rs` holds the
error there against the size of the terms that cancel.
";

/// Random points, all over the domain, in blocks.
fn random<T: Ulp>(f: &Function, kernel: Map<T>, level: Level, blocks: u64, bound: f64) -> Worst<T> {
    let mut random = Random(1);
    let mut worst = Worst::default();
    for _ in 0..blocks {
        let pair = |_| {
            let (x, y) = f.domain.point(&mut random, bound);
            (T::round(x), T::round(y))
        };
        let points = Points::new((0..BLOCK).map(pair).collect(), f.exact);
        points.note_errors(kernel, level, &mut worst);
    }
    worst
}

/// Every `stride`-th bit pattern against the reference.
fn strided(f: &Function, level: Level, stride: u64) -> Worst<f32> {
    let mut worst = Worst::default();
    for index in 0.. {
        let xs = singles(stride, BLOCK, index);
        if xs.is_empty() {
            break;
        }
        let xs = xs.into_iter().map(|x| (f.domain.fold(x), 0.0));
        let points = Points::new(xs.collect(), f.exact);
        points.note_errors(f.single, level, &mut worst);
    }
    worst
}

/// Whether every result is what the value near it rounds to.
fn all_nearest(out: &[f32], near: &[f64]) -> bool {
    let mut differs = false;
    for (&got, &near) in out.iter().zip(near) {
        let rounded = near as f32;
        differs |= (got != rounded) & !(got.is_nan() & rounded.is_nan());
    }
    !differs
}

/// Every `f32`. Our own `f64` function, fast and some 2^-28 of an ulp off, points at candidates; the reference judges them.
fn exhaustive(f: &Function, level: Level) -> Worst<f32> {
    let mut worst = Worst::default();
    let mut out = vec![0_f32; BLOCK];
    let mut near = vec![0_f64; BLOCK];
    let mut wide = vec![0_f64; BLOCK];
    for index in 0..(1 << 32) / BLOCK as u64 {
        let xs: Vec<f32> = singles(1, BLOCK, index)
            .into_iter()
            .map(|x| f.domain.fold(x))
            .collect();
        (f.single)(level, &xs, &xs, &mut out);
        for (wide, &x) in wide.iter_mut().zip(&xs) {
            *wide = f64::from(x);
        }
        (f.double)(level, &wide, &wide, &mut near);
        // Where every result is the nearest number, as over most of the patterns, nothing can be worse than 0.5.
        if worst.error >= 0.5 && all_nearest(&out, &near) {
            continue;
        }
        for i in 0..BLOCK {
            if out[i].distance(near[i]) > worst.error {
                let exact = (f.exact)(wide[i], wide[i]);
                worst.note(out[i].distance(exact), xs[i], xs[i]);
            }
        }
    }
    worst
}

fn row(f: &Function, level: Level, effort: &Effort) {
    let single = if f.domain.is_two() {
        random(f, f.single, level, effort.blocks, 88.0)
    } else if effort.exhaustive && level != Level::Baseline {
        exhaustive(f, level)
    } else {
        strided(f, level, effort.stride)
    };
    let double = random(f, f.double, level, effort.blocks, 709.0);
    let bounds = f.bounds(level);
    println!(
        "| `{}` | {:.2} | {} | {} | {} | {} | {} |",
        f.name,
        single.error,
        single.at(f.domain.is_two()),
        bounds.single,
        double.error,
        double.at(f.domain.is_two()),
        bounds.double,
    );
}

fn main() {
    let only = support::named();
    let is_long = std::env::var_os("RETROGRADE_LONG").is_some();
    let effort = if is_long { LONG } else { SHORT };
    println!("# Accuracy of the elementary functions\n\n{INTRODUCTION}");
    let best = Level::detect();
    for level in [Level::Baseline, best] {
        if level == Level::Baseline {
            println!("## Without fused multiply-add ({level})\n");
        } else {
            println!(
                "\n## With fused multiply-add (measured on {level}; every such level gives the same bits)\n"
            );
        }
        println!("| function | `f32`, ulp | at | bound | `f64`, steps | at | bound |");
        println!("|---|---:|---|---:|---:|---|---:|");
        for f in functions() {
            if only.is_empty() || only.iter().any(|name| name == f.name) {
                row(&f, level, &effort);
            }
        }
        if best == Level::Baseline {
            break;
        }
    }
    let random = effort.blocks * BLOCK as u64;
    let singles = if effort.exhaustive {
        "every number with fused multiply-add".to_owned()
    } else {
        format!("every {}th number", effort.stride)
    };
    println!(
        "\nTaken in `f32`: {singles}, every {}th without; in `f64` and for functions of two operands: {random} random points.",
        effort.stride
    );
}
