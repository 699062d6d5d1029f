//! `cargo xtask peers`: installs the other frameworks that `cargo xtask bench --peers` measures.

use crate::process::{cargo, check, root};
use std::process::Command;

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if let Some(arg) = args.first() {
        return Err(format!(
            "`cargo xtask peers` takes no argument, found `{arg}`"
        ));
    }
    // One that cannot be had does not keep the others away.
    let outcomes = [("Python", python()), ("Rust", rust())];
    let failed: Vec<String> = outcomes
        .into_iter()
        .filter_map(|(which, outcome)| Some(format!("{which} peers: {}", outcome.err()?)))
        .collect();
    if !failed.is_empty() {
        return Err(failed.join("\n"));
    }
    println!("done: `cargo xtask bench --peers` measures them");
    Ok(())
}

fn python() -> Result<(), String> {
    let environment = root().join("target/peers");
    let python = environment.join("bin/python");
    if !python.exists() {
        println!("making {}", environment.display());
        check(
            Command::new("python3")
                .args(["-m", "venv"])
                .arg(&environment),
        )?;
    }
    println!(
        "installing PyTorch and JAX from PyPI (6 GB on disk: PyTorch's default wheel brings CUDA along)"
    );
    check(
        Command::new(python)
            .args(["-m", "pip", "install", "--quiet", "--requirement"])
            .arg(root().join("benches/peers/requirements.txt")),
    )
}

/// Their lock file is part of the repository: every build measures the same versions.
fn rust() -> Result<(), String> {
    println!("building candle and burn (some minutes)");
    check(
        cargo(&["build", "--release", "--manifest-path"])
            .arg(root().join("benches/peers/rust/Cargo.toml"))
            .arg("--target-dir")
            .arg(root().join("target/peers-rust")),
    )
}
