//! Rules of elementwise operations.

use std::f64::consts::FRAC_2_SQRT_PI;

use retrograde_ops::{Binary, Ternary, Unary};

use super::Sweep;
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
            Unary::Exp => l.chain(g, v),
            // Not v + 1, which loses every digit where exp x is small.
            Unary::Expm1 => {
                let d = l.unary(Unary::Exp, x);
                l.chain(g, d)
            }
            Unary::Ln => l.divide_chain(g, x),
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
            // The normal density, 1 / sqrt(2 pi) exp(-x^2 / 2).
            Unary::NormalCdf => {
                let d = l.bell(x, 0.5, NORMAL_PEAK);
                l.chain(g, d)
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
}
