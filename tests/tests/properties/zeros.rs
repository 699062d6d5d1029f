//! Strong zeros.

use retrograde::prelude::*;
use retrograde_tests::bits::first_difference;

use crate::{Programs, check};

/// A branch of NaN, infinities and zeros that is masked off leaves exact zeros behind it and no trace elsewhere, but for
/// the signs of zeros, which strong products do not keep.
#[test]
fn a_masked_branch_leaves_no_trace() {
    let programs = Programs {
        few: 120,
        steps: 10,
        smooth: false,
        products: false,
    };
    check(programs, |recipe| {
        let bad = recipe.inputs::<f64>().map(|x| {
            let mut k = recipe.data;
            x.map(|x: f64| {
                k = k
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, x][(k >> 33) as usize % 6]
            })
        });
        let tape = Tape::new();
        let good = recipe.inputs::<f64>().map(|x| tape.variable(x));
        let bad = bad.map(|x| tape.variable(x));
        let (taken, not) = (recipe.build(good)?.0, recipe.build(bad)?.0);
        let on = tape.constant(Array::scalar(true));
        taken.backward()?;
        let alone = good.map(retrograde::Var::grad);
        for (masked, second) in [
            (on.select(taken, not), false),
            (taken + not.masked_fill(on, 0.0), false),
            (on.select(taken, not), true),
        ] {
            tape.zero_grad();
            if second {
                // Through the gradient too.
                let gradients = masked.grad_of(bad);
                (taken + gradients[0].sum() + gradients[1].sum()).backward()?;
            } else {
                masked.backward()?;
            }
            for x in bad {
                if x.grad().is_ok_and(|g| g.iter().any(|&g| g != 0.0)) {
                    return Ok(Some(format!(
                        "second {second}: {} reached {}",
                        x.grad()?,
                        x.value()?
                    )));
                }
            }
            for (x, alone) in good.iter().zip(&alone) {
                if let (Ok(found), Ok(alone)) = (x.grad(), alone)
                    && let Some(difference) = first_difference(&(found + 0.0), &(alone + 0.0))
                {
                    return Ok(Some(format!(
                        "second {second}, the branch taken: {difference}"
                    )));
                }
            }
        }
        Ok(None)
    });
}
