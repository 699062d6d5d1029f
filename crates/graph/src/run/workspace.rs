//! The memory of one running copy of a plan.

use std::sync::Arc;

use retrograde_ops::structured::ErrorCell;
use retrograde_storage::{Id, PACKET_BYTES, Packet};

use super::bind::{Bindings, Window};
use super::pages;
use super::phase::Run;
use super::plan::Plan;
use super::settled::Settled;
use super::team::Team;
use crate::check::AuditMemory;
use crate::error::{Error, ErrorKind, Result};
use crate::list::Value;

/// Arena, cells, scratch and addresses: everything a run writes besides its outputs. A steady state allocates nothing.
pub(crate) struct Memory {
    arena: Vec<Packet>,
    cells: Vec<u64>,
    scratch: Vec<Vec<Packet>>,
    table: Addresses,
    externals: Addresses,
    outputs: Addresses,
    errors: ErrorCell,
    team: Arc<Team>,
    audit: Option<Box<AuditMemory>>,
    settled: Option<Settled>,
    /// The panic of a user's function: nothing runs here until a reset.
    broken: Option<Error>,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Memory({} bytes)", self.bytes())
    }
}

/// Addresses kept between runs only to keep their memory: rewritten by every run before it uses them.
#[derive(Debug, Default)]
pub(crate) struct Addresses(pub Vec<*mut u8>);
// SAFETY: nothing is dereferenced through a stored address; see the type's doc.
unsafe impl Send for Addresses {}

/// What a run is given besides its plan.
pub(crate) struct Given<'a> {
    /// By external: its first element.
    pub externals: &'a mut dyn FnMut(usize) -> *mut u8,
    /// By output: its first element.
    pub outputs: &'a mut dyn FnMut(usize) -> *mut u8,
    /// Scalars that are data.
    pub uniforms: &'a [f64],
    /// Seeds of random streams.
    pub seeds: &'a [u64],
    /// Number of the run.
    pub step: u64,
}

fn packets(n: usize) -> Result<Vec<Packet>> {
    pages::packets(n).ok_or_else(|| {
        Error::new(
            ErrorKind::Memory,
            format!(
                "the program needs {} MB, which there are not",
                (n * PACKET_BYTES) >> 20
            ),
        )
    })
}

impl Memory {
    /// Memory for `plan`.
    pub(crate) fn new(plan: &Plan) -> Result<Self> {
        let threads = plan.threads();
        Ok(Self {
            arena: packets(plan.arena)?,
            cells: vec![0; plan.cells],
            scratch: (0..threads)
                .map(|_| packets(plan.scratch + plan.windows))
                .collect::<Result<_>>()?,
            table: Addresses(vec![std::ptr::null_mut(); plan.table]),
            externals: Addresses(vec![std::ptr::null_mut(); plan.inputs.len()]),
            outputs: Addresses(vec![std::ptr::null_mut(); plan.outputs.len()]),
            errors: ErrorCell::new(),
            team: Team::new(threads),
            audit: match &plan.audit {
                Some(audit) => Some(Box::new(AuditMemory::new(audit)?)),
                None => None,
            },
            settled: Settled::new(plan),
            broken: None,
        })
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        let packets = self.arena.len() + self.scratch.iter().map(Vec::len).sum::<usize>();
        let audit = self.audit.as_ref().map_or(0, |a| a.bytes());
        packets * PACKET_BYTES + self.cells.len() * size_of::<u64>() + audit
    }

    /// Runs `plan`, whose memory this is.
    ///
    /// # Safety
    /// Every external address is valid for reads of its port's elements (for writes too if the plan updates it) and
    /// every output address for writes of its port's, aligned for their types, for the whole call; outputs overlap
    /// neither each other nor an external; nobody else writes externals or touches outputs meanwhile.
    pub(crate) unsafe fn run(&mut self, plan: &Plan, mut given: Given<'_>) -> Result<()> {
        if let Some(panic) = &self.broken {
            self.errors.take();
            let message =
                format!("an earlier run did not end, reset what it ran in to go on: {panic}");
            return Err(Error::new(ErrorKind::Custom, message));
        }
        let Some(audit) = &plan.audit else {
            // SAFETY: passed on.
            return unsafe { self.replay(plan, &mut given) };
        };
        // An update is not made if its result would be NaN: what it is made from would be lost.
        if !audit.precedes() {
            // SAFETY: passed on.
            unsafe { self.replay(plan, &mut given)? };
        }
        if let Some(memory) = &mut self.audit {
            // SAFETY: the audit only reads externals, which are those of the plan.
            unsafe { audit.run(memory, &mut given)? };
        }
        if audit.precedes() {
            // SAFETY: passed on.
            unsafe { self.replay(plan, &mut given)? };
        }
        Ok(())
    }

    /// Makes memory that a panic has left behind usable again.
    pub(crate) fn reset(&mut self) {
        self.broken = None;
        self.errors.take();
    }

    /// The instruction at which the last run met an error.
    pub(crate) fn fault(&self) -> Option<Value> {
        let fault = self.errors.get()?;
        Some(Value::from_index(fault.site as usize))
    }

    /// # Safety
    /// As [`run`](Self::run).
    unsafe fn replay(&mut self, plan: &Plan, given: &mut Given<'_>) -> Result<()> {
        self.externals
            .0
            .iter_mut()
            .enumerate()
            .for_each(|(i, to)| *to = (given.externals)(i));
        self.outputs
            .0
            .iter_mut()
            .enumerate()
            .for_each(|(i, to)| *to = (given.outputs)(i));
        if let Some(settled) = &mut self.settled {
            settled.meet(&self.externals.0, &self.outputs.0);
        }
        self.errors.take();
        let bindings = Bindings {
            level: plan.options.level,
            place: &plan.place,
            externals: &self.externals.0,
            outputs: &self.outputs.0,
            arena: self.arena.as_mut_ptr().cast(),
            cells: self.cells.as_mut_ptr().cast(),
            seeds: given.seeds,
            step: given.step,
            errors: &self.errors,
            window: Window::NONE,
        };
        Run::fill_table(plan, &bindings, &mut self.table.0);
        let run = Run {
            plan,
            bindings,
            table: &self.table.0,
        };
        // SAFETY: the caller vouches for externals and outputs; arena, cells and scratch have the plan's sizes and are
        // borrowed for the call.
        let failed = unsafe {
            run.load_cells(given.uniforms);
            self.team.run(&run, &mut self.scratch)
        };
        if failed {
            return Err(Error::new(
                ErrorKind::Unknown,
                "a kernel panicked on a helper thread; please report it",
            ));
        }
        match self.errors.get() {
            None => Ok(()),
            Some(fault) => {
                let error = super::fault::error(&plan.list, &fault, self.errors.said(&fault));
                if self.errors.panicked() {
                    self.broken = Some(error.clone());
                }
                Err(error)
            }
        }
    }
}
