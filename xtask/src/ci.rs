//! `cargo xtask ci`: every check in one command, each step named and timed.

use crate::process::{build_release, built, cargo, check, root};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// How a step that did not fail ended.
enum Outcome {
    Passed,
    /// Could not run here; the reason is printed.
    Skipped(String),
}

struct Step {
    name: &'static str,
    about: &'static str,
    run: fn() -> Result<Outcome, String>,
}

const STEPS: [Step; 8] = [
    Step {
        name: "fmt",
        about: "cargo fmt --check",
        run: fmt,
    },
    Step {
        name: "clippy",
        about: "clippy over all targets, warnings denied",
        run: clippy,
    },
    Step {
        name: "test",
        about: "cargo test --workspace",
        run: test,
    },
    Step {
        name: "docs",
        about: "documentation, warnings denied",
        run: docs,
    },
    Step {
        name: "examples",
        about: "every example, in its short form",
        run: examples,
    },
    Step {
        name: "miri",
        about: "what touches raw memory, under Miri",
        run: miri,
    },
    Step {
        name: "counts",
        about: "instructions of small workloads against the committed counts",
        run: counts,
    },
    Step {
        name: "bench",
        about: "cargo xtask bench --quick",
        run: bench,
    },
];

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if args.iter().any(|a| a == "--list") {
        for step in &STEPS {
            println!("{:10} {}", step.name, step.about);
        }
        return Ok(());
    }
    let known = |name: &String| STEPS.iter().any(|s| s.name == name);
    if let Some(unknown) = args.iter().find(|a| !known(a)) {
        let names: Vec<_> = STEPS.iter().map(|s| s.name).collect();
        return Err(format!(
            "no step is called `{unknown}`; there are {}",
            names.join(", ")
        ));
    }
    let chosen: Vec<&Step> = STEPS
        .iter()
        .filter(|s| args.is_empty() || args.iter().any(|a| a == s.name))
        .collect();

    // A failed step does not hide what the others would say.
    let mut results = Vec::new();
    for (i, step) in chosen.iter().enumerate() {
        println!(
            "\n==> [{}/{}] {}: {}",
            i + 1,
            chosen.len(),
            step.name,
            step.about
        );
        let start = Instant::now();
        let result = (step.run)();
        if let Err(message) = &result {
            println!("{message}");
        }
        results.push((step.name, start.elapsed(), result));
    }
    summary(&results)
}

fn summary(results: &[(&str, Duration, Result<Outcome, String>)]) -> Result<(), String> {
    println!("\nstep       seconds  result");
    let mut failed = Vec::new();
    for (name, took, result) in results {
        let verdict = match result {
            Ok(Outcome::Passed) => "passed".to_owned(),
            Ok(Outcome::Skipped(reason)) => format!("skipped: {reason}"),
            Err(message) => {
                failed.push(*name);
                format!("FAILED: {message}")
            }
        };
        println!("{name:10} {:7.1}  {verdict}", took.as_secs_f64());
    }
    let total: Duration = results.iter().map(|r| r.1).sum();
    println!("{:10} {:7.1}", "total", total.as_secs_f64());
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("failed: {}", failed.join(", ")))
    }
}

fn fmt() -> Result<Outcome, String> {
    check(&mut cargo(&["fmt", "--all", "--check"]))?;
    Ok(Outcome::Passed)
}

fn clippy() -> Result<Outcome, String> {
    check(&mut cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    Ok(Outcome::Passed)
}

fn test() -> Result<Outcome, String> {
    check(&mut cargo(&["test", "--workspace"]))?;
    Ok(Outcome::Passed)
}

fn docs() -> Result<Outcome, String> {
    check(cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Outcome::Passed)
}

/// Runs the examples with `RETROGRADE_SMOKE=1`, which asks each for a form that ends within seconds.
fn examples() -> Result<Outcome, String> {
    const OF: [(&str, &str); 2] = [
        ("retrograde", "crates/retrograde"),
        ("retrograde-nn", "crates/nn"),
    ];
    build_release()?;
    let mut ran = 0;
    let mut skipped = Vec::new();
    for (package, folder) in OF {
        for name in example_names(&root().join(folder).join("examples"))? {
            let mut command = Command::new(built(&format!("examples/{name}")));
            command.current_dir(root()).env("RETROGRADE_SMOKE", "1");
            if name == "mnist" {
                // The one example that needs files which are not in the repository.
                let Some(data) = std::env::var_os("RETROGRADE_MNIST") else {
                    skipped.push("mnist (set RETROGRADE_MNIST to a folder of IDX files)");
                    continue;
                };
                command.arg(data);
            }
            println!("--- {package} {name}");
            check(&mut command)?;
            ran += 1;
        }
    }
    for reason in &skipped {
        println!("skipped: {reason}");
    }
    if ran == 0 {
        return Ok(Outcome::Skipped(
            "there is no example that runs without data".into(),
        ));
    }
    Ok(Outcome::Passed)
}

/// The names cargo gives to the examples of a folder, sorted; none when the folder is missing.
fn example_names(folder: &Path) -> Result<Vec<String>, String> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let unreadable = |e: std::io::Error| format!("cannot read {}: {e}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let is_example =
            path.extension().is_some_and(|e| e == "rs") || path.join("main.rs").exists();
        if let (true, Some(stem)) = (is_example, path.file_stem()) {
            names.push(stem.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn miri() -> Result<Outcome, String> {
    match crate::miri::run(true)? {
        crate::miri::Outcome::Passed => Ok(Outcome::Passed),
        crate::miri::Outcome::Missing => Ok(Outcome::Skipped(crate::miri::MISSING.into())),
    }
}

fn counts() -> Result<Outcome, String> {
    match crate::instructions::run(false)? {
        crate::instructions::Outcome::Passed => Ok(Outcome::Passed),
        crate::instructions::Outcome::Skipped(reason) => Ok(Outcome::Skipped(reason)),
    }
}

fn bench() -> Result<Outcome, String> {
    crate::bench::run(&["--quick".to_owned()])?;
    Ok(Outcome::Passed)
}
