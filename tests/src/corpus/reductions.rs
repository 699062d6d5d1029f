//! Reductions over sets of axes, and scans along one.

use retrograde::prelude::*;

use super::{Case, Given, SHAPES, case, each};

/// Shapes with an axis, an element at least.
const ROWS: &[&[usize]] = &[
    &[2, 3],
    &[1],
    &[17],
    &[1, 4, 1],
    &[2, 1, 3, 2],
    &[2, 3, 2, 1, 2],
    &[40, 26],
    &[1030],
];

fn over_everything() -> Vec<Case> {
    let any = || each(SHAPES, -1.0, 1.0);
    let some = || each(ROWS, 0.4, 1.5);
    vec![
        case!("sum", any(), |x| x.sum()),
        case!("mean", some(), |x| x.mean()),
        case!(
            "prod",
            each(&[&[2, 3], &[], &[0], &[17], &[2, 1, 3, 2]], 0.5, 1.5),
            |x| x.prod()
        ),
        case!("max, min", some(), |x| [x.max(), x.min()]).distinct(),
        case!("argmax, argmin", some(), |x| [
            x.argmax().cast(),
            x.argmin().cast()
        ])
        .distinct(),
        case!(
            "var, std",
            each(&[&[2, 3], &[17], &[2, 1, 3, 2], &[1030]], -1.0, 1.0),
            |x| { [x.var(1), x.std(0)] }
        )
        .distinct(),
        case!("norm", some(), |x| [x.norm(), x.norm_p(1.0), x.norm_p(3.0)]),
        case!("norm of the largest", some(), |x| x.norm_p(f64::INFINITY)).distinct(),
        case!("logsumexp", some(), |x| x.logsumexp()),
        case!("count, any, all", any(), |x| {
            let m = x.gt(0.0);
            [m.count().cast(), m.any().cast(), m.all().cast()]
        }),
    ]
}

/// Over the first axis, over the last and kept, over the two together.
macro_rules! over {
    ($name:literal, $sets:expr, |$x:ident, $axes:ident| $body:expr) => {
        case!($name, $sets, |$x| {
            let mut all = Vec::new();
            for $axes in [Axes::from(0), keep(-1), Axes::from(..), keep([0, -1])] {
                all.push($body);
            }
            all
        })
    };
}

/// Of two axes at least.
fn planes(low: f64, high: f64) -> Vec<Vec<Given>> {
    let shapes: &[&[usize]] = &[
        &[3, 4],
        &[1, 1],
        &[5, 1, 2],
        &[2, 3, 2, 2],
        &[2, 1, 2, 2, 3],
        &[2, 1, 2, 1, 1, 2, 1, 2],
        &[33, 35],
    ];
    each(shapes, low, high)
}

fn over_axes() -> Vec<Case> {
    let empty = || each(&[&[3, 4], &[0, 3], &[3, 0, 2], &[2, 2, 0]], -1.0, 1.0);
    vec![
        over!("sum_over", planes(-1.0, 1.0), |x, axes| x.sum_over(axes)),
        over!("sum_over of nothing", empty(), |x, axes| x.sum_over(axes)),
        over!("mean_over", planes(-1.0, 1.0), |x, axes| x.mean_over(axes)),
        over!(
            "prod_over",
            each(&[&[3, 4], &[5, 1, 2], &[0, 2]], 0.5, 1.5),
            |x, axes| x.prod_over(axes)
        ),
        over!("max_over", planes(-1.0, 1.0), |x, axes| x.max_over(axes)).distinct(),
        over!("min_over", planes(-1.0, 1.0), |x, axes| x.min_over(axes)).distinct(),
        over!(
            "var_over",
            each(&[&[3, 4], &[2, 5, 3]], -1.0, 1.0),
            |x, axes| x.var_over(axes, 1)
        )
        .distinct(),
        over!(
            "std_over",
            each(&[&[3, 4], &[2, 5, 3]], -1.0, 1.0),
            |x, axes| x.std_over(axes, 0)
        )
        .distinct(),
        over!("norm_over", planes(0.1, 1.0), |x, axes| x.norm_over(axes)),
        over!("norm_p_over", planes(0.1, 1.0), |x, axes| x
            .norm_p_over(axes, 1.5)),
        over!("logsumexp_over", planes(-1.0, 1.0), |x, axes| x
            .logsumexp_over(axes)),
        over!("count_over", planes(-1.0, 1.0), |x, axes| x
            .gt(0.1)
            .count_over(axes)
            .cast()),
        over!("any_over", planes(-1.0, 1.0), |x, axes| x
            .gt(0.1)
            .any_over(axes)
            .cast()),
        over!("all_over", planes(-1.0, 1.0), |x, axes| x
            .gt(0.1)
            .all_over(axes)
            .cast()),
        case!("argmax_over", planes(-1.0, 1.0), |x| {
            [x.argmax_over(0).cast(), x.argmin_over(keep(-1)).cast()]
        })
        .distinct(),
    ]
}

fn scans() -> Vec<Case> {
    let on = |low, high| {
        each(
            &[&[3, 4], &[1], &[0, 2], &[17], &[2, 5, 3], &[2, 1030]],
            low,
            high,
        )
    };
    vec![
        case!("cumsum", on(-1.0, 1.0), |x| [x.cumsum(0), x.cumsum(-1)]),
        case!(
            "cumprod",
            each(&[&[3, 4], &[1], &[0, 2], &[17], &[2, 5, 3]], 0.5, 1.4),
            |x| { [x.cumprod(0), x.cumprod(-1)] }
        ),
        case!("cummax", on(-1.0, 1.0), |x| [x.cummax(0), x.cummax(-1)]).distinct(),
        case!("logcumsumexp", on(-1.0, 1.0), |x| [
            x.logcumsumexp(0),
            x.logcumsumexp(-1)
        ]),
    ]
}

/// The family.
pub(super) fn cases() -> Vec<Case> {
    let mut all = over_everything();
    all.extend(over_axes());
    all.extend(scans());
    all
}
