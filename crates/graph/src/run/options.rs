//! How to compile and run.

use std::num::NonZeroUsize;

use retrograde_ops::Level;

use super::team::MOST_THREADS;
use crate::check::Check;

/// How to compile and run: the defaults are what users want, the rest is for tests and measurements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// SIMD level; the machine's widest unless `RETROGRADE_LEVEL` or the builder lowers it.
    pub level: Level,
    /// Threads that may work on one run, the caller included; 0: as many as the rayon pool has.
    /// More than 65 are 65.
    pub threads: usize,
    /// Folding and common subexpressions.
    pub optimise: bool,
    /// Fusion into groups.
    pub fuse: bool,
    /// Buffers that are not live at the same time share memory.
    pub share: bool,
    /// Memory is filled with NaN when its last reader is done.
    pub poison: bool,
    /// Packets a slot takes in a tile, or what fits the caches.
    pub tile: Option<NonZeroUsize>,
    /// Bytes that values between inputs and outputs may take at once ([`Cost::arena_bytes`](crate::Cost)). A derivative
    /// that takes more computes parts of the function again instead of keeping their values, with the same bits:
    /// [`Cost::recomputed`](crate::Cost) tells which. A program that cannot fit is an error that names the least it takes.
    pub memory_budget: Option<usize>,
    /// Whether a run whose results hold NaN (or infinities) is an error that names the operation they come from.
    pub check: Check,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            level: level(),
            threads: 0,
            optimise: true,
            fuse: true,
            share: true,
            poison: false,
            tile: None,
            memory_budget: None,
            check: Check::Off,
        }
    }
}

impl Options {
    /// Threads that may work on a run.
    pub(super) fn threads(&self) -> usize {
        let asked = match self.threads {
            0 => rayon::current_num_threads(),
            n => n,
        };
        asked.min(MOST_THREADS)
    }
}

/// The level of this process: the widest, or the one that `RETROGRADE_LEVEL` names if the machine has it.
pub fn level() -> Level {
    static LEVEL: std::sync::OnceLock<Level> = std::sync::OnceLock::new();
    *LEVEL.get_or_init(|| {
        let best = Level::detect();
        let forced = std::env::var("RETROGRADE_LEVEL")
            .ok()
            .and_then(|name| Level::from_name(&name));
        forced.filter(|l| l.runs_on(best)).unwrap_or(best)
    })
}
