//! Layers: a few parameters and the function that uses them.
//!
//! A layer holds no values and no element type, only ids: the same model runs on a table of `f32` and on its copy of
//! `f64`, as long as both were built in the same order. The variable it is applied to knows the step and its table.

use retrograde::{Float, Index, Param, Params, Var};

use crate::conv::{AvgPool2d, Conv2d, Flatten, MaxPool2d};
use crate::init::{he_normal, normal, zeros};

/// `x w + b`: `[.., inputs]` to `[.., outputs]`.
#[derive(Clone, Debug)]
pub struct Linear {
    /// Weight, `[inputs, outputs]`.
    pub weight: Param,
    /// Bias, `[outputs]`.
    pub bias: Option<Param>,
}

impl Linear {
    /// Adds `name.weight` by [`he_normal`] and `name.bias` of zeros to the table.
    pub fn new<T: Float>(
        params: &mut Params<T>,
        name: &str,
        inputs: usize,
        outputs: usize,
        seed: u64,
    ) -> Self {
        let weight = params.insert(
            &format!("{name}.weight"),
            he_normal([inputs, outputs], seed),
        );
        let bias = Some(params.insert(&format!("{name}.bias"), zeros([outputs])));
        Self { weight, bias }
    }
    /// As [`new`](Self::new), without bias.
    pub fn without_bias<T: Float>(
        params: &mut Params<T>,
        name: &str,
        inputs: usize,
        outputs: usize,
        seed: u64,
    ) -> Self {
        let weight = params.insert(
            &format!("{name}.weight"),
            he_normal([inputs, outputs], seed),
        );
        Self { weight, bias: None }
    }
    /// The layer's output.
    #[track_caller]
    pub fn forward<'t, T: Float>(&self, x: Var<'t, T>) -> Var<'t, T> {
        let product = x.matmul(x.rec().param(self.weight));
        self.bias.map_or(product, |b| product + x.rec().param(b))
    }
}

/// `(x - mean) / sqrt(var + eps) weight + bias` over the last axis.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    /// Weight, `[features]`.
    pub weight: Param,
    /// Bias, `[features]`.
    pub bias: Param,
    /// What is added to the variance.
    pub eps: f64,
}

impl LayerNorm {
    /// Adds `name.weight` of ones and `name.bias` of zeros to the table; `eps` is 1e-5.
    pub fn new<T: Float>(params: &mut Params<T>, name: &str, features: usize) -> Self {
        let weight = params.insert(
            &format!("{name}.weight"),
            zeros([features]).map(|_: T| T::of(1.0)),
        );
        let bias = params.insert(&format!("{name}.bias"), zeros([features]));
        Self {
            weight,
            bias,
            eps: 1e-5,
        }
    }
    /// The layer's output.
    #[track_caller]
    pub fn forward<'t, T: Float>(&self, x: Var<'t, T>) -> Var<'t, T> {
        x.layer_norm(
            x.rec().param(self.weight),
            x.rec().param(self.bias),
            T::of(self.eps),
        )
    }
}

/// Rows of a table, by number: `[..]` indices to `[.., features]`.
///
/// ```
/// use retrograde_nn::prelude::*;
/// let mut params = Params::new();
/// let words = Embedding::new(&mut params, "words", 100, 8, 1);
/// let sentence = Array::from([3_u32, 14, 3]);
/// let mut tape = Tape::new();
/// let step = tape.step(&params);
/// let rows = words.forward::<f32, _>(step.input(&sentence));
/// assert_eq!(rows.shape()?, [3, 8]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Embedding {
    /// The table, `[count, features]`.
    pub weight: Param,
}

impl Embedding {
    /// Adds `name.weight`, standard normal, to the table of parameters.
    pub fn new<T: Float>(
        params: &mut Params<T>,
        name: &str,
        count: usize,
        features: usize,
        seed: u64,
    ) -> Self {
        let weight = params.insert(
            &format!("{name}.weight"),
            normal([count, features], 1.0, seed),
        );
        Self { weight }
    }
    /// The rows at `index`. An index that is no row is an error when the result is evaluated.
    #[track_caller]
    pub fn forward<'t, T: Float, I: Index>(&self, index: Var<'t, I>) -> Var<'t, T> {
        index.rec().param(self.weight).embedding(index)
    }
}

/// Each element 0 with probability `p` while training, the others divided by `1 - p`, so that the mean stays.
///
/// Which elements is a function of the seed, of the tape's step and of the place in the recording: two runs of one
/// program agree. Layers of one model need seeds of their own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// Probability of a zero, 0 to 1.
    pub p: f64,
    /// Seed of the layer's stream of random numbers.
    pub seed: u64,
}

impl Dropout {
    /// Drops with probability `p`. A `p` outside 0 to 1 is an error of the value it is applied to.
    pub fn new(p: f64, seed: u64) -> Self {
        Self { p, seed }
    }
    /// With elements dropped: what training computes. A prediction leaves `x` as it is.
    #[track_caller]
    pub fn forward<'t, T: Float>(&self, x: Var<'t, T>) -> Var<'t, T> {
        x.dropout(self.p, x.rec().rng(self.seed))
    }
}

/// A function without parameters, element by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x Phi(x)`.
    Gelu,
    /// [`Gelu`](Self::Gelu) by way of a hyperbolic tangent, as many trained models have it.
    GeluTanh,
    /// `x sigmoid(x)`.
    Silu,
    /// Hyperbolic tangent.
    Tanh,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// `ln(1 + e^x)`.
    Softplus,
}

impl Activation {
    /// The function's value.
    #[track_caller]
    pub fn forward<T: Float>(self, x: Var<'_, T>) -> Var<'_, T> {
        match self {
            Self::Relu => x.relu(),
            Self::Gelu => x.gelu(),
            Self::GeluTanh => x.gelu_tanh(),
            Self::Silu => x.silu(),
            Self::Tanh => x.tanh(),
            Self::Sigmoid => x.sigmoid(),
            Self::Softplus => x.softplus(),
        }
    }
}

/// A layer of a [`Sequential`]. What is not here is composed as plain functions on [`Var`].
#[derive(Clone, Debug)]
pub enum Layer {
    /// A linear layer.
    Linear(Linear),
    /// A convolution.
    Conv2d(Conv2d),
    /// Pooling by the largest element.
    MaxPool2d(MaxPool2d),
    /// Pooling by the mean.
    AvgPool2d(AvgPool2d),
    /// All axes but the first as one.
    Flatten(Flatten),
    /// Layer normalisation.
    LayerNorm(LayerNorm),
    /// A function of each element.
    Activation(Activation),
    /// Dropout.
    Dropout(Dropout),
    /// Layers in a row.
    Sequential(Sequential),
}

macro_rules! layer_from {
    ($($kind:ident),*) => {$(
        impl From<$kind> for Layer {
            fn from(layer: $kind) -> Self { Self::$kind(layer) }
        }
    )*};
}
layer_from!(
    Linear, Conv2d, MaxPool2d, AvgPool2d, Flatten, LayerNorm, Activation, Dropout, Sequential
);

impl Layer {
    /// The layer's output for a prediction.
    #[track_caller]
    pub fn forward<'t, T: Float>(&self, x: Var<'t, T>) -> Var<'t, T> {
        self.apply(x, false)
    }
    /// The layer's output in training: with dropout.
    #[track_caller]
    pub fn forward_training<'t, T: Float>(&self, x: Var<'t, T>) -> Var<'t, T> {
        self.apply(x, true)
    }
    #[track_caller]
    fn apply<'t, T: Float>(&self, x: Var<'t, T>, training: bool) -> Var<'t, T> {
        match self {
            Self::Linear(layer) => layer.forward(x),
            Self::Conv2d(layer) => layer.forward(x),
            Self::MaxPool2d(layer) => layer.forward(x),
            Self::AvgPool2d(layer) => layer.forward(x),
            Self::Flatten(layer) => layer.forward(x),
            Self::LayerNorm(layer) => layer.forward(x),
            Self::Activation(f) => f.forward(x),
            Self::Dropout(layer) if training => layer.forward(x),
            Self::Dropout(_) => x,
            Self::Sequential(layers) => layers.apply(x, training),
        }
    }
}

/// Layers applied one after the other; none is the identity.
///
/// ```
/// use retrograde_nn::prelude::*;
/// let mut params = Params::new();
/// let model = Sequential::new()
///     .then(Linear::new(&mut params, "hidden", 4, 8, 1))
///     .then(Activation::Relu)
///     .then(Linear::new(&mut params, "out", 8, 3, 2));
/// let mut tape = Tape::new();
/// let step = tape.step(&params);
/// assert_eq!(model.forward(step.input(&Array::ones([5, 4]))).shape()?, [5, 3]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Sequential {
    layers: Vec<Layer>,
}

impl Sequential {
    /// No layer.
    pub fn new() -> Self {
        Self::default()
    }
    /// With another layer at the end.
    #[must_use]
    pub fn then(mut self, layer: impl Into<Layer>) -> Self {
        self.layers.push(layer.into());
        self
    }
    /// The layers.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }
    /// The last layer's output for a prediction: a [`Dropout`] does nothing.
    #[track_caller]
    pub fn forward<'t, T: Float>(&self, x: Var<'t, T>) -> Var<'t, T> {
        self.apply(x, false)
    }
    /// The last layer's output in training: as [`forward`](Self::forward), with elements dropped.
    #[track_caller]
    pub fn forward_training<'t, T: Float>(&self, x: Var<'t, T>) -> Var<'t, T> {
        self.apply(x, true)
    }
    #[track_caller]
    fn apply<'t, T: Float>(&self, x: Var<'t, T>, training: bool) -> Var<'t, T> {
        // A loop, not a fold: `track_caller` does not reach through closures.
        let mut x = x;
        for layer in &self.layers {
            x = layer.apply(x, training);
        }
        x
    }
}
