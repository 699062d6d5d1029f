//! Scalar programs: what runs in pairs and through the accumulator gives the bits of one instruction at a time, and those
//! of whole vectors.

use fearless_simd::prelude::*;
use fearless_simd::{f32x4, f64x2};
use retrograde_ops::scalar::{Program, ScalarCode, ScalarOp};
use retrograde_ops::{Binary, Level, Ternary, Unary, at_level, math};
use retrograde_storage::DType;

/// Random numbers, always the same (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

const SPECIAL: [f64; 12] = [
    0.0,
    -0.0,
    1.0,
    -0.5,
    0.78,
    0.785398,
    -3.0,
    1e-40,
    1e30,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];

fn bits(dtype: DType, x: f64) -> u64 {
    match dtype {
        DType::F32 => u64::from((x as f32).to_bits()),
        _ => x.to_bits(),
    }
}

/// The register's bits, with one NaN for all: which operand's NaN a sum has is left to the machine.
fn seen(dtype: DType, register: u64) -> u64 {
    let is_nan = match dtype {
        DType::F32 => f32::from_bits(register as u32).is_nan(),
        _ => f64::from_bits(register).is_nan(),
    };
    if is_nan { u64::MAX } else { register }
}

/// Registers that a random program starts with.
const GIVEN: usize = 8;

/// A random program on floats of one type, and the types of its registers. Mostly an operand is the result before.
fn random(random: &mut Random, length: usize) -> (Vec<ScalarOp>, DType, usize) {
    let dtype = random.one_of(&[DType::F32, DType::F64]);
    let mut registers = GIVEN;
    let mut ops = Vec::new();
    for _ in 0..length {
        let operand = |random: &mut Random| {
            let near = random.below(3) > 0;
            (if near {
                registers - 1
            } else {
                random.below(registers)
            }) as u32
        };
        let [a, b, c] = std::array::from_fn(|_| operand(random));
        let two = [
            Binary::Add,
            Binary::Sub,
            Binary::Mul,
            Binary::Div,
            Binary::MulStrong,
            Binary::Max,
        ];
        let one = [
            Unary::Neg,
            Unary::Abs,
            Unary::Recip,
            Unary::Square,
            Unary::Sqrt,
            Unary::Exp,
            Unary::Ln,
            Unary::Sin,
            Unary::Cos,
            Unary::Tanh,
            Unary::Sigmoid,
            Unary::Erf,
        ];
        let code = match random.below(12) {
            0..7 => ScalarCode::Binary(dtype, random.one_of(&two)),
            7..10 => ScalarCode::Unary(dtype, random.one_of(&one)),
            10 => ScalarCode::SinCos(dtype),
            _ => ScalarCode::Ternary(dtype, Ternary::Fma),
        };
        let dst = registers as u32;
        let op = ScalarOp {
            code,
            dst,
            a,
            b,
            c,
            imm: 0,
        };
        if matches!(code, ScalarCode::SinCos(_)) {
            // Sometimes the sine stands last, where the next instruction looks for it.
            let [sine, cosine] = if random.below(2) == 0 {
                [dst, dst + 1]
            } else {
                [dst + 1, dst]
            };
            ops.push(ScalarOp {
                dst: sine,
                b: cosine,
                ..op
            });
            registers += 2;
        } else {
            ops.push(op);
            registers += 1;
        }
    }
    (ops, dtype, registers)
}

#[test]
fn instructions_together_are_instructions_one_by_one() {
    let (programs, length) = if cfg!(miri) { (20, 12) } else { (2000, 40) };
    let mut numbers = Random(7);
    for _ in 0..programs {
        let (ops, dtype, registers) = random(&mut numbers, length);
        let mut start = vec![0; registers];
        for to in &mut start[..GIVEN] {
            let x = match numbers.below(3) {
                0 => numbers.one_of(&SPECIAL),
                _ => numbers.below(4000) as f64 / 1000.0 - 2.0,
            };
            *to = bits(dtype, x);
        }
        let levels = if cfg!(miri) {
            vec![Level::Baseline]
        } else {
            Level::available()
        };
        for level in levels {
            let (mut together, mut single) = (start.clone(), start.clone());
            Program::new(ops.iter().copied()).run(level, &mut together);
            for &op in &ops {
                Program::new([op]).run(level, &mut single);
            }
            for (r, (a, b)) in together.iter().zip(&single).enumerate() {
                assert_eq!(
                    seen(dtype, *a),
                    seen(dtype, *b),
                    "{level}: register {r} of {ops:#?}"
                );
            }
        }
    }
}

/// Every operation whose function the interpreter has for one number, against the one for vectors.
#[test]
fn one_number_has_the_bits_of_a_vector() {
    let step = if cfg!(miri) { 400_000_003 } else { 100_003 };
    for level in if cfg!(miri) {
        vec![Level::Baseline]
    } else {
        Level::available()
    } {
        at_level!(level, simd => agree(simd, level, step));
    }
}

fn agree<S: Simd>(simd: S, level: Level, step: usize) {
    let names = [
        Unary::Neg,
        Unary::Abs,
        Unary::Recip,
        Unary::Square,
        Unary::Sqrt,
        Unary::Exp,
        Unary::Ln,
        Unary::Sin,
        Unary::Cos,
        Unary::Tanh,
        Unary::Sigmoid,
    ];
    macro_rules! vector {
        ($what:expr, $lanes:ident, $x:expr) => {{
            let x = $lanes::splat(simd, $x);
            simd.vectorize(
                #[inline(always)]
                || match $what {
                    Unary::Neg => -x,
                    Unary::Abs => x.abs(),
                    Unary::Recip => $lanes::splat(simd, 1.0) / x,
                    Unary::Square => x * x,
                    Unary::Sqrt => x.sqrt(),
                    Unary::Exp => math::exp(simd, x),
                    Unary::Ln => math::ln(simd, x),
                    Unary::Sin => math::sin(simd, x),
                    Unary::Cos => math::cos(simd, x),
                    Unary::Tanh => math::tanh(simd, x),
                    _ => math::sigmoid(simd, x),
                },
            )[0]
        }};
    }
    for what in names {
        let program = |dtype| {
            let code = ScalarCode::Unary(dtype, what);
            Program::new([ScalarOp {
                code,
                dst: 1,
                a: 0,
                b: 0,
                c: 0,
                imm: 0,
            }])
        };
        let (single, double) = (program(DType::F32), program(DType::F64));
        let run = |program: &Program, x: u64| {
            let mut registers = [x, 0];
            program.run(level, &mut registers);
            registers[1]
        };
        let all = (0..=u32::MAX).step_by(step).map(f32::from_bits);
        for x in all.chain(SPECIAL.map(|x| x as f32)).chain(around()) {
            let found = run(&single, u64::from(x.to_bits()));
            let expected = vector!(what, f32x4, x).to_bits();
            assert_eq!(
                seen(DType::F32, found),
                seen(DType::F32, u64::from(expected)),
                "{level}: {what:?} of {x:e}"
            );
            let x = f64::from(x) * 1.000_000_1;
            let found = run(&double, x.to_bits());
            let expected = vector!(what, f64x2, x).to_bits();
            assert_eq!(
                seen(DType::F64, found),
                seen(DType::F64, expected),
                "{level}: {what:?} of {x:e}"
            );
        }
    }
}

/// Numbers below and above where the reduction of sine and cosine begins to do something.
fn around() -> impl Iterator<Item = f32> {
    let step = if cfg!(miri) { 25 } else { 1 };
    (-50..50).step_by(step).flat_map(|i| {
        [0.78f32, 0.7853982, -0.78].map(|x| f32::from_bits((x.to_bits() as i32 + i) as u32))
    })
}

#[test]
#[should_panic(expected = "the program has 3 registers, given are 2")]
fn too_few_registers() {
    let code = ScalarCode::Binary(DType::F64, Binary::Add);
    let op = ScalarOp {
        code,
        dst: 2,
        a: 0,
        b: 1,
        c: 0,
        imm: 0,
    };
    Program::new([op]).run(Level::detect(), &mut [0, 0]);
}
