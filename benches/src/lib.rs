//! What Retrograde is measured by: the workloads, their inputs and reference results, the timing method, the peers and
//! the report.
//!
//! `cargo xtask bench` runs the program `bench`, which starts every figure as a process of its own, ours (the program
//! `workloads`) and the peers' in turn, and compares each result with the f64 [`mod@reference`]. `NOTES.md` beside this
//! package's manifest describes the method and how to read the ratios.

pub mod cli;
pub mod counting;
pub mod figure;
pub mod inputs;
pub mod levels;
pub mod measure;
pub mod ours;
pub mod peers;
pub mod reference;
pub mod report;
pub mod resident;
pub mod results;
pub mod serve;
pub mod spec;
pub mod tables;
pub mod workload;

use std::process::ExitCode;

/// Runs a program that says whether all went well, and prints the error that stopped it.
pub fn main_with(run: impl FnOnce() -> Result<bool, String>) -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}
