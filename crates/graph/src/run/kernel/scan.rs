//! A scan: the plan of its body, replayed once a step in memory of its own.
//!
//! A step reads what the one before computed where that put it: the last carries go straight to the result, those before
//! alternate with a spare buffer so that they end up there, and carries that are stacked are computed in the stack.
//! Nothing is copied but the first carry into its stack. Per-step inputs and outputs are addresses that advance.

use retrograde_ops::structured::{ErrorCell, Fault, Mismatch};
use retrograde_storage::{Id, PACKET_BYTES, Packet};

use super::{Block, Operand, Work};
use crate::body::Body;
use crate::check::Check;
use crate::list::{List, Value};
use crate::passes::memory::Place;
use crate::passes::places::Places;
use crate::passes::rebuild::Job;
use crate::run::bind::{Bindings, Window};
use crate::run::fault;
use crate::run::options::Options;
use crate::run::phase::Run;
use crate::run::plan::{Phase, Plan};
use crate::{Error, Result};

/// Nanoseconds a step takes beside its body: addresses, and a jump a phase.
const STEP_NS: f64 = 30.0;

/// Where a step finds an input.
#[derive(Clone, Copy, Debug)]
enum From {
    Carry(usize),
    /// Of an operand, so many bytes a step.
    Step(usize, usize),
    Constant(usize),
}

/// An external of the body's plan.
#[derive(Clone, Copy, Debug)]
struct Input {
    from: From,
    /// A scalar's cell, and its bytes.
    cell: Option<(u32, usize)>,
}

/// An output of the body's plan.
#[derive(Clone, Copy, Debug)]
enum To {
    Carry(usize),
    /// Of the result: the first byte, and bytes a step.
    Stack(usize, usize),
}

/// A carry's memory.
#[derive(Clone, Copy, Debug)]
struct Carry {
    bytes: usize,
    /// First byte of the result's piece.
    last: usize,
    /// First byte of its stack in the result, if it is stacked.
    stack: Option<usize>,
    /// First packet of the spare buffer in the kernel's memory.
    spare: usize,
}

/// An output that is a carry's next value too: the plan computes it once, and it is copied to its stack.
#[derive(Clone, Copy, Debug)]
struct Same {
    carry: usize,
    /// First byte of the stack in the result.
    stack: usize,
}

/// First packets of the parts of the kernel's memory.
#[derive(Clone, Copy, Debug, Default)]
struct Layout {
    cells: usize,
    table: usize,
    externals: usize,
    outputs: usize,
    operands: usize,
    packets: usize,
}

/// An address in the table that moves with the steps.
#[derive(Clone, Copy, Debug)]
struct Moving {
    at: usize,
    of: Place,
    bytes: isize,
}

#[derive(Debug)]
pub(super) struct Scan {
    plan: Box<Plan>,
    length: usize,
    reverse: bool,
    fails: bool,
    operands: Vec<Operand>,
    result: Operand,
    carries: Vec<Carry>,
    inputs: Vec<Input>,
    outputs: Vec<To>,
    same: Vec<Same>,
    /// Phases with their blocks, but for those that copy a scalar to an output.
    phases: Vec<(usize, usize)>,
    /// Scalars that are outputs: `(cell, output, bytes)`.
    scalars: Vec<(u32, usize, usize)>,
    moving: Vec<Moving>,
    layout: Layout,
}

impl Scan {
    /// The kernel of `v`, an [`Op::Scan`](crate::op::Op::Scan), whose operands are dense.
    pub(super) fn new(options: Options, list: &List, places: &Places, v: Value) -> Result<Self> {
        let spec = list.scan_spec(v);
        let body = &*spec.body;
        let pieces = spec.pieces();
        let size = spec.dtype().size();
        let stacks: Vec<Option<usize>> = (0..body.carries).map(|i| body.stack_of(i)).collect();
        let stacked = |j: usize| stacks.contains(&Some(j));
        let same = (body.carries..body.outputs.len()).filter_map(|j| {
            let next = &body.outputs[..body.carries];
            let carry = next.iter().position(|&v| v == body.outputs[j])?;
            (!stacked(j)).then_some((j, carry))
        });
        let same: Vec<(usize, usize)> = same.collect();
        let repeated = |j: usize| same.iter().any(|&(repeated, _)| repeated == j);
        let computed = (0..body.outputs.len()).filter(|&j| !stacked(j) && !repeated(j));
        let computed: Vec<usize> = computed.collect();
        let same = same.iter().map(|&(j, carry)| Same {
            carry,
            stack: pieces[j].start * size,
        });
        let same = same.collect();
        let plan = body_plan(body, &computed, options)?;
        let operands: Vec<Operand> = list
            .args(v)
            .iter()
            .map(|&x| Operand::of(list, places, x))
            .collect();
        let inputs = plan.externals.iter().zip(&plan.inputs);
        let inputs: Vec<Input> = inputs
            .map(|(&external, &(port, cell))| {
                let (i, bytes) = (external.index(), port.shape.len() * port.dtype.size());
                let from = if i < body.carries {
                    From::Carry(i)
                } else if i < body.carries + body.steps {
                    From::Step(i, bytes)
                } else {
                    From::Constant(i)
                };
                let cell = cell.map(|c| (c, port.dtype.size()));
                Input { from, cell }
            })
            .collect();
        let outputs = computed.iter().map(|&j| {
            if j < body.carries {
                To::Carry(j)
            } else {
                let step = pieces[j].shape.len() / spec.length;
                To::Stack(pieces[j].start * size, step * size)
            }
        });
        let mut scalars = Vec::new();
        let mut phases = Vec::new();
        for (number, &(ref phase, blocks)) in plan.phases.iter().enumerate() {
            if let Phase::Kernel(k, _) = phase
                && let Some((cell, output, bytes)) = plan.kernels[*k].scalar
            {
                scalars.push((cell, output as usize, bytes));
            } else if blocks > 0 {
                phases.push((number, blocks));
            }
        }
        let mut layout = Layout::default();
        let mut end = plan.arena;
        let mut part = |bytes: usize| {
            let start = end;
            end += bytes.div_ceil(PACKET_BYTES);
            start
        };
        let pointer = size_of::<*mut u8>();
        layout.cells = part(plan.cells * size_of::<u64>());
        layout.table = part(plan.table * pointer);
        layout.externals = part(plan.inputs.len() * pointer);
        layout.outputs = part(plan.outputs.len() * pointer);
        layout.operands = part(operands.len() * pointer);
        let carries = (0..body.carries)
            .map(|i| {
                let bytes = pieces[i].shape.len() * size;
                Carry {
                    bytes,
                    last: pieces[i].start * size,
                    stack: stacks[i].map(|j| pieces[j].start * size),
                    spare: part(if stacks[i].is_some() { 0 } else { bytes }),
                }
            })
            .collect();
        layout.packets = end;
        let outputs: Vec<To> = outputs.collect();
        Ok(Self {
            moving: moving(&plan, &inputs),
            plan: Box::new(plan),
            length: spec.length,
            reverse: spec.reverse,
            fails: body.may_fail(),
            operands,
            result: Operand::result(list, v),
            carries,
            inputs,
            outputs,
            same,
            phases,
            scalars,
            layout,
        })
    }

    /// The plan of a step.
    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The element that step number `step` is about.
    fn element(&self, step: usize) -> usize {
        if self.reverse {
            self.length - 1 - step
        } else {
            step
        }
    }
}

/// Compiles those outputs of a body.
fn body_plan(body: &Body, computed: &[usize], options: Options) -> Result<Plan> {
    let outputs: Vec<Value> = computed.iter().map(|&j| body.outputs[j]).collect();
    let job = Job {
        list: &body.list,
        known: &[],
        outputs: &outputs,
        updates: &[],
    };
    let options = Options {
        threads: 1,
        check: Check::Off,
        ..options
    };
    let plan = Plan::compile(&job, options)?;
    if !plan.uniforms.is_empty() {
        return Err(Error::internal("the body of a scan has data of its own"));
    }
    Ok(plan)
}

/// The addresses of the plan's table that are not the same in every step.
fn moving(plan: &Plan, inputs: &[Input]) -> Vec<Moving> {
    let mut moving = Vec::new();
    for group in &plan.groups {
        let views = group.step.group.views.iter();
        for (i, (&(base, offset), view)) in group.step.bases.iter().zip(views).enumerate() {
            let of = plan.place[base.index()];
            let moves = match of {
                Place::External(e) => !matches!(inputs[e as usize].from, From::Constant(_)),
                Place::Output(_) => true,
                Place::Nowhere | Place::Arena(_) | Place::Cell(_) | Place::Window(_) => false,
            };
            if moves {
                moving.push(Moving {
                    at: group.table + i,
                    of,
                    bytes: offset * view.dtype.size() as isize,
                });
            }
        }
    }
    moving
}

/// The parts of a kernel's memory in one run.
#[derive(Clone, Copy)]
struct Parts {
    arena: *mut u8,
    cells: *mut u8,
    table: *mut *mut u8,
    externals: *mut *mut u8,
    outputs: *mut *mut u8,
    operands: *mut *mut u8,
    result: *mut u8,
}

impl Scan {
    fn parts(&self, at: &Block<'_>) -> Parts {
        let part = |packet: usize| at.shared.wrapping_add(packet).cast::<u8>();
        let layout = &self.layout;
        Parts {
            arena: part(0),
            cells: part(layout.cells),
            table: part(layout.table).cast(),
            externals: part(layout.externals).cast(),
            outputs: part(layout.outputs).cast(),
            operands: part(layout.operands).cast(),
            result: at.bindings.address(self.result.at),
        }
    }

    /// Where step `step` puts carry `i`.
    fn next(&self, parts: &Parts, i: usize, step: usize) -> *mut u8 {
        let carry = &self.carries[i];
        let left = self.length - 1 - step;
        match carry.stack {
            _ if left == 0 => parts.result.wrapping_add(carry.last),
            Some(stack) => {
                let t = self.element(step + 1);
                parts.result.wrapping_add(stack + t * carry.bytes)
            }
            None if left.is_multiple_of(2) => parts.result.wrapping_add(carry.last),
            None => parts.arena.wrapping_add(carry.spare * PACKET_BYTES),
        }
    }

    /// Where step `step` finds an input.
    ///
    /// # Safety
    /// The addresses of operands are written.
    unsafe fn input(&self, parts: &Parts, from: From, step: usize) -> *mut u8 {
        // SAFETY: the kernel's memory has an address for every operand.
        let operand = |i: usize| unsafe { *parts.operands.add(i) };
        match from {
            From::Carry(i) if step == 0 => operand(i),
            From::Carry(i) => self.next(parts, i, step - 1),
            From::Step(i, bytes) => operand(i).wrapping_add(self.element(step) * bytes),
            From::Constant(i) => operand(i),
        }
    }

    /// Everything before the first step.
    ///
    /// # Safety
    /// The contract of [`Work::run`].
    unsafe fn begin(&self, at: &Block<'_>, parts: &Parts) {
        for (i, operand) in self.operands.iter().enumerate() {
            let offset = operand.view.offset * operand.dtype.size() as isize;
            let address = at.bindings.address(operand.at).wrapping_offset(offset);
            // SAFETY: the kernel's memory has an address for every operand.
            unsafe { *parts.operands.add(i) = address }
        }
        for (i, carry) in self.carries.iter().enumerate() {
            if let Some(stack) = carry.stack {
                let to = parts
                    .result
                    .wrapping_add(stack + self.element(0) * carry.bytes);
                // SAFETY: the operand is dense and has the carry's elements, as the stack has for every step; results
                // and operands are apart.
                unsafe { std::ptr::copy_nonoverlapping(*parts.operands.add(i), to, carry.bytes) }
            }
        }
    }

    /// Addresses of one step, and its scalar inputs (the constants in the first step alone).
    ///
    /// # Safety
    /// As [`begin`](Self::begin), which came first.
    unsafe fn aim(&self, parts: &Parts, step: usize) {
        for (e, input) in self.inputs.iter().enumerate() {
            if step > 0 && matches!(input.from, From::Constant(_)) {
                continue;
            }
            // SAFETY: the kernel's memory has an address for every external and all cells; a scalar has one element.
            unsafe {
                let from = self.input(parts, input.from, step);
                *parts.externals.add(e) = from;
                if let Some((cell, bytes)) = input.cell {
                    let to = parts.cells.add(8 * cell as usize);
                    if bytes == 8 {
                        to.cast::<u64>().write(from.cast::<u64>().read());
                    } else {
                        to.cast::<u64>().write(0);
                        std::ptr::copy_nonoverlapping(from, to, bytes);
                    }
                }
            }
        }
        for (o, to) in self.outputs.iter().enumerate() {
            let address = match *to {
                To::Carry(i) => self.next(parts, i, step),
                To::Stack(start, bytes) => parts
                    .result
                    .wrapping_add(start + self.element(step) * bytes),
            };
            // SAFETY: the kernel's memory has an address for every output.
            unsafe { *parts.outputs.add(o) = address }
        }
    }

    /// The bindings of a step whose addresses are written.
    ///
    /// # Safety
    /// Nobody writes addresses while the result lives.
    unsafe fn bindings<'a>(
        &'a self,
        at: &Block<'a>,
        parts: &Parts,
        errors: &'a ErrorCell,
    ) -> Bindings<'a> {
        // SAFETY: as many as the layout has room for, all written.
        let (externals, outputs) = unsafe {
            (
                std::slice::from_raw_parts(parts.externals, self.inputs.len()),
                std::slice::from_raw_parts(parts.outputs, self.outputs.len()),
            )
        };
        Bindings {
            level: self.plan.options.level,
            place: &self.plan.place,
            externals,
            outputs,
            arena: parts.arena,
            cells: parts.cells,
            seeds: at.bindings.seeds,
            step: at.bindings.step,
            errors,
            window: Window::NONE,
        }
    }

    /// One step whose addresses are written.
    ///
    /// # Safety
    /// As [`begin`](Self::begin).
    unsafe fn step(
        &self,
        at: &Block<'_>,
        parts: &Parts,
        step: usize,
        errors: &ErrorCell,
        scratch: &mut [Packet],
    ) {
        // SAFETY: addresses are written again only by the next step.
        let bindings = unsafe { self.bindings(at, parts, errors) };
        if step == 0 {
            // SAFETY: the table is this kernel's and nobody else's; any bytes are addresses.
            let table = unsafe { std::slice::from_raw_parts_mut(parts.table, self.plan.table) };
            Run::fill_table(&self.plan, &bindings, table);
        } else {
            for m in &self.moving {
                // SAFETY: numbers of the table's entries.
                unsafe { *parts.table.add(m.at) = bindings.place(m.of).wrapping_offset(m.bytes) }
            }
        }
        let run = Run {
            plan: &self.plan,
            bindings,
            // SAFETY: filled above, and not written while the step runs.
            table: unsafe { std::slice::from_raw_parts(parts.table, self.plan.table) },
        };
        if step == 0 {
            // SAFETY: externals are bound; the cells are this kernel's.
            unsafe { run.load_cells(&[]) }
        }
        for &(phase, blocks) in &self.phases {
            for block in 0..blocks {
                // SAFETY: in order and once each; externals are dense memory of their ports' shapes that this step
                // writes nowhere, outputs are pieces of the result or spare memory that it does not read.
                unsafe { run.block(phase, block, scratch) }
            }
        }
        for &(cell, output, bytes) in &self.scalars {
            // SAFETY: a scalar's cell holds its element, and its output is memory for one.
            unsafe {
                let from = parts.cells.add(8 * cell as usize);
                std::ptr::copy_nonoverlapping(from, *parts.outputs.add(output), bytes);
            }
        }
        for &Same { carry, stack } in &self.same {
            let bytes = self.carries[carry].bytes;
            let to = parts
                .result
                .wrapping_add(stack + self.element(step) * bytes);
            // SAFETY: this step has written the carry; its stack has room for as many bytes a step, and is apart from
            // carries' memory.
            unsafe { std::ptr::copy_nonoverlapping(self.next(parts, carry, step), to, bytes) }
        }
    }
}

impl Work for Scan {
    /// The plan was made for the operands.
    fn check(&self) -> Result<(), Mismatch> {
        Ok(())
    }

    /// Steps follow one another, so that one thread runs all of them.
    fn phases(&self) -> Vec<usize> {
        vec![1]
    }

    fn cost_ns(&self) -> f64 {
        self.length as f64 * (self.plan.cost + STEP_NS)
    }

    fn shared_packets(&self) -> usize {
        self.layout.packets
    }

    fn scratch_packets(&self) -> usize {
        self.plan.scratch + self.plan.windows
    }

    unsafe fn run(&self, at: Block<'_>, scratch: &mut [Packet]) {
        let errors = ErrorCell::new();
        let parts = self.parts(&at);
        // SAFETY: the caller's contract: operands are live and dense, the result and the shared memory are ours alone and
        // as large as was asked for.
        unsafe { self.begin(&at, &parts) }
        for step in 0..self.length {
            // SAFETY: the same.
            unsafe {
                self.aim(&parts, step);
                self.step(&at, &parts, step, &errors, scratch);
            }
            if self.fails
                && let Some(fault) = errors.get()
            {
                let told = fault::error(&self.plan.list, &fault, errors.said(&fault));
                let here = Fault {
                    site: at.site,
                    ..fault
                };
                at.bindings
                    .errors
                    .report_with(here, told.message().to_owned());
                return;
            }
        }
    }
}
