//! The arithmetic of optimisers, several operations in one micro-op: Adam's update is some fifteen instructions on four
//! values an element, and as many micro-ops would each go through their slots and wait for the last.
//!
//! Nothing is contracted: each operation is rounded by itself, in the order of its formula, so that the bits are those of
//! the instructions one by one. Square root and division, which share a unit of the processor that nothing else needs,
//! run while the next packet's other work does.

use fearless_simd::prelude::*;
use retrograde_storage::Packet;

use super::lanes::{InPacket, Wide};
use super::walk::{Walks, stepping};
use crate::math::hardshrink;

/// What is computed of the operands `a`, `b` and `c`, element by element, and of three scalars `p`, `q` and `r`.
/// `shrink(x, t)` is `x`, but 0 where `|x| <= t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Update {
    /// `shrink(a, q) + p b`: a gradient with weight decay.
    Gradient,
    /// `p shrink(a, q) + r b`: a running mean.
    Moment,
    /// `p shrink(a, q) + r (b b)`: a running mean of squares.
    SquareMoment,
    /// `a - (p b) / (q sqrt(c) + r)`: Adam's step.
    Step,
}

/// `dst = what(operands, scalars)`: no kernel, because scalars are data.
///
/// # Safety
/// As [`stepping`] for three operands.
pub(super) unsafe fn update<S: Simd, W: Wide>(
    simd: S,
    what: Update,
    dst: *mut Packet,
    operands: [*const Packet; 3],
    count: usize,
    walks: Walks,
    scalars: [Packet; 3],
) {
    macro_rules! on {
        (|$a:ident, $b:ident, $c:ident, $p:ident, $q:ident, $r:ident| $f:expr) => {
            simd.vectorize(
                #[inline(always)]
                || {
                    let f = #[inline(always)]
                    |packets: [Packet; 3]| {
                        let [$a, $b, $c] = packets.map(
                            #[inline(always)]
                            |x| W::Float::<S>::load(simd, x),
                        );
                        let [$p, $q, $r] = scalars.map(
                            #[inline(always)]
                            |x| W::Float::<S>::load(simd, x),
                        );
                        ($f).packet()
                    };
                    // SAFETY: the caller's promise.
                    unsafe { stepping(dst, operands, count, walks, f) }
                },
            )
        };
    }
    match what {
        Update::Gradient => on!(|a, b, _c, p, q, _r| hardshrink(simd, a, q) + p * b),
        Update::Moment => on!(|a, b, _c, p, q, r| p * hardshrink(simd, a, q) + r * b),
        Update::SquareMoment => {
            on!(|a, b, _c, p, q, r| p * hardshrink(simd, a, q) + r * (b * b));
        }
        Update::Step => on!(|a, b, c, p, q, r| a - (p * b) / (q * c.sqrt() + r)),
    }
}
