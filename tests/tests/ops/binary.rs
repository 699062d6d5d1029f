//! Functions of two operands, broadcast in both orders.

use retrograde::prelude::*;
use retrograde_tests::derivatives::{Pair, check_derivatives, run, samples};

#[test]
fn binary_values_and_derivatives() -> Result<()> {
    let ops: [(&str, Pair, fn(f64, f64) -> f64); 14] = [
        ("add", |x, y| x + y, |x, y| x + y),
        ("sub", |x, y| x - y, |x, y| x - y),
        ("mul", |x, y| x * y, |x, y| x * y),
        ("div", |x, y| x / y, |x, y| x / y),
        ("maximum", |x, y| x.maximum(y), f64::max),
        ("minimum", |x, y| x.minimum(y), f64::min),
        ("pow", |x, y| x.pow(y), f64::powf),
        ("atan2", |x, y| x.atan2(y), f64::atan2),
        ("hypot", |x, y| x.hypot(y), f64::hypot),
        (
            "remainder",
            |x, y| (x * 7.0).remainder(-y),
            |x, y| (7.0 * x).rem_euclid(y) - y,
        ),
        ("copysign", |x, y| x.copysign(y), f64::copysign),
        (
            "hardshrink",
            |x, y| x.hardshrink(y),
            |x, y| {
                if x.abs() <= y { 0.0 } else { x }
            },
        ),
        ("lerp", |x, y| x.lerp(y, 0.3), |x, y| x + 0.3 * (y - x)),
        (
            "select",
            |x, y| x.gt(y).select(x * y, x - y),
            |x, y| if x > y { x * y } else { x - y },
        ),
    ];
    let pairs: [(&[usize], &[usize]); 10] = [
        (&[], &[]),
        (&[1], &[]),
        (&[17], &[]),
        (&[2, 1], &[2]),
        (&[3, 2], &[2]),
        (&[1, 3, 2], &[3, 2]),
        (&[3, 1, 2], &[1, 3, 2]),
        (&[0, 1, 3], &[0, 4, 3]),
        (&[4, 5], &[4, 1]),
        (&[2, 3, 1, 2], &[3, 4, 1]),
    ];
    for (name, op, oracle) in ops {
        for (a, b) in pairs {
            for (a, b) in [(a, b), (b, a)] {
                let (x, y) = (samples(a, (0.4, 2.0)), samples(b, (0.45, 1.95)));
                let inputs = [x.clone(), y.clone()];
                let p = Program::try_record(&inputs, |_, [x, y]| Ok(op(x, y).into()))?;
                let found = run(&p, &[&x, &y])?.remove(0);
                let pad = |index: &[usize], shape: &[usize]| -> Vec<usize> {
                    let lead = index.len() - shape.len();
                    shape
                        .iter()
                        .zip(&index[lead..])
                        .map(|(&d, &i)| if d == 1 { 0 } else { i })
                        .collect()
                };
                let expected = Array::from_shape_fn(found.shape().to_vec(), |i| {
                    oracle(
                        *x.get(&pad(i, a)).expect("inside"),
                        *y.get(&pad(i, b)).expect("inside"),
                    )
                });
                found.assert_close(&expected, 4e-15, 4e-15);
                let p = Program::try_record(&inputs, |_, [x, y]| Ok(op(x, y).sin().sum().into()))?;
                check_derivatives(&format!("{name} of {a:?} and {b:?}"), &p, &[&x, &y])?;
            }
        }
    }
    Ok(())
}
