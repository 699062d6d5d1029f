//! `cargo xtask bench`: hands the command line to the measuring program of the benches package.

use crate::process::{cargo, check};

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let mut line = vec![
        "run",
        "--quiet",
        "--release",
        "--package",
        "retrograde-benches",
        "--bin",
        "bench",
        "--",
    ];
    line.extend(args.iter().map(String::as_str));
    // The two programs lie side by side: `bench` starts `workloads` as a process of its own for every figure.
    check(&mut cargo(&[
        "build",
        "--quiet",
        "--release",
        "--package",
        "retrograde-benches",
        "--bins",
    ]))?;
    // The program has said what is wrong; that cargo could not run it would only bury that.
    match cargo(&line).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("the measuring program failed; its message is above".into()),
        Err(error) => Err(format!("cargo did not start: {error}")),
    }
}
