//! Automation for Retrograde: `cargo xtask ci | bench | instructions | peers | accuracy | miri`.
//!
//! It only starts processes: what a step does lives with the package that does it, so this builds in a second.

mod accuracy;
mod bench;
mod ci;
mod instructions;
mod miri;
mod peers;
mod process;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <command>

  ci [STEP]...   everything a change must pass, or only the named steps (`cargo xtask ci --list` names them)
  bench [--workload NAME]... [--threads N] [--level L] [--quick] [--peers] [--table NAME]... [--record]
                 measures the workloads; writes results.jsonl, report.md and report.html to target/bench, and with
                 --record a summary to benches/records
  instructions [--bless]
                 counts the instructions of a few small workloads under valgrind and compares them with the committed
                 counts, or writes those
  accuracy [FUNCTION]...
                 measures the errors of the elementary functions, every f32 there is (minutes); without names writes
                 crates/ops/docs/accuracy.md
  miri           runs the tests that touch raw memory under Miri, where a nightly toolchain has it
  peers          makes the virtual environment of the Python peers in target/peers and builds the Rust peers
";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next();
    let rest: Vec<String> = args.collect();
    let outcome = match command.as_deref() {
        Some("ci") => ci::run(&rest),
        Some("bench") => bench::run(&rest),
        Some("instructions") => instructions::command(&rest),
        Some("accuracy") => accuracy::run(&rest),
        Some("miri") => miri::run(false).map(|outcome| {
            if let miri::Outcome::Missing = outcome {
                println!("skipped: {}", miri::MISSING);
            }
        }),
        Some("peers") => peers::run(&rest),
        Some("help" | "--help" | "-h") => {
            print!("{USAGE}");
            Ok(())
        }
        Some(other) => Err(format!("unknown command `{other}`\n\n{USAGE}")),
        None => Err(format!("a command is missing\n\n{USAGE}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}
