//! Memory: what the planner says, what the kernel says, and what PyTorch takes for the same step.

use super::{Context, Table, or_dash};
use crate::cli::Options;
use crate::figure::bytes;

/// What fits into memory that a process has anyway: the kernel counts pages, allocators keep some.
const SMALL: u64 = 256 << 10;

pub(super) fn table(context: &Context<'_>) -> Table {
    let mut table = Table {
        title: "Memory".into(),
        about: "Bytes that a step holds, inputs, parameters and moments included. Planned: the compiler's own account. \
                Resident: the peak that the kernel counted during steps, less what the process held before inputs were \
                made; PyTorch's likewise, after its import. Pages of code do not count."
            .into(),
        head: vec!["workload", "planned", "resident", "PyTorch, resident"],
        ..Table::default()
    };
    let options = Options {
        memory: true,
        ..context.options.clone()
    };
    for spec in &options.workloads {
        (context.progress)(&format!("memory of {}", spec.name));
        let ours = context.ours.measure(spec.name, options.threads, &options);
        let planned = ours.as_ref().ok().and_then(|f| f.cost);
        let planned = planned.map(|c| c.planned_bytes as u64);
        let resident = ours.as_ref().ok().and_then(|f| f.peak_bytes);
        let torch = context.torch.filter(|t| t.has(spec.name)).and_then(|t| {
            let figure = t.measure(spec.name, options.threads, &options);
            figure.ok()?.peak_bytes
        });
        table.rows.push(vec![
            spec.name.into(),
            or_dash(planned.map(bytes)),
            or_dash(resident.map(bytes)),
            or_dash(torch.map(bytes)),
        ]);
        if let (Some(planned), Some(torch)) = (planned, torch)
            && planned > torch.max(SMALL)
        {
            table.weak.push(format!(
                "{}: {} planned, more than the {} that PyTorch takes",
                spec.name,
                bytes(planned),
                bytes(torch)
            ));
        }
    }
    table
}
