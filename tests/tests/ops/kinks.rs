//! What the gradient is where there is none: on a tape, in a program, of a batch, forward, in both precisions.

use retrograde::prelude::*;
use retrograde_tests::derivatives::{Function, Single};

/// A function, where it has no derivative, and what its gradient is there.
struct Kink {
    name: &'static str,
    double: Function,
    single: Single,
    at: Vec<f64>,
    expected: Vec<f64>,
}

macro_rules! kinks {
    ($(($name:expr, |$x:ident| $body:expr, $at:expr, $expected:expr $(,)?)),* $(,)?) => {
        vec![$(Kink {
            name: $name,
            double: |$x| $body,
            single: |$x| $body,
            at: $at,
            expected: $expected,
        }),*]
    };
}

/// A number of the type of `x`.
fn like<T: Float>(x: Var<'_, T>, number: f64) -> Var<'_, T> {
    x.rec().scalar(T::of(number))
}

/// The table of conventions: what the gradient is where there is none.
fn conventions() -> Vec<Kink> {
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    kinks![
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
            |x| like(x, 0.0).atan2(x),
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
            |y| like(y, -3.0).remainder(y),
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
            |y| like(y, 0.0).pow(y),
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
            |y| like(y, -3.0) % y,
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
        ("rsqrt at 0", |x| x.rsqrt(), vec![0.0], vec![-inf]),
        (
            "sqrt at 0, not asked for",
            |x| x.sqrt() * 0.0,
            vec![0.0],
            vec![0.0]
        ),
        (
            "hardshrink at its ends",
            |x| x.hardshrink(0.5),
            vec![0.5, -0.5],
            vec![0.0, 0.0],
        ),
        (
            "huber at its ends",
            |x| x.huber_with(x.detach() * 0.0, 0.5, Reduction::Sum),
            vec![0.5, -0.5, 0.0],
            vec![0.5, -0.5, 0.0],
        ),
        (
            "hypot, one of them 0",
            |x| x.hypot(x.detach() - 2.0),
            vec![0.0, 2.0],
            vec![0.0, 1.0],
        ),
        ("pow(0, 0) by both", |x| x.pow(x), vec![0.0], vec![0.0],),
        (
            "pow of a negative, a whole exponent",
            |x| x.pow(like(x, 3.0)),
            vec![-2.0],
            vec![12.0],
        ),
        (
            "rows: max of ties",
            |x| x.reshape([2, 2]).max_over(0),
            vec![1.0, 5.0, 1.0, 2.0],
            vec![0.5, 1.0, 0.5, 0.0],
        ),
        (
            "rows: min of ties",
            |x| x.reshape([2, 2]).min_over(keep(1)),
            vec![1.0, 5.0, 2.0, 2.0],
            vec![1.0, 0.0, 0.5, 0.5],
        ),
        (
            "rows: norm inf of ties",
            |x| x.reshape([2, 2]).norm_p_over(1, f64::INFINITY),
            vec![-2.0, 2.0, 1.0, 3.0],
            vec![-0.5, 0.5, 0.0, 1.0],
        ),
        (
            "rows: norm of 0",
            |x| x.reshape([2, 2]).norm_over(1),
            vec![0.0, 0.0, 3.0, 4.0],
            vec![0.0, 0.0, 0.6, 0.8],
        ),
        (
            "rows: std of equals",
            |x| x.reshape([2, 2]).std_over(1, 0),
            vec![3.0, 3.0, 1.0, 2.0],
            vec![0.0, 0.0, -0.5, 0.5],
        ),
        (
            "rows: prod with zeros",
            |x| x.reshape([2, 3]).prod_over(1),
            vec![2.0, 0.0, 3.0, 0.0, 4.0, 0.0],
            vec![0.0, 6.0, 0.0, 0.0, 0.0, 0.0],
        ),
        (
            "rows: logsumexp of -inf, with +inf",
            |x| x.reshape([2, 2]).logsumexp_over(1),
            vec![-inf, -inf, inf, 1.0],
            vec![0.0, 0.0, 1.0, 0.0],
        ),
        (
            "softmax of a partly masked row",
            |x| x.softmax(0).square(),
            vec![-inf, 2.0],
            vec![0.0, 0.0],
        ),
        (
            "normalize of 0",
            |x| x.reshape([2, 2]).normalize(1),
            vec![0.0, 0.0, 0.0, 2.0],
            vec![0.0, 0.0, 0.5, 0.0],
        ),
        (
            "cosine_similarity of 0, by both",
            |x| x.cosine_similarity(x, 0) + x.cosine_similarity(x.detach() + 1.0, 0),
            vec![0.0, 0.0],
            vec![0.0, 0.0],
        ),
        (
            "cumprod with a zero",
            |x| x.cumprod(0),
            vec![2.0, 0.0, 4.0],
            vec![1.0, 10.0, 0.0],
        ),
        (
            "logcumsumexp from -inf",
            |x| x.logcumsumexp(0),
            vec![-inf, 1.0],
            vec![0.0, 1.0],
        ),
        (
            "sort at ties, from the largest",
            |x| x.sort(0, retrograde::Order::Descending).at(0, 0),
            vec![2.0, 2.0],
            vec![1.0, 0.0],
        ),
        (
            "topk at ties",
            |x| x.topk(1, 0, retrograde::Order::Descending).0,
            vec![1.0, 2.0, 2.0],
            vec![0.0, 1.0, 0.0],
        ),
        (
            "max_pool2d at ties",
            |x| x.reshape([1, 1, 2, 2]).max_pool2d(PoolOptions::kernel(2)),
            vec![1.0, 3.0, 3.0, 3.0],
            vec![0.0, 1.0, 0.0, 0.0],
        ),
        (
            "attention where all is masked",
            |x| {
                let x = x.reshape([2, 1]);
                let none = x.rec().zeros::<bool>([2, 2]);
                x.scaled_dot_product_attention(x, x, Attention::full().keep(none))
            },
            vec![1.0, 2.0],
            vec![0.0, 0.0],
        ),
    ]
}

/// What forward mode cannot say, and why.
const NOT_FORWARD: [(&str, &str); 3] = [
    (
        "var of one",
        "the tangent of `x - mean` is 0, which nothing makes NaN",
    ),
    ("std of one", "as `var`"),
    (
        "sqrt at 0, not asked for",
        "it is not known yet that nobody asks: inf times 0",
    ),
];

/// `op` at `at`, by every way to a gradient: what is not `expected`.
fn check<T: Float>(
    kink: &Kink,
    op: for<'t> fn(Var<'t, T>) -> Var<'t, T>,
    tolerance: f64,
) -> Result<Vec<String>> {
    let (n, at) = (kink.at.len(), Array::from_slice(&kink.at).cast::<T>());
    let mut wrong = Vec::new();
    let mut compare = |how: &str, found: &[T]| {
        let same = found.iter().zip(&kink.expected).all(|(a, &b)| {
            let a = a.to_f64();
            a == b || a.is_nan() && b.is_nan() || (a - b).abs() < tolerance
        });
        if !same || found.len() != n {
            wrong.push(format!(
                "{}, {how} in {}: at {:?} the gradient is {found:?}, expected {:?}",
                kink.name,
                T::DTYPE,
                kink.at,
                kink.expected
            ));
        }
    };

    let tape = Tape::new();
    let x = tape.variable(at.clone());
    op(x).sum().backward()?;
    let none = |_| vec![T::of(0.0); n];
    compare("on a tape", &x.grad().map_or_else(none, Array::into_vec));

    let value = Program::record(&[at.clone()], |_, [x]| op(x).sum())?;
    let gradient = value.grad()?;
    let mut ws = gradient.workspace()?;
    compare("in a program", gradient.run(&mut ws, [&at])?.slice(0)?);

    let batch = gradient.vmap(2, &[Some(0)])?;
    let mut ws = batch.workspace()?;
    let both = Array::from_vec([at.as_slice(), at.as_slice()].concat(), [2, n])?;
    let out = batch.run(&mut ws, [&both])?;
    for found in out.slice::<T>(0)?.chunks(n) {
        compare("of a batch", found);
    }

    let forward = value.jvp()?;
    let mut ws = forward.workspace()?;
    let mut slopes = Vec::new();
    for i in 0..n {
        let tangent = Array::from_shape_fn([n], |j| T::of(f64::from(u8::from(i == j[0]))));
        slopes.push(forward.run(&mut ws, [&at, &tangent])?.item::<T>(1)?);
    }
    if !NOT_FORWARD.iter().any(|(name, _)| *name == kink.name) {
        compare("forward", &slopes);
    }
    Ok(wrong)
}

#[test]
fn conventions_at_kinks() -> Result<()> {
    let mut wrong = Vec::new();
    for kink in conventions() {
        wrong.extend(check(&kink, kink.double, 1e-15)?);
        wrong.extend(check(&kink, kink.single, 1e-6)?);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
