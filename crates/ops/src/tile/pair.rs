//! Two operations in one micro-op: the intermediate value stays in a register instead of making a trip to its slot.
//!
//! A pair is its parts, each rounded by itself: nothing is contracted, so the bits are those of two micro-ops.

use fearless_simd::prelude::*;

use super::lanes::{InPacket, Wide};
use super::map::{Kernel, map3};
use crate::{Binary, math};

/// The first operation of a pair: `t = inner(a, b)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the formulas")]
pub enum Inner {
    Add,
    Sub,
    Mul,
    Div,
    /// [`Binary::MulStrong`]
    MulStrong,
}

/// The second operation of a pair, of `t` and the third operand `c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Outer {
    /// `t + c`
    Add,
    /// `t - c`
    Sub,
    /// `c - t`
    SubFrom,
    /// `t * c`
    Mul,
    /// `t / c`
    Div,
    /// `c / t`
    DivInto,
}

impl Inner {
    /// `op` as the first of a pair, if pairs may begin with it.
    pub fn of(op: Binary) -> Option<Self> {
        match op {
            Binary::Add => Some(Self::Add),
            Binary::Sub => Some(Self::Sub),
            Binary::Mul => Some(Self::Mul),
            Binary::Div => Some(Self::Div),
            Binary::MulStrong => Some(Self::MulStrong),
            _ => None,
        }
    }

    /// The operation by itself.
    pub fn binary(self) -> Binary {
        match self {
            Self::Add => Binary::Add,
            Self::Sub => Binary::Sub,
            Self::Mul => Binary::Mul,
            Self::Div => Binary::Div,
            Self::MulStrong => Binary::MulStrong,
        }
    }
}

impl Outer {
    /// `op` as the second of a pair whose first is its operand number `position`, if pairs may end with it.
    pub fn of(op: Binary, position: usize) -> Option<Self> {
        match (op, position) {
            (Binary::Add, _) => Some(Self::Add),
            (Binary::Mul, _) => Some(Self::Mul),
            (Binary::Sub, 0) => Some(Self::Sub),
            (Binary::Sub, _) => Some(Self::SubFrom),
            (Binary::Div, 0) => Some(Self::Div),
            (Binary::Div, _) => Some(Self::DivInto),
            _ => None,
        }
    }

    /// The operation by itself, and whether `c` is its first operand.
    pub fn binary(self) -> (Binary, bool) {
        match self {
            Self::Add => (Binary::Add, false),
            Self::Sub => (Binary::Sub, false),
            Self::SubFrom => (Binary::Sub, true),
            Self::Mul => (Binary::Mul, false),
            Self::Div => (Binary::Div, false),
            Self::DivInto => (Binary::Div, true),
        }
    }
}

/// `dst = outer(inner(a, b), c)`.
pub(super) fn pair<S: Simd, W: Wide>(simd: S, inner: Inner, outer: Outer) -> Kernel {
    macro_rules! on {
        (|$x:ident, $y:ident, $z:ident| $f:expr) => {
            map3(
                simd,
                #[inline(always)]
                move |p, q, r| {
                    let $x = W::Float::<S>::load(simd, p);
                    let $y = W::Float::<S>::load(simd, q);
                    let $z = W::Float::<S>::load(simd, r);
                    ($f).packet()
                },
            )
        };
    }
    macro_rules! ending {
        (|$x:ident, $y:ident| $t:expr) => {
            match outer {
                Outer::Add => on!(|$x, $y, z| $t + z),
                Outer::Sub => on!(|$x, $y, z| $t - z),
                Outer::SubFrom => on!(|$x, $y, z| z - $t),
                Outer::Mul => on!(|$x, $y, z| $t * z),
                Outer::Div => on!(|$x, $y, z| $t / z),
                Outer::DivInto => on!(|$x, $y, z| z / $t),
            }
        };
    }
    match inner {
        Inner::Add => ending!(|x, y| (x + y)),
        Inner::Sub => ending!(|x, y| (x - y)),
        Inner::Mul => ending!(|x, y| (x * y)),
        Inner::Div => ending!(|x, y| (x / y)),
        Inner::MulStrong => ending!(|x, y| math::mul_strong(simd, x, y)),
    }
}
