//! Scratch packets as slices of elements and as `faer`'s stack.

use std::mem::MaybeUninit;

use bytemuck::Pod;
use faer::dyn_stack::MemStack;
use retrograde_storage::{Packet, packets_for};

/// Packets for `elements` of `size` bytes, and what follows starts on a packet.
pub(super) fn packets(elements: usize, size: usize) -> usize {
    // An allocation of that size is refused before anything runs.
    packets_for(elements, size).unwrap_or(usize::MAX / 4)
}

/// The first `n` elements of scratch, and what is left.
pub(super) fn take<T: Pod>(scratch: &mut [Packet], n: usize) -> (&mut [T], &mut [Packet]) {
    let (own, rest) = scratch.split_at_mut(packets(n, size_of::<T>()));
    (&mut bytemuck::cast_slice_mut(own)[..n], rest)
}

/// Scratch as a stack.
pub(super) fn stack(scratch: &mut [Packet]) -> &mut MemStack {
    let memory: *mut [Packet] = scratch;
    // SAFETY: the same memory, borrowed for as long. What a stack hands out is overwritten with numbers and indices,
    // which have no padding, so what is left behind is initialised, and any bytes are a valid packet.
    let memory = unsafe { &mut *(memory as *mut [MaybeUninit<Packet>]) };
    MemStack::new_any(memory)
}
