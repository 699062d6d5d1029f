//! Random numbers: the bits against the scalar generator, the distributions against their theory.

use retrograde_ops::Level;
use retrograde_ops::structured::{Counter, Draw, Permutation, Random, philox};
use retrograde_storage::DType;

use crate::common::*;

const COUNTER: Counter = Counter {
    key: 0x1234_5678_9abc_def0,
    ordinal: 5,
    step: 0x7_0000_0003,
};

fn draw_at(level: Level, counter: Counter, draw: Draw, dtype: DType, n: usize) -> Buf {
    let dst = Buf::dense(dtype, &[n]);
    let kernel = Random {
        counter,
        draw,
        dst: dst.raw(),
    };
    kernel.check().unwrap();
    // SAFETY: one live allocation, dense.
    run(n > 20_000, kernel.blocks(), |b| unsafe {
        kernel.run_block(level, b);
    });
    assert!(dst.rest_untouched());
    dst
}

fn draw(draw: Draw, dtype: DType, n: usize) -> Buf {
    draw_at(Level::detect(), COUNTER, draw, dtype, n)
}

/// Element `e`'s word as documented: 16 counters a group, word by word.
fn word(e: usize) -> u32 {
    let (group, word, lane) = (e / 64, e % 64 / 16, e % 16);
    let counter = [(group * 16 + lane) as u32, COUNTER.step as u32, 5, 7];
    philox(counter, [0x9abc_def0, 0x1234_5678])[word]
}

#[test]
fn bits_are_the_generators() {
    let n = 20_011;
    let bits = draw(Draw::Bits, DType::U32, n).all();
    assert!((0..n).all(|e| bits[e] == u64::from(word(e))));
}

#[test]
fn every_level_and_length_gives_the_same_bits() {
    let all = [
        (Draw::Bits, DType::U32),
        (Draw::Uniform, DType::F32),
        (Draw::Uniform, DType::F64),
        (Draw::Normal, DType::F32),
        (Draw::Normal, DType::F64),
        (Draw::Bernoulli { p: 0.3 }, DType::Bool),
        (Draw::Integer { low: 0, high: 1000 }, DType::U32),
        (
            Draw::Integer {
                low: -5,
                high: 1 << 40,
            },
            DType::I64,
        ),
    ];
    for (what, dtype) in all {
        let long = draw(what, dtype, 30_000).all();
        for level in Level::available() {
            for n in [0, 1, 15, 16, 17, 63, 64, 65, 8191, 8193, 30_000] {
                let short = draw_at(level, COUNTER, what, dtype, n).all();
                assert!(
                    short == long[..n],
                    "{what:?} {dtype} at {level}, {n} elements"
                );
            }
        }
        for other in [
            Counter {
                key: COUNTER.key ^ 1 << 40,
                ..COUNTER
            },
            Counter {
                ordinal: 6,
                ..COUNTER
            },
            Counter {
                step: COUNTER.step + 1,
                ..COUNTER
            },
            Counter {
                step: COUNTER.step + (1 << 32),
                ..COUNTER
            },
        ] {
            let there = draw_at(Level::detect(), other, what, dtype, 300).all();
            assert!(there != long[..300], "{what:?} {dtype}: {other:?} repeats");
        }
    }
}

/// The normal distribution function by an independent route: Simpson's rule from 0 on the density.
fn normal_cdf(x: f64) -> f64 {
    let (n, end) = (400, x.clamp(-9.0, 9.0));
    let step = end / f64::from(n);
    let density = |t: f64| (-0.5 * t * t).exp();
    let inner: f64 = (1..n)
        .map(|i| density(f64::from(i) * step) * if i % 2 == 1 { 4.0 } else { 2.0 })
        .sum();
    0.5 + (density(0.0) + inner + density(end)) * step / 3.0 / (2.0 * std::f64::consts::PI).sqrt()
}

/// Kolmogorov's distance times `sqrt n`: above 2.2 with probability 1e-4 for a right sampler.
fn kolmogorov(mut xs: Vec<f64>, cdf: impl Fn(f64) -> f64) -> f64 {
    xs.sort_by(f64::total_cmp);
    let n = xs.len() as f64;
    let far = xs.iter().enumerate().fold(0.0f64, |far, (i, &x)| {
        let p = cdf(x);
        far.max((p - i as f64 / n).abs())
            .max((p - (i + 1) as f64 / n).abs())
    });
    far * n.sqrt()
}

/// `|observed - expected|` in standard deviations of the mean of `n` values with variance `variance`.
fn sigmas(sum: f64, n: usize, expected: f64, variance: f64) -> f64 {
    (sum / n as f64 - expected).abs() / (variance / n as f64).sqrt()
}

#[test]
fn normals_are_normal() {
    let n = 1 << 18;
    for dtype in [DType::F32, DType::F64] {
        let xs = draw(Draw::Normal, dtype, n).numbers();
        let moment = |k: i32| xs.iter().map(|x| x.powi(k)).sum::<f64>();
        // E x^k = 1, 0, 3, 0, 15 for k = 2 to 6; variances E x^2k - (E x^k)^2.
        for (k, mean, variance) in [
            (1, 0.0, 1.0),
            (2, 1.0, 2.0),
            (3, 0.0, 15.0),
            (4, 3.0, 96.0),
            (6, 15.0, 10170.0),
        ] {
            assert!(
                sigmas(moment(k), n, mean, variance) < 4.0,
                "{dtype}: moment {k}"
            );
        }
        assert!(kolmogorov(xs.clone(), normal_cdf) < 2.2, "{dtype}");
        // Tails: the number beyond 3 and 4, within 4 standard deviations of Poisson.
        for bound in [3.0, 4.0] {
            for sign in [-1.0, 1.0] {
                let expected = normal_cdf(-bound) * n as f64;
                let beyond = xs.iter().filter(|&&x| x * sign > bound).count() as f64;
                assert!(
                    (beyond - expected).abs() < 4.0 * expected.sqrt() + 2.0,
                    "{dtype}: {beyond} beyond {bound}, {expected} expected"
                );
            }
        }
        // Neighbours in memory, in the vector's next packet, in the next word are uncorrelated.
        for lag in [1, 8, 16, 32, 64] {
            let product: f64 = xs.iter().zip(&xs[lag..]).map(|(a, b)| a * b).sum();
            assert!(
                sigmas(product, n - lag, 0.0, 1.0) < 4.0,
                "{dtype}: lag {lag}"
            );
        }
    }
}

#[test]
fn uniforms_are_uniform() {
    let n = 1 << 18;
    for (dtype, grid) in [(DType::F32, 24), (DType::F64, 53)] {
        let xs = draw(Draw::Uniform, dtype, n).numbers();
        assert!(xs.iter().all(|&x| (0.0..1.0).contains(&x)));
        let scale = 2f64.powi(grid);
        assert!(xs.iter().all(|&x| (x * scale).fract() == 0.0));
        assert!(xs.iter().any(|&x| (x * scale / 2.0).fract() != 0.0));
        assert!(kolmogorov(xs, |x| x) < 2.2);
    }
    // The top bits of the words, no others.
    let xs = draw(Draw::Uniform, DType::F32, 100).numbers();
    assert!((0..100).all(|e| xs[e] == f64::from(word(e) >> 8) / 16_777_216.0));
}

#[test]
fn masks_have_their_probability() {
    let n = 1 << 17;
    for p in [0.0, 1e-3, 0.1, 0.5, 0.9, 1.0, -1.0, 2.0, f64::NAN] {
        let trues = draw(Draw::Bernoulli { p }, DType::Bool, n).numbers();
        assert!(trues.iter().all(|&t| t == 0.0 || t == 1.0));
        let (sum, p) = (
            trues.iter().sum::<f64>(),
            if p > 0.0 { p.min(1.0) } else { 0.0 },
        );
        if p == 0.0 || p == 1.0 {
            assert_eq!(sum, p * n as f64);
        } else {
            assert!(sigmas(sum, n, p, p * (1.0 - p)) < 4.0, "p = {p}");
        }
    }
}

#[test]
fn integers_cover_their_range_evenly() {
    let n = 70_000;
    for (dtype, low, high) in [
        (DType::U32, 10, 17),
        (DType::I64, -3, 4),
        (DType::U32, 0, 1),
    ] {
        let xs = draw(Draw::Integer { low, high }, dtype, n).numbers();
        let count = (high - low) as f64;
        for value in low..high {
            let hits = xs.iter().filter(|&&x| x == value as f64).count() as f64;
            let p = 1.0 / count;
            assert!(
                sigmas(hits, n, p, p * (1.0 - p) + 1e-12) < 4.5,
                "{value}: {hits}"
            );
        }
        assert!(xs.iter().all(|&x| (low..high).contains(&(x as i64))));
    }
    // The widest ranges: every value of the type may come, and halves are even.
    for (dtype, low, high) in [
        (DType::U32, 0, 1 << 32),
        (DType::I64, i64::MIN, i64::MAX),
        (DType::I64, 0, 3 << 61),
    ] {
        let xs = draw(Draw::Integer { low, high }, dtype, n).numbers();
        let width = high as f64 - low as f64;
        assert!(kolmogorov(xs, |x| (x - low as f64) / width) < 2.2);
    }
}

#[test]
fn permutations_are_even() {
    for n in [0usize, 1, 2, 1000] {
        let dst = Buf::dense(DType::I64, &[n]);
        let kernel = Permutation {
            counter: COUNTER,
            dst: dst.raw(),
        };
        kernel.check().unwrap();
        // SAFETY: one live allocation.
        run(false, kernel.blocks(), |b| unsafe {
            kernel.run_block(Level::detect(), b);
        });
        let mut all = dst.all();
        all.sort_unstable();
        assert!(all.iter().enumerate().all(|(i, &x)| i as u64 == x));
    }
    // All 24 orders of four things are equally frequent.
    let (rounds, mut seen) = (24_000, std::collections::BTreeMap::new());
    for step in 0..rounds {
        let dst = Buf::dense(DType::U32, &[4]);
        let kernel = Permutation {
            counter: Counter { step, ..COUNTER },
            dst: dst.raw(),
        };
        // SAFETY: one live allocation.
        unsafe { kernel.run_block(Level::detect(), 0) };
        *seen.entry(dst.all()).or_insert(0) += 1;
    }
    assert_eq!(seen.len(), 24);
    let chi: f64 = seen
        .values()
        .map(|&c| (f64::from(c) - 1000.0).powi(2) / 1000.0)
        .sum();
    // 23 degrees of freedom: above 56 with probability 1e-4.
    assert!(chi < 56.0, "chi squared {chi}");
}

#[test]
fn what_does_not_fit_is_rejected() {
    let (floats, ints) = (Buf::dense(DType::F32, &[4]), Buf::dense(DType::U32, &[4]));
    let check = |draw, dst: &Buf| {
        Random {
            counter: COUNTER,
            draw,
            dst: dst.raw(),
        }
        .check()
    };
    assert!(check(Draw::Bits, &floats).is_err());
    assert!(check(Draw::Normal, &ints).is_err());
    assert!(check(Draw::Integer { low: 3, high: 3 }, &ints).is_err());
    assert!(check(Draw::Integer { low: -1, high: 3 }, &ints).is_err());
    assert!(check(Draw::Integer { low: 0, high: 3 }, &ints).is_ok());
}
