//! Drawings on logarithmic axes, as inline SVG that takes its colours from the page.

use super::html::escape;
use std::fmt::Write;

/// A line through points.
pub struct Line {
    /// What the legend calls it.
    pub name: String,
    /// The points, in order.
    pub points: Vec<(f64, f64)>,
    /// Whether its points are marked and it is named in the legend; else its name stands at its end.
    pub marked: bool,
}

/// A point with a name.
pub struct Spot {
    /// The name, printed beside it.
    pub name: String,
    /// Where.
    pub x: f64,
    /// Where.
    pub y: f64,
}

/// A drawing.
pub struct Plot {
    /// What the horizontal axis counts.
    pub x: &'static str,
    /// What the vertical axis counts.
    pub y: &'static str,
    /// Lines.
    pub lines: Vec<Line>,
    /// Points.
    pub spots: Vec<Spot>,
}

/// The drawing's size and the room around it: wide enough for a page, coarse enough to be read on a phone.
const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 330.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 46.0;

/// One axis: from which value to which, in powers of ten, and over which pixels.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Option<Self> {
        let logs = values.filter(|v| *v > 0.0 && v.is_finite()).map(f64::log10);
        let (low, high) = logs.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
            (l.min(v), h.max(v))
        });
        // At least a decade, and a little air.
        let middle = f64::midpoint(low, high);
        let half = ((high - low) / 2.0 + 0.08).max(0.5);
        low.is_finite().then_some(Self {
            low: middle - half,
            high: middle + half,
            from,
            to,
        })
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value.log10() - self.low) / (self.high - self.low);
        self.from + share * (self.to - self.from)
    }

    /// Powers of ten, with twos and fives between where there are few.
    fn ticks(&self) -> Vec<f64> {
        let steps: &[f64] = if self.high - self.low < 2.0 {
            &[1.0, 2.0, 5.0]
        } else {
            &[1.0]
        };
        let decades = self.low.floor() as i32..=self.high.ceil() as i32;
        let all = decades.flat_map(|d| steps.iter().map(move |s| s * 10f64.powi(d)));
        all.filter(|t| (self.low..=self.high).contains(&t.log10()))
            .collect()
    }
}

impl Plot {
    /// As SVG; text that says so where there is nothing to draw.
    pub fn svg(&self) -> String {
        let all = || {
            let lines = self.lines.iter().flat_map(|l| l.points.iter().copied());
            lines.chain(self.spots.iter().map(|s| (s.x, s.y)))
        };
        let across = Axis::over(all().map(|p| p.0), LEFT, WIDTH - RIGHT);
        let up = Axis::over(all().map(|p| p.1), HEIGHT - BOTTOM, TOP);
        let (Some(across), Some(up)) = (across, up) else {
            return "<p>nothing to draw</p>".into();
        };
        let mut svg = format!(
            "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{} against {}\">\n",
            escape(self.y),
            escape(self.x)
        );
        self.frame(&mut svg, &across, &up);
        for (i, line) in self.lines.iter().enumerate() {
            draw(&mut svg, line, i, &across, &up);
        }
        self.labels(&mut svg, &across, &up);
        svg.push_str("</svg>\n");
        svg
    }

    fn frame(&self, svg: &mut String, across: &Axis, up: &Axis) {
        for tick in across.ticks() {
            let x = across.at(tick);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{:.1}\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                up.from,
                up.from + 17.0,
                number(tick)
            );
        }
        for tick in up.ticks() {
            let y = up.at(tick);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                across.to,
                LEFT - 7.0,
                y + 4.5,
                number(tick)
            );
        }
        let _ = writeln!(
            svg,
            "<text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text class=\"axis\" x=\"4\" y=\"15\">{}</text>",
            f64::midpoint(across.from, across.to),
            HEIGHT - 8.0,
            escape(self.x),
            escape(self.y)
        );
    }

    /// Names beside spots, each where no earlier one stands if there is such a place.
    fn labels(&self, svg: &mut String, across: &Axis, up: &Axis) {
        let mut taken: Vec<[f64; 4]> = Vec::new();
        for spot in &self.spots {
            let (x, y) = (across.at(spot.x), up.at(spot.y));
            let _ = writeln!(
                svg,
                "<circle class=\"spot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>"
            );
            taken.push([x - 5.0, x + 5.0, y - 5.0, y + 5.0]);
        }
        for spot in &self.spots {
            let (x, y) = (across.at(spot.x), up.at(spot.y));
            let wide = 6.6 * spot.name.len() as f64;
            let places = [0.0, -13.0, 13.0, -26.0, 26.0]
                .into_iter()
                .flat_map(|dy| [(x + 8.0, y + 4.0 + dy), (x - 8.0 - wide, y + 4.0 + dy)]);
            let room = |(left, base): (f64, f64)| [left, left + wide, base - 10.0, base + 2.0];
            let is_free = |place: &(f64, f64)| {
                let [l, r, t, b] = room(*place);
                l > LEFT
                    && r < WIDTH
                    && !taken
                        .iter()
                        .any(|o| l < o[1] && o[0] < r && t < o[3] && o[2] < b)
            };
            let mut places = places;
            let place = places.find(is_free).unwrap_or((x + 8.0, y + 4.0));
            taken.push(room(place));
            let _ = writeln!(
                svg,
                "<text class=\"name\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                place.0,
                place.1,
                escape(&spot.name)
            );
        }
    }
}

fn draw(svg: &mut String, line: &Line, number: usize, across: &Axis, up: &Axis) {
    let at = |p: &(f64, f64)| (across.at(p.0), up.at(p.1));
    let points: Vec<(f64, f64)> = line.points.iter().map(at).collect();
    let path: Vec<String> = points
        .iter()
        .map(|p| format!("{:.1},{:.1}", p.0, p.1))
        .collect();
    let class = if line.marked {
        format!("line l{number}")
    } else {
        "roof".into()
    };
    let _ = writeln!(
        svg,
        "<polyline class=\"{class}\" points=\"{}\"/>",
        path.join(" ")
    );
    if line.marked {
        for p in &points {
            let _ = writeln!(
                svg,
                "<circle class=\"dot l{number}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\"/>",
                p.0, p.1
            );
        }
        let x = LEFT + 90.0 + 120.0 * number as f64;
        let _ = writeln!(
            svg,
            "<circle class=\"dot l{number}\" cx=\"{x:.1}\" cy=\"11\" r=\"4\"/><text x=\"{:.1}\" y=\"15\">{}</text>",
            x + 9.0,
            escape(&line.name)
        );
    } else if let Some(end) = points.last() {
        // The first above its line, the second below: roofs lie close to each other.
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            end.0,
            end.1 + if number == 0 { -6.0 } else { 17.0 },
            escape(&line.name)
        );
    }
}

/// A tick's label: plain while short, else a power of ten.
fn number(x: f64) -> String {
    if (0.001..10_000.0).contains(&x) {
        return format!("{x}");
    }
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let power = x.log10().floor() as i32;
    let factor = (x / 10f64.powi(power)).round();
    let digits: String = power
        .to_string()
        .chars()
        .map(|c| c.to_digit(10).map_or('⁻', |d| DIGITS[d as usize]))
        .collect();
    if factor == 1.0 {
        format!("10{digits}")
    } else {
        format!("{factor}·10{digits}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_logarithmic_and_labelled() {
        let axis = Axis::over([1.0, 1e4].into_iter(), 0.0, 100.0).unwrap();
        assert!((axis.at(1e2) - 50.0).abs() < 1e-9);
        assert_eq!(axis.ticks(), [1.0, 10.0, 100.0, 1e3, 1e4]);
        assert_eq!(
            [1.0, 0.01, 1e6, 2e-5].map(number),
            ["1", "0.01", "10⁶", "2·10⁻⁵"]
        );
    }

    #[test]
    fn every_point_is_drawn() {
        let line = Line {
            name: "a < b".into(),
            points: vec![(1.0, 1.0), (10.0, 20.0), (100.0, 300.0)],
            marked: true,
        };
        let spot = |name: &str| Spot {
            name: name.into(),
            x: 5.0,
            y: 5.0,
        };
        let svg = Plot {
            x: "n",
            y: "ms",
            lines: vec![line],
            spots: vec![spot("first"), spot("second")],
        }
        .svg();
        assert_eq!(
            svg.matches("class=\"dot l0\"").count(),
            4,
            "three and one in the legend"
        );
        assert!(svg.contains("a &lt; b") && svg.contains(">second<"));
        let places: Vec<_> = svg
            .split("class=\"name\" ")
            .skip(1)
            .map(|s| &s[..20])
            .collect();
        assert_ne!(places[0], places[1], "names do not cover each other");
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        let empty = Plot {
            x: "n",
            y: "ms",
            lines: Vec::new(),
            spots: Vec::new(),
        };
        assert_eq!(empty.svg(), "<p>nothing to draw</p>");
    }
}
