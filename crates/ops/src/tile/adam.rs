//! Adam's whole update in one loop, where a tile's steps end in it.
//!
//! Four micro-ops ([`Update`]) one after another each go over their part of a tile: what one leaves to the next passes
//! through the first-level cache, and the unit for roots and divisions, which bounds the last, rests during the others.
//! Packet by packet, all in registers, the loads, the stores and the arithmetic of the moments run while it works. Each
//! operation is rounded as before and in the same order, so the bits are the same.

use std::ops::Range;

use fearless_simd::prelude::*;
use retrograde_storage::Packet;

use super::geometry::{Place, Step};
use super::lanes::{InPacket, Wide};
use super::memory::prefetch;
use super::{Class, Code, Elem, Update};
use crate::Binary;
use crate::math::hardshrink;

/// Consecutive steps that are Adam's update.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Adam {
    /// The steps that it stands for.
    pub steps: Range<usize>,
    /// Whether the decay shrinks the value (`AdamW`) or is added to the gradient.
    pub decoupled: bool,
    /// Gradient, value, first and second moment.
    pub from: [Place; 4],
    /// Value and moments after the update.
    pub to: [Place; 3],
    /// Packets in scratch of the scalars, in the order of [`Scalars`].
    pub scalars: [u32; SCALARS],
}

/// Scalars of the update: gradients' floor, decay; of each moment its factor, its floor and the factor of what is added;
/// the rate, the factor of the root and what is added to it.
const SCALARS: usize = 11;

/// Packets that memory is fetched ahead of the loop.
const AHEAD: usize = 32;

/// Whether two operands are one value.
fn same(a: Place, b: Place) -> bool {
    (a.at, a.base, a.class) == (b.at, b.base, b.class)
}

impl Adam {
    /// The first update among a tile's steps; `uniforms` are the scalars of [`Code::Update`] by a step's `imm`.
    pub(super) fn find(steps: &[Step], uniforms: &[[u32; 3]]) -> Option<Self> {
        (0..steps.len()).find_map(|last| Self::ending(steps, last, uniforms))
    }

    /// The update whose last step is number `last`.
    fn ending(steps: &[Step], last: usize, uniforms: &[[u32; 3]]) -> Option<Self> {
        let [m, v, step] = steps.get(last.checked_sub(2)?..=last)? else {
            return None;
        };
        let codes = [m.code, v.code, step.code];
        let is_adam =
            codes == [Update::Moment, Update::SquareMoment, Update::Step].map(Code::Update);
        let linked = same(m.b, v.b) && same(step.b, m.dst) && same(step.c, v.dst);
        if !is_adam || !linked {
            return None;
        }
        // A scalar in scratch: the only other class among the operands of full results.
        let scalar =
            |place: Place| (place.base == 0 && place.class == Class::Scalar).then_some(place.at);
        let before = |n: usize| steps.get((last - 2).checked_sub(n)?);
        let shrink = Code::Binary(Elem::Float, Binary::Hardshrink);
        let product = Code::Binary(Elem::Float, Binary::Mul);
        let g = before(1)?;
        let (first, decoupled, gradient, value, floor, decay) =
            if g.code == Code::Update(Update::Gradient) && same(g.dst, m.b) {
                let [decay, floor, _] = *uniforms.get(g.imm as usize)?;
                if !same(g.b, step.a) {
                    return None;
                }
                (last - 3, false, g.a, g.b, floor, decay)
            } else {
                let (x, y) = (before(2)?, g);
                let (g, w) = if x.code == shrink { (x, y) } else { (y, x) };
                let parts = g.code == shrink && w.code == product;
                if !parts || !same(g.dst, m.b) || !same(w.dst, step.a) {
                    return None;
                }
                let (decay, value) = match scalar(w.a) {
                    Some(decay) => (decay, w.b),
                    None => (scalar(w.b)?, w.a),
                };
                (last - 4, true, g.a, value, scalar(g.b)?, decay)
            };
        let (from, to) = ([gradient, value, m.a, v.a], [step.dst, m.dst, v.dst]);
        let full = from
            .iter()
            .chain(&to)
            .all(|place| place.class == Class::Full);
        // What lies between is not kept: nobody else may want it.
        let between = steps[first..last - 2].iter().map(|s| s.dst);
        let wanted = |place: Place| {
            steps[last + 1..]
                .iter()
                .any(|s| s.reads().any(|r| same(r, place)))
        };
        // Nor may one step's result be another's operand in any other way than the formula's: all is read first.
        let crossed = from.iter().any(|&x| {
            let own = [step.dst, m.dst, v.dst];
            own.iter().any(|&y| same(x, y)) || steps[first..last - 2].iter().any(|s| same(s.dst, x))
        });
        let distinct = !same(to[0], to[1]) && !same(to[0], to[2]) && !same(to[1], to[2]);
        if !full || crossed || !distinct || between.into_iter().any(wanted) {
            return None;
        }
        let [b1, small1, c1] = *uniforms.get(m.imm as usize)?;
        let [b2, small2, c2] = *uniforms.get(v.imm as usize)?;
        let [rate, root, eps] = *uniforms.get(step.imm as usize)?;
        Some(Self {
            steps: first..last + 1,
            decoupled,
            from,
            to,
            scalars: [
                floor, decay, b1, small1, c1, b2, small2, c2, rate, root, eps,
            ],
        })
    }
}

/// The update of `count` packets.
///
/// # Safety
/// Each of `from` is valid for reads and each of `to` for writes of `count` packets, free of data races; where they
/// overlap they are the same packets at the same position. None need be aligned.
pub(super) unsafe fn run<S: Simd, W: Wide>(
    simd: S,
    decoupled: bool,
    from: [*const Packet; 4],
    to: [*mut Packet; 3],
    count: usize,
    scalars: &[Packet; SCALARS],
) {
    simd.vectorize(
        #[inline(always)]
        || {
            // SAFETY: the caller's promise.
            unsafe {
                if decoupled {
                    each::<S, W, true>(simd, from, to, count, scalars);
                } else {
                    each::<S, W, false>(simd, from, to, count, scalars);
                }
            }
        },
    );
}

/// # Safety
/// As [`run`].
#[inline(always)]
unsafe fn each<S: Simd, W: Wide, const DECOUPLED: bool>(
    simd: S,
    from: [*const Packet; 4],
    to: [*mut Packet; 3],
    count: usize,
    scalars: &[Packet; SCALARS],
) {
    let [
        floor,
        decay,
        b1,
        small1,
        c1,
        b2,
        small2,
        c2,
        rate,
        root,
        eps,
    ] = scalars.map(
        #[inline(always)]
        |x| W::Float::<S>::load(simd, x),
    );
    for i in 0..count {
        for x in from {
            prefetch(x.wrapping_add(i + AHEAD).cast());
        }
        // SAFETY: `i < count`.
        let [gradient, value, m, v] = from.map(
            #[inline(always)]
            |x| W::Float::<S>::load(simd, unsafe { x.add(i).read_unaligned() }),
        );
        let g = hardshrink(simd, gradient, floor);
        let (g, w) = if DECOUPLED {
            (g, decay * value)
        } else {
            (g + decay * value, value)
        };
        let m = b1 * hardshrink(simd, m, small1) + c1 * g;
        let v = b2 * hardshrink(simd, v, small2) + c2 * (g * g);
        let w = w - (rate * m) / (root * v.sqrt() + eps);
        for (to, x) in to.iter().zip([w, m, v]) {
            // SAFETY: `i < count`.
            unsafe { to.add(i).write_unaligned(x.packet()) };
        }
    }
}
