//! The loops of elementwise micro-ops at a SIMD level: one function an operation and level, `vectorize`'s, which enters
//! its level by itself. All else is inlined into the dispatch, because a tile is only some tens of packets long: ten
//! nanoseconds on the way to the loop would be a quarter of the time.

use fearless_simd::Simd;
use retrograde_storage::Packet;

use super::walk::{Operand, Target, each1, each2, each2_long, each3, each3_long};

/// `target = f(a)`, `a` of the same class.
#[inline(always)]
pub(super) fn map1<S: Simd>(
    simd: S,
    target: Target<'_>,
    a: Operand<'_>,
    f: impl Fn(Packet) -> Packet,
) {
    simd.vectorize(
        #[inline(always)]
        || each1(target, a, f),
    );
}

/// `target = f(a, b)`, at least one operand of the target's class.
#[inline(always)]
pub(super) fn map2<S: Simd>(
    simd: S,
    target: Target<'_>,
    a: Operand<'_>,
    b: Operand<'_>,
    f: impl Fn(Packet, Packet) -> Packet,
) {
    simd.vectorize(
        #[inline(always)]
        || each2(target, a, b, f),
    );
}

/// As [`map2`] for operations of many instructions.
#[inline(always)]
pub(super) fn map2_long<S: Simd>(
    simd: S,
    target: Target<'_>,
    a: Operand<'_>,
    b: Operand<'_>,
    f: impl Fn(Packet, Packet) -> Packet,
) {
    simd.vectorize(
        #[inline(always)]
        || each2_long(target, a, b, f),
    );
}

/// `target = f(a, b, c)`, operands of the target's class or narrower.
#[inline(always)]
pub(super) fn map3<S: Simd>(
    simd: S,
    target: Target<'_>,
    operands: [Operand<'_>; 3],
    f: impl Fn(Packet, Packet, Packet) -> Packet,
) {
    simd.vectorize(
        #[inline(always)]
        || each3(target, operands, f),
    );
}

/// As [`map3`] for operations of many instructions.
#[inline(always)]
pub(super) fn map3_long<S: Simd>(
    simd: S,
    target: Target<'_>,
    operands: [Operand<'_>; 3],
    f: impl Fn(Packet, Packet, Packet) -> Packet,
) {
    simd.vectorize(
        #[inline(always)]
        || each3_long(target, operands, f),
    );
}
