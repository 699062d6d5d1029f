//! Derivatives against central differences of the reference evaluator, in `f64`.

use retrograde_storage::Id;

use crate::recorder::Recorder;
use crate::rules::{forward, reverse};
use crate::sparse::{MOST_SETS, dependencies};
use crate::testing::{Function, Numbers, indices, leaf, lowered_values, rec, values};
use crate::var::{Attention, Rec, Reduction, Var, keep};

pub(super) struct Case {
    pub name: &'static str,
    pub f: Function,
    /// Shapes of the variables.
    pub shapes: &'static [&'static [usize]],
    /// Values are between these, away from kinks.
    pub domain: (f64, f64),
}

/// First order element by element, second order along every input's own direction, forward along one direction.
pub(super) fn check(case: &Case, seed: u64) {
    let Case {
        name,
        f,
        shapes,
        domain,
    } = case;
    let mut numbers = Numbers(seed);
    let recorder = Recorder::default();
    let rec = rec(&recorder);
    let n = shapes.len();
    let leaf_of = |i: usize| leaf::<f64>(rec, i, shapes[i % n]);
    // Variables, directions for the second order, directions forward, weights of the result.
    let x: Vec<Var<'_, f64>> = (0..n).map(leaf_of).collect();
    let directions: Vec<_> = (n..2 * n).map(leaf_of).collect();
    let y = f(rec, &x);
    let y_shape = y.shape().unwrap_or_else(|e| panic!("{name}: {e}"));
    let weights = leaf::<f64>(rec, 2 * n, &y_shape);
    let s = (y * weights).sum();

    let ids: Vec<_> = x.iter().map(|v| v.id).collect();
    let tangents: Vec<_> = directions.iter().map(|v| v.id).collect();
    let (gradients, second, tangent) = {
        let mut state = recorder.state.borrow_mut();
        let list = &mut state.list;
        let one = list.float(1.0, retrograde_storage::DType::F64);
        let gradients = reverse(list, s.id, one, &ids);
        // The directional derivative of s, whose gradient is the Hessian times the direction.
        let mut along = None;
        for (g, &d) in gradients.iter().zip(&tangents) {
            let Some(g) = *g else { continue };
            let product = list.mul(g, d);
            let sum = list.sum_to(product, retrograde_storage::Shape::SCALAR);
            along = Some(along.map_or(sum, |a| list.add(a, sum)));
        }
        let second = along.map(|along| reverse(list, along, one, &ids));
        let tangent = forward(list, &[y.id], &ids, &tangents)[0];
        (gradients, second, tangent)
    };

    let mut leaves: Vec<Vec<f64>> = Vec::new();
    leaves.extend(
        x.iter()
            .map(|v| numbers.many(v.len().unwrap(), domain.0, domain.1)),
    );
    leaves.extend(x.iter().map(|v| numbers.many(v.len().unwrap(), -1.0, 1.0)));
    leaves.push(numbers.many(y.len().unwrap(), 0.5, 1.5));
    let at = |leaves: &[Vec<f64>]| values(&recorder, leaves);
    let here = at(&leaves);
    let zero = |i: usize| vec![0.0; x[i].len().unwrap()];
    let gradient = |all: &[Vec<f64>], i: usize| {
        gradients[i].map_or_else(|| zero(i), |g| all[g.index()].clone())
    };

    let close = |what: &str, found: f64, expected: f64| {
        let scale = 1.0 + expected.abs();
        assert!(
            (found - expected).abs() <= 2e-6 * scale,
            "{name}: {what}: rule {found}, differences {expected}"
        );
    };
    // Where the result and the gradients depend on a variable, by their patterns.
    let targets: Vec<_> = [y.id]
        .into_iter()
        .chain(gradients.iter().flatten().copied())
        .collect();
    let h = 1e-5;
    let mut dot = 0.0;
    for i in 0..n {
        let patterns: Vec<_> = targets
            .iter()
            .map(|&t| {
                let list = &recorder.state.borrow().list;
                dependencies(list, t, ids[i], MOST_SETS, |_| None).unwrap()
            })
            .collect();
        let g = gradient(&here, i);
        dot += g
            .iter()
            .zip(&leaves[n + i])
            .map(|(g, d)| g * d)
            .sum::<f64>();
        for e in 0..x[i].len().unwrap() {
            let mut moved = leaves.clone();
            moved[i][e] = leaves[i][e] + h;
            let above = at(&moved);
            moved[i][e] = leaves[i][e] - h;
            let below = at(&moved);
            let difference = (above[s.id.index()][0] - below[s.id.index()][0]) / (2.0 * h);
            close(&format!("d/dx{i}[{e}]"), g[e], difference);
            for (t, pattern) in targets.iter().zip(&patterns) {
                let pairs = above[t.index()].iter().zip(&below[t.index()]);
                for (row, (a, b)) in pairs.enumerate() {
                    let moves = (a - b).abs() > 1e-9 * (1.0 + a.abs());
                    assert!(
                        !moves || pattern.position(row, e).is_some(),
                        "{name}: {t}[{row}] depends on x{i}[{e}], which {pattern:?} misses"
                    );
                }
            }
            // The gradient along the directions, moved in this element.
            let along = |all: &[Vec<f64>]| -> f64 {
                let terms = |j: usize| {
                    let g = gradient(all, j);
                    g.iter()
                        .zip(&leaves[n + j])
                        .map(|(g, d)| g * d)
                        .sum::<f64>()
                };
                (0..n).map(terms).sum()
            };
            let difference = (along(&above) - along(&below)) / (2.0 * h);
            let rule = second
                .as_ref()
                .and_then(|s| s[i])
                .map_or(0.0, |g| here[g.index()][e]);
            close(&format!("second order, x{i}[{e}]"), rule, difference);
        }
    }
    // <w, J t> = <J' w, t>; finite, so the NaN in the placeholder did not reach it.
    let weighted: f64 = here[tangent.index()]
        .iter()
        .zip(&leaves[2 * n])
        .map(|(t, w)| t * w)
        .sum();
    assert!(
        (weighted - dot).abs() <= 1e-10 * (1.0 + dot.abs()),
        "{name}: forward {weighted}, reverse {dot}"
    );
    does_not_read_placeholders(&recorder, tangent, name);

    let lowered = lowered_values(&recorder, &leaves);
    for (v, (a, b)) in lowered.iter().zip(&here).enumerate() {
        for (a, b) in a.iter().zip(b) {
            let same =
                a == b || (a - b).abs() <= 1e-12 * (1.0 + b.abs()) || a.is_nan() && b.is_nan();
            assert!(same, "{name}: lowered v{v} is {a}, not {b}");
        }
    }
}

fn does_not_read_placeholders(recorder: &Recorder, v: crate::list::Value, name: &str) {
    let state = recorder.state.borrow();
    let mut reached = vec![false; state.list.len()];
    reached[v.index()] = true;
    for v in state
        .list
        .values()
        .rev()
        .filter(|v| v.index() < state.list.len())
    {
        if reached[v.index()] {
            let placeholder =
                state.list.op(v) == crate::op::Op::Input && state.list.attr(v).as_int() == -1;
            assert!(!placeholder, "{name}: the tangent reads {v}");
            for a in state.list.args(v) {
                reached[a.index()] = true;
            }
        }
    }
}

fn check_all(cases: &[Case]) {
    for (i, case) in cases.iter().enumerate() {
        check(case, 1000 + i as u64);
    }
}

/// `case!(name, shapes, low..high, |rec, x| ...)`.
macro_rules! cases {
    ($($name:literal [$($shape:expr),*] $low:literal .. $high:literal => $f:expr;)*) => {
        &[$(Case { name: $name, shapes: &[$(&$shape),*], domain: ($low, $high), f: $f }),*]
    };
}

#[test]
fn elementwise() {
    check_all(cases! {
        "neg" [[3]] -2.0..2.0 => |_, x| -x[0];
        "abs" [[3]] 0.3..2.0 => |_, x| (-x[0]).abs();
        "sign" [[3]] 0.3..2.0 => |_, x| x[0].sign();
        "reciprocal" [[3]] 0.3..2.0 => |_, x| x[0].reciprocal();
        "square" [[3]] -2.0..2.0 => |_, x| x[0].square();
        "sqrt" [[3]] 0.3..2.0 => |_, x| x[0].sqrt();
        "rsqrt" [[3]] 0.3..2.0 => |_, x| x[0].rsqrt();
        "exp" [[3]] -2.0..2.0 => |_, x| x[0].exp();
        "expm1" [[3]] -2.0..2.0 => |_, x| x[0].expm1();
        "ln" [[3]] 0.3..2.0 => |_, x| x[0].ln();
        "log1p" [[3]] -0.6..2.0 => |_, x| x[0].log1p();
        "sin" [[3]] -2.0..2.0 => |_, x| x[0].sin();
        "cos" [[3]] -2.0..2.0 => |_, x| x[0].cos();
        "tan" [[3]] -1.0..1.0 => |_, x| x[0].tan();
        "tanh" [[3]] -2.0..2.0 => |_, x| x[0].tanh();
        "sigmoid" [[3]] -2.0..2.0 => |_, x| x[0].sigmoid();
        "softplus" [[3]] -2.0..2.0 => |_, x| x[0].softplus();
        "erf" [[3]] -2.0..2.0 => |_, x| x[0].erf();
        "normal_cdf" [[3]] -2.0..2.0 => |_, x| x[0].normal_cdf();
        "exp2, log2, log10" [[3]] 0.3..2.0 => |_, x| x[0].exp2() * x[0].log2() + x[0].log10();
        "cbrt" [[3]] 0.3..2.0 => |_, x| (-x[0]).cbrt();
        "asin, acos" [[3]] -0.8..0.8 => |_, x| x[0].asin() * x[0].acos().square();
        "atan" [[3]] -2.0..2.0 => |_, x| x[0].atan();
        "sinh, cosh" [[3]] -2.0..2.0 => |_, x| x[0].sinh() + x[0].cosh().square();
        "asinh" [[3]] -2.0..2.0 => |_, x| x[0].asinh();
        "acosh" [[3]] 1.3..2.0 => |_, x| x[0].acosh();
        "atanh" [[3]] -0.8..0.8 => |_, x| x[0].atanh();
        "sinc" [[4]] -2.0..2.0 => |_, x| x[0].sinc();
        "sinc near 0" [[4]] -0.1..0.1 => |_, x| x[0].sinc() * x[0];
        "erfc" [[3]] -2.0..2.0 => |_, x| x[0].erfc();
        "normal_icdf" [[3]] 0.1..0.9 => |_, x| x[0].normal_icdf();
        "lgamma" [[4]] 0.3..3.0 => |_, x| x[0].lgamma();
        "lgamma left of 0" [[3]] -0.9..-0.1 => |_, x| x[0].lgamma();
        "digamma" [[3]] 0.5..3.0 => |_, x| x[0].digamma();
        "floor" [[3]] 0.2..0.8 => |_, x| x[0].floor() + x[0].ceil() + x[0].round() + x[0].trunc();
        "fract" [[3]] 0.2..0.8 => |_, x| x[0].fract() * x[0];
        "relu" [[3]] 0.2..0.8 => |_, x| x[0].relu() * x[0] + (-x[0]).relu();
        "leaky_relu" [[3], []] 0.2..0.8 => |_, x| (-x[0]).leaky_relu(x[1]) * x[0];
        "gelu" [[3]] -2.0..2.0 => |_, x| x[0].gelu();
        "gelu_tanh" [[3]] -2.0..2.0 => |_, x| x[0].gelu_tanh();
        "silu" [[3]] -2.0..2.0 => |_, x| x[0].silu();
        "powi" [[3]] 0.3..2.0 => |_, x| x[0].powi(-2) + x[0].powi(-1) + x[0].powi(0) + x[0].powi(1) + x[0].powi(2) + x[0].powi(3) + x[0].powi(5);
        "powf" [[3]] 0.3..2.0 => |_, x| x[0].powf(1.7) + x[0].powf(-0.5);
        "cast" [[3]] 0.3..2.0 => |_, x| x[0].cast::<f32>().square().cast::<f64>() + x[0].cast::<u32>().cast::<f64>();
        "detach" [[3]] 0.3..2.0 => |_, x| x[0] * x[0].detach().cast::<u32>().cast::<f64>();
        "scalars" [[3]] 0.3..2.0 => |_, x| 3.0 * x[0] - 2.0 / x[0] + (1.5 - x[0]) % 10.0;
        "the same operand twice" [[3]] 0.3..2.0 => |_, x| x[0] * x[0] + x[0] / x[0] + x[0] - x[0];
    });
}

#[test]
fn elementwise_broadcast() {
    type Op2 = (&'static str, Function);
    let ops: [Op2; 16] = [
        ("add", |_, x| x[0] + x[1]),
        ("sub", |_, x| x[0] - x[1]),
        ("mul", |_, x| x[0] * x[1]),
        ("div", |_, x| x[0] / x[1]),
        ("rem", |_, x| (7.0 * x[0]) % x[1]),
        ("atan2", |_, x| x[0].atan2(x[1])),
        ("hypot", |_, x| x[0].hypot(x[1])),
        ("remainder", |_, x| (7.0 * x[0]).remainder(-x[1])),
        ("pow", |_, x| x[0].pow(x[1])),
        ("maximum", |_, x| x[0].maximum(x[1]) * x[0]),
        ("minimum", |_, x| x[0].minimum(x[1]) * x[1]),
        ("copysign", |_, x| x[0].copysign(-x[1]) * x[1]),
        ("hardshrink", |_, x| x[0].hardshrink(x[1]) * x[0]),
        ("select", |_, x| {
            x[0].gt(x[1]).select(x[0] * x[1], x[1].square())
        }),
        ("clamp", |_, x| {
            (x[0] * x[0]).clamp(x[1], 1.2) + x[0].clamp(0.5, x[1] + 0.2) * x[1]
        }),
        ("lerp and fma", |_, x| {
            x[0].lerp(x[1], x[1] * x[0]) + x[0].fma(x[1], x[0])
        }),
    ];
    let pairs: [&'static [&'static [usize]]; 7] = [
        &[&[2, 3], &[2, 3]],
        &[&[], &[3]],
        &[&[2, 1], &[2]],
        &[&[3, 2], &[2]],
        &[&[1, 3, 2], &[3, 2]],
        &[&[3, 1, 2], &[1, 3, 2]],
        &[&[0, 1, 3], &[0, 4, 3]],
    ];
    for (i, (name, f)) in ops.into_iter().enumerate() {
        for (j, shapes) in pairs.into_iter().enumerate() {
            check(
                &Case {
                    name,
                    f,
                    shapes,
                    domain: (0.3, 1.9),
                },
                (100 * i + j) as u64,
            );
        }
        let shapes: &[&[usize]] = &[&[2, 3], &[3]];
        check(
            &Case {
                name,
                f,
                shapes,
                domain: (0.3, 1.9),
            },
            i as u64,
        );
    }
}

#[test]
fn reductions() {
    check_all(cases! {
        "sum" [[2, 3, 2]] -1.0..2.0 => |_, x| x[0].sum().sin() * x[0].sum_over([0, 2]) + x[0].sum_over(keep(1)).square().sum();
        "mean" [[2, 3, 2]] -1.0..2.0 => |_, x| (x[0] - x[0].mean_over(keep(-1))).square() * x[0].mean();
        "prod" [[4]] 0.5..2.0 => |_, x| x[0].prod();
        "prod of axes" [[2, 3, 2]] 0.5..2.0 => |_, x| x[0].prod_over([0, 2]) + x[0].prod_over(1).sum();
        "prod of one" [[3, 1]] 0.5..2.0 => |_, x| x[0].prod_over(1) * x[0].prod_over(keep(-1)).flatten();
        "max" [[2, 3, 2]] -1.0..2.0 => |_, x| x[0].max_over([0, 2]).square() + x[0].max().exp();
        "min" [[2, 3, 2]] -1.0..2.0 => |_, x| x[0].min_over(1).square().sum() * x[0].min_over(keep([0, 2])).square();
        "var" [[3, 4]] -1.0..2.0 => |_, x| x[0].var_over(1, 1) * x[0].var(0);
        "std" [[3, 4]] -1.0..2.0 => |_, x| x[0].std_over(0, 1).sum() * x[0].std_over(keep(-1), 0);
        "norm" [[3, 4]] -1.0..2.0 => |_, x| x[0].norm_over(1) * x[0].norm();
        "norm_p" [[3, 2]] 0.3..2.0 => |_, x| (-x[0]).norm_p_over(1, 3.0) + x[0].norm_p(1.0) * x[0].norm_p(f64::INFINITY) + x[0].norm_p(0.5);
        "logsumexp" [[3, 4]] -3.0..3.0 => |_, x| x[0].logsumexp_over(1) * x[0].logsumexp() + x[0].logsumexp_over(0).sum();
        "logsumexp of apart axes" [[2, 3, 2]] -3.0..3.0 => |_, x| x[0].logsumexp_over([0, 2]).square();
        "of nothing" [[0, 3]] -3.0..3.0 => |_, x| x[0].sum_over(0) + x[0].prod_over(0);
    });
}

#[test]
fn rows() {
    check_all(cases! {
        "softmax" [[2, 4]] -2.0..2.0 => |_, x| x[0].softmax(-1) * x[0].softmax(0);
        "log_softmax" [[2, 4]] -2.0..2.0 => |_, x| x[0].log_softmax(1) * x[0];
        "layer_norm" [[2, 4], [4], [4]] -2.0..2.0 => |_, x| x[0].layer_norm(x[1], x[2], 1e-3);
        "rms_norm" [[2, 4], [4]] -2.0..2.0 => |_, x| x[0].rms_norm(x[1], 1e-3);
    });
}

#[test]
fn scans() {
    check_all(cases! {
        "cumsum" [[2, 4]] -2.0..2.0 => |_, x| x[0].cumsum(1).sin() + x[0].cumsum(0).square();
        "cumprod" [[2, 4]] 0.5..1.5 => |_, x| x[0].cumprod(-1) * x[0].cumprod(0).sin();
        "cumprod of negatives" [[3]] -1.5..1.5 => |_, x| x[0].cumprod(0).flip(0).cumprod(0);
        "cummax" [[2, 4]] -2.0..2.0 => |_, x| x[0].cummax(1).square() + x[0].cummax(0) * x[0];
        "logcumsumexp" [[2, 4]] -2.0..2.0 => |_, x| x[0].logcumsumexp(1) * x[0].logcumsumexp(0);
        "scans of one and of none" [[2, 1], [2, 0]] 0.5..2.0 => |_, x| x[0].cumprod(1) * x[0].logcumsumexp(1) + x[1].cumsum(1).sum() + x[1].cumprod(1).sum() + x[1].logcumsumexp(1).sum();
    });
}

#[test]
fn shapes() {
    check_all(cases! {
        "reshape" [[2, 3]] -2.0..2.0 => |_, x| x[0].reshape([3, crate::INFER]).square() * x[0].flatten().reshape([3, 2]);
        "transpose" [[2, 3]] -2.0..2.0 => |_, x| x[0].t().square() * x[0].transpose(0, 1);
        "permute" [[2, 3, 2]] -2.0..2.0 => |_, x| x[0].permute([2, 0, 1]).square();
        "squeeze" [[2, 1, 3]] -2.0..2.0 => |_, x| x[0].squeeze(1).square() + x[0].squeeze(..).unsqueeze(0).sin().sum_over(0);
        "broadcast" [[3]] -2.0..2.0 => |_, x| x[0].broadcast_to([2, 3]).square();
        "slice" [[5]] -2.0..2.0 => |_, x| x[0].slice(0, 1..).slice(0, ..-1).square() + x[0].slice_step(0, .., 2).sin() + x[0].slice_step(0, .., -2) * x[0].narrow(0, 2, 3);
        "flip and roll" [[2, 4]] -2.0..2.0 => |_, x| x[0].flip([0, 1]) * x[0].roll(1, 1) * x[0].roll(-5, -1);
        "concat" [[2, 1], [2, 2]] -2.0..2.0 => |rec, x| rec.concat(&[x[0], x[1], x[0]], 1).square();
        "stack" [[2], [2]] -2.0..2.0 => |rec, x| rec.stack(&[x[0], x[1], x[0] * x[1]], -1).square();
        "split and chunk" [[5]] -2.0..2.0 => |_, x| { let s = x[0].split(&[1, 4], 0); let c = x[0].chunk(2, 0); (s[0] * s[1]).sum() + c[0].square().sum() * c[1].sum() };
        "repeat and tile" [[2, 1]] -2.0..2.0 => |_, x| x[0].repeat([2, 1, 3]).square() + x[0].tile([3]).sin() + x[0].repeat_interleave(3, 1);
    });
}

#[test]
fn products() {
    check_all(cases! {
        "dot" [[4], [4]] -2.0..2.0 => |_, x| x[0].dot(x[1]) * x[0].dot(x[0]);
        "outer" [[3], [2]] -2.0..2.0 => |_, x| x[0].outer(x[1]).square();
        "matmul" [[2, 3], [3, 2]] -2.0..2.0 => |_, x| x[0].matmul(x[1]).square();
        "matmul with itself" [[2, 3]] -2.0..2.0 => |_, x| x[0].matmul(x[0].t()).square();
        "vector times matrix" [[3], [3, 2]] -2.0..2.0 => |_, x| x[0].matmul(x[1]).square();
        "matrix times vector" [[2, 3], [3]] -2.0..2.0 => |_, x| x[0].matmul(x[1]).square();
        "vector times vector" [[3], [3]] -2.0..2.0 => |_, x| x[0].matmul(x[1]).square();
        "batch times matrix" [[2, 2, 3], [3, 2]] -2.0..2.0 => |_, x| x[0].matmul(x[1]).square();
        "matrix times batch" [[2, 3], [2, 3, 2]] -2.0..2.0 => |_, x| x[0].matmul(x[1]).square();
        "batches broadcast" [[2, 1, 2, 3], [2, 3, 1]] -1.0..1.0 => |_, x| x[0].matmul(x[1]).square();
        "vector times batch" [[3], [2, 3, 2]] -2.0..2.0 => |_, x| x[0].matmul(x[1]).square();
        "empty inner" [[2, 0], [0, 2]] -2.0..2.0 => |_, x| x[0].matmul(x[1]);
    });
}

#[test]
fn attention() {
    fn mask(rec: Rec<'_>) -> Var<'_, bool> {
        indices(rec, &[1, 0, 1]).gt(0)
    }
    check_all(cases! {
        "one head, fewer features in values" [[2, 2], [3, 2], [3, 1]] -2.0..2.0 => |_, x| x[0].scaled_dot_product_attention(x[1], x[2], Attention::full()).square();
        "causal, joint gradients" [[3, 2, 2], [3, 2, 2], [3, 2, 2]] -2.0..2.0 => |_, x| x[0].scaled_dot_product_attention(x[1], x[2], Attention::causal()).square();
        "one operand for all" [[2, 3, 2]] -2.0..2.0 => |_, x| x[0].scaled_dot_product_attention(x[0] * 0.5, x[0].square(), Attention::causal().scale(0.3));
        "broadcast heads, keys hidden" [[2, 2, 2], [3, 2], [1, 3, 2]] -2.0..2.0 => |rec, x| x[0].scaled_dot_product_attention(x[1], x[2], Attention::full().keep(mask(rec)));
        "bias" [[2, 2, 2], [2, 3, 2], [2, 3, 1], [2, 3]] -2.0..2.0 => |_, x| x[0].scaled_dot_product_attention(x[1], x[2], Attention::full().bias(x[3]));
        "causal bias, more queries than keys" [[3, 1], [2, 1], [2, 2], [3, 1]] -2.0..2.0 => |_, x| x[0].scaled_dot_product_attention(x[1], x[2], Attention::causal().bias(x[3].square()));
    });
}

#[test]
fn losses() {
    check_all(cases! {
        "mse" [[3], [3]] -2.0..2.0 => |_, x| x[0].mse(x[1]) + x[0].mse_with(x[1], Reduction::None);
        "l1" [[3], [3]] 0.3..2.0 => |_, x| x[0].l1(-x[1]) * x[0].l1_with(x[1] + 3.0, Reduction::Sum);
        "bce" [[3], [3]] -2.0..2.0 => |_, x| x[0].bce_with_logits(x[1]);
        "cross_entropy" [[3, 4]] -2.0..2.0 => |rec, x| x[0].cross_entropy(indices(rec, &[3, 0, 3]));
        "cross_entropy of one row" [[4]] -2.0..2.0 => |rec, x| x[0].cross_entropy(rec.scalar(2u32)).square();
        "nll" [[3, 4]] -2.0..2.0 => |rec, x| x[0].log_softmax(-1).nll_with(indices(rec, &[3, 0, 3]), Reduction::None);
    });
}

#[test]
fn indexing() {
    fn table(rec: Rec<'_>) -> Var<'_, u32> {
        indices(rec, &[2, 0, 2, 1, 1, 0]).reshape([3, 2])
    }
    check_all(cases! {
        "gather" [[3, 2]] -2.0..2.0 => |rec, x| x[0].gather(0, table(rec)).square();
        "gather with a broadcast index" [[3, 2]] -2.0..2.0 => |rec, x| x[0].gather(0, indices(rec, &[2, 2]).reshape([2, 1])).square();
        "index_select" [[2, 3]] -2.0..2.0 => |rec, x| x[0].index_select(1, indices(rec, &[2, 0, 2, 1])).square();
        "embedding" [[3, 2]] -2.0..2.0 => |rec, x| x[0].embedding(table(rec)).square();
        "scatter_add" [[3, 2], [3, 2]] -2.0..2.0 => |rec, x| x[0].scatter_add(0, table(rec), x[1]).square();
        "masked_fill" [[3], []] -2.0..2.0 => |_, x| x[0].masked_fill(x[0].gt(0.0), x[1] * x[1]).square();
        "one_hot" [[3]] -2.0..2.0 => |rec, x| (x[0] * indices(rec, &[2, 0]).one_hot(3)).square();
    });
}

#[test]
fn creation() {
    check_all(cases! {
        "linspace, eye, full" [[3]] -2.0..2.0 => |rec, x| x[0] * rec.linspace(1.0, 2.0, 3) + rec.eye(3) * x[0].square() + rec.full([3], 2.5) / (rec.ones([3]) + rec.arange(3));
    });
}

#[test]
fn a_scan_longer_than_its_coefficients_reach() {
    // 12 elements, several of them 0: no division anywhere.
    let case = Case {
        name: "prod",
        f: |_, x| (x[0] - x[0].floor()).prod() * x[0].prod(),
        shapes: &[&[12]],
        domain: (1.1, 1.9),
    };
    check(&case, 7);
}
