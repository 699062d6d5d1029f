//! Elementwise operations, reductions, scans along an axis, products and linear algebra.

use retrograde::Triangle;
use retrograde::prelude::*;

use super::{check, check_values};

type Unary = for<'t> fn(Var<'t, f64>) -> Var<'t, f64>;

#[test]
fn of_one_operand() {
    let all: &[(&str, Unary)] = &[
        ("neg", |x| -x),
        ("abs", |x| (x - 1.0).abs()),
        ("sign", |x| (x - 1.0).sign() * x),
        ("recip", |x| x.reciprocal()),
        ("square", |x| x.square()),
        ("sqrt", |x| x.sqrt()),
        ("rsqrt", |x| x.rsqrt()),
        ("exp", |x| x.exp()),
        ("expm1", |x| x.expm1()),
        ("ln", |x| x.ln()),
        ("log1p", |x| x.log1p()),
        ("sin", |x| x.sin()),
        ("cos", |x| x.cos()),
        ("tan", |x| (0.5 * x).tan()),
        ("tanh", |x| x.tanh()),
        ("sigmoid", |x| x.sigmoid()),
        ("softplus", |x| x.softplus()),
        ("erf", |x| x.erf()),
        ("normal_cdf", |x| x.normal_cdf()),
        ("floor", |x| (3.0 * x).floor() * x),
        ("ceil", |x| (3.0 * x).ceil() * x),
        ("round", |x| (3.0 * x).round() * x),
        ("trunc", |x| (3.0 * x).trunc() * x),
        ("relu", |x| (x - 1.0).relu()),
        ("not", |x| x.gt(1.0).not().select(x, 0.0)),
        ("is_nan", |x| (x - 1.0).ln().is_nan().select(0.5, x)),
        ("is_finite", |x| (x - 1.0).ln().is_finite().select(x, 0.5)),
        ("powi", |x| x.powi(5)),
        ("cast", |x| x.cast::<f32>().cast::<f64>()),
        ("detach", |x| x.detach() * x),
        ("gelu", |x| x.gelu()),
        ("constants", |x| x * 0.1 + 7.0),
    ];
    for &(name, f) in all {
        check(name, [&[5]], 0.0, |_, [x]| f(x));
        check(name, [&[]], 0.0, |_, [x]| f(x));
    }
}

type Binary = for<'t> fn(Var<'t, f64>, Var<'t, f64>) -> Var<'t, f64>;

#[test]
fn of_two_operands_that_broadcast() {
    let all: &[(&str, Binary)] = &[
        ("add", |x, y| x + y),
        ("sub", |x, y| x - y),
        ("mul", |x, y| x * y),
        ("div", |x, y| x / y),
        ("rem", |x, y| (5.0 * x) % y),
        ("max", |x, y| x.maximum(y)),
        ("min", |x, y| x.minimum(y)),
        ("pow", |x, y| x.pow(y)),
        ("copysign", |x, y| x.copysign(y - 1.0)),
        ("comparisons", |x, y| {
            let mask = x.lt(y) | x.ge(y + 0.5) & x.ne(1.0) ^ y.le(0.7);
            mask.select(x * y, x.gt(y).or(x.eq(y)).cast::<f64>() * y)
        }),
        ("same twice", |x, y| (x * x) / (y * y)),
    ];
    let shapes: &[[&[usize]; 2]] = &[
        [&[], &[]],
        [&[4], &[]],
        [&[], &[2, 3]],
        [&[2, 1, 3], &[4, 1]],
        [&[3], &[2, 3]],
        [&[1, 3], &[3, 1]],
    ];
    for &(name, f) in all {
        for &shapes in shapes {
            check(name, shapes, 0.0, |_, [x, y]| f(x, y));
        }
    }
}

#[test]
fn of_three_operands() {
    let shapes: [&[usize]; 3] = [&[2, 3], &[3], &[2, 1]];
    check("fma", shapes, 0.0, |_, [x, y, z]| x.fma(y, z));
    check("select", shapes, 0.0, |_, [x, y, z]| x.gt(1.0).select(y, z));
    check("clamp", [&[2, 3]], 0.0, |_, [x]| x.clamp(0.5, 1.2));
    check("lerp", shapes, 0.0, |_, [x, y, z]| x.lerp(y, z));
}

#[test]
fn reductions() {
    const R: f64 = 1e-14;
    check("sum", [&[2, 3, 4]], R, |_, [x]| x.sum());
    check("sum over", [&[2, 3, 4]], R, |_, [x]| x.sum_over([0, 2]));
    check("mean", [&[2, 3]], R, |_, [x]| x.mean_over(keep(1)));
    check("prod", [&[2, 3]], R, |_, [x]| x.prod_over(0));
    check("max", [&[2, 3]], 0.0, |_, [x]| x.max_over(-1));
    check("min", [&[2, 3]], 0.0, |_, [x]| x.min());
    check("var", [&[5]], R, |_, [x]| x.var(1));
    check("logsumexp", [&[2, 3]], R, |_, [x]| x.logsumexp_over(1));
    check("softmax", [&[2, 3]], R, |_, [x]| x.softmax(0));
    check("log_softmax", [&[2, 3]], R, |_, [x]| x.log_softmax(-1));
    check_values("argmax", [&[2, 3]], 0.0, |_, [x]| {
        x.argmax_over(1).cast::<f64>()
    });
    check_values("argmin", [&[2, 3]], 0.0, |_, [x]| {
        x.argmin_over(0).cast::<f64>()
    });
    check("norm", [&[4]], R, |_, [x]| x.norm());
    check("long rows", [&[2, 1500]], R, |_, [x]| x.sum_over(1));
    check_values("any", [&[2, 3]], 0.0, |_, [x]| {
        x.gt(1.7).any_over(1).cast::<f64>()
    });
}

#[test]
fn along_an_axis() {
    const R: f64 = 1e-14;
    check("cumsum", [&[2, 5]], R, |_, [x]| x.cumsum(1));
    check("cumprod", [&[5, 2]], R, |_, [x]| x.cumprod(0));
    check("cummax", [&[5, 2]], 0.0, |_, [x]| x.cummax(0));
    check("logcumsumexp", [&[5]], R, |_, [x]| x.logcumsumexp(0));
    check("sort", [&[3, 4]], 0.0, |_, [x]| {
        x.sort(0, retrograde::Order::Descending)
    });
    check("topk", [&[3, 4]], 0.0, |_, [x]| {
        x.topk(2, 1, retrograde::Order::Descending).0
    });
    check_values("argsort", [&[3, 4]], 0.0, |_, [x]| {
        x.argsort(1, retrograde::Order::Ascending).cast::<f64>()
    });
    check_values("searchsorted", [&[6], &[4]], 0.0, |_, [x, y]| {
        x.cumsum(0)
            .searchsorted(2.0 * y, retrograde::Side::Right)
            .cast::<f64>()
    });
}

#[test]
fn products() {
    const R: f64 = 1e-14;
    let shapes: &[[&[usize]; 2]] = &[
        [&[3, 4], &[4, 2]],
        [&[4], &[4, 2]],
        [&[3, 4], &[4]],
        [&[4], &[4]],
        [&[2, 3, 4], &[4, 2]],
        [&[2, 3, 4], &[2, 4, 2]],
        [&[2, 1, 3, 4], &[5, 4, 2]],
        [&[3, 4], &[2, 4, 2]],
        [&[2, 3, 4], &[4]],
        [&[4], &[2, 4, 3]],
        [&[1, 4], &[4, 1]],
        [&[3, 0], &[0, 2]],
        [&[0, 4], &[4, 2]],
        [&[3, 4], &[4, 0]],
    ];
    for &shapes in shapes {
        check("matmul", shapes, R, |_, [x, y]| x.matmul(y));
    }
    check("dot", [&[4], &[4]], R, |_, [x, y]| x.dot(y));
    check("outer", [&[4], &[3]], 0.0, |_, [x, y]| x.outer(y));
    check("transposed", [&[4, 3], &[2, 4]], R, |_, [x, y]| {
        x.t().matmul(y.t())
    });
}

/// Positive definite.
fn definite<'t>(t: Rec<'t>, x: Var<'t, f64>) -> Var<'t, f64> {
    x.matmul(x.t()) + t.eye(3) * 2.0
}

#[test]
fn linear_algebra() {
    const R: f64 = 1e-13;
    let square: &[usize] = &[3, 3];
    check("eigh", [square], R, |t, [a]| {
        let (w, v) = definite(t, a).eigh();
        v * w.sin()
    });
    check("svd, qr", [&[4, 2]], R, |t, [a]| {
        let a = a + t.eye(4).narrow(1, 0, 2) * 2.0;
        let ((u, s, vh), (q, r)) = (a.svd(), a.qr());
        u.matmul(vh) + q * s.sin() + (q * 2.0).matmul(r)
    });
    check("cholesky", [square], R, |t, [a]| definite(t, a).cholesky());
    check("solve_triangular", [square, &[3, 2]], R, |t, [a, b]| {
        (a + t.eye(3) * 2.0).solve_triangular(b, Triangle::upper())
    });
    check("solve", [square, &[3, 2]], R, |t, [a, b]| {
        (a + t.eye(3) * 3.0).solve(b)
    });
    check("solve a vector", [square, &[3]], R, |t, [a, b]| {
        (a + t.eye(3) * 3.0).solve(b)
    });
    check("inverse", [square], R, |t, [a]| {
        (a + t.eye(3) * 3.0).inverse()
    });
    check("det", [square], R, |t, [a]| (a + t.eye(3)).det());
    check("logdet", [square], R, |t, [a]| definite(t, a).logdet());
    check("slogdet", [square], R, |t, [a]| {
        let (sign, log) = (a - t.eye(3) * 2.0).slogdet();
        sign * log
    });
    check(
        "a batch of its own",
        [&[2, 3, 3], &[2, 3, 1]],
        R,
        |t, [a, b]| (a + t.eye(3) * 3.0).solve(b),
    );
    check("triangles", [square], 0.0, |_, [a]| {
        a.tril(0) + a.triu(1) * 2.0 + a.trace()
    });
}
