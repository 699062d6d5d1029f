//! Every differentiable operator: values against plain loops in `f64`, gradients against central differences, second
//! derivatives against differences of the gradient, `f32` against `f64`, over shapes and operands of every kind.

use retrograde::prelude::*;

type Function = for<'t> fn(Var<'t, f64>) -> Var<'t, f64>;
type Single = for<'t> fn(Var<'t, f32>) -> Var<'t, f32>;
type Pair = for<'t> fn(Var<'t, f64>, Var<'t, f64>) -> Var<'t, f64>;

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

fn cdf(x: f64) -> f64 {
    0.5 * (1.0 + erf(x / std::f64::consts::SQRT_2))
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
        both!("erf", |x| x.erf(), erf, -2.5, 2.5),
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
        both!("x % 0.7", |x| x % 0.7, |x| x % 0.7, 0.71, 1.39),
        both!("pow(x, x)", |x| x.pow(x), |x| x.powf(x), 0.4, 2.0),
    ]
}

/// Spread over a range, no two elements equal, in no order.
fn samples(shape: &[usize], (low, high): (f64, f64)) -> Array<f64> {
    let mut k = 0.0f64;
    Array::from_shape_fn(shape.to_vec(), |_| {
        k += 1.0;
        low + (high - low) * (k * 0.618_033_988_749_895).fract()
    })
}

fn run(p: &Program, inputs: &[&Array<f64>]) -> Result<Vec<Array<f64>>> {
    let mut ws = p.workspace()?;
    let out = p.run(&mut ws, inputs)?;
    (0..out.len()).map(|i| out.array(i)).collect()
}

/// Gradients of a scalar program against central differences, and products with its Hessian against differences of them.
fn check_derivatives(name: &str, value: &Program, inputs: &[&Array<f64>]) -> Result<()> {
    const H: f64 = 1e-6;
    let gradient = value.grad()?;
    let analytic = run(&gradient, inputs)?;
    let direction: Vec<Array<f64>> = inputs
        .iter()
        .map(|x| samples(x.shape(), (-1.0, 1.0)))
        .collect();
    let second = value.hvp()?;
    let feed: Vec<&Array<f64>> = inputs.iter().copied().chain(&direction).collect();
    let bent = run(&second, &feed)?;
    let moved = |by: f64| -> Vec<Array<f64>> {
        inputs
            .iter()
            .zip(&direction)
            .map(|(x, d)| Array::clone(x) + &(d.clone() * by))
            .collect()
    };
    let (up, down) = (moved(H), moved(-H));
    let (up, down): (Vec<_>, Vec<_>) = (up.iter().collect(), down.iter().collect());
    let (above, below) = (run(&gradient, &up)?, run(&gradient, &down)?);
    for (k, x) in inputs.iter().enumerate() {
        assert_eq!(
            analytic[k].shape(),
            x.shape(),
            "{name}: the gradient has the operand's shape"
        );
        for i in 0..x.len().min(24) {
            let at = |by: f64| -> Result<f64> {
                let mut x = Array::clone(x);
                x.as_mut_slice()[i] += by;
                let moved: Vec<&Array<f64>> = inputs
                    .iter()
                    .enumerate()
                    .map(|(j, &y)| if j == k { &x } else { y })
                    .collect();
                Ok(run(value, &moved)?[0].item()?)
            };
            let (a, n) = (analytic[k].as_slice()[i], (at(H)? - at(-H)?) / (2.0 * H));
            assert!(
                (a - n).abs() <= 1e-6 + 1e-6 * n.abs(),
                "{name}: gradient {i} of input {k} {:?}: {a}, by differences {n}",
                x.shape()
            );
        }
        for i in 0..x.len() {
            let (a, n) = (
                bent[k].as_slice()[i],
                (above[k].as_slice()[i] - below[k].as_slice()[i]) / (2.0 * H),
            );
            assert!(
                (a - n).abs() <= 1e-6 + 1e-6 * n.abs(),
                "{name}: second order {i} of input {k} {:?}: {a}, by differences {n}",
                x.shape()
            );
        }
    }
    Ok(())
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

#[test]
fn binary_values_and_derivatives() -> Result<()> {
    let ops: [(&str, Pair, fn(f64, f64) -> f64); 10] = [
        ("add", |x, y| x + y, |x, y| x + y),
        ("sub", |x, y| x - y, |x, y| x - y),
        ("mul", |x, y| x * y, |x, y| x * y),
        ("div", |x, y| x / y, |x, y| x / y),
        ("maximum", |x, y| x.maximum(y), f64::max),
        ("minimum", |x, y| x.minimum(y), f64::min),
        ("pow", |x, y| x.pow(y), f64::powf),
        ("copysign", |x, y| x.copysign(y), f64::copysign),
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

#[test]
fn reductions_rows_products_losses() -> Result<()> {
    let one: [(&str, Function); 24] = [
        ("sum", |x| x.sum()),
        ("sum over 0", |x| x.sum_over(0)),
        ("sum over -1", |x| x.sum_over(keep(-1))),
        ("mean", |x| x.mean_over([0, 1])),
        ("prod", |x| x.prod_over(1)),
        ("prod of all", |x| x.prod()),
        ("max", |x| x.max_over(0)),
        ("min", |x| x.min_over(keep(1))),
        ("var", |x| x.var_over(1, 1)),
        ("std", |x| x.std(0)),
        ("norm", |x| x.norm_over(0)),
        ("norm 3", |x| x.norm_p(3.0)),
        ("norm inf", |x| x.norm_p(f64::INFINITY)),
        ("logsumexp", |x| x.logsumexp_over(0)),
        ("softmax 0", |x| x.softmax(0)),
        ("softmax 1", |x| x.softmax(1)),
        ("log_softmax", |x| x.log_softmax(-1)),
        ("rms_norm", |x| x.rms_norm(x.at(0, 0), 1e-5)),
        ("layer_norm", |x| x.layer_norm(x.at(0, 1), x.at(0, 2), 1e-5)),
        ("matmul with itself", |x| x.matmul(x.t())),
        ("vector by matrix", |x| x.at(0, 1).matmul(x.t())),
        ("outer", |x| x.at(0, 1).outer(x.at(1, 2))),
        ("bce", |x| x.bce_with_logits(x.rec().full([4, 5], 0.3))),
        ("mse", |x| x.mse(x.flip(0))),
    ];
    for (name, op) in one {
        let x = samples(&[4, 5], (-1.5, 1.6));
        let p = Program::try_record(&[x.clone()], |_, [x]| {
            Ok((op(x).sin() * 0.7 + op(x)).sum().into())
        })?;
        check_derivatives(name, &p, &[&x])?;
    }
    Ok(())
}

#[test]
fn products_against_loops() -> Result<()> {
    for (m, k, n) in [
        (1, 1, 1),
        (3, 4, 5),
        (17, 9, 33),
        (2, 0, 3),
        (0, 2, 3),
        (64, 70, 65),
    ] {
        let (x, y) = (samples(&[m, k], (-1.0, 1.0)), samples(&[k, n], (-1.0, 1.0)));
        let inputs = [x.clone(), y.clone()];
        let p = Program::try_record(&inputs, |_, [x, y]| Ok(x.matmul(y).into()))?;
        let expected = Array::from_shape_fn([m, n], |i| {
            (0..k).map(|l| x[[i[0], l]] * y[[l, i[1]]]).sum()
        });
        run(&p, &[&x, &y])?[0].assert_close(&expected, 1e-13, 1e-13);
        let p = Program::try_record(&inputs, |_, [x, y]| Ok(x.matmul(y).sin().sum().into()))?;
        if m * k * n < 1000 {
            check_derivatives("matmul", &p, &[&x, &y])?;
        }
    }
    Ok(())
}

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
