//! The loop of scalar programs.
//!
//! What bounds it is the way of a value from one instruction to the next: through memory that takes longer than the
//! arithmetic. So the last float result also stays in an *accumulator*, a machine register, and every frequent
//! instruction exists in forms that take an operand from there.
//!
//! What the operations are is said in `tile/table.rs`; here are the frequent ones in a form for one number, and a test
//! holds them to the same bits.

use fearless_simd::prelude::*;
use fearless_simd::{f32x4, f64x2};
use retrograde_storage::DType;

use super::program::Instruction;
use super::{ScalarOp, general, tiny};
use crate::{Binary, Level, Unary, at_level, math};

/// Which operands of an instruction the accumulator holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operand {
    Memory,
    First,
    Second,
    Both,
}

/// In place of a second operand, for functions of one: the operand is in the accumulator. (Long functions exist once for
/// both cases, and ask.)
pub(super) const HELD: u32 = 1;

/// Where a register's `f32` stands, counted in those.
pub(super) const LOW: usize = cfg!(target_endian = "big") as usize;

/// The registers of a run, as addresses.
#[derive(Clone, Copy)]
struct Registers(*mut u64);

impl Registers {
    /// # Safety
    /// There is a register `r`.
    #[inline(always)]
    unsafe fn float<T>(self, r: u32) -> *mut T {
        // SAFETY: `r` is in bounds.
        let register = unsafe { self.0.add(r as usize) };
        register
            .cast::<T>()
            .wrapping_add(if size_of::<T>() == 4 { LOW } else { 0 })
    }
}

/// Functions of one number, in the first lane of a vector: it does not matter to a lane what the others hold.
trait Number: Copy {
    /// The narrowest vector of them.
    type Lanes<S: Simd>: math::Lanes<S>;

    fn lanes<S: Simd>(self, simd: S) -> Self::Lanes<S>;
    fn first<S: Simd>(lanes: Self::Lanes<S>) -> Self;
    /// Whether [`math::sin_cos_near`] is for this number.
    fn is_near(self) -> bool;
    /// The product, as IEEE 754 has it; in `f32` without the hundreds of cycles that some processors take where an
    /// operand or the result is subnormal.
    fn times(self, other: Self) -> Self;

    /// A function of vectors.
    #[inline(always)]
    fn through<S: Simd>(self, simd: S, f: impl FnOnce(Self::Lanes<S>) -> Self::Lanes<S>) -> Self {
        Self::first(f(self.lanes(simd)))
    }

    /// Sine and cosine: most arguments are near, and then the result need not wait for the reduction.
    #[inline(always)]
    fn sine_cosine<S: Simd>(self, simd: S) -> (Self, Self) {
        let x = self.lanes(simd);
        let (sine, cosine) = if self.is_near() {
            math::sin_cos_near(simd, x)
        } else {
            math::sin_cos(simd, x)
        };
        (Self::first(sine), Self::first(cosine))
    }
}

macro_rules! number {
    ($number:ty, $lanes:ident, $times:expr) => {
        impl Number for $number {
            type Lanes<S: Simd> = $lanes<S>;

            #[inline(always)]
            fn lanes<S: Simd>(self, simd: S) -> $lanes<S> {
                $lanes::splat(simd, self)
            }
            #[inline(always)]
            fn first<S: Simd>(lanes: $lanes<S>) -> Self {
                lanes[0]
            }
            #[inline(always)]
            fn is_near(self) -> bool {
                self != 0.0 && self.abs() < math::TRIG_NEAR as Self
            }
            #[inline(always)]
            fn times(self, other: Self) -> Self {
                $times(self, other)
            }
        }
    };
}
number!(f32, f32x4, tiny::product);
number!(f64, f64x2, |x, y| x * y);

/// The codes with their functions. Every name is a jump's target: nesting enums would cost a jump each.
macro_rules! codes {
    (
        simd $simd:ident
        one {$(
            $one:ident |$w:ident| $g:expr, $one32:ident $one64:ident
        )*}
        two {$(
            $two:ident |$x:ident, $y:ident| $f:expr,
            $two32:ident $first32:ident $second32:ident $both32:ident
            $two64:ident $first64:ident $second64:ident $both64:ident
        )*}
        pair {$(
            $inner:ident $outer:ident $at:ident |$p:ident, $q:ident, $r:ident| $product:expr => $result:expr,
            $pair32:ident $pair_first32:ident $pair_second32:ident
            $pair64:ident $pair_first64:ident $pair_second64:ident
        )*}
    ) => {
        /// What an instruction does, and where its operands come from.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(super) enum Code {
            General,
            SinCos32,
            SinCos64,
            $($one32, $one64,)*
            $($two32, $first32, $second32, $both32, $two64, $first64, $second64, $both64,)*
            $($pair32, $pair_first32, $pair_second32, $pair64, $pair_first64, $pair_second64,)*
        }

        impl Code {
            /// The code of an operation of one operand.
            pub(super) fn of_one(what: Unary, dtype: DType) -> Option<Self> {
                Some(match (what, dtype) {
                    $(
                        (Unary::$one, DType::F32) => Self::$one32,
                        (Unary::$one, DType::F64) => Self::$one64,
                    )*
                    _ => return None,
                })
            }

            /// The code of an operation of two operands.
            pub(super) fn of_two(what: Binary, dtype: DType, held: Operand) -> Option<Self> {
                Some(match (what, dtype, held) {
                    $(
                        (Binary::$two, DType::F32, Operand::Memory) => Self::$two32,
                        (Binary::$two, DType::F32, Operand::First) => Self::$first32,
                        (Binary::$two, DType::F32, Operand::Second) => Self::$second32,
                        (Binary::$two, DType::F32, Operand::Both) => Self::$both32,
                        (Binary::$two, DType::F64, Operand::Memory) => Self::$two64,
                        (Binary::$two, DType::F64, Operand::First) => Self::$first64,
                        (Binary::$two, DType::F64, Operand::Second) => Self::$second64,
                        (Binary::$two, DType::F64, Operand::Both) => Self::$both64,
                    )*
                    _ => return None,
                })
            }

            /// The code of two operations, of which the second takes the first one's result as its operand `at`.
            pub(super) fn of_pair(
                [inner, outer]: [Binary; 2],
                at: Operand,
                dtype: DType,
                held: Operand,
            ) -> Option<Self> {
                Some(match (inner, outer, at, dtype, held) {
                    $(
                        (Binary::$inner, Binary::$outer, Operand::$at, DType::F32, Operand::Memory) => Self::$pair32,
                        (Binary::$inner, Binary::$outer, Operand::$at, DType::F32, Operand::First) => {
                            Self::$pair_first32
                        }
                        (Binary::$inner, Binary::$outer, Operand::$at, DType::F32, Operand::Second) => {
                            Self::$pair_second32
                        }
                        (Binary::$inner, Binary::$outer, Operand::$at, DType::F64, Operand::Memory) => Self::$pair64,
                        (Binary::$inner, Binary::$outer, Operand::$at, DType::F64, Operand::First) => {
                            Self::$pair_first64
                        }
                        (Binary::$inner, Binary::$outer, Operand::$at, DType::F64, Operand::Second) => {
                            Self::$pair_second64
                        }
                    )*
                    _ => return None,
                })
            }
        }

        /// # Safety
        /// As [`run`].
        #[inline(always)]
        unsafe fn interpret<S: Simd>(
            $simd: S,
            instructions: &[Instruction],
            others: &[ScalarOp],
            registers: &mut [u64],
        ) {
            let count = registers.len();
            let regs = Registers(registers.as_mut_ptr());
            // The accumulators.
            let (mut f32s, mut f64s) = (0.0f32, 0.0f64);
            for at in instructions {
                macro_rules! read {
                    ($t:ty, $operand:ident) => {
                        // SAFETY: the caller promises that there are the registers that instructions name, and nothing
                        // else refers to them while one runs.
                        unsafe { regs.float::<$t>(at.$operand).read() }
                    };
                }
                macro_rules! write {
                    ($t:ty, $register:expr, $value:expr) => {
                        // SAFETY: as for reading.
                        unsafe { regs.float::<$t>($register).write($value) }
                    };
                }
                macro_rules! one {
                    ($acc:ident, $t:ty, |$a:ident| $h:expr) => {{
                        let $a: $t = if at.b == HELD { $acc } else { read!($t, a) };
                        $acc = $h;
                        write!($t, at.dst, $acc);
                    }};
                }
                macro_rules! two {
                    ($acc:ident, $t:ty, $left:expr, $right:expr, |$a:ident, $b:ident| $h:expr) => {{
                        let ($a, $b): ($t, $t) = ($left, $right);
                        $acc = $h;
                        write!($t, at.dst, $acc);
                    }};
                }
                macro_rules! pair {
                    (
                        $acc:ident, $t:ty, $left:expr, $right:expr,
                        |$a:ident, $b:ident, $c:ident| $first:expr => $then:expr
                    ) => {{
                        let ($a, $b): ($t, $t) = ($left, $right);
                        let inner = $first;
                        write!($t, at.dst, inner);
                        let ($a, $c): ($t, $t) = (inner, read!($t, c));
                        $acc = $then;
                        write!($t, at.dst + 1, $acc);
                    }};
                }
                macro_rules! sin_cos {
                    ($acc:ident, $t:ty) => {{
                        let x: $t = if at.c == HELD { $acc } else { read!($t, a) };
                        let (sine, cosine) = x.sine_cosine($simd);
                        $acc = sine;
                        write!($t, at.dst, sine);
                        write!($t, at.b, cosine);
                    }};
                }
                match at.code {
                    Code::General => {
                        // SAFETY: the registers are ours alone, and no reference to one is held here; the caller
                        // promises that the instruction is there.
                        let (registers, op) = unsafe {
                            (
                                std::slice::from_raw_parts_mut(regs.0, count),
                                others.get_unchecked(at.a as usize),
                            )
                        };
                        general::execute($simd, op, registers);
                    }
                    Code::SinCos32 => sin_cos!(f32s, f32),
                    Code::SinCos64 => sin_cos!(f64s, f64),
                    $(
                        Code::$one32 => one!(f32s, f32, |$w| $g),
                        Code::$one64 => one!(f64s, f64, |$w| $g),
                    )*
                    $(
                        Code::$two32 => two!(f32s, f32, read!(f32, a), read!(f32, b), |$x, $y| $f),
                        Code::$first32 => two!(f32s, f32, f32s, read!(f32, b), |$x, $y| $f),
                        Code::$second32 => two!(f32s, f32, read!(f32, a), f32s, |$x, $y| $f),
                        Code::$both32 => two!(f32s, f32, f32s, f32s, |$x, $y| $f),
                        Code::$two64 => two!(f64s, f64, read!(f64, a), read!(f64, b), |$x, $y| $f),
                        Code::$first64 => two!(f64s, f64, f64s, read!(f64, b), |$x, $y| $f),
                        Code::$second64 => two!(f64s, f64, read!(f64, a), f64s, |$x, $y| $f),
                        Code::$both64 => two!(f64s, f64, f64s, f64s, |$x, $y| $f),
                    )*
                    $(
                        Code::$pair32 => {
                            pair!(f32s, f32, read!(f32, a), read!(f32, b), |$p, $q, $r| $product => $result)
                        }
                        Code::$pair_first32 => {
                            pair!(f32s, f32, f32s, read!(f32, b), |$p, $q, $r| $product => $result)
                        }
                        Code::$pair_second32 => {
                            pair!(f32s, f32, read!(f32, a), f32s, |$p, $q, $r| $product => $result)
                        }
                        Code::$pair64 => {
                            pair!(f64s, f64, read!(f64, a), read!(f64, b), |$p, $q, $r| $product => $result)
                        }
                        Code::$pair_first64 => {
                            pair!(f64s, f64, f64s, read!(f64, b), |$p, $q, $r| $product => $result)
                        }
                        Code::$pair_second64 => {
                            pair!(f64s, f64, read!(f64, a), f64s, |$p, $q, $r| $product => $result)
                        }
                    )*
                }
            }
        }
    };
}

codes! {
    simd simd
    one {
        Neg |x| -x, Neg32 Neg64
        Abs |x| x.abs(), Abs32 Abs64
        Recip |x| 1.0 / x, Recip32 Recip64
        Square |x| x.times(x), Square32 Square64
        Sqrt |x| x.sqrt(), Sqrt32 Sqrt64
        Exp |x| x.through(simd, |x| math::exp(simd, x)), Exp32 Exp64
        Ln |x| x.through(simd, |x| math::ln(simd, x)), Ln32 Ln64
        Sin |x| x.sine_cosine(simd).0, Sin32 Sin64
        Cos |x| x.sine_cosine(simd).1, Cos32 Cos64
        Tanh |x| x.through(simd, |x| math::tanh(simd, x)), Tanh32 Tanh64
        Sigmoid |x| x.through(simd, |x| math::sigmoid(simd, x)), Sigmoid32 Sigmoid64
    }
    two {
        Add |x, y| x + y, Add32 AddFirst32 AddSecond32 AddBoth32 Add64 AddFirst64 AddSecond64 AddBoth64
        Sub |x, y| x - y, Sub32 SubFirst32 SubSecond32 SubBoth32 Sub64 SubFirst64 SubSecond64 SubBoth64
        Mul |x, y| x.times(y), Mul32 MulFirst32 MulSecond32 MulBoth32 Mul64 MulFirst64 MulSecond64 MulBoth64
        Div |x, y| x / y, Div32 DivFirst32 DivSecond32 DivBoth32 Div64 DivFirst64 DivSecond64 DivBoth64
        MulStrong |x, y| if x == 0.0 { x } else { x.times(y) },
            Strong32 StrongFirst32 StrongSecond32 StrongBoth32 Strong64 StrongFirst64 StrongSecond64 StrongBoth64
    }
    // The second expression's first name is the result of the first one. Nothing is contracted: both round.
    pair {
        Mul Add First |x, y, z| x.times(y) => x + z, MulAdd32 MulAddFirst32 MulAddSecond32 MulAdd64 MulAddFirst64 MulAddSecond64
        Mul Add Second |x, y, z| x.times(y) => z + x, AddMul32 AddMulFirst32 AddMulSecond32 AddMul64 AddMulFirst64 AddMulSecond64
        Mul Sub First |x, y, z| x.times(y) => x - z, MulSub32 MulSubFirst32 MulSubSecond32 MulSub64 MulSubFirst64 MulSubSecond64
        Mul Sub Second |x, y, z| x.times(y) => z - x, SubMul32 SubMulFirst32 SubMulSecond32 SubMul64 SubMulFirst64 SubMulSecond64
        Mul Mul First |x, y, z| x.times(y) => x.times(z), MulMul32 MulMulFirst32 MulMulSecond32 MulMul64 MulMulFirst64 MulMulSecond64
        Mul Mul Second |x, y, z| x.times(y) => z.times(x), MulBy32 MulByFirst32 MulBySecond32 MulBy64 MulByFirst64 MulBySecond64
        Add Mul First |x, y, z| x + y => x.times(z), SumMul32 SumMulFirst32 SumMulSecond32 SumMul64 SumMulFirst64 SumMulSecond64
        Add Mul Second |x, y, z| x + y => z.times(x), SumBy32 SumByFirst32 SumBySecond32 SumBy64 SumByFirst64 SumBySecond64
    }
}

/// Runs instructions in order.
///
/// # Safety
/// No instruction names a register beyond `registers`, nor a general one a number beyond `others`.
pub(super) unsafe fn run(
    level: Level,
    instructions: &[Instruction],
    others: &[ScalarOp],
    registers: &mut [u64],
) {
    at_level!(level, simd => run_at(simd, instructions, others, registers));

    fn run_at<S: Simd>(
        simd: S,
        instructions: &[Instruction],
        others: &[ScalarOp],
        registers: &mut [u64],
    ) {
        simd.vectorize(
            #[inline(always)]
            // SAFETY: promised by the caller of the function around.
            || unsafe { interpret(simd, instructions, others, registers) },
        );
    }
}
