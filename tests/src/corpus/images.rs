//! Convolutions, pooling, resizing.

use retrograde::prelude::*;

use super::{Case, Given, any, case};

fn sets(all: &[[&[usize]; 2]]) -> Vec<Vec<Given>> {
    all.iter()
        .map(|s| s.iter().map(|s| any(s)).collect())
        .collect()
}

fn convolutions() -> Vec<Case> {
    let images = || {
        sets(&[
            [&[2, 4, 6, 7], &[4, 4, 3, 3]],
            [&[1, 4, 3, 3], &[2, 4, 3, 3]],
            [&[0, 4, 5, 5], &[2, 4, 1, 2]],
            [&[3, 4, 9, 4], &[6, 4, 2, 1]],
            [&[2, 4, 5, 5], &[0, 4, 2, 2]],
            [&[2, 0, 5, 5], &[2, 0, 2, 2]],
        ])
    };
    let grouped = || {
        sets(&[
            [&[2, 4, 6, 7], &[6, 2, 3, 2]],
            [&[1, 4, 8, 5], &[4, 2, 1, 1]],
            [&[0, 4, 5, 5], &[2, 2, 2, 2]],
            [&[1, 0, 5, 5], &[4, 0, 2, 2]],
        ])
    };
    vec![
        case!("conv2d", images(), |x, w| x
            .conv2d(w, ConvOptions::default())),
        case!("conv2d, stride and padding", images(), |x, w| {
            x.conv2d(w, ConvOptions::default().stride([2, 1]).padding([1, 2]))
        }),
        case!("conv2d, dilation and groups", grouped(), |x, w| {
            let how = ConvOptions::default()
                .groups(2)
                .padding(2)
                .dilation([2, 1])
                .stride(2);
            x.conv2d(w, how)
        }),
        case!(
            "conv1d",
            sets(&[
                [&[2, 4, 9], &[6, 2, 3]],
                [&[1, 2, 4], &[2, 1, 2]],
                [&[0, 2, 4], &[2, 1, 2]],
                [&[2, 2, 4], &[0, 1, 2]],
            ]),
            |x, w| x.conv1d(
                w,
                ConvOptions::default()
                    .groups(2)
                    .padding(1)
                    .dilation(2)
                    .stride(2)
            )
        ),
        case!(
            "conv_transpose2d",
            sets(&[
                [&[2, 4, 3, 4], &[4, 3, 3, 2]],
                [&[1, 2, 1, 1], &[2, 1, 3, 3]],
                [&[0, 2, 2, 2], &[2, 1, 3, 3]],
                [&[1, 0, 2, 2], &[0, 1, 3, 3]],
                [&[1, 2, 2, 2], &[2, 0, 3, 3]],
            ]),
            |x, w| x.conv_transpose2d(w, ConvOptions::default())
        ),
        case!(
            "conv_transpose2d, everything",
            sets(&[[&[2, 4, 3, 4], &[4, 3, 3, 2]]]),
            |x, w| {
                let how = ConvOptions::default()
                    .stride([2, 3])
                    .padding(1)
                    .dilation([1, 2]);
                x.conv_transpose2d(w, how.groups(2).output_padding([1, 2]))
            }
        ),
    ]
}

fn pooling() -> Vec<Case> {
    let images = || {
        sets(&[
            [&[2, 3, 6, 7], &[]],
            [&[1, 1, 3, 3], &[]],
            [&[0, 2, 4, 4], &[]],
            [&[2, 0, 4, 4], &[]],
        ])
    };
    vec![
        case!("max_pool2d", images(), |x| {
            [
                x.max_pool2d(PoolOptions::kernel(2)),
                x.max_pool2d(PoolOptions::kernel([3, 2]).stride(1).padding(1)),
            ]
        })
        .distinct(),
        case!("avg_pool2d", images(), |x| {
            let padded = PoolOptions::kernel(3).stride(2).padding(1);
            [
                x.avg_pool2d(PoolOptions::kernel([2, 3])),
                x.avg_pool2d(padded),
                x.avg_pool2d(padded.count_include_pad(false)),
            ]
        }),
        case!("adaptive_avg_pool2d", images(), |x| {
            [[1, 1], [3, 7], [2, 3], [4, 5], [9, 2]].map(|size| x.adaptive_avg_pool2d(size))
        }),
        case!("upsample nearest", images(), |x| {
            [[12, 14], [9, 5], [1, 1], [3, 20]].map(|size| x.upsample(size, Interpolation::Nearest))
        }),
        case!("upsample bilinear", images(), |x| {
            let of = |how| {
                [[12, 14], [9, 5], [1, 1], [3, 20]]
                    .map(|size| x.upsample(size, how))
                    .to_vec()
            };
            [
                of(Interpolation::Bilinear),
                of(Interpolation::BilinearAligned),
            ]
            .concat()
        }),
        case!("unfold", images(), |x| {
            let wide = ConvOptions::default()
                .padding([1, 2])
                .stride([2, 1])
                .dilation([1, 2]);
            [x.unfold([2, 3], ConvOptions::default()), x.unfold(3, wide)]
        }),
    ]
}

/// The family.
pub(super) fn cases() -> Vec<Case> {
    let mut all = convolutions();
    all.extend(pooling());
    all
}
