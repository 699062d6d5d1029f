//! Algebra that the optimiser does, and algebra that it must not do: with every special value, bit for bit what was
//! recorded.

use retrograde::Options;
use retrograde::prelude::*;
use retrograde_tests::bits::first_difference_of_all;
use retrograde_tests::derivatives::{Function, Single};

#[test]
fn folding_is_exact() -> Result<()> {
    macro_rules! table {
        ($($name:literal |$x:ident| $body:expr;)*) => {
            [$(($name, (|$x| $body) as Function, (|$x| $body) as Single)),*]
        };
    }
    let table = table! {
        "x * 0" |x| x * 0.0;
        "x * -0" |x| x * -0.0;
        "x * 1" |x| 1.0 * x;
        "x * -1" |x| x * -1.0;
        "x * 2" |x| x * 2.0;
        "x * 0.5" |x| 0.5 * x;
        "x + 0" |x| x + 0.0;
        "x + -0" |x| -0.0 + x;
        "x - 0" |x| x - 0.0;
        "0 - x" |x| 0.0 - x;
        "x / 1" |x| x / 1.0;
        "x / -1" |x| x / -1.0;
        "x / 2" |x| x / 2.0;
        "x / 0" |x| x / 0.0;
        "1 / (1 / x)" |x| 1.0 / (1.0 / x);
        "x - x" |x| x - x;
        "x / x" |x| x / x;
        "x + x" |x| x + x;
        "--x" |x| -(-x);
        "x - -x" |x| x - (-x);
        "x * x" |x| x * x;
        "abs abs" |x| x.abs().abs();
        "relu relu" |x| x.relu().relu();
        "sqrt square" |x| x.square().sqrt();
        "exp ln" |x| x.ln().exp();
        "max of one" |x| x.maximum(x);
        "powers" |x| x.powi(0) + x.powi(1) + x.powi(2) - x.powi(3) * x.powi(-1);
        "literals add" |x| (x.rec().scalar(1.0) + 2.0) * x;
        "literals subtract" |x| (x.rec().scalar(0.5) - 2.0) + x;
        "literals multiply" |x| x - x.rec().scalar(-1.0) * 2.0;
        "literals divide" |x| x / (x.rec().scalar(1.0) / 2.0);
        "literals make NaN" |x| x.rec().scalar(0.0) / 0.0 + x;
        "literals make infinity" |x| x * (x.rec().scalar(1.0) / 0.0);
        "select of equals" |x| x.gt(0.0).select(x, x);
        "a constant choice" |x| x.rec().scalar(true).select(x, x.ln());
        "moves there and back" |x| x.unsqueeze(0).t().t().squeeze(0).flip(0).flip(0);
        "sums of one" |x| x.unsqueeze(1).sum_over(1) + x.unsqueeze(0).max_over(0);
        "common parts" |x| (x.sin() * x.cos() + x.sin()) * x.cos() - x.sin();
    };
    let at = [
        f64::NEG_INFINITY,
        -3.0,
        -0.0,
        0.0,
        5e-324,
        1.0,
        2.5,
        f64::MAX,
        f64::INFINITY,
        f64::NAN,
    ];
    let x = Array::<f64>::from_slice(&at);
    for (name, op, single) in table {
        difference(name, &x, op)?;
        difference(name, &x.cast::<f32>(), single)?;
    }
    Ok(())
}

/// Value and vector-Jacobian product, as recorded and optimised.
fn difference<T: Float>(
    name: &str,
    x: &Array<T>,
    op: impl for<'t> Fn(Var<'t, T>) -> Var<'t, T>,
) -> Result<()> {
    let run = |optimise: bool| -> Result<Vec<Array<T>>> {
        let options = Options {
            optimise,
            ..Options::default()
        };
        let inputs = [x.clone()];
        let p = Program::try_record_with(&inputs, options, |_, [x]| Ok(op(x).into()))?.vjp()?;
        let seed = x.map(|x: T| {
            if x.to_f64().is_finite() {
                T::of(0.75)
            } else {
                T::of(0.0)
            }
        });
        let mut ws = p.workspace()?;
        let out = p.run(&mut ws, [x, &seed])?;
        (0..out.len()).map(|i| out.array(i)).collect()
    };
    let difference = first_difference_of_all(&run(false)?, &run(true)?);
    assert!(
        difference.is_none(),
        "{name} in {:?}: {difference:?}",
        T::DTYPE
    );
    Ok(())
}
