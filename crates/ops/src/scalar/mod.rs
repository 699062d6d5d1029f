//! Programs of rank-0 instructions: a straight list over registers of eight bytes, no tiles.
//!
//! A register holds an `f32` or `u32` in its low four bytes (the others 0), an `f64` or `i64` in all eight, or a
//! `bool` as 0 or 1. An operation gives the same bits as the [tile engine](crate::tile) at the same level.
//!
//! [`Program`] is the compact form that runs: `program` makes it, `run` is its loop over the instructions that scalar
//! programs mostly consist of, `general` does all others, `tiny` multiplies what may be subnormal.

mod general;
mod program;
mod run;
mod tiny;

pub use program::Program;
use retrograde_storage::DType;

use crate::{Binary, Ternary, Unary};

/// What a scalar instruction does, and the type of its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScalarCode {
    /// `dst` = `imm`, already the register's bits.
    Const,
    /// `dst` = op(`a`). `Not` takes a bool, the others floats; `Neg` takes integers too.
    Unary(DType, Unary),
    /// `dst` = op(`a`, `b`). As in the tile engine: integers know `Add Sub Mul Max Min` (wrapping) and comparisons,
    /// bools `And Or Xor Eq Ne`.
    Binary(DType, Binary),
    /// `dst` = op(`a`, `b`, `c`). `Select` chooses by a bool in `a`.
    Ternary(DType, Ternary),
    /// `dst` = `a` to the power `imm as i32`.
    PowI(DType),
    /// From one type to another, as Rust's `as`; a bool counts 0 or 1, and a number is true unless it is 0.
    Cast(DType, DType),
    /// `dst` = sin(`a`) and register `b` = cos(`a`), two registers other than `a`.
    SinCos(DType),
}

/// One scalar instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScalarOp {
    /// What to do.
    pub code: ScalarCode,
    /// The result's register.
    pub dst: u32,
    /// First operand.
    pub a: u32,
    /// Second operand.
    pub b: u32,
    /// Third operand.
    pub c: u32,
    /// A constant's bits or an exponent.
    pub imm: u64,
}
