//! One measured figure: a row of the table and a line of `results.jsonl`.

use crate::results::{Record, Results};
use crate::spec::Spec;
use crate::workload::StepCost;
use serde::{Deserialize, Serialize};

/// How a result compared with the reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// Within the tolerance.
    Pass,
    /// Beyond it: the time does not count.
    Fail,
    /// Not compared.
    #[default]
    None,
}

impl Check {
    /// As in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::None => "none",
        }
    }
}

/// A figure. Peers print the same keys; those they cannot know are filled in by the program `bench`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Figure {
    /// Who was measured.
    pub peer: String,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Threads it was given.
    pub threads: usize,
    /// The instruction-set level it ran at, in its own words.
    pub level: String,
    /// The workload.
    pub workload: String,
    /// Seconds a step, best batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_s: Option<f64>,
    /// Seconds a step, median batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median_s: Option<f64>,
    /// Seconds before the first result: inputs, recording, compiling, one run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepare_s: Option<f64>,
    /// Ours only: seconds for the value alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primal_s: Option<f64>,
    /// Ours only: seconds to derive and compile the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compile_s: Option<f64>,
    /// Ours only: what a step takes as the compiler knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<StepCost>,
    /// Asked for with `--memory`: bytes resident at the peak of a step beyond those before inputs were made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_bytes: Option<u64>,
    /// How the result compared.
    #[serde(default)]
    pub check: Check,
    /// The largest relative error; absent where it is infinite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<f64>,
    /// The largest that passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<f64>,
    /// Why there is no time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// A peer's results in short; dropped once checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Record>,
}

impl Figure {
    /// Fills in the check from a relative error.
    pub fn checked(&mut self, error: f64, spec: &Spec) {
        self.check = if error <= spec.tolerance {
            Check::Pass
        } else {
            Check::Fail
        };
        self.error = error.is_finite().then_some(error);
        self.tolerance = Some(spec.tolerance);
    }

    /// Compares the record that a peer printed, if it did, and drops it.
    pub fn check_record(&mut self, reference: &Results, spec: &Spec) {
        if let Some(record) = self.record.take() {
            self.checked(record.error(reference), spec);
        }
    }

    /// The best time, if its result was right.
    pub fn valid_best(&self) -> Option<f64> {
        self.best_s.filter(|_| self.check == Check::Pass)
    }

    /// Whether the batches differ so much that something else was running.
    pub fn noisy(&self) -> bool {
        matches!((self.best_s, self.median_s), (Some(b), Some(m)) if m > 1.25 * b)
    }
}

/// Seconds with three significant digits and the unit that suits them.
pub fn duration(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s < 1e-6 => (s * 1e9, "ns"),
        s if s < 1e-3 => (s * 1e6, "us"),
        s if s < 1.0 => (s * 1e3, "ms"),
        s => (s, "s"),
    };
    let decimals = match value {
        v if v < 10.0 => 2,
        v if v < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

/// Bytes with three significant digits, in units of 1024.
pub fn bytes(count: u64) -> String {
    let (value, unit) = match count as f64 {
        b if b < 1024.0 => return format!("{count} B"),
        b if b < 1024.0 * 1024.0 => (b / 1024.0, "KiB"),
        b if b < 1024.0 * 1024.0 * 1024.0 => (b / 1024.0 / 1024.0, "MiB"),
        b => (b / 1024.0 / 1024.0 / 1024.0, "GiB"),
    };
    let decimals = match value {
        v if v < 10.0 => 2,
        v if v < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits() {
        assert_eq!(duration(5.9e-9), "5.90 ns");
        assert_eq!(duration(28.94e-6), "28.9 us");
        assert_eq!(duration(0.1953), "195 ms");
        assert_eq!(duration(2.0), "2.00 s");
    }

    #[test]
    fn a_peers_line_is_understood() {
        let line = r#"{"peer": "jax", "version": "0.10.2", "threads": 2, "level": "native", "workload": "tiny",
            "best_s": 5e-6, "median_s": 6e-6, "record": {"loss": 28.0, "grads": []}}"#;
        let figure: Figure = serde_json::from_str(line).unwrap();
        assert_eq!((figure.peer.as_str(), figure.check), ("jax", Check::None));
        assert!(figure.record.is_some() && figure.failure.is_none());
    }

    #[test]
    fn a_wrong_result_has_no_valid_time() {
        let spec = crate::spec::find("tiny").unwrap();
        let mut figure = Figure {
            best_s: Some(1.0),
            ..Figure::default()
        };
        figure.checked(f64::INFINITY, spec);
        assert_eq!((figure.check, figure.error), (Check::Fail, None));
        assert_eq!(figure.valid_best(), None);
        figure.checked(0.0, spec);
        assert_eq!(figure.valid_best(), Some(1.0));
    }
}
