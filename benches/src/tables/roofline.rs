//! Rates reached, as shares of what the machine can do.

use super::ceilings::Ceilings;
use super::{Table, or_dash};
use crate::report::Comparison;
use crate::report::plot::{Line, Plot, Spot};

pub(super) fn table(comparisons: &[Comparison], ceilings: &Ceilings) -> Table {
    let giga = |x: f64| match x / 1e9 {
        g if g < 0.95 => format!("{g:.2}"),
        g if g < 9.95 => format!("{g:.1}"),
        g => format!("{g:.0}"),
    };
    let mut table = Table {
        title: "Roofline".into(),
        about: format!(
            "Rates that each step reaches beside the machine's ceilings, measured in the same run on {} threads: {} GFLOP/s \
             in f32 and {} in f64 (multiply-adds in registers), {} GB/s (a triad over memory). Operations and bytes are \
             the compiler's count: an exponential is one operation, though it takes ten or more, and bytes that stay in a \
             cache count as moved. So elementwise workloads stay far below the ceiling of arithmetic, and small ones may \
             exceed that of memory. In the drawing the slanted line is memory's ceiling, the level ones are arithmetic's.",
            ceilings.threads,
            giga(ceilings.fma_f32),
            giga(ceilings.fma_f64),
            giga(ceilings.triad),
        ),
        head: vec![
            "workload",
            "operations a step",
            "GFLOP/s",
            "of ceiling",
            "bytes a step",
            "GB/s",
            "of ceiling",
        ],
        ..Table::default()
    };
    let mut spots = Vec::new();
    for comparison in comparisons {
        let Some(ours) = comparison.ours() else {
            continue;
        };
        let Some(cost) = ours.figure.cost else {
            continue;
        };
        let name = comparison.spec.name;
        let ceiling = if name.ends_with("_f64") {
            ceilings.fma_f64
        } else {
            ceilings.fma_f32
        };
        let rate = |count: u64| (count > 0).then(|| count as f64 / ours.best);
        let (flops, bytes) = (rate(cost.flops), rate(cost.bytes));
        let share = |rate: Option<f64>, of: f64| {
            rate.map(|r| match 100.0 * r / of {
                p if p < 9.5 => format!("{p:.1}%"),
                p => format!("{p:.0}%"),
            })
        };
        table.rows.push(vec![
            name.into(),
            count(cost.flops),
            or_dash(flops.map(giga)),
            or_dash(share(flops, ceiling)),
            count(cost.bytes),
            or_dash(bytes.map(giga)),
            or_dash(share(bytes, ceilings.triad)),
        ]);
        if let (Some(flops), Some(_)) = (flops, bytes) {
            spots.push(Spot {
                name: name.into(),
                x: cost.flops as f64 / cost.bytes as f64,
                y: flops / 1e9,
            });
        }
    }
    table.plot = (!spots.is_empty()).then(|| {
        let roof = |name: &str, flops: f64| {
            let ridge = flops / ceilings.triad;
            Line {
                name: format!("{name}: {} GFLOP/s", giga(flops)),
                points: [1.0 / 32.0, ridge, 1024.0]
                    .map(|x| (x, flops.min(x * ceilings.triad) / 1e9))
                    .to_vec(),
                marked: false,
            }
        };
        let plot = Plot {
            x: "operations a byte",
            y: "GFLOP/s",
            lines: vec![roof("f32", ceilings.fma_f32), roof("f64", ceilings.fma_f64)],
            spots,
        };
        plot.svg()
    });
    table
}

/// A count with a prefix.
fn count(n: u64) -> String {
    match n as f64 {
        x if x >= 1e9 => format!("{:.2} G", x / 1e9),
        x if x >= 1e6 => format!("{:.1} M", x / 1e6),
        x if x >= 1e4 => format!("{:.0} k", x / 1e3),
        _ => n.to_string(),
    }
}
