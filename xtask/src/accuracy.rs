//! `cargo xtask accuracy`: measures the functions of `crates/ops/src/math` and writes their table.

use crate::process::{cargo, root};
use std::process::Stdio;

/// Named functions are printed only: the file always holds the whole table.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let mut command = cargo(&[
        "bench",
        "--quiet",
        "--package",
        "retrograde-ops",
        "--bench",
        "accuracy",
        "--",
    ]);
    command.args(args).env("RETROGRADE_LONG", "1");
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo did not start: {error}"))?;
    if !output.status.success() {
        return Err(format!("the measuring program failed ({})", output.status));
    }
    let table = String::from_utf8_lossy(&output.stdout);
    print!("{table}");
    if args.is_empty() {
        let path = root().join("crates/ops/docs/accuracy.md");
        std::fs::write(&path, table.as_bytes())
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(())
}
