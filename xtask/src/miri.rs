//! `cargo xtask miri`: the tests that touch raw memory, under Miri's rules, in their small form (`cfg(miri)`).

use crate::process::{check_within, root};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What ran, or why nothing did.
pub(crate) enum Outcome {
    Passed,
    Missing,
}

/// Printed where a component is not installed.
pub(crate) const MISSING: &str =
    "Miri is not complete here; `rustup +nightly component add miri rust-src` installs it";

/// Each part gets this long: Miri is some hundred times slower than the machine, and a hang must not stop the rest.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// How many of [`PARTS`] are quick enough for `cargo xtask ci`.
const QUICK: usize = 4;

/// Arguments of `cargo miri test`: the package, which of its targets, and after `--` which tests. The quick ones first.
const PARTS: [&[&str]; 6] = [
    // Safe code over `bumpalo`, `bytemuck` and `wide`: what is checked is how they are used.
    &[
        "--package",
        "retrograde-storage",
        "--test",
        "arena",
        "--test",
        "array",
        "--test",
        "column",
    ],
    // Lists, lowering, rules and passes: plans are made, and verified as in every debug build.
    &[
        "--package",
        "retrograde-graph",
        "--lib",
        "--",
        "list::",
        "lower::",
        "passes::",
        "run::",
        "rules::tests::listing",
    ],
    // The loops of the tile engine over raw memory.
    &["--package", "retrograde-ops", "--test", "tile_direct"],
    // The loop of scalar programs over registers.
    &["--package", "retrograde-ops", "--test", "scalar"],
    // Whole programs: plan, workspace, helper threads, structured kernels.
    &["--package", "retrograde-graph", "--test", "check_index"],
    // The tile engine.
    &["--package", "retrograde-ops", "--test", "tile"],
];

/// Runs all parts, or the quick ones; a part that fails does not hide what the others would say.
pub(crate) fn run(quick: bool) -> Result<Outcome, String> {
    if !is_installed() {
        return Ok(Outcome::Missing);
    }
    let mut failed = Vec::new();
    let count = if quick { QUICK } else { PARTS.len() };
    for part in &PARTS[..count] {
        let mut command = nightly(&["miri", "test"]);
        command
            .args(*part)
            // Rayon's queues go through integers and back, which only tree borrows follow. The helper threads of a pool
            // never end. Tests read the environment. Bits are compared, so functions that Rust leaves to the platform must
            // not err at random.
            .env(
                "MIRIFLAGS",
                "-Zmiri-tree-borrows -Zmiri-permissive-provenance -Zmiri-ignore-leaks -Zmiri-disable-isolation -Zmiri-deterministic-floats",
            )
            .env("RAYON_NUM_THREADS", "2")
            // The level every machine has: Miri knows few of the wider instructions.
            .env("RETROGRADE_LEVEL", "sse2");
        if let Err(message) = check_within(&mut command, LIMIT) {
            println!("{message}");
            failed.push(part[1]);
        }
    }
    if failed.is_empty() {
        Ok(Outcome::Passed)
    } else {
        Err(format!("Miri failed in {}", failed.join(", ")))
    }
}

/// Whether Miri and the sources of the standard library are there. Without the sources `cargo miri` would ask to download
/// them, and take no answer for a yes: a check installs nothing.
fn is_installed() -> bool {
    let has_miri = nightly(&["miri", "--version"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success());
    let sysroot = Command::new("rustc")
        .args(["+nightly", "--print", "sysroot"])
        .env_remove("RUSTUP_TOOLCHAIN")
        .stderr(Stdio::null())
        .output();
    has_miri
        && sysroot.is_ok_and(|found| {
            let path = String::from_utf8_lossy(&found.stdout);
            found.status.success()
                && Path::new(path.trim())
                    .join("lib/rustlib/src/rust/library/std/Cargo.toml")
                    .exists()
        })
}

/// The nightly cargo, whatever toolchain this program was started by.
fn nightly(args: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command
        .arg("+nightly")
        .args(args)
        .current_dir(root())
        // Set by the cargo that started this program; they would win over `+nightly`.
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO");
    command
}
