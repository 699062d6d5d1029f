//! Functions of elements, one, two or three at a time; comparisons and masks.

use super::{Case, Given, SHAPES, case, each, within};

/// Pairs that broadcast; both orders are run.
const PAIRS: &[(&[usize], &[usize])] = &[
    (&[3, 2], &[2]),
    (&[], &[]),
    (&[1], &[]),
    (&[2], &[]),
    (&[2, 1], &[2]),
    (&[1, 3, 2], &[3, 2]),
    (&[3, 1, 2], &[1, 3, 2]),
    (&[0, 1, 3], &[0, 4, 3]),
    (&[35], &[35]),
    (&[2, 3, 1, 2, 1], &[3, 4, 1, 2]),
];

pub(super) fn pairs(low: f64, high: f64) -> Vec<Vec<Given>> {
    let given = |s: &[usize], by: f64| within(s, low + by, high - by);
    // Ranges a little apart, so that no two elements are equal.
    let both = |&(a, b): &(&[usize], &[usize])| {
        [
            vec![given(a, 0.0), given(b, 0.01)],
            vec![given(b, 0.0), given(a, 0.01)],
        ]
    };
    PAIRS.iter().flat_map(both).collect()
}

fn unary() -> Vec<Case> {
    let on = |low, high| each(SHAPES, low, high);
    vec![
        case!("neg", on(-1.0, 1.0), |x| -x),
        case!("abs", on(-1.0, 1.0), |x| x.abs()),
        case!("sign", on(0.1, 1.0), |x| x.sign()),
        case!("reciprocal", on(0.4, 2.0), |x| x.reciprocal()),
        case!("square", on(-1.0, 1.0), |x| x.square()),
        case!("sqrt", on(0.3, 2.0), |x| x.sqrt()),
        case!("rsqrt", on(0.3, 2.0), |x| x.rsqrt()),
        case!("exp", on(-1.0, 1.0), |x| x.exp()),
        case!("expm1", on(-1.0, 1.0), |x| x.expm1()),
        case!("ln", on(0.3, 2.0), |x| x.ln()),
        case!("log1p", on(-0.5, 2.0), |x| x.log1p()),
        case!("sin", on(-3.0, 3.0), |x| x.sin()),
        case!("cos", on(-3.0, 3.0), |x| x.cos()),
        case!("tan", on(-1.2, 1.2), |x| x.tan()),
        case!("tanh", on(-2.0, 2.0), |x| x.tanh()),
        case!("erf", on(-2.0, 2.0), |x| x.erf()),
        case!("normal_cdf", on(-2.0, 2.0), |x| x.normal_cdf()),
        case!("exp2", on(-1.0, 1.0), |x| x.exp2()),
        case!("log2, log10", on(0.3, 2.0), |x| [x.log2(), x.log10()]),
        case!("cbrt", on(0.3, 2.0), |x| [x.cbrt(), (-x).cbrt()]),
        case!("asin, acos", on(-0.8, 0.8), |x| [x.asin(), x.acos()]),
        case!("atan", on(-2.0, 2.0), |x| x.atan()),
        case!("sinh, cosh", on(-1.5, 1.5), |x| [x.sinh(), x.cosh()]),
        case!("asinh", on(-2.0, 2.0), |x| x.asinh()),
        case!("acosh", on(1.3, 3.0), |x| x.acosh()),
        case!("atanh", on(-0.8, 0.8), |x| x.atanh()),
        case!("sinc", on(-2.5, 2.5), |x| x.sinc()),
        case!("erfc", on(-2.0, 2.0), |x| x.erfc()),
        case!("normal_icdf", on(0.1, 0.9), |x| x.normal_icdf()),
        case!("lgamma", on(0.4, 4.0), |x| x.lgamma()),
        case!("digamma", on(0.5, 4.0), |x| x.digamma()),
        case!("floor", on(1.1, 1.9), |x| x.floor()),
        case!("ceil", on(1.1, 1.9), |x| x.ceil()),
        case!("round", on(0.6, 1.4), |x| x.round()),
        case!("trunc", on(1.1, 1.9), |x| x.trunc()),
        case!("fract", on(1.1, 1.9), |x| x.fract()),
        case!("powi", on(0.4, 1.5), |x| [
            x.powi(3),
            x.powi(-2),
            x.powi(0),
            x.powi(1)
        ]),
        case!("powf", on(0.4, 1.5), |x| [x.powf(2.5), x.powf(-0.5)]),
        case!("clamp", on(-1.0, 1.0), |x| x.clamp(-0.4, 0.55)),
        case!("x * x, x / x, x - x", on(0.4, 1.5), |x| [
            x * x,
            x / x,
            x - x
        ]),
        case!("is_nan, is_finite", on(-1.0, 1.0), |x| {
            let odd = x.ln();
            [
                odd.is_nan().cast(),
                (x / 0.0).is_finite().cast(),
                odd.is_nan().not().cast(),
            ]
        }),
        case!("detach", on(-1.0, 1.0), |x| x.detach() * x).rough(),
    ]
}

fn activations() -> Vec<Case> {
    let on = || each(SHAPES, -2.0, 2.0);
    vec![
        case!("relu", on(), |x| x.relu()),
        case!("relu6", on(), |x| (x * 6.0).relu6()),
        case!("leaky_relu", on(), |x| x.leaky_relu(0.1)),
        case!("elu", on(), |x| x.elu(0.7)),
        case!("celu", on(), |x| x.celu(0.7)),
        case!("selu", on(), |x| x.selu()),
        case!("gelu", on(), |x| [x.gelu(), x.gelu_tanh()]),
        case!("silu", on(), |x| x.silu()),
        case!("mish", on(), |x| x.mish()),
        case!("sigmoid", on(), |x| x.sigmoid()),
        case!("log_sigmoid", on(), |x| x.log_sigmoid()),
        case!("softplus", on(), |x| x.softplus()),
        case!("softsign", on(), |x| x.softsign()),
        case!("hard_sigmoid", on(), |x| x.hard_sigmoid()),
        case!("hard_swish", on(), |x| x.hard_swish()),
        case!("hardshrink", on(), |x| x.hardshrink(0.5)),
    ]
}

fn binary() -> Vec<Case> {
    let on = || pairs(0.4, 2.0);
    vec![
        case!("add", on(), |x, y| x + y),
        case!("sub", on(), |x, y| x - y),
        case!("mul", on(), |x, y| x * y),
        case!("div", on(), |x, y| x / y),
        case!("rem", on(), |x, y| x % (y + 2.0)),
        case!("remainder", on(), |x, y| (-x).remainder(y + 2.0)),
        case!("atan2", on(), |x, y| [x.atan2(y), x.atan2(-y)]),
        case!("hypot", on(), |x, y| x.hypot(y)),
        case!("maximum, minimum", on(), |x, y| [
            x.maximum(y),
            x.minimum(y)
        ]),
        case!("pow", on(), |x, y| x.pow(y)),
        case!("copysign", on(), |x, y| x.copysign(-y)),
        case!("with numbers", on(), |x, y| [
            2.0 * x,
            1.0 / y,
            3.0 - x,
            y + 0.25
        ]),
        case!("lerp", on(), |x, y| x.lerp(y, 0.3)),
        case!("fma", on(), |x, y| x.fma(y, x)),
        case!("compare", on(), |x, y| {
            [x.lt(y), x.le(y), x.gt(y), x.ge(y), x.eq(y), x.ne(y)].map(|m| m.cast())
        }),
        case!("logic", on(), |x, y| {
            let (a, b) = (x.gt(y), x.gt(1.0));
            [a.and(b), a.or(b), a.xor(b), a.not()].map(|m| m.cast())
        }),
        case!("select", on(), |x, y| x.gt(y).select(x * y, x - y)),
        case!("masked_fill", on(), |x, y| (x * y)
            .masked_fill(x.gt(y), 7.0)),
        case!("casts", on(), |x, y| {
            let whole = (x * 10.0).cast::<i64>();
            [
                whole.cast(),
                x.cast::<u32>().cast(),
                y.cast::<bool>().cast(),
                x.cast::<f64>().cast(),
            ]
        })
        .rough(),
    ]
}

/// The family.
pub(super) fn cases() -> Vec<Case> {
    let mut all = unary();
    all.extend(activations());
    all.extend(binary());
    all
}
