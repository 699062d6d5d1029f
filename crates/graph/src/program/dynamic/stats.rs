//! What the branches of a dynamic program did.

use std::fmt;
use std::panic::Location;
use std::sync::atomic::Ordering;

use super::Dynamic;

impl Dynamic {
    /// What branches did so far, over all workspaces.
    pub fn stats(&self) -> DynamicStats {
        let mut stats = DynamicStats {
            runs: self.0.unheld_runs.load(Ordering::Relaxed),
            recorded: self.0.recorded.load(Ordering::Relaxed),
            unheld: self.0.unheld.load(Ordering::Relaxed),
            ..DynamicStats::default()
        };
        for (_, trace) in self.0.held() {
            stats.held += 1;
            let runs = trace.runs.load(Ordering::Relaxed);
            stats.runs += runs;
            // A run that failed at a guard had passed all before it.
            let mut passed = runs;
            let guards = trace.recorded().guards.iter().zip(&trace.misses);
            for (guard, misses) in guards.rev() {
                let misses = misses.load(Ordering::Relaxed);
                let line = stats.line(guard.location);
                line.hits += passed;
                line.misses += misses;
                passed += misses;
            }
        }
        stats
            .guards
            .sort_by_key(|g| (g.location.file(), g.location.line(), g.location.column()));
        stats
    }
}

/// What the branches of a [`Dynamic`] program did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DynamicStats {
    /// Runs that gave a result.
    pub runs: u64,
    /// Times that a run met a new path, or inputs of a new shape, and recorded it.
    pub recorded: u64,
    /// Recordings that the list had no room for.
    pub unheld: u64,
    /// Traces held.
    pub held: usize,
    /// By line that reads a value, over the traces held.
    pub guards: Vec<GuardStats>,
}

/// How often a guard held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GuardStats {
    /// The line that reads the value.
    pub location: &'static Location<'static>,
    /// Times that it was as recorded; a line in a loop counts every trip.
    pub hits: u64,
    /// Times that it was not, and the run went on to another trace.
    pub misses: u64,
}

impl DynamicStats {
    fn line(&mut self, location: &'static Location<'static>) -> &mut GuardStats {
        let at = self.guards.iter().position(|g| g.location == location);
        let at = at.unwrap_or_else(|| {
            self.guards.push(GuardStats {
                location,
                hits: 0,
                misses: 0,
            });
            self.guards.len() - 1
        });
        &mut self.guards[at]
    }
}

impl fmt::Display for DynamicStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} runs, {} traces held, {} recorded while running, {} without room",
            self.runs, self.held, self.recorded, self.unheld
        )?;
        for g in &self.guards {
            writeln!(
                f,
                "{:>10} held {:>10} failed  {}",
                g.hits, g.misses, g.location
            )?;
        }
        Ok(())
    }
}
