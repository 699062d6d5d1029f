//! Long runs that must stay as they began: time a step, bytes of a tape.

use super::Table;
use crate::cli::Options;
use crate::figure::{bytes, duration};
use crate::ours::{build, reset_often};
use crate::report::plot::{Line, Plot};
use crate::resident;
use crate::workload::Config;
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// What long runs did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Steady {
    /// Steps of each stretch.
    pub steps: usize,
    /// Seconds a step, stretch by stretch.
    pub step_s: Vec<f64>,
    /// How often the tape was reset.
    pub resets: usize,
    /// Bytes that the tape held after its first steps, and at the end.
    pub tape: [usize; 2],
    /// Resident bytes at the same times.
    pub resident: Option<[u64; 2]>,
}

const WORKLOAD: &str = "mlp_b64";
const STRETCHES: usize = 20;
/// Steps after which a tape has all the memory it will ever need.
const FIRST: usize = 100;
/// The last stretches may take this much longer than the first: less is the noise of a shared machine.
const FLAT: f64 = 1.2;

/// 20,000 steps on one batch, 100,000 resets; a tenth of them in a quick run.
///
/// # Errors
/// What stops a step.
pub fn measure(options: &Options) -> Result<Steady, String> {
    let (steps, resets) = if options.quick {
        (100, 10_000)
    } else {
        (1_000, 100_000)
    };
    let threads = options.threads;
    let work = build(WORKLOAD).map(|b| b(&Config { threads }));
    let mut work = work.ok_or("the workload is gone")??;
    work.reset()?;
    work.step()?;
    let mut step_s = Vec::new();
    for _ in 0..STRETCHES {
        let start = Instant::now();
        for _ in 0..steps {
            work.step()?;
        }
        step_s.push(start.elapsed().as_secs_f64() / steps as f64);
    }
    let mut held = Vec::new();
    let mut resident = Vec::new();
    reset_often(resets, |step, tape| {
        if step + 1 == FIRST || step + 1 == resets {
            held.push(tape);
            resident.extend(resident::anonymous());
        }
    })?;
    let tape = <[usize; 2]>::try_from(held).map_err(|_| "too few resets")?;
    Ok(Steady {
        steps,
        step_s,
        resets,
        tape,
        resident: resident.try_into().ok(),
    })
}

/// The median of three or more.
fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// The table, with the time a step drawn over the run.
pub fn table(found: &Steady) -> Table {
    let quarter = (found.step_s.len() / 4).max(1);
    let (first, last) = (
        median(&found.step_s[..quarter]),
        median(&found.step_s[found.step_s.len() - quarter..]),
    );
    let total = found.steps * found.step_s.len();
    let mut table = Table {
        title: "Steadiness".into(),
        about: format!(
            "{total} training steps of `{WORKLOAD}` on one batch: softmax and Adam's moments decay towards subnormal \
             numbers, which slow a processor down tenfold where they are let in. And {} recordings on one tape, reset \
             before each: its memory must not grow.",
            found.resets
        ),
        head: vec!["what", "at first", "at the end", "ratio"],
        rows: vec![vec![
            "a training step".into(),
            duration(first),
            duration(last),
            format!("{:.2}", last / first),
        ]],
        ..Table::default()
    };
    let mut row = |what: &str, [first, last]: [u64; 2]| {
        table.rows.push(vec![
            what.into(),
            bytes(first),
            bytes(last),
            format!("{:.2}", last as f64 / first as f64),
        ]);
    };
    row("bytes of the tape", found.tape.map(|b| b as u64));
    if let Some(resident) = found.resident {
        row("resident memory of the process", resident);
    }
    if last > FLAT * first {
        table.weak.push(format!(
            "a step takes {:.2} times as long after {total} steps as at first",
            last / first
        ));
    }
    if found.tape[1] > found.tape[0] {
        table
            .weak
            .push(format!("a tape grows over {} resets", found.resets));
    }
    let points = found.step_s.iter().enumerate();
    let plot = Plot {
        x: "steps",
        y: "ms a step",
        lines: vec![Line {
            name: WORKLOAD.into(),
            points: points
                .map(|(i, s)| (((i + 1) * found.steps) as f64, 1e3 * s))
                .collect(),
            marked: true,
        }],
        spots: Vec::new(),
    };
    table.plot = Some(plot.svg());
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(last: f64, tape: [usize; 2]) -> Table {
        let mut step_s = vec![1e-3; STRETCHES];
        step_s[STRETCHES - 5..].fill(last);
        table(&Steady {
            steps: 1_000,
            step_s,
            resets: 100_000,
            tape,
            resident: None,
        })
    }

    #[test]
    fn what_slows_down_or_grows_is_named() {
        assert!(run(1.1e-3, [4096, 4096]).weak.is_empty());
        let weak = run(6e-3, [4096, 8192]).weak;
        assert!(
            weak[0].contains("6.00 times as long after 20000 steps"),
            "{weak:?}"
        );
        assert!(weak[1].contains("grows over 100000 resets"), "{weak:?}");
    }
}
