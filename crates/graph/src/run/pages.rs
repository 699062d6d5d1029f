//! Memory of whole packets for workspaces, in large pages where the system has them to give.
//!
//! A run streams through outputs and the arena; with pages of 4 KB it waits for the translation of one address in every
//! 64 lines, on virtual machines for that of two levels of tables.

use retrograde_storage::Packet;

/// Bytes from which on large pages are asked for: a few of them.
#[cfg(target_os = "linux")]
const LARGE: usize = 4 << 20;

/// `n` packets of zeros, or `None` if there is no such memory.
pub(crate) fn packets(n: usize) -> Option<Vec<Packet>> {
    let mut memory = Vec::new();
    memory.try_reserve_exact(n).ok()?;
    advise(&mut memory);
    memory.resize(n, Packet::ZERO);
    Some(memory)
}

/// The C library that the standard library is linked with.
#[cfg(all(target_os = "linux", not(miri)))]
mod libc {
    use std::ffi::{c_int, c_void};
    pub(super) const MADV_HUGEPAGE: c_int = 14;
    /// Linux 6.1 and later.
    pub(super) const MADV_COLLAPSE: c_int = 25;
    unsafe extern "C" {
        pub(super) fn madvise(address: *mut c_void, length: usize, advice: c_int) -> c_int;
    }
}

/// Bytes of an array from which on it is worth large pages once it has settled.
pub(crate) const SETTLED: usize = 2 << 20;

/// Has the system move `bytes` from `first` on to large pages, now. A hint: no effect but on time.
#[cfg(all(target_os = "linux", not(miri)))]
pub(crate) fn collapse(first: *mut u8, bytes: usize) {
    const LARGE_PAGE: usize = 2 << 20;
    // Allocations of a few MB stand beside each other: the page around an end is their neighbour's, too.
    let before = first.addr() % LARGE_PAGE;
    let length = (before + bytes).next_multiple_of(LARGE_PAGE);
    // SAFETY: nothing is accessed; the advice changes how memory is mapped and nothing that a program could see, whoever
    // it belongs to. A kernel that does not know it, or finds a part that is not mapped, returns an error.
    unsafe {
        libc::madvise(
            first.wrapping_sub(before).cast(),
            length,
            libc::MADV_COLLAPSE,
        );
    }
}

#[cfg(any(not(target_os = "linux"), miri))]
pub(crate) fn collapse(_: *mut u8, _: usize) {}

/// Asks for large pages. A hint: no effect but on time.
#[cfg(all(target_os = "linux", not(miri)))]
fn advise(memory: &mut Vec<Packet>) {
    const PAGE: usize = 4096;
    let bytes = memory.capacity() * size_of::<Packet>();
    if bytes < LARGE {
        return;
    }
    // Only whole pages of the vector's own.
    let first = memory.as_mut_ptr().cast::<u8>();
    let skipped = first.align_offset(PAGE);
    let length = (bytes - skipped) / PAGE * PAGE;
    // SAFETY: the range is inside the vector's allocation, which is ours; the advice changes how it is mapped and
    // nothing that a program could see. A kernel that does not know it returns an error, which changes nothing.
    unsafe {
        libc::madvise(
            first.wrapping_add(skipped).cast(),
            length,
            libc::MADV_HUGEPAGE,
        );
    }
}

#[cfg(any(not(target_os = "linux"), miri))]
fn advise(_: &mut Vec<Packet>) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_zero_and_too_many_are_refused() {
        for n in [0, 1, if cfg!(miri) { 1000 } else { 100_000 }] {
            let memory = packets(n).expect("6 MB");
            assert_eq!(memory.len(), n);
            let zero = |p: &Packet| p.lanes::<[u64; 8]>() == [0; 8];
            assert!(memory.iter().all(zero));
        }
        assert!(packets(usize::MAX / 64).is_none());
    }

    #[test]
    fn what_moves_to_large_pages_keeps_its_content() {
        let mut memory: Vec<u64> = (0..if cfg!(miri) { 10_003 } else { 1_000_003 }).collect();
        collapse(memory.as_mut_ptr().cast(), size_of_val(memory.as_slice()));
        assert!(memory.iter().zip(0..).all(|(&x, i)| x == i));
        memory.push(0);
    }
}
