//! The tables beyond the comparison with peers, one file each: what is measured, how, and how it is shown.
//!
//! Whatever needs a process of its own (counted allocations, resident memory, ceilings) is measured by the program
//! `probe` and comes back as a line of JSON; the rest is told by the figures of the comparison, or by further figures of
//! ours on other threads and levels.

pub mod ceilings;
pub mod growth;
pub mod independent;
mod levels;
mod memory;
pub mod overhead;
mod ratio;
mod roofline;
pub mod steady;
mod threads;

use crate::cli::Options;
use crate::figure::Figure;
use crate::peers::Peer;
use crate::report::Comparison;
use serde::de::DeserializeOwned;

/// Which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What recording, replaying and compiling cost a piece.
    Overhead,
    /// Gradient over value.
    Ratio,
    /// Rates reached beside what the machine can do.
    Roofline,
    /// Time against size.
    Growth,
    /// One thread and all.
    Threads,
    /// Every instruction-set level.
    Levels,
    /// Planned and resident memory.
    Memory,
    /// Long runs that must stay as they began.
    Steady,
}

impl Kind {
    /// Every table, in the order of the report.
    pub const ALL: [Self; 8] = [
        Self::Ratio,
        Self::Roofline,
        Self::Overhead,
        Self::Growth,
        Self::Threads,
        Self::Levels,
        Self::Memory,
        Self::Steady,
    ];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Overhead => "overhead",
            Self::Ratio => "ratio",
            Self::Roofline => "roofline",
            Self::Growth => "growth",
            Self::Threads => "threads",
            Self::Levels => "levels",
            Self::Memory => "memory",
            Self::Steady => "steady",
        }
    }

    /// The table of that name.
    ///
    /// # Errors
    /// Names those that exist.
    pub fn find(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|k| k.name() == name)
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::name).join(", ");
                format!("no table is called `{name}`; there are {names}, none")
            })
    }

    /// Whether it is about each workload, so that it makes sense for a few of them.
    const fn is_by_workload(self) -> bool {
        matches!(
            self,
            Self::Ratio | Self::Roofline | Self::Threads | Self::Levels | Self::Memory
        )
    }

    /// Whether it costs next to nothing beside the comparison.
    const fn is_quick(self) -> bool {
        matches!(self, Self::Ratio | Self::Roofline | Self::Overhead)
    }
}

/// The tables that a command line asks for: those named; else all that suit chosen workloads and a quick run.
pub fn chosen(options: &Options) -> Vec<Kind> {
    if options.no_tables {
        return Vec::new();
    }
    if !options.tables.is_empty() {
        return options.tables.clone();
    }
    let suits =
        |k: &Kind| (!options.named || k.is_by_workload()) && (!options.quick || k.is_quick());
    Kind::ALL.into_iter().filter(suits).collect()
}

/// A table as the report prints it.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// The heading.
    pub title: String,
    /// What it shows and how to read it.
    pub about: String,
    /// Names of the columns.
    pub head: Vec<&'static str>,
    /// Cells by row.
    pub rows: Vec<Vec<String>>,
    /// A drawing, as SVG.
    pub plot: Option<String>,
    /// What it shows to be weak, a sentence each.
    pub weak: Vec<String>,
}

/// What tables are measured with.
pub struct Context<'a> {
    /// Retrograde itself.
    pub ours: &'a Peer,
    /// The program that measures what is no workload.
    pub probe: &'a Peer,
    /// PyTorch, where it is measured.
    pub torch: Option<&'a Peer>,
    /// What was asked for.
    pub options: &'a Options,
    /// What was measured before.
    pub comparisons: &'a [Comparison],
    /// Told what is measured now.
    pub progress: &'a dyn Fn(&str),
}

impl Context<'_> {
    /// Measures a table.
    ///
    /// # Errors
    /// What stopped it; a single workload that fails is a row that says so.
    pub fn measure(&self, kind: Kind) -> Result<Vec<Table>, String> {
        (self.progress)(kind.name());
        Ok(match kind {
            Kind::Overhead => overhead::tables(&self.probe(kind.name())?, self.comparisons),
            Kind::Ratio => vec![ratio::table(self.comparisons)],
            Kind::Roofline => vec![roofline::table(self.comparisons, &self.probe("ceilings")?)],
            Kind::Growth => growth::tables(&self.probe(kind.name())?),
            Kind::Threads => vec![threads::table(self), self.independent()?],
            Kind::Levels => vec![levels::table(self)],
            Kind::Memory => vec![memory::table(self)],
            Kind::Steady => vec![steady::table(&self.probe(kind.name())?)],
        })
    }

    fn independent(&self) -> Result<Table, String> {
        Ok(independent::table(&self.probe("independent")?))
    }

    /// What the program `probe` finds.
    fn probe<T: DeserializeOwned>(&self, name: &str) -> Result<T, String> {
        let line = self.probe.probe(name, self.options)?;
        serde_json::from_str(&line).map_err(|e| format!("{name}: {e}"))
    }

    /// The better of two figures of ours, on other terms than those of the comparison; `each` runs between them.
    fn ours_on(&self, workload: &str, options: &Options) -> Result<Figure, String> {
        let figure = self.ours.measure(workload, options.threads, options)?;
        match &figure.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(figure),
        }
    }
}

/// `-` where there is nothing to show.
fn or_dash(cell: Option<String>) -> String {
    cell.unwrap_or_else(|| "-".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Vec<Kind> {
        let args = line.split_whitespace().map(str::to_owned);
        chosen(&Options::parse(args).unwrap())
    }

    #[test]
    fn tables_follow_the_command_line() {
        assert_eq!(of(""), Kind::ALL);
        assert_eq!(of("--quick"), [Kind::Ratio, Kind::Roofline, Kind::Overhead]);
        assert_eq!(of("--quick --workload tiny"), [Kind::Ratio, Kind::Roofline]);
        assert_eq!(of("--table growth --quick"), [Kind::Growth]);
        assert_eq!(of("--table none"), []);
        assert!(!of("--workload tiny").contains(&Kind::Growth));
    }
}
