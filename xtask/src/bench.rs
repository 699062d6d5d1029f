//! `cargo xtask bench`: hands the command line to the measuring program of the benches package.

use crate::process::{build_release, built, root};
use std::process::Command;

/// The programs lie side by side: `bench` starts `workloads` as a process of its own for every figure.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    build_release()?;
    let mut command = Command::new(built("bench"));
    // The program has said what is wrong.
    match command.args(args).current_dir(root()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("the measuring program failed; its message is above".into()),
        Err(error) => Err(format!(
            "{} did not start: {error}",
            command.get_program().display()
        )),
    }
}
