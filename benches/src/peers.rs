//! Who can be measured, and how a figure is taken from one: every figure is a process of its own.

use crate::cli::Options;
use crate::figure::Figure;
use retrograde_ops::Level;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often a running figure is looked at: rarely enough not to disturb it.
const GLANCE: Duration = Duration::from_millis(50);

/// The peer that memory is compared with.
pub const TORCH: &str = "torch";

/// Where programs are found and logs go.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The virtual environment of the Python peers; the Rust peers are beside it.
    pub peers: &'a Path,
    /// Their scripts.
    pub scripts: &'a Path,
    /// For logs.
    pub logs: &'a Path,
    /// A figure that takes longer is given up.
    pub patience: Duration,
}

/// A program that lies beside this one.
fn sibling(name: &str) -> Result<PathBuf, String> {
    let here = std::env::current_exe().map_err(|e| e.to_string())?;
    Ok(here.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX)))
}

/// A program that measures workloads and prints a line for each.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The name in the report.
    pub name: &'static str,
    /// A Python interpreter or the program itself.
    program: PathBuf,
    /// What comes before the shared arguments.
    lead: Vec<String>,
    /// Where standard error goes.
    log: PathBuf,
    /// What takes longer is given up.
    patience: Duration,
    /// The workloads it has, once asked.
    workloads: Vec<String>,
    /// Ours and the reference do not count as peers.
    pub foreign: bool,
}

impl Peer {
    /// Retrograde itself, measured by the program `workloads` beside this one.
    ///
    /// # Errors
    /// When that program is missing or does not start.
    pub fn ours(place: &Place<'_>) -> Result<Self, String> {
        let program = sibling("workloads")?;
        Self::new("retrograde", program, &[], place, false).asked()
    }

    /// The reference's plain loops.
    ///
    /// # Errors
    /// As for [`Peer::ours`].
    pub fn hand(place: &Place<'_>) -> Result<Self, String> {
        let program = sibling("workloads")?;
        Self::new("hand", program, &["--hand"], place, false).asked()
    }

    /// The program that measures what is no workload.
    ///
    /// # Errors
    /// When it cannot be found.
    pub fn prober(place: &Place<'_>) -> Result<Self, String> {
        Ok(Self::new("probe", sibling("probe")?, &[], place, false))
    }

    /// The other frameworks: those that are installed, and for the rest why they are skipped.
    pub fn foreign(place: &Place<'_>) -> Vec<(&'static str, Result<Self, String>)> {
        let python = place.peers.join("bin/python");
        let rust = place.peers.with_file_name("peers-rust").join("release");
        let script = |name: &str| place.scripts.join(name).display().to_string();
        let torch = script("torch_peer.py");
        let compile = [&torch, "--mode", "compile"];
        let compile_step = [&torch, "--mode", "compile-step"];
        let peers = [
            Self::new(TORCH, python.clone(), &[&torch], place, true),
            Self::new("torch.compile", python.clone(), &compile, place, true),
            Self::new(
                "torch.compile-step",
                python.clone(),
                &compile_step,
                place,
                true,
            ),
            Self::new("jax", python, &[&script("jax_peer.py")], place, true),
            Self::new("candle", rust.join("candle-peer"), &[], place, true),
            Self::new("burn", rust.join("burn-peer"), &[], place, true),
        ];
        peers.into_iter().map(|p| (p.name, p.asked())).collect()
    }

    fn new(
        name: &'static str,
        program: PathBuf,
        lead: &[&str],
        place: &Place<'_>,
        foreign: bool,
    ) -> Self {
        Self {
            name,
            program,
            lead: lead.iter().map(|&a| a.to_owned()).collect(),
            log: place.logs.join(format!("{name}.log")),
            patience: place.patience,
            workloads: Vec::new(),
            foreign,
        }
    }

    /// Asks which workloads it has, which also shows that it starts.
    fn asked(mut self) -> Result<Self, String> {
        if !self.program.exists() {
            return Err(if self.foreign {
                "not installed (`cargo xtask peers` installs it)".into()
            } else {
                format!("{} is missing", self.program.display())
            });
        }
        let answer = self.output(Command::new(&self.program).args(&self.lead).arg("--list"))?;
        self.workloads = answer.lines().map(str::to_owned).collect();
        Ok(self)
    }

    /// Whether it has this workload.
    pub fn has(&self, workload: &str) -> bool {
        self.workloads.iter().any(|w| w == workload)
    }

    /// Measures one workload.
    ///
    /// # Errors
    /// What stopped it, in one line; the whole of it is in the peer's log.
    pub fn measure(
        &self,
        workload: &str,
        threads: usize,
        options: &Options,
    ) -> Result<Figure, String> {
        let mut command = Command::new(&self.program);
        command.args(&self.lead).args(["--workload", workload]);
        command.args(["--threads", &threads.to_string()]);
        if options.quick {
            command.arg("--quick");
        }
        if options.memory {
            command.arg("--memory");
            // Blocks of some size go back to the system when they are freed, rather than to a list of free ones.
            command.env("MALLOC_MMAP_THRESHOLD_", "65536");
            command.env("MALLOC_TRIM_THRESHOLD_", "65536");
        }
        if self.foreign {
            lower(&mut command, options.level);
        } else {
            command.args(["--level", options.level.name()]);
        }
        for variable in ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"] {
            command.env(variable, threads.to_string());
        }
        let printed = self.output(&mut command)?;
        let line = printed.lines().last().ok_or("printed nothing")?;
        let figure: Figure =
            serde_json::from_str(line).map_err(|e| format!("printed no figure: {e}"))?;
        Ok(Figure {
            peer: self.name.into(),
            ..figure
        })
    }

    /// What the program `probe` finds of `what`: a line of JSON.
    ///
    /// # Errors
    /// What stopped it.
    pub fn probe(&self, what: &str, options: &Options) -> Result<String, String> {
        let mut command = Command::new(&self.program);
        command.args([what, "--threads", &options.threads.to_string()]);
        command.args(["--level", options.level.name()]);
        for spec in &options.workloads {
            command.args(["--workload", spec.name]);
        }
        if options.quick {
            command.arg("--quick");
        }
        let printed = self.output(&mut command)?;
        let line = printed.lines().last();
        line.map(str::to_owned)
            .ok_or_else(|| "printed nothing".into())
    }

    /// Runs to the end and hands back standard output. A line that tells a failure is output, too.
    fn output(&self, command: &mut Command) -> Result<String, String> {
        let log = File::create(&self.log).map_err(|e| format!("{}: {e}", self.log.display()))?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = command.spawn().map_err(|e| format!("did not start: {e}"))?;
        let mut pipe = child.stdout.take().ok_or("has no output")?;
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            pipe.read_to_string(&mut text).map(|_| text)
        });
        let status = wait(&mut child, self.patience)?;
        let text = match reader.join() {
            Ok(read) => read.map_err(|e| format!("printed something unreadable: {e}"))?,
            Err(_) => return Err("its output was lost".into()),
        };
        if status || text.lines().any(|l| l.starts_with('{')) {
            return Ok(text);
        }
        let said = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last = said.lines().rev().find(|l| !l.trim().is_empty());
        Err(last.map_or("failed silently".into(), |l| l.trim().to_owned()))
    }
}

/// Whether it ended well; one that does not end is stopped.
fn wait(child: &mut Child, patience: Duration) -> Result<bool, String> {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status.success()),
            Ok(None) if start.elapsed() > patience => {
                child
                    .kill()
                    .and_then(|()| child.wait())
                    .map_err(|e| e.to_string())?;
                return Err(format!("stopped after {} s", patience.as_secs()));
            }
            Ok(None) => std::thread::sleep(GLANCE),
            Err(e) => return Err(e.to_string()),
        }
    }
}

/// Asks the frameworks for the same instruction set, by the variable that each library reads.
fn lower(command: &mut Command, level: Level) {
    let (aten, onednn, mkl, xla) = match level {
        Level::Avx2 if Level::detect() > level => ("avx2", "AVX2", "AVX2", "AVX2"),
        Level::Baseline if Level::detect() > level => ("default", "SSE41", "SSE4_2", "SSE4_2"),
        _ => return,
    };
    command.env("ATEN_CPU_CAPABILITY", aten);
    command.env("ONEDNN_MAX_CPU_ISA", onednn);
    command.env("MKL_ENABLE_INSTRUCTIONS", mkl);
    command.env("XLA_FLAGS", format!("--xla_cpu_max_isa={xla}"));
}
