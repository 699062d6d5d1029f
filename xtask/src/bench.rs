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
    check(&mut cargo(&line))
}
