//! Functions with one correct answer: bit for bit what the standard library computes.

use retrograde_ops::Level;

use crate::support::kernels::*;
use crate::support::measure::Ulp;
use crate::support::samples::{Random, double};
use crate::{double_limits, effort, single_limits};

/// The limits crossed with some of themselves, then random pairs, of which a part lies close together.
fn pairs<T: Ulp>(limits: &[T]) -> (Vec<T>, Vec<T>) {
    let some: Vec<T> = limits.iter().copied().step_by(13).collect();
    let crossed = limits
        .iter()
        .flat_map(|&x| some.iter().map(move |&y| (x, y)));
    let mut random = Random(7);
    let random = (0..20_000 * effort()).map(|_| {
        let x = double(&mut random);
        let y = if random.bits().is_multiple_of(2) {
            double(&mut random)
        } else {
            x * random.within(1.0)
        };
        (T::round(x), T::round(y))
    });
    let mut all: Vec<(T, T)> = crossed.chain(random).collect();
    all.truncate(all.len() / 16 * 16);
    all.into_iter().unzip()
}

/// Compares `K` with `expected` over all pairs, at every level, full packets and narrow vectors.
fn check<T: Ulp + Sample, K: Kernel>(name: &str, limits: &[T], expected: fn(T, T) -> T) {
    let (xs, ys) = pairs(limits);
    let mut out = vec![T::default(); xs.len()];
    for level in Level::available() {
        for kernel in [run::<T, K>, run_narrow::<T, K>] {
            kernel(level, &xs, &ys, &mut out);
            for i in 0..xs.len() {
                let (got, value): (f64, f64) = (out[i].into(), expected(xs[i], ys[i]).into());
                assert!(
                    got.to_bits() == value.to_bits() || (got.is_nan() && value.is_nan()),
                    "{name}({:e}, {:e}) is {got:e} at {level}, not {value:e}",
                    xs[i],
                    ys[i]
                );
            }
        }
    }
}

/// The floored remainder, by that of truncation, which is exact.
fn floored<T>(x: T, y: T) -> T
where
    T: Ulp + std::ops::Rem<Output = T> + std::ops::Add<Output = T>,
{
    let left = x % y;
    let (l, d): (f64, f64) = (left.into(), y.into());
    if l == 0.0 {
        T::round(0_f64.copysign(d))
    } else if (l < 0.0) == (d < 0.0) {
        left
    } else {
        left + y
    }
}

macro_rules! same_as {
    ($($test:ident $kernel:ident |$x:ident, $y:ident| $expected:expr;)*) => {$(
        #[test]
        fn $test() {
            check::<f32, $kernel>(stringify!($test), &single_limits(), |$x: f32, $y: f32| $expected);
            check::<f64, $kernel>(stringify!($test), &double_limits(), |$x: f64, $y: f64| $expected);
        }
    )*};
}

same_as! {
    floor Floor |x, _y| x.floor();
    ceil Ceil |x, _y| x.ceil();
    round Round |x, _y| x.round_ties_even();
    trunc Trunc |x, _y| x.trunc();
    sqrt Sqrt |x, _y| x.sqrt();
    sign Sign |x, _y| if x == 0.0 || x.is_nan() { x } else { x.signum() };
    relu Relu |x, _y| if x <= 0.0 { 0.0 } else { x };
    remainder Rem |x, y| x % y;
    floored_remainder Remainder |x, y| floored(x, y);
    copysign Copysign |x, y| x.copysign(y);
    hardshrink Hardshrink |x, y| if x.abs() <= y { 0.0 } else { x };
    maximum Max |x, y| if x > y || x.is_nan() { x } else { y };
    minimum Min |x, y| if x < y || x.is_nan() { x } else { y };
}
