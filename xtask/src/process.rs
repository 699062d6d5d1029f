//! Starting processes in the repository's root.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The repository's root, whatever directory the command was started in.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// A program that cargo built in the release profile: `counted`, `examples/quickstart`.
pub(crate) fn built(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    root().join(target).join("release").join(file)
}

/// Builds every program and example of the workspace in the release profile.
///
/// All by one call, whoever needs a part of them: packages chosen one by one would each choose features of what they
/// depend on, and compile the kernels once more, which takes minutes.
pub(crate) fn build_release() -> Result<(), String> {
    check(&mut cargo(&[
        "build",
        "--quiet",
        "--release",
        "--workspace",
        "--bins",
        "--examples",
    ]))
}

/// The cargo that started this program, run in the root.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(args).current_dir(root());
    command
}

/// Runs to the end with the terminal's own output; a failure names the command line.
pub(crate) fn check(command: &mut Command) -> Result<(), String> {
    let shown = shown(command);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{shown}` failed ({status})")),
        Err(error) => Err(format!("`{shown}` did not start: {error}")),
    }
}

/// As [`check`], but a process that is not done in time is stopped, which is a failure.
pub(crate) fn check_within(command: &mut Command, limit: Duration) -> Result<(), String> {
    let shown = shown(command);
    let start = Instant::now();
    let mut child = command
        .spawn()
        .map_err(|error| format!("`{shown}` did not start: {error}"))?;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("`{shown}` failed ({status})")),
            Ok(None) if start.elapsed() < limit => std::thread::sleep(Duration::from_millis(100)),
            Ok(None) => {
                let stopped = child.kill().and_then(|()| child.wait());
                let how = stopped.map_or_else(|e| format!("could not be: {e}"), |s| s.to_string());
                return Err(format!(
                    "`{shown}` was stopped after {} seconds ({how})",
                    limit.as_secs()
                ));
            }
            Err(error) => return Err(format!("`{shown}` cannot be waited for: {error}")),
        }
    }
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut line = program
        .file_name()
        .unwrap_or(program.as_os_str())
        .to_string_lossy()
        .into_owned();
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_takes_too_long_is_stopped() {
        let start = Instant::now();
        let limit = Duration::from_millis(200);
        let error = check_within(Command::new("sleep").arg("30"), limit).unwrap_err();
        assert!(error.contains("was stopped"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(20));
        assert!(check_within(&mut Command::new("true"), Duration::from_secs(20)).is_ok());
        assert!(check_within(&mut Command::new("false"), Duration::from_secs(20)).is_err());
    }
}
