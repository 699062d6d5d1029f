//! The data of a fused group: plain structs that the planner fills in.

use retrograde_storage::DType;

use super::{Inner, Outer, Update};
use crate::{Binary, Reduce, Ternary, Unary};

/// The size of every lane of a group: no micro-op changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// `f32`, `u32` and 32-bit masks: 16 lanes a packet.
    Four,
    /// `f64`, `i64` and 64-bit masks: 8 lanes a packet.
    Eight,
}

impl Width {
    /// Lanes in a packet.
    pub const fn lanes(self) -> usize {
        match self {
            Self::Four => 16,
            Self::Eight => 8,
        }
    }

    /// Bytes of a lane.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Four => 4,
            Self::Eight => 8,
        }
    }

    /// What lanes of this width hold for elements of `dtype`, or `None` where the sizes differ.
    pub const fn elem(self, dtype: DType) -> Option<Elem> {
        match (self, dtype) {
            (Self::Four, DType::F32) | (Self::Eight, DType::F64) => Some(Elem::Float),
            (Self::Four, DType::U32) | (Self::Eight, DType::I64) => Some(Elem::Int),
            (_, DType::Bool) => Some(Elem::Mask),
            _ => None,
        }
    }
}

/// What the bits of a lane mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Elem {
    /// `f32` or `f64`.
    Float,
    /// `u32` or `i64`.
    Int,
    /// All ones or all zeros; one byte, 0 or 1, in memory.
    Mask,
}

/// Along which axes a slot's value varies, narrowest first. A micro-op's result has the widest class among its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Class {
    /// One packet, the value in every lane; computed once a block.
    Scalar,
    /// Constant along `n`: one packet a row, the row's value in every lane.
    Column,
    /// One lane an element.
    Full,
}

/// An axis of the iteration space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Axis {
    /// `o`
    Outer,
    /// `m`
    Middle,
    /// `n`
    Inner,
}

/// What a micro-op does. Operands are slots `a`, `b`, `c`; the result goes to slot `dst`, which may be an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// `dst` = view `imm`. A `Column` ignores the inner axis, a `Scalar` all axes: their strides must be 0 there.
    Load,
    /// View `imm` = `a` (`Full`, or `Column`: one element a row, the inner stride unused).
    Store,
    /// `dst` (`Scalar`) = constant `imm`, whose bits are read as an `f64` (then rounded to the group's float), an
    /// integer, or 0 / not 0.
    Const(Elem),
    /// The index along an axis, as `Float` or `Int`: `Inner` into a `Full` slot, the others into a `Column`.
    Iota(Axis, Elem),
    /// `dst` = `a` in the same or a wider class.
    Copy,
    /// `dst` = op(`a`). `Not` takes a mask, the others floats; `Neg` takes integers too.
    Unary(Elem, Unary),
    /// `dst` = op(`a`, `b`). `Elem` says what the operands are. Integers: `Add Sub Mul Max Min` (wrapping) and
    /// comparisons; masks: `And Or Xor Eq Ne`; floats: all but `And Or Xor`.
    Binary(Elem, Binary),
    /// `dst` = op(`a`, `b`, `c`). `Select` chooses among values of the given kind by a mask in `a`; `Fma` is for
    /// floats, `Clamp` for floats and integers.
    Ternary(Elem, Ternary),
    /// `dst` = outer(inner(`a`, `b`), `c`) on floats.
    Pair(Inner, Outer),
    /// `dst` = update(`a`, `b`, `c`) on floats, with the scalars `uniforms[imm]`.
    Update(Update),
    /// `dst` = `a` to the power `imm as i32`.
    PowI,
    /// From one kind to another: integer to float, mask to float or integer 0 / 1, float to integer as Rust's `as`.
    Cast(Elem, Elem),
    /// `dst` (`Column`) = `a` (`Full`, floats or integers) reduced along each row.
    ReduceRow(Elem, Reduce),
    /// Reduces `a` as `reductions[imm]` says, into that reduction's partial results.
    Reduce,
}

/// One micro-op: 16 bytes, operands it does not use are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MicroOp {
    /// What to do.
    pub code: Code,
    /// The result's slot.
    pub dst: u16,
    /// First operand's slot.
    pub a: u16,
    /// Second operand's slot.
    pub b: u16,
    /// Third operand's slot.
    pub c: u16,
    /// Index of a view, constant, reduction or three scalars, or an exponent: see [`Code`].
    pub imm: u32,
}

impl MicroOp {
    /// A micro-op without operands or immediate; fill in the others with struct update syntax.
    pub const fn new(code: Code, dst: u16) -> Self {
        Self {
            code,
            dst,
            a: 0,
            b: 0,
            c: 0,
            imm: 0,
        }
    }
}

/// A strided view of memory: element `(o, m, n)` stands at `base + o * strides[0] + m * strides[1] + n * strides[2]`,
/// in elements, the base being an argument of [`Group::run_block`]. Strides may be zero or negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewSpec {
    /// The type of the elements in memory.
    pub dtype: DType,
    /// Distances between neighbours along `o`, `m` and `n`, in elements.
    pub strides: [isize; 3],
}

/// Which axes a group-ending reduction removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Over {
    /// All: the result is one value. Over a `Column` each row counts once.
    All,
    /// `o` and `m`: the result is `[n]`, or one value for a `Column`.
    Rows,
    /// `m`: the result is `[o, n]`, or `[o]` for a `Column`.
    Middle,
}

/// A reduction that ends a group: blocks write partial results, [`Group::finish`] combines them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reduction {
    /// The axes removed.
    pub over: Over,
    /// How two elements are combined.
    pub kind: Reduce,
    /// `Float` or `Int`.
    pub elem: Elem,
    /// The class of the value reduced: `Full` or `Column`.
    pub class: Class,
}

/// A fused group: see the [module](super).
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The extents of `o`, `m` and `n`. Any may be 0.
    pub space: [usize; 3],
    /// The size of every lane.
    pub width: Width,
    /// Run in order on every tile. Those with a `Scalar` result run once a block, before the others, so a `Scalar`
    /// slot is written once only.
    pub ops: Vec<MicroOp>,
    /// The class of each slot. A slot may be written many times and hold another kind of element each time.
    pub slots: Vec<Class>,
    /// Memory read and written.
    pub views: Vec<ViewSpec>,
    /// Bits of the constants: see [`Code::Const`].
    pub constants: Vec<u64>,
    /// Slots of the scalars `p`, `q` and `r` of [`Code::Update`].
    pub uniforms: Vec<[u16; 3]>,
    /// Reductions over more than rows.
    pub reductions: Vec<Reduction>,
}

impl Group {
    /// Rows in the space: `o * m`.
    pub fn rows(&self) -> usize {
        self.space[0] * self.space[1]
    }

    /// Packets a full row takes.
    pub fn row_packets(&self) -> usize {
        self.space[2].div_ceil(self.width.lanes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_micro_op_is_sixteen_bytes() {
        assert_eq!(size_of::<MicroOp>(), 16);
    }
}
