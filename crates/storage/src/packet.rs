//! The storage unit: 64 aligned bytes, the widest vector of the machines we know and one cache line of most.

use bytemuck::{Pod, Zeroable};
use wide::f32x16;

/// Bytes in a packet.
pub const PACKET_BYTES: usize = 64;

/// 64 aligned bytes: 16 elements of four bytes or 8 of eight.
///
/// Every buffer starts on a packet and is padded to whole packets, so that vectors load aligned and threads never
/// share a cache line at a buffer's edge. `wide`'s vector type gives the alignment and makes it plain data.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(transparent)]
pub struct Packet(f32x16);

const _: () = assert!(size_of::<Packet>() == PACKET_BYTES && align_of::<Packet>() == PACKET_BYTES);

impl Packet {
    /// All bits zero: 0.0, 0 and false alike.
    pub const ZERO: Self = Self(f32x16::ZERO);

    /// A packet from 64 bytes' worth of lanes, such as `[f32; 16]` or `[i64; 8]`.
    #[inline(always)]
    pub fn from_lanes<L: Pod>(lanes: L) -> Self {
        bytemuck::cast(lanes)
    }

    /// The packet's bits as lanes, such as `[f32; 16]` or `[i64; 8]`.
    #[inline(always)]
    pub fn lanes<L: Pod>(self) -> L {
        bytemuck::cast(self)
    }
}

/// Packets that hold `elements` of `size` bytes each, `None` on overflow.
pub fn packets_for(elements: usize, size: usize) -> Option<usize> {
    Some(elements.checked_mul(size)?.div_ceil(PACKET_BYTES))
}
