//! `report.html`: one file, no script, nothing loaded from elsewhere.

use super::bars::{comparison_bars, ratio_bars};
use super::{Comparison, Report};
use crate::figure::{Figure, duration};
use crate::tables::Table;
use std::fmt::Write;

const STYLE: &str = include_str!("style.css");

const INTRODUCTION: &str = "Retrograde computes derivatives of numerical programs on the CPU, for the Rust language: a \
    computation is written as ordinary code, recorded once as a flat list of instructions, differentiated as more of the \
    same list and replayed with the widest vector instructions of the machine. This page shows how fast that is beside \
    the frameworks that people use otherwise, measured in one run on one machine.";

impl Report {
    /// The report as a self-contained page.
    pub fn html(&self) -> String {
        let mut page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width, initial-scale=1\"><title>Retrograde: measured</title>\n<style>\n{STYLE}</style>\
             </head><body><main>\n<h1>Retrograde: how fast it is</h1>\n<p>{INTRODUCTION}</p>\n"
        );
        if self.quick {
            page.push_str(
                "<p class=\"banner\">A quick run: batches are too short for figures to quote.</p>\n",
            );
        }
        self.glance(&mut page);
        self.contents(&mut page);
        self.against_peers(&mut page);
        for table in &self.tables {
            section(&mut page, table);
        }
        self.weaknesses(&mut page);
        self.method(&mut page);
        self.figures(&mut page);
        page.push_str("</main></body></html>\n");
        page
    }

    /// A few numbers that say the most.
    fn glance(&self, page: &mut String) {
        page.push_str("<div class=\"facts\">\n");
        let mut fact = |value: String, what: &str| {
            let _ = writeln!(
                page,
                "<div><b>{}</b><span>{what}</span></div>",
                escape(&value)
            );
        };
        let ratios: Vec<f64> = self
            .comparisons
            .iter()
            .filter_map(Comparison::ratio)
            .collect();
        if !ratios.is_empty() {
            let met = self.comparisons.iter().filter(|c| c.is_met() == Some(true));
            let mean = (ratios.iter().map(|r| r.ln()).sum::<f64>() / ratios.len() as f64).exp();
            let ahead = ratios.iter().filter(|r| **r > 1.0).count();
            fact(
                format!("{ahead} of {}", ratios.len()),
                "workloads faster than the fastest peer",
            );
            fact(
                format!("{mean:.1}x"),
                "the fastest peer's speed, geometric mean",
            );
            fact(format!("{} of {}", met.count(), ratios.len()), "marks met");
        }
        let right = self.comparisons.iter().filter(|c| c.ours().is_some());
        fact(
            format!("{} of {}", right.count(), self.comparisons.len()),
            "results checked and right",
        );
        for label in ["processor", "threads"] {
            if let Some((_, value)) = self.facts.iter().find(|f| f.0 == label) {
                // Without what makers add to their names.
                let short = value.split(" (").next().unwrap_or(value);
                let short = ["(R)", "(TM)", " Processor"]
                    .iter()
                    .fold(short.to_owned(), |s, extra| s.replace(extra, ""));
                fact(short, label);
            }
        }
        page.push_str("</div>\n");
    }

    fn contents(&self, page: &mut String) {
        page.push_str("<nav><a href=\"#peers\">Against peers</a>");
        for table in &self.tables {
            let _ = write!(
                page,
                "<a href=\"#{}\">{}</a>",
                anchor(&table.title),
                escape(&table.title)
            );
        }
        page.push_str(
            "<a href=\"#weak\">Weak points</a><a href=\"#method\">Machine and method</a><a href=\"#figures\">Every \
             figure</a></nav>\n",
        );
    }

    fn against_peers(&self, page: &mut String) {
        page.push_str(
            "<h2 id=\"peers\">Against the fastest peer</h2>\n<p>A bar is how many times faster Retrograde is than the \
             fastest of the peers in the same run, on a logarithmic scale; the thin line is 1, as fast. The thick tick is \
             the mark: what this project set itself to reach for that workload. Green reaches it, yellow is faster than every peer \
             but short of the mark, red is slower than the fastest peer.</p>\n",
        );
        ratio_bars(page, &self.comparisons);
        page.push_str(
            "<h2>Workload by workload</h2>\n<p>Seconds for value and all derivatives of one step (for training: forward, \
             backward and update), best batch. Beside each time is the largest relative error of its result against a \
             reference in f64 that was written by hand; a wrong result has no bar. The name <code>hand</code> is that \
             reference: plain loops in f64 on one thread, which count as no peer. Shorter bars are better.</p>\n",
        );
        for comparison in &self.comparisons {
            workload(page, comparison);
        }
    }

    fn weaknesses(&self, page: &mut String) {
        page.push_str("<h2 id=\"weak\">Weak points</h2>\n");
        let weak = self.weak();
        if weak.is_empty() {
            page.push_str("<p>None that this run would show.</p>\n");
            return;
        }
        page.push_str("<p>What this run shows to be short of its aim, slower than it should be, or missing.</p>\n<ul>\n");
        for sentence in weak {
            let _ = writeln!(page, "<li>{}</li>", escape(&sentence));
        }
        page.push_str("</ul>\n");
    }

    fn method(&self, page: &mut String) {
        page.push_str("<h2 id=\"method\">Machine, build and method</h2>\n<dl>\n");
        for (label, value) in &self.facts {
            let _ = writeln!(page, "<dt>{}</dt><dd>{}</dd>", escape(label), escape(value));
        }
        for (peer, reason) in &self.skipped {
            let _ = writeln!(page, "<dt>{peer}</dt><dd>skipped: {}</dd>", escape(reason));
        }
        page.push_str("</dl>\n");
    }

    fn figures(&self, page: &mut String) {
        page.push_str(
            "<h2 id=\"figures\">Every figure</h2>\n<p>In the order measured: ours first and last, so that a machine whose \
             speed changes meanwhile hits both sides.</p>\n",
        );
        let rows = self.comparisons.iter().flat_map(|c| &c.figures);
        let table = Table {
            head: Figure::HEAD.to_vec(),
            rows: rows.map(Figure::cells).collect(),
            ..Table::default()
        };
        page.push_str("<div class=\"dense\">");
        grid(page, &table);
        page.push_str("</div>\n");
    }
}

fn workload(page: &mut String, comparison: &Comparison) {
    let spec = &comparison.spec;
    let class = match comparison.is_met() {
        Some(true) => "good",
        Some(false) => "bad",
        None => "soft",
    };
    let _ = writeln!(
        page,
        "<h3>{}</h3>\n<p class=\"soft\">{}<br><span class=\"{class}\">{}</span></p>",
        spec.name,
        escape(spec.about),
        escape(&comparison.verdict())
    );
    comparison_bars(page, comparison);
    for figure in &comparison.figures {
        let said = if let Some(failure) = &figure.failure {
            format!("failed: {failure}")
        } else if figure.valid_best().is_none() {
            let error = figure
                .error
                .map_or("infinite".into(), |e| format!("{e:.1e}"));
            let time = figure.best_s.map_or("-".into(), duration);
            format!("wrong result in {time}, error {error}")
        } else {
            continue;
        };
        let _ = writeln!(
            page,
            "<p class=\"soft\">{}: {}</p>",
            figure.peer,
            escape(&said)
        );
    }
}

fn section(page: &mut String, table: &Table) {
    let _ = writeln!(
        page,
        "<h2 id=\"{}\">{}</h2>\n<p>{}</p>",
        anchor(&table.title),
        escape(&table.title),
        code(&escape(&table.about))
    );
    page.push_str(table.plot.as_deref().unwrap_or_default());
    grid(page, table);
}

/// The cells, wide ones scrolling by themselves.
fn grid(page: &mut String, table: &Table) {
    // Text stands to the left: what has a row that starts with a letter and is no duration.
    let is_text = |column: usize| {
        let cells = table.rows.iter().filter_map(|r| r.get(column));
        cells.clone().any(|c| c.starts_with(char::is_alphabetic))
    };
    page.push_str("<div class=\"scroll\"><table>\n<tr>");
    for (i, name) in table.head.iter().enumerate() {
        let class = if is_text(i) { " class=\"text\"" } else { "" };
        let _ = write!(page, "<th{class}>{}</th>", escape(name));
    }
    page.push_str("</tr>\n");
    for row in &table.rows {
        page.push_str("<tr>");
        for (i, cell) in row.iter().enumerate() {
            let class = match (is_text(i), cell.len() > 30) {
                (true, true) => " class=\"text wrap\"",
                (true, false) => " class=\"text\"",
                _ => "",
            };
            let _ = write!(page, "<td{class}>{}</td>", code(&escape(cell)));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table></div>\n");
}

fn anchor(title: &str) -> String {
    title.to_lowercase().replace(' ', "-")
}

/// Text between backticks as code.
fn code(text: &str) -> String {
    let mut out = String::new();
    for (i, part) in text.split('`').enumerate() {
        if i % 2 == 1 {
            let _ = write!(out, "<code>{part}</code>");
        } else {
            out.push_str(part);
        }
    }
    out
}

/// Text as HTML shows it.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use crate::report::tests::report;

    #[test]
    fn a_bar_for_every_valid_peer_and_a_word_for_the_wrong_one() {
        let mut report = report();
        report.facts.push(("compiler".into(), "a < b".into()));
        report.quick = true;
        let page = report.html();
        assert_eq!(
            page.matches("class=\"fill").count(),
            1 + 3,
            "one of ratios, three of times"
        );
        assert!(page.contains("jax: wrong result in 100 us, error 1.0e-7"));
        assert!(page.contains("a &lt; b") && page.contains("quick run"));
        assert!(page.contains("<code>x</code> grows"), "tables are there");
        assert!(page.contains("<li>it grows</li>"), "weak points are named");
        assert!(!page.contains("http"), "nothing is loaded from elsewhere");
        assert!(!page.contains("<script"));
    }
}
