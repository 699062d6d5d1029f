//! Arenas and packet buffers: alignment, zeros, refusal of absurd sizes, and no heap allocation in a steady state.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use retrograde_storage::{Arena, PACKET_BYTES, Packet, PacketBuffer};

struct Counting;

thread_local! {
    // Per thread, since tests run side by side.
    static REQUESTS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator unchanged; counting touches a thread local that neither
// allocates (it is const-initialised) nor has a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        REQUESTS.set(REQUESTS.get() + 1);
        // SAFETY: the caller's promises are those `System` asks for.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above; `pointer` came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn cycle(arena: &Arena) {
    for i in 0..if cfg!(miri) { 40 } else { 200 } {
        let packets = arena.alloc_packets(1 + (i * 37) % 101).unwrap();
        packets.fill(Packet::from_lanes([1.0_f32; 16]));
        arena.alloc_slice_copy(&[i as f64; 3]).unwrap();
    }
    arena.alloc_packets(5000).unwrap();
}

#[test]
fn the_second_cycle_asks_the_system_for_nothing() {
    let mut arena = Arena::new();
    cycle(&arena);
    let first = REQUESTS.get();
    assert!(first > 2, "the first cycle must need several chunks");
    arena.reset();
    let (before, bytes) = (REQUESTS.get(), arena.allocated_bytes());
    for _ in 0..if cfg!(miri) { 1 } else { 5 } {
        cycle(&arena);
        arena.reset();
    }
    assert_eq!(REQUESTS.get(), before);
    assert_eq!(arena.allocated_bytes(), bytes);
}

#[test]
fn reserved_capacity_suffices() {
    let arena = Arena::with_capacity(1000).unwrap();
    let before = REQUESTS.get();
    for _ in 0..1000 {
        arena.alloc_packets(1).unwrap();
    }
    assert_eq!(REQUESTS.get(), before);
}

#[test]
fn memory_is_zero_and_aligned_again_after_reset() {
    let mut arena = Arena::new();
    for _ in 0..3 {
        for n in [1, 2, 3, 40] {
            let packets = arena.alloc_packets(n).unwrap();
            assert_eq!(packets.as_ptr() as usize % PACKET_BYTES, 0);
            assert!(
                bytemuck::cast_slice::<_, u8>(packets)
                    .iter()
                    .all(|&b| b == 0)
            );
            packets.fill(Packet::from_lanes([u64::MAX; 8]));
            let odd = arena.alloc_slice_copy(&[1_u8, 2, 3]).unwrap();
            assert_eq!(odd, [1, 2, 3]);
            assert_eq!(odd.as_ptr() as usize % PACKET_BYTES, 0);
            let triples = arena.alloc_zeroed::<[f32; 3]>(7).unwrap();
            assert_eq!(triples, [[0.0; 3]; 7]);
            triples.fill([9.0; 3]);
        }
        arena.reset();
    }
    assert!(arena.alloc_packets(0).unwrap().is_empty());
    assert!(arena.alloc_slice_copy::<f32>(&[]).unwrap().is_empty());
}

#[test]
fn slices_are_disjoint() {
    let arena = Arena::new();
    let (a, b) = (
        arena.alloc_zeroed::<u32>(100).unwrap(),
        arena.alloc_zeroed::<u32>(100).unwrap(),
    );
    a.fill(1);
    b.fill(2);
    assert!(a.iter().all(|&x| x == 1) && b.iter().all(|&x| x == 2));
    let cells = arena.alloc_cells(2).unwrap();
    let alias = &cells[..1];
    cells[0].set(Packet::from_lanes([3_i64; 8]));
    assert_eq!(alias[0].get().lanes::<[i64; 8]>(), [3; 8]);
}

#[test]
#[cfg_attr(miri, ignore = "Miri ends a test whose memory cannot be had")]
fn absurd_sizes_are_errors() {
    // Beyond what multiplies, beyond what a layout may be, and beyond what any machine maps.
    for n in [
        usize::MAX,
        usize::MAX / 64,
        isize::MAX as usize / 64,
        1 << 56,
    ] {
        assert!(Arena::new().alloc_packets(n).is_err(), "{n}");
        assert!(Arena::new().alloc_cells(n).is_err(), "{n}");
        assert!(Arena::with_capacity(n).is_err(), "{n}");
        assert!(PacketBuffer::new(n).is_err(), "{n}");
    }
    for n in [usize::MAX, usize::MAX / 8, isize::MAX as usize / 8, 1 << 59] {
        assert!(Arena::new().alloc_zeroed::<f64>(n).is_err(), "{n}");
        assert!(PacketBuffer::for_elements::<f64>(n).is_err(), "{n}");
    }
    let error = PacketBuffer::for_elements::<f64>(usize::MAX).unwrap_err();
    assert_eq!(
        error.to_string(),
        "out of memory: cannot allocate 18446744073709551615 elements of 8 bytes"
    );
}

#[test]
#[cfg_attr(miri, ignore = "Miri ends a test whose memory cannot be had")]
fn an_arena_survives_a_refused_request() {
    let mut arena = Arena::new();
    arena.alloc_packets(3).unwrap();
    assert!(arena.alloc_packets(1 << 56).is_err());
    arena.alloc_packets(300).unwrap();
    arena.reset();
    arena.alloc_packets(300).unwrap();
}

#[test]
fn a_packet_buffer_is_aligned_zero_and_typed() {
    let mut buffer = PacketBuffer::for_elements::<f32>(17).unwrap();
    assert_eq!(buffer.len(), 2);
    assert_eq!(buffer.as_slice().as_ptr() as usize % PACKET_BYTES, 0);
    assert_eq!(buffer.as_f32(), [0.0; 32]);
    buffer.as_f32_mut()[16] = 1.5;
    assert_eq!(buffer.as_slice()[1].lanes::<[f32; 16]>()[0], 1.5);
    assert_eq!(buffer.cast::<u32>()[16], 1.5_f32.to_bits());
    assert_eq!(buffer.cast::<f64>().len(), 16);
    assert_eq!(buffer.as_bytes().len(), 128);
    buffer.cells()[0].set(Packet::from_lanes([2.0_f32; 16]));
    assert_eq!(buffer.as_f32()[15], 2.0);
    buffer.zero();
    assert_eq!(buffer.as_f32(), [0.0; 32]);
    assert!(PacketBuffer::new(0).unwrap().as_f32().is_empty());
}
