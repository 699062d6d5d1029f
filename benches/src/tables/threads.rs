//! One thread and all of them, workload by workload.

use super::{Context, Table};
use crate::cli::Options;
use crate::figure::duration;

/// More threads lose when they take this much longer than one: less is noise.
const LOSS: f64 = 1.1;
/// Rounds, one thread and all in turn: the best of each counts.
const ROUNDS: usize = 2;

pub(super) fn table(context: &Context<'_>) -> Table {
    let options = context.options;
    let all = options.threads.max(2);
    let mut table = Table {
        title: "Threads".into(),
        about: format!(
            "The same step on one thread and on {all}, measured in turn. What is too small to share runs on one thread, \
             however many it is given: {all} must never lose to one."
        ),
        head: vec!["workload", "1 thread", "all threads", "speed-up"],
        ..Table::default()
    };
    for spec in &options.workloads {
        (context.progress)(&format!("{} on 1 and {all} threads", spec.name));
        let mut best = [f64::INFINITY; 2];
        let mut failure = None;
        for _ in 0..ROUNDS {
            for (best, threads) in best.iter_mut().zip([1, all]) {
                let options = Options {
                    threads,
                    ..options.clone()
                };
                match context.ours_on(spec.name, &options) {
                    Ok(figure) => *best = best.min(figure.valid_best().unwrap_or(f64::INFINITY)),
                    Err(message) => failure = Some(message),
                }
            }
        }
        if let Some(message) = failure {
            let row = [spec.name.into(), message, "-".into(), "-".into()];
            table.rows.push(row.into());
            continue;
        }
        let [one, many] = best;
        table.rows.push(vec![
            spec.name.into(),
            duration(one),
            duration(many),
            format!("{:.2}", one / many),
        ]);
        if many > LOSS * one {
            table.weak.push(format!(
                "{}: {all} threads take {:.2} times as long as one",
                spec.name,
                many / one
            ));
        }
    }
    table
}
