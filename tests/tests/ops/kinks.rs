//! What the gradient is where there is none.

use retrograde::prelude::*;
use retrograde_tests::derivatives::Function;

/// The table of conventions: what the gradient is where there is none.
#[test]
fn conventions_at_kinks() -> Result<()> {
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let table: Vec<(&str, Function, Vec<f64>, Vec<f64>)> = vec![
        ("relu at 0", |x| x.relu(), vec![0.0, -0.0], vec![0.0, 0.0]),
        (
            "leaky_relu at 0",
            |x| x.leaky_relu(0.2),
            vec![0.0],
            vec![0.2],
        ),
        ("elu at 0", |x| x.elu(0.3), vec![0.0], vec![0.3]),
        ("celu at 0", |x| x.celu(0.3), vec![0.0], vec![1.0]),
        (
            "selu at 0",
            |x| x.selu(),
            vec![0.0],
            vec![1.050_700_987_355_480_5 * 1.673_263_242_354_377_2],
        ),
        (
            "elu far above 0",
            |x| x.elu(1.0),
            vec![1e4, inf],
            vec![1.0, 1.0],
        ),
        (
            "relu6 at 0 and 6",
            |x| x.relu6(),
            vec![0.0, 6.0],
            vec![0.0, 0.0],
        ),
        (
            "hard_sigmoid at its ends",
            |x| x.hard_sigmoid(),
            vec![-3.0, 3.0],
            vec![0.0, 0.0],
        ),
        (
            "hard_swish at its ends",
            |x| x.hard_swish(),
            vec![-3.0, 3.0],
            vec![0.0, 1.0],
        ),
        ("softsign at 0", |x| x.softsign(), vec![0.0], vec![1.0]),
        (
            "log_sigmoid far out",
            |x| x.log_sigmoid(),
            vec![-1e3, 1e3],
            vec![1.0, 0.0],
        ),
        ("abs at 0", |x| x.abs(), vec![0.0], vec![0.0]),
        ("sign at 0", |x| x.sign(), vec![0.0], vec![0.0]),
        ("maximum at a tie", |x| x.maximum(1.0), vec![1.0], vec![0.5]),
        ("minimum at a tie", |x| x.minimum(1.0), vec![1.0], vec![0.5]),
        (
            "clamp at its bounds",
            |x| x.clamp(-1.0, 1.0),
            vec![-1.0, 1.0, 2.0],
            vec![1.0, 1.0, 0.0],
        ),
        (
            "max of ties",
            |x| x.max(),
            vec![2.0, 1.0, 2.0],
            vec![0.5, 0.0, 0.5],
        ),
        (
            "min of ties",
            |x| x.min(),
            vec![1.0, 1.0, 2.0, 1.0],
            vec![1.0 / 3.0, 1.0 / 3.0, 0.0, 1.0 / 3.0],
        ),
        (
            "norm inf of ties",
            |x| x.norm_p(f64::INFINITY),
            vec![2.0, -2.0],
            vec![0.5, -0.5],
        ),
        ("norm of 0", |x| x.norm(), vec![0.0, 0.0], vec![0.0, 0.0]),
        (
            "norm 3 of 0",
            |x| x.norm_p(3.0),
            vec![0.0, 0.0],
            vec![0.0, 0.0],
        ),
        (
            "std of equals",
            |x| x.std(0),
            vec![3.0, 3.0],
            vec![0.0, 0.0],
        ),
        ("hypot(0, 0)", |x| x.hypot(0.0), vec![0.0], vec![0.0]),
        (
            "hypot of zeros",
            |x| x.hypot(x),
            vec![0.0, -0.0],
            vec![0.0, 0.0],
        ),
        (
            "atan2(0, 0) by y",
            |y| y.atan2(0.0),
            vec![0.0, -0.0],
            vec![0.0, 0.0],
        ),
        (
            "atan2(0, 0) by x",
            |x| x.rec().scalar(0.0).atan2(x),
            vec![0.0, -0.0],
            vec![0.0, 0.0],
        ),
        ("cbrt at 0", |x| x.cbrt(), vec![0.0], vec![inf]),
        (
            "cbrt at 0, masked off",
            |x| x.gt(0.0).select(x.cbrt(), 1.0),
            vec![0.0],
            vec![0.0],
        ),
        (
            "asin, acosh, atanh at their ends, masked off",
            |x| x.lt(0.0).select(x.asin() + x.acosh() + x.atanh(), x),
            vec![1.0],
            vec![1.0],
        ),
        (
            "lgamma and digamma at a pole, masked off",
            |x| x.gt(0.0).select(x.lgamma() + x.digamma(), x),
            vec![0.0, -1.0],
            vec![1.0, 1.0],
        ),
        (
            "remainder by x",
            |x| x.remainder(2.0),
            vec![4.0, -3.0],
            vec![1.0, 1.0],
        ),
        (
            "remainder by y",
            |y| y.rec().scalar(-3.0).remainder(y),
            vec![2.0, -2.0],
            vec![2.0, -1.0],
        ),
        ("sinc at 0", |x| x.sinc(), vec![0.0], vec![0.0]),
        ("sqrt at 0", |x| x.sqrt(), vec![0.0], vec![inf]),
        ("ln at 0", |x| x.ln(), vec![0.0], vec![inf]),
        ("1/x at 0", |x| x.reciprocal(), vec![0.0], vec![-inf]),
        ("pow(x, 0)", |x| x.powf(0.0), vec![0.0, 2.0], vec![0.0, 0.0]),
        (
            "pow(0, y) by y",
            |y| y.rec().scalar(0.0).pow(y),
            vec![0.0, 2.0],
            vec![0.0, 0.0],
        ),
        ("pow of a negative", |x| x.powf(0.5), vec![-1.0], vec![nan]),
        (
            "floor, ceil, round, trunc",
            |x| x.floor() + x.ceil() + x.round() + x.trunc(),
            vec![1.0, 0.5],
            vec![0.0, 0.0],
        ),
        (
            "prod with a zero",
            |x| x.prod(),
            vec![2.0, 0.0, 3.0],
            vec![0.0, 6.0, 0.0],
        ),
        (
            "prod with two zeros",
            |x| x.prod(),
            vec![2.0, 0.0, 0.0],
            vec![0.0, 0.0, 0.0],
        ),
        ("var of one", |x| x.var(1), vec![2.0], vec![nan]),
        (
            "logsumexp of -inf",
            |x| x.logsumexp(),
            vec![-inf, -inf],
            vec![0.0, 0.0],
        ),
        (
            "logsumexp with +inf",
            |x| x.logsumexp(),
            vec![inf, 1.0, inf],
            vec![0.5, 0.0, 0.5],
        ),
        (
            "softmax of a masked row",
            |x| x.softmax(0),
            vec![-inf, -inf],
            vec![0.0, 0.0],
        ),
        ("l1 where equal", |x| x.l1(x.detach()), vec![2.0], vec![0.0]),
        (
            "softplus far out",
            |x| x.softplus(),
            vec![1e3, -1e3],
            vec![1.0, 0.0],
        ),
        (
            "hinge at its kink",
            |x| x.hinge_with(x.rec().ones([1]), Reduction::Sum),
            vec![1.0],
            vec![0.0],
        ),
        (
            "cummax at ties",
            |x| x.cummax(0),
            vec![1.0, 2.0, 2.0],
            vec![1.0, 2.0, 0.0],
        ),
        (
            "sort at ties",
            |x| x.sort(0, retrograde::Order::Ascending).at(0, 0),
            vec![2.0, 2.0],
            vec![1.0, 0.0],
        ),
        ("std of one", |x| x.std(1), vec![2.0], vec![nan]),
        ("powi(0)", |x| x.powi(0), vec![0.0, nan], vec![0.0, 0.0]),
        ("% by x", |x| x % 2.0, vec![4.0, -3.0], vec![1.0, 1.0]),
        (
            "% by y",
            |y| y.rec().scalar(-3.0) % y,
            vec![2.0, -2.0],
            vec![1.0, -1.0],
        ),
        (
            "masked_fill over what is no number",
            |x| x.sqrt().masked_fill(x.le(0.0), 0.0),
            vec![0.0, -1.0],
            vec![0.0, 0.0],
        ),
        (
            "sigmoid far out",
            |x| x.sigmoid(),
            vec![1e3, -1e3],
            vec![0.0, 0.0],
        ),
    ];
    let mut wrong = Vec::new();
    for (name, op, at, expected) in table {
        let tape = Tape::new();
        let x = tape.variable(Array::from_slice(&at));
        op(x).sum().backward()?;
        let found = x
            .grad()
            .map_or_else(|_| vec![0.0; at.len()], Array::into_vec);
        let same = found
            .iter()
            .zip(&expected)
            .all(|(a, b)| a == b || a.is_nan() && b.is_nan() || (a - b).abs() < 1e-15);
        if !same {
            wrong.push(format!(
                "{name}: at {at:?} the gradient is {found:?}, expected {expected:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
