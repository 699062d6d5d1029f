//! Loops, checkpoints, operations of the user's.

use retrograde::prelude::*;

use super::{Case, any, case};

/// `x y` and its derivatives, on slices; and the same recorded.
fn custom<T: Float>() -> [CustomOp<T>; 2] {
    let op = || {
        CustomOp::<T>::new("product", |inputs, out| {
            let (x, y) = (inputs[0].as_slice(), inputs[1].as_slice());
            for (out, (&x, &y)) in out.iter_mut().zip(x.iter().zip(y)) {
                *out = T::of(x.to_f64() * y.to_f64());
            }
        })
    };
    let recorded = op().derivative(|inputs, _, g| vec![inputs[1] * g, inputs[0] * g]);
    let sliced = op().backward(|inputs, _, g, grads| {
        for i in 0..g.len() {
            grads[0][i] = T::of(inputs[1].as_slice()[i].to_f64() * g[i].to_f64());
            grads[1][i] = T::of(inputs[0].as_slice()[i].to_f64() * g[i].to_f64());
        }
    });
    [recorded, sliced]
}

/// The family.
pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(
            "scan",
            vec![vec![any(&[3]), any(&[5, 3])], vec![any(&[3]), any(&[0, 3])]],
            |h, xs| {
                let (h, all) = h.rec().scan(h, xs, |h, x| {
                    let next = (h * 0.5 + x).tanh();
                    (next, next * x)
                });
                [h, all]
            }
        ),
        case!(
            "scan from the end",
            vec![vec![any(&[]), any(&[7])]],
            |h, xs| {
                let how = ScanOptions::new().reverse().checkpoint_every(3);
                let (h, all) = h.rec().scan_with(how, h, xs, |h, x| (h.sin() + x, h * x));
                [h, all]
            }
        ),
        case!("checkpoint", vec![vec![any(&[3, 4])]], |x| {
            x.checkpoint(|x| (x.sin() * x).tanh().sum_over(0))
        }),
        case!("custom", vec![vec![any(&[6]), any(&[6])]], |x, y| custom()
            [0]
        .apply([x, y])),
        // Of derivatives on slices there is no second order.
        case!(
            "custom on slices",
            vec![vec![any(&[6]), any(&[6])]],
            |x, y| custom()[1].apply([x, y])
        )
        .rough(),
    ]
}
