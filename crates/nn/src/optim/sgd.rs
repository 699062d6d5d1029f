//! Stochastic gradient descent.

use retrograde::{Float, Result, Update, Var};

use super::{GRADIENT_FLOOR, MOMENT_FLOOR, Optimiser, Rates, Rule, flushed, not_negative};

/// Stochastic gradient descent: with `g` the gradient plus `decay` times the value,
/// `m <- momentum m + g`, `value <- value - rate m`, or with Nesterov's look-ahead `value - rate (g + momentum m)`.
/// The first step starts from `m = 0`, as `PyTorch`'s does without dampening.
pub type Sgd = Optimiser<SgdRule>;

/// The rule of [`Sgd`].
#[derive(Clone, Debug)]
pub struct SgdRule {
    momentum: f64,
    nesterov: bool,
}

impl Sgd {
    /// Plain descent; see [`momentum`](Self::momentum), [`nesterov`](Self::nesterov).
    pub fn new(learning_rate: f64) -> Self {
        Self::with_rule(
            SgdRule {
                momentum: 0.0,
                nesterov: false,
            },
            learning_rate,
            0.0,
        )
    }
    /// With momentum, finite and not negative.
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.rule.momentum = momentum;
        self
    }
    /// With Nesterov's momentum, finite and not negative.
    #[must_use]
    pub fn nesterov(mut self, momentum: f64) -> Self {
        self.rule = SgdRule {
            momentum,
            nesterov: true,
        };
        self
    }
}

impl SgdRule {
    fn has_momentum(&self) -> bool {
        self.momentum != 0.0
    }
}

impl Rule for SgdRule {
    fn check<T: Float>(&self) -> Result<()> {
        not_negative::<T>(format_args!("momentum"), self.momentum)
    }
    fn columns(&self) -> usize {
        usize::from(self.has_momentum())
    }
    fn identity(&self) -> u64 {
        0x5347_4400 | u64::from(self.has_momentum()) | u64::from(self.nesterov) << 1
    }
    fn scalars(&self, rates: Rates, to: &mut Vec<f64>) {
        to.extend([
            rates.learning_rate,
            rates.decay,
            self.momentum,
            GRADIENT_FLOOR,
            MOMENT_FLOOR,
        ]);
    }
    fn record<'t, T: Float>(&self, of: Update<'_, 't, T>) -> (Var<'t, T>, Vec<Var<'t, T>>) {
        let [rate, decay, momentum, tiny, small] = [0, 1, 2, 3, 4].map(|i| of.scalars[i]);
        let g = of.grad.hardshrink(tiny) + decay * of.value;
        let Some(&m) = of.state.first() else {
            return (of.value - rate * g, Vec::new());
        };
        let m = momentum * m.hardshrink(small) + g;
        let step = if self.nesterov { g + momentum * m } else { m };
        (of.value - rate * step, vec![m])
    }
    fn apply<T: Float>(&self, scalars: &[T], value: &mut [T], grad: &[T], state: &mut [&mut [T]]) {
        let &[rate, decay, momentum, tiny, small] = scalars else {
            return;
        };
        let Some(moments) = state.first_mut() else {
            for (w, &g) in value.iter_mut().zip(grad) {
                *w = *w - rate * (flushed(g, tiny) + decay * *w);
            }
            return;
        };
        for ((w, &g), m) in value.iter_mut().zip(grad).zip(moments.iter_mut()) {
            let g = flushed(g, tiny) + decay * *w;
            *m = momentum * flushed(*m, small) + g;
            let step = if self.nesterov { g + momentum * *m } else { *m };
            *w = *w - rate * step;
        }
    }
}
