//! Losses, in every reduction.

use retrograde::prelude::*;

use super::{Case, Given, case, indices, within};

const REDUCTIONS: [Reduction; 3] = [Reduction::None, Reduction::Sum, Reduction::Mean];

fn pairs(low: f64, high: f64) -> Vec<Vec<Given>> {
    let pair = |s: &[usize]| vec![within(s, -1.0, 0.9), within(s, low, high)];
    [&[3, 4][..], &[], &[23], &[2, 1, 3]].map(pair).to_vec()
}

macro_rules! loss {
    ($name:literal, $sets:expr, |$x:ident, $y:ident, $r:ident| $body:expr) => {
        case!($name, $sets, |$x, $y| REDUCTIONS.map(|$r| $body))
    };
}

fn of_pairs() -> Vec<Case> {
    let rows = |s: &[usize]| vec![within(s, -1.0, 0.9), within(s, 0.1, 0.9)];
    let rows = [&[3, 4][..], &[5], &[2, 2, 3]].map(rows).to_vec();
    vec![
        loss!("cosine_embedding", rows, |x, y, r| {
            let target = x.sum_over(-1).detach().sign();
            x.cosine_embedding_with(y, target, -0.9, r)
        }),
        loss!("mse", pairs(0.1, 0.9), |x, y, r| x.mse_with(y, r)),
        loss!("l1", pairs(1.1, 1.9), |x, y, r| x.l1_with(y, r)),
        loss!("huber", pairs(1.1, 1.9), |x, y, r| x.huber_with(y, 0.15, r)),
        loss!("bce", pairs(0.1, 0.9), |x, y, r| x.sigmoid().bce_with(y, r)),
        loss!("bce_with_logits", pairs(0.1, 0.9), |x, y, r| x
            .bce_with_logits_with(y, r)),
        loss!("kl_div", pairs(0.1, 0.9), |x, y, r| x.kl_div_with(y, r)),
        loss!("hinge", pairs(0.1, 0.5), |x, y, r| x.hinge_with(y, r)),
    ]
}

/// Logits of 5 classes, weights of classes, probabilities.
fn classes() -> Vec<Vec<Given>> {
    let set = |rows: &[usize]| {
        let logits = [rows, &[5]].concat();
        vec![
            within(&logits, -1.0, 1.0),
            within(&[5], 0.5, 1.5),
            within(&logits, 0.1, 0.3),
        ]
    };
    [&[4][..], &[2, 2], &[1, 4, 1]].map(set).to_vec()
}

/// A label for each of four rows of logits; the third may be ignored.
fn labels<T: Float>(x: Var<'_, T>) -> Var<'_, u32> {
    let mut rows = x.shape().unwrap_or_default();
    rows.pop();
    indices(x.rec(), &[1, 4, 2, 0]).reshape(rows)
}

fn of_classes() -> Vec<Case> {
    vec![
        loss!("cross_entropy", classes(), |x, _w, r| x
            .cross_entropy_with(labels(x), r)),
        loss!("nll", classes(), |x, _w, r| x
            .log_softmax(-1)
            .nll_with(labels(x), r)),
        loss!(
            "cross_entropy, weights and smoothing",
            classes(),
            |x, w, r| {
                let how = ClassLoss::default().weights(w).smoothing(0.2).ignore(2);
                x.cross_entropy_by(labels(x), how.reduction(r))
            }
        ),
        loss!("cross_entropy, ignored labels", classes(), |x, _w, r| {
            x.cross_entropy_by(labels(x), ClassLoss::default().ignore(2).reduction(r))
        }),
        loss!("nll, weights", classes(), |x, w, r| {
            x.nll_by(labels(x), ClassLoss::default().weights(w).reduction(r))
        }),
        case!("cross_entropy of probabilities", classes(), |x, w, p| {
            REDUCTIONS.map(|r| {
                let how = ClassLoss::default().weights(w).smoothing(0.1).reduction(r);
                x.cross_entropy_of(p, how)
            })
        }),
    ]
}

/// The family.
pub(super) fn cases() -> Vec<Case> {
    let mut all = of_pairs();
    all.extend(of_classes());
    all
}
