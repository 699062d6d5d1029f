//! Arithmetic of integers, made of floats and put out as floats, for cases know no other inputs and outputs.

use super::elementwise::pairs;
use super::{Case, SHAPES, case, each};

/// The family.
pub(super) fn cases() -> Vec<Case> {
    let two = || pairs(0.4, 2.0);
    let one = || each(SHAPES, -4.0, 4.0);
    let all = vec![
        case!("integers, operators", two(), |x, y| {
            // A power of two, so that both precisions make the same integers.
            let (a, b) = ((x * 64.0 - 80.0).cast::<i64>(), (y * 16.0).cast::<i64>());
            [a + b, a - b, a * b, a / b, a % b, -a, b / 3, 100 % b].map(|r| r.cast())
        }),
        case!("integers without sign, operators", two(), |x, y| {
            let (a, b) = ((x * 64.0).cast::<u32>(), (y * 16.0).cast::<u32>());
            [a + b, a - b, a * b, a / b, a % b, a % 7, 1000 / b].map(|r| (r % 65_536).cast())
        }),
        case!("integers, functions", two(), |x, y| {
            let (a, b) = ((x * 64.0 - 80.0).cast::<i64>(), (y * 16.0).cast::<i64>());
            [
                a.remainder(b),
                a.remainder(-b),
                a.maximum(b),
                a.minimum(b),
                a.clamp(-3, b),
                a.abs(),
            ]
            .map(|r| r.cast())
        }),
        case!(
            "integers, a divisor of zeros made something else",
            two(),
            |x, y| {
                let (a, b) = ((x * 64.0).cast::<i64>(), (y * 16.0).cast::<i64>());
                let by = b % 3;
                let safe = by.eq(0).select(1, by);
                (a / safe).cast()
            }
        ),
        case!("integers, indices computed", one(), |x| {
            let flat = x.flatten();
            let n = (flat.cast::<bool>().or(true).count() + 1_u32).reshape([1]);
            let at = (flat * 64.0).cast::<i64>().abs() % n.cast::<i64>().maximum(1);
            flat * at.cast()
        }),
        case!("integers, sums and products", one(), |x| {
            let a = (x * 2.0).cast::<i64>();
            let b = x.abs().cast::<u32>();
            [
                a.sum().cast(),
                a.prod().cast(),
                b.sum().cast(),
                (b.prod() % 1024).cast(),
            ]
        }),
        case!(
            "integers, along an axis",
            each(&[&[4, 3], &[1, 5], &[17, 2], &[2, 300]], -4.0, 4.0),
            |x| {
                let a = (x * 16.0).cast::<i64>();
                let b = (x.abs() * 16.0).cast::<u32>();
                let c = (x.abs() + 0.75).cast::<u32>();
                [
                    a.sum_over(0).cast(),
                    a.max_over(1).cast(),
                    b.min_over(0).cast(),
                    a.argmax_over(0).cast(),
                    b.argmin_over(1).cast(),
                    a.cumsum(0).cast(),
                    b.cumsum(1).cast(),
                    (c.cumprod(0) % 1024).cast(),
                    a.cummax(1).cast(),
                ]
            }
        ),
    ];
    all.into_iter().map(Case::rough).collect()
}
