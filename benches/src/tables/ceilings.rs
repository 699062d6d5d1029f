//! What the machine can do at most: a triad over memory, and multiply-adds in registers.

use crate::cli::Options;
use fearless_simd::{Simd, SimdBase, SimdFloat};
use retrograde_ops::{Level, at_level};
use serde::{Deserialize, Serialize};
use std::hint::black_box;
use std::time::Instant;

/// Ceilings of all threads together.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Ceilings {
    /// Threads that ran at once.
    pub threads: usize,
    /// Bytes a second of `a = b + s c` over arrays that no cache holds, three a turn.
    pub triad: f64,
    /// f32 operations a second of multiply-adds in registers, two each.
    pub fma_f32: f64,
    /// The same in f64.
    pub fma_f64: f64,
}

/// Elements of an array of the triad: 64 MiB, several times the largest cache of a desktop.
const ELEMENTS: usize = 16 << 20;
/// Independent multiply-adds under way: latency 4 times two a cycle, and no more than 16 registers hold with operands.
const CHAINS: usize = 10;

/// Measures on as many threads as asked for, at the level asked for.
pub fn measure(options: &Options) -> Ceilings {
    // Many: now and then the system runs both threads on one core for tens of milliseconds.
    let rounds = if options.quick { 5 } else { 40 };
    let turns = if options.quick { 200_000 } else { 1_000_000 };
    let triad = best(rounds, || triad(options.threads));
    let fma_f32 = best(rounds, || {
        fma(
            options,
            turns,
            |level, turns| at_level!(level, simd => simd.vectorize(#[inline(always)] || f32_chains(simd, turns))),
        )
    });
    let fma_f64 = best(rounds, || {
        fma(
            options,
            turns,
            |level, turns| at_level!(level, simd => simd.vectorize(#[inline(always)] || f64_chains(simd, turns))),
        )
    });
    Ceilings {
        threads: options.threads,
        triad,
        fma_f32,
        fma_f64,
    }
}

fn best(rounds: usize, mut rate: impl FnMut() -> f64) -> f64 {
    (0..rounds).map(|_| rate()).fold(0.0, f64::max)
}

/// Bytes a second, threads side by side, each on its own part.
fn triad(threads: usize) -> f64 {
    let part = ELEMENTS / threads;
    let mut arrays: Vec<[Vec<f32>; 3]> = (0..threads)
        .map(|_| [vec![0.0; part], vec![1.0; part], vec![2.0; part]])
        .collect();
    // Once before the clock runs, so that every page is there.
    let mut seconds = 0.0;
    for _ in 0..2 {
        let start = Instant::now();
        std::thread::scope(|scope| {
            for [a, b, c] in &mut arrays {
                scope.spawn(move || {
                    for ((a, b), c) in a.iter_mut().zip(&*b).zip(&*c) {
                        *a = b + 3.0 * c;
                    }
                    black_box(a);
                });
            }
        });
        seconds = start.elapsed().as_secs_f64();
    }
    (3 * size_of::<f32>() * part * threads) as f64 / seconds
}

/// Operations a second of `work`, which says how many a call of so many turns makes.
fn fma(options: &Options, turns: usize, work: impl Fn(Level, usize) -> usize + Sync) -> f64 {
    let start = Instant::now();
    let total: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..options.threads)
            .map(|_| scope.spawn(|| work(options.level, turns)))
            .collect();
        let counts = threads.into_iter().map(|t| t.join().unwrap_or(0));
        counts.sum()
    });
    total as f64 / start.elapsed().as_secs_f64()
}

macro_rules! chains {
    ($name:ident, $vector:ident, $real:ident) => {
        #[inline(always)]
        fn $name<S: Simd>(simd: S, turns: usize) -> usize {
            let factor = black_box(S::$vector::splat(simd, 0.999));
            let mut sums: [S::$vector; CHAINS] =
                std::array::from_fn(|i| S::$vector::splat(simd, i as $real));
            for _ in 0..turns {
                for sum in &mut sums {
                    *sum = sum.mul_add(factor, factor);
                }
            }
            black_box(sums);
            2 * turns * CHAINS * S::$vector::LEN
        }
    };
}
chains!(f32_chains, f32s, f32);
chains!(f64_chains, f64s, f64);
