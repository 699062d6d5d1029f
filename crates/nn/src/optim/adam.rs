//! Adam and `AdamW`.

use retrograde::{Float, Result, Update, Var};

use super::{GRADIENT_FLOOR, MOMENT_FLOOR, Optimiser, Rates, Rule, flushed, setting};

/// Adam (Kingma and Ba, 2015): `m <- b1 m + (1 - b1) g`, `v <- b2 v + (1 - b2) g^2`,
/// `value <- value - rate mhat / (sqrt(vhat) + eps)` with `mhat = m / (1 - b1^t)`, `vhat = v / (1 - b2^t)`.
/// Weight decay is added to the gradient.
pub type Adam = Optimiser<AdamRule<false>>;

/// Adam with decoupled weight decay (Loshchilov and Hutter, 2019): the value shrinks by `rate decay` of itself before the
/// step; the gradient is left alone. Decay is 0.01 unless said.
pub type AdamW = Optimiser<AdamRule<true>>;

/// The rule of [`Adam`] and, with `DECOUPLED` decay, of [`AdamW`].
#[derive(Clone, Debug)]
pub struct AdamRule<const DECOUPLED: bool> {
    beta1: f64,
    beta2: f64,
    eps: f64,
}

impl<const DECOUPLED: bool> Optimiser<AdamRule<DECOUPLED>> {
    /// With `b1 = 0.9`, `b2 = 0.999`, `eps = 1e-8`.
    pub fn new(learning_rate: f64) -> Self {
        let rule = AdamRule {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
        };
        Self::with_rule(rule, learning_rate, if DECOUPLED { 0.01 } else { 0.0 })
    }
    /// Decay rates of the first and second moment, both in `[0, 1)`.
    #[must_use]
    pub fn betas(mut self, beta1: f64, beta2: f64) -> Self {
        (self.rule.beta1, self.rule.beta2) = (beta1, beta2);
        self
    }
    /// What is added to the root of the second moment; positive, in `f32` too where parameters are.
    #[must_use]
    pub fn eps(mut self, eps: f64) -> Self {
        self.rule.eps = eps;
        self
    }
}

impl<const DECOUPLED: bool> Rule for AdamRule<DECOUPLED> {
    fn check<T: Float>(&self) -> Result<()> {
        for (name, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                let message = format!("{name} must be 0 or more and less than 1, but it is {beta}");
                return Err(setting(message));
            }
        }
        let eps = T::of(self.eps).to_f64();
        if eps > 0.0 && eps.is_finite() {
            return Ok(());
        }
        // Without it, a gradient that was always 0 makes the step 0 / 0.
        Err(setting(format!(
            "eps must be finite and positive as {}, but it is {:e}",
            T::DTYPE,
            self.eps
        )))
    }
    fn columns(&self) -> usize {
        2
    }
    fn identity(&self) -> u64 {
        0x4144_414d_0000 | u64::from(DECOUPLED)
    }
    fn scalars(&self, rates: Rates, to: &mut Vec<f64>) {
        let t = rates.step as f64;
        let rate = rates.learning_rate / (1.0 - self.beta1.powf(t));
        let root = 1.0 / (1.0 - self.beta2.powf(t)).sqrt();
        // Decoupled decay multiplies the value by what is left of it, coupled decay adds to the gradient.
        let decay = if DECOUPLED {
            1.0 - rates.learning_rate * rates.decay
        } else {
            rates.decay
        };
        to.extend([
            rate,
            root,
            decay,
            self.beta1,
            1.0 - self.beta1,
            self.beta2,
            1.0 - self.beta2,
            self.eps,
            GRADIENT_FLOOR,
            MOMENT_FLOOR,
        ]);
    }
    fn record<'t, T: Float>(&self, of: Update<'_, 't, T>) -> (Var<'t, T>, Vec<Var<'t, T>>) {
        let [rate, root, decay, b1, c1, b2, c2, eps, tiny, small] =
            std::array::from_fn(|i| of.scalars[i]);
        let g = of.grad.hardshrink(tiny);
        let (w, g) = if DECOUPLED {
            (decay * of.value, g)
        } else {
            (of.value, g + decay * of.value)
        };
        let m = b1 * of.state[0].hardshrink(small) + c1 * g;
        let v = b2 * of.state[1].hardshrink(small) + c2 * (g * g);
        (w - rate * m / (root * v.sqrt() + eps), vec![m, v])
    }
    fn apply<T: Float>(&self, scalars: &[T], value: &mut [T], grad: &[T], state: &mut [&mut [T]]) {
        let (&[rate, root, decay, b1, c1, b2, c2, eps, tiny, small], [first, second]) =
            (scalars, state)
        else {
            return;
        };
        let moments = first.iter_mut().zip(second.iter_mut());
        for ((w, &g), (m, v)) in value.iter_mut().zip(grad).zip(moments) {
            let g = flushed(g, tiny);
            let (from, g) = if DECOUPLED {
                (decay * *w, g)
            } else {
                (*w, g + decay * *w)
            };
            *m = b1 * flushed(*m, small) + c1 * g;
            *v = b2 * flushed(*v, small) + c2 * (g * g);
            *w = from - rate * *m / (root * v.sqrt() + eps);
        }
    }
}
