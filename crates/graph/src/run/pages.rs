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

/// Asks for large pages. A hint: no effect but on time.
#[cfg(all(target_os = "linux", not(miri)))]
fn advise(memory: &mut Vec<Packet>) {
    use std::ffi::{c_int, c_void};
    // The C library that the standard library is linked with.
    unsafe extern "C" {
        fn madvise(address: *mut c_void, length: usize, advice: c_int) -> c_int;
    }
    const MADV_HUGEPAGE: c_int = 14;
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
        madvise(first.wrapping_add(skipped).cast(), length, MADV_HUGEPAGE);
    }
}

#[cfg(any(not(target_os = "linux"), miri))]
fn advise(_: &mut Vec<Packet>) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_zero_and_too_many_are_refused() {
        for n in [0, 1, 100_000] {
            let memory = packets(n).expect("6 MB");
            assert_eq!(memory.len(), n);
            let zero = |p: &Packet| p.lanes::<[u64; 8]>() == [0; 8];
            assert!(memory.iter().all(zero));
        }
        assert!(packets(usize::MAX / 64).is_none());
    }
}
