//! Indexing, sorting, searching.

use retrograde::prelude::*;

use super::{Case, Given, any, case, indices, signed};

fn sets(all: &[&[&[usize]]]) -> Vec<Vec<Given>> {
    all.iter()
        .map(|s| s.iter().map(|s| any(s)).collect())
        .collect()
}

fn picking() -> Vec<Case> {
    vec![
        case!("gather", sets(&[&[&[3, 4]], &[&[2, 4]]]), |x| {
            let index = signed(x.rec(), &[1, -1, 0, 1]);
            [
                x.gather(0, index.unsqueeze(0)),
                x.gather(1, index.narrow(0, 0, 3).unsqueeze(0)),
            ]
        }),
        case!("gather, whole index", sets(&[&[&[3, 2]]]), |x| {
            x.gather(0, indices(x.rec(), &[0, 2, 2, 2]).reshape([2, 2]))
        }),
        case!(
            "index_select",
            sets(&[&[&[3, 4]], &[&[2, 3, 2]], &[&[3, 0]]]),
            |x| {
                let none = indices(x.rec(), &[0]).narrow(0, 0, 0);
                [
                    x.index_select(0, indices(x.rec(), &[1, 1, 0])),
                    x.index_select(0, signed(x.rec(), &[-1, 0])),
                    x.index_select(0, none),
                ]
            }
        ),
        case!("take", sets(&[&[&[3, 4]]]), |x| x
            .take(indices(x.rec(), &[11, 0, 5, 5]).reshape([2, 2]))),
        case!("embedding", sets(&[&[&[6, 3]]]), |x| x
            .embedding(indices(x.rec(), &[5, 0, 0, 3]).reshape([2, 2]))),
        case!("one_hot", sets(&[&[&[3]]]), |x| x * signed(
            x.rec(),
            &[2, -3, 1]
        )
        .one_hot(3)),
        case!(
            "sort",
            sets(&[&[&[3, 4]], &[&[17]], &[&[2, 5, 2]], &[&[0, 3]], &[&[300]]]),
            |x| { [x.sort(-1, Order::Ascending), x.sort(0, Order::Descending)] }
        )
        .distinct(),
        case!("argsort", sets(&[&[&[3, 4]], &[&[17]], &[&[2, 0]]]), |x| {
            [
                x.argsort(-1, Order::Descending).cast(),
                x.argsort(0, Order::Ascending).cast(),
            ]
        })
        .distinct(),
        case!("topk", sets(&[&[&[3, 4]], &[&[5, 2, 2]]]), |x| {
            let (values, at) = x.topk(2, 0, Order::Descending);
            [values, at.cast()]
        })
        .distinct(),
        case!(
            "searchsorted",
            sets(&[&[&[7], &[4]], &[&[2, 7], &[2, 1]], &[&[3, 0], &[2]]]),
            |x, y| {
                let lines = x.sort(-1, Order::Ascending);
                [
                    lines.searchsorted(y, Side::Left).cast(),
                    lines.searchsorted(y, Side::Right).cast(),
                ]
            }
        )
        .distinct(),
    ]
}

fn writing() -> Vec<Case> {
    vec![
        case!(
            "scatter_add",
            sets(&[&[&[3, 4], &[5, 4]], &[&[3, 2], &[5, 2]]]),
            |x, y| {
                let index = signed(x.rec(), &[1, -1, 0, 1, 1]);
                [
                    x.scatter_add(0, index.unsqueeze(1), y),
                    x.scatter_add(0, index.unsqueeze(1), 2.0),
                ]
            }
        ),
        case!(
            "scatter",
            sets(&[&[&[3, 4], &[5, 4]], &[&[3, 2], &[5, 2]]]),
            |x, y| {
                let index = signed(x.rec(), &[1, -1, 0, 1, 1]);
                [
                    x.scatter(0, index.unsqueeze(1), y),
                    x.scatter(0, index.narrow(0, 0, 2).unsqueeze(1), 2.0),
                ]
            }
        ),
        case!(
            "scatter, whole index",
            sets(&[&[&[3, 2], &[2, 2]]]),
            |x, y| { x.scatter(0, indices(x.rec(), &[0, 2, 0, 1]).reshape([2, 2]), y) }
        ),
        case!(
            "index_add",
            sets(&[&[&[3, 4], &[3, 4]], &[&[3, 0], &[3, 0]]]),
            |x, y| { x.index_add(0, indices(x.rec(), &[2, 0, 2]), y) }
        ),
    ]
}

/// The family.
pub(super) fn cases() -> Vec<Case> {
    let mut all = picking();
    all.extend(writing());
    all
}
