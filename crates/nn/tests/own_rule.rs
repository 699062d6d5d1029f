//! An update rule of the user's own, written on the public trait.

use retrograde::{Update, UpdateRule};
use retrograde_nn::prelude::*;

/// Descent on nine tenths of the gradient; the factor as a literal, or as one of the rule's scalars.
struct Damped {
    literal: bool,
}

impl UpdateRule<f32> for Damped {
    fn columns(&self) -> usize {
        0
    }
    fn identity(&self) -> u64 {
        0xda_0000 | u64::from(self.literal)
    }
    fn scalars(&self, _: u32, to: &mut Vec<f64>) {
        to.extend([0.5, 0.9]);
    }
    fn update<'t>(&self, of: Update<'_, 't, f32>) -> (Var<'t>, Vec<Var<'t>>) {
        let damped = if self.literal {
            of.grad * 0.9
        } else {
            of.grad * of.scalars[1]
        };
        (of.value - of.scalars[0] * damped, Vec::new())
    }
}

/// Three steps on `sum(w)`: the gradient is 1, so each takes 0.45. The loss has a literal of its own, which is data too.
fn descend(rule: &Damped) -> Result<Vec<f32>> {
    let mut params = Params::new();
    let w = params.insert("w", Array::from([2.0_f32, 1.0]));
    let mut tape = Tape::new();
    for _ in 0..3 {
        let step = tape.train(&mut params);
        let loss = step.param::<f32>(w).sum() + 0.3;
        loss.minimise_with(rule)?;
    }
    Ok(params.slice(w)?.to_vec())
}

fn assert_descended(found: &[f32]) {
    for (x, expected) in found.iter().zip([2.0 - 1.35, 1.0 - 1.35]) {
        assert!((x - expected).abs() < 1e-6, "{found:?}");
    }
}

#[test]
fn factors_as_scalars() -> Result<()> {
    assert_descended(&descend(&Damped { literal: false })?);
    Ok(())
}

/// A literal that is not structural would be data in a recording of the user's; in a rule it is part of the program.
#[test]
fn factors_as_literals() -> Result<()> {
    assert_descended(&descend(&Damped { literal: true })?);
    Ok(())
}
