//! Rows that become other rows: softmax, normalisation.

use super::{Case, Given, any, case, each, within};

const ROWS: &[&[usize]] = &[
    &[3, 4],
    &[1],
    &[17],
    &[2, 5, 1],
    &[2, 0],
    &[0, 3],
    &[2, 1, 3, 2],
    &[2, 3, 1, 2, 2],
    &[3, 1030],
];

/// Rows and what there is one of for each of their elements.
fn with_weights(count: usize) -> Vec<Vec<Given>> {
    let set = |s: &[usize], axis: usize| {
        let mut set = vec![any(s)];
        set.extend((0..count).map(|i| within(&s[axis..=axis], 0.3 + i as f64, 1.4 + i as f64)));
        set
    };
    let last = |s: &[usize]| set(s, s.len() - 1);
    [&[3, 4][..], &[5], &[2, 3, 6], &[2, 1, 2, 33]]
        .map(last)
        .to_vec()
}

/// The same by channel, which is axis 1.
fn with_channels(count: usize) -> Vec<Vec<Given>> {
    let set = |s: &[usize]| {
        let mut set = vec![any(s)];
        set.extend((0..count).map(|i| within(&s[1..2], 0.3 + i as f64, 1.4 + i as f64)));
        set
    };
    [&[3, 4][..], &[4, 2, 3], &[2, 4, 3, 3]].map(set).to_vec()
}

/// The family.
pub(super) fn cases() -> Vec<Case> {
    let rows = || each(ROWS, -1.0, 1.0);
    vec![
        case!("softmax", rows(), |x| [x.softmax(-1), x.softmax(0)]),
        case!("log_softmax", rows(), |x| [
            x.log_softmax(-1),
            x.log_softmax(0)
        ])
        // Not of the operator, whose elements are within two ulp (`ops::rows`), but of the loss, which adds 6180 elements
        // of about -7, each rounded by up to 5e-7, with weights of either sign: their errors add up as in a random walk,
        // the elements themselves do not. One of 230 random sets was off by 2.05e-5.
        .single_within(4e-5),
        case!("layer_norm", with_weights(2), |x, w, b| x
            .layer_norm(w, b, 1e-3))
        .distinct(),
        case!("rms_norm", with_weights(1), |x, w| x.rms_norm(w, 1e-3)),
        case!("batch_norm", with_channels(2), |x, w, b| x
            .batch_norm(w, b, 1e-3))
        .distinct(),
        case!(
            "batch_norm_by",
            with_channels(4),
            |x, mean, variance, w, b| { x.batch_norm_by(mean, variance, w, b, 1e-3) }
        ),
        case!("group_norm", with_channels(2), |x, w, b| x
            .group_norm(2, w, b, 1e-3))
        .distinct(),
        case!(
            "normalize",
            each(&[&[3, 4], &[17], &[2, 1, 3, 2]], 0.1, 1.0),
            |x| { [x.normalize(-1), x.normalize(..)] }
        ),
        case!(
            "cosine_similarity",
            vec![
                vec![any(&[3, 4]), any(&[4])],
                vec![any(&[2, 1, 5]), any(&[3, 5])]
            ],
            |x, y| x.cosine_similarity(y, -1)
        ),
    ]
}
