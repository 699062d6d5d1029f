//! `cargo xtask instructions`: a guard against slowing down that does not depend on the clock.
//!
//! The pieces of work of the program `counted` run under valgrind's callgrind, one thread, at the AVX2 level (valgrind
//! knows no AVX-512); the instructions of the region that it counts are compared with `benches/instructions.txt`.

use crate::process::{build_release, built, root};
use std::fmt::Write;
use std::fs;
use std::process::{Command, Stdio};

/// How the comparison ended, where it did not fail.
pub(crate) enum Outcome {
    Passed,
    Skipped(String),
}

/// A count may grow by this share: layout of code and of tables moves counts a little.
const TOLERANCE: f64 = 0.03;
const LEVEL: &str = "avx2";
const BASELINE: &str = "benches/instructions.txt";
const HEADING: &str = "\
# Instructions of small pieces of work, counted by `cargo xtask instructions` (valgrind, one thread, AVX2) and compared in
# `cargo xtask ci`. After a change that is meant to cost something: `cargo xtask instructions --bless`.
";

pub(crate) fn command(args: &[String]) -> Result<(), String> {
    let bless = match args {
        [] => false,
        [arg] if arg == "--bless" => true,
        _ => return Err("`cargo xtask instructions` takes `--bless` or nothing".into()),
    };
    if let Outcome::Skipped(reason) = run(bless)? {
        println!("skipped: {reason}");
    }
    Ok(())
}

/// Counts, and compares or blesses.
pub(crate) fn run(bless: bool) -> Result<Outcome, String> {
    if let Some(reason) = missing() {
        return Ok(Outcome::Skipped(reason));
    }
    build_release()?;
    let compiler = output(Command::new("rustc").arg("--version"))?;
    let path = root().join(BASELINE);
    let baseline = fs::read_to_string(&path).unwrap_or_default();
    if !bless {
        match made_by(&baseline) {
            None => return Err(format!("{BASELINE} is missing: `--bless` writes it")),
            // Another compiler makes other code: its counts say nothing about a change of ours.
            Some(made) if made != compiler => {
                return Ok(Outcome::Skipped(format!(
                    "{BASELINE} was made by {made}, this is {compiler}: `cargo xtask instructions --bless` renews it"
                )));
            }
            Some(_) => {}
        }
    }
    let program = built("counted");
    let names = output(Command::new(&program).arg("--list"))?;
    let mut counts = Vec::new();
    for name in names.lines() {
        let count = count(
            Command::new("valgrind")
                .args(ARGUMENTS)
                .arg(&program)
                .arg(name),
        )
        .map_err(|e| format!("{name}: {e}"))?;
        println!("{}", shown(name, count, counted(&baseline, name)));
        counts.push((name, count));
    }
    if bless {
        let mut text = format!("{HEADING}# compiler: {compiler}\n");
        for (name, count) in counts {
            let _ = writeln!(text, "{name} {count}");
        }
        fs::write(&path, text).map_err(|e| format!("cannot write {BASELINE}: {e}"))?;
        println!("written to {BASELINE}");
        return Ok(Outcome::Passed);
    }
    let slower: Vec<_> = counts
        .into_iter()
        .filter(|&(name, count)| !is_within(count, counted(&baseline, name)))
        .map(|(name, _)| name)
        .collect();
    if slower.is_empty() {
        Ok(Outcome::Passed)
    } else {
        Err(format!(
            "more instructions than {BASELINE} allows: {}. If that is meant, `cargo xtask instructions --bless`",
            slower.join(", ")
        ))
    }
}

/// Collection starts and ends with the region; the file that callgrind would write is of no use.
const ARGUMENTS: [&str; 4] = [
    "--tool=callgrind",
    "--collect-atstart=no",
    "--toggle-collect=*counted_region*",
    "--callgrind-out-file=/dev/null",
];

/// Why nothing can be counted here.
fn missing() -> Option<String> {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        let version = Command::new("valgrind")
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        return match version {
            Ok(status) if status.success() => None,
            _ => Some("valgrind is not installed (Debian: `apt-get install valgrind`)".into()),
        };
    }
    Some("the counts are those of x86-64 with AVX2".into())
}

/// Instructions that callgrind collected.
fn count(command: &mut Command) -> Result<u64, String> {
    let output = command
        .env("RETROGRADE_LEVEL", LEVEL)
        .env("RAYON_NUM_THREADS", "1")
        .output()
        .map_err(|e| format!("valgrind did not start: {e}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let last = said.lines().rev().find(|l| !l.trim().is_empty());
        return Err(last.unwrap_or("failed silently").trim().to_owned());
    }
    match collected(&said) {
        Some(count) if count > 0 => Ok(count),
        _ => Err("valgrind counted nothing: is `counted_region` inlined?".into()),
    }
}

/// The number in callgrind's line `==7== Collected : 1234`.
fn collected(said: &str) -> Option<u64> {
    let line = said.lines().find(|l| l.contains("Collected"))?;
    line.rsplit(' ').next()?.parse().ok()
}

fn made_by(baseline: &str) -> Option<&str> {
    let line = baseline
        .lines()
        .find_map(|l| l.strip_prefix("# compiler: "))?;
    Some(line.trim())
}

fn counted(baseline: &str, name: &str) -> Option<u64> {
    let line = baseline
        .lines()
        .find_map(|l| l.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

/// A piece that has no count yet is one to bless.
fn is_within(count: u64, before: Option<u64>) -> bool {
    before.is_some_and(|b| count as f64 <= b as f64 * (1.0 + TOLERANCE))
}

fn shown(name: &str, count: u64, before: Option<u64>) -> String {
    let Some(before) = before else {
        return format!("{name:22} {count:>12}  new");
    };
    let change = 100.0 * (count as f64 / before as f64 - 1.0);
    let note = match change {
        c if !is_within(count, Some(before)) => format!("{c:+.1}%  MORE THAN ALLOWED"),
        c if c < -100.0 * TOLERANCE => {
            format!("{c:+.1}%  fewer: bless, so that the guard keeps it")
        }
        c => format!("{c:+.1}%"),
    };
    format!("{name:22} {count:>12}  {note}")
}

fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|e| e.to_string())?;
    if !output.status.success() {
        return Err(format!("{command:?} failed"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# words\n# compiler: rustc 1.2.3\ntiny 100\ntiny_more 7\n";

    #[test]
    fn the_baseline_is_read() {
        assert_eq!(made_by(TEXT), Some("rustc 1.2.3"));
        assert_eq!(counted(TEXT, "tiny"), Some(100));
        assert_eq!(counted(TEXT, "tiny_more"), Some(7));
        assert_eq!(counted(TEXT, "tin"), None);
        assert_eq!(made_by("tiny 100"), None);
    }

    #[test]
    fn what_callgrind_says_is_read() {
        let said = "==7== Events    : Ir\n==7== Collected : 1234\n==7==\n";
        assert_eq!(collected(said), Some(1234));
        assert_eq!(collected("==7== nothing"), None);
    }

    #[test]
    fn more_than_tolerated_fails() {
        assert!(is_within(103, Some(100)) && is_within(50, Some(100)));
        assert!(!is_within(104, Some(100)) && !is_within(1, None));
        assert!(shown("tiny", 110, Some(100)).contains("+10.0%  MORE"));
        assert!(shown("tiny", 90, Some(100)).contains("bless"));
    }
}
