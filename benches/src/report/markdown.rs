//! `report.md`, and the summary of it that is kept.

use super::{Comparison, Report};
use crate::figure::{Figure, duration};
use crate::tables::Table;
use std::fmt::Write;

impl Report {
    /// The report's tables as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = self.summary("# Retrograde: measured");
        for table in &self.tables {
            let _ = write!(text, "\n## {}\n\n{}\n\n", table.title, table.about);
            rows(&mut text, table);
        }
        text.push_str("\n## Every figure\n\n");
        let figures = self.comparisons.iter().flat_map(|c| &c.figures);
        let table = Table {
            head: Figure::HEAD.to_vec(),
            rows: figures.map(Figure::cells).collect(),
            ..Table::default()
        };
        rows(&mut text, &table);
        text
    }

    /// Machine and method, the comparison, weak points: what `--record` keeps.
    pub fn summary(&self, heading: &str) -> String {
        let mut text = format!("{heading}\n\n");
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
        let table = Table {
            head: vec!["workload", "ours", "best peer", "ratio", "mark"],
            rows: self.comparisons.iter().map(summary_row).collect(),
            ..Table::default()
        };
        rows(&mut text, &table);
        let weak = self.weak();
        if !weak.is_empty() {
            text.push_str("\n## Weak points\n\n");
            for sentence in weak {
                let _ = writeln!(text, "- {sentence}");
            }
        }
        text
    }
}

fn rows(text: &mut String, table: &Table) {
    let line = |cells: &mut dyn Iterator<Item = String>| {
        let cells: Vec<_> = cells.map(|c| c.replace('|', "\\|")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    text.push_str(&line(&mut table.head.iter().map(ToString::to_string)));
    text.push_str(&line(&mut table.head.iter().map(|_| "---".into())));
    for row in &table.rows {
        text.push_str(&line(&mut row.iter().cloned()));
    }
}

fn summary_row(c: &Comparison) -> Vec<String> {
    let ours = c.ours().map_or("-".into(), |s| duration(s.best));
    let peer = c.best_peer().map_or("-".into(), |s| {
        format!("{} ({})", duration(s.best), s.figure.peer)
    });
    let ratio = c.ratio().map_or("-".into(), |r| format!("{r:.2}"));
    let mark = match c.is_met() {
        Some(true) => format!("{} met", c.spec.mark),
        Some(false) => format!("{} missed", c.spec.mark),
        None => c.spec.mark.to_string(),
    };
    vec![format!("`{}`", c.spec.name), ours, peer, ratio, mark]
}

impl Figure {
    /// Names of the columns of [`cells`](Self::cells).
    pub(super) const HEAD: [&'static str; 9] = [
        "workload",
        "peer",
        "threads",
        "level",
        "best",
        "median",
        "error",
        "check",
        "prepared in",
    ];

    /// A row of the table of every figure.
    pub(super) fn cells(&self) -> Vec<String> {
        let time = |t: Option<f64>| t.map_or("-".into(), duration);
        let peer = match &self.version {
            Some(version) => format!("{} {version}", self.peer),
            None => self.peer.clone(),
        };
        let check = match &self.failure {
            Some(failure) => format!("failed: {failure}"),
            None if self.noisy() => format!("{}, noisy", self.check.name()),
            None => self.check.name().into(),
        };
        vec![
            format!("`{}`", self.workload),
            peer,
            self.threads.to_string(),
            self.level.clone(),
            time(self.best_s),
            time(self.median_s),
            self.error.map_or("-".into(), |e| format!("{e:.1e}")),
            check,
            time(self.prepare_s),
        ]
    }
}

#[cfg(test)]
mod tests {
    use crate::report::tests::report;

    #[test]
    fn tables_hold_ratio_and_rows() {
        let mut report = report();
        report.facts.push(("processor".into(), "abacus".into()));
        report.skipped.push(("burn", "not installed".into()));
        let text = report.markdown();
        assert!(
            text.contains("| `mlp_b64` | 400 us | 800 us (torch) | 2.00 | 2 met |"),
            "{text}"
        );
        assert!(text.contains("- burn was skipped: not installed"));
        assert!(
            text.contains("\n## Growth\n\n`x` grows\n\n| n | ms |\n| --- | --- |\n| 1 | 2 |\n")
        );
        assert_eq!(text.matches("\n| `mlp_b64` |").count(), 6);
        let summary = report.summary("# Kept");
        assert!(summary.starts_with("# Kept") && summary.contains("- it grows"));
        assert!(!summary.contains("## Growth"));
    }
}
