//! Curves as text for the terminal, and as a page with a drawing for a browser.

use std::fmt::Write;
use std::path::PathBuf;

use retrograde::prelude::*;

/// A name, a sign and the values at each place.
pub(crate) type Curve<'a> = (&'a str, char, &'a [f64]);

const ROWS: usize = 17;
const COLUMNS: usize = 72;
/// The drawing's size, and the room around the axes.
const SIZE: (f64, f64) = (760.0, 360.0);
const MARGIN: f64 = 40.0;
const COLOURS: [&str; 2] = ["#0b6bcb", "#c2410c"];

/// Least and greatest.
fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| {
        (a.min(x), b.max(x))
    })
}

fn heights(curves: &[Curve<'_>]) -> (f64, f64) {
    extent(curves.iter().flat_map(|c| c.2.iter().copied()))
}

/// Where `x` stands between the ends of a range, 0 to 1.
fn share(x: f64, (low, high): (f64, f64)) -> f64 {
    if high > low {
        (x - low) / (high - low)
    } else {
        0.5
    }
}

/// The curves drawn with their signs; later ones over earlier ones.
pub(crate) fn text(x: &[f64], curves: &[Curve<'_>]) -> String {
    let (wide, high) = (extent(x.iter().copied()), heights(curves));
    let cell = |share: f64, count: usize| (share * (count - 1) as f64).round() as usize;
    let mut grid = vec![[' '; COLUMNS]; ROWS];
    let zero = ROWS - 1 - cell(share(0.0, high), ROWS);
    grid[zero] = ['-'; COLUMNS];
    for &(_, sign, values) in curves {
        for (&x, &y) in x.iter().zip(values) {
            grid[ROWS - 1 - cell(share(y, high), ROWS)][cell(share(x, wide), COLUMNS)] = sign;
        }
    }
    let mut out = String::new();
    for (i, line) in grid.iter().enumerate() {
        let label = match i {
            0 => format!("{:5.1}", high.1),
            i if i == ROWS - 1 => format!("{:5.1}", high.0),
            i if i == zero => "    0".into(),
            _ => " ".repeat(5),
        };
        let line: String = line.iter().collect();
        let _ = writeln!(out, "    {label} |{}", line.trim_end());
    }
    let (left, right) = (format!("{:.1}", wide.0), format!("{:.1}", wide.1));
    let _ = writeln!(
        out,
        "{:11}{left}{right:>width$}",
        "",
        width = COLUMNS - left.len()
    );
    for (name, sign, _) in curves {
        let _ = writeln!(out, "{:11}{sign} {name}", "");
    }
    out
}

/// Writes a page of its own, with nothing to load, into cargo's target folder.
pub(crate) fn save(x: &[f64], curves: &[Curve<'_>]) -> Result<PathBuf> {
    let fault =
        |e: std::io::Error| Error::new(ErrorKind::File, format!("cannot write the plot: {e}"));
    // target/PROFILE/examples/quickstart: three up is the target folder, wherever it is.
    let program = std::env::current_exe().map_err(fault)?;
    let folder = program
        .ancestors()
        .nth(3)
        .map_or_else(std::env::temp_dir, Into::into);
    let path = folder.join("sine.html");
    std::fs::write(&path, page(x, curves)).map_err(fault)?;
    Ok(path)
}

fn page(x: &[f64], curves: &[Curve<'_>]) -> String {
    let (wide, high) = (extent(x.iter().copied()), heights(curves));
    let (width, height) = SIZE;
    let right = |x: f64| MARGIN + share(x, wide) * (width - 2.0 * MARGIN);
    let down = |y: f64| height - MARGIN - share(y, high) * (height - 2.0 * MARGIN);
    let mut svg = format!(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<title>sin and its derivative</title>\n\
         <svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for tick in [high.0.round(), 0.0, high.1.round()] {
        let y = down(tick);
        let _ = writeln!(
            svg,
            "<line x1=\"{MARGIN}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ccc\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{tick}</text>",
            width - MARGIN,
            MARGIN - 6.0,
            y + 4.0
        );
    }
    for i in wide.0.ceil() as i64..=wide.1.floor() as i64 {
        let (at, base) = (right(i as f64), height - MARGIN);
        let _ = writeln!(
            svg,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{base:.1}\" y2=\"{:.1}\" stroke=\"#666\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{i}</text>",
            base + 5.0,
            base + 20.0
        );
    }
    for (i, (name, _, values)) in curves.iter().enumerate() {
        let points: Vec<String> = x
            .iter()
            .zip(*values)
            .map(|(&x, &y)| format!("{:.1},{:.1}", right(x), down(y)))
            .collect();
        let colour = COLOURS[i % COLOURS.len()];
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>\
             <text x=\"{:.1}\" y=\"20\" fill=\"{colour}\">{name}</text>",
            points.join(" "),
            MARGIN + 120.0 * i as f64
        );
    }
    svg + "</svg>\n"
}
