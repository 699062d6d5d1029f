//! The timing method, the same as `peers/common.py`.
//!
//! Two warm-up runs, then five batches of repeated steps; the best and the median batch, seconds a step. Training
//! restarts from fresh parameters before every batch, outside the timed region, and a batch is at most 500 steps:
//! trained for thousands of steps on one batch, softmax and Adam's moments go subnormal.

use crate::workload::Workload;
use std::time::Instant;

/// Batches of a figure.
pub const BATCHES: usize = 5;
/// Most steps that training takes from one set of fresh parameters.
pub const TRAINING_STEPS: usize = 500;

/// Seconds a step.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Of the best batch.
    pub best: f64,
    /// Of the median batch.
    pub median: f64,
}

/// Times `step` of `work`; `quick` takes a tenth of the time.
///
/// # Errors
/// The first error of a step or a reset.
pub fn measure(
    work: &mut dyn Workload,
    trains: bool,
    quick: bool,
    step: fn(&mut dyn Workload) -> Result<(), String>,
) -> Result<Timing, String> {
    let budget = if quick { 0.02 } else { 0.25 };
    work.reset()?;
    step(work)?;
    step(work)?;
    let mut count = 1;
    let took = loop {
        let took = batch(work, count, step)?;
        if took >= budget / 10.0 {
            break took;
        }
        count *= 2;
    };
    count = ((count as f64 * budget / took).round() as usize).max(1);
    if trains {
        count = count.min(TRAINING_STEPS);
    }
    let mut times = [0.0; BATCHES];
    for time in &mut times {
        work.reset()?;
        *time = batch(work, count, step)? / count as f64;
    }
    times.sort_by(f64::total_cmp);
    Ok(Timing {
        best: times[0],
        median: times[BATCHES / 2],
    })
}

fn batch(
    work: &mut dyn Workload,
    count: usize,
    step: fn(&mut dyn Workload) -> Result<(), String>,
) -> Result<f64, String> {
    let start = Instant::now();
    for _ in 0..count {
        step(work)?;
    }
    Ok(start.elapsed().as_secs_f64())
}

/// Seconds of one call, the best of three: for what cannot be repeated within a batch.
///
/// # Errors
/// The first error of a call.
pub fn fewest(mut call: impl FnMut() -> Result<(), String>) -> Result<f64, String> {
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let start = Instant::now();
        call()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Results;

    #[derive(Default)]
    struct Counter {
        since_reset: usize,
        most: usize,
        resets: usize,
    }

    impl Workload for Counter {
        fn reset(&mut self) -> Result<(), String> {
            self.resets += 1;
            self.since_reset = 0;
            Ok(())
        }
        fn step(&mut self) -> Result<(), String> {
            self.since_reset += 1;
            if self.resets > 1 {
                self.most = self.most.max(self.since_reset);
            }
            std::thread::sleep(std::time::Duration::from_micros(1));
            Ok(())
        }
        fn results(&mut self) -> Result<Results, String> {
            Ok(Results::default())
        }
    }

    #[test]
    fn training_restarts_and_stays_short() {
        let mut work = Counter::default();
        let timing = measure(&mut work, true, true, |w| w.step()).unwrap();
        assert_eq!(work.resets, 1 + BATCHES);
        assert!(work.most <= TRAINING_STEPS);
        assert!(0.0 < timing.best && timing.best <= timing.median);
    }
}
