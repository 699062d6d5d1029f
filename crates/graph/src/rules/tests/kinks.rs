//! Conventions where a derivative does not exist, and exact zeros behind branches not taken.

use retrograde_storage::{DType, Id};

use crate::recorder::Recorder;
use crate::rules::{forward, reverse};
use crate::testing::{Function, leaf, lowered_values, rec, values};
use crate::var::keep;

const INF: f64 = f64::INFINITY;

/// The gradients of the sum of `f` at vectors, and of the sum of the first gradient: first and second order.
fn derivatives(f: Function, x: &[&[f64]]) -> [Vec<Vec<f64>>; 2] {
    let recorder = Recorder::default();
    let rec = rec(&recorder);
    let vars: Vec<_> = x
        .iter()
        .enumerate()
        .map(|(i, x)| leaf(rec, i, &[x.len()]))
        .collect();
    let y = f(rec, &vars).sum();
    y.shape().unwrap();
    let ids: Vec<_> = vars.iter().map(|v| v.id).collect();
    let mut orders = Vec::new();
    {
        let mut state = recorder.state.borrow_mut();
        let list = &mut state.list;
        let one = list.float(1.0, DType::F64);
        let mut of = y.id;
        for _ in 0..2 {
            let gradients: Vec<_> = reverse(list, of, one, &ids)
                .into_iter()
                .zip(&ids)
                .map(|(g, &x)| g.unwrap_or_else(|| list.zeros_like(x)))
                .collect();
            of = list.sum_to(gradients[0], retrograde_storage::Shape::SCALAR);
            orders.push(gradients);
        }
    }
    let leaves: Vec<Vec<f64>> = x.iter().map(|x| x.to_vec()).collect();
    let all = lowered_values(&recorder, &leaves);
    std::array::from_fn(|order| {
        orders[order]
            .iter()
            .map(|g| all[g.index()].clone())
            .collect()
    })
}

fn gradient(f: Function, x: &[f64]) -> Vec<f64> {
    derivatives(f, &[x])[0].remove(0)
}

fn second(f: Function, x: &[f64]) -> Vec<f64> {
    derivatives(f, &[x])[1].remove(0)
}

#[test]
fn at_zero() {
    assert_eq!(gradient(|_, x| x[0].relu(), &[0.0, -0.0]), [0.0, 0.0]);
    assert_eq!(gradient(|_, x| x[0].leaky_relu(0.1), &[0.0]), [0.1]);
    assert_eq!(
        gradient(|_, x| x[0].hardshrink(1.0), &[0.5, 1.0, -1.0, 1.5, -2.0]),
        [0.0, 0.0, 0.0, 1.0, 1.0]
    );
    assert_eq!(gradient(|_, x| x[0].abs(), &[0.0, -2.0]), [0.0, -1.0]);
    assert_eq!(gradient(|_, x| x[0].sign(), &[0.0]), [0.0]);
    assert_eq!(gradient(|_, x| x[0].l1(x[0].detach()), &[1.0]), [0.0]);
    assert_eq!(
        gradient(|_, x| x[0].copysign(1.0), &[0.0, -2.0]),
        [0.0, -1.0]
    );
    assert_eq!(gradient(|_, x| x[0].sqrt(), &[0.0]), [INF]);
    assert_eq!(gradient(|_, x| x[0].rsqrt(), &[0.0]), [-INF]);
    assert_eq!(gradient(|_, x| x[0].ln(), &[0.0]), [INF]);
    assert_eq!(gradient(|_, x| x[0].reciprocal(), &[0.0]), [-INF]);
    assert_eq!(gradient(|_, x| x[0].norm(), &[0.0, 0.0]), [0.0, 0.0]);
    assert_eq!(second(|_, x| x[0].norm(), &[0.0, 0.0]), [0.0, 0.0]);
    assert_eq!(gradient(|_, x| x[0].norm_p(0.5), &[0.0, 0.0]), [0.0, 0.0]);
    assert_eq!(gradient(|_, x| x[0].norm_p(3.0), &[0.0, 0.0]), [0.0, 0.0]);
    assert_eq!(
        gradient(|_, x| x[0].norm_p(INF), &[2.0, -2.0, 1.0]),
        [0.5, -0.5, 0.0]
    );
    assert_eq!(gradient(|_, x| x[0].std(1), &[3.0, 3.0]), [0.0, 0.0]);
    assert!(gradient(|_, x| x[0].std(1), &[3.0])[0].is_nan());
    assert!(gradient(|_, x| x[0].var(1), &[3.0])[0].is_nan());
}

#[test]
fn ties_and_bounds() {
    assert_eq!(
        derivatives(
            |_, x| x[0].maximum(x[1]),
            &[&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]]
        )[0],
        [[0.0, 0.5, 1.0], [1.0, 0.5, 0.0]]
    );
    assert_eq!(
        derivatives(
            |_, x| x[0].minimum(x[1]),
            &[&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]]
        )[0],
        [[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]]
    );
    assert_eq!(gradient(|_, x| x[0].maximum(0.0), &[0.0]), [0.5]);
    assert_eq!(
        gradient(|_, x| x[0].clamp(1.0, 2.0), &[0.5, 1.0, 1.5, 2.0, 2.5]),
        [0.0, 1.0, 1.0, 1.0, 0.0]
    );
    let clamp = derivatives(
        |_, x| x[0].clamp(x[1], x[2]),
        &[
            &[0.0, 5.0, 1.5, 1.5],
            &[1.0, 1.0, 1.0, 3.0],
            &[2.0, 2.0, 2.0, 2.0],
        ],
    );
    assert_eq!(
        clamp[0],
        [
            [0.0, 0.0, 1.0, 0.0],
            [1.0, 0.0, 0.0, 0.0],
            [0.0, 1.0, 0.0, 1.0]
        ]
    );
    assert_eq!(
        gradient(|_, x| x[0].max(), &[1.0, 4.0, 4.0]),
        [0.0, 0.5, 0.5]
    );
    assert_eq!(
        gradient(|_, x| x[0].min(), &[1.0, 1.0, 4.0]),
        [0.5, 0.5, 0.0]
    );
    assert_eq!(gradient(|_, x| x[0].max(), &[1.0, f64::NAN]), [0.0, 0.0]);
    assert_eq!(
        gradient(|_, x| x[0].cummax(0), &[2.0, 2.0, 1.0, 3.0]),
        [3.0, 0.0, 0.0, 1.0]
    );
    assert_eq!(
        gradient(
            |_, x| x[0].floor() + x[0].ceil() + x[0].round() + x[0].trunc(),
            &[1.0]
        ),
        [0.0]
    );
}

#[test]
fn powers() {
    assert_eq!(
        derivatives(|_, x| x[0].pow(x[1]), &[&[0.0, 0.0, 2.0], &[0.0, 3.0, 0.0]])[0],
        [[0.0, 0.0, 0.0], [0.0, 0.0, 2f64.ln()]]
    );
    let negative = derivatives(|_, x| x[0].pow(x[1]), &[&[-2.0, -2.0], &[3.0, 0.5]]);
    assert_eq!(negative[0][0][0], 12.0);
    assert!(negative[0][0][1].is_nan());
    assert_eq!(
        gradient(|_, x| x[0].powf(0.0), &[0.0, INF, f64::NAN]),
        [0.0; 3]
    );
    assert_eq!(gradient(|_, x| x[0].powi(0), &[0.0]), [0.0]);
    assert_eq!(gradient(|_, x| x[0].powi(1), &[0.0]), [1.0]);
    assert_eq!(gradient(|_, x| x[0].powi(2), &[0.0]), [0.0]);
    assert_eq!(second(|_, x| x[0].powf(2.0), &[0.0]), [2.0]);
    assert_eq!(second(|_, x| x[0].powf(1.0), &[0.0, 3.0]), [0.0, 0.0]);
}

#[test]
fn products_with_zeros_are_exact() {
    assert_eq!(
        gradient(|_, x| x[0].prod(), &[2.0, 3.0, 4.0]),
        [12.0, 8.0, 6.0]
    );
    assert_eq!(
        gradient(|_, x| x[0].prod(), &[2.0, 0.0, 4.0]),
        [0.0, 8.0, 0.0]
    );
    assert_eq!(
        gradient(|_, x| x[0].prod(), &[0.0, 0.0, 4.0]),
        [0.0, 0.0, 0.0]
    );
    assert_eq!(
        second(|_, x| x[0].prod(), &[0.0, 0.0, 4.0]),
        [4.0, 4.0, 0.0]
    );
    assert_eq!(gradient(|_, x| x[0].prod(), &[7.0]), [1.0]);
    assert_eq!(
        gradient(|_, x| x[0].cumprod(0), &[2.0, 0.0, 4.0]),
        [1.0, 10.0, 0.0]
    );
}

#[test]
fn infinite_logits() {
    assert_eq!(gradient(|_, x| x[0].logsumexp(), &[-INF, -INF]), [0.0, 0.0]);
    assert_eq!(
        gradient(|_, x| x[0].logsumexp(), &[INF, 1.0, INF]),
        [0.5, 0.0, 0.5]
    );
    assert_eq!(gradient(|_, x| x[0].logsumexp(), &[-1e3, -1e3]), [0.5, 0.5]);
    assert_eq!(
        gradient(
            |_, x| x[0].softmax(0) * x[0].softmax(0).detach(),
            &[-INF, -INF]
        ),
        [0.0, 0.0]
    );
    assert_eq!(
        gradient(|_, x| x[0].softmax(0).square(), &[-INF, 2.0]),
        [0.0, 0.0]
    );
    assert_eq!(
        gradient(|_, x| x[0].logcumsumexp(0), &[-INF, 1.0]),
        [0.0, 1.0]
    );
    assert_eq!(
        gradient(|_, x| x[0].logcumsumexp(0), &[-1e3, 1e3]),
        [1.0, 1.0]
    );
    assert_eq!(
        gradient(|_, x| x[0].sigmoid() + x[0].softplus(), &[1e3, -1e3]),
        [1.0, 0.0]
    );
}

#[test]
fn a_branch_not_taken_contributes_nothing() {
    let branches: [Function; 9] = [
        |_, x| x[0].gt(0.0).select(x[0].ln(), 0.0),
        |_, x| x[0].gt(0.0).select(x[0].ln().square(), 0.0),
        |_, x| x[0].gt(0.0).select(x[0].sqrt() * x[0].rsqrt().exp(), 0.0),
        |_, x| x[0].gt(0.0).select((1.0 / x[0]).sin() / x[0].sin(), 0.0),
        |_, x| x[0].gt(0.0).select(x[0].powf(0.5) * x[0].powi(-3), 0.0),
        |_, x| x[0].gt(0.0).select(x[0].pow(x[0]).ln() % x[0], 0.0),
        |_, x| x[0].reciprocal().masked_fill(!x[0].gt(0.0), 0.0).exp(),
        |_, x| x[0].gt(0.0).select((x[0].ln() / x[0]).tanh().erf(), 0.0),
        |_, x| {
            x[0].gt(0.0)
                .select(x[0].ln().maximum(x[0].rsqrt()).expm1().log1p(), 0.0)
        },
    ];
    for (i, f) in branches.into_iter().enumerate() {
        for x in [0.0, -1.0, f64::NAN, -INF] {
            let [first, second] = derivatives(f, &[&[x, 0.5]]);
            assert_eq!(first[0][0], 0.0, "branch {i} at {x}");
            assert_eq!(second[0][0], 0.0, "second order of branch {i} at {x}");
            let [alone, curved] = derivatives(f, &[&[0.5]]);
            assert_eq!(
                first[0][1], alone[0][0],
                "branch {i}: the side taken beside {x}"
            );
            assert_eq!(
                second[0][1], curved[0][0],
                "branch {i}: second order beside {x}"
            );
        }
    }
}

#[test]
fn a_masked_row_contributes_nothing() {
    // The first row is masked out of the loss, and not finite.
    let f: Function = |rec, x| {
        let rows = x[0].reshape([2, 2]);
        let on = rec.arange::<f64>(2).reshape([2, 1]).gt(0.0);
        let all = rows.log_softmax(1)
            + rows.softmax(1)
            + rows.logsumexp_over(keep(1))
            + rows.prod_over(keep(1))
            + rows.max_over(keep(1))
            + rows.cumsum(1)
            + rows.cumprod(1)
            + rows.cummax(1)
            + rows.logcumsumexp(1);
        on.select(all, 0.0)
    };
    for bad in [f64::NAN, INF, -INF] {
        let [first, second] = derivatives(f, &[&[bad, 1.0, 2.0, 3.0]]);
        let [alone, curved] = derivatives(f, &[&[0.0, 1.0, 2.0, 3.0]]);
        assert_eq!(first, alone);
        assert_eq!(second, curved);
        assert_eq!(first[0][..2], [0.0, 0.0]);
    }
}

#[test]
fn forward_at_kinks_agrees_with_reverse() {
    let recorder = Recorder::default();
    let rec = rec(&recorder);
    let x = leaf::<f64>(rec, 0, &[3]);
    let t = leaf::<f64>(rec, 1, &[3]);
    let y = x.maximum(0.0) + x.abs() + x.gt(0.0).select(x.sqrt(), 0.0);
    let tangent = forward(
        &mut recorder.state.borrow_mut().list,
        &[y.id],
        &[x.id],
        &[t.id],
    )[0];
    let all = lowered_values(&recorder, &[vec![0.0, -1.0, 4.0], vec![1.0; 3]]);
    assert_eq!(all[tangent.index()], [0.5, -1.0, 2.25]);
}

#[test]
fn lowered_rows_are_right_at_infinities() {
    let recorder = Recorder::default();
    let rec = rec(&recorder);
    let x = leaf::<f64>(rec, 0, &[6, 2]);
    let found = [x.softmax(1).id, x.log_softmax(1).id, x.logsumexp_over(1).id];
    let rows = [
        -INF,
        -INF,
        INF,
        1.0,
        INF,
        INF,
        -INF,
        1.0,
        1e300,
        -1e300,
        f64::NAN,
        1.0,
    ]
    .to_vec();
    let (lowered, whole) = (
        lowered_values(&recorder, std::slice::from_ref(&rows)),
        values(&recorder, &[rows]),
    );
    for v in found {
        for (a, b) in lowered[v.index()].iter().zip(&whole[v.index()]) {
            assert!(
                a == b || (a - b).abs() < 1e-15 || a.is_nan() && b.is_nan(),
                "{v}: {a}, not {b}"
            );
        }
    }
    let log = &lowered[found[1].index()];
    assert_eq!(log[..4], [-INF, -INF, 0.0, -INF]);
    assert_eq!(log[6..10], [-INF, 0.0, 0.0, -2e300]);
}
