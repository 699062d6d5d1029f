//! Measures the workloads, ours and the peers' in turn, checks every result and writes the report.

use indicatif::{ProgressBar, ProgressStyle};
use retrograde_benches::cli::Options;
use retrograde_benches::figure::{Check, Figure, duration};
use retrograde_benches::peers::Peer;
use retrograde_benches::report::{self, Comparison, Report};
use retrograde_benches::results::Results;
use retrograde_benches::spec::Spec;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    if options.list {
        for spec in &options.workloads {
            println!("{:20} {}", spec.name, spec.about);
        }
        return Ok(());
    }
    if options.hand {
        return Err("--hand belongs to the program `workloads`".into());
    }
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_path_buf)
        .ok_or("the package has no parent folder")?;
    let folder = root.join("target/bench");
    fs::create_dir_all(&folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;

    let ours = Peer::ours(&folder)?;
    let mut peers = vec![Peer::hand(&folder)?];
    let mut skipped = Vec::new();
    if options.peers {
        for (name, peer) in Peer::foreign(&root, &folder) {
            match peer {
                Ok(peer) => peers.push(peer),
                Err(reason) => skipped.push((name, reason)),
            }
        }
    }
    for (name, reason) in &skipped {
        println!("skipped {name}: {reason}");
    }

    let plans: Vec<_> = options
        .workloads
        .iter()
        .map(|s| plan(s, &ours, &peers, options))
        .collect();
    let mut session = Session {
        options,
        bar: progress(plans.iter().map(Vec::len).sum()),
        lines: File::create(folder.join("results.jsonl")).map_err(|e| e.to_string())?,
        wrong: Vec::new(),
    };
    println!("{}", header());
    let mut comparisons = Vec::new();
    for (spec, plan) in options.workloads.iter().zip(plans) {
        let figures = session.workload(spec, &plan)?;
        let comparison = Comparison::new(spec, figures);
        session.print(&format!("{:20} {}", "", comparison.verdict()));
        comparisons.push(comparison);
    }
    session.bar.finish_and_clear();

    let report = Report {
        facts: report::facts(&root, options),
        comparisons,
        skipped,
        quick: options.quick,
    };
    for (name, text) in [
        ("report.md", report.markdown()),
        ("report.html", report.html()),
    ] {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    }
    println!(
        "written to {}: results.jsonl, report.md, report.html",
        folder.display()
    );
    if session.wrong.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "no valid figure of ours for {}",
            session.wrong.join(", ")
        ))
    }
}

/// One process to run: who, on how many threads.
struct Turn<'a> {
    peer: &'a Peer,
    threads: usize,
}

/// Ours first and last, so that a machine that changes meanwhile hits both sides.
fn plan<'a>(spec: &Spec, ours: &'a Peer, peers: &'a [Peer], options: &Options) -> Vec<Turn<'a>> {
    let mut turns = Vec::new();
    let mut add = |peer: &'a Peer, threads| {
        if peer.has(spec.name) {
            turns.push(Turn { peer, threads });
        }
    };
    add(ours, options.threads);
    for peer in peers {
        add(peer, options.threads);
        if spec.serial && peer.foreign && options.threads > 1 {
            add(peer, 1);
        }
    }
    if options.peers {
        add(ours, options.threads);
    }
    turns
}

struct Session<'a> {
    options: &'a Options,
    bar: ProgressBar,
    lines: File,
    /// Workloads of ours that failed or were wrong.
    wrong: Vec<&'static str>,
}

impl Session<'_> {
    fn workload(&mut self, spec: &Spec, plan: &[Turn<'_>]) -> Result<Vec<Figure>, String> {
        let mut reference: Option<Results> = None;
        let mut figures = Vec::new();
        for turn in plan {
            self.bar
                .set_message(format!("{} on {}", spec.name, turn.peer.name));
            if turn.peer.foreign && reference.is_none() {
                reference = Some((spec.reference)().results()?);
            }
            let mut figure = turn
                .peer
                .measure(spec.name, turn.threads, self.options)
                .unwrap_or_else(|failure| Figure {
                    peer: turn.peer.name.into(),
                    threads: turn.threads,
                    level: self.options.level.name().into(),
                    workload: spec.name.into(),
                    failure: Some(failure),
                    ..Figure::default()
                });
            if let Some(reference) = &reference {
                figure.check_record(reference, spec);
            }
            let valid = figure.check == Check::Pass && figure.failure.is_none();
            if !turn.peer.foreign && !valid && !self.wrong.contains(&spec.name) {
                self.wrong.push(spec.name);
            }
            let line = serde_json::to_string(&figure).map_err(|e| e.to_string())?;
            writeln!(self.lines, "{line}").map_err(|e| e.to_string())?;
            self.print(&row(&figure));
            self.bar.inc(1);
            figures.push(figure);
        }
        Ok(figures)
    }

    /// Prints above the progress bar, on a terminal and off it.
    fn print(&self, line: &str) {
        self.bar.suspend(|| println!("{line}"));
    }
}

fn progress(len: usize) -> ProgressBar {
    let bar = ProgressBar::new(len as u64);
    if let Ok(style) = ProgressStyle::with_template("[{pos}/{len}] {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(std::time::Duration::from_secs(1));
    bar
}

fn header() -> String {
    format!(
        "{:20} {:18} {:>3} {:9} {:>9} {:>9}  {:>8} {}",
        "workload", "peer", "thr", "level", "best", "median", "error", "check"
    )
}

fn row(figure: &Figure) -> String {
    let lead = format!(
        "{:20} {:18} {:>3} {:9}",
        figure.workload, figure.peer, figure.threads, figure.level
    );
    if let Some(failure) = &figure.failure {
        return format!("{lead} failed: {failure}");
    }
    let time = |t: Option<f64>| t.map_or("-".into(), duration);
    let error = figure.error.map_or("-".into(), |e| format!("{e:.1e}"));
    let noise = if figure.noisy() { "  noisy" } else { "" };
    format!(
        "{lead} {:>9} {:>9}  {error:>8} {}{noise}",
        time(figure.best_s),
        time(figure.median_s),
        figure.check.name()
    )
}
