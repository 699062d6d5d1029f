//! Activations.

use retrograde_ops::{Binary, Unary};

use super::{Float, Operand, Var};

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
        let slope = slope.lift(self.rec);
        self.rec
            .apply("leaky_relu", &[self.into(), slope.into()], |s| {
                crate::infer::broadcast(&s.list, &[self.id, slope.id])?;
                let l = &mut s.list;
                let zero = l.like(0.0, self.id);
                let on = l.binary(Binary::Gt, self.id, zero);
                let leak = l.mul(slope.id, self.id);
                Ok(l.select(on, self.id, leak))
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
