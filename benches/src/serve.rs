//! A program that measures workloads: reads the command line and prints one JSON line a figure.

use crate::cli::Options;
use crate::figure::Figure;
use crate::measure::{self, measure};
use crate::resident;
use crate::spec::Spec;
use crate::workload::{Build, Config, Workload};
use std::time::Instant;

/// Steps that a peak of memory is taken over, after as many to warm up.
const STEPS_WATCHED: usize = 5;

/// Who measures.
#[derive(Clone, Debug)]
pub struct Who {
    /// The name in every line.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The instruction-set level, in its own words.
    pub level: String,
    /// Threads that it uses.
    pub threads: usize,
}

/// Makes a workload ready.
pub type Maker = Box<dyn Fn(&Config) -> Result<Box<dyn Workload>, String>>;

/// Makers out of a table of names.
pub fn registry(table: &'static [(&'static str, Build)]) -> impl Fn(&Spec) -> Option<Maker> {
    |spec| {
        let build = table.iter().find(|row| row.0 == spec.name)?.1;
        Some(Box::new(build) as Maker)
    }
}

/// Measures what `options` names, or lists it; whether every figure was had.
///
/// # Errors
/// When a line cannot be written.
pub fn serve(
    who: &Who,
    options: &Options,
    maker: impl Fn(&Spec) -> Option<Maker>,
) -> Result<bool, String> {
    if options.list {
        for spec in &options.workloads {
            if maker(spec).is_some() {
                println!("{}", spec.name);
            }
        }
        return Ok(true);
    }
    let mut all_right = true;
    for spec in &options.workloads {
        let mut figure = Figure {
            peer: who.name.into(),
            version: Some(who.version.into()),
            threads: who.threads,
            level: who.level.clone(),
            workload: spec.name.into(),
            ..Figure::default()
        };
        let filled = match maker(spec) {
            Some(make) if options.memory => memory(&mut figure, &make, who.threads),
            Some(make) => fill(&mut figure, spec, &make, options, who.threads),
            None => Err(format!("{} has no workload {}", who.name, spec.name)),
        };
        if let Err(message) = filled {
            figure.failure = Some(message);
            all_right = false;
        }
        let line = serde_json::to_string(&figure).map_err(|e| e.to_string())?;
        println!("{line}");
    }
    Ok(all_right)
}

fn fill(
    figure: &mut Figure,
    spec: &Spec,
    make: &Maker,
    options: &Options,
    threads: usize,
) -> Result<(), String> {
    let start = Instant::now();
    let mut work = make(&Config { threads })?;
    let results = work.results()?;
    figure.prepare_s = Some(start.elapsed().as_secs_f64());
    let work = work.as_mut();
    let timing = measure(work, spec.trains, options.quick, |w| w.step())?;
    figure.best_s = Some(timing.best);
    figure.median_s = Some(timing.median);
    // Not every workload, and no peer, has the parts.
    let primal = measure(work, spec.trains, options.quick, |w| w.primal());
    figure.primal_s = primal.ok().map(|t| t.best);
    figure.cost = work.cost();
    figure.compile_s = measure::fewest(|| work.compile()).ok();
    let expected = (spec.reference)().results()?;
    figure.checked(results.error(&expected), spec);
    Ok(())
}

/// Memory that inputs, parameters and steps take: the resident peak of a few steps, less what there was before.
fn memory(figure: &mut Figure, make: &Maker, threads: usize) -> Result<(), String> {
    let unknown = "this system does not tell what is resident";
    let before = resident::anonymous().ok_or(unknown)?;
    let mut work = make(&Config { threads })?;
    for _ in 0..STEPS_WATCHED {
        work.step()?;
    }
    if !resident::reset_peak() {
        return Err("this system does not reset peaks".into());
    }
    for _ in 0..STEPS_WATCHED {
        work.step()?;
    }
    let peak = resident::peak_anonymous().ok_or(unknown)?;
    figure.peak_bytes = Some(peak.saturating_sub(before));
    figure.cost = work.cost();
    Ok(())
}
