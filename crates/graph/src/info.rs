//! What this build of the library is and what it runs on.

use std::fmt;

use retrograde_ops::{Level, OPT_LEVEL};

/// What this build of the library is and what it runs on: see [`build_info`]. Displays as a few lines for bug reports.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuildInfo {
    /// The library's version.
    pub version: &'static str,
    /// The SIMD level in use.
    pub level: Level,
    /// The levels that this machine can run, narrowest first.
    pub levels: Vec<Level>,
    /// What the environment variable `RETROGRADE_LEVEL` asks for, if it is set.
    pub asked: Option<String>,
    /// The compiler's optimisation level for the kernels: `0` to `3`, `s` or `z`.
    pub opt_level: &'static str,
    /// Whether internal checks are compiled in.
    pub debug_assertions: bool,
    /// Optional features compiled in: `ndarray`, or none.
    pub features: &'static [&'static str],
    /// Threads that may work on one run.
    pub threads: usize,
}

/// What this build of the library is and what it runs on.
///
/// ```
/// let info = retrograde_graph::build_info();
/// println!("{info}");
/// assert!(info.levels.contains(&info.level));
/// if !info.is_optimised() {
///     eprintln!("do not measure this build");
/// }
/// ```
pub fn build_info() -> BuildInfo {
    BuildInfo {
        version: env!("CARGO_PKG_VERSION"),
        level: crate::level(),
        levels: Level::available(),
        asked: std::env::var("RETROGRADE_LEVEL").ok(),
        opt_level: OPT_LEVEL,
        debug_assertions: cfg!(debug_assertions),
        features: retrograde_storage::FEATURES,
        threads: rayon::current_num_threads(),
    }
}

impl BuildInfo {
    /// Whether the kernels are built for speed (`opt-level` 2 or 3).
    pub fn is_optimised(&self) -> bool {
        matches!(self.opt_level, "2" | "3")
    }
}

impl fmt::Display for BuildInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let levels: Vec<&str> = self.levels.iter().map(|l| l.name()).collect();
        writeln!(f, "retrograde {}", self.version)?;
        writeln!(f, "level       {} of {}", self.level, levels.join(", "))?;
        if let Some(asked) = &self.asked
            && asked != self.level.name()
        {
            writeln!(
                f,
                "            RETROGRADE_LEVEL={asked} is not a level of this machine"
            )?;
        }
        let checks = if self.debug_assertions {
            ", with internal checks"
        } else {
            ""
        };
        writeln!(f, "opt-level   {}{checks}", self.opt_level)?;
        let features = if self.features.is_empty() {
            "none".to_string()
        } else {
            self.features.join(", ")
        };
        writeln!(f, "features    {features}")?;
        writeln!(f, "threads     {}", self.threads)?;
        if !self.is_optimised() {
            writeln!(
                f,
                "\nWARNING: THE LIBRARY IS BUILT WITHOUT OPTIMISATION (opt-level {}) AND RUNS MANY TIMES SLOWER THAN IT COULD.\n\
                 Build with --release, or add to your Cargo.toml:\n\n\
                 [profile.dev.package.\"*\"]\nopt-level = 3",
                self.opt_level
            )?;
        }
        Ok(())
    }
}
