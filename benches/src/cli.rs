//! The command line that `bench` and `workloads` share.

use crate::spec::{self, SPECS, Spec};
use crate::tables::Kind;
use retrograde_ops::Level;
use std::path::PathBuf;
use std::time::Duration;

/// `torch.compile` needs 20 s to prepare the longest workload, and more on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// What was asked for.
#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub struct Options {
    /// The workloads, in the order of the report.
    pub workloads: Vec<&'static Spec>,
    /// Whether workloads were chosen by name.
    pub named: bool,
    /// Threads for every figure.
    pub threads: usize,
    /// The forced level; the machine's widest unless said.
    pub level: Level,
    /// Short batches: for a smoke test, not for a figure to quote.
    pub quick: bool,
    /// Measure the other frameworks too.
    pub peers: bool,
    /// Measure the reference's plain loops instead of Retrograde (`workloads` only).
    pub hand: bool,
    /// Measure resident memory instead of time (`workloads` and peers only).
    pub memory: bool,
    /// Tables asked for by name; none: those that suit the rest of the command line.
    pub tables: Vec<Kind>,
    /// No table beyond the comparison.
    pub no_tables: bool,
    /// Write the summary to `benches/records` as well.
    pub record: bool,
    /// Where reports go; `target/bench` unless said.
    pub out: Option<PathBuf>,
    /// Where the peers are installed; `target/peers` unless said.
    pub peers_in: Option<PathBuf>,
    /// A figure that takes longer is given up.
    pub patience: Duration,
    /// Print the names and stop.
    pub list: bool,
}

impl Options {
    /// Reads the arguments after the program's name.
    ///
    /// # Errors
    /// Says which argument is wrong and what would be right.
    pub fn parse(args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut named = Vec::new();
        let mut options = Self {
            workloads: Vec::new(),
            named: false,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            level: Level::detect(),
            quick: false,
            peers: false,
            hand: false,
            memory: false,
            tables: Vec::new(),
            no_tables: false,
            record: false,
            out: None,
            peers_in: None,
            patience: PATIENCE,
            list: false,
        };
        let mut args = args;
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--workload" => named.push(spec::find(&value()?)?.name),
                "--threads" => options.threads = threads(&value()?)?,
                "--level" => options.level = level(&value()?)?,
                "--quick" => options.quick = true,
                "--peers" => options.peers = true,
                "--hand" => options.hand = true,
                "--memory" => options.memory = true,
                "--record" => options.record = true,
                "--out" => options.out = Some(value()?.into()),
                "--peers-in" => options.peers_in = Some(value()?.into()),
                "--patience" => options.patience = seconds(&value()?)?,
                "--table" => match value()?.as_str() {
                    "none" => options.no_tables = true,
                    name => options.tables.push(Kind::find(name)?),
                },
                "--list" => options.list = true,
                _ => {
                    return Err(format!(
                        "unknown argument `{arg}`; there are --workload NAME, --threads N, --level L, --quick, --peers, \
                         --table NAME, --record, --out FOLDER, --peers-in FOLDER, --patience SECONDS, --list"
                    ));
                }
            }
        }
        options.named = !named.is_empty();
        options.workloads = SPECS
            .iter()
            .filter(|s| named.is_empty() || named.contains(&s.name))
            .collect();
        Ok(options)
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(0) => Err("--patience must be at least 1 second".into()),
        Ok(n) => Ok(Duration::from_secs(n)),
        Err(_) => Err(format!("--patience wants seconds, not `{text}`")),
    }
}

fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("--threads must be at least 1".into()),
        Ok(n) => Ok(n),
        Err(_) => Err(format!("--threads wants a number, not `{text}`")),
    }
}

fn level(text: &str) -> Result<Level, String> {
    let available = || {
        let names: Vec<_> = Level::available().iter().map(|l| l.name()).collect();
        names.join(", ")
    };
    let level = Level::from_name(text).ok_or_else(|| {
        format!(
            "no level is called `{text}`; this machine has {}",
            available()
        )
    })?;
    if Level::available().contains(&level) {
        Ok(level)
    } else {
        Err(format!(
            "this machine cannot run level {level}; it has {}",
            available()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn workloads_keep_the_reports_order() {
        let options = parse("--workload mlp_b64 --workload tiny --threads 3 --quick").unwrap();
        let names: Vec<_> = options.workloads.iter().map(|s| s.name).collect();
        assert_eq!(names, ["tiny", "mlp_b64"]);
        assert_eq!(
            (options.threads, options.quick, options.peers),
            (3, true, false)
        );
        assert_eq!(parse("").unwrap().workloads.len(), SPECS.len());
    }

    #[test]
    fn mistakes_are_named() {
        for (line, message) in [
            ("--workload mlp", "no workload is called `mlp`"),
            ("--threads 0", "at least 1"),
            ("--threads two", "wants a number"),
            ("--threads", "needs a value"),
            ("--level mmx", "no level is called `mmx`"),
            ("--patience 0", "at least 1 second"),
            ("--table speed", "no table is called `speed`"),
            ("--fast", "unknown argument `--fast`"),
        ] {
            let found = parse(line).err().unwrap();
            assert!(found.contains(message), "{line}: {found}");
        }
    }

    #[test]
    fn a_level_of_another_machine_is_refused() {
        let foreign = if cfg!(target_arch = "aarch64") {
            "avx2"
        } else {
            "neon"
        };
        assert!(
            parse(&format!("--level {foreign}"))
                .err()
                .unwrap()
                .contains("cannot run")
        );
    }
}
