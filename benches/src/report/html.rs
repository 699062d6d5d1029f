//! `report.html`: one file, no script, nothing loaded from elsewhere.

use super::{Comparison, OURS, Report, Standing};
use crate::figure::duration;
use std::fmt::Write;

const STYLE: &str = "
body { font: 15px/1.5 system-ui, sans-serif; max-width: 960px; margin: 2em auto; padding: 0 1em; color: #222; }
h1 { font-size: 1.5em; } h2 { font-size: 1.2em; margin-top: 2em; } h3 { font-size: 1em; margin: 1.5em 0 0; }
p.about { margin: 0; color: #555; } p.verdict { margin: 0 0 .3em; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; } td, th { padding: .15em .7em; text-align: left; }
tr:nth-child(even) td { background: #f5f5f5; } th { border-bottom: 1px solid #999; }
.met { color: #1a7f37; } .missed { color: #b42318; }
svg text { font: 12px system-ui, sans-serif; fill: #222; }";

/// Pixels: where bars start, how wide the axis is, how tall a row is.
const LEFT: f64 = 150.0;
const WIDTH: f64 = 640.0;
const ROW: f64 = 22.0;

impl Report {
    /// The report as a self-contained page.
    pub fn html(&self) -> String {
        let mut page = String::from(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Retrograde: measured</title><style>",
        );
        page.push_str(STYLE);
        page.push_str("</style></head><body>\n<h1>Retrograde: measured</h1>\n");
        page.push_str(
            "<p>Seconds for value and gradients of one step (for training: forward, backward and update), best of five \
             batches. Bars show how much longer each peer takes than Retrograde in the same run, on a logarithmic axis; \
             a dashed line is the mark that the best peer's bar should reach. Every result was compared with a reference \
             in f64; the error is printed beside the time, and a wrong result has no bar.</p>\n",
        );
        if self.quick {
            page.push_str("<p class=\"missed\">A quick run: batches are too short for figures to quote.</p>\n");
        }
        for comparison in &self.comparisons {
            section(&mut page, comparison);
        }
        page.push_str("<h2>Machine, build, method</h2>\n<table>\n");
        for (label, value) in &self.facts {
            let _ = writeln!(
                page,
                "<tr><td>{}</td><td>{}</td></tr>",
                escape(label),
                escape(value)
            );
        }
        for (peer, reason) in &self.skipped {
            let _ = writeln!(
                page,
                "<tr><td>{peer}</td><td>skipped: {}</td></tr>",
                escape(reason)
            );
        }
        page.push_str("</table>\n</body></html>\n");
        page
    }
}

fn section(page: &mut String, comparison: &Comparison) {
    let spec = &comparison.spec;
    let class = match comparison.ratio() {
        Some(r) if r >= spec.mark => " met",
        Some(_) => " missed",
        None => "",
    };
    let _ = writeln!(
        page,
        "<h3>{}</h3>\n<p class=\"about\">{}</p>\n<p class=\"verdict{class}\">{}</p>",
        spec.name,
        escape(spec.about),
        escape(&comparison.verdict())
    );
    let standings = comparison.standings();
    if let Some(fastest) = standings.first() {
        let unit = comparison.ours().map_or(fastest.best, |s| s.best);
        bars(page, &standings, unit, comparison.ours().map(|_| spec.mark));
    }
    for figure in &comparison.figures {
        if let Some(failure) = &figure.failure {
            let _ = writeln!(
                page,
                "<p class=\"about\">{}: failed: {}</p>",
                figure.peer,
                escape(failure)
            );
        } else if figure.valid_best().is_none() {
            let error = figure
                .error
                .map_or("infinite".into(), |e| format!("{e:.1e}"));
            let _ = writeln!(
                page,
                "<p class=\"about\">{}: wrong result, error {error}</p>",
                figure.peer
            );
        }
    }
}

/// One bar a peer from 1 (as fast as `unit`) to its own ratio, on a logarithmic axis.
fn bars(page: &mut String, standings: &[Standing<'_>], unit: f64, mark: Option<f64>) {
    let ratios = standings.iter().map(|s| s.best / unit);
    let (low, high) = ratios.fold((1.0f64, mark.unwrap_or(1.0)), |(l, h), r| {
        (l.min(r), h.max(r))
    });
    let (low, high) = (low.min(0.9).ln(), high.max(2.0).ln());
    let place = |ratio: f64| LEFT + (ratio.ln() - low) / (high - low) * (WIDTH - 140.0);
    let height = ROW * (standings.len() as f64 + 1.0);
    let total = LEFT + WIDTH + 130.0;
    let _ = writeln!(
        page,
        "<svg viewBox=\"0 0 {total:.0} {height:.0}\" width=\"100%\" role=\"img\">"
    );
    for tick in [
        0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1e3, 1e4, 1e5,
    ] {
        if (low..=high).contains(&f64::ln(tick)) {
            let (x, bottom) = (place(tick), height - ROW);
            let _ = writeln!(
                page,
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{bottom:.0}\" stroke=\"#ddd\"/>\
                 <text x=\"{x:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{tick}x</text>",
                height - 6.0
            );
        }
    }
    for (i, standing) in standings.iter().enumerate() {
        let (figure, ratio) = (standing.figure, standing.best / unit);
        let (from, to) = (place(ratio.min(1.0)), place(ratio.max(1.0)));
        let top = ROW * i as f64;
        let colour = if figure.peer == OURS {
            "#0b6e99"
        } else {
            "#9aa5ad"
        };
        let error = figure
            .error
            .map_or(String::new(), |e| format!(", error {e:.0e}"));
        let _ = writeln!(
            page,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{from:.1}\" y=\"{:.0}\" width=\"{:.1}\" height=\"14\" fill=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"{:.0}\">{} ({ratio:.2}x{error})</text>",
            LEFT - 8.0,
            top + 15.0,
            escape(&figure.peer),
            top + 4.0,
            (to - from).max(2.0),
            to.max(place(1.0)) + 6.0,
            top + 15.0,
            duration(standing.best),
        );
    }
    if let Some(mark) = mark {
        let x = place(mark);
        let _ = writeln!(
            page,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{:.0}\" stroke=\"#b42318\" stroke-dasharray=\"4 3\"/>",
            height - ROW
        );
    }
    page.push_str("</svg>\n");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::comparison;

    #[test]
    fn a_bar_for_every_valid_peer_and_a_word_for_the_wrong_one() {
        let report = Report {
            facts: vec![("compiler".into(), "a < b".into())],
            comparisons: vec![comparison()],
            skipped: Vec::new(),
            quick: true,
        };
        let page = report.html();
        assert_eq!(page.matches("<rect").count(), 3);
        assert!(page.contains("jax: wrong result, error 1.0e-7"));
        assert!(page.contains("a &lt; b") && page.contains("quick run"));
        assert!(!page.contains("http"), "nothing is loaded from elsewhere");
    }
}
