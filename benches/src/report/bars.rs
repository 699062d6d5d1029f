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
        let (class, value, detail) = match (comparison.ratio(), comparison.best_peer()) {
            (Some(ratio), Some(peer)) => {
                let class = match comparison.is_met() {
                    Some(true) => "met",
                    _ if ratio >= 1.0 => "short",
                    _ => "behind",
                };
                let detail = format!("{}, mark {}x", peer.figure.peer, comparison.spec.mark);
                (Some((class, ratio)), format!("{ratio:.2}x"), detail)
            }
            _ => (None, String::new(), comparison.verdict()),
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
            &value,
            &detail,
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
        let error = match figure.error {
            Some(0.0) => ", exact".into(),
            Some(e) => format!(", error {e:.0e}"),
            None => String::new(),
        };
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
            &duration(standing.best),
            &format!("{}{error}", times(ratio)),
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

/// A ratio in as many digits as say something.
fn times(ratio: f64) -> String {
    match ratio {
        r if r < 0.095 => format!("{r:.3}x"),
        r if r < 9.95 => format!("{r:.2}x"),
        r if r < 99.5 => format!("{r:.1}x"),
        r => format!("{r:.0}x"),
    }
}

fn row(page: &mut String, who: &str, track: &str, value: &str, detail: &str) {
    let _ = writeln!(
        page,
        "<div class=\"bar\"><span class=\"who\">{}</span><span class=\"track\">{track}</span><span \
         class=\"what\"><b>{}</b> {}</span></div>",
        escape(who),
        escape(value),
        escape(detail)
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
