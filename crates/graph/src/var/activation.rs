//! Activations.

use retrograde_ops::{Binary, Unary};

use super::{Float, Operand, Var};
use crate::list::{List, Value};

/// Constants of [`Var::selu`]: the fixed point of mean 0 and variance 1 (Klambauer et al., 2017, appendix 1).
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;

unary_methods! {
    /// `max(x, 0)`, NaN stays NaN. The derivative is 0 at 0.
    relu => Relu, 2.0 => 2.0, 1.0;
    /// `1 / (1 + exp(-x))`.
    sigmoid => Sigmoid, 0.0 => 0.5, 0.25;
    /// `ln(1 + exp x)`, for any magnitude.
    softplus => Softplus, 0.0 => LN_2, 0.5;
}

/// Element by element, of any shape.
///
/// ```
/// # use retrograde_graph::{Reduction, Tape, keep};
/// # use retrograde_storage::{Array, Create};
/// # let tape = Tape::new();
/// let x = tape.variable(Array::from([-2.0_f64, 0.0, 2.0]));
/// assert_eq!(x.leaky_relu(0.25).value()?, Array::from([-0.5, 0.0, 2.0]));
/// assert_eq!(x.relu6().value()?, Array::from([0.0, 0.0, 2.0]));
/// assert_eq!(x.hard_sigmoid().at(0, 1).item()?, 0.5);
/// assert_eq!(x.softsign().value()?, Array::from([-2.0 / 3.0, 0.0, 2.0 / 3.0]));
/// for y in [x.elu(1.0), x.celu(1.0), x.selu(), x.mish(), x.hard_swish()] {
///     let y = y.value()?;
///     assert!(-1.6 < y[0] && y[0] < -0.2 && y[1] == 0.0 && 1.6 < y[2] && y[2] < 2.2);
/// }
/// assert_eq!(x.log_sigmoid().value()?, (-x).softplus().value()? * -1.0);
/// assert_eq!(x.hardshrink(0.5).value()?, Array::from([-2.0, 0.0, 2.0]));
/// for y in [x.gelu(), x.gelu_tanh(), x.silu()] {
///     let y = y.value()?;
///     assert!(-0.3 < y[0] && y[0] < 0.0 && y[1] == 0.0 && 1.7 < y[2] && y[2] < 2.0);
/// }
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<'t, T: Float> Var<'t, T> {
    /// `x` where `|x| > lambda`, 0 elsewhere; NaN stays NaN. The derivative is 1 and 0, at `lambda` 0; in `lambda` it is 0.
    #[track_caller]
    pub fn hardshrink(self, lambda: impl Operand<'t, T>) -> Self {
        self.binary("hardshrink", Binary::Hardshrink, lambda)
    }

    /// `x` above 0, `slope x` elsewhere. The derivative at 0 is the slope.
    #[track_caller]
    pub fn leaky_relu(self, slope: impl Operand<'t, T>) -> Self {
        self.above_zero("leaky_relu", slope, |l, x, slope| l.mul(slope, x))
    }

    /// `x` above 0, `alpha (exp x - 1)` elsewhere. The derivative at 0 is `alpha`.
    #[track_caller]
    pub fn elu(self, alpha: impl Operand<'t, T>) -> Self {
        self.above_zero("elu", alpha, |l, x, alpha| {
            let grown = l.unary(Unary::Expm1, x);
            l.mul(alpha, grown)
        })
    }

    /// `x` above 0, `alpha (exp(x / alpha) - 1)` elsewhere: [`elu`](Self::elu) with derivative 1 at 0 for any `alpha`.
    #[track_caller]
    pub fn celu(self, alpha: impl Operand<'t, T>) -> Self {
        self.above_zero("celu", alpha, |l, x, alpha| {
            let scaled = l.binary(Binary::Div, x, alpha);
            let grown = l.unary(Unary::Expm1, scaled);
            l.mul(alpha, grown)
        })
    }

    /// `1.0507 x` above 0, `1.0507 * 1.6733 (exp x - 1)` elsewhere: [`elu`](Self::elu) with the constants that keep
    /// mean 0 and variance 1 from layer to layer (Klambauer et al., 2017). The derivative at 0 is that from below.
    #[track_caller]
    pub fn selu(self) -> Self {
        self.map("selu", |s, x| {
            let l = &mut s.list;
            let grown = l.unary(Unary::Expm1, x);
            let below = l.scale(grown, SELU_ALPHA);
            let zero = l.like(0.0, x);
            let on = l.binary(Binary::Gt, x, zero);
            let elu = l.select(on, x, below);
            Ok(l.scale(elu, SELU_SCALE))
        })
    }

    /// `min(max(x, 0), 6)`, NaN stays NaN. The derivative is 0 at 0 and at 6.
    #[track_caller]
    pub fn relu6(self) -> Self {
        self.map("relu6", |s, x| Ok(six(&mut s.list, x)))
    }

    /// `relu6(x + 3) / 6`: a sigmoid of straight lines. The derivative is 0 at -3 and 3.
    #[track_caller]
    pub fn hard_sigmoid(self) -> Self {
        self.map("hard_sigmoid", |s, x| Ok(gate(&mut s.list, x)))
    }

    /// `x hard_sigmoid(x)`. The derivative is 0 at -3 and 1 at 3.
    #[track_caller]
    pub fn hard_swish(self) -> Self {
        self.map("hard_swish", |s, x| {
            let gate = gate(&mut s.list, x);
            Ok(s.list.mul(x, gate))
        })
    }

    /// `-softplus(-x)`, the logarithm of [`sigmoid`](Self::sigmoid), for any magnitude.
    #[track_caller]
    pub fn log_sigmoid(self) -> Self {
        self.map("log_sigmoid", |s, x| {
            let l = &mut s.list;
            let minus = l.neg(x);
            let softplus = l.unary(Unary::Softplus, minus);
            Ok(l.neg(softplus))
        })
    }

    /// `x / (1 + |x|)`. The derivative at 0 is 1.
    #[track_caller]
    pub fn softsign(self) -> Self {
        self.map("softsign", |s, x| {
            let l = &mut s.list;
            let size = l.unary(Unary::Abs, x);
            let one = l.like(1.0, x);
            let below = l.add(one, size);
            Ok(l.binary(Binary::Div, x, below))
        })
    }

    /// `x tanh(softplus x)` (Misra, 2019).
    #[track_caller]
    pub fn mish(self) -> Self {
        self.map("mish", |s, x| {
            let l = &mut s.list;
            let softplus = l.unary(Unary::Softplus, x);
            let gate = l.unary(Unary::Tanh, softplus);
            Ok(l.mul(x, gate))
        })
    }

    /// `x` above 0, elsewhere what `below` makes of `x` and a parameter.
    #[track_caller]
    fn above_zero(
        self,
        name: &str,
        parameter: impl Operand<'t, T>,
        below: impl FnOnce(&mut List, Value, Value) -> Value,
    ) -> Self {
        let parameter = parameter.lift(self.rec);
        self.rec.apply(name, &[self.into(), parameter.into()], |s| {
            crate::infer::broadcast(&s.list, &[self.id, parameter.id])?;
            let l = &mut s.list;
            let zero = l.like(0.0, self.id);
            let on = l.binary(Binary::Gt, self.id, zero);
            let below = below(l, self.id, parameter.id);
            Ok(l.select(on, self.id, below))
        })
    }

    /// `x F(x)` with `F` the normal distribution function: the Gaussian error linear unit, exact.
    #[track_caller]
    pub fn gelu(self) -> Self {
        self.map("gelu", |s, x| {
            let cdf = s.list.unary(Unary::NormalCdf, x);
            Ok(s.list.mul(x, cdf))
        })
    }

    /// `x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`: [`gelu`](Self::gelu) as many trained models approximate it.
    #[track_caller]
    pub fn gelu_tanh(self) -> Self {
        self.map("gelu_tanh", |s, x| {
            let l = &mut s.list;
            let square = l.unary(Unary::Square, x);
            let bend = l.scale(square, 0.044715);
            let one = l.like(1.0, x);
            let bend = l.add(one, bend);
            let bent = l.mul(x, bend);
            let inner = l.scale(bent, (2.0 / std::f64::consts::PI).sqrt());
            let tanh = l.unary(Unary::Tanh, inner);
            let gate = l.add(one, tanh);
            let half = l.scale(x, 0.5);
            Ok(l.mul(half, gate))
        })
    }

    /// `x sigmoid(x)`, also called swish.
    #[track_caller]
    pub fn silu(self) -> Self {
        self.map("silu", |s, x| {
            let gate = s.list.unary(Unary::Sigmoid, x);
            Ok(s.list.mul(x, gate))
        })
    }
}

/// `relu6`: by selections, whose derivative where they select a constant is 0.
fn six(l: &mut List, x: Value) -> Value {
    let relu = l.unary(Unary::Relu, x);
    let most = l.like(6.0, x);
    let over = l.binary(Binary::Ge, relu, most);
    l.select(over, most, relu)
}

/// `relu6(x + 3) / 6`.
fn gate(l: &mut List, x: Value) -> Value {
    let three = l.like(3.0, x);
    let shifted = l.add(x, three);
    let six = six(l, shifted);
    l.scale(six, 1.0 / 6.0)
}
