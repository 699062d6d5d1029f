//! What the bench command does with input that is wrong and with peers that are missing or broken.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// A folder of this test's own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("peers/bin")).expect("a folder");
        Self(path)
    }

    /// Installs a shell script as the interpreter of the Python peers.
    #[cfg(unix)]
    fn python(&self, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.0.join("peers/bin/python");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    }

    fn bench(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
        command.args(args).arg("--out").arg(&self.0);
        command.arg("--peers-in").arg(self.0.join("peers"));
        command.output().expect("the bench program starts")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn mistakes_of_the_command_line_are_errors() {
    let folder = Folder::new("mistakes");
    let foreign = if cfg!(target_arch = "aarch64") {
        "avx2"
    } else {
        "neon"
    };
    for (args, message) in [
        (&["--threads", "0"][..], "--threads must be at least 1"),
        (
            &["--workload", "mlp"],
            "no workload is called `mlp`; there are tiny",
        ),
        (&["--level", foreign], "this machine cannot run level"),
        (&["--level", "mmx"], "no level is called `mmx`"),
        (&["--table", "speed"], "no table is called `speed`"),
        (&["--patience", "0"], "at least 1 second"),
        (&["--memory"], "belong to the program `workloads`"),
        (&["--record", "--quick"], "a quick run is no record"),
    ] {
        let output = folder.bench(args);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(
            said.starts_with("error: ") && said.contains(message),
            "{args:?}: {said}"
        );
        assert!(
            !folder.0.join("report.md").exists(),
            "{args:?} measures nothing"
        );
    }
}

const QUICK: [&str; 6] = [
    "--workload",
    "tiny",
    "--quick",
    "--peers",
    "--table",
    "none",
];

#[test]
fn missing_peers_are_skipped() {
    let folder = Folder::new("missing");
    let output = folder.bench(&QUICK);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}");
    for peer in ["torch", "torch.compile", "jax", "candle", "burn"] {
        assert!(
            said.contains(&format!("skipped {peer}: not installed")),
            "{peer}: {said}"
        );
    }
    let report = fs::read_to_string(folder.0.join("report.md")).expect("a report");
    assert!(report.contains("- jax was skipped: not installed"));
}

#[cfg(unix)]
#[test]
fn a_peer_that_dies_at_once_is_skipped_with_its_words() {
    let folder = Folder::new("dies");
    folder.python("echo 'ImportError: no module named torch' >&2; exit 3");
    let output = folder.bench(&QUICK);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("skipped torch: ImportError: no module named torch"),
        "{said}"
    );
}

/// Peers that start, and then break in three ways: a row each that says how, and an end that is no failure.
#[cfg(unix)]
#[test]
fn a_peer_that_breaks_is_a_failed_row() {
    let folder = Folder::new("breaks");
    folder.python(
        r#"case "$*" in
            *--list*) echo tiny ;;
            *jax_peer*) sleep 60 ;;
            *compile-step*) echo 'not json'; echo '{"peer": "half a' ;;
            *compile*) echo Segmentation >&2; exit 139 ;;
            *) echo 'garbage'; exit 0 ;;
        esac"#,
    );
    let start = Instant::now();
    let mut args = QUICK.to_vec();
    args.extend(["--threads", "1", "--patience", "10"]);
    let output = folder.bench(&args);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(
        start.elapsed() < Duration::from_secs(55),
        "a peer that hangs is stopped"
    );
    let row = |peer: &str| {
        let line = said.lines().find(|l| l.contains(&format!(" {peer} ")));
        line.map_or(String::new(), str::to_owned)
    };
    assert!(row("jax").contains("failed: stopped after 10 s"), "{said}");
    assert!(row("torch").contains("failed: printed no figure"), "{said}");
    assert!(
        row("torch.compile").contains("failed: Segmentation"),
        "{said}"
    );
    assert!(
        row("torch.compile-step").contains("failed: printed no figure"),
        "{said}"
    );
    let page = fs::read_to_string(folder.0.join("report.html")).expect("a page");
    assert!(page.contains("jax: failed: stopped after 10 s"));
}

/// A peer whose result is wrong has a row, but no time that counts.
#[cfg(unix)]
#[test]
fn a_wrong_result_counts_for_nothing() {
    let folder = Folder::new("wrong");
    folder.python(
        r#"case "$*" in
            *--list*) echo tiny ;;
            *) echo '{"peer": "x", "threads": 1, "level": "native", "workload": "tiny", "best_s": 1e-12, "median_s": 1e-12,
                "record": {"loss": 29.0, "grads": []}}' | tr -d '\n'; echo ;;
        esac"#,
    );
    let mut args = QUICK.to_vec();
    args.extend(["--threads", "1"]);
    let output = folder.bench(&args);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(
        said.lines()
            .any(|l| l.contains(" jax ") && l.contains("fail")),
        "{said}"
    );
    assert!(
        said.contains("no peer measured"),
        "a wrong result is beaten by nobody: {said}"
    );
}
