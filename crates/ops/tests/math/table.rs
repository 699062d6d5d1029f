//! Every name of the elementwise table computes the function it names, through the scalar interpreter.

use retrograde_ops::scalar::{Program, ScalarCode, ScalarOp};
use retrograde_ops::{Binary, Level, Unary};
use retrograde_storage::DType;

use crate::support::functions::{Domain, functions};
use crate::support::measure::Ulp;

/// The value of `code` on registers `a` and `b`.
fn value(level: Level, code: ScalarCode, a: u64, b: u64) -> u64 {
    let mut regs = [a, b, 0];
    let op = ScalarOp {
        code,
        dst: 2,
        a: 0,
        b: 1,
        c: 0,
        imm: 0,
    };
    Program::new([op]).run(level, &mut regs);
    regs[2]
}

/// The reference of the function with a row in the table of bounds: that of `NormalCdf` is called `normal_cdf`.
fn published(name: &str, x: f64, y: f64) -> Option<f64> {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    let functions = functions();
    let f = functions.iter().find(|f| f.name == snake);
    let f = f.unwrap_or_else(|| panic!("`{snake}` has no row in support/functions.rs"));
    (f.domain != Domain::Right || x >= 0.0).then(|| (f.exact)(x, y))
}

/// What the name means; `None` for those that do not map a float to a float.
fn unary(what: Unary, x: f64) -> Option<f64> {
    Some(match what {
        Unary::Neg => -x,
        Unary::Abs => x.abs(),
        Unary::Sign => x.signum(),
        Unary::Recip => 1.0 / x,
        Unary::Square => x * x,
        Unary::Floor => x.floor(),
        Unary::Ceil => x.ceil(),
        Unary::Round => x.round_ties_even(),
        Unary::Trunc => x.trunc(),
        Unary::Relu => x.max(0.0),
        Unary::Not | Unary::IsNan | Unary::IsFinite => return None,
        rounded => return published(&format!("{rounded:?}"), x, x),
    })
}

/// See [`unary`].
fn binary(what: Binary, x: f64, y: f64) -> Option<f64> {
    Some(match what {
        Binary::Add => x + y,
        Binary::Sub => x - y,
        Binary::Mul | Binary::MulStrong => x * y,
        Binary::Div | Binary::DivStrong => x / y,
        Binary::Rem => x % y,
        Binary::Remainder => x - (x / y).floor() * y,
        Binary::Max => x.max(y),
        Binary::Min => x.min(y),
        Binary::Copysign => x.copysign(y),
        Binary::Hardshrink if x.abs() <= y => 0.0,
        Binary::Hardshrink => x,
        Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge | Binary::Eq | Binary::Ne => return None,
        // Half of `Unary::NormalCdf`, which is tested: of an operand at random it is no function.
        Binary::NormalCdfOf => return None,
        Binary::And | Binary::Or | Binary::Xor => return None,
        rounded => return published(&format!("{rounded:?}"), x, y),
    })
}

/// Few bits, so that `f32` holds them and only the functions differ.
const ARGUMENTS: [f64; 8] = [0.375, 1.0, 2.5, 1.75, -0.625, -2.0, -1.5, 0.03125];

fn assert_close(what: &str, level: Level, single: f32, double: f64, exact: f64) {
    // The widest published bound; a name bound to another function is off by far.
    assert!(
        single.distance(exact) <= 4.0,
        "{what} at {level}: {single} for {exact}"
    );
    assert!(
        double.distance(exact) <= 4.0,
        "{what} at {level}: {double} for {exact}"
    );
}

#[test]
fn names_of_one_operand() {
    for level in Level::available() {
        for &what in Unary::ALL {
            for x in ARGUMENTS {
                let Some(exact) = unary(what, x) else {
                    continue;
                };
                let single = u64::from((x as f32).to_bits());
                let single = value(level, ScalarCode::Unary(DType::F32, what), single, 0);
                let double = value(level, ScalarCode::Unary(DType::F64, what), x.to_bits(), 0);
                let what = format!("{what:?}({x})");
                let single = f32::from_bits(single as u32);
                assert_close(&what, level, single, f64::from_bits(double), exact);
            }
        }
    }
}

#[test]
fn names_of_two_operands() {
    for level in Level::available() {
        for &what in Binary::ALL {
            for (x, y) in ARGUMENTS.into_iter().zip(ARGUMENTS.into_iter().rev()) {
                let Some(exact) = binary(what, x, y) else {
                    continue;
                };
                let [a, b] = [x, y].map(|v| u64::from((v as f32).to_bits()));
                let single = value(level, ScalarCode::Binary(DType::F32, what), a, b);
                let code = ScalarCode::Binary(DType::F64, what);
                let double = value(level, code, x.to_bits(), y.to_bits());
                let what = format!("{what:?}({x}, {y})");
                let single = f32::from_bits(single as u32);
                assert_close(&what, level, single, f64::from_bits(double), exact);
            }
        }
    }
}

#[test]
fn predicates() {
    for level in Level::available() {
        for x in [0.0, -1.5, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            let single = u64::from((x as f32).to_bits());
            let ask = |what| {
                [
                    value(level, ScalarCode::Unary(DType::F32, what), single, 0),
                    value(level, ScalarCode::Unary(DType::F64, what), x.to_bits(), 0),
                ]
            };
            assert_eq!(ask(Unary::IsNan), [u64::from(x.is_nan()); 2]);
            assert_eq!(ask(Unary::IsFinite), [u64::from(x.is_finite()); 2]);
        }
    }
}
