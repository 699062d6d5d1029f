//! A plan: everything that is decided before a program runs.

use std::num::NonZeroUsize;

use retrograde_ops::Level;
use retrograde_ops::scalar;
use retrograde_ops::thresholds::{BLOCK_ELEMENTS, BLOCK_NS, BLOCKS_A_THREAD};
use retrograde_ops::tile::{CacheSizes, Code, Geometry, Request};
use retrograde_storage::{DType, Id, PACKET_BYTES, Packed, Shape};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::chain::{Chain, Known, Links, beside, chain};
use super::kernel::{Kernel, kernels};
use super::team::MOST_THREADS;
use crate::check::{Audit, Check};
use crate::list::{List, Value};
use crate::op::Op;
use crate::passes::emit::{self, GroupStep};
use crate::passes::fuse::{self, READY, Step, StepId, is_scalar};
use crate::passes::hoist::hoist;
use crate::passes::legalise::legalise;
use crate::passes::memory::{self, Memory, Place, Span};
use crate::passes::places::Places;
use crate::passes::rebuild::{Job, rebuild};
use crate::passes::remat;
#[cfg(debug_assertions)]
use crate::passes::verify;
use crate::{Error, ErrorKind, Result};

/// How to compile and run: the defaults are what users want, the rest is for tests and measurements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// SIMD level; the machine's widest unless `RETROGRADE_LEVEL` or the builder lowers it.
    pub level: Level,
    /// Threads that may work on one run, the caller included; 0: as many as the rayon pool has.
    /// More than 65 are 65.
    pub threads: usize,
    /// Folding and common subexpressions.
    pub optimise: bool,
    /// Fusion into groups.
    pub fuse: bool,
    /// Buffers that are not live at the same time share memory.
    pub share: bool,
    /// Memory is filled with NaN when its last reader is done.
    pub poison: bool,
    /// Packets a slot takes in a tile, or what fits the caches.
    pub tile: Option<NonZeroUsize>,
    /// Bytes that values between inputs and outputs may take at once ([`Cost::arena_bytes`](crate::Cost)). A derivative
    /// that takes more computes parts of the function again instead of keeping their values, with the same bits:
    /// [`Cost::recomputed`](crate::Cost) tells which. A program that cannot fit is an error that names the least it takes.
    pub memory_budget: Option<usize>,
    /// Whether a run whose results hold NaN (or infinities) is an error that names the operation they come from.
    pub check: Check,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            level: level(),
            threads: 0,
            optimise: true,
            fuse: true,
            share: true,
            poison: false,
            tile: None,
            memory_budget: None,
            check: Check::Off,
        }
    }
}

impl Options {
    /// Threads that may work on a run.
    fn threads(&self) -> usize {
        let asked = match self.threads {
            0 => rayon::current_num_threads(),
            n => n,
        };
        asked.min(MOST_THREADS)
    }
}

/// The level of this process: the widest, or the one that `RETROGRADE_LEVEL` names if the machine has it.
pub fn level() -> Level {
    static LEVEL: std::sync::OnceLock<Level> = std::sync::OnceLock::new();
    *LEVEL.get_or_init(|| {
        let best = Level::detect();
        let forced = std::env::var("RETROGRADE_LEVEL")
            .ok()
            .and_then(|name| Level::from_name(&name));
        forced.filter(|l| l.runs_on(best)).unwrap_or(best)
    })
}

/// One phase of a run: work that needs everything before it, cut into blocks that threads claim.
#[derive(Debug)]
pub(crate) enum Phase {
    /// A fused group's tiles; without blocks if they run with those of a kernel, see [`chain`](super::chain).
    Group(usize),
    /// Combines the partial results of a group's reductions.
    Finish(usize),
    /// Scalar instructions.
    Scalars(usize),
    /// A kernel, and which of its own phases.
    Kernel(usize, usize),
    /// A longer [`Chain`], whose groups and kernels have phases without blocks behind it.
    Chain(usize),
    /// Fills dead memory with NaN (a test option): first packet, packets.
    Poison(usize, usize),
}

/// A group with its cut and memory.
#[derive(Debug)]
pub(crate) struct PlannedGroup {
    pub step: GroupStep,
    pub geometry: Geometry,
    /// By reduction: first packet of its partial results in the arena; `None` if they stand where the result does.
    pub partials: Vec<Option<usize>>,
    /// First entry in the table of base addresses.
    pub table: usize,
    /// Bits of the views whose memory is a window of a chain.
    pub windows: u32,
}

/// Scalar instructions.
#[derive(Debug)]
pub(crate) struct PlannedScalars {
    pub program: scalar::Program,
    /// What it computes, in order.
    pub values: Vec<Value>,
}

/// An input or output as the plan sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Port {
    pub shape: Shape,
    pub dtype: DType,
}

/// A compiled program. Immutable; any number of workspaces run it at once.
#[derive(Debug)]
pub(crate) struct Plan {
    pub list: List,
    /// By row of the list: the value of the recording whose instruction it serves.
    pub origin: Vec<Value>,
    /// By external: the value of the recording it stands for.
    pub externals: Vec<Value>,
    /// By external: type, shape, and the cell it is copied to if it is a scalar.
    pub inputs: Vec<(Port, Option<u32>)>,
    pub outputs: Vec<Port>,
    /// By output: the value.
    pub results: Vec<Value>,
    pub phases: Vec<(Phase, usize)>,
    /// The first phase that overwrites external memory: what may fail comes before, and if it did the run ends here.
    pub commit: usize,
    pub groups: Vec<PlannedGroup>,
    pub scalars: Vec<PlannedScalars>,
    pub kernels: Vec<Kernel>,
    pub chains: Vec<Chain>,
    /// Scalars that are outputs, guards among them: `(cell, output, bytes)`. The first phase that copies one copies all.
    pub copies: Vec<(u32, u32, usize)>,
    /// Whether there is a phase of several blocks, for several threads.
    pub shares: bool,
    pub place: Vec<Place>,
    /// What cells hold when a run starts: `(cell, bits)` of literals, `(cell, number)` of scalars that are data.
    pub literals: Vec<(u32, u64)>,
    pub uniforms: Vec<(u32, u32, DType)>,
    pub cells: usize,
    pub arena: usize,
    pub spans: Vec<(Packed<Value>, Span)>,
    pub scratch: usize,
    /// Packets of a thread's windows, behind its scratch.
    pub windows: usize,
    /// Entries in the table of base addresses.
    pub table: usize,
    pub options: Options,
    /// Estimated nanoseconds on one core.
    pub cost: f64,
    /// Looks for the origin of NaN, if asked for.
    pub audit: Option<Box<Audit>>,
}

/// Nanoseconds a scalar instruction takes: measured 0.8 to 4, dispatch and all.
const SCALAR_NS: f64 = 2.0;

/// What compilation collects step by step.
#[derive(Default)]
struct Build {
    options: Options,
    step: u32,
    /// Steps whose blocks go on with the next step's.
    chained: Vec<StepId>,
    /// Each with the steps it is made of.
    chains: Vec<(Links, Chain)>,
    /// By step: phases when it was complete.
    ends: Vec<(StepId, usize)>,
    /// Whether the step before overwrites external memory.
    updates: bool,
    groups: Vec<PlannedGroup>,
    kernels: Vec<Kernel>,
    scalars: Vec<Vec<Value>>,
    phases: Vec<(Phase, usize)>,
    /// Memory that steps need beside their values: `(step, packets)`.
    requests: Vec<(u32, usize)>,
    table: usize,
    scratch: usize,
    cost: f64,
}

impl Build {
    fn request(&mut self, packets: usize) -> usize {
        self.requests.push((self.step, packets));
        self.requests.len() - 1
    }

    /// Adds a group; `direct` are the values that overwrite inputs.
    fn group(
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

    /// Tries to make the step just added, a group or the kernel of a product, and the one before it links of a longer chain.
    fn lengthen(&mut self, list: &List, step_of: &[StepId]) {
        if self.options.memory_budget.is_some() {
            // What a chain hands on and others read lives longer.
            return;
        }
        let mut own = self
            .phases
            .iter()
            .rev()
            .filter_map(|(phase, _)| match *phase {
                Phase::Group(g) => Some((false, g)),
                Phase::Kernel(k, _) => Some((true, k)),
                _ => None,
            });
        let Some(latest) = own.next() else { return };
        let Some(previous) = own.find(|link| *link != latest) else {
            return;
        };
        // Other steps may stand between, or the step before be one of those.
        let before = match previous {
            (true, k) => Some(self.kernels[k].value),
            (false, g) => self.groups[g].step.values.first().copied(),
        };
        if before.is_none_or(|v| step_of[v.index()] + 1 != self.step) {
            return;
        }
        let open = match self.chains.last() {
            // The chain that the step before ends.
            Some((links, _)) if self.chained.last() == Some(&(self.step.saturating_sub(2))) => {
                let last = links.stages.last();
                let ends = last.is_some_and(|&(_, group, after)| match previous {
                    (true, k) => after == Some(k),
                    (false, g) => after.is_none() && group == g,
                });
                ends.then(|| links.clone())
            }
            _ => None,
        };
        let reopened = open.is_some();
        let links = match (previous, latest, open) {
            ((true, _), (false, group), Some(mut links)) => {
                links.stages.push((None, group, None));
                links
            }
            ((false, _), (true, k), Some(mut links)) => {
                links.stages.last_mut().expect("a chain has links").2 = Some(k);
                links
            }
            ((true, k), (false, group), None) if !self.kernels[k].in_chain => Links {
                first: self.step - 1,
                stages: vec![(Some(k), group, None)],
            },
            ((false, group), (true, k), None) => {
                // The group may already run with the blocks of a product.
                let before = self.kernels.iter().position(|kernel| {
                    let then = kernel.then.as_ref();
                    then.is_some_and(|then| then.group == group)
                });
                Links {
                    first: self.step - 1 - StepId::from(before.is_some()),
                    stages: vec![(before, group, Some(k))],
                }
            }
            _ => return,
        };
        let chain = {
            let known = Known {
                list,
                step_of,
                kernels: &self.kernels,
                groups: &self.groups,
                threads: self.options.threads(),
            };
            Chain::new(&known, &links)
        };
        let Some(chain) = chain else { return };
        if chain.products().any(|k| self.kernels[k].beside.is_some()) {
            return;
        }
        self.link(links, chain, reopened);
    }

    /// Puts a chain in the place of the phases of its links: what products share first, then the chain, then the rest.
    fn link(&mut self, links: Links, chain: Chain, reopened: bool) {
        if reopened {
            self.chains.pop();
        }
        let number = self.chains.len();
        let products: Vec<usize> = chain.products().collect();
        let mut shared = Vec::new();
        for &k in &products {
            self.kernels[k].cut_by_rows(chain.unit(), chain.blocks());
            self.kernels[k].in_chain = true;
            self.kernels[k].then = None;
            self.scratch = self.scratch.max(self.kernels[k].scratch_packets());
            let packets = self.kernels[k].shared_packets();
            if packets > 0 && self.kernels[k].shared.is_none() {
                self.kernels[k].shared = Some(self.request(packets));
            }
            if let [parts, _] = self.kernels[k].phases()[..] {
                shared.push((Phase::Kernel(k, 0), parts));
            }
        }
        let is_link = |phase: &Phase| match phase {
            Phase::Kernel(k, _) => products.contains(k),
            Phase::Group(g) => chain.stages.iter().any(|stage| stage.group == *g),
            Phase::Chain(c) => *c == number,
            _ => false,
        };
        let first = self.phases.iter().position(|(phase, _)| is_link(phase));
        let rest = self.phases.split_off(first.unwrap_or(self.phases.len()));
        self.phases.extend(shared);
        self.phases.push((Phase::Chain(number), chain.blocks()));
        let of = |phase: &Phase| match *phase {
            Phase::Kernel(k, _) if products.contains(&k) => Some(k),
            _ => None,
        };
        let mut last_of: FxHashMap<usize, usize> = FxHashMap::default();
        for (at, (phase, _)) in rest.iter().enumerate() {
            of(phase).and_then(|k| last_of.insert(k, at));
        }
        for (at, (phase, blocks)) in rest.into_iter().enumerate() {
            match phase {
                Phase::Chain(c) if c == number => {}
                Phase::Kernel(k, _) if products.contains(&k) => {
                    if last_of.get(&k) == Some(&at) {
                        let last = self.kernels[k].phases().len() - 1;
                        self.phases.push((Phase::Kernel(k, last), 0));
                    }
                }
                phase if is_link(&phase) => self.phases.push((phase, 0)),
                phase => self.phases.push((phase, blocks)),
            }
        }
        // What dies within a chain lives to its end: only what was complete before it counts.
        let complete = self.phases.len();
        let inside = self.ends.iter_mut().filter(|end| end.0 >= links.first);
        inside.for_each(|end| end.1 = complete);
        let steps = links.first..self.step;
        self.chained.extend(
            steps
                .filter(|s| !self.chained.contains(s))
                .collect::<Vec<_>>(),
        );
        self.chains.push((links, chain));
    }

    /// Chains the group just added to the kernel of the step before, if it can be; whether it is.
    fn chain(&mut self, list: &List, places: &Places, overwritten: &[Value]) -> bool {
        let at = self
            .phases
            .iter()
            .rposition(|(phase, _)| matches!(phase, Phase::Group(_)));
        let Some((at, &(Phase::Kernel(k, _), blocks))) =
            at.and_then(|at| Some((at, self.phases.get(at.checked_sub(1)?)?)))
        else {
            return false;
        };
        let number = self.groups.len() - 1;
        let chained = {
            let beside = self.kernels[k].beside.map(|first| &self.kernels[first]);
            let kernels = beside.into_iter().chain([&self.kernels[k]]);
            let kernels: SmallVec<[&Kernel; 2]> = kernels.collect();
            chain(
                (list, places),
                &kernels,
                blocks,
                (number, &self.groups[number]),
                overwritten,
                self.options.threads(),
            )
        };
        let is_chained = chained.is_some();
        if is_chained {
            self.phases[at].1 = 0;
            self.kernels[k].then = chained;
            self.chained.push(self.step - 1);
        }
        is_chained
    }

    /// Runs the blocks of the kernel just added with those of the kernel of the step before, if they can be.
    fn beside(&mut self, list: &List, places: &Places, direct: &FxHashMap<Value, Value>) {
        let Some(&[(Phase::Kernel(first, 0), _), (Phase::Kernel(second, 0), _)]) =
            self.phases.last_chunk()
        else {
            return;
        };
        let pair = [&self.kernels[first], &self.kernels[second]];
        let updates = pair.iter().any(|kernel| direct.contains_key(&kernel.value));
        if pair[0].beside.is_none() && !updates && beside(list, places, pair[0], pair[1]) {
            let at = self.phases.len() - 2;
            self.phases[at].1 = 0;
            self.kernels[second].beside = Some(first);
            self.chained.push(self.step - 1);
        }
    }

    fn kernel(&mut self, mut kernel: Kernel) {
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

impl Plan {
    /// Compiles what a job asks for.
    pub(crate) fn compile(job: &Job<'_>, options: Options) -> Result<Self> {
        let mut built = rebuild(job, options.optimise);
        let mut places = Places::resolve(&built.list);
        if let Some(legal) = legalise(&built, &places) {
            built = legal;
            places = Places::resolve(&built.list);
        }
        let mut steps = fuse::assign(&built, &places, options.fuse);
        if options.optimise
            && options.fuse
            && let Some(again) = remat::rematerialise(&built, &places, &steps)
        {
            built = again;
            places = Places::resolve(&built.list);
            steps = fuse::assign(&built, &places, options.fuse);
        }
        if options.fuse {
            hoist(&built, &places, &mut steps);
        }
        #[cfg(debug_assertions)]
        verify::steps(&built.list, &places, &steps);
        let list = &built.list;
        let stored = memory::stored(&built, &places, &steps);
        // Groups and kernels first: they say how much memory they need beside their values.
        let mut build = Build {
            options,
            ..Build::default()
        };
        let direct: FxHashMap<Value, Value> = (built.updates.iter().zip(&steps.direct))
            .filter(|(_, direct)| **direct)
            .map(|(&(input, v), _)| (v, input))
            .collect();
        for (number, step) in steps.steps.iter().enumerate().skip(READY as usize + 1) {
            build.step = number as u32;
            match step {
                Step::Group(members) => {
                    let own = |v: Value| steps.of[v.index()] == number as StepId;
                    let step = emit::group(list, &places, members, own, &stored, &direct);
                    build.group(step, list, &direct)?;
                    if options.fuse {
                        let updates = direct.iter().filter(|&(&v, _)| own(v));
                        let overwritten: Vec<Value> = updates.map(|(_, &input)| input).collect();
                        let chained = build.chain(list, &places, &overwritten);
                        if overwritten.is_empty() && !build.updates && !chained {
                            build.lengthen(list, &steps.of);
                        }
                        build.updates = !overwritten.is_empty();
                    }
                }
                Step::Kernel(v) if list.op(*v) == Op::Iota => {
                    build.group(emit::iota(list, *v), list, &direct)?;
                }
                Step::Kernel(v) => {
                    for kernel in kernels(list, &places, *v, options)? {
                        build.kernel(kernel);
                    }
                    if options.fuse {
                        let updates = direct.contains_key(v);
                        build.beside(list, &places, &direct);
                        if list.op(*v) == Op::MatMul && !updates && !build.updates {
                            build.lengthen(list, &steps.of);
                        }
                        build.updates = updates;
                    }
                }
                Step::Scalars(values) => {
                    build.cost += values.len() as f64 * SCALAR_NS;
                    build.phases.push((Phase::Scalars(build.scalars.len()), 1));
                    build.scalars.push(values.clone());
                }
            }
            build.ends.push((number as u32, build.phases.len()));
        }
        let mut windowed = Vec::new();
        let mut windows = 0;
        for (_, chain) in &build.chains {
            let known = Known {
                list,
                step_of: &steps.of,
                kernels: &build.kernels,
                groups: &build.groups,
                threads: options.threads(),
            };
            let (of, packets) = chain.windows(&known);
            windowed.extend(of);
            windows = windows.max(packets);
        }
        let Memory {
            place,
            arena,
            cells,
            spans,
            copied,
            late,
            extra,
        } = memory::plan(
            &built,
            &places,
            &steps,
            &stored,
            memory::Requests {
                extra: &build.requests,
                chained: &build.chained,
                windows: &windowed,
            },
            options.share,
        );
        // What could not be written in place is copied when all else is done.
        for (v, output) in copied {
            build.kernel(Kernel::copy_out(list, &places, v, Place::Output(output)));
        }
        for k in late {
            let (input, v) = built.updates[k];
            build.kernel(Kernel::copy_out(
                list,
                &places,
                v,
                Place::External(list.attr(input).as_int() as u32),
            ));
        }
        let Build {
            mut groups,
            mut kernels,
            scalars: scalar_steps,
            mut phases,
            table,
            scratch,
            cost,
            chains,
            ends,
            ..
        } = build;
        for group in &mut groups {
            let bases = group.step.bases.iter().enumerate();
            let in_window =
                bases.filter(|(_, base)| matches!(place[base.0.index()], Place::Window(_)));
            group.windows = in_window.fold(0, |bits, (view, _)| bits | 1 << view);
        }
        // Requests were numbered as they were made, and are answered in that order.
        groups
            .iter_mut()
            .flat_map(|g| g.partials.iter_mut().flatten())
            .for_each(|p| *p = extra[*p].1);
        kernels
            .iter_mut()
            .filter_map(|k| k.shared.as_mut())
            .for_each(|p| *p = extra[*p].1);
        kernels
            .iter_mut()
            .for_each(|k| k.scalar = k.scalar_copy(&place));
        let copies = kernels.iter().filter_map(|k| k.scalar).collect();
        let copies_scalar =
            |phase: &Phase| matches!(phase, Phase::Kernel(k, _) if kernels[*k].scalar.is_some());
        let later = phases.iter_mut().filter(|p| copies_scalar(&p.0)).skip(1);
        later.for_each(|p| p.1 = 0);
        if options.poison {
            insert_poison(&mut phases, &ends, &spans);
        }

        let scalars = scalar_steps.into_iter().map(|values| PlannedScalars {
            program: emit::scalars(list, &places, &values, &|v| place[v.index()]),
            values,
        });
        let scalars = scalars.collect();
        let port = |v: Value| Port {
            shape: list.shape(v),
            dtype: list.dtype(v),
        };
        let mut inputs = vec![None; built.externals.len()];
        let (mut literals, mut uniforms) = (Vec::new(), Vec::new());
        for v in list.values() {
            let cell = if let Place::Cell(c) = place[v.index()] {
                Some(c)
            } else {
                None
            };
            match (list.op(v), cell) {
                (Op::Input, cell) => inputs[list.attr(v).as_int() as usize] = Some((port(v), cell)),
                (Op::Const, Some(c)) => literals.push((c, emit::cell_bits(list, v))),
                (Op::Uniform, Some(c)) => {
                    uniforms.push((c, list.attr(v).as_int() as u32, list.dtype(v)));
                }
                _ => {}
            }
        }
        if arena
            .checked_mul(PACKET_BYTES)
            .is_none_or(|b| b > isize::MAX as usize)
            || arena > u32::MAX as usize
        {
            return Err(Error::new(
                ErrorKind::Memory,
                format!("the program needs {arena} packets of 64 bytes at once"),
            ));
        }
        let outputs = built.outputs.iter().map(|&v| port(v)).collect();
        let inputs = inputs
            .into_iter()
            .map(|i| i.expect("every external is an input of the list"))
            .collect();
        let mut plan = Self {
            inputs,
            outputs,
            commit: phases.len(),
            shares: phases.iter().any(|p| p.1 > 1),
            phases,
            groups,
            scalars,
            kernels,
            chains: chains.into_iter().map(|(_, chain)| chain).collect(),
            copies,
            place,
            literals,
            uniforms,
            cells,
            arena,
            spans,
            scratch,
            windows,
            table,
            options,
            cost,
            audit: None,
            results: built.outputs,
            origin: built.origin,
            externals: built.externals,
            list: built.list,
        };
        plan.commit = plan.first_update();
        #[cfg(debug_assertions)]
        verify::updates(&plan, &places);
        Ok(plan)
    }

    fn first_update(&self) -> usize {
        let updates = |place: Place| matches!(place, Place::External(_));
        let overwrites = |v: Value| self.list.op(v) != Op::Input && updates(self.place[v.index()]);
        let stores = |g: usize| {
            let step = &self.groups[g].step;
            let mut stores = step.group.ops.iter().filter(|op| op.code == Code::Store);
            stores.any(|op| overwrites(step.bases[op.imm as usize].0))
        };
        let first = self.phases.iter().position(|(phase, _)| match *phase {
            Phase::Group(g) => stores(g),
            Phase::Finish(g) => self.groups[g].step.results.iter().any(|&v| overwrites(v)),
            Phase::Kernel(k, _) => {
                let kernel = &self.kernels[k];
                let own = kernel
                    .copies_to()
                    .map_or_else(|| overwrites(kernel.value), updates);
                own || kernel.then.as_ref().is_some_and(|then| stores(then.group))
            }
            // Its links have phases behind it.
            Phase::Scalars(_) | Phase::Chain(_) | Phase::Poison(..) => false,
        });
        first.unwrap_or(self.phases.len())
    }
}

/// After the last phase of the step in which a buffer dies, its memory becomes NaN.
fn insert_poison(
    phases: &mut Vec<(Phase, usize)>,
    ends: &[(u32, usize)],
    spans: &[(Packed<Value>, Span)],
) {
    let mut at: Vec<(usize, usize, usize)> = spans
        .iter()
        .filter_map(|(_, s)| {
            let end = ends.binary_search_by_key(&s.dies, |e| e.0).ok()?;
            Some((ends[end].1, s.start, s.len))
        })
        .collect();
    at.sort_unstable();
    for (phase, start, len) in at.into_iter().rev() {
        phases.insert(phase, (Phase::Poison(start, len), 1));
    }
}

impl Plan {
    /// Threads that may work on a run.
    pub(crate) fn threads(&self) -> usize {
        self.options.threads()
    }
}
