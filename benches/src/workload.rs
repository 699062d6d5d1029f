//! What can be measured: a step that is repeated, and results that are checked.

use crate::results::Results;
use serde::{Deserialize, Serialize};

/// A workload made ready: inputs built, programs compiled.
///
/// Errors are text: they end up in a report's row.
pub trait Workload {
    /// Restores fresh parameters and moments; nothing to do but for training. Not timed.
    ///
    /// # Errors
    /// Whatever stops the workload.
    fn reset(&mut self) -> Result<(), String> {
        Ok(())
    }

    /// One step: value and gradients materialised (for training: forward, backward and update).
    ///
    /// # Errors
    /// Whatever stops the workload.
    fn step(&mut self) -> Result<(), String>;

    /// Runs from fresh parameters and hands back value and gradients. Not timed.
    ///
    /// # Errors
    /// Whatever stops the workload.
    fn results(&mut self) -> Result<Results, String>;

    /// The value alone, with no derivative and no update: what a step is compared with.
    ///
    /// # Errors
    /// Whatever stops the workload; that it has no such form.
    fn primal(&mut self) -> Result<(), String> {
        Err("the value is not computed alone".into())
    }

    /// What a step takes as the compiler knows it.
    fn cost(&mut self) -> Option<StepCost> {
        None
    }

    /// Makes the step's program anew from what is recorded or, for a tape, from a first step.
    ///
    /// # Errors
    /// Whatever stops the workload; that nothing is compiled.
    fn compile(&mut self) -> Result<(), String> {
        Err("nothing is compiled".into())
    }
}

/// What a step takes, known before it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepCost {
    /// Instructions after optimisation.
    pub instructions: usize,
    /// Arithmetic operations.
    pub flops: u64,
    /// Bytes that pass from one fused step to another.
    pub bytes: u64,
    /// The planned peak of memory: inputs, parameters with their moments, results and what lies between.
    pub planned_bytes: usize,
}

/// What a builder needs to know beyond the workload itself.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Threads that a run may use.
    pub threads: usize,
}

/// Makes a workload ready.
pub type Build = fn(&Config) -> Result<Box<dyn Workload>, String>;
