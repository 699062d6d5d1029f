//! Running a program: its workspace, the checks before and the guards after.

use std::panic::Location;
use std::sync::Arc;

use retrograde_storage::{DType, Id, Packet, packets_for};

use super::feed::{self, Feed};
use super::outputs::{OutputMut, OutputsRef};
use super::{Program, Recorded};
use crate::error::{Error, ErrorKind, Result};
use crate::list::Value;
use crate::run::pages;
use crate::run::plan::Plan;
use crate::run::workspace::{Given, Memory};

/// The memory of one running copy of a program, with its outputs. `Send`; one thread at a time.
#[derive(Debug)]
pub struct Workspace {
    plan: Arc<Plan>,
    memory: Memory,
    outputs: Vec<Vec<Packet>>,
    /// What guards were found to be, each in the first bytes of its word; the others stay 0.
    guards: Vec<u64>,
    step: u64,
    repeat: bool,
}

impl Workspace {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let outputs = self.outputs.iter().map(|o| size_of_val(o.as_slice()));
        self.memory.bytes() + outputs.sum::<usize>() + size_of_val(self.guards.as_slice())
    }
    /// Makes a workspace usable again in which a custom operation panicked. Others need no reset.
    pub fn reset(&mut self) {
        self.memory.reset();
    }
    /// Whether random draws repeat from run to run instead of going on.
    pub fn set_repeat(&mut self, repeat: bool) {
        self.repeat = repeat;
    }
    /// The number of the next run, which random draws depend on.
    pub fn set_step(&mut self, step: u64) {
        self.step = step;
    }
}

/// A guard that did not hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    /// Which of the recording's guards; all before it held.
    pub guard: usize,
    /// The bits it found.
    pub found: u64,
}

impl Program {
    /// Memory to run in. One for each thread that runs the program at the same time.
    pub fn workspace(&self) -> Result<Workspace> {
        let (outputs, guards) = self.plan.outputs.split_at(self.output_count());
        debug_assert!(guards.iter().all(|p| p.shape.len() == 1));
        let outputs = outputs.iter().map(|p| {
            let n = packets_for(p.shape.len(), p.dtype.size()).unwrap_or(usize::MAX);
            pages::packets(n).ok_or_else(|| {
                Error::new(
                    ErrorKind::Memory,
                    format!("no memory for an output of {}", p.shape),
                )
            })
        });
        let outputs = outputs.collect::<Result<_>>()?;
        Ok(Workspace {
            memory: Memory::new(&self.plan)?,
            plan: Arc::clone(&self.plan),
            outputs,
            guards: vec![0; guards.len()],
            step: 0,
            repeat: false,
        })
    }

    /// Runs on inputs of the recorded types and shapes. A steady state allocates nothing.
    ///
    /// # Errors
    /// Inputs of another number, type or shape; a workspace of another program; a guard that does not hold for these
    /// inputs ([`ErrorKind::Guard`], naming the line that read the value; see
    /// [`record_dynamic`](Self::record_dynamic)); whatever kernels find (an index out of range), unless a guard shows
    /// that these inputs do not come this way.
    pub fn run<'w>(&self, ws: &'w mut Workspace, inputs: impl Feed) -> Result<OutputsRef<'w>> {
        match self.execute(ws, &inputs, &mut [])? {
            None => Ok(self.outputs_of(ws)),
            Some(failure) => Err(self.refused(failure)),
        }
    }

    /// As [`run`](Self::run), with outputs written to memory of the caller's: one place for each output, an array of
    /// its shape or a slice of its length.
    ///
    /// ```
    /// use retrograde_graph::Program;
    /// use retrograde_storage::Array;
    /// # fn main() -> retrograde_graph::Result<()> {
    /// let x = Array::<f64>::from([1.0, 2.0]);
    /// let f = Program::record(&[x.clone()], |_, [x]| (x * x).sum())?.value_and_grad()?;
    /// let (mut value, mut gradient) = ([0.0f64], x.clone());
    /// let mut ws = f.workspace()?;
    /// f.run_into(&mut ws, [&x], &mut [value.as_mut_slice().into(), (&mut gradient).into()])?;
    /// assert_eq!((value, gradient), ([5.0], 2.0 * x));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As `run`; a place of another type or size. After an error the places hold anything.
    pub fn run_into(
        &self,
        ws: &mut Workspace,
        inputs: impl Feed,
        outputs: &mut [OutputMut<'_>],
    ) -> Result<()> {
        if outputs.len() != self.output_count() {
            let message = format!(
                "the program has {} outputs, given were places for {}",
                self.output_count(),
                outputs.len()
            );
            return Err(Error::new(ErrorKind::Inputs, message));
        }
        match self.execute(ws, &inputs, outputs)? {
            None => Ok(()),
            Some(failure) => Err(self.refused(failure)),
        }
    }

    /// The error of a failed guard.
    fn refused(&self, failure: Failure) -> Error {
        let guard = &self.recorded.guards[failure.guard];
        let dtype = self.recorded.list.dtype(guard.value);
        let message = format!(
            "the recorded branch does not hold for these inputs: {} read as {}, recorded as {}; \
             `Program::record_dynamic` records each branch that is met",
            guard.value,
            shown(dtype, failure.found),
            shown(dtype, guard.expected)
        );
        Error::new(ErrorKind::Guard, message).at(Some(guard.location))
    }

    /// The outputs that a run left.
    pub(super) fn outputs_of<'w>(&self, ws: &'w Workspace) -> OutputsRef<'w> {
        OutputsRef {
            ports: &ws.plan.outputs,
            memory: &ws.outputs,
            count: self.recorded.outputs.len(),
        }
    }

    /// One run; the first guard that did not hold, if any. Outputs go to `into`, a place for each or none at all: then
    /// to the workspace.
    pub(super) fn execute(
        &self,
        ws: &mut Workspace,
        inputs: &dyn Feed,
        into: &mut [OutputMut<'_>],
    ) -> Result<Option<Failure>> {
        if !Arc::ptr_eq(&ws.plan, &self.plan) {
            return Err(Error::new(
                ErrorKind::Foreign,
                "this workspace belongs to another program; make one with `program.workspace()`",
            ));
        }
        let recorded = &*self.recorded;
        recorded.check_feed(inputs)?;
        for (i, place) in into.iter().enumerate() {
            place.address(i, self.plan.outputs[i])?;
        }
        let Workspace {
            memory,
            outputs,
            guards,
            step,
            ..
        } = ws;
        let externals = &self.plan.externals;
        // One borrow for the pointers to all of them.
        let first_guard = guards.as_mut_ptr();
        let given = Given {
            externals: &mut |i| {
                let number = recorded.list.attr(externals[i]).as_int() as usize;
                inputs
                    .bytes(number)
                    .map_or(std::ptr::null_mut(), |bytes| bytes.as_ptr().cast_mut())
                    .cast()
            },
            outputs: &mut |i| {
                let given = into
                    .get(i)
                    .map(|place| place.address(i, self.plan.outputs[i]));
                match given {
                    Some(Ok(first)) => first,
                    Some(Err(_)) | None => match i.checked_sub(outputs.len()) {
                        Some(guard) => first_guard.wrapping_add(guard).cast(),
                        None => outputs[i].as_mut_ptr().cast(),
                    },
                }
            },
            uniforms: &[],
            seeds: &recorded.seeds,
            step: *step,
        };
        // SAFETY: the inputs were checked to have the ports' types and shapes, feeds answer the same each time (the
        // trait is sealed), and they are borrowed for the call; a program has no updates, so they are only read.
        // Outputs are this workspace's own, sized for their ports (a guard is one element, which a word holds; no other
        // borrow of the words lives), or the caller's, borrowed exclusively and found to be of their ports' sizes (bools
        // excepted by type: kernels write any number that fits a port).
        let ran = unsafe { memory.run(&self.plan, given) };
        if let Some(failure) = self.failed_guard(ws, &ran)? {
            return Ok(Some(failure));
        }
        ran?;
        if !ws.repeat {
            ws.step += 1;
        }
        Ok(None)
    }

    /// The first guard that does not hold. A run that met an error may have met it on a branch that these inputs do not
    /// take, so guards are asked first; but not one that was computed from what went wrong, which says nothing.
    fn failed_guard(&self, ws: &Workspace, ran: &Result<()>) -> Result<Option<Failure>> {
        let wrong = match ran {
            Ok(()) => None,
            Err(error) => match (ws.memory.fault(), error.kind()) {
                (Some(site), _) => Some((site, error)),
                // The check of finished values: all was computed.
                (None, ErrorKind::NotFinite) => None,
                (None, _) => return Err(error.clone()),
            },
        };
        let count = self.recorded.outputs.len();
        for (i, guard) in self.recorded.guards.iter().enumerate() {
            if let Some((site, error)) = wrong
                && self.plan.depends(self.plan.results[count + i], site)
            {
                return Err(error.clone());
            }
            let found = ws.guards[i];
            if found != guard.expected {
                return Ok(Some(Failure { guard: i, found }));
            }
        }
        Ok(None)
    }

    /// Source lines of the guards, in the order in which the closure read the values.
    pub fn guards(&self) -> impl Iterator<Item = &'static Location<'static>> + '_ {
        self.recorded.guards.iter().map(|g| g.location)
    }
}

/// That there are as many inputs as a program takes.
pub(super) fn check_count(taken: usize, inputs: &dyn Feed) -> Result<()> {
    if inputs.count() == taken {
        return Ok(());
    }
    let given = inputs.count();
    let message = format!("the program takes {taken} inputs, given were {given}");
    Err(Error::new(ErrorKind::Inputs, message))
}

impl Recorded {
    pub(super) fn check_feed(&self, inputs: &dyn Feed) -> Result<()> {
        check_count(self.inputs.len(), inputs)?;
        for (i, &v) in self.inputs.iter().enumerate() {
            let (shape, dtype) = (self.list.shape_ref(v), self.list.dtype(v));
            let elements = inputs.elements(i, dtype, shape);
            if elements.is_none_or(|bytes| bytes.len() < shape.len() * dtype.size()) {
                return Err(self.misfit(inputs, i));
            }
        }
        Ok(())
    }

    /// Why an input does not do.
    #[cold]
    fn misfit(&self, inputs: &dyn Feed, i: usize) -> Error {
        let port = match feed::port(inputs, i) {
            Ok(port) => port,
            Err(error) => return error,
        };
        let v = self.inputs[i];
        let (shape, dtype) = (self.list.shape(v), self.list.dtype(v));
        if port.shape() == shape && port.dtype() == dtype {
            return Error::internal("an input has fewer elements than its shape");
        }
        let message = format!(
            "input {i} is {} {}, the program was recorded for {shape} {dtype}",
            port.shape(),
            port.dtype()
        );
        Error::new(ErrorKind::Inputs, message)
    }
}

impl Plan {
    /// Whether `v` is computed from `from`. Asked when a run has failed.
    fn depends(&self, v: Value, from: Value) -> bool {
        let mut reached = vec![false; v.index() + 1];
        reached[v.index()] = true;
        for at in self.list.values().take(v.index() + 1).rev() {
            if reached[at.index()] {
                if at == from {
                    return true;
                }
                let args = self.list.args(at).iter();
                args.for_each(|a| reached[a.index()] = true);
            }
        }
        false
    }
}

/// A value's first element as bits: what guards compare, exact for every type.
pub(crate) fn bits(dtype: DType, bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..dtype.size()].copy_from_slice(&bytes[..dtype.size()]);
    u64::from_ne_bytes(word)
}

/// A guard's value for a message.
fn shown(dtype: DType, bits: u64) -> String {
    match dtype {
        DType::Bool => (bits != 0).to_string(),
        DType::I64 => (bits as i64).to_string(),
        DType::U32 | DType::F32 | DType::F64 => bits.to_string(),
    }
}
