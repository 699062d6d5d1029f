//! A lane's bits depend on its argument alone: not on its neighbours, the vector's width, or the level if it fuses.

use retrograde_ops::Level;

use crate::support::functions::{Map, functions};
use crate::support::measure::Ulp;
use crate::{double_limits, double_pairs, single_limits, single_pairs};

/// Pairs of all kinds, a multiple of 32 of them.
fn mixed<T: Copy>(mut pairs: Vec<(T, T)>, limits: Vec<T>) -> (Vec<T>, Vec<T>) {
    pairs.truncate(pairs.len() / 4);
    for (i, pair) in pairs.iter_mut().enumerate() {
        if i % 5 == 0 {
            pair.0 = limits[i / 5 % limits.len()];
        }
    }
    pairs.truncate(pairs.len() / 32 * 32);
    pairs.into_iter().unzip()
}

/// Compares as bits, but all NaN are one: their sign and payload are the hardware's.
fn same<T: Ulp>(a: T, b: T) -> bool {
    let (a, b): (f64, f64) = (a.into(), b.into());
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

fn assert_same<T: Ulp>(what: &str, got: &[T], expected: &[T], xs: &[T], ys: &[T]) {
    let differs = (0..got.len()).find(|&i| !same(got[i], expected[i]));
    if let Some(i) = differs {
        panic!(
            "{what}: {:e} is not {:e} at ({:e}, {:e})",
            got[i], expected[i], xs[i], ys[i]
        );
    }
}

fn result<T: Ulp>(kernel: Map<T>, level: Level, xs: &[T], ys: &[T]) -> Vec<T> {
    let mut out = vec![T::default(); xs.len()];
    kernel(level, xs, ys, &mut out);
    out
}

/// Calls the check with both types' kernels and arguments of every function.
macro_rules! for_each_kernel {
    ($f:ident, $name:ident, $check:ident) => {
        for $f in functions() {
            let $name = format!("{} in f32", $f.name);
            let (xs, ys) = mixed(single_pairs($f.domain), single_limits());
            $check(&$name, [$f.single, $f.single_narrow], &xs, &ys);
            let $name = format!("{} in f64", $f.name);
            let (xs, ys) = mixed(double_pairs($f.domain), double_limits());
            $check(&$name, [$f.double, $f.double_narrow], &xs, &ys);
        }
    };
}

#[test]
fn levels_with_fused_multiply_add_agree() {
    fn check<T: Ulp>(name: &str, [kernel, _]: [Map<T>; 2], xs: &[T], ys: &[T]) {
        let mut levels = Level::available();
        levels.retain(|&l| l != Level::Baseline);
        let Some(&first) = levels.first() else {
            return;
        };
        let expected = result(kernel, first, xs, ys);
        for &level in &levels[1..] {
            let what = format!("{name} at {level} against {first}");
            assert_same(&what, &result(kernel, level, xs, ys), &expected, xs, ys);
        }
    }
    for_each_kernel!(f, name, check);
}

#[test]
fn widths_agree() {
    fn check<T: Ulp>(name: &str, [wide, narrow]: [Map<T>; 2], xs: &[T], ys: &[T]) {
        for level in Level::available() {
            let expected = result(wide, level, xs, ys);
            let what = format!("{name} at {level}, 128 bits against a packet");
            assert_same(&what, &result(narrow, level, xs, ys), &expected, xs, ys);
        }
    }
    for_each_kernel!(f, name, check);
}

#[test]
fn neighbours_do_not_matter() {
    fn check<T: Ulp>(name: &str, [kernel, _]: [Map<T>; 2], xs: &[T], ys: &[T]) {
        // Every argument among ordinary ones: one in 16, the others 0.5.
        let spread = |v: &[T]| -> Vec<T> {
            let fill = |(i, &x): (usize, &T)| {
                let mut group = [T::round(0.5); 16];
                group[i % 16] = x;
                group
            };
            v.iter().enumerate().flat_map(fill).collect()
        };
        let (xs, ys) = (&xs[..2048], &ys[..2048]);
        let (alone_x, alone_y) = (spread(xs), spread(ys));
        for level in Level::available() {
            let alone = result(kernel, level, &alone_x, &alone_y);
            let alone: Vec<T> = (0..xs.len()).map(|i| alone[16 * i + i % 16]).collect();
            let together = result(kernel, level, xs, ys);
            let what = format!("{name} at {level}, together against alone");
            assert_same(&what, &together, &alone, xs, ys);
        }
    }
    for_each_kernel!(f, name, check);
}
