//! What can be measured: a step that is repeated, and results that are checked.

use crate::results::Results;

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
}

/// What a builder needs to know beyond the workload itself.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Threads that a run may use.
    pub threads: usize,
}

/// Makes a workload ready.
pub type Build = fn(&Config) -> Result<Box<dyn Workload>, String>;
