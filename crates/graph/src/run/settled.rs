//! Large pages for the memory of callers: for arrays that a workspace meets run after run in the same place.
//!
//! Inputs are vectors that users filled, in pages of 4 KB; those that are streamed through again and again are worth
//! having the system copy them to large pages, once. What is replaced every few runs is not: that copy takes as long as a
//! few tens of runs gain.

use super::pages;
use super::plan::{Plan, Port};

/// Runs in a row that must find an array in its place.
const RUNS: u32 = 8;

/// Where a workspace's large inputs and outputs stood in the last runs.
#[derive(Debug)]
pub(super) struct Settled(Vec<Met>);

/// An input or output.
#[derive(Debug)]
struct Met {
    output: bool,
    index: usize,
    bytes: usize,
    /// Where it was last, and in how many runs in a row. Counting ends at [`RUNS`].
    at: usize,
    runs: u32,
}

impl Settled {
    /// For the inputs and outputs of `plan`; `None` if none is large.
    pub(super) fn new(plan: &Plan) -> Option<Self> {
        let met = |(output, index, port): (bool, usize, &Port)| Met {
            output,
            index,
            bytes: port.shape.len() * port.dtype.size(),
            at: 0,
            runs: 0,
        };
        let inputs = plan.inputs.iter().enumerate();
        let inputs = inputs.map(|(i, (port, _))| (false, i, port));
        let outputs = plan.outputs.iter().enumerate();
        let outputs = outputs.map(|(i, port)| (true, i, port));
        let all = inputs.chain(outputs).map(met);
        let large: Vec<Met> = all.filter(|met| met.bytes >= pages::SETTLED).collect();
        (!large.is_empty()).then_some(Self(large))
    }

    /// Takes note of a run's addresses.
    pub(super) fn meet(&mut self, externals: &[*mut u8], outputs: &[*mut u8]) {
        for met in &mut self.0 {
            let of = if met.output { outputs } else { externals };
            let first = of[met.index];
            if met.at != first.addr() {
                (met.at, met.runs) = (first.addr(), 0);
            }
            if met.runs < RUNS {
                met.runs += 1;
                if met.runs == RUNS {
                    pages::collapse(first, met.bytes);
                }
            }
        }
    }
}
