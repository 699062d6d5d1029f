//! What compilation collects step by step: groups and kernels with the phases they take.

use std::num::NonZeroUsize;

use retrograde_ops::thresholds::{BLOCK_ELEMENTS, BLOCK_NS, BLOCKS_A_THREAD};
use retrograde_ops::tile::{CacheSizes, Request};
use retrograde_storage::PACKET_BYTES;
use rustc_hash::FxHashMap;

use super::chain::{Chain, Links};
use super::kernel::Kernel;
use super::options::Options;
use super::plan::{Phase, PlannedGroup};
use crate::list::{List, Value};
use crate::passes::emit::GroupStep;
use crate::passes::fuse::{StepId, is_scalar};
use crate::{Error, Result};

/// What compilation collects step by step.
#[derive(Default)]
pub(super) struct Build {
    pub(super) options: Options,
    pub(super) step: u32,
    /// Steps whose blocks go on with the next step's.
    pub(super) chained: Vec<StepId>,
    /// Each with the steps it is made of.
    pub(super) chains: Vec<(Links, Chain)>,
    /// By step: phases when it was complete.
    pub(super) ends: Vec<(StepId, usize)>,
    /// Whether the step before overwrites external memory.
    pub(super) updates: bool,
    pub(super) groups: Vec<PlannedGroup>,
    pub(super) kernels: Vec<Kernel>,
    pub(super) scalars: Vec<Vec<Value>>,
    pub(super) phases: Vec<(Phase, usize)>,
    /// Memory that steps need beside their values: `(step, packets)`.
    pub(super) requests: Vec<(u32, usize)>,
    pub(super) table: usize,
    pub(super) scratch: usize,
    pub(super) cost: f64,
}

impl Build {
    /// Memory for this step alone, beside its values: the number of the request.
    pub(super) fn request(&mut self, packets: usize) -> usize {
        self.requests.push((self.step, packets));
        self.requests.len() - 1
    }

    /// Adds a group; `direct` are the values that overwrite inputs.
    pub(super) fn group(
        &mut self,
        step: GroupStep,
        list: &List,
        direct: &FxHashMap<Value, Value>,
    ) -> Result<()> {
        step.group
            .check()
            .map_err(|e| Error::internal(&format!("group of step {}: {e}", self.step)))?;
        let space: f64 = step.group.space.iter().map(|&d| d as f64).product();
        let element_ns = step.group.ops.len() as f64 * ELEMENT_NS;
        self.cost += space * element_ns;
        let tile_packets = self.options.tile;
        let geometry = step.group.geometry(Request {
            tile_packets: tile_packets.unwrap_or_else(|| step.group.tile_packets(caches())),
            block_elements: block_elements(space, element_ns, self.options.threads()),
        });
        step.group.bind(self.options.level, &geometry);
        self.scratch = self.scratch.max(step.group.scratch_packets(&geometry));
        let partials: Vec<Option<usize>> = (step.results.iter().enumerate())
            .map(|(r, &v)| {
                // What overwrites an input waits until all blocks have read it.
                let own = !is_scalar(list, v) && !direct.contains_key(&v);
                let in_place = own && step.group.partial_is_result(r);
                (!in_place).then(|| self.request(step.group.partial_bytes(r) / PACKET_BYTES))
            })
            .collect();
        let number = self.groups.len();
        self.phases
            .push((Phase::Group(number), step.group.blocks(&geometry)));
        if partials.iter().any(Option::is_some) {
            self.phases.push((Phase::Finish(number), 1));
        }
        let table = self.table;
        self.table += step.bases.len();
        self.groups.push(PlannedGroup {
            step,
            geometry,
            partials,
            table,
            windows: 0,
        });
        Ok(())
    }

    /// Adds a kernel.
    pub(super) fn kernel(&mut self, mut kernel: Kernel) {
        self.cost += kernel.cost_ns();
        self.scratch = self.scratch.max(kernel.scratch_packets());
        let shared = kernel.shared_packets();
        kernel.shared = (shared > 0).then(|| self.request(shared));
        let number = self.kernels.len();
        self.phases.extend(
            kernel
                .phases()
                .into_iter()
                .enumerate()
                .map(|(sub, blocks)| (Phase::Kernel(number, sub), blocks)),
        );
        self.kernels.push(kernel);
    }
}

/// This machine's caches, looked up once.
fn caches() -> &'static CacheSizes {
    static CACHES: std::sync::OnceLock<CacheSizes> = std::sync::OnceLock::new();
    CACHES.get_or_init(CacheSizes::detect)
}

/// Nanoseconds that an element takes in one micro-op: L1 traffic of two loads and a store, measured 0.05 to 0.3.
const ELEMENT_NS: f64 = 0.1;

/// Elements of a group's space that make a block.
fn block_elements(space: f64, element_ns: f64, threads: usize) -> NonZeroUsize {
    if threads == 1 {
        // Nobody to share with: as few beginnings as there can be.
        return BLOCK_ELEMENTS;
    }
    let fair = space / (threads * BLOCKS_A_THREAD) as f64;
    let least = BLOCK_NS / element_ns.max(ELEMENT_NS);
    let elements = fair.max(least).min(BLOCK_ELEMENTS.get() as f64);
    NonZeroUsize::new(elements as usize).unwrap_or(NonZeroUsize::MIN)
}
