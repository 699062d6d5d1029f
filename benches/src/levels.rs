//! A process of its own for a forced level: the library reads it from the environment once.

use retrograde_ops::Level;
use std::process::Command;

/// The variable that the library reads.
const VARIABLE: &str = "RETROGRADE_LEVEL";

/// Whether this process was started for that level.
pub fn is_set(level: Level) -> bool {
    std::env::var(VARIABLE).as_deref() == Ok(level.name())
}

/// Starts this program once more with the level in its environment; whether it ended well.
///
/// # Errors
/// When it does not start.
pub fn again(level: Level) -> Result<bool, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let status = Command::new(program)
        .args(std::env::args_os().skip(1))
        .env(VARIABLE, level.name())
        .status()
        .map_err(|e| e.to_string())?;
    Ok(status.success())
}
