//! Special values and thresholds: zeros with their sign, infinities, NaN, subnormal numbers, the edges of domains.

use retrograde_ops::Level;

use crate::support::functions::{Map, functions};
use crate::support::measure::{Points, Ulp};
use crate::{double_limits, single_limits};

/// Finds results beyond the bound and zeros of the wrong sign.
fn check<T: Ulp>(
    name: &str,
    kernel: Map<T>,
    level: Level,
    points: &Points<T>,
    bound: f64,
    wrong: &mut Vec<String>,
) {
    let mut out = vec![T::default(); points.xs.len()];
    kernel(level, &points.xs, &points.ys, &mut out);
    for (i, &got) in out.iter().enumerate() {
        let exact = points.exact[i];
        let value: f64 = got.into();
        let rounded: f64 = T::round(exact).into();
        let zero_differs =
            value == 0.0 && rounded == 0.0 && value.is_sign_negative() != exact.is_sign_negative();
        if got.distance(exact) > bound || zero_differs {
            let at = points.name(i, false);
            wrong.push(format!("{name} at {level}: {got:e} for {exact:e} at {at}"));
        }
    }
}

#[test]
fn limits_and_their_neighbours() {
    let mut wrong = Vec::new();
    for f in functions().iter().filter(|f| !f.domain.is_two()) {
        let single = Points::new(
            single_limits()
                .into_iter()
                .map(|x| f.domain.fold(x))
                .map(|x| (x, x))
                .collect(),
            f.exact,
        );
        let double = Points::new(
            double_limits()
                .into_iter()
                .map(|x| f.domain.fold(x))
                .map(|x| (x, x))
                .collect(),
            f.exact,
        );
        for level in Level::available() {
            let bounds = f.bounds(level);
            check(f.name, f.single, level, &single, bounds.single, &mut wrong);
            check(f.name, f.double, level, &double, bounds.double, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the references say is also what a reader expects: `(function, argument, value)`.
const EXPECTED: [(&str, f64, f64); 105] = [
    ("exp", 0.0, 1.0),
    ("exp", f64::INFINITY, f64::INFINITY),
    ("exp", f64::NEG_INFINITY, 0.0),
    ("exp", 1000.0, f64::INFINITY),
    ("exp", -1000.0, 0.0),
    ("expm1", -0.0, -0.0),
    ("expm1", f64::NEG_INFINITY, -1.0),
    ("expm1", 1000.0, f64::INFINITY),
    ("exp2", 10.0, 1024.0),
    ("exp2", 1024.0, f64::INFINITY),
    ("exp2", f64::NEG_INFINITY, 0.0),
    ("exp2", f64::INFINITY, f64::INFINITY),
    ("log2", 0.0, f64::NEG_INFINITY),
    ("log2", 8.0, 3.0),
    ("log2", 1.0, 0.0),
    ("log2", -1.0, f64::NAN),
    ("log2", f64::INFINITY, f64::INFINITY),
    ("log10", 0.0, f64::NEG_INFINITY),
    ("log10", 1000.0, 3.0),
    ("log10", 1.0, 0.0),
    ("log10", -1.0, f64::NAN),
    ("log10", f64::INFINITY, f64::INFINITY),
    ("cbrt", -0.0, -0.0),
    ("cbrt", -27.0, -3.0),
    ("cbrt", f64::INFINITY, f64::INFINITY),
    ("cbrt", f64::NEG_INFINITY, f64::NEG_INFINITY),
    ("asin", -0.0, -0.0),
    ("asin", 1.5, f64::NAN),
    ("asin", f64::NEG_INFINITY, f64::NAN),
    ("acos", 1.0, 0.0),
    ("acos", 1.5, f64::NAN),
    ("acos", f64::INFINITY, f64::NAN),
    ("atan", -0.0, -0.0),
    ("sinh", -0.0, -0.0),
    ("sinh", f64::INFINITY, f64::INFINITY),
    ("sinh", f64::NEG_INFINITY, f64::NEG_INFINITY),
    ("sinh", 1000.0, f64::INFINITY),
    ("cosh", 0.0, 1.0),
    ("cosh", f64::NEG_INFINITY, f64::INFINITY),
    ("cosh", f64::INFINITY, f64::INFINITY),
    ("cosh", -1000.0, f64::INFINITY),
    ("asinh", -0.0, -0.0),
    ("asinh", f64::INFINITY, f64::INFINITY),
    ("asinh", f64::NEG_INFINITY, f64::NEG_INFINITY),
    ("acosh", 1.0, 0.0),
    ("acosh", 0.5, f64::NAN),
    ("acosh", f64::NEG_INFINITY, f64::NAN),
    ("acosh", f64::INFINITY, f64::INFINITY),
    ("acosh", -3.0, f64::NAN),
    ("atanh", -0.0, -0.0),
    ("atanh", 1.0, f64::INFINITY),
    ("atanh", -1.0, f64::NEG_INFINITY),
    ("atanh", 1.5, f64::NAN),
    ("atanh", f64::INFINITY, f64::NAN),
    ("sinc", 0.0, 1.0),
    ("sinc", -0.0, 1.0),
    ("sinc", f64::INFINITY, 0.0),
    ("sinc", -3.0, 0.0),
    ("normal_icdf", 0.0, f64::NEG_INFINITY),
    ("normal_icdf", 1.0, f64::INFINITY),
    ("normal_icdf", 0.5, 0.0),
    ("normal_icdf", 1.5, f64::NAN),
    ("normal_icdf", -0.5, f64::NAN),
    ("normal_icdf", f64::INFINITY, f64::NAN),
    ("lgamma", 1.0, 0.0),
    ("lgamma", 2.0, 0.0),
    ("lgamma", f64::INFINITY, f64::INFINITY),
    ("ln", 1.0, 0.0),
    ("ln", 0.0, f64::NEG_INFINITY),
    ("ln", -0.0, f64::NEG_INFINITY),
    ("ln", -1.0, f64::NAN),
    ("ln", f64::INFINITY, f64::INFINITY),
    ("log1p", -0.0, -0.0),
    ("log1p", -1.0, f64::NEG_INFINITY),
    ("log1p", -1.5, f64::NAN),
    ("log1p", f64::INFINITY, f64::INFINITY),
    ("sqrt", -0.0, -0.0),
    ("sqrt", -1.0, f64::NAN),
    ("rsqrt", 0.0, f64::INFINITY),
    ("rsqrt", -0.0, f64::NEG_INFINITY),
    ("rsqrt", f64::INFINITY, 0.0),
    ("sin", -0.0, -0.0),
    ("sin", f64::INFINITY, f64::NAN),
    ("cos", 0.0, 1.0),
    ("cos", f64::NEG_INFINITY, f64::NAN),
    ("tan", -0.0, -0.0),
    ("tan", f64::INFINITY, f64::NAN),
    ("tanh", -0.0, -0.0),
    ("tanh", f64::NEG_INFINITY, -1.0),
    ("tanh", 1e30, 1.0),
    ("sigmoid", 0.0, 0.5),
    ("sigmoid", f64::INFINITY, 1.0),
    ("sigmoid", f64::NEG_INFINITY, 0.0),
    ("sigmoid", -1000.0, 0.0),
    ("softplus", f64::INFINITY, f64::INFINITY),
    ("softplus", f64::NEG_INFINITY, 0.0),
    ("softplus", 1000.0, 1000.0),
    ("erf", -0.0, -0.0),
    ("erf", f64::NEG_INFINITY, -1.0),
    ("erfc", f64::INFINITY, 0.0),
    ("erfc", f64::NEG_INFINITY, 2.0),
    ("erfc", 1000.0, 0.0),
    ("normal_cdf", 0.0, 0.5),
    ("normal_cdf", f64::INFINITY, 1.0),
    ("normal_cdf", f64::NEG_INFINITY, 0.0),
];

#[test]
fn values_everybody_knows() {
    let functions = functions();
    for (name, x, expected) in EXPECTED {
        let f = functions
            .iter()
            .find(|f| f.name == name)
            .expect("a function of the table");
        for level in Level::available() {
            let mut single = [0_f32; 16];
            (f.single)(level, &[x as f32; 16], &[0.0; 16], &mut single);
            let mut double = [0_f64; 16];
            (f.double)(level, &[x; 16], &[0.0; 16], &mut double);
            for got in double.into_iter().chain(single.map(f64::from)) {
                assert!(
                    got.to_bits() == expected.to_bits() || (got.is_nan() && expected.is_nan()),
                    "{name}({x}) is {got} at {level}, not {expected}"
                );
            }
        }
    }
}

#[test]
fn nan_stays_nan() {
    for f in functions().iter().filter(|f| !f.domain.is_two()) {
        for level in Level::available() {
            let mut single = [0_f32; 16];
            (f.single)(level, &[f32::NAN; 16], &[0.0; 16], &mut single);
            let mut double = [0_f64; 16];
            (f.double)(level, &[f64::NAN; 16], &[0.0; 16], &mut double);
            assert!(
                single.iter().all(|x| x.is_nan()),
                "{} in f32 at {level}",
                f.name
            );
            assert!(
                double.iter().all(|x| x.is_nan()),
                "{} in f64 at {level}",
                f.name
            );
        }
    }
}
