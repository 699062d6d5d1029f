//! Results of a workload, and how two of them are compared.

use serde::{Deserialize, Serialize};

/// Entries of each gradient that a [`Record`] keeps.
const ENTRIES: usize = 8;

/// Value and gradients of one step from fresh parameters.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// The value differentiated.
    pub loss: f64,
    /// Every gradient by name, row-major; a weight's layout is `[inputs, outputs]`.
    pub grads: Vec<(&'static str, Vec<f64>)>,
    /// Training only: the loss [`STEPS_CHECKED`](crate::inputs::STEPS_CHECKED) steps later.
    pub loss_after: Option<f64>,
}

/// The few numbers of [`Results`] that a peer prints.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    loss: f64,
    grads: Vec<GradRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    loss_after: Option<f64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct GradRecord {
    name: String,
    norm: f64,
    entries: Vec<f64>,
}

impl Results {
    /// The largest relative error against `reference`, every gradient element compared.
    ///
    /// The scale of an element is the larger of its own and the gradient's root mean square. NaN, a missing gradient or
    /// one of another length is an infinite error.
    pub fn error(&self, reference: &Self) -> f64 {
        let mut worst = scalar_errors(
            (self.loss, self.loss_after),
            (reference.loss, reference.loss_after),
        );
        for (name, expected) in &reference.grads {
            let Some((_, found)) = self.grads.iter().find(|g| g.0 == *name) else {
                return f64::INFINITY;
            };
            if found.len() != expected.len() {
                return f64::INFINITY;
            }
            let rms = norm(expected) / (expected.len() as f64).sqrt();
            for (&f, &e) in found.iter().zip(expected) {
                worst = largest(worst, relative(f, e, rms));
            }
        }
        worst
    }

    /// What a peer would print for these results.
    pub fn record(&self) -> Record {
        let grads = self.grads.iter().map(|(name, grad)| GradRecord {
            name: (*name).to_owned(),
            norm: norm(grad),
            entries: positions(grad.len()).map(|i| grad[i]).collect(),
        });
        Record {
            loss: self.loss,
            grads: grads.collect(),
            loss_after: self.loss_after,
        }
    }
}

impl Record {
    /// The largest relative error against `reference` over what a record holds, scaled as in [`Results::error`].
    pub fn error(&self, reference: &Results) -> f64 {
        let mut worst = scalar_errors(
            (self.loss, self.loss_after),
            (reference.loss, reference.loss_after),
        );
        for (name, expected) in &reference.grads {
            let Some(found) = self.grads.iter().find(|g| g.name == *name) else {
                return f64::INFINITY;
            };
            let expected_norm = norm(expected);
            let rms = expected_norm / (expected.len() as f64).sqrt();
            worst = largest(worst, relative(found.norm, expected_norm, 0.0));
            if found.entries.len() != positions(expected.len()).count() {
                return f64::INFINITY;
            }
            for (&f, i) in found.entries.iter().zip(positions(expected.len())) {
                worst = largest(worst, relative(f, expected[i], rms));
            }
        }
        worst
    }
}

/// Evenly spaced positions, first and last included; one for a scalar.
fn positions(len: usize) -> impl Iterator<Item = usize> {
    let count = match len {
        0 => 0,
        1 => 1,
        _ => ENTRIES,
    };
    (0..count).map(move |k| k * (len - 1) / (ENTRIES - 1))
}

fn scalar_errors(found: (f64, Option<f64>), expected: (f64, Option<f64>)) -> f64 {
    let after = match (found.1, expected.1) {
        (_, None) => 0.0,
        (None, Some(_)) => f64::INFINITY,
        (Some(f), Some(e)) => relative(f, e, 0.0),
    };
    largest(relative(found.0, expected.0, 0.0), after)
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|v| v * v).sum::<f64>().sqrt()
}

fn relative(found: f64, expected: f64, scale: f64) -> f64 {
    let difference = (found - expected).abs();
    if difference == 0.0 {
        0.0
    } else {
        difference / expected.abs().max(scale)
    }
}

/// `f64::max` would drop a NaN, which is the worst error of all.
fn largest(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::INFINITY
    } else {
        a.max(b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Results {
        Results {
            loss: 2.0,
            grads: vec![("x", (0..20).map(f64::from).collect()), ("s", vec![3.0])],
            loss_after: Some(1.0),
        }
    }

    #[test]
    fn equal_results_have_no_error() {
        let a = sample();
        assert_eq!(a.error(&a), 0.0);
        assert_eq!(a.record().error(&a), 0.0);
    }

    #[test]
    fn one_wrong_element_is_seen() {
        let (mut a, b) = (sample(), sample());
        a.grads[0].1[13] += 1.3;
        assert!((a.error(&b) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn nan_missing_and_misshapen_are_infinite() {
        let b = sample();
        let broken: [fn(&mut Results); 5] = [
            |r| r.loss = f64::NAN,
            |r| r.loss_after = None,
            |r| r.grads[0].1[0] = f64::NAN,
            |r| r.grads[0].1.truncate(7),
            |r| r.grads.truncate(1),
        ];
        for (i, spoil) in broken.iter().enumerate() {
            let mut a = sample();
            spoil(&mut a);
            assert_eq!(a.error(&b), f64::INFINITY, "results, case {i}");
            assert!(a.record().error(&b) > 0.1, "record, case {i}");
        }
    }

    #[test]
    fn positions_reach_both_ends() {
        assert_eq!(positions(4).collect::<Vec<_>>(), [0, 0, 0, 1, 1, 2, 2, 3]);
        assert_eq!(positions(1).collect::<Vec<_>>(), [0]);
        assert_eq!(positions(0).count(), 0);
        assert_eq!(positions(1_000_000).last(), Some(999_999));
    }
}
