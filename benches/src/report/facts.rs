//! What a figure depends on: machine, system, build, commit.

use crate::cli::Options;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Machine, build and method, as label and value. Whatever cannot be found out is left away.
pub fn facts(root: &Path, options: &Options) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let mut add = |label: &str, value: Option<String>| {
        if let Some(value) = value {
            facts.push((label.to_owned(), value));
        }
    };
    add("date", date());
    add("processor", processor());
    add(
        "cores",
        std::thread::available_parallelism()
            .ok()
            .map(|n| n.to_string()),
    );
    add("caches of a core", caches());
    add("memory", memory());
    add(
        "system",
        read("/proc/sys/kernel/osrelease").map(|v| format!("Linux {v}")),
    );
    add("compiler", output(Command::new("rustc").arg("--version")));
    add(
        "build",
        Some("release profile, no target-cpu: what a dependent crate gets".into()),
    );
    add("commit", commit(root));
    add("threads", Some(options.threads.to_string()));
    add("level", Some(options.level.name().into()));
    add(
        "method",
        Some("two warm-ups, five batches; best and median batch, seconds a step".into()),
    );
    facts
}

/// Today, as year, month and day.
pub fn date() -> Option<String> {
    output(Command::new("date").args(["-u", "+%F"]))
}

fn processor() -> Option<String> {
    let text = read("/proc/cpuinfo")?;
    let field = |key: &str| {
        let line = text
            .lines()
            .find(|l| l.split(':').next().is_some_and(|k| k.trim() == key))?;
        line.split(':').nth(1).map(|v| v.trim().to_owned())
    };
    let flags = field("flags").unwrap_or_default();
    let has = |flag: &str| flags.split(' ').any(|f| f == flag);
    let notable: Vec<_> = ["avx2", "fma", "avx512f", "amx_tile"]
        .into_iter()
        .filter(|f| has(f))
        .collect();
    Some(format!("{} ({})", field("model name")?, notable.join(" ")))
}

fn caches() -> Option<String> {
    let mut found = Vec::new();
    for index in 0..8 {
        let item = |name: &str| {
            read(&format!(
                "/sys/devices/system/cpu/cpu0/cache/index{index}/{name}"
            ))
        };
        if let (Some(level), Some(kind), Some(size)) = (item("level"), item("type"), item("size"))
            && kind != "Instruction"
        {
            found.push(format!("L{level} {size}"));
        }
    }
    (!found.is_empty()).then(|| found.join(", "))
}

fn memory() -> Option<String> {
    let text = read("/proc/meminfo")?;
    let kilobytes: f64 = text
        .lines()
        .next()?
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()?;
    Some(format!("{:.0} GB", kilobytes / 1e6))
}

fn commit(root: &Path) -> Option<String> {
    let git = |args: &[&str]| output(Command::new("git").args(args).current_dir(root));
    let hash = git(&["log", "-1", "--format=%h of %cs"])?;
    let changed = git(&["status", "--porcelain"]).is_some_and(|s| !s.is_empty());
    Some(if changed {
        format!("{hash}, with changes")
    } else {
        hash
    })
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|s| s.trim().to_owned())
}

fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|o| o.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
