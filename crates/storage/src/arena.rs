//! Memory in whole packets: a bump [`Arena`] that forgets everything at once, and the owned [`PacketBuffer`].
//!
//! Every request here may be sized by a user, so every request is fallible: no size aborts or panics.

use std::cell::Cell;

use bumpalo::Bump;
use bytemuck::{NoUninit, Pod};

use crate::{PACKET_BYTES, Packet, packets_for};

/// Memory that the machine could not give, or that no machine could.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("out of memory: cannot allocate {elements} elements of {size} bytes")]
pub struct OutOfMemory {
    /// Elements asked for.
    pub elements: usize,
    /// Bytes an element takes.
    pub size: usize,
}

impl OutOfMemory {
    pub(crate) fn of<T>(elements: usize) -> Self {
        Self {
            elements,
            size: size_of::<T>(),
        }
    }
}

/// Bump allocation of packets; [`reset`](Self::reset) releases all of it and keeps the capacity.
///
/// Repeating the same requests after a reset allocates nothing from the system.
#[derive(Debug, Default)]
pub struct Arena {
    bump: Bump,
}

// Slices are handed out from a shared borrow as in every bump arena: each is a fresh, disjoint piece of memory.
#[allow(clippy::mut_from_ref)]
impl Arena {
    /// An empty arena; does not allocate.
    pub fn new() -> Self {
        Self::default()
    }

    /// An arena that holds `packets` packets before it asks the system again.
    pub fn with_capacity(packets: usize) -> Result<Self, OutOfMemory> {
        let error = OutOfMemory::of::<Packet>(packets);
        // One packet more for aligning the first: chunks themselves are aligned to 16 bytes.
        let bytes = packets
            .checked_add(1)
            .and_then(|packets| packets.checked_mul(PACKET_BYTES))
            .filter(|&bytes| isize::try_from(bytes).is_ok())
            .ok_or(error)?;
        let bump = Bump::try_with_capacity(bytes).map_err(|_| error)?;
        Ok(Self { bump })
    }

    /// `n` packets of zeros.
    pub fn alloc_packets(&self, n: usize) -> Result<&mut [Packet], OutOfMemory> {
        self.bump
            .try_alloc_slice_fill_copy(n, Packet::ZERO)
            .map_err(|_| OutOfMemory::of::<Packet>(n))
    }

    /// `n` packets of zeros that may alias, as tile micro-ops take them.
    pub fn alloc_cells(&self, n: usize) -> Result<&[Cell<Packet>], OutOfMemory> {
        Ok(Cell::from_mut(self.alloc_packets(n)?).as_slice_of_cells())
    }

    /// `n` zero elements, starting on a packet.
    pub fn alloc_zeroed<T: Pod>(&self, n: usize) -> Result<&mut [T], OutOfMemory> {
        const { assert_element::<T>() };
        let error = OutOfMemory::of::<T>(n);
        let packets = packets_for(n, size_of::<T>()).ok_or(error)?;
        let packets = self.alloc_packets(packets).map_err(|_| error)?;
        Ok(elements_mut(packets, n))
    }

    /// A copy of `source`, starting on a packet.
    pub fn alloc_slice_copy<T: Pod>(&self, source: &[T]) -> Result<&mut [T], OutOfMemory> {
        let copy = self.alloc_zeroed(source.len())?;
        copy.copy_from_slice(source);
        Ok(copy)
    }

    /// Releases everything at once and keeps the capacity.
    ///
    /// `bumpalo` keeps its largest chunk alone, and a pattern that needed several would ask the system again every
    /// cycle. So where there were several they are replaced by one as large as all: the pattern fits it from then on.
    pub fn reset(&mut self) {
        if self.bump.iter_allocated_chunks().nth(1).is_none() {
            self.bump.reset();
            return;
        }
        // One packet more for aligning the first: chunks themselves are aligned to 16 bytes.
        let bytes = self.bump.allocated_bytes() + PACKET_BYTES;
        // The old chunks go first, so that the peak is not the sum. Should the system refuse, the arena starts empty.
        self.bump = Bump::new();
        if let Ok(bump) = Bump::try_with_capacity(bytes) {
            self.bump = bump;
        }
    }

    /// Bytes held from the system, in use or not.
    pub fn allocated_bytes(&self) -> usize {
        self.bump.allocated_bytes()
    }
}

/// An owned, aligned block of packets, zeroed when made.
#[derive(Clone, Debug, Default)]
pub struct PacketBuffer {
    packets: Box<[Packet]>,
}

impl PacketBuffer {
    /// `packets` packets of zeros.
    pub fn new(packets: usize) -> Result<Self, OutOfMemory> {
        let packets = bytemuck::allocation::try_zeroed_slice_box(packets)
            .map_err(|()| OutOfMemory::of::<Packet>(packets))?;
        Ok(Self { packets })
    }

    /// Packets of zeros for `n` elements.
    pub fn for_elements<T: Pod>(n: usize) -> Result<Self, OutOfMemory> {
        let error = OutOfMemory::of::<T>(n);
        let packets = packets_for(n, size_of::<T>()).ok_or(error)?;
        Self::new(packets).map_err(|_| error)
    }

    /// The number of packets.
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Whether there is no packet.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// The packets.
    pub fn as_slice(&self) -> &[Packet] {
        &self.packets
    }

    /// The packets, to change them.
    pub fn as_mut_slice(&mut self) -> &mut [Packet] {
        &mut self.packets
    }

    /// The packets as cells: slots of one buffer may then alias without `unsafe`.
    pub fn cells(&mut self) -> &[Cell<Packet>] {
        Cell::from_mut(&mut *self.packets).as_slice_of_cells()
    }

    /// The whole block as elements, padding included.
    pub fn cast<T: Pod>(&self) -> &[T] {
        const { assert_divides::<T>() };
        bytemuck::cast_slice(&self.packets)
    }

    /// The whole block as elements, padding included, to change them.
    pub fn cast_mut<T: Pod>(&mut self) -> &mut [T] {
        const { assert_divides::<T>() };
        bytemuck::cast_slice_mut(&mut self.packets)
    }

    /// The whole block as `f32`.
    pub fn as_f32(&self) -> &[f32] {
        self.cast()
    }

    /// The whole block as `f32`, to change it.
    pub fn as_f32_mut(&mut self) -> &mut [f32] {
        self.cast_mut()
    }

    /// The whole block as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.cast()
    }

    /// Makes all bytes zero.
    pub fn zero(&mut self) {
        self.packets.fill(Packet::ZERO);
    }
}

/// Fails to compile for types a packet cannot hold.
const fn assert_element<T>() {
    assert!(
        size_of::<T>() > 0 && align_of::<T>() <= PACKET_BYTES,
        "not an element"
    );
}

/// Fails to compile for types that do not tile a packet.
const fn assert_divides<T>() {
    assert_element::<T>();
    assert!(
        PACKET_BYTES.is_multiple_of(size_of::<T>()),
        "elements do not tile a packet"
    );
}

/// The first `n` elements in `packets`; cannot fail where the packets were counted for them.
fn elements_mut<T: Pod + NoUninit>(packets: &mut [Packet], n: usize) -> &mut [T] {
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(packets);
    bytemuck::cast_slice_mut(&mut bytes[..n * size_of::<T>()])
}
