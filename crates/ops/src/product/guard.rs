//! Test memory between two pages that must not be touched: a kernel that reads past an operand's end dies here.

use std::ops::{Deref, DerefMut};

use retrograde_storage::Real;

/// Elements that end (or begin) exactly at an inaccessible page. Elsewhere than on Linux, and under Miri, which checks
/// bounds itself, a plain vector.
#[derive(Debug)]
pub(super) struct Guarded<T: Real> {
    #[cfg(not(all(target_os = "linux", not(miri))))]
    data: Vec<T>,
    #[cfg(all(target_os = "linux", not(miri)))]
    map: linux::Map<T>,
}

impl<T: Real> Guarded<T> {
    /// `at_end`: whether the last element, rather than the first, touches a page that cannot be read.
    pub(super) fn new(len: usize, at_end: bool, mut value: impl FnMut() -> f64) -> Self {
        #[cfg(not(all(target_os = "linux", not(miri))))]
        return Self {
            data: (0..len).map(|_| T::from_f64(value())).collect(),
        };
        #[cfg(all(target_os = "linux", not(miri)))]
        {
            let mut new = Self {
                map: linux::Map::new(len, at_end),
            };
            new.fill_with(|| T::from_f64(value()));
            new
        }
    }
}

impl<T: Real> Deref for Guarded<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        #[cfg(not(all(target_os = "linux", not(miri))))]
        return &self.data;
        #[cfg(all(target_os = "linux", not(miri)))]
        self.map.slice()
    }
}

impl<T: Real> DerefMut for Guarded<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        #[cfg(not(all(target_os = "linux", not(miri))))]
        return &mut self.data;
        #[cfg(all(target_os = "linux", not(miri)))]
        self.map.slice_mut()
    }
}

#[cfg(all(target_os = "linux", not(miri)))]
mod linux {
    use std::marker::PhantomData;

    /// A multiple of every page size in use (4, 16 and 64 KiB).
    const PAGE: usize = 64 * 1024;

    unsafe extern "C" {
        fn mmap(
            at: *mut u8,
            len: usize,
            protection: i32,
            flags: i32,
            file: i32,
            from: i64,
        ) -> *mut u8;
        fn mprotect(at: *mut u8, len: usize, protection: i32) -> i32;
        fn munmap(at: *mut u8, len: usize) -> i32;
    }

    #[derive(Debug)]
    pub(super) struct Map<T> {
        base: *mut u8,
        bytes: usize,
        start: *mut T,
        len: usize,
        elements: PhantomData<T>,
    }

    impl<T: bytemuck::Pod> Map<T> {
        pub(super) fn new(len: usize, at_end: bool) -> Self {
            let used = len * size_of::<T>();
            let inner = used.next_multiple_of(PAGE);
            let bytes = inner + 2 * PAGE;
            // SAFETY: a fresh private anonymous mapping (0x22), readable and writable (3), of which the first and the
            // last page are closed (0); both offsets lie within it.
            unsafe {
                let base = mmap(std::ptr::null_mut(), bytes, 3, 0x22, -1, 0);
                assert!(base as isize != -1, "mmap");
                assert_eq!(mprotect(base, PAGE, 0), 0);
                assert_eq!(mprotect(base.add(PAGE + inner), PAGE, 0), 0);
                let start = if at_end { PAGE + inner - used } else { PAGE };
                Self {
                    base,
                    bytes,
                    start: base.add(start).cast(),
                    len,
                    elements: PhantomData,
                }
            }
        }

        pub(super) fn slice(&self) -> &[T] {
            // SAFETY: `len` elements of the open part, aligned because pages are and `used` is whole elements; all
            // bits are valid for plain data, and the mapping lives as long as `self`.
            unsafe { std::slice::from_raw_parts(self.start, self.len) }
        }

        pub(super) fn slice_mut(&mut self) -> &mut [T] {
            // SAFETY: as above, and `self` is borrowed for as long.
            unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
        }
    }

    impl<T> Drop for Map<T> {
        fn drop(&mut self) {
            // SAFETY: the mapping made in `new`, unmapped once.
            unsafe { munmap(self.base, self.bytes) };
        }
    }
}
