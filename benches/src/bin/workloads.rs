//! Measures workloads on Retrograde, or with `--hand` the reference's plain loops: one JSON line a figure.

use retrograde_benches::cli::Options;
use retrograde_benches::figure::Figure;
use retrograde_benches::measure::measure;
use retrograde_benches::ours::RETROGRADE;
use retrograde_benches::spec::Spec;
use retrograde_benches::workload::{Config, Workload};
use std::process::{Command, ExitCode};
use std::time::Instant;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode, String> {
    let options = Options::parse(std::env::args().skip(1))?;
    if options.list {
        for spec in &options.workloads {
            if options.hand || build(spec).is_some() {
                println!("{}", spec.name);
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    // The level is read from the environment once, when the library first needs it.
    if std::env::var("RETROGRADE_LEVEL").as_deref() != Ok(options.level.name()) {
        return again(&options);
    }
    let mut all_right = true;
    for spec in &options.workloads {
        let mut figure = Figure {
            peer: if options.hand { "hand" } else { "retrograde" }.into(),
            version: Some(env!("CARGO_PKG_VERSION").into()),
            threads: if options.hand { 1 } else { options.threads },
            level: if options.hand {
                "as built"
            } else {
                options.level.name()
            }
            .into(),
            workload: spec.name.into(),
            ..Figure::default()
        };
        if let Err(message) = fill(&mut figure, spec, &options) {
            figure.failure = Some(message);
            all_right = false;
        }
        let line = serde_json::to_string(&figure).map_err(|e| e.to_string())?;
        println!("{line}");
    }
    Ok(if all_right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Starts this program once more with the level in its environment.
fn again(options: &Options) -> Result<ExitCode, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let status = Command::new(program)
        .args(std::env::args_os().skip(1))
        .env("RETROGRADE_LEVEL", options.level.name())
        .status()
        .map_err(|e| e.to_string())?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn build(spec: &Spec) -> Option<retrograde_benches::workload::Build> {
    RETROGRADE
        .iter()
        .find(|row| row.0 == spec.name)
        .map(|row| row.1)
}

fn fill(figure: &mut Figure, spec: &Spec, options: &Options) -> Result<(), String> {
    let config = Config {
        threads: options.threads,
    };
    let mut reference = (spec.reference)();
    let start = Instant::now();
    let mut ours: Option<Box<dyn Workload>> = if options.hand {
        None
    } else {
        let build =
            build(spec).ok_or_else(|| format!("Retrograde does not run {} yet", spec.name))?;
        Some(build(&config)?)
    };
    let work = ours.as_deref_mut().unwrap_or(reference.as_mut());
    let results = work.results()?;
    figure.prepare_s = Some(start.elapsed().as_secs_f64());
    let timing = measure(work, spec.trains, options.quick)?;
    figure.best_s = Some(timing.best);
    figure.median_s = Some(timing.median);
    let expected = (spec.reference)().results()?;
    figure.checked(results.error(&expected), spec);
    Ok(())
}
