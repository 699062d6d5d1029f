//! What recording, finding, compiling and replaying cost a piece, and what a step allocates.

use super::{Table, or_dash};
use crate::cli::Options;
use crate::counting::allocations;
use crate::figure::{bytes, duration};
use crate::ours::{build, overhead};
use crate::report::Comparison;
use crate::workload::Config;
use serde::{Deserialize, Serialize};

/// The figures of the library, and of each workload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Overhead {
    /// By piece.
    pub pieces: overhead::Pieces,
    /// Allocations and their bytes in a step, by workload.
    pub steps: Vec<(String, usize, usize)>,
}

/// Trials: threads of the pool allocate now and then, what a step itself does every trial does.
const TRIALS: usize = 20;

/// Measures both; only processes whose allocator counts can tell allocations.
///
/// # Errors
/// What stops a recording or a workload.
pub fn measure(options: &Options) -> Result<Overhead, String> {
    let mut steps = Vec::new();
    for spec in &options.workloads {
        let Some(build) = build(spec.name) else {
            continue;
        };
        let mut work = build(&Config {
            threads: options.threads,
        })?;
        for _ in 0..5 {
            work.step()?;
        }
        let mut fewest = (usize::MAX, 0);
        for _ in 0..TRIALS {
            let before = allocations();
            work.step()?;
            let after = allocations();
            fewest = fewest.min((after.0 - before.0, after.1 - before.1));
            if fewest.0 == 0 {
                break;
            }
        }
        steps.push((spec.name.to_owned(), fewest.0, fewest.1));
    }
    Ok(Overhead {
        pieces: overhead::measure(options.quick)?,
        steps,
    })
}

/// Costs by piece, and by workload.
pub fn tables(found: &Overhead, comparisons: &[Comparison]) -> Vec<Table> {
    let p = &found.pieces;
    let row = |what: &str, cost: String, how: &str| vec![what.to_owned(), cost, how.to_owned()];
    let each = |seconds: f64| duration(seconds / p.instructions as f64);
    let recorded = p.hit_s - p.replay_s;
    let pieces = Table {
        title: "Overheads".into(),
        about: format!(
            "What a piece costs where there is next to no arithmetic: a define-by-run step of {} scalar operations, \
             recorded, differentiated and run, on one thread.",
            p.instructions
        ),
        head: vec!["what", "cost", "of what"],
        rows: vec![
            row(
                "recording one operation",
                each(p.record_s),
                "nothing is run, nothing allocated",
            ),
            row(
                "finding the step's program",
                each((recorded - p.record_s).max(0.0)),
                "an operation, on a hit: the recording is compared with those compiled before",
            ),
            row(
                "a miss",
                each(p.miss_s - p.hit_s),
                "an operation: derivatives and compilation on the first step",
            ),
            row(
                "replaying one scalar instruction",
                duration(p.replay_s / p.replayed as f64),
                "forward and reverse alike",
            ),
            row(
                "heap of a recorded operation",
                format!("{:.0} bytes", p.heap_bytes),
                "kept by the tape for the next step",
            ),
        ],
        ..Table::default()
    };
    vec![pieces, by_workload(found, comparisons)]
}

fn by_workload(found: &Overhead, comparisons: &[Comparison]) -> Table {
    let mut table = Table {
        title: "Steps and their programs".into(),
        about: "What a step allocates once it has run a few times, and what it takes to make its program: from the \
                recording (replayed programs), or from an empty cache to the end of a first step (training)."
            .into(),
        head: vec![
            "workload",
            "allocations a step",
            "bytes a step",
            "instructions",
            "compile",
            "compile, each",
        ],
        ..Table::default()
    };
    for (name, count, size) in &found.steps {
        let ours = comparisons.iter().find(|c| c.spec.name == name);
        let ours = ours.and_then(Comparison::ours);
        let compile = ours.as_ref().and_then(|o| o.figure.compile_s);
        let instructions = ours.as_ref().and_then(|o| o.figure.cost);
        let instructions = instructions.map(|c| c.instructions);
        let each = compile.zip(instructions).map(|(s, n)| s / n.max(1) as f64);
        table.rows.push(vec![
            name.clone(),
            count.to_string(),
            bytes(*size as u64),
            or_dash(instructions.map(|n| n.to_string())),
            or_dash(compile.map(duration)),
            or_dash(each.map(duration)),
        ]);
        // The gradients that a define-by-run step hands out are the caller's.
        if *count > 0 && name != "tiny_define_by_run" {
            table
                .weak
                .push(format!("{name}: {count} allocations in a steady step"));
        }
    }
    table
}
