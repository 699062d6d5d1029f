//! `report.md`.

use super::{Comparison, Report};
use crate::figure::{Figure, duration};
use std::fmt::Write;

impl Report {
    /// The report's tables as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = String::from("# Retrograde: measured\n\n");
        if self.quick {
            text.push_str("**A quick run: batches are too short for figures to quote.**\n\n");
        }
        for (label, value) in &self.facts {
            let _ = writeln!(text, "- {label}: {value}");
        }
        for (peer, reason) in &self.skipped {
            let _ = writeln!(text, "- {peer} was skipped: {reason}");
        }
        text.push_str("\n## Ours against the best peer\n\n");
        text.push_str("| workload | ours | best peer | ratio | mark |\n|---|---|---|---|---|\n");
        for comparison in &self.comparisons {
            text.push_str(&summary_row(comparison));
        }
        text.push_str("\n## Every figure\n\n");
        text.push_str(
            "| workload | peer | threads | level | best | median | error | check | prepared in |\n",
        );
        text.push_str("|---|---|---|---|---|---|---|---|---|\n");
        for figure in self.comparisons.iter().flat_map(|c| &c.figures) {
            text.push_str(&figure_row(figure));
        }
        text
    }
}

fn summary_row(c: &Comparison) -> String {
    let ours = c.ours().map_or("-".into(), |s| duration(s.best));
    let peer = c.best_peer().map_or("-".into(), |s| {
        format!("{} ({})", duration(s.best), s.figure.peer)
    });
    let ratio = c.ratio().map_or("-".into(), |r| format!("{r:.2}"));
    let mark = match c.ratio() {
        Some(r) if r >= c.spec.mark => format!("{} met", c.spec.mark),
        Some(_) => format!("{} missed", c.spec.mark),
        None => c.spec.mark.to_string(),
    };
    format!(
        "| `{}` | {ours} | {peer} | {ratio} | {mark} |\n",
        c.spec.name
    )
}

fn figure_row(f: &Figure) -> String {
    let time = |t: Option<f64>| t.map_or("-".into(), duration);
    let peer = match &f.version {
        Some(version) => format!("{} {version}", f.peer),
        None => f.peer.clone(),
    };
    let check = match &f.failure {
        Some(failure) => format!("failed: {}", failure.replace('|', "\\|")),
        None if f.noisy() => format!("{}, noisy", f.check.name()),
        None => f.check.name().into(),
    };
    let error = f.error.map_or("-".into(), |e| format!("{e:.1e}"));
    format!(
        "| `{}` | {peer} | {} | {} | {} | {} | {error} | {check} | {} |\n",
        f.workload,
        f.threads,
        f.level,
        time(f.best_s),
        time(f.median_s),
        time(f.prepare_s)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::comparison;

    #[test]
    fn tables_hold_ratio_and_rows() {
        let report = Report {
            facts: vec![("processor".into(), "abacus".into())],
            comparisons: vec![comparison()],
            skipped: vec![("burn", "not installed".into())],
            quick: false,
        };
        let text = report.markdown();
        assert!(
            text.contains("| `mlp_b64` | 400 us | 800 us (torch) | 2.00 | 2 met |"),
            "{text}"
        );
        assert!(text.contains("- burn was skipped: not installed"));
        assert_eq!(text.matches("\n| `mlp_b64` |").count(), 6);
    }
}
