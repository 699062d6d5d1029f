//! The gamma function's family left of 0, where the relative error is bounded by the size of what cancels; and its poles.

use retrograde_ops::Level;

use crate::effort;
use crate::support::functions::functions;
use crate::support::reference;
use crate::support::samples::Random;

const NAMES: [&str; 4] = ["lgamma", "digamma", "trigamma", "tetragamma"];

/// `|f(1 - x)| + |reflection|`: the terms whose difference the function is.
fn size(name: &str, x: f64) -> f64 {
    let pi = std::f64::consts::PI;
    let sine = core_math::sinpi(x).abs();
    match name {
        "lgamma" => core_math::lgamma(1.0 - x).abs() + (pi / sine).ln().abs() + 1.0,
        "digamma" => {
            reference::digamma(1.0 - x).abs() + pi * core_math::cospi(x).abs() / sine + 1.0
        }
        "trigamma" => reference::trigamma(1.0 - x) + (pi / sine).powi(2),
        _ => -reference::tetragamma(1.0 - x) + 2.0 * (pi / sine).powi(3),
    }
}

#[test]
fn left_of_zero() {
    let mut random = Random(11);
    let point = |_| -16.0 * random.unit();
    let xs: Vec<f64> = (0..4096 * effort()).map(point).collect();
    for f in functions().iter().filter(|f| NAMES.contains(&f.name)) {
        for level in Level::available() {
            let mut out = vec![0.0; xs.len()];
            (f.double)(level, &xs, &xs, &mut out);
            let halves: Vec<f32> = xs.iter().map(|&x| x as f32).collect();
            let mut half = vec![0.0; xs.len()];
            (f.single)(level, &halves, &halves, &mut half);
            for i in 0..xs.len() {
                for (x, got, unit) in [
                    (xs[i], out[i], f64::EPSILON),
                    (
                        f64::from(halves[i]),
                        f64::from(half[i]),
                        f64::from(f32::EPSILON),
                    ),
                ] {
                    if x == x.floor() {
                        continue;
                    }
                    let (exact, size) = ((f.exact)(x, x), size(f.name, x));
                    assert!(
                        (got - exact).abs() <= 6.0 * unit * size,
                        "{}({x:e}) is {got:e} at {level}, not {exact:e}",
                        f.name
                    );
                }
            }
        }
    }
}

#[test]
fn poles() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    // At 0, -0, -1, -2, -30, -2^60, -inf, inf.
    let at = [0.0, -0.0, -1.0, -2.0, -30.0, -(2f64.powi(60)), -inf, inf];
    let table: [(&str, [f64; 8]); 4] = [
        ("lgamma", [inf, inf, inf, inf, inf, inf, inf, inf]),
        ("digamma", [-inf, inf, nan, nan, nan, nan, nan, inf]),
        ("trigamma", [inf, inf, inf, inf, inf, inf, nan, 0.0]),
        ("tetragamma", [-inf, inf, nan, nan, nan, nan, nan, -0.0]),
    ];
    for (name, expected) in table {
        let functions = functions();
        let f = functions
            .iter()
            .find(|f| f.name == name)
            .expect("in the table");
        for level in Level::available() {
            for (x, expected) in at.into_iter().zip(expected) {
                let mut out = [0.0; 16];
                (f.double)(level, &[x; 16], &[0.0; 16], &mut out);
                let mut half = [0.0; 16];
                (f.single)(level, &[x as f32; 16], &[0.0; 16], &mut half);
                for got in [out[0], f64::from(half[3])] {
                    assert!(
                        got == expected || got.is_nan() && expected.is_nan(),
                        "{name}({x}) is {got} at {level}, not {expected}"
                    );
                }
            }
        }
    }
}
