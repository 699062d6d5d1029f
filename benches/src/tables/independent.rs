//! Many trainings on many threads: throughput has to add up.

use super::Table;
use crate::cli::Options;
use crate::measure::TRAINING_STEPS;
use crate::ours::build;
use crate::workload::Config;
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// Steps a second of independent trainings.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Independent {
    /// Trainings, as many as threads.
    pub trainings: usize,
    /// One after another, each on one thread.
    pub serial: f64,
    /// One after another, each on all threads.
    pub shared: f64,
    /// All at once, each on one thread.
    pub at_once: f64,
}

const WORKLOAD: &str = "mlp_b64";

/// Measures the three ways.
///
/// # Errors
/// What stops a training.
pub fn measure(options: &Options) -> Result<Independent, String> {
    let trainings = options.threads.max(2);
    let steps = if options.quick {
        50
    } else {
        2 * TRAINING_STEPS
    };
    let (mut serial, mut shared, mut at_once) = (0.0f64, 0.0f64, 0.0f64);
    for _ in 0..3 {
        serial = serial.max(rate(1, steps, 1)?);
        shared = shared.max(rate(1, steps, trainings)?);
        at_once = at_once.max(rate(trainings, steps, 1)?);
    }
    Ok(Independent {
        trainings,
        serial,
        shared,
        at_once,
    })
}

/// Steps a second of so many trainings at once, each on `threads` threads of its own.
fn rate(trainings: usize, steps: usize, threads: usize) -> Result<f64, String> {
    let ready = std::sync::Barrier::new(trainings);
    let train = || -> Result<f64, String> {
        let work = build(WORKLOAD).map(|b| b(&Config { threads }));
        let mut work = work.ok_or("the workload is gone")??;
        work.step()?;
        ready.wait();
        let start = Instant::now();
        for step in 0..steps {
            if step % TRAINING_STEPS == 0 {
                work.reset()?;
            }
            work.step()?;
        }
        Ok(start.elapsed().as_secs_f64())
    };
    let slowest = std::thread::scope(|scope| {
        let all: Vec<_> = (0..trainings).map(|_| scope.spawn(train)).collect();
        let mut slowest = 0.0f64;
        for one in all {
            let took = one.join().map_err(|_| "a training panicked")??;
            slowest = slowest.max(took);
        }
        Ok::<f64, String>(slowest)
    })?;
    Ok((trainings * steps) as f64 / slowest)
}

/// The table.
pub fn table(found: &Independent) -> Table {
    let gain = found.at_once / found.serial;
    let row = |what: &str, rate: f64| {
        vec![
            what.to_owned(),
            format!("{rate:.0}"),
            format!("{:.2}", rate / found.serial),
        ]
    };
    let mut table = Table {
        title: "Independent trainings".into(),
        about: format!(
            "{} trainings of `{WORKLOAD}` that share nothing, in steps a second of all together. At once on as many \
             threads they should be that many times as fast as one after another: no lock, no shared pool, no memory in \
             common stands between them.",
            found.trainings
        ),
        head: vec!["how", "steps a second", "gain"],
        rows: vec![
            row("one after another, each on one thread", found.serial),
            row("one after another, each on all threads", found.shared),
            row("all at once, each on one thread", found.at_once),
        ],
        ..Table::default()
    };
    if gain < 0.85 * found.trainings as f64 {
        table.weak.push(format!(
            "{} independent trainings at once are {gain:.2} times as fast as one after another",
            found.trainings
        ));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throughput_that_does_not_add_up_is_named() {
        let found = |at_once| Independent {
            trainings: 2,
            serial: 1000.0,
            shared: 1500.0,
            at_once,
        };
        assert!(table(&found(1900.0)).weak.is_empty());
        let weak = table(&found(900.0)).weak;
        assert!(weak[0].contains("0.90 times as fast"), "{weak:?}");
    }
}
