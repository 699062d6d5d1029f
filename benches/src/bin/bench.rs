//! Measures the workloads, ours and the peers' in turn, checks every result and writes the report.

use indicatif::{ProgressBar, ProgressStyle};
use retrograde_benches::cli::Options;
use retrograde_benches::figure::{Check, Figure, duration};
use retrograde_benches::main_with;
use retrograde_benches::peers::{Peer, Place, TORCH};
use retrograde_benches::report::{self, Comparison, Report};
use retrograde_benches::results::Results;
use retrograde_benches::spec::Spec;
use retrograde_benches::tables::{self, Context, Table};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    main_with(|| {
        run(&Options::parse(std::env::args().skip(1))?)?;
        Ok(true)
    })
}

fn run(options: &Options) -> Result<(), String> {
    if options.list {
        for spec in &options.workloads {
            println!("{:20} {}", spec.name, spec.about);
        }
        return Ok(());
    }
    if options.hand || options.memory {
        return Err("--hand and --memory belong to the program `workloads`".into());
    }
    if options.record && options.quick {
        return Err("a quick run is no record: leave out --quick or --record".into());
    }
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_path_buf)
        .ok_or("the package has no parent folder")?;
    let folder = options
        .out
        .clone()
        .unwrap_or_else(|| root.join("target/bench"));
    fs::create_dir_all(&folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
    let installed = options.peers_in.clone();
    let place = Place {
        peers: &installed.unwrap_or_else(|| root.join("target/peers")),
        scripts: &root.join("benches/peers"),
        logs: &folder,
        patience: options.patience,
    };

    let ours = Peer::ours(&place)?;
    let mut peers = vec![Peer::hand(&place)?];
    let mut skipped = Vec::new();
    if options.peers {
        for (name, peer) in Peer::foreign(&place) {
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
    let kinds = tables::chosen(options);
    let mut session = Session {
        options,
        bar: progress(plans.iter().map(Vec::len).sum::<usize>() + kinds.len()),
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
    let context = Context {
        ours: &ours,
        probe: &Peer::prober(&place)?,
        torch: peers.iter().find(|p| p.name == TORCH),
        options,
        comparisons: &comparisons,
        progress: &|what| session.bar.set_message(what.to_owned()),
    };
    let mut measured = Vec::new();
    for kind in kinds {
        match context.measure(kind) {
            Ok(tables) => {
                for table in &tables {
                    session.print(&shown(table));
                    session.keep(table)?;
                }
                measured.extend(tables);
            }
            Err(message) => {
                session.print(&format!("\n{}: failed: {message}", kind.name()));
                measured.push(Table {
                    title: kind.name().into(),
                    weak: vec![format!("the table {} failed: {message}", kind.name())],
                    about: message,
                    ..Table::default()
                });
            }
        }
        session.bar.inc(1);
    }
    session.bar.finish_and_clear();
    let wrong = session.wrong;

    let report = Report {
        facts: report::facts(&root, options),
        comparisons,
        tables: measured,
        skipped,
        quick: options.quick,
    };
    write(&folder.join("report.md"), &report.markdown())?;
    write(&folder.join("report.html"), &report.html())?;
    println!(
        "written to {}: results.jsonl, report.md, report.html",
        folder.display()
    );
    if options.record {
        let date = report::date().ok_or("the date is unknown")?;
        let path = root.join(format!("benches/records/{date}.md"));
        write(&path, &report.summary(&format!("# Measured on {date}")))?;
        println!("kept as {}", path.display());
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("no valid figure of ours for {}", wrong.join(", ")))
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
}

/// A table for the terminal.
fn shown(table: &Table) -> String {
    let cells = |i: usize| {
        let column = table.rows.iter().filter_map(move |r| r.get(i));
        column.map(|c| c.chars().count())
    };
    let head = table.head.iter().enumerate();
    let widths: Vec<usize> = head
        .map(|(i, name)| cells(i).max().unwrap_or(0).max(name.len()))
        .collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).map(|(c, &w)| format!("{c:w$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut text = format!(
        "\n{}\n{}",
        table.title,
        line(&mut table.head.iter().copied())
    );
    for row in &table.rows {
        text.push('\n');
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
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

    /// Writes the rows of a table, cells by the names of their columns.
    fn keep(&self, table: &Table) -> Result<(), String> {
        let mut lines = &self.lines;
        for row in &table.rows {
            let cells = table.head.iter().zip(row);
            let mut line: serde_json::Map<String, serde_json::Value> = cells
                .map(|(&name, cell)| (name.to_owned(), cell.as_str().into()))
                .collect();
            line.insert("table".into(), table.title.as_str().into());
            let line = serde_json::Value::Object(line);
            writeln!(lines, "{line}").map_err(|e| e.to_string())?;
        }
        Ok(())
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
