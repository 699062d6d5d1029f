//! Elements that move, and those that are made.

use super::{Case, SHAPES, any, case, each, within};

const PLANES: &[&[usize]] = &[
    &[3, 4],
    &[1, 1],
    &[2, 0],
    &[2, 3, 2],
    &[2, 1, 3, 2],
    &[2, 1, 2, 3, 2],
    &[33, 35],
];

fn moves() -> Vec<Case> {
    let planes = || each(PLANES, -1.0, 1.0);
    vec![
        case!("reshape", planes(), |x| [
            x.flatten(),
            x.flatten_axes(0, 1),
            x.unflatten(-1, [1, usize::MAX])
        ]),
        case!("transpose", planes(), |x| [x.t(), x.transpose(0, -1)]),
        case!("permute", each(&[&[2, 3, 4], &[1, 2, 1]], -1.0, 1.0), |x| x
            .permute([2, 0, 1])),
        case!("squeeze", planes(), |x| [
            x.squeeze(..),
            x.unsqueeze(0),
            x.unsqueeze(-1).squeeze(-1)
        ]),
        case!(
            "broadcast_to",
            each(&[&[3, 1], &[1], &[], &[1, 1]], -1.0, 1.0),
            |x| x.broadcast_to([2, 3, 4])
        ),
        case!(
            "slice",
            each(&[&[4, 5], &[3, 4, 2], &[4, 3, 1, 1]], -1.0, 1.0),
            |x| {
                [
                    x.slice(0, 1..3),
                    x.slice_step(1, .., -2),
                    x.slice(0, -2..),
                    x.narrow(1, 1, 2),
                    x.slice(0, 1..1),
                ]
            }
        ),
        case!("at", each(&[&[3, 4], &[2, 2, 3]], -1.0, 1.0), |x| [
            x.at(0, 1),
            x.at(-1, -1)
        ]),
        case!("flip", planes(), |x| [x.flip(0), x.flip(..)]),
        case!("roll", planes(), |x| [
            x.roll(1, 0),
            x.roll(-2, 1),
            x.roll(0, 0)
        ]),
        case!(
            "concat",
            each(&[&[3, 4], &[2, 0], &[2, 1, 3]], -1.0, 1.0),
            |x| {
                [
                    x.rec().concat(&[x, x * 2.0, x], 0),
                    x.rec().concat(&[x, x.narrow(1, 0, 0)], 1),
                ]
            }
        ),
        case!("stack", each(SHAPES, -1.0, 1.0), |x| [
            x.rec().stack(&[x, -x], 0),
            x.rec().stack(&[x, x], -1)
        ]),
        case!("split, chunk", each(&[&[3, 4], &[5, 3]], -1.0, 1.0), |x| {
            [x.chunk(2, 0), x.narrow(1, 0, 3).split(&[1, 0, 2], 1)].concat()
        }),
        case!(
            "repeat, tile",
            each(&[&[3, 2], &[1, 1], &[2, 0]], -1.0, 1.0),
            |x| {
                [
                    x.repeat([2, 1, 3]),
                    x.tile([2]),
                    x.repeat_interleave(2, 0),
                    x.tile([0, 1]),
                ]
            }
        ),
        case!("pad", planes(), |x| [
            x.pad([(1, 2)], 0.5),
            x.pad([(0, 1), (2, 0)], 0.0)
        ]),
        case!("windows", each(&[&[5], &[6, 2], &[2, 7]], -1.0, 1.0), |x| {
            let last = x.windows(-1, 2, 1);
            [last, x.windows(-1, 2, 2), x.windows(0, 2, 3)]
        }),
    ]
}

fn creation() -> Vec<Case> {
    let vector = || vec![vec![any(&[4])]];
    vec![
        case!("zeros, ones, full", vector(), |x| {
            let rec = x.rec();
            [
                x + rec.zeros([3, 4]),
                x * rec.ones([4]),
                x * rec.full([2, 1], 0.7),
            ]
        }),
        case!("arange, linspace, eye", vector(), |x| {
            let rec = x.rec();
            [
                x * rec.arange(4),
                x + rec.linspace(-1.0, 2.0, 4),
                x * rec.eye(4),
            ]
        }),
        case!("long", vec![vec![within(&[70_000], -1.0, 1.0)]], |x| [
            x.sin().sum(),
            (x * x).flip(0)
        ]),
    ]
}

/// The family.
pub(super) fn cases() -> Vec<Case> {
    let mut all = moves();
    all.extend(creation());
    all
}
