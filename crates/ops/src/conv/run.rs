//! Running a plan: tiles and chunks, each packed or added back by `patches` around a product.

use std::ops::Range;

use retrograde_storage::Packet;

use super::geometry::{Cut, Tile};
use super::plan::{Kind, Plan};
use crate::product::{self, Float};

/// Where the operands of one run start, each dense; the plan's kind says which of them is written.
#[derive(Clone, Copy, Debug)]
pub struct Operands<T> {
    /// The images, `[batch, channels, height, width]`.
    pub image: *mut T,
    /// The weight, `[outputs, channels / groups, kernel]`.
    pub weight: *mut T,
    /// The output, `[batch, outputs, rows, columns]`.
    pub output: *mut T,
}

// SAFETY: plain addresses; every dereference is in an `unsafe fn` whose caller vouches for concurrent access.
unsafe impl<T: Sync> Sync for Operands<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Operands<T> {}

/// A thread's memory, by what it holds.
struct Scratch<'a, T> {
    patches: &'a mut [T],
    buffer: &'a mut [T],
    /// What the products need.
    rest: &'a mut [Packet],
}

/// A group's part of one image and of the weight.
#[derive(Clone, Copy)]
struct At {
    image: usize,
    group: usize,
}

impl<T: Float> Plan<T> {
    /// Runs one block of a phase.
    ///
    /// # Safety
    /// - `block` is below the phase's number of [`blocks`](Self::blocks), and phase 0 is complete before phase 1.
    /// - The two operands that are read are readable and written by nobody meanwhile; the third is writable, disjoint
    ///   from them, and touched by nobody else but other blocks of this plan.
    /// - `shared` points to [`shared_packets`](Self::shared_packets) packets, the same for all blocks, which nobody else
    ///   touches.
    ///
    /// # Panics
    /// If `scratch` is shorter than [`scratch_packets`](Self::scratch_packets).
    pub unsafe fn run_block(
        &self,
        phase: usize,
        block: usize,
        operands: &Operands<T>,
        shared: *mut Packet,
        scratch: &mut [Packet],
    ) {
        let shared = shared.cast::<T>();
        if phase == 1 {
            // SAFETY: the caller's promise; the task's sums are complete.
            unsafe { self.sum(block, operands, shared) };
            return;
        }
        let (own, rest) = {
            let elements = self.patch_elements() + self.buffer_elements();
            scratch.split_at_mut(elements / T::LANES)
        };
        let own: &mut [T] = bytemuck::cast_slice_mut(own);
        let (patches, buffer) = own.split_at_mut(self.patch_elements());
        let mut scratch = Scratch {
            patches,
            buffer,
            rest,
        };
        for task in Cut::into(self.tasks(), self.blocks()[0]).get(block) {
            // SAFETY: the caller's promise; tasks write disjoint parts.
            unsafe {
                match self.spec.kind {
                    Kind::Output => self.output(task, operands, &mut scratch),
                    Kind::Image => self.image(task, operands, &mut scratch),
                    Kind::Weight => self.weight(task, operands, shared, &mut scratch),
                }
            }
        }
    }

    /// First element of a group's channels in one image.
    fn channels_at(&self, at: At, channel: usize) -> usize {
        let plane = self.layout.extent[0] * self.layout.extent[1];
        (at.image * self.spec.channels + at.group * self.group_channels + channel) * plane
    }

    /// First element of a group's part of one image's output, at a tile.
    fn output_at(&self, at: At, tile: &Tile) -> usize {
        (at.image * self.spec.outputs + at.group * self.group_outputs) * self.plane + tile.first
    }

    /// First element of a group's part of the weight, at a channel.
    fn weight_at(&self, group: usize, channel: usize) -> usize {
        let area = self.spec.window.area();
        (group * self.group_outputs * self.group_channels + channel) * area
    }

    /// The product of a tile and a chunk.
    fn product(&self, tile: &Tile, chunk: &Range<usize>) -> &product::Plan<T> {
        &self.products[tile.class][self.chunks.class(chunk.len())]
    }

    /// The image's planes of some channels of a group.
    ///
    /// # Safety
    /// As [`run_block`](Self::run_block), where the image is read.
    unsafe fn planes<'a>(&self, operands: &Operands<T>, at: At, chunk: &Range<usize>) -> &'a [T] {
        let plane = self.layout.extent[0] * self.layout.extent[1];
        // SAFETY: planes of neighbouring channels of one image, readable and unwritten.
        unsafe {
            let first = operands.image.add(self.channels_at(at, chunk.start));
            std::slice::from_raw_parts(first, chunk.len() * plane)
        }
    }

    /// One tile of one image's output: weight by patches, chunk after chunk.
    ///
    /// # Safety
    /// As [`run_block`](Self::run_block).
    unsafe fn output(&self, task: usize, operands: &Operands<T>, scratch: &mut Scratch<'_, T>) {
        let tile = self.tiling.get(task % self.tiling.count());
        let at = self.part(task / self.tiling.count());
        for chunk in (0..self.chunks.count).map(|i| self.chunks.get(i)) {
            // SAFETY: the caller's promise; the tile's outputs of the group are this task's alone, and the product was
            // planned with the strides of just these operands.
            unsafe {
                let planes = self.planes(operands, at, &chunk);
                self.layout
                    .pack(self.isa, &tile, planes, scratch.buffer, scratch.patches);
                let parts = product::Operands {
                    a: operands.weight.add(self.weight_at(at.group, chunk.start)),
                    b: scratch.patches.as_ptr(),
                    c: operands.output.add(self.output_at(at, &tile)),
                };
                self.multiply(&tile, &chunk, &parts, chunk.start > 0, scratch.rest);
            }
        }
    }

    /// Some channels of one image: the transposed weight by the output gives patches, which are added up.
    ///
    /// # Safety
    /// As [`run_block`](Self::run_block).
    unsafe fn image(&self, task: usize, operands: &Operands<T>, scratch: &mut Scratch<'_, T>) {
        let chunk = self.chunks.get(task % self.chunks.count);
        let at = self.part(task / self.chunks.count);
        let plane = self.layout.extent[0] * self.layout.extent[1];
        // SAFETY: planes of neighbouring channels of one image, this task's alone.
        let planes = unsafe {
            let first = operands.image.add(self.channels_at(at, chunk.start));
            std::slice::from_raw_parts_mut(first, chunk.len() * plane)
        };
        planes.fill(T::default());
        for tile in (0..self.tiling.count()).map(|i| self.tiling.get(i)) {
            // SAFETY: the caller's promise; patches are this thread's own, and as many as the product was planned for.
            unsafe {
                let parts = product::Operands {
                    a: operands.weight.add(self.weight_at(at.group, chunk.start)),
                    b: operands.output.add(self.output_at(at, &tile)),
                    c: scratch.patches.as_mut_ptr(),
                };
                self.multiply(&tile, &chunk, &parts, false, scratch.rest);
            }
            self.layout
                .add(self.isa, &tile, planes, scratch.buffer, scratch.patches);
        }
    }

    /// One of the partial sums of some channels of a group's weight: output by transposed patches, tile after tile.
    ///
    /// # Safety
    /// As [`run_block`](Self::run_block).
    unsafe fn weight(
        &self,
        task: usize,
        operands: &Operands<T>,
        shared: *mut T,
        scratch: &mut Scratch<'_, T>,
    ) {
        let (groups, chunks) = (self.spec.window.groups, self.chunks.count);
        let chunk = self.chunks.get(task % chunks);
        let group = task / chunks % groups;
        let units = self.partials.get(task / chunks / groups);
        if units.is_empty() {
            // SAFETY: the task's sums are its own.
            let sums = unsafe {
                let first = shared.add(task * self.partial_len());
                std::slice::from_raw_parts_mut(first, self.partial_len())
            };
            sums.fill(T::default());
        }
        // Columns without a tap: multiplied, and never looked at.
        let taps = chunk.len() * self.spec.window.area();
        scratch.patches[taps * self.layout.pitch..].fill(T::default());
        for (nth, unit) in units.enumerate() {
            let tile = self.tiling.get(unit % self.tiling.count());
            let image = unit / self.tiling.count();
            let at = At { image, group };
            // SAFETY: the caller's promise; the task's sums are its own.
            unsafe {
                let planes = self.planes(operands, at, &chunk);
                self.layout
                    .pack(self.isa, &tile, planes, scratch.buffer, scratch.patches);
                let parts = product::Operands {
                    a: operands.output.add(self.output_at(at, &tile)),
                    b: scratch.patches.as_ptr(),
                    c: shared.add(task * self.partial_len()),
                };
                self.multiply(&tile, &chunk, &parts, nth > 0, scratch.rest);
            }
        }
    }

    /// Adds the partial sums of some rows of the weight.
    ///
    /// # Safety
    /// As [`run_block`](Self::run_block), with all partial sums complete.
    unsafe fn sum(&self, block: usize, operands: &Operands<T>, shared: *const T) {
        let groups = self.spec.window.groups;
        let area = self.spec.window.area();
        for row in Cut::into(self.spec.outputs, self.sum_blocks()).get(block) {
            let (group, own) = (row / self.group_outputs, row % self.group_outputs);
            for (number, chunk) in (0..self.chunks.count).map(|i| (i, self.chunks.get(i))) {
                let len = chunk.len() * area;
                let first = self.weight_at(group, chunk.start) + own * self.group_channels * area;
                // SAFETY: a stretch of the weight's row, this block's alone.
                let to = unsafe { std::slice::from_raw_parts_mut(operands.weight.add(first), len) };
                for partial in 0..self.partials.count {
                    let task = (partial * groups + group) * self.chunks.count + number;
                    let at = task * self.partial_len() + own * self.partial_width;
                    // SAFETY: the same stretch of that task's sums, which nobody writes any more.
                    let from = unsafe { std::slice::from_raw_parts(shared.add(at), len) };
                    if partial == 0 {
                        to.copy_from_slice(from);
                    } else {
                        to.iter_mut()
                            .zip(from)
                            .for_each(|(to, &from)| *to = *to + from);
                    }
                }
            }
        }
    }

    fn part(&self, number: usize) -> At {
        At {
            image: number / self.spec.window.groups,
            group: number % self.spec.window.groups,
        }
    }

    /// # Safety
    /// As [`run_block`](Self::run_block): the parts are those that the product was planned for.
    unsafe fn multiply(
        &self,
        tile: &Tile,
        chunk: &Range<usize>,
        parts: &product::Operands<T>,
        accumulate: bool,
        scratch: &mut [Packet],
    ) {
        let plan = self.product(tile, chunk);
        for block in 0..plan.blocks() {
            // SAFETY: the caller's promise; a plan of one block packs nothing for others.
            unsafe {
                plan.run_block(
                    block,
                    parts,
                    std::ptr::null(),
                    scratch,
                    accumulate,
                    |_, _| {},
                );
            }
        }
    }
}
