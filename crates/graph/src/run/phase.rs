//! Running one block of one phase. All raw memory access of replay comes through here.

use std::cell::Cell;

use retrograde_ops::tile::Part;
use retrograde_storage::{DType, PACKET_BYTES, Packet};

use super::bind::{Bindings, Window};
use super::chain::{Chain, MOST_VIEWS};
use super::plan::{Phase, Plan, PlannedGroup};

/// One run as every thread sees it.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub plan: &'a Plan,
    pub bindings: Bindings<'a>,
    /// By group and view: the address of the first element.
    pub table: &'a [*mut u8],
}

impl Run<'_> {
    /// Fills the table of base addresses.
    pub(crate) fn fill_table(plan: &Plan, bindings: &Bindings<'_>, table: &mut [*mut u8]) {
        for group in &plan.groups {
            let views = group.step.group.views.iter();
            for (i, (&(base, offset), view)) in group.step.bases.iter().zip(views).enumerate() {
                let at = bindings.value(base);
                table[group.table + i] = at.wrapping_offset(offset * view.dtype.size() as isize);
            }
        }
    }

    fn arena(&self, packet: usize) -> *mut u8 {
        self.bindings.arena.wrapping_add(packet * PACKET_BYTES)
    }

    /// Whether the run ends before `phase`, the first that overwrites external memory: something has failed, and what
    /// is not updated is not lost. Asked when all earlier phases are complete.
    pub(crate) fn ends_before(&self, phase: usize) -> bool {
        phase == self.plan.commit && !self.bindings.errors.is_clear()
    }

    /// Runs one block.
    ///
    /// # Safety
    /// All earlier phases are complete and their writes visible; every block of a phase is run once; the bindings'
    /// memory is live and has the plan's sizes (externals dense and of their ports' shapes, outputs likewise and
    /// disjoint from everything, the arena and cells ours alone); `scratch` is this thread's alone.
    pub(crate) unsafe fn block(&self, phase: usize, block: usize, scratch: &mut [Packet]) {
        let (plan, bindings) = (self.plan, &self.bindings);
        match plan.phases[phase].0 {
            Phase::Group(g) => {
                let group = &plan.groups[g];
                let part = group.step.group.block(&group.geometry, block);
                // SAFETY: the same contract; blocks are disjoint.
                unsafe { self.part(group, &part, scratch) }
            }
            Phase::Finish(g) => {
                let group = &plan.groups[g];
                for (r, (&value, &partial)) in
                    group.step.results.iter().zip(&group.partials).enumerate()
                {
                    let Some(partial) = partial else { continue };
                    // SAFETY: the phase before wrote the partial results; the result's place has its length.
                    unsafe {
                        group.step.group.finish(
                            bindings.level,
                            &group.geometry,
                            r,
                            self.arena(partial),
                            bindings.value(value),
                        );
                    }
                }
            }
            Phase::Scalars(s) => {
                // SAFETY: cells are ours alone and this phase has one block, so no other thread sees them now.
                let cells = unsafe {
                    std::slice::from_raw_parts_mut(bindings.cells.cast::<u64>(), plan.cells)
                };
                plan.scalars[s].program.run(bindings.level, cells);
            }
            Phase::Kernel(k, sub) => {
                let kernel = &plan.kernels[k];
                if kernel.scalar.is_some() {
                    // SAFETY: the same contract.
                    unsafe { self.copy_scalars() }
                    return;
                }
                let shared = self.arena(kernel.shared.unwrap_or(0)).cast();
                if let Some(first) = kernel.beside {
                    // SAFETY: as below. `beside` made sure that the block of this kernel reads nothing that blocks of the
                    // other write, and the memory plan keeps what either reads until both are done.
                    unsafe { plan.kernels[first].run(bindings, 0, block, shared, scratch) }
                }
                // SAFETY: operands are views of values the memory plan keeps live and apart; `shared` is this
                // kernel's own stretch of the arena.
                unsafe { kernel.run(bindings, sub, block, shared, scratch) }
                if let Some(then) = &kernel.then
                    && let Some(part) = then.parts.get(block)
                    && matches!(plan.phases.get(phase + 1), Some((Phase::Group(g), _)) if *g == then.group)
                {
                    // SAFETY: `chain` made sure that the part reads of this kernel's result what the block has just
                    // written, and overwrites nothing that other blocks read; parts are disjoint as blocks are.
                    unsafe { self.part(&plan.groups[then.group], part, scratch) }
                }
            }
            Phase::Chain(c) => {
                let (scratch, windows) = scratch.split_at_mut(plan.scratch);
                // SAFETY: the same contract.
                unsafe { self.chain(&plan.chains[c], block, scratch, windows) }
            }
            Phase::Poison(start, len) => {
                let floats = len * PACKET_BYTES / size_of::<f32>();
                // SAFETY: a stretch of the arena that no live value uses, and this phase has one block.
                let dead = unsafe {
                    std::slice::from_raw_parts_mut(self.arena(start).cast::<f32>(), floats)
                };
                dead.fill(f32::NAN);
            }
        }
    }

    /// Copies the scalars that are outputs, whose cells are all computed.
    ///
    /// # Safety
    /// As [`block`](Self::block).
    unsafe fn copy_scalars(&self) {
        let cells = self.bindings.cells.cast::<u64>();
        for &(cell, output, bytes) in &self.plan.copies {
            let to = self.bindings.outputs[output as usize];
            // SAFETY: the plan counts its cells, each of eight bytes; the output is one element of the cell's type,
            // aligned for it, and apart from everything else.
            unsafe {
                let cell = cells.add(cell as usize);
                match bytes {
                    8 => to.cast::<u64>().write(cell.read()),
                    4 => to.cast::<u32>().write(cell.cast::<u32>().read()),
                    _ => to.write(cell.cast::<u8>().read()),
                }
            }
        }
    }

    /// Takes the rows of a block through a chain.
    ///
    /// # Safety
    /// As [`block`](Self::block); `windows` is this thread's alone.
    unsafe fn chain(
        &self,
        chain: &Chain,
        block: usize,
        scratch: &mut [Packet],
        windows: &mut [Packet],
    ) {
        let plan = self.plan;
        let rows = chain.block(block);
        if plan.options.poison {
            bytemuck::cast_slice_mut::<Packet, f32>(windows).fill(f32::NAN);
        }
        let memory = windows.as_mut_ptr().cast::<u8>();
        let at = |column: usize| Window {
            memory,
            row: rows.start,
            column,
        };
        let product = |k: usize, window: Window, strip, scratch: &mut [Packet]| {
            let kernel = &plan.kernels[k];
            let bindings = Bindings {
                window,
                ..self.bindings
            };
            let shared = self.arena(kernel.shared.unwrap_or(0)).cast();
            // SAFETY: what blocks share was computed in phases before. `Chain::new` made sure that a product reads of what
            // the chain computes only rows that this block has, and that nobody overwrites what it reads otherwise;
            // `windows` has all windows of a block.
            unsafe { kernel.run_strip(&bindings, strip, shared, scratch) }
        };
        for stage in &chain.stages {
            if let Some((k, of)) = stage.before.filter(|_| !stage.cuts()) {
                product(k, at(0), (rows.clone(), stage.columns(), 0..of.k), scratch);
            }
            for (number, strip) in stage.strips().enumerate() {
                let window = at(strip.start);
                if let Some((k, of)) = stage.before.filter(|_| stage.cuts()) {
                    product(k, window, (rows.clone(), strip.clone(), 0..of.k), scratch);
                }
                let run = Self {
                    bindings: Bindings {
                        window,
                        ..self.bindings
                    },
                    ..*self
                };
                // SAFETY: parts are disjoint as rows and strips are, and read of what the chain computes the rows of this
                // block, or the strip of them, that were computed just before.
                unsafe {
                    run.part(
                        &plan.groups[stage.group],
                        stage.part(block, number),
                        scratch,
                    );
                }
                if let Some((k, of)) = stage.after {
                    product(k, window, (rows.clone(), 0..of.n, strip), scratch);
                }
            }
        }
    }

    /// Runs a part of a group.
    ///
    /// # Safety
    /// As [`block`](Self::block); parts that run at the same time are disjoint.
    unsafe fn part(&self, group: &PlannedGroup, part: &Part, scratch: &mut [Packet]) {
        let fixed = &self.table[group.table..group.table + group.step.bases.len()];
        let mut moved = [std::ptr::null_mut(); MOST_VIEWS];
        let bases = if group.windows == 0 {
            fixed
        } else {
            let moved = &mut moved[..fixed.len()];
            moved.copy_from_slice(fixed);
            for (view, to) in moved.iter_mut().enumerate() {
                // A window's view is the whole value as it stands.
                if group.windows >> view & 1 == 1 {
                    *to = self.bindings.value(group.step.bases[view].0);
                }
            }
            moved
        };
        let slots = Cell::from_mut(scratch).as_slice_of_cells();
        // Reductions are few: their addresses fit the stack but for groups with hundreds of results.
        let partials = group.partials.iter().zip(&group.step.results);
        let partials = partials.map(|(partial, &result)| match *partial {
            Some(packet) => self.arena(packet),
            None => self.bindings.value(result),
        });
        let mut few = [std::ptr::null_mut(); 16];
        let many: Vec<*mut u8>;
        let partials = if group.partials.len() <= few.len() {
            few.iter_mut()
                .zip(partials)
                .for_each(|(to, partial)| *to = partial);
            &few[..group.partials.len()]
        } else {
            many = partials.collect();
            &many[..]
        };
        // SAFETY: `Plan::compile` checked the group and cut it; the table holds addresses of memory with the views'
        // extents (emission took strides from the values' own views); partial results are this step's own stretch of
        // the arena; the memory plan keeps what is stored apart from what is read, except element by element in place,
        // which the tile engine allows.
        unsafe {
            group.step.group.run_part(
                self.bindings.level,
                &group.geometry,
                (bases, group.windows),
                partials,
                part,
                slots,
            );
        }
    }

    /// Copies scalar inputs, literals and scalars that are data into their cells.
    ///
    /// # Safety
    /// As [`block`](Self::block), before the first phase.
    pub(crate) unsafe fn load_cells(&self, uniforms: &[f64]) {
        let cells = self.bindings.cells.cast::<u64>();
        for &(cell, bits) in &self.plan.literals {
            // SAFETY: the plan counts its cells.
            unsafe { *cells.add(cell as usize) = bits }
        }
        for &(cell, number, dtype) in &self.plan.uniforms {
            let x = uniforms[number as usize];
            let bits = if dtype == DType::F32 {
                u64::from((x as f32).to_bits())
            } else {
                x.to_bits()
            };
            // SAFETY: the plan counts its cells.
            unsafe { *cells.add(cell as usize) = bits }
        }
        for (i, &(port, cell)) in self.plan.inputs.iter().enumerate() {
            if let Some(cell) = cell {
                let from = self.bindings.externals[i];
                // SAFETY: a scalar external has one element of its type; a cell has eight bytes, zeroed first so that
                // the upper half of a narrow element is defined.
                unsafe {
                    let to = cells.add(cell as usize);
                    *to = 0;
                    std::ptr::copy_nonoverlapping(from, to.cast::<u8>(), port.dtype.size());
                }
            }
        }
    }
}
