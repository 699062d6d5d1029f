//! Elementwise micro-ops on slots: which loop, and which lanes the packets are read as.

use std::cell::Cell;

use fearless_simd::prelude::*;
use retrograde_storage::Packet;

use super::check::binary_takes;
use super::lanes::{InPacket, Wide};
use super::map::{Kernel, map1, map2, map2_long, map3};
use super::table::{binary_arms, binary_table, unary_arms, unary_table};
use super::walk::each1;
use super::{Axis, Elem};
use crate::{Binary, Ternary, Unary, math};

/// `dst = what(a)`; `None` for what the elements do not have.
pub(super) fn unary<S: Simd, W: Wide>(simd: S, elem: Elem, what: Unary) -> Option<Kernel> {
    macro_rules! float {
        (|$x:ident| $f:expr) => {
            Some(map1(
                simd,
                #[inline(always)]
                move |p| {
                    let $x = W::Float::<S>::load(simd, p);
                    let y: W::Float<S> = $f;
                    y.packet()
                },
            ))
        };
    }
    macro_rules! mask {
        (|$x:ident| $f:expr) => {
            Some(map1(
                simd,
                #[inline(always)]
                move |p| {
                    let $x = W::Float::<S>::load(simd, p);
                    let y: W::Mask<S> = $f;
                    y.packet()
                },
            ))
        };
    }
    match elem {
        Elem::Float => unary_table!(what, simd, float, float, mask, None),
        // `Neg`, the only one.
        Elem::Int => Some(map1(
            simd,
            #[inline(always)]
            move |p| (W::int(simd, 0) - W::Int::<S>::load(simd, p)).packet(),
        )),
        // `Not`, the only one.
        Elem::Mask => Some(map1(
            simd,
            #[inline(always)]
            move |p| (!W::Mask::<S>::load(simd, p)).packet(),
        )),
    }
}

/// `dst = what(a, b)`; `None` for what the elements do not have.
pub(super) fn binary<S: Simd, W: Wide>(simd: S, elem: Elem, what: Binary) -> Option<Kernel> {
    macro_rules! on {
        ($map:ident, $from:ty, $to:ty, |$x:ident, $y:ident| $f:expr) => {
            Some($map(
                simd,
                #[inline(always)]
                move |p, q| {
                    let $x = <$from>::load(simd, p);
                    let $y = <$from>::load(simd, q);
                    let z: $to = $f;
                    z.packet()
                },
            ))
        };
    }
    macro_rules! float {
        ($($f:tt)*) => { on!(map2, W::Float::<S>, W::Float::<S>, $($f)*) };
    }
    macro_rules! long {
        ($($f:tt)*) => { on!(map2_long, W::Float::<S>, W::Float::<S>, $($f)*) };
    }
    macro_rules! float_mask {
        ($($f:tt)*) => { on!(map2, W::Float::<S>, W::Mask::<S>, $($f)*) };
    }
    macro_rules! int {
        ($($f:tt)*) => { on!(map2, W::Int::<S>, W::Int::<S>, $($f)*) };
    }
    macro_rules! int_mask {
        ($($f:tt)*) => { on!(map2, W::Int::<S>, W::Mask::<S>, $($f)*) };
    }
    macro_rules! mask {
        ($($f:tt)*) => { on!(map2, W::Mask::<S>, W::Mask::<S>, $($f)*) };
    }
    match elem {
        Elem::Float => binary_table!(what, simd, float, long, float_mask, None),
        Elem::Int => match what {
            Binary::Add => int!(|x, y| x + y),
            Binary::Sub => int!(|x, y| x - y),
            Binary::Mul => int!(|x, y| x * y),
            Binary::Max => int!(|x, y| x.max(y)),
            Binary::Min => int!(|x, y| x.min(y)),
            Binary::Lt => int_mask!(|x, y| x.simd_lt(y)),
            Binary::Le => int_mask!(|x, y| x.simd_le(y)),
            Binary::Gt => int_mask!(|x, y| x.simd_gt(y)),
            Binary::Ge => int_mask!(|x, y| x.simd_ge(y)),
            Binary::Eq => int_mask!(|x, y| x.simd_eq(y)),
            Binary::Ne => int_mask!(|x, y| x.simd_ne(y)),
            other => {
                debug_assert!(!binary_takes(other, elem), "{other:?} of integers");
                None
            }
        },
        Elem::Mask => match what {
            Binary::And => mask!(|x, y| x & y),
            Binary::Or => mask!(|x, y| x | y),
            Binary::Xor | Binary::Ne => mask!(|x, y| x ^ y),
            Binary::Eq => mask!(|x, y| !(x ^ y)),
            other => {
                debug_assert!(!binary_takes(other, elem), "{other:?} of masks");
                None
            }
        },
    }
}

/// `dst = what(a, b, c)`.
pub(super) fn ternary<S: Simd, W: Wide>(simd: S, elem: Elem, what: Ternary) -> Kernel {
    macro_rules! on {
        ($first:ty, $rest:ty, |$x:ident, $y:ident, $z:ident| $f:expr) => {
            map3(
                simd,
                #[inline(always)]
                move |p, q, r| {
                    let $x = <$first>::load(simd, p);
                    let $y = <$rest>::load(simd, q);
                    let $z = <$rest>::load(simd, r);
                    let w: $rest = $f;
                    w.packet()
                },
            )
        };
    }
    match (what, elem) {
        (Ternary::Fma, _) => {
            on!(W::Float::<S>, W::Float::<S>, |x, y, z| x.mul_add(y, z))
        }
        // Bits are bits: one loop serves floats, integers and masks.
        (Ternary::Select, _) => on!(W::Mask::<S>, W::Int::<S>, |m, x, y| m.select(x, y)),
        (Ternary::Clamp, Elem::Int) => {
            on!(W::Int::<S>, W::Int::<S>, |x, lo, hi| x.max(lo).min(hi))
        }
        (Ternary::Clamp, _) => on!(W::Float::<S>, W::Float::<S>, |x, lo, hi| math::min(
            simd,
            math::max(simd, x, lo),
            hi
        )),
    }
}

/// `dst = a` to the power `exponent`: no kernel, because an exponent is data.
///
/// # Safety
/// As [`each1`].
pub(super) unsafe fn powi<S: Simd, W: Wide>(
    simd: S,
    exponent: i32,
    dst: *mut Packet,
    a: *const Packet,
    count: usize,
) {
    simd.vectorize(
        #[inline(always)]
        || {
            let f = |p| math::powi(simd, W::Float::<S>::load(simd, p), exponent).packet();
            // SAFETY: the caller's promise.
            unsafe { each1(dst, a, count, f) }
        },
    );
}

/// `dst = a`, which may be of a narrower class.
pub(super) fn copy<S: Simd>(simd: S) -> Kernel {
    map2_long(
        simd,
        #[inline(always)]
        |x, _| x,
    )
}

/// `dst = a` as another kind of element; `None` for conversions that there are not.
pub(super) fn cast<S: Simd, W: Wide>(simd: S, from: Elem, to: Elem) -> Option<Kernel> {
    macro_rules! on {
        ($from:ty, |$x:ident| $f:expr) => {
            Some(map1(
                simd,
                #[inline(always)]
                move |p| {
                    let $x = <$from>::load(simd, p);
                    $f.packet()
                },
            ))
        };
    }
    match (from, to) {
        (Elem::Int, Elem::Float) => on!(W::Int::<S>, |x| W::to_float::<S>(x)),
        (Elem::Float, Elem::Int) => on!(W::Float::<S>, |x| W::to_int::<S>(x)),
        (Elem::Mask, Elem::Float) => on!(W::Mask::<S>, |m| {
            m.select(W::float::<S>(simd, 1.0), W::float(simd, 0.0))
        }),
        (Elem::Mask, Elem::Int) => on!(W::Mask::<S>, |m| {
            m.select(W::int::<S>(simd, 1), W::int(simd, 0))
        }),
        (Elem::Float, Elem::Float) | (Elem::Int, Elem::Int) | (_, Elem::Mask) => None,
    }
}

/// `target` = a constant, given as the bits of an `f64`, an integer, or 0 / not 0.
pub(super) fn constant<S: Simd, W: Wide>(simd: S, elem: Elem, bits: u64, target: &[Cell<Packet>]) {
    simd.vectorize(
        #[inline(always)]
        || {
            let packet = match elem {
                Elem::Float => W::float::<S>(simd, f64::from_bits(bits)).packet(),
                Elem::Int => W::int::<S>(simd, bits).packet(),
                Elem::Mask => W::Mask::<S>::splat(simd, bits != 0).packet(),
            };
            for cell in target {
                cell.set(packet);
            }
        },
    );
}

/// Sets each row of `target`, of `columns` packets, to the inner indices from `first` on; or each packet to its row's
/// index along an outer axis, rows counted from `first` and `middle` of them to an outer index.
#[inline(never)]
pub(super) fn iota<S: Simd, W: Wide>(
    simd: S,
    axis: Axis,
    elem: Elem,
    target: &[Cell<Packet>],
    columns: usize,
    first: usize,
    middle: usize,
) {
    simd.vectorize(
        #[inline(always)]
        || {
            let ramp = W::ramp(simd);
            for (i, cell) in target.iter().enumerate() {
                let index = match axis {
                    Axis::Outer => W::int(simd, ((first + i) / middle) as u64),
                    Axis::Middle => W::int(simd, ((first + i) % middle) as u64),
                    Axis::Inner => {
                        let start = first + i % columns * W::Int::<S>::LEN;
                        ramp + W::int(simd, start as u64)
                    }
                };
                cell.set(match elem {
                    Elem::Float => W::to_float::<S>(index).packet(),
                    Elem::Int | Elem::Mask => index.packet(),
                });
            }
        },
    );
}
