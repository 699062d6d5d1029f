//! Bars on a logarithmic scale, as elements of the page: they stay legible at any width.

use super::html::escape;
use super::{Comparison, OURS};
use crate::figure::duration;
use std::fmt::Write;

/// Where a value stands on a track, in percent.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn new(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values.fold((1.0f64, 1.0f64), |(l, h), v| (l.min(v), h.max(v)));
        Self {
            low: (low * 0.8).ln(),
            high: (high * 1.15).max(2.0).ln(),
        }
    }

    fn at(&self, value: f64) -> f64 {
        (100.0 * (value.ln() - self.low) / (self.high - self.low)).clamp(0.0, 100.0)
    }
}

/// One bar a workload: how many times faster ours is than the best peer, with the mark.
pub(super) fn ratio_bars(page: &mut String, comparisons: &[Comparison]) {
    let ratios = comparisons.iter().filter_map(Comparison::ratio);
    if ratios.clone().next().is_none() {
        page.push_str("<p class=\"soft\">No peer was measured in this run.</p>\n");
        return;
    }
    let marks = comparisons.iter().map(|c| c.spec.mark);
    let scale = Scale::new(ratios.chain(marks));
    page.push_str("<div class=\"bars\">\n");
    for comparison in comparisons {
        let (class, what) = match (comparison.ratio(), comparison.best_peer()) {
            (Some(ratio), Some(peer)) => {
                let met = comparison.is_met() == Some(true);
                let class = if met { "met" } else { "missed" };
                let text = format!(
                    "{ratio:.2}x {}, mark {}x",
                    peer.figure.peer, comparison.spec.mark
                );
                (Some((class, ratio)), text)
            }
            _ => (None, comparison.verdict()),
        };
        let fill = class.map(|(class, ratio)| bar(&scale, 1.0, ratio, class));
        row(
            page,
            comparison.spec.name,
            &format!(
                "{}{}<i class=\"mark\" style=\"left:{:.1}%\"></i>",
                fill.unwrap_or_default(),
                one(&scale),
                scale.at(comparison.spec.mark)
            ),
            &what,
        );
    }
    page.push_str("</div>\n");
}

/// One bar a peer: its time, with the error of its result.
pub(super) fn comparison_bars(page: &mut String, comparison: &Comparison) {
    let standings = comparison.standings();
    let Some(fastest) = standings.first() else {
        return;
    };
    let unit = comparison.ours().map_or(fastest.best, |s| s.best);
    let scale = Scale::new(standings.iter().map(|s| s.best / unit));
    page.push_str("<div class=\"bars\">\n");
    for standing in &standings {
        let (figure, ratio) = (standing.figure, standing.best / unit);
        let class = if figure.peer == OURS { "ours" } else { "" };
        let error = figure
            .error
            .map_or(String::new(), |e| format!(", error {e:.0e}"));
        // From the left edge, so that ours has a bar too.
        let fill = format!(
            "<i class=\"fill {class}\" style=\"left:0;width:{:.1}%\"></i>{}",
            scale.at(ratio).max(0.5),
            one(&scale)
        );
        row(
            page,
            &figure.peer,
            &fill,
            &format!("{} ({ratio:.2}x{error})", duration(standing.best)),
        );
    }
    page.push_str("</div>\n");
}

fn bar(scale: &Scale, from: f64, to: f64, class: &str) -> String {
    let (left, right) = (scale.at(from.min(to)), scale.at(from.max(to)));
    let width = (right - left).max(0.5);
    format!("<i class=\"fill {class}\" style=\"left:{left:.1}%;width:{width:.1}%\"></i>")
}

/// The line at 1.
fn one(scale: &Scale) -> String {
    format!("<i class=\"one\" style=\"left:{:.1}%\"></i>", scale.at(1.0))
}

fn row(page: &mut String, who: &str, track: &str, what: &str) {
    let _ = writeln!(
        page,
        "<div class=\"bar\"><span class=\"who\">{}</span><span class=\"track\">{track}</span><span \
         class=\"what\">{}</span></div>",
        escape(who),
        escape(what)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracks_hold_every_value() {
        let scale = Scale::new([0.5, 20.0].into_iter());
        let places = [0.5, 1.0, 20.0].map(|v| scale.at(v));
        assert!(
            places.is_sorted() && places[0] > 0.0 && places[2] < 100.0,
            "{places:?}"
        );
    }
}
