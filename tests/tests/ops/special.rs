//! Infinities, NaN and zeros of both signs: values and derivatives as IEEE has them.

use retrograde::Order;
use retrograde::prelude::*;
use retrograde_tests::bits::first_difference;
use retrograde_tests::derivatives::{Function, Pair, Single};

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;
const AT: [f64; 5] = [-INF, -0.0, 0.0, INF, NAN];

/// Signs of zeros are left out: `0.0 == -0.0`.
fn same(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan() || (a - b).abs() < 2e-16 * b.abs()
}

#[test]
fn of_one_operand() -> Result<()> {
    use std::f64::consts::{FRAC_2_SQRT_PI, FRAC_PI_2, LN_2, LN_10, PI};
    let density = 1.0 / (2.0 * std::f64::consts::PI).sqrt();
    macro_rules! table {
        ($($name:literal, |$x:ident| $body:expr, $value:expr, $slope:expr;)*) => {
            [$(($name, (|$x| $body) as Function, (|$x| $body) as Single, $value, $slope)),*]
        };
    }
    // Values and slopes at -inf, -0, 0, inf, NaN.
    let table: [(&str, Function, Single, [f64; 5], [f64; 5]); 62] = table! {
        "neg", |x| -x, [INF, 0.0, 0.0, -INF, NAN], [-1.0; 5];
        "abs", |x| x.abs(), [INF, 0.0, 0.0, INF, NAN], [-1.0, 0.0, 0.0, 1.0, NAN];
        "reciprocal", |x| x.reciprocal(), [0.0, -INF, INF, 0.0, NAN], [0.0, -INF, -INF, 0.0, NAN];
        "square", |x| x.square(), [INF, 0.0, 0.0, INF, NAN], [-INF, 0.0, 0.0, INF, NAN];
        "sqrt", |x| x.sqrt(), [NAN, 0.0, 0.0, INF, NAN], [NAN, -INF, INF, 0.0, NAN];
        "rsqrt", |x| x.rsqrt(), [NAN, -INF, INF, 0.0, NAN], [NAN, INF, -INF, 0.0, NAN];
        "exp", |x| x.exp(), [0.0, 1.0, 1.0, INF, NAN], [0.0, 1.0, 1.0, INF, NAN];
        "expm1", |x| x.expm1(), [-1.0, 0.0, 0.0, INF, NAN], [0.0, 1.0, 1.0, INF, NAN];
        "ln", |x| x.ln(), [NAN, -INF, -INF, INF, NAN], [0.0, -INF, INF, 0.0, NAN];
        "log1p", |x| x.log1p(), [NAN, 0.0, 0.0, INF, NAN], [0.0, 1.0, 1.0, 0.0, NAN];
        "sin", |x| x.sin(), [NAN, 0.0, 0.0, NAN, NAN], [NAN, 1.0, 1.0, NAN, NAN];
        "cos", |x| x.cos(), [NAN, 1.0, 1.0, NAN, NAN], [NAN, 0.0, 0.0, NAN, NAN];
        "tan", |x| x.tan(), [NAN, 0.0, 0.0, NAN, NAN], [NAN, 1.0, 1.0, NAN, NAN];
        "tanh", |x| x.tanh(), [-1.0, 0.0, 0.0, 1.0, NAN], [0.0, 1.0, 1.0, 0.0, NAN];
        "sigmoid", |x| x.sigmoid(), [0.0, 0.5, 0.5, 1.0, NAN], [0.0, 0.25, 0.25, 0.0, NAN];
        "softplus", |x| x.softplus(), [0.0, LN_2, LN_2, INF, NAN], [0.0, 0.5, 0.5, 1.0, NAN];
        "erf", |x| x.erf(), [-1.0, 0.0, 0.0, 1.0, NAN], [0.0, FRAC_2_SQRT_PI, FRAC_2_SQRT_PI, 0.0, NAN];
        "normal_cdf", |x| x.normal_cdf(), [0.0, 0.5, 0.5, 1.0, NAN], [0.0, density, density, 0.0, NAN];
        "exp2", |x| x.exp2(), [0.0, 1.0, 1.0, INF, NAN], [0.0, LN_2, LN_2, INF, NAN];
        "log2", |x| x.log2(), [NAN, -INF, -INF, INF, NAN], [0.0, -INF, INF, 0.0, NAN];
        "log10", |x| x.log10(), [NAN, -INF, -INF, INF, NAN], [0.0, -INF, INF, 0.0, NAN];
        "cbrt", |x| x.cbrt(), [-INF, 0.0, 0.0, INF, NAN], [0.0, INF, INF, 0.0, NAN];
        "asin", |x| x.asin(), [NAN, 0.0, 0.0, NAN, NAN], [NAN, 1.0, 1.0, NAN, NAN];
        "acos", |x| x.acos(), [NAN, FRAC_PI_2, FRAC_PI_2, NAN, NAN], [NAN, -1.0, -1.0, NAN, NAN];
        "atan", |x| x.atan(), [-FRAC_PI_2, 0.0, 0.0, FRAC_PI_2, NAN], [0.0, 1.0, 1.0, 0.0, NAN];
        "sinh", |x| x.sinh(), [-INF, 0.0, 0.0, INF, NAN], [INF, 1.0, 1.0, INF, NAN];
        "cosh", |x| x.cosh(), [INF, 1.0, 1.0, INF, NAN], [-INF, 0.0, 0.0, INF, NAN];
        "asinh", |x| x.asinh(), [-INF, 0.0, 0.0, INF, NAN], [0.0, 1.0, 1.0, 0.0, NAN];
        "acosh", |x| x.acosh(), [NAN, NAN, NAN, INF, NAN], [NAN, NAN, NAN, 0.0, NAN];
        "atanh", |x| x.atanh(), [NAN, 0.0, 0.0, NAN, NAN], [0.0, 1.0, 1.0, 0.0, NAN];
        "erfc", |x| x.erfc(), [2.0, 1.0, 1.0, 0.0, NAN], [0.0, -FRAC_2_SQRT_PI, -FRAC_2_SQRT_PI, 0.0, NAN];
        "normal_icdf", |x| x.normal_icdf(), [NAN, -INF, -INF, NAN, NAN], [NAN, INF, INF, NAN, NAN];
        "lgamma", |x| x.lgamma(), [INF, INF, INF, INF, NAN], [NAN, INF, -INF, INF, NAN];
        "digamma", |x| x.digamma(), [NAN, INF, -INF, INF, NAN], [NAN, INF, INF, 0.0, NAN];
        "sinc", |x| x.sinc(), [0.0, 1.0, 1.0, 0.0, NAN], [NAN, 0.0, 0.0, NAN, NAN];
        "remainder 2", |x| x.remainder(2.0), [NAN, 0.0, 0.0, NAN, NAN], [1.0; 5];
        "floor", |x| x.floor(), [-INF, 0.0, 0.0, INF, NAN], [0.0; 5];
        "round", |x| x.round(), [-INF, 0.0, 0.0, INF, NAN], [0.0; 5];
        "powi 3", |x| x.powi(3), [-INF, 0.0, 0.0, INF, NAN], [INF, 0.0, 0.0, INF, NAN];
        "powi -1", |x| x.powi(-1), [0.0, -INF, INF, 0.0, NAN], [0.0, -INF, -INF, 0.0, NAN];
        "powf 0.5", |x| x.powf(0.5), [INF, 0.0, 0.0, INF, NAN], [0.0, INF, INF, 0.0, NAN];
        "powf 0", |x| x.powf(0.0), [1.0; 5], [0.0; 5];
        "sign", |x| x.sign(), [-1.0, 0.0, 0.0, 1.0, NAN], [0.0; 5];
        "ceil", |x| x.ceil(), [-INF, 0.0, 0.0, INF, NAN], [0.0; 5];
        "trunc", |x| x.trunc(), [-INF, 0.0, 0.0, INF, NAN], [0.0; 5];
        "fract", |x| x.fract(), [NAN, 0.0, 0.0, NAN, NAN], [1.0; 5];
        "clamp", |x| x.clamp(-1.0, 2.0), [-1.0, 0.0, 0.0, 2.0, NAN], [0.0, 1.0, 1.0, 0.0, 0.0];
        "relu", |x| x.relu(), [0.0, 0.0, 0.0, INF, NAN], [0.0, 0.0, 0.0, 1.0, 0.0];
        "relu6", |x| x.relu6(), [0.0, 0.0, 0.0, 6.0, NAN], [0.0; 5];
        "leaky_relu", |x| x.leaky_relu(0.5), [-INF, 0.0, 0.0, INF, NAN], [0.5, 0.5, 0.5, 1.0, 0.5];
        "elu", |x| x.elu(0.5), [-0.5, 0.0, 0.0, INF, NAN], [0.0, 0.5, 0.5, 1.0, NAN];
        "celu", |x| x.celu(0.5), [-0.5, 0.0, 0.0, INF, NAN], [0.0, 1.0, 1.0, 1.0, NAN];
        "gelu", |x| x.gelu(), [NAN, 0.0, 0.0, INF, NAN], [NAN, 0.5, 0.5, NAN, NAN];
        "gelu_tanh", |x| x.gelu_tanh(), [NAN, 0.0, 0.0, INF, NAN], [NAN, 0.5, 0.5, NAN, NAN];
        "silu", |x| x.silu(), [NAN, 0.0, 0.0, INF, NAN], [NAN, 0.5, 0.5, NAN, NAN];
        "mish", |x| x.mish(), [NAN, 0.0, 0.0, INF, NAN], [NAN, 0.6, 0.6, NAN, NAN];
        "log_sigmoid", |x| x.log_sigmoid(), [-INF, -LN_2, -LN_2, 0.0, NAN], [1.0, 0.5, 0.5, 0.0, NAN];
        "hard_sigmoid", |x| x.hard_sigmoid(), [0.0, 0.5, 0.5, 1.0, NAN], [0.0, 1.0 / 6.0, 1.0 / 6.0, 0.0, 0.0];
        "hard_swish", |x| x.hard_swish(), [NAN, 0.0, 0.0, INF, NAN], [0.0, 0.5, 0.5, 1.0, NAN];
        "softsign", |x| x.softsign(), [NAN, 0.0, 0.0, NAN, NAN], [NAN, 1.0, 1.0, NAN, NAN];
        "hardshrink", |x| x.hardshrink(0.5), [-INF, 0.0, 0.0, INF, NAN], [1.0, 0.0, 0.0, 1.0, 1.0];
        "lerp", |x| x.lerp(1.0, 0.5), [NAN, 0.5, 0.5, NAN, NAN], [0.5; 5];
    };
    let mut wrong = Vec::new();
    for (name, op, single, value, slope) in table {
        let tape = Tape::new();
        let x = tape.variable(Array::from_slice(&AT));
        let found = op(x).value()?;
        op(x).sum().backward()?;
        let slopes = x.grad().unwrap_or_else(|_| Array::<f64>::zeros([5]));
        let half = single(tape.constant(x.value()?.cast::<f32>())).value()?;
        for i in 0..5 {
            if !same(found[i], value[i]) {
                wrong.push(format!(
                    "{name}({}) is {}, not {}",
                    AT[i], found[i], value[i]
                ));
            }
            if !same(f64::from(half[i]), f64::from(value[i] as f32)) && value[i].abs() != LN_2 {
                wrong.push(format!(
                    "{name}({}f32) is {}, not {}",
                    AT[i], half[i], value[i]
                ));
            }
            if !same(slopes[i], slope[i]) {
                wrong.push(format!(
                    "{name}'({}) is {}, not {}",
                    AT[i], slopes[i], slope[i]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // At the edges of their domains.
    let table: [(&str, Function, f64, f64, f64); 13] = [
        ("asin", |x| x.asin(), 1.0, FRAC_PI_2, INF),
        ("asin", |x| x.asin(), -1.0, -FRAC_PI_2, INF),
        ("acos", |x| x.acos(), 1.0, 0.0, -INF),
        ("acos", |x| x.acos(), -1.0, PI, -INF),
        ("acosh", |x| x.acosh(), 1.0, 0.0, INF),
        ("atanh", |x| x.atanh(), 1.0, INF, INF),
        ("atanh", |x| x.atanh(), -1.0, -INF, INF),
        ("normal_icdf", |x| x.normal_icdf(), 1.0, INF, INF),
        ("log1p", |x| x.log1p(), -1.0, -INF, INF),
        ("lgamma", |x| x.lgamma(), -2.0, INF, NAN),
        ("digamma", |x| x.digamma(), -2.0, NAN, INF),
        ("log10", |x| x.log10(), 1e10, 10.0, 1e-10 / LN_10),
        (
            "erfc",
            |x| x.erfc(),
            26.0,
            5.663192408856143e-296,
            -2.9470349932662697e-294,
        ),
    ];
    for (name, op, at, value, slope) in table {
        let tape = Tape::new();
        let x = tape.variable(Array::scalar(at));
        let y = op(x);
        y.backward()?;
        let (found, found_slope) = (y.item()?, x.grad()?.item()?);
        assert!(
            same(found, value) || (found / value - 1.0).abs() < 1e-15,
            "{name}({at}) is {found}"
        );
        assert!(
            same(found_slope, slope) || (found_slope / slope - 1.0).abs() < 1e-15,
            "{name}'({at}) is {found_slope}"
        );
    }
    // Gradual underflow: 2.06 times the least number of all.
    let tape = Tape::new();
    let tail = tape.constant(Array::scalar(27.2_f64)).erfc().item()?;
    assert!((1..=3).contains(&tail.to_bits()), "{tail:e}");
    Ok(())
}

#[test]
fn of_two_operands() -> Result<()> {
    let table: [(&str, Pair, fn(f64, f64) -> f64); 12] = [
        ("add", |x, y| x + y, |x, y| x + y),
        ("sub", |x, y| x - y, |x, y| x - y),
        ("mul", |x, y| x * y, |x, y| x * y),
        ("div", |x, y| x / y, |x, y| x / y),
        ("rem", |x, y| x % y, |x, y| x % y),
        ("pow", |x, y| x.pow(y), f64::powf),
        ("atan2", |x, y| x.atan2(y), f64::atan2),
        ("hypot", |x, y| x.hypot(y), f64::hypot),
        (
            "remainder",
            |x, y| x.remainder(y),
            |x, y| {
                let left = x % y;
                if left != 0.0 && (left < 0.0) != (y < 0.0) {
                    left + y
                } else {
                    left
                }
            },
        ),
        ("copysign", |x, y| x.copysign(y), f64::copysign),
        (
            "maximum",
            |x, y| x.maximum(y),
            |x, y| {
                if x.is_nan() || y.is_nan() {
                    NAN
                } else {
                    x.max(y)
                }
            },
        ),
        (
            "minimum",
            |x, y| x.minimum(y),
            |x, y| {
                if x.is_nan() || y.is_nan() {
                    NAN
                } else {
                    x.min(y)
                }
            },
        ),
    ];
    let at = [-INF, -2.5, -2.0, -1.0, -0.0, 0.0, 0.5, 1.0, 3.0, INF, NAN];
    let mut wrong = Vec::new();
    for (name, op, oracle) in table {
        let tape = Tape::new();
        let x = tape.variable(Array::from_slice(&at));
        let found = op(x.unsqueeze(1), x);
        for (i, &a) in at.iter().enumerate() {
            for (j, &b) in at.iter().enumerate() {
                let found = found.value()?[[i, j]];
                // pow, atan2 and hypot are within 2 ulp, all others are exact.
                if !same(found, oracle(a, b)) && (found / oracle(a, b) - 1.0).abs() > 5e-16 {
                    wrong.push(format!("{name}({a}, {b}) is {found}, not {}", oracle(a, b)));
                }
            }
        }
        found.sum().backward()?;
        x.grad()?;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Products of subnormals and near the largest numbers neither flush nor overflow early.
#[test]
fn the_ends_of_the_range() -> Result<()> {
    let tape = Tape::new();
    let at = [f64::MIN_POSITIVE, 5e-324, f64::MAX, -f64::MAX, 1e-310];
    let x = tape.constant(Array::from_slice(&at));
    let halves = at.map(|x| x * 0.5);
    assert!(first_difference(&(x * 0.5).value()?, &Array::from(halves)).is_none());
    assert!(first_difference(&(x + x).value()?, &Array::from(at.map(|x| x + x))).is_none());
    assert!(first_difference(&x.sqrt().value()?, &Array::from(at.map(f64::sqrt))).is_none());
    let ln = x.abs().ln().value()?;
    ln.assert_close(&Array::from(at.map(|x| x.abs().ln())), 4e-16, 0.0);
    let single = tape.constant(Array::from_slice(&[f32::MIN_POSITIVE, 1e-45, f32::MAX]));
    assert_eq!(
        (single * 0.5).value()?.into_vec(),
        [f32::MIN_POSITIVE * 0.5, 1e-45 * 0.5, f32::MAX * 0.5]
    );
    Ok(())
}

/// A NaN anywhere is what a choice or a sum of the row comes to, in whichever lane and chunk it stands.
#[test]
fn one_nan_of_many() -> Result<()> {
    fn check<T: Float>(n: usize, place: usize) -> Result<()> {
        let mut x = Array::<T>::from_shape_fn([n], |i| T::of((i[0] * 7 % 11) as f64));
        x.as_mut_slice()[place] = T::of(NAN);
        let what = format!("{:?}, {place} of {n}", T::DTYPE);
        let tape = Tape::new();
        let x = tape.variable(x);
        for y in [
            x.max(),
            x.min(),
            x.sum(),
            x.prod(),
            x.norm(),
            x.norm_p(INF),
            x.logsumexp(),
            x.var(0),
            x.unsqueeze(0).max_over(1).sum(),
            x.unsqueeze(1).min_over(0).sum(),
            x.softmax(0).at(0, 0),
            x.log_softmax(0).at(0, -1),
            x.cumsum(0).at(0, -1),
            x.cumprod(0).at(0, -1),
            x.cummax(0).at(0, -1),
            x.logcumsumexp(0).at(0, -1),
            x.sort(0, Order::Ascending).at(0, -1),
            x.topk(1, 0, Order::Descending).0.sum(),
        ] {
            assert!(y.item()?.to_f64().is_nan(), "{what}: {}", y.item()?);
            y.backward()?;
            drop(x.grad()?);
        }
        let places = [
            x.argmax(),
            x.argmin(),
            x.argsort(0, Order::Descending).at(0, 0),
        ];
        for at in places {
            assert_eq!(at.item()? as usize, place, "{what}");
        }
        let running = x.cummax(0).to_vec()?;
        let first = running.iter().position(|x| x.to_f64().is_nan());
        assert_eq!(first, Some(place), "{what}");
        Ok(())
    }
    for n in [1, 9, 17, 1030] {
        for place in [0, n / 2, n - 1] {
            check::<f64>(n, place)?;
            check::<f32>(n, place)?;
        }
    }
    Ok(())
}
