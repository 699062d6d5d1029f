//! Elementwise micro-ops as functions, found once for a group and level and then called for every tile: a tile is only
//! some tens of packets long, and ten nanoseconds on the way to its loop would be half of the time.

use fearless_simd::Simd;
use retrograde_storage::Packet;

use super::walk::{Walks, each1, each2, each3, stepping2};

/// An operation at a level: result, operands (what it does not use may be anything), packets of the result, walks. All
/// of them fit registers.
///
/// Safe to call under the contract of [`each3`] for as many operands as it has.
pub(super) type Kernel =
    unsafe fn(*mut Packet, *const Packet, *const Packet, *const Packet, usize, Walks);

/// A value of a type without size, whose values are all alike.
///
/// # Safety
/// A value of the type exists, or existed.
#[inline(always)]
unsafe fn witness<T: Copy>() -> T {
    const { assert!(size_of::<T>() == 0) };
    // SAFETY: reading nothing from a dangling pointer that is aligned; by the caller's promise the type has a value, and
    // a copy of it would have the same bits, none.
    unsafe { std::ptr::NonNull::<T>::dangling().read() }
}

macro_rules! maker {
    ($(#[$doc:meta])* $maker:ident, ($($packet:ident),*), |$dst:ident, $a:ident, $b:ident, $c:ident, $count:ident, $walks:ident, $f:ident| $loop:expr) => {
        $(#[$doc])*
        #[inline(always)]
        pub(super) fn $maker<S: Simd, F: Fn($($packet),*) -> Packet + Copy>(_: S, _: F) -> Kernel {
            /// # Safety
            /// See [`Kernel`]; values of `S` and `F` existed.
            unsafe fn kernel<S: Simd, F: Fn($($packet),*) -> Packet + Copy>(
                $dst: *mut Packet,
                $a: *const Packet,
                $b: *const Packet,
                $c: *const Packet,
                $count: usize,
                $walks: Walks,
            ) {
                // SAFETY: whoever made this kernel had both.
                let (simd, $f) = unsafe { (witness::<S>(), witness::<F>()) };
                simd.vectorize(
                    #[inline(always)]
                    || {
                        // SAFETY: the caller's promise.
                        unsafe { $loop }
                    },
                );
            }
            kernel::<S, F>
        }
    };
}

maker!(
    /// `dst = f(a)`, `a` of the same class.
    map1, (Packet), |dst, a, _b, _c, count, _walks, f| each1(dst, a, count, f)
);
maker!(
    /// `dst = f(a, b)`, at least one operand of the result's class.
    map2, (Packet, Packet), |dst, a, b, _c, count, walks, f| each2(dst, [a, b], count, walks, f)
);
maker!(
    /// As [`map2`] for operations of many instructions.
    map2_long, (Packet, Packet), |dst, a, b, _c, count, walks, f| stepping2(dst, [a, b], count, walks, f)
);
maker!(
    /// `dst = f(a, b, c)`, operands of the result's class or narrower.
    map3, (Packet, Packet, Packet), |dst, a, b, c, count, walks, f| each3(dst, [a, b, c], count, walks, f)
);
