//! A plan: everything that is decided before a program runs.

use retrograde_ops::scalar;
use retrograde_ops::tile::{Code, Geometry};
use retrograde_storage::{DType, Id, PACKET_BYTES, Packed, Shape};
use rustc_hash::FxHashMap;

use super::build::Build;
use super::chain::{Chain, Known};
use super::kernel::{Kernel, kernels};
use super::options::Options;
use crate::check::Audit;
use crate::list::{List, Value};
use crate::op::Op;
use crate::passes::emit::{self, GroupStep};
use crate::passes::fuse::{self, READY, Step, StepId};
use crate::passes::hoist::hoist;
use crate::passes::legalise::legalise;
use crate::passes::memory::{self, Memory, Place, Span};
use crate::passes::places::Places;
use crate::passes::rebuild::{Job, rebuild};
use crate::passes::remat;
#[cfg(debug_assertions)]
use crate::passes::verify;
use crate::{Error, ErrorKind, Result};

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
        let shares = |k: &Kernel| k.shared.map_or(0, |request| build.requests[request].1);
        debug_assert!(
            build
                .kernels
                .iter()
                .all(|k| shares(k) >= k.shared_packets()),
            "a kernel has the memory that its blocks share"
        );
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
