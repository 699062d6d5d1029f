//! Functions of one operand: values, both derivatives, every kind of view.

use retrograde::prelude::*;
use retrograde_tests::derivatives::{Function, Single, check_derivatives, run, samples};

/// Name, operation in both types, oracle, sampled range (inside the domain, without kinks).
struct Unary(&'static str, Function, Single, fn(f64) -> f64, (f64, f64));

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Error function by its series, far more terms than its range here needs.
fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

/// By the constants as the paper defines them: `alpha` and `lambda` from the error function of `1 / sqrt 2`.
fn selu(x: f64) -> f64 {
    let pi = std::f64::consts::PI;
    let e = std::f64::consts::E;
    let erfc = |x: f64| 1.0 - erf(x);
    let root = (2.0 / pi).sqrt();
    let (a, b) = (erfc(0.5f64.sqrt()), erfc(2f64.sqrt()));
    let alpha = -root / (a * 0.5f64.exp() - 1.0);
    let lambda = (1.0 - a * e.sqrt())
        * (2.0 * pi).sqrt()
        * (2.0 * b * e.powi(2) + pi * a.powi(2) * e - 2.0 * (2.0 + pi) * a * e.sqrt() + pi + 2.0)
            .powf(-0.5);
    lambda * if x > 0.0 { x } else { alpha * x.exp_m1() }
}

fn cdf(x: f64) -> f64 {
    0.5 * (1.0 + erf(x / std::f64::consts::SQRT_2))
}

/// By bisection.
fn quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-9.0, 9.0);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if cdf(middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

fn sinc(x: f64) -> f64 {
    let angle = std::f64::consts::PI * x;
    if x == 0.0 { 1.0 } else { angle.sin() / angle }
}

/// Stirling's series beyond 8, the recurrence down from there.
fn lgamma(x: f64) -> f64 {
    let y = x + 8.0;
    let product: f64 = (0..8).map(|k| x + f64::from(k)).product();
    let terms = [
        12.0,
        -360.0,
        1260.0,
        -1680.0,
        1188.0,
        -360_360.0 / 691.0,
        156.0,
        -122_400.0 / 3617.0,
    ];
    let series: f64 = (0..)
        .zip(terms)
        .map(|(k, d)| 1.0 / (d * y.powi(2 * k + 1)))
        .sum();
    (y - 0.5) * y.ln() - y + 0.5 * (2.0 * std::f64::consts::PI).ln() + series - product.ln()
}

/// The same beyond 20, derived term by term.
fn digamma(x: f64) -> f64 {
    let y = x + 20.0;
    let sum: f64 = (0..20).map(|k| 1.0 / (x + f64::from(k))).sum();
    let terms = [12.0, -120.0, 252.0, -240.0, 132.0];
    let series: f64 = (1..)
        .zip(terms)
        .map(|(k, d)| 1.0 / (d * y.powi(2 * k)))
        .sum();
    y.ln() - 0.5 / y - series - sum
}

fn trigamma(x: f64) -> f64 {
    let y = x + 20.0;
    let sum: f64 = (0..20).map(|k| (x + f64::from(k)).powi(-2)).sum();
    let terms = [6.0, -30.0, 42.0, -30.0, 66.0 / 5.0];
    let series: f64 = (1..)
        .zip(terms)
        .map(|(k, d)| 1.0 / (d * y.powi(2 * k + 1)))
        .sum();
    1.0 / y + 0.5 / y.powi(2) + series + sum
}

macro_rules! both {
    ($name:literal, |$x:ident| $body:expr, $oracle:expr, $low:expr, $high:expr) => {
        Unary($name, |$x| $body, |$x| $body, $oracle, ($low, $high))
    };
}

fn unaries() -> Vec<Unary> {
    vec![
        both!("neg", |x| -x, |x| -x, -2.0, 2.0),
        both!("abs", |x| x.abs(), f64::abs, 0.1, 2.0),
        both!("abs of negatives", |x| x.abs(), f64::abs, -2.0, -0.1),
        both!("sign", |x| x.sign(), f64::signum, -2.0, -0.1),
        both!("reciprocal", |x| x.reciprocal(), |x| 1.0 / x, 0.4, 2.0),
        both!("square", |x| x.square(), |x| x * x, -2.0, 2.0),
        both!("sqrt", |x| x.sqrt(), f64::sqrt, 0.3, 4.0),
        both!("rsqrt", |x| x.rsqrt(), |x| 1.0 / x.sqrt(), 0.3, 4.0),
        both!("exp", |x| x.exp(), f64::exp, -2.0, 2.0),
        both!("expm1", |x| x.expm1(), f64::exp_m1, -2.0, 2.0),
        both!("ln", |x| x.ln(), f64::ln, 0.2, 4.0),
        both!("log1p", |x| x.log1p(), f64::ln_1p, -0.7, 3.0),
        both!("sin", |x| x.sin(), f64::sin, -4.0, 4.0),
        both!("cos", |x| x.cos(), f64::cos, -4.0, 4.0),
        both!("tan", |x| x.tan(), f64::tan, -1.2, 1.2),
        both!("tanh", |x| x.tanh(), f64::tanh, -3.0, 3.0),
        both!("sigmoid", |x| x.sigmoid(), sigmoid, -4.0, 4.0),
        both!("softplus", |x| x.softplus(), |x| x.exp().ln_1p(), -4.0, 4.0),
        both!("exp2", |x| x.exp2(), f64::exp2, -2.0, 2.0),
        both!("log2", |x| x.log2(), f64::log2, 0.2, 4.0),
        both!("log10", |x| x.log10(), f64::log10, 0.2, 4.0),
        both!("cbrt", |x| x.cbrt(), f64::cbrt, 0.3, 4.0),
        both!("cbrt of negatives", |x| x.cbrt(), f64::cbrt, -4.0, -0.3),
        both!(
            "asin",
            |x| (x * 0.25).asin(),
            |x| (x * 0.25).asin(),
            -3.6,
            3.6
        ),
        both!(
            "acos",
            |x| (x * 0.25).acos(),
            |x| (x * 0.25).acos(),
            -3.6,
            3.6
        ),
        both!("atan", |x| x.atan(), f64::atan, -4.0, 4.0),
        both!("sinh", |x| x.sinh(), f64::sinh, -2.0, 2.0),
        both!("cosh", |x| x.cosh(), f64::cosh, -2.0, 2.0),
        both!("asinh", |x| x.asinh(), f64::asinh, -4.0, 4.0),
        both!(
            "acosh",
            |x| (x + 1.0).acosh(),
            |x| (x + 1.0).acosh(),
            0.2,
            3.0
        ),
        both!(
            "atanh",
            |x| (x * 0.25).atanh(),
            |x| (x * 0.25).atanh(),
            -3.6,
            3.6
        ),
        both!("sinc", |x| x.sinc(), sinc, -3.0, 3.0),
        both!("sinc near 0", |x| x.sinc(), sinc, -0.01, 0.01),
        both!("erf", |x| x.erf(), erf, -2.5, 2.5),
        both!("erfc", |x| x.erfc(), |x| 1.0 - erf(x), -2.5, 2.5),
        both!(
            "normal_icdf",
            |x| (x * 0.25).normal_icdf(),
            |x| quantile(x * 0.25),
            0.2,
            3.8
        ),
        both!("lgamma", |x| x.lgamma(), lgamma, 0.4, 9.0),
        both!("digamma", |x| x.digamma(), digamma, 0.4, 9.0),
        both!("polygamma 0", |x| x.polygamma(0), digamma, 0.6, 4.0),
        both!("normal_cdf", |x| x.normal_cdf(), cdf, -2.5, 2.5),
        both!("floor", |x| x.floor(), f64::floor, 1.1, 1.9),
        both!("ceil", |x| x.ceil(), f64::ceil, -1.9, -1.1),
        both!("round", |x| x.round(), f64::round_ties_even, 0.6, 1.4),
        both!("trunc", |x| x.trunc(), f64::trunc, -1.9, -1.1),
        both!("fract", |x| x.fract(), f64::fract, 1.1, 1.9),
        both!("relu", |x| x.relu(), |x| x.max(0.0), 0.1, 2.0),
        both!(
            "relu of negatives",
            |x| x.relu(),
            |x| x.max(0.0),
            -2.0,
            -0.1
        ),
        both!("leaky_relu", |x| x.leaky_relu(0.1), |x| 0.1 * x, -2.0, -0.1),
        both!("elu", |x| x.elu(0.7), |x| 0.7 * x.exp_m1(), -2.0, -0.1),
        both!("elu above 0", |x| x.elu(0.7), |x| x, 0.1, 2.0),
        both!(
            "celu",
            |x| x.celu(0.7),
            |x| 0.7 * (x / 0.7).exp_m1(),
            -2.0,
            -0.1
        ),
        both!("celu above 0", |x| x.celu(0.7), |x| x, 0.1, 2.0),
        both!("selu", |x| x.selu(), selu, -2.0, -0.1),
        both!("selu above 0", |x| x.selu(), selu, 0.1, 2.0),
        both!("relu6 inside", |x| x.relu6(), |x| x, 0.1, 5.9),
        both!("relu6 outside", |x| x.relu6(), |_| 6.0, 6.1, 9.0),
        both!("relu6 below", |x| x.relu6(), |_| 0.0, -2.0, -0.1),
        both!(
            "hard_sigmoid",
            |x| x.hard_sigmoid(),
            |x| (x + 3.0) / 6.0,
            -2.9,
            2.9
        ),
        both!(
            "hard_sigmoid outside",
            |x| x.hard_sigmoid(),
            |_| 1.0,
            3.1,
            5.0
        ),
        both!(
            "hard_swish",
            |x| x.hard_swish(),
            |x| x * (x + 3.0) / 6.0,
            -2.9,
            2.9
        ),
        both!("hard_swish outside", |x| x.hard_swish(), |x| x, 3.1, 5.0),
        both!(
            "log_sigmoid",
            |x| x.log_sigmoid(),
            |x| sigmoid(x).ln(),
            -4.0,
            4.0
        ),
        both!(
            "softsign",
            |x| x.softsign(),
            |x| x / (1.0 + x.abs()),
            0.1,
            4.0
        ),
        both!(
            "mish",
            |x| x.mish(),
            |x| x * x.exp().ln_1p().tanh(),
            -4.0,
            4.0
        ),
        both!("gelu", |x| x.gelu(), |x| x * cdf(x), -2.5, 2.5),
        both!(
            "gelu_tanh",
            |x| x.gelu_tanh(),
            |x| {
                0.5 * x
                    * (1.0
                        + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh())
            },
            -2.5,
            2.5
        ),
        both!("silu", |x| x.silu(), |x| x * sigmoid(x), -4.0, 4.0),
        both!("powi 3", |x| x.powi(3), |x| x * x * x, -2.0, 2.0),
        both!("powi -2", |x| x.powi(-2), |x| 1.0 / (x * x), 0.5, 2.0),
        both!("powi 0", |x| x.powi(0), |_| 1.0, -2.0, 2.0),
        both!("powf", |x| x.powf(1.7), |x| x.powf(1.7), 0.3, 3.0),
        both!("clamp inside", |x| x.clamp(-1.0, 3.0), |x| x, -0.9, 2.9),
        both!("clamp outside", |x| x.clamp(-1.0, 1.0), |_| 1.0, 1.1, 2.0),
        both!("x * x", |x| x * x, |x| x * x, -2.0, 2.0),
        both!("x / x", |x| x / x, |_| 1.0, 0.5, 2.0),
        both!("x - x", |x| x - x, |_| 0.0, -2.0, 2.0),
        both!(
            "remainder 0.7",
            |x| x.remainder(0.7),
            |x| x.rem_euclid(0.7),
            -0.69,
            -0.01
        ),
        both!("x % 0.7", |x| x % 0.7, |x| x % 0.7, 0.71, 1.39),
        both!("pow(x, x)", |x| x.pow(x), |x| x.powf(x), 0.4, 2.0),
    ]
}

#[test]
fn unary_values_and_derivatives() -> Result<()> {
    for Unary(name, op, single, oracle, range) in unaries() {
        for shape in [&[][..], &[1], &[17], &[3, 5], &[0], &[2, 0, 3]] {
            let x = samples(shape, range);
            let tape = Tape::new();
            let y = op(tape.constant(x.clone())).value()?;
            y.assert_close(&x.map(oracle), 4e-15, 4e-15);
            let half = single(tape.constant(x.cast::<f32>())).value()?;
            half.cast::<f64>()
                .assert_close(&x.cast::<f32>().cast::<f64>().map(oracle), 2e-6, 1e-6);
            let p = Program::try_record(&[x.clone()], |_, [x]| Ok(op(x).sin().sum().into()))?;
            check_derivatives(name, &p, &[&x])?;
        }
    }
    Ok(())
}

/// Operands that are views: nothing but strides differs.
#[test]
fn unary_of_views() -> Result<()> {
    let views: [(&str, Function); 6] = [
        ("transposed", |x| x.t()),
        ("sliced", |x| x.slice_step(1, .., 2)),
        ("reversed", |x| x.flip(1)),
        ("expanded", |x| x.sum_over(keep(0)).expand([3, 6])),
        ("offset", |x| x.narrow(0, 1, 3)),
        ("one", |x| x.at(0, 2)),
    ];
    let x = samples(&[4, 6], (0.3, 0.9));
    for (view, see) in views {
        for Unary(name, op, ..) in unaries() {
            let p = Program::try_record(&[x.clone()], |_, [x]| Ok(op(see(x)).into()))?;
            let apart = Program::try_record(&[x.clone()], |_, [x]| Ok(see(x).into()))?;
            let seen = run(&apart, &[&x])?.remove(0);
            let of_copy = Program::try_record(&[seen.clone()], |_, [x]| Ok(op(x).into()))?;
            assert_eq!(
                run(&p, &[&x])?,
                run(&of_copy, &[&seen])?,
                "{name} of {view}"
            );
        }
        let p = Program::try_record(&[x.clone()], |_, [x]| {
            Ok((see(x).sin() * see(x)).sum().into())
        })?;
        check_derivatives(view, &p, &[&x])?;
    }
    Ok(())
}

/// The end of the family: values and first derivatives, but no second order.
#[test]
fn polygamma() -> Result<()> {
    let x = samples(&[17], (0.4, 9.0));
    let tape = Tape::new();
    let v = tape.variable(x.clone());
    v.polygamma(1)
        .value()?
        .assert_close(&x.map(trigamma), 4e-15, 4e-15);
    const H: f64 = 1e-4;
    let slope = x.map(|x| (trigamma(x + H) - trigamma(x - H)) / (2.0 * H));
    v.polygamma(2).value()?.assert_close(&slope, 1e-5, 1e-6);
    v.polygamma(1).sum().backward()?;
    v.grad()?.assert_close(&slope, 1e-5, 1e-6);
    let half = tape.constant(x.cast::<f32>());
    let exact = x.cast::<f32>().cast::<f64>().map(trigamma);
    half.polygamma(1)
        .value()?
        .cast::<f64>()
        .assert_close(&exact, 2e-6, 1e-6);
    half.polygamma(2)
        .value()?
        .cast::<f64>()
        .assert_close(&slope, 1e-4, 1e-4);
    let error = v.polygamma(3).value().unwrap_err().to_string();
    assert!(
        error.contains("polygamma") && error.contains('3') && error.contains("unary.rs"),
        "{error}"
    );
    let error = v.polygamma(2).sum().backward().unwrap_err().to_string();
    assert!(
        error.contains("fourth of lgamma") && error.contains("unary.rs"),
        "{error}"
    );
    // By way of lgamma, up to the third order.
    let tape = Tape::new();
    let v = tape.variable(x.clone());
    let mut y = v.lgamma();
    for _ in 0..3 {
        [y] = y.sum().grad_of([v]);
    }
    y.value()?
        .assert_close(&v.polygamma(2).value()?, 0.0, 1e-15);
    let [fourth] = y.sum().grad_of([v]);
    assert!(fourth.value().is_err());
    let p = Program::try_record(&[x.clone()], |_, [x]| Ok(x.polygamma(2).sum().into()))?;
    assert!(p.grad().is_err() && p.jvp().is_err());
    Ok(())
}

/// First derivatives, and second ones as derivatives of those, by their formulas: much nearer than differences come.
#[test]
fn slopes_in_closed_form() -> Result<()> {
    use std::f64::consts::{FRAC_2_SQRT_PI, LN_2, LN_10, PI};
    fn density(x: f64) -> f64 {
        (-0.5 * x * x).exp() / (2.0 * PI).sqrt()
    }
    /// `1 - sigmoid`, without the difference.
    fn rest(x: f64) -> f64 {
        sigmoid(-x)
    }
    type Slope = (&'static str, Function, fn(f64) -> f64, (f64, f64));
    let table: [Slope; 42] = [
        ("exp", |x| x.exp(), f64::exp, (-20.0, 20.0)),
        ("exp2", |x| x.exp2(), |x| LN_2 * x.exp2(), (-20.0, 20.0)),
        ("expm1", |x| x.expm1(), f64::exp, (-20.0, 20.0)),
        ("ln", |x| x.ln(), |x| 1.0 / x, (1e-3, 1e3)),
        ("log2", |x| x.log2(), |x| 1.0 / (x * LN_2), (1e-3, 1e3)),
        ("log10", |x| x.log10(), |x| 1.0 / (x * LN_10), (1e-3, 1e3)),
        ("log1p", |x| x.log1p(), |x| 1.0 / (1.0 + x), (-0.9, 1e3)),
        ("sqrt", |x| x.sqrt(), |x| 0.5 / x.sqrt(), (1e-3, 1e3)),
        (
            "rsqrt",
            |x| x.rsqrt(),
            |x| -0.5 / (x * x.sqrt()),
            (1e-3, 1e3),
        ),
        ("cbrt", |x| x.cbrt(), |x| x.cbrt() / (3.0 * x), (-1e3, 1e3)),
        (
            "reciprocal",
            |x| x.reciprocal(),
            |x| -1.0 / (x * x),
            (1e-3, 1e3),
        ),
        ("sin", |x| x.sin(), f64::cos, (-20.0, 20.0)),
        ("cos", |x| x.cos(), |x| -x.sin(), (-20.0, 20.0)),
        ("tan", |x| x.tan(), |x| x.cos().powi(-2), (-1.5, 1.5)),
        (
            "asin",
            |x| x.asin(),
            |x| 1.0 / ((1.0 - x) * (1.0 + x)).sqrt(),
            (-0.99, 0.99),
        ),
        (
            "acos",
            |x| x.acos(),
            |x| -1.0 / ((1.0 - x) * (1.0 + x)).sqrt(),
            (-0.99, 0.99),
        ),
        ("atan", |x| x.atan(), |x| 1.0 / (1.0 + x * x), (-1e3, 1e3)),
        ("sinh", |x| x.sinh(), f64::cosh, (-20.0, 20.0)),
        ("cosh", |x| x.cosh(), f64::sinh, (-20.0, 20.0)),
        ("tanh", |x| x.tanh(), |x| x.cosh().powi(-2), (-5.0, 5.0)),
        ("asinh", |x| x.asinh(), |x| 1.0 / x.hypot(1.0), (-1e3, 1e3)),
        (
            "acosh",
            |x| x.acosh(),
            |x| 1.0 / ((x - 1.0) * (x + 1.0)).sqrt(),
            (1.01, 1e3),
        ),
        (
            "atanh",
            |x| x.atanh(),
            |x| 1.0 / ((1.0 - x) * (1.0 + x)),
            (-0.99, 0.99),
        ),
        (
            "erf",
            |x| x.erf(),
            |x| FRAC_2_SQRT_PI * (-x * x).exp(),
            (-5.0, 5.0),
        ),
        (
            "erfc",
            |x| x.erfc(),
            |x| -FRAC_2_SQRT_PI * (-x * x).exp(),
            (-5.0, 5.0),
        ),
        ("normal_cdf", |x| x.normal_cdf(), density, (-7.0, 7.0)),
        (
            "normal_icdf",
            |x| x.normal_icdf(),
            |p| 1.0 / density(quantile(p)),
            (0.01, 0.99),
        ),
        ("lgamma", |x| x.lgamma(), digamma, (2.0, 30.0)),
        ("digamma", |x| x.digamma(), trigamma, (0.5, 30.0)),
        (
            "sinc",
            |x| x.sinc(),
            |x| ((PI * x).cos() - sinc(x)) / x,
            (1.2, 1.4),
        ),
        (
            "sigmoid",
            |x| x.sigmoid(),
            |x| sigmoid(x) * rest(x),
            (-20.0, 20.0),
        ),
        ("log_sigmoid", |x| x.log_sigmoid(), rest, (-20.0, 20.0)),
        ("softplus", |x| x.softplus(), sigmoid, (-20.0, 20.0)),
        (
            "softsign",
            |x| x.softsign(),
            |x| (1.0 + x.abs()).powi(-2),
            (-20.0, 20.0),
        ),
        (
            "silu",
            |x| x.silu(),
            |x| sigmoid(x) * (1.0 + x * rest(x)),
            (-1.0, 5.0),
        ),
        (
            "gelu",
            |x| x.gelu(),
            |x| cdf(x) + x * density(x),
            (-0.5, 4.0),
        ),
        ("elu", |x| x.elu(0.7), |x| 0.7 * x.exp(), (-20.0, 0.0)),
        (
            "powi -3",
            |x| x.powi(-3),
            |x| -3.0 * x.powi(-4),
            (0.1, 10.0),
        ),
        ("powf", |x| x.powf(1.7), |x| 1.7 * x.powf(0.7), (0.1, 10.0)),
        (
            "pow, the exponent",
            |y| like(y, 2.5).pow(y),
            |y| 2.5f64.ln() * 2.5f64.powf(y),
            (-9.0, 9.0),
        ),
        (
            "pow(x, x)",
            |x| x.pow(x),
            |x| x.powf(x) * (x.ln() + 1.0),
            (0.5, 9.0),
        ),
        (
            "hypot",
            |x| x.hypot(2.0),
            |x| x / x.hypot(2.0),
            (-20.0, 20.0),
        ),
    ];
    let mut wrong = Vec::new();
    for (name, op, slope, range) in table {
        let tape = Tape::new();
        let x = tape.variable(samples(&[501], range));
        let [found] = op(x).sum().grad_of([x]);
        let expected = x.value()?.map(slope);
        if let Err(e) = found.value()?.check_close(&expected, 1e-13, 1e-15) {
            wrong.push(format!("{name}: {e}"));
        }
    }
    // Of second order.
    let table: [Slope; 8] = [
        ("exp", |x| x.exp(), f64::exp, (-20.0, 20.0)),
        ("sin", |x| x.sin(), |x| -x.sin(), (-20.0, 20.0)),
        ("ln", |x| x.ln(), |x| -1.0 / (x * x), (1e-3, 1e3)),
        (
            "sqrt",
            |x| x.sqrt(),
            |x| -0.25 / (x * x.sqrt()),
            (1e-3, 1e3),
        ),
        (
            "reciprocal",
            |x| x.reciprocal(),
            |x| 2.0 / (x * x * x),
            (1e-3, 1e3),
        ),
        (
            "tanh",
            |x| x.tanh(),
            |x| -2.0 * x.tanh() * x.cosh().powi(-2),
            (-5.0, 5.0),
        ),
        (
            "erf",
            |x| x.erf(),
            |x| -2.0 * x * FRAC_2_SQRT_PI * (-x * x).exp(),
            (-5.0, 5.0),
        ),
        (
            "softplus",
            |x| x.softplus(),
            |x| sigmoid(x) * rest(x),
            (-20.0, 20.0),
        ),
    ];
    for (name, op, slope, range) in table {
        let tape = Tape::new();
        let x = tape.variable(samples(&[501], range));
        let [first] = op(x).sum().grad_of([x]);
        let [second] = first.sum().grad_of([x]);
        let expected = x.value()?.map(slope);
        if let Err(e) = second.value()?.check_close(&expected, 1e-13, 1e-15) {
            wrong.push(format!("second order of {name}: {e}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn like(x: Var<'_, f64>, number: f64) -> Var<'_, f64> {
    x.rec().scalar(number)
}
