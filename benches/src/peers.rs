//! Who can be measured, and how a figure is taken from one: every figure is a process of its own.

use crate::cli::Options;
use crate::figure::Figure;
use retrograde_ops::Level;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A figure that takes longer than this is given up; `torch.compile` needs 20 s to prepare the longest workload.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often a running figure is looked at: rarely enough not to disturb it.
const GLANCE: Duration = Duration::from_millis(50);

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
    pub fn ours(folder: &Path) -> Result<Self, String> {
        Self::sibling("retrograde", &[], folder)
    }

    /// The reference's plain loops.
    ///
    /// # Errors
    /// As for [`Peer::ours`].
    pub fn hand(folder: &Path) -> Result<Self, String> {
        Self::sibling("hand", &["--hand"], folder)
    }

    fn sibling(name: &'static str, lead: &[&str], folder: &Path) -> Result<Self, String> {
        let here = std::env::current_exe().map_err(|e| e.to_string())?;
        let program = here.with_file_name(format!("workloads{}", std::env::consts::EXE_SUFFIX));
        Self::new(name, program, lead, folder, false).asked()
    }

    /// The other frameworks: those that are installed, and for the rest why they are skipped.
    pub fn foreign(root: &Path, folder: &Path) -> Vec<(&'static str, Result<Self, String>)> {
        let python = root.join("target/peers/bin/python");
        let rust = root.join("target/peers-rust/release");
        let script = |name: &str| root.join("benches/peers").join(name).display().to_string();
        let torch = script("torch_peer.py");
        let compile = [&torch, "--mode", "compile"];
        let compile_step = [&torch, "--mode", "compile-step"];
        let peers = [
            Self::new("torch", python.clone(), &[&torch], folder, true),
            Self::new("torch.compile", python.clone(), &compile, folder, true),
            Self::new(
                "torch.compile-step",
                python.clone(),
                &compile_step,
                folder,
                true,
            ),
            Self::new("jax", python, &[&script("jax_peer.py")], folder, true),
            Self::new("candle", rust.join("candle-peer"), &[], folder, true),
            Self::new("burn", rust.join("burn-peer"), &[], folder, true),
        ];
        peers.into_iter().map(|p| (p.name, p.asked())).collect()
    }

    fn new(
        name: &'static str,
        program: PathBuf,
        lead: &[&str],
        folder: &Path,
        foreign: bool,
    ) -> Self {
        Self {
            name,
            program,
            lead: lead.iter().map(|&a| a.to_owned()).collect(),
            log: folder.join(format!("{name}.log")),
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
        let status = wait(&mut child)?;
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
fn wait(child: &mut Child) -> Result<bool, String> {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status.success()),
            Ok(None) if start.elapsed() > PATIENCE => {
                child
                    .kill()
                    .and_then(|()| child.wait())
                    .map_err(|e| e.to_string())?;
                return Err(format!("stopped after {} s", PATIENCE.as_secs()));
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
