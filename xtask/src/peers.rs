//! `cargo xtask peers`: installs the other frameworks that `cargo xtask bench --peers` measures.

use crate::process::{cargo, check, root};
use std::process::Command;

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if let Some(arg) = args.first() {
        return Err(format!(
            "`cargo xtask peers` takes no argument, found `{arg}`"
        ));
    }
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
    )?;
    let manifest = root().join("benches/peers/rust/Cargo.toml");
    if manifest.exists() {
        println!("building the Rust peers");
        check(
            cargo(&["build", "--release", "--manifest-path"])
                .arg(&manifest)
                .arg("--target-dir")
                .arg(root().join("target/peers-rust")),
        )?;
    }
    println!("done: `cargo xtask bench --peers` measures them");
    Ok(())
}
