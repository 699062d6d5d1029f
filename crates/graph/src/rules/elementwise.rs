//! Rules of elementwise operations.

use std::f64::consts::{FRAC_2_SQRT_PI, LN_2, LN_10};

use retrograde_ops::{Binary, Ternary, Unary};

use super::Sweep;
use crate::error::{Error, ErrorKind};
use crate::list::{List, Value};
use crate::op::{Attr, Op};

/// `1 / sqrt(2 pi)`, the normal density at 0.
const NORMAL_PEAK: f64 = 0.398_942_280_401_432_7;

impl Sweep<'_> {
    /// `v = op x`.
    pub(super) fn unary(&mut self, op: Unary, v: Value, x: Value, g: Value) {
        let l = &mut *self.list;
        let gx = match op {
            Unary::Neg => l.neg(g),
            // sign(0) = 0, so |x|' is 0 at 0.
            Unary::Abs => {
                let d = l.unary(Unary::Sign, x);
                l.chain(g, d)
            }
            // -1 / x^2, as -v v.
            Unary::Recip => {
                let minus = l.neg(g);
                let once = l.chain(minus, v);
                l.chain(once, v)
            }
            Unary::Square => {
                let d = l.add(x, x);
                l.chain(g, d)
            }
            // At 0: infinite, unless the adjoint is 0.
            Unary::Sqrt => {
                let d = l.add(v, v);
                l.divide_chain(g, d)
            }
            // -1/2 x^(-3/2), as -1/2 v^3.
            Unary::Rsqrt => {
                let square = l.unary(Unary::Square, v);
                let cube = l.mul(square, v);
                let d = l.scale(cube, -0.5);
                l.chain(g, d)
            }
            // 1 / (3 v^2); infinite at 0, unless the adjoint is 0.
            Unary::Cbrt => {
                let square = l.unary(Unary::Square, v);
                let d = l.scale(square, 3.0);
                l.divide_chain(g, d)
            }
            Unary::Exp => l.chain(g, v),
            Unary::Exp2 => {
                let d = l.scale(v, LN_2);
                l.chain(g, d)
            }
            // Not v + 1, which loses every digit where exp x is small.
            Unary::Expm1 => {
                let d = l.unary(Unary::Exp, x);
                l.chain(g, d)
            }
            Unary::Ln => l.divide_chain(g, x),
            Unary::Log2 => {
                let d = l.scale(x, LN_2);
                l.divide_chain(g, d)
            }
            Unary::Log10 => {
                let d = l.scale(x, LN_10);
                l.divide_chain(g, d)
            }
            Unary::Log1p => {
                let one = l.like(1.0, x);
                let d = l.add(x, one);
                l.divide_chain(g, d)
            }
            Unary::Sin => {
                let d = l.unary(Unary::Cos, x);
                l.chain(g, d)
            }
            Unary::Cos => {
                let d = l.unary(Unary::Sin, x);
                let minus = l.neg(g);
                l.chain(minus, d)
            }
            // 1 + v^2.
            Unary::Tan => {
                let square = l.unary(Unary::Square, v);
                let one = l.like(1.0, v);
                let d = l.add(square, one);
                l.chain(g, d)
            }
            // 1 / sqrt((1 - x) (1 + x)): 1 - x^2 would lose the digits of 1 - x.
            Unary::Asin => {
                let d = l.around_one(x);
                let d = l.unary(Unary::Sqrt, d);
                l.divide_chain(g, d)
            }
            Unary::Acos => {
                let d = l.around_one(x);
                let d = l.unary(Unary::Sqrt, d);
                let minus = l.neg(g);
                l.divide_chain(minus, d)
            }
            Unary::Atan => {
                let square = l.unary(Unary::Square, x);
                let one = l.like(1.0, x);
                let d = l.add(one, square);
                l.divide_chain(g, d)
            }
            Unary::Sinh => {
                let d = l.unary(Unary::Cosh, x);
                l.chain(g, d)
            }
            Unary::Cosh => {
                let d = l.unary(Unary::Sinh, x);
                l.chain(g, d)
            }
            // 1 / sqrt(x^2 + 1), whose square would overflow.
            Unary::Asinh => {
                let one = l.like(1.0, x);
                let d = l.binary(Binary::Hypot, x, one);
                l.divide_chain(g, d)
            }
            // 1 / (sqrt(x - 1) sqrt(x + 1)).
            Unary::Acosh => {
                let one = l.like(1.0, x);
                let (less, more) = (l.sub(x, one), l.add(x, one));
                let (less, more) = (l.unary(Unary::Sqrt, less), l.unary(Unary::Sqrt, more));
                let d = l.mul(less, more);
                l.divide_chain(g, d)
            }
            Unary::Atanh => {
                let d = l.around_one(x);
                l.divide_chain(g, d)
            }
            Unary::Sinc => {
                let d = l.sinc_slope(x, v);
                l.chain(g, d)
            }
            // 1 - v^2.
            Unary::Tanh => {
                let square = l.unary(Unary::Square, v);
                let one = l.like(1.0, v);
                let d = l.sub(one, square);
                l.chain(g, d)
            }
            // v (1 - v).
            Unary::Sigmoid => {
                let one = l.like(1.0, v);
                let rest = l.sub(one, v);
                let d = l.mul(v, rest);
                l.chain(g, d)
            }
            Unary::Softplus => {
                let d = l.unary(Unary::Sigmoid, x);
                l.chain(g, d)
            }
            // 2 / sqrt(pi) exp(-x^2).
            Unary::Erf => {
                let d = l.bell(x, 1.0, FRAC_2_SQRT_PI);
                l.chain(g, d)
            }
            Unary::Erfc => {
                let d = l.bell(x, 1.0, -FRAC_2_SQRT_PI);
                l.chain(g, d)
            }
            // The normal density, 1 / sqrt(2 pi) exp(-x^2 / 2).
            Unary::NormalCdf => {
                let d = l.bell(x, 0.5, NORMAL_PEAK);
                l.chain(g, d)
            }
            // One by the density at the result; infinite at 0 and 1.
            Unary::NormalIcdf => {
                let d = l.bell(v, 0.5, NORMAL_PEAK);
                l.divide_chain(g, d)
            }
            Unary::Lgamma => {
                let d = l.unary(Unary::Digamma, x);
                l.chain(g, d)
            }
            Unary::Digamma => {
                let d = l.unary(Unary::Trigamma, x);
                l.chain(g, d)
            }
            Unary::Trigamma => {
                let d = l.unary(Unary::Tetragamma, x);
                l.chain(g, d)
            }
            Unary::Tetragamma => {
                let message = "polygamma(2): its derivative, which is the fourth of lgamma and the third of digamma, is \
                               not there; detach it, or give what uses it a derivative of its own by `custom`";
                l.refuse(Error::new(ErrorKind::Gradient, message).at(l.location(v)));
                return;
            }
            // 0 at 0. Asks the output, so that the input's memory is free: v > 0 where x > 0.
            Unary::Relu => {
                let zero = l.like(0.0, v);
                let on = l.binary(Binary::Gt, v, zero);
                l.keep(on, g)
            }
            // Constant wherever they are continuous; 0 by convention where they jump. No adjoint comes here.
            Unary::Sign | Unary::Floor | Unary::Ceil | Unary::Round | Unary::Trunc => return,
            Unary::Not | Unary::IsNan | Unary::IsFinite => return,
        };
        self.give(x, gx);
    }

    /// `v = x op y`.
    pub(super) fn binary(&mut self, op: Binary, v: Value, g: Value) {
        let (x, y) = (self.list.arg(v, 0), self.list.arg(v, 1));
        let (for_x, for_y) = (self.wants(x), self.wants(y));
        match op {
            Binary::Add => {
                self.give(x, g);
                self.give(y, g);
            }
            Binary::Sub => {
                self.give(x, g);
                if for_y {
                    let gy = self.list.neg(g);
                    self.give(y, gy);
                }
            }
            Binary::Mul => {
                if for_x {
                    let gx = self.list.chain(g, y);
                    self.give(x, gx);
                }
                if for_y {
                    let gy = self.list.chain(g, x);
                    self.give(y, gy);
                }
            }
            // g / y, and -g / y (x / y).
            Binary::Div => {
                let gx = self.list.divide_chain(g, y);
                self.give(x, gx);
                if for_y {
                    let minus = self.list.neg(gx);
                    let gy = self.list.chain(minus, v);
                    self.give(y, gy);
                }
            }
            // x - trunc(x / y) y, with trunc constant.
            Binary::Rem => {
                self.give(x, g);
                if for_y {
                    let l = &mut *self.list;
                    let quotient = l.binary(Binary::Div, x, y);
                    let whole = l.unary(Unary::Trunc, quotient);
                    let minus = l.neg(g);
                    let gy = l.chain(minus, whole);
                    self.give(y, gy);
                }
            }
            // x - floor(x / y) y, with floor constant: as the value has it, whatever x / y rounds to.
            Binary::Remainder => {
                self.give(x, g);
                if for_y {
                    let l = &mut *self.list;
                    let left = l.sub(x, v);
                    let quotient = l.binary(Binary::Div, left, y);
                    let whole = l.unary(Unary::Round, quotient);
                    let minus = l.neg(g);
                    let gy = l.chain(minus, whole);
                    self.give(y, gy);
                }
            }
            // Half each at a tie.
            Binary::Max | Binary::Min => {
                let l = &mut *self.list;
                let tie = l.binary(Binary::Eq, x, y);
                let half = l.scale(g, 0.5);
                let shared = l.select(tie, half, g);
                let (less, more) = (Binary::Lt, Binary::Gt);
                let (x_loses, y_loses) = if op == Binary::Max {
                    (less, more)
                } else {
                    (more, less)
                };
                for (to, loses, wanted) in [(x, x_loses, for_x), (y, y_loses, for_y)] {
                    if wanted {
                        let off = self.list.binary(loses, x, y);
                        let share = self.list.drop(off, shared);
                        self.give(to, share);
                    }
                }
            }
            Binary::Pow => {
                // y x^(y-1), and 0 where y = 0 whatever x is.
                if for_x {
                    let l = &mut *self.list;
                    let (zero, one) = (l.like(0.0, y), l.like(1.0, y));
                    let flat = l.binary(Binary::Eq, y, zero);
                    let less = l.sub(y, one);
                    let power = l.binary(Binary::Pow, x, less);
                    let d = l.mul(y, power);
                    let on = l.drop(flat, g);
                    let gx = l.chain(on, d);
                    self.give(x, gx);
                }
                // x^y ln x, and 0 where x = 0 and y >= 0.
                if for_y {
                    let l = &mut *self.list;
                    let (zero, zero_y) = (l.like(0.0, x), l.like(0.0, y));
                    let at_zero = l.binary(Binary::Eq, x, zero);
                    let not_negative = l.binary(Binary::Ge, y, zero_y);
                    let flat = l.binary(Binary::And, at_zero, not_negative);
                    let ln = l.unary(Unary::Ln, x);
                    let d = l.mul(v, ln);
                    let on = l.drop(flat, g);
                    let gy = l.chain(on, d);
                    self.give(y, gy);
                }
            }
            // Of x above y: y / h^2 and -x / h^2, h their length; 0 at the origin.
            Binary::Atan2 => {
                let l = &mut *self.list;
                let length = l.binary(Binary::Hypot, x, y);
                let zero = l.like(0.0, length);
                let origin = l.binary(Binary::Eq, length, zero);
                let on = l.drop(origin, g);
                let by = l.divide_chain(on, length);
                if for_x {
                    let d = self.list.binary(Binary::Div, y, length);
                    let gx = self.list.chain(by, d);
                    self.give(x, gx);
                }
                if for_y {
                    let d = self.list.binary(Binary::Div, x, length);
                    let minus = self.list.neg(by);
                    let gy = self.list.chain(minus, d);
                    self.give(y, gy);
                }
            }
            // x / v and y / v; 0 at the origin.
            Binary::Hypot => {
                let l = &mut *self.list;
                let zero = l.like(0.0, v);
                let origin = l.binary(Binary::Eq, v, zero);
                let on = l.drop(origin, g);
                for (to, wanted) in [(x, for_x), (y, for_y)] {
                    if wanted {
                        let d = self.list.binary(Binary::Div, to, v);
                        let share = self.list.chain(on, d);
                        self.give(to, share);
                    }
                }
            }
            // The sign that x turns by; 0 at x = 0. The sign of y is constant wherever it is continuous.
            Binary::Copysign => {
                let l = &mut *self.list;
                let sign = l.unary(Unary::Sign, x);
                let one = l.like(1.0, y);
                let to = l.binary(Binary::Copysign, one, y);
                let d = l.mul(sign, to);
                let gx = l.chain(g, d);
                self.give(x, gx);
            }
            // As it is where x is kept; 0 where x is within y, the bound included.
            Binary::Hardshrink => {
                let l = &mut *self.list;
                let size = l.unary(Unary::Abs, x);
                let within = l.binary(Binary::Le, size, y);
                let gx = l.drop(within, g);
                self.give(x, gx);
            }
            // x is itself an adjoint. For y it comes first: where it is structurally zero, g (an adjoint of the second
            // order) may be anything, and nothing may reach y.
            Binary::MulStrong => {
                if for_x {
                    let gx = self.list.chain(g, y);
                    self.give(x, gx);
                }
                if for_y {
                    let gy = self.list.chain(x, g);
                    self.give(y, gy);
                }
            }
            // As `MulStrong`: v is zero where x is.
            Binary::DivStrong => {
                if for_x {
                    let gx = self.list.divide_chain(g, y);
                    self.give(x, gx);
                }
                if for_y {
                    let l = &mut *self.list;
                    let slope = l.chain(v, g);
                    let quotient = l.divide_chain(slope, y);
                    let gy = l.neg(quotient);
                    self.give(y, gy);
                }
            }
            // The second operand is a function of the first: the whole derivative goes through that.
            Binary::NormalCdfOf => {
                if for_x {
                    let d = self.list.scale(y, NORMAL_PEAK);
                    let gx = self.list.chain(g, d);
                    self.give(x, gx);
                }
            }
            Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge | Binary::Eq | Binary::Ne => {}
            Binary::And | Binary::Or | Binary::Xor => {}
        }
    }

    /// `v = op(x, y, z)`.
    pub(super) fn ternary(&mut self, op: Ternary, v: Value, g: Value) {
        let (x, y, z) = (
            self.list.arg(v, 0),
            self.list.arg(v, 1),
            self.list.arg(v, 2),
        );
        match op {
            Ternary::Fma => {
                if self.wants(x) {
                    let gx = self.list.chain(g, y);
                    self.give(x, gx);
                }
                if self.wants(y) {
                    let gy = self.list.chain(g, x);
                    self.give(y, gy);
                }
                self.give(z, g);
            }
            // The side not taken is structurally zero.
            Ternary::Select => {
                if self.wants(y) {
                    let gy = self.list.keep(x, g);
                    self.give(y, gy);
                }
                if self.wants(z) {
                    let gz = self.list.drop(x, g);
                    self.give(z, gz);
                }
            }
            // x between the bounds, bounds included; else the bound that x was set to, the upper one if they cross.
            Ternary::Clamp => {
                let (lo, hi) = (y, z);
                if self.wants(x) {
                    let above = self.list.binary(Binary::Ge, x, lo);
                    let below = self.list.binary(Binary::Le, x, hi);
                    let inside = self.list.binary(Binary::And, above, below);
                    let gx = self.list.keep(inside, g);
                    self.give(x, gx);
                }
                if self.wants(lo) {
                    let below = self.list.binary(Binary::Lt, x, lo);
                    let sane = self.list.binary(Binary::Le, lo, hi);
                    let set = self.list.binary(Binary::And, below, sane);
                    let gl = self.list.keep(set, g);
                    self.give(lo, gl);
                }
                if self.wants(hi) {
                    let above = self.list.binary(Binary::Gt, x, hi);
                    let crossed = self.list.binary(Binary::Gt, lo, hi);
                    let set = self.list.binary(Binary::Or, above, crossed);
                    let gh = self.list.keep(set, g);
                    self.give(hi, gh);
                }
            }
        }
    }

    /// `v = x^n`: `n x^(n-1)`; 0 where `n = 0` whatever `x` is.
    pub(super) fn powi(&mut self, v: Value, x: Value, g: Value) {
        let n = self.list.attr(v).as_int();
        if n == 0 {
            return;
        }
        let l = &mut *self.list;
        let gx = if n == 1 {
            g
        } else {
            let power = l.powi(x, n.wrapping_sub(1));
            let d = l.scale(power, n as f64);
            l.chain(g, d)
        };
        self.give(x, gx);
    }

    /// Between float types; an integer has no derivative.
    pub(super) fn cast(&mut self, x: Value, g: Value) {
        let dtype = self.list.dtype(x);
        if dtype.is_float() {
            let gx = self.list.cast(g, dtype);
            self.give(x, gx);
        }
    }
}

impl List {
    /// `x` to an integer power.
    pub(crate) fn powi(&mut self, x: Value, n: i64) -> Value {
        if n == 1 {
            return x;
        }
        self.push(Op::PowI, &[x], Attr::int(n), self.shape(x), self.dtype(x))
    }

    /// `height exp(-rate x^2)`.
    fn bell(&mut self, x: Value, rate: f64, height: f64) -> Value {
        let bell = self.exp_of_square(x, -rate);
        self.scale(bell, height)
    }

    /// `e^(factor x^2)`.
    pub(crate) fn exp_of_square(&mut self, x: Value, factor: f64) -> Value {
        let square = self.unary(Unary::Square, x);
        let exponent = self.scale(square, factor);
        self.unary(Unary::Exp, exponent)
    }

    /// `(1 - x) (1 + x)`.
    fn around_one(&mut self, x: Value) -> Value {
        let one = self.like(1.0, x);
        let (less, more) = (self.sub(one, x), self.add(one, x));
        self.mul(less, more)
    }

    /// The derivative of `v = sinc x`, `(cos(pi x) - v) / x`; a series where that cancels, which has derivatives of its own.
    fn sinc_slope(&mut self, x: Value, v: Value) -> Value {
        let half = self.like(0.5, x);
        let size = self.unary(Unary::Abs, x);
        let near = self.binary(Binary::Lt, size, half);
        let square = self.unary(Unary::Square, x);
        let mut series = self.like(SINC_SLOPE[SINC_SLOPE.len() - 1], x);
        for &coefficient in SINC_SLOPE.iter().rev().skip(1) {
            let product = self.mul(series, square);
            let coefficient = self.like(coefficient, x);
            series = self.add(product, coefficient);
        }
        let series = self.mul(series, x);
        // Modulo 2 first: pi x would lose the digits of the fraction.
        let turns = self.mul(x, half);
        let turns = self.unary(Unary::Round, turns);
        let turns = self.add(turns, turns);
        let rest = self.sub(x, turns);
        let angle = self.scale(rest, std::f64::consts::PI);
        let cosine = self.unary(Unary::Cos, angle);
        let above = self.sub(cosine, v);
        let far = self.binary(Binary::Div, above, x);
        self.select(near, series, far)
    }
}

/// The derivative of `sinc x` over `x` in `x^2`: `(-1)^n 2 n pi^(2 n) / (2 n + 1)!` from `n = 1` on. At a half the next
/// term is some 2^-56 of the sum.
const SINC_SLOPE: [f64; 11] = [
    -3.289868133696453,
    3.2469697011334144,
    -1.1445109447325053,
    0.2091827825412384,
    -0.023460810354558236,
    0.001781145516372852,
    -9.766223126318933e-05,
    4.049947846619244e-06,
    -1.3148481279991994e-07,
    3.4330769499642866e-09,
    -7.365893777096947e-11,
];
