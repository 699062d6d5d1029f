//! Any scalar instruction, with its operands in memory: what [`run`](super::run) has no code of its own for.

use fearless_simd::prelude::*;
use fearless_simd::{f32x4, f64x2};
use retrograde_storage::DType;

use super::run::LOW;
use super::{ScalarCode, ScalarOp};
use crate::tile::Elem;
use crate::tile::check::binary_takes;
use crate::tile::table::{binary_arms, binary_table, unary_arms, unary_table};
use crate::{Binary, Ternary, Unary, math};

/// Runs one instruction. A function of its own, so that the loop that calls it stays small.
#[inline(never)]
pub(super) fn execute<S: Simd>(simd: S, op: &ScalarOp, regs: &mut [u64]) {
    simd.vectorize(
        #[inline(always)]
        || {
            // A register that was written as four bytes is read as four: reading eight would wait until they are in the
            // cache.
            let whole = |r: u32| regs[r as usize];
            let half = |r: u32| bytemuck::cast_slice::<u64, [u32; 2]>(regs)[r as usize][LOW];
            let of = |dtype: DType, r: u32| match dtype {
                DType::F32 | DType::U32 => u64::from(half(r)),
                DType::F64 | DType::I64 | DType::Bool => whole(r),
            };
            regs[op.dst as usize] = match op.code {
                ScalarCode::Const => op.imm,
                ScalarCode::Unary(dtype, what) => unary(simd, dtype, what, of(dtype, op.a)),
                ScalarCode::Binary(dtype, what) => {
                    binary(simd, dtype, what, of(dtype, op.a), of(dtype, op.b))
                }
                ScalarCode::Ternary(dtype, what) => {
                    ternary(simd, dtype, what, [op.a, op.b, op.c].map(|r| of(dtype, r)))
                }
                ScalarCode::PowI(DType::F32) => {
                    powi::<S, f32x4<S>>(simd, of(DType::F32, op.a), op.imm as i32)
                }
                ScalarCode::PowI(_) => powi::<S, f64x2<S>>(simd, whole(op.a), op.imm as i32),
                ScalarCode::Cast(from, to) => cast(from, to, of(from, op.a)),
                ScalarCode::SinCos(dtype) => {
                    let angle = of(dtype, op.a);
                    regs[op.b as usize] = unary(simd, dtype, Unary::Cos, angle);
                    unary(simd, dtype, Unary::Sin, angle)
                }
            };
        },
    );
}

/// A float vector that carries one number through the functions of [`math`]: the bits of its first lane are those of any
/// lane of a wider vector.
trait Narrow<S: Simd>: math::Lanes<S> {
    fn of_bits(simd: S, bits: u64) -> Self;
    fn bits(self) -> u64;
}

impl<S: Simd> Narrow<S> for f32x4<S> {
    #[inline(always)]
    fn of_bits(simd: S, bits: u64) -> Self {
        Self::splat(simd, f32::from_bits(bits as u32))
    }
    #[inline(always)]
    fn bits(self) -> u64 {
        u64::from(self[0].to_bits())
    }
}

impl<S: Simd> Narrow<S> for f64x2<S> {
    #[inline(always)]
    fn of_bits(simd: S, bits: u64) -> Self {
        Self::splat(simd, f64::from_bits(bits))
    }
    #[inline(always)]
    fn bits(self) -> u64 {
        self[0].to_bits()
    }
}

/// Whether the first lane of a mask is set.
#[inline(always)]
fn truth<S: Simd, V: Narrow<S>>(simd: S, mask: V::Mask) -> u64
where
    V::Mask: Select<V>,
{
    let number = |x| V::splat(simd, V::Element::from(x));
    u64::from(mask.select(number(true), number(false)).bits() != 0)
}

#[inline(always)]
fn powi<S: Simd, V: Narrow<S>>(simd: S, a: u64, exponent: i32) -> u64 {
    math::powi(simd, V::of_bits(simd, a), exponent).bits()
}

/// One function an operation would cost a call more than the operation: the dispatch is one jump.
#[inline(always)]
fn float_unary<S: Simd, V: Narrow<S>>(simd: S, what: Unary, a: u64) -> u64
where
    V::Mask: Select<V>,
{
    macro_rules! float {
        (|$x:ident| $f:expr) => {{
            let $x = V::of_bits(simd, a);
            let y: V = $f;
            y.bits()
        }};
    }
    macro_rules! mask {
        (|$x:ident| $f:expr) => {{
            let $x = V::of_bits(simd, a);
            truth::<S, V>(simd, $f)
        }};
    }
    macro_rules! long {
        (|$x:ident| $f:expr) => {
            apart(
                simd,
                a,
                #[inline(always)]
                |$x: V| -> V { $f },
            )
        };
    }
    unary_table!(what, simd, float, long, mask, 0)
}

/// A long function: by itself, for inlined with all others it would take compilers minutes.
#[inline(never)]
fn apart<S: Simd, V: Narrow<S>>(simd: S, a: u64, f: impl Fn(V) -> V) -> u64 {
    simd.vectorize(
        #[inline(always)]
        || f(V::of_bits(simd, a)).bits(),
    )
}

/// See [`apart`].
#[inline(never)]
fn apart2<S: Simd, V: Narrow<S>>(simd: S, [a, b]: [u64; 2], f: impl Fn(V, V) -> V) -> u64 {
    simd.vectorize(
        #[inline(always)]
        || f(V::of_bits(simd, a), V::of_bits(simd, b)).bits(),
    )
}

#[inline(always)]
fn float_binary<S: Simd, V: Narrow<S>>(simd: S, what: Binary, a: u64, b: u64) -> u64
where
    V::Mask: Select<V>,
{
    macro_rules! float {
        (|$x:ident, $y:ident| $f:expr) => {{
            let ($x, $y) = (V::of_bits(simd, a), V::of_bits(simd, b));
            let z: V = $f;
            z.bits()
        }};
    }
    macro_rules! mask {
        (|$x:ident, $y:ident| $f:expr) => {{
            let ($x, $y) = (V::of_bits(simd, a), V::of_bits(simd, b));
            truth::<S, V>(simd, $f)
        }};
    }
    macro_rules! long {
        (|$x:ident, $y:ident| $f:expr) => {
            apart2(
                simd,
                [a, b],
                #[inline(always)]
                |$x: V, $y: V| -> V { $f },
            )
        };
    }
    binary_table!(what, simd, float, long, mask, 0)
}

#[inline(always)]
fn unary<S: Simd>(simd: S, dtype: DType, what: Unary, a: u64) -> u64 {
    match dtype {
        DType::F32 => float_unary::<S, f32x4<S>>(simd, what, a),
        DType::F64 => float_unary::<S, f64x2<S>>(simd, what, a),
        // `Neg` and `Not`, the only ones.
        DType::U32 => u64::from((a as u32).wrapping_neg()),
        DType::I64 => a.wrapping_neg(),
        DType::Bool => a ^ 1,
    }
}

/// Integer operations, on registers widened to `i64` (exact for `u32`).
fn integer(what: Binary, a: i64, b: i64) -> i64 {
    match what {
        Binary::Add => a.wrapping_add(b),
        Binary::Sub => a.wrapping_sub(b),
        Binary::Mul => a.wrapping_mul(b),
        Binary::Max => a.max(b),
        Binary::Min => a.min(b),
        Binary::Lt => i64::from(a < b),
        Binary::Le => i64::from(a <= b),
        Binary::Gt => i64::from(a > b),
        Binary::Ge => i64::from(a >= b),
        Binary::Eq => i64::from(a == b),
        Binary::Ne | Binary::Xor => i64::from(a != b),
        Binary::And => a & b,
        Binary::Or => a | b,
        other => {
            debug_assert!(!binary_takes(other, Elem::Int), "{other:?} of integers");
            0
        }
    }
}

#[inline(always)]
fn binary<S: Simd>(simd: S, dtype: DType, what: Binary, a: u64, b: u64) -> u64 {
    match dtype {
        DType::F32 => float_binary::<S, f32x4<S>>(simd, what, a, b),
        DType::F64 => float_binary::<S, f64x2<S>>(simd, what, a, b),
        // Wraps in 32 bits.
        DType::U32 => u64::from(integer(what, a as i64, b as i64) as u32),
        DType::I64 | DType::Bool => integer(what, a as i64, b as i64) as u64,
    }
}

/// The low half of a bool is all of it.
#[inline(always)]
fn choice([mask, a, b]: [u64; 3]) -> u64 {
    if mask != 0 { a } else { b }
}

#[inline(always)]
fn float_ternary<S: Simd, V: Narrow<S>>(simd: S, what: Ternary, regs: [u64; 3]) -> u64 {
    let [x, y, z] = regs.map(|r| V::of_bits(simd, r));
    match what {
        Ternary::Fma => x.mul_add(y, z).bits(),
        Ternary::Clamp => math::min(simd, math::max(simd, x, y), z).bits(),
        Ternary::Select => choice(regs),
    }
}

#[inline(always)]
fn ternary<S: Simd>(simd: S, dtype: DType, what: Ternary, regs: [u64; 3]) -> u64 {
    let [a, b, c] = regs;
    match (what, dtype) {
        (Ternary::Select, _) => choice(regs),
        (_, DType::F32) => float_ternary::<S, f32x4<S>>(simd, what, regs),
        (_, DType::F64) => float_ternary::<S, f64x2<S>>(simd, what, regs),
        (Ternary::Clamp, DType::U32) => a.max(b).min(c),
        (Ternary::Clamp, _) => (a as i64).max(b as i64).min(c as i64) as u64,
        (Ternary::Fma, _) => a.wrapping_mul(b).wrapping_add(c),
    }
}

fn cast(from: DType, to: DType, a: u64) -> u64 {
    /// A number on its way between types: integers stay exact.
    enum Number {
        Float(f64),
        Single(f32),
        Int(i64),
    }
    let x = match from {
        DType::F32 => Number::Single(f32::from_bits(a as u32)),
        DType::F64 => Number::Float(f64::from_bits(a)),
        DType::U32 | DType::I64 | DType::Bool => Number::Int(a as i64),
    };
    macro_rules! to {
        ($t:ty) => {
            match x {
                Number::Float(x) => x as $t,
                Number::Single(x) => x as $t,
                Number::Int(x) => x as $t,
            }
        };
    }
    match to {
        DType::F32 => u64::from(to!(f32).to_bits()),
        DType::F64 => to!(f64).to_bits(),
        DType::U32 => u64::from(to!(u32)),
        DType::I64 => to!(i64) as u64,
        DType::Bool => u64::from(to!(f64) != 0.0),
    }
}
