//! Time against size: it must grow in proportion.

use super::Table;
use crate::cli::Options;
use crate::figure::{bytes, duration};
use crate::measure::fewest;
use crate::report::plot::{Line, Plot};
use crate::{inputs, ours::growth as recorded};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// One size.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Point {
    /// Elements, or instructions recorded.
    pub size: usize,
    /// Seconds to record, differentiate and compile.
    pub compile_s: f64,
    /// Seconds of a replay.
    pub run_s: f64,
    /// Bytes of the workspace.
    pub bytes: usize,
}

/// Time against size.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Growth {
    /// The chain of activations by elements.
    pub chain: Vec<Point>,
    /// The chain of scalars by instructions.
    pub scalar: Vec<Point>,
}

/// Recorded instructions of a round of the scalar chain.
const ROUND: usize = 4;
/// A slope of the logarithms beyond this is no longer linear: caches that overflow cost some.
const LINEAR: f64 = 1.15;

/// Measures both chains; a quick run leaves out what takes longer than a second.
///
/// # Errors
/// What stops a program.
pub fn measure(options: &Options) -> Result<Growth, String> {
    let sizes: &[usize] = if options.quick {
        &[1_000, 10_000, 100_000]
    } else {
        &[1_000, 10_000, 100_000, 1_000_000, 10_000_000]
    };
    let lengths: &[usize] = if options.quick {
        &[100, 1_000, 10_000]
    } else {
        &[100, 1_000, 10_000, 100_000, 1_000_000]
    };
    let chain = sizes.iter().map(|&n| {
        let x = inputs::to_f32(&inputs::chain(n));
        point(n, || recorded::chain(x.clone(), options))
    });
    let scalar = lengths
        .iter()
        .map(|&n| point(n, || recorded::scalar_chain(n / ROUND, options)));
    Ok(Growth {
        chain: chain.collect::<Result<_, _>>()?,
        scalar: scalar.collect::<Result<_, _>>()?,
    })
}

fn point(
    size: usize,
    make: impl Fn() -> Result<recorded::Recorded, String>,
) -> Result<Point, String> {
    let start = Instant::now();
    let mut program = make()?;
    let first = start.elapsed().as_secs_f64();
    // Short ones again: the first of a process is slower.
    let compile_s = if first < 0.1 {
        first.min(fewest(|| make().map(drop))?)
    } else {
        first
    };
    // About 50 ms a batch, at least one run.
    let once = fewest(|| program.run())?;
    let count = ((0.05 / once) as usize).clamp(1, 100_000);
    let batch = fewest(|| (0..count).try_for_each(|_| program.run()))?;
    Ok(Point {
        size,
        compile_s,
        run_s: batch / count as f64,
        bytes: program.bytes(),
    })
}

/// The exponent of growth between two points.
fn slope(from: (usize, f64), to: (usize, f64)) -> f64 {
    (to.1 / from.1).ln() / (to.0 as f64 / from.0 as f64).ln()
}

/// One table a chain, each with its drawing.
pub fn tables(growth: &Growth) -> Vec<Table> {
    let chain = table(
        "Growth with elements",
        "`chain_4m` at other sizes: value and gradient of a chain of activations. Time has to grow in proportion; from \
         some size on the data leaves the caches, which shows as a step, not as another slope.",
        "elements",
        &growth.chain,
    );
    let scalar = table(
        "Growth with length",
        "`scalar_chain` at other lengths: recorded instructions on single numbers, then value and gradient. Both \
         compiling and replaying have to grow in proportion, up to a million instructions.",
        "instructions",
        &growth.scalar,
    );
    vec![chain, scalar]
}

fn table(title: &str, about: &str, unit: &'static str, points: &[Point]) -> Table {
    let mut table = Table {
        title: title.into(),
        about: about.into(),
        head: vec![
            unit,
            "compile",
            "compile, each",
            "replay",
            "replay, each",
            "workspace",
        ],
        ..Table::default()
    };
    for p in points {
        table.rows.push(vec![
            p.size.to_string(),
            duration(p.compile_s),
            duration(p.compile_s / p.size as f64),
            duration(p.run_s),
            duration(p.run_s / p.size as f64),
            bytes(p.bytes as u64),
        ]);
    }
    let mut lines = Vec::new();
    let series: [(&str, fn(&Point) -> f64); 2] =
        [("compile", |p| p.compile_s), ("replay", |p| p.run_s)];
    for (what, time) in series {
        lines.push(Line {
            name: what.into(),
            points: points
                .iter()
                .map(|p| (p.size as f64, 1e3 * time(p)))
                .collect(),
            marked: true,
        });
        // Fixed costs hide in the small sizes: the last two decades tell.
        if let [.., from, _, to] = points {
            let slope = slope((from.size, time(from)), (to.size, time(to)));
            if slope > LINEAR {
                table.weak.push(format!(
                    "{}: {what} grows as size to the {slope:.2} over the last two decades",
                    title.to_lowercase()
                ));
            }
        }
    }
    let plot = Plot {
        x: unit,
        y: "ms",
        lines,
        spots: Vec::new(),
    };
    table.plot = Some(plot.svg());
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_linear_is_named() {
        let of = |power: f64| -> Vec<Point> {
            [1e3, 1e4, 1e5]
                .map(|n: f64| Point {
                    size: n as usize,
                    compile_s: n * 1e-6,
                    run_s: n.powf(power) * 1e-9,
                    bytes: 1,
                })
                .to_vec()
        };
        let linear = Growth {
            chain: of(1.0),
            scalar: of(1.0),
        };
        assert!(tables(&linear).iter().all(|t| t.weak.is_empty()));
        let weak = &table("Growth with length", "", "instructions", &of(1.5)).weak;
        assert_eq!(weak.len(), 1);
        assert!(weak[0].contains("replay grows as size to the 1.50"));
    }
}
