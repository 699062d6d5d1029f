//! What an instruction of a scalar program costs: nanoseconds by length and kind.
//!
//! `cargo bench -p retrograde-ops --bench scalar -- [part of a name]`

use std::time::Instant;

use retrograde_ops::scalar::{Program, ScalarCode, ScalarOp};
use retrograde_ops::{Binary, Level, Unary};
use retrograde_storage::DType;

/// A program being written: every result has a register of its own.
struct Writer {
    ops: Vec<ScalarOp>,
    registers: u32,
    dtype: DType,
}

impl Writer {
    fn push(&mut self, code: ScalarCode, a: u32, b: u32) -> u32 {
        let dst = self.registers;
        self.registers += 1;
        self.ops.push(ScalarOp {
            code,
            dst,
            a,
            b,
            c: 0,
            imm: 0,
        });
        dst
    }
    fn two(&mut self, what: Binary, a: u32, b: u32) -> u32 {
        self.push(ScalarCode::Binary(self.dtype, what), a, b)
    }
    fn one(&mut self, what: Unary, a: u32) -> u32 {
        self.push(ScalarCode::Unary(self.dtype, what), a, 0)
    }
    fn sin_cos(&mut self, a: u32) -> [u32; 2] {
        let (sine, cosine) = (self.registers, self.registers + 1);
        self.registers += 2;
        let code = ScalarCode::SinCos(self.dtype);
        self.ops.push(ScalarOp {
            code,
            dst: sine,
            a,
            b: cosine,
            c: 0,
            imm: 0,
        });
        [sine, cosine]
    }
}

/// Registers 0 to 3 hold `x`, 0.1, 0.9 and 1.
const FIRST: [f64; 4] = [0.7, 0.1, 0.9, 1.0];

/// Rounds of `y = sin(y) x + 0.1; y = 0.9 y`, and the derivative by `x`.
fn sines(w: &mut Writer, rounds: usize) {
    let mut y = 0;
    let mut tape = Vec::new();
    for _ in 0..rounds {
        let [sine, cosine] = w.sin_cos(y);
        let product = w.two(Binary::Mul, sine, 0);
        let sum = w.two(Binary::Add, product, 1);
        y = w.two(Binary::Mul, 2, sum);
        tape.push([sine, cosine]);
    }
    let (mut g, mut dx) = (3, 1);
    for [sine, cosine] in tape.into_iter().rev() {
        let by_sum = w.two(Binary::Mul, 2, g);
        let by_x = w.two(Binary::Mul, by_sum, sine);
        dx = w.two(Binary::Add, dx, by_x);
        let by_sine = w.two(Binary::Mul, by_sum, 0);
        g = w.two(Binary::Mul, by_sine, cosine);
    }
}

/// `y = y a + x`, one waiting for the other.
fn chain(w: &mut Writer, length: usize) {
    let mut y = 0;
    for _ in 0..length / 2 {
        y = w.two(Binary::Mul, y, 2);
        y = w.two(Binary::Add, y, 1);
    }
}

/// Eight chains side by side.
fn wide(w: &mut Writer, length: usize) {
    let mut y = [0, 1, 2, 3, 0, 1, 2, 3];
    for _ in 0..length / 16 {
        y = y.map(|y| w.two(Binary::Mul, y, 2));
        y = y.map(|y| w.two(Binary::Add, y, 1));
    }
}

/// The same instruction in runs, on registers that are there from the start: what dispatch costs.
fn runs(w: &mut Writer, length: usize) {
    for _ in 0..length / 16 {
        (0..8).for_each(|_| {
            w.two(Binary::Mul, 0, 2);
        });
        (0..8).for_each(|_| {
            w.two(Binary::Add, 0, 1);
        });
    }
}

fn logistic(w: &mut Writer, length: usize) {
    let mut y = 0;
    for _ in 0..length / 2 {
        y = w.one(Unary::Exp, y);
        y = w.two(Binary::Mul, y, 1);
    }
}

fn square_roots(w: &mut Writer, length: usize) {
    let mut y = 0;
    for _ in 0..length / 2 {
        y = w.one(Unary::Sqrt, y);
        y = w.two(Binary::Add, y, 1);
    }
}

fn measure(name: &str, dtype: DType, write: impl Fn(&mut Writer)) {
    let mut only = std::env::args().skip(1).filter(|arg| arg != "--bench");
    if only.next().is_some_and(|only| !name.contains(&only)) {
        return;
    }
    let mut w = Writer {
        ops: Vec::new(),
        registers: 4,
        dtype,
    };
    write(&mut w);
    let count = w.ops.len();
    let program = Program::new(w.ops);
    let mut registers = vec![0u64; w.registers as usize];
    for (to, x) in registers.iter_mut().zip(FIRST) {
        *to = if dtype == DType::F32 {
            u64::from((x as f32).to_bits())
        } else {
            x.to_bits()
        };
    }
    let level = Level::detect();
    let turns = (4_000_000 / count).clamp(3, 2000);
    let best = (0..7).map(|_| {
        let start = Instant::now();
        (0..turns).for_each(|_| program.run(level, &mut registers));
        start.elapsed().as_secs_f64() / turns as f64
    });
    let best = best.fold(f64::INFINITY, f64::min);
    println!(
        "{name:14} {dtype} {count:9} instructions: {:10.2} us, {:6.2} ns each, {:.1} bytes each",
        best * 1e6,
        best * 1e9 / count as f64,
        (program.bytes() + 8 * registers.len()) as f64 / count as f64
    );
}

fn main() {
    for dtype in [DType::F32, DType::F64] {
        measure("scalar_chain", dtype, |w| sines(w, 250));
        measure("exp", dtype, |w| logistic(w, 1000));
        measure("sqrt", dtype, |w| square_roots(w, 1000));
        for length in [1000, 10_000, 100_000, 1_000_000] {
            measure("chain", dtype, |w| chain(w, length));
            measure("eight chains", dtype, |w| wide(w, length));
            measure("runs", dtype, |w| runs(w, length));
        }
    }
}
