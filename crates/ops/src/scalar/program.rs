//! Scalar instructions in the form that runs.

use retrograde_storage::DType;

use super::run::{self, Code, HELD, Operand};
use super::{ScalarCode, ScalarOp};
use crate::{Binary, Level};

/// Instructions ready to run, 20 bytes each.
///
/// ```
/// use retrograde_ops::scalar::{Program, ScalarCode, ScalarOp};
/// use retrograde_ops::{Binary, Level};
/// use retrograde_storage::DType;
///
/// let add = ScalarOp { code: ScalarCode::Binary(DType::I64, Binary::Add), dst: 2, a: 0, b: 1, c: 0, imm: 0 };
/// let mut registers = [1, 2, 0];
/// Program::new([add]).run(Level::detect(), &mut registers);
/// assert_eq!(registers[2], 3);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Program {
    instructions: Vec<Instruction>,
    /// Those whose code is [`Code::General`].
    general: Vec<ScalarOp>,
    /// One more than the highest number of a register that an instruction names.
    registers: usize,
}

/// An instruction; operands that are in the accumulator are also where their numbers say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instruction {
    pub code: Code,
    /// Of a pair, the first result; the second is in the register after it.
    pub dst: u32,
    /// First operand; of a general instruction, its number among those.
    pub a: u32,
    /// Second operand or second result; of functions of one number, [`HELD`] or not.
    pub b: u32,
    /// A pair's other operand; of sine and cosine, [`HELD`] or not.
    pub c: u32,
}

/// What an instruction leaves in the accumulator.
#[derive(Clone, Copy)]
struct Last {
    register: u32,
    dtype: DType,
    /// The operation, if it may become the first of a pair.
    two: Option<(Binary, Operand)>,
}

impl Program {
    /// Prepares instructions to run in this order.
    pub fn new(ops: impl IntoIterator<Item = ScalarOp>) -> Self {
        let ops = ops.into_iter();
        let mut program = Self {
            instructions: Vec::with_capacity(ops.size_hint().0),
            ..Self::default()
        };
        let mut last = None;
        for op in ops {
            let highest = op.dst.max(op.a).max(op.b).max(op.c);
            program.registers = program.registers.max(highest as usize + 1);
            last = program.push(op, last);
        }
        program.instructions.shrink_to_fit();
        program.general.shrink_to_fit();
        program
    }

    /// Appends an instruction after one that left `last`; returns what it leaves itself.
    fn push(&mut self, op: ScalarOp, last: Option<Last>) -> Option<Last> {
        let left = |dtype, two| {
            Some(Last {
                register: op.dst,
                dtype,
                two,
            })
        };
        let is_held = |r: u32, dtype: DType| {
            last.is_some_and(|last| (last.register, last.dtype) == (r, dtype))
        };
        let flag = |dtype| if is_held(op.a, dtype) { HELD } else { 0 };
        let (code, b, c, leaves) = match op.code {
            ScalarCode::Unary(dtype, what) => match Code::of_one(what, dtype) {
                Some(code) => (code, flag(dtype), 0, left(dtype, None)),
                None => (Code::General, 0, 0, None),
            },
            ScalarCode::SinCos(DType::F32) => (
                Code::SinCos32,
                op.b,
                flag(DType::F32),
                left(DType::F32, None),
            ),
            ScalarCode::SinCos(DType::F64) => (
                Code::SinCos64,
                op.b,
                flag(DType::F64),
                left(DType::F64, None),
            ),
            ScalarCode::Binary(dtype, what) => {
                let held = match (is_held(op.a, dtype), is_held(op.b, dtype)) {
                    (true, true) => Operand::Both,
                    (true, false) => Operand::First,
                    (false, true) => Operand::Second,
                    (false, false) => Operand::Memory,
                };
                if let Some(last) = last
                    && self.pair(op, what, held, last)
                {
                    return left(dtype, None);
                }
                match Code::of_two(what, dtype, held) {
                    Some(code) => (code, op.b, 0, left(dtype, Some((what, held)))),
                    None => (Code::General, 0, 0, None),
                }
            }
            ScalarCode::Const
            | ScalarCode::Ternary(..)
            | ScalarCode::PowI(_)
            | ScalarCode::Cast(..)
            | ScalarCode::SinCos(_) => (Code::General, 0, 0, None),
        };
        let a = if code == Code::General {
            self.general.push(op);
            self.general.len() as u32 - 1
        } else {
            op.a
        };
        let dst = op.dst;
        self.instructions.push(Instruction { code, dst, a, b, c });
        leaves
    }

    /// Makes one instruction of the last one and `op`, if there is one that does both. Results must be in neighbouring
    /// registers, which they are where every result has a register of its own.
    fn pair(&mut self, op: ScalarOp, outer: Binary, held: Operand, last: Last) -> bool {
        let Some((inner, its)) = last.two else {
            return false;
        };
        let other = match held {
            Operand::First => op.b,
            Operand::Second => op.a,
            Operand::Memory | Operand::Both => return false,
        };
        let code = Code::of_pair([inner, outer], held, last.dtype, its);
        let (Some(code), Some(first)) = (code, self.instructions.last_mut()) else {
            return false;
        };
        if op.dst.checked_sub(1) != Some(last.register) {
            return false;
        }
        (first.code, first.c) = (code, other);
        true
    }

    /// Runs the instructions in order.
    ///
    /// # Panics
    /// If an instruction names a register beyond `registers`.
    pub fn run(&self, level: Level, registers: &mut [u64]) {
        assert!(
            self.registers <= registers.len(),
            "the program has {} registers, given are {}",
            self.registers,
            registers.len()
        );
        // SAFETY: no instruction names a register beyond `self.registers`, nor a general one beyond those there are: the
        // fields are private, and `push` counted both.
        unsafe { run::run(level, &self.instructions, &self.general, registers) }
    }

    /// Bytes of heap held.
    pub fn bytes(&self) -> usize {
        self.instructions.capacity() * size_of::<Instruction>()
            + self.general.capacity() * size_of::<ScalarOp>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_is_twenty_bytes() {
        assert_eq!(size_of::<Instruction>(), 20);
    }
}
