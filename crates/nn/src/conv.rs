//! Layers for images `[batch, channels, height, width]`.

use retrograde::{ConvOptions, Float, Param, Params, PerAxis, PoolOptions, Var};

use crate::init::{normal, zeros};

/// `x` convolved with a weight, plus a bias for each output channel: `[n, inputs, h, w]` to `[n, outputs, ..]`, see
/// [`Var::conv2d`].
///
/// LeNet-5, but for its activations: two convolutions that halve the image, then linear layers.
///
/// ```
/// use retrograde_nn::prelude::*;
/// let mut params = Params::new();
/// let halved = PoolOptions::kernel(2);
/// let lenet = Sequential::new()
///     .then(Conv2d::new(&mut params, "conv1", [1, 6], 5, ConvOptions::default().padding(2), 1))
///     .then(Activation::Relu)
///     .then(MaxPool2d(halved))
///     .then(Conv2d::new(&mut params, "conv2", [6, 16], 5, ConvOptions::default(), 2))
///     .then(Activation::Relu)
///     .then(MaxPool2d(halved))
///     .then(Flatten)
///     .then(Linear::new(&mut params, "hidden1", 400, 120, 3))
///     .then(Activation::Relu)
///     .then(Linear::new(&mut params, "hidden2", 120, 84, 4))
///     .then(Activation::Relu)
///     .then(Linear::new(&mut params, "out", 84, 10, 5));
/// let (images, labels) = (uniform::<f32>([8, 1, 28, 28], 0.0, 1.0, 6), Array::from([0_u32, 1, 2, 3, 4, 5, 6, 7]));
/// let mut adam = Adam::new(1e-3);
/// let mut tape = Tape::new();
/// let mut losses = Vec::new();
/// for _ in 0..5 {
///     let step = tape.train(&mut params);
///     let logits = lenet.forward(step.input(&images));
///     losses.push(adam.minimise(logits.cross_entropy(step.input(&labels)))?);
/// }
/// assert!(losses[4] < losses[0]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Conv2d {
    /// Weight, `[outputs, inputs / groups, rows, columns]`.
    pub weight: Param,
    /// Bias, `[outputs, 1, 1]`.
    pub bias: Option<Param>,
    /// Stride, padding, dilation and groups.
    pub options: ConvOptions,
}

impl Conv2d {
    /// Adds `name.weight`, normal with variance `2 / fan_in` (as [`he_normal`](crate::init::he_normal)), and
    /// `name.bias` of zeros to the table. A layer that cannot be, such as one whose groups do not divide its channels,
    /// is an error of the value it is applied to.
    pub fn new<T: Float>(
        params: &mut Params<T>,
        name: &str,
        channels: [usize; 2],
        kernel: impl PerAxis,
        options: ConvOptions,
        seed: u64,
    ) -> Self {
        let layer = Self::without_bias(params, name, channels, kernel, options, seed);
        let bias = params.insert(&format!("{name}.bias"), zeros([channels[1], 1, 1]));
        Self {
            bias: Some(bias),
            ..layer
        }
    }
    /// As [`new`](Self::new), without bias. `channels` are those of the images and of the result.
    pub fn without_bias<T: Float>(
        params: &mut Params<T>,
        name: &str,
        [inputs, outputs]: [usize; 2],
        kernel: impl PerAxis,
        options: ConvOptions,
        seed: u64,
    ) -> Self {
        let [rows, columns] = kernel.per_axis();
        let seen = inputs / options.groups.max(1);
        let fan_in = (seen as f64 * rows as f64 * columns as f64).max(1.0);
        let weight = normal([outputs, seen, rows, columns], (2.0 / fan_in).sqrt(), seed);
        Self {
            weight: params.insert(&format!("{name}.weight"), weight),
            bias: None,
            options,
        }
    }
    /// The layer's output.
    #[track_caller]
    pub fn forward<'t, T: Float>(&self, x: Var<'t, T>) -> Var<'t, T> {
        let y = x.conv2d(x.rec().param(self.weight), self.options);
        self.bias.map_or(y, |b| y + x.rec().param(b))
    }
}

/// The largest element under a window, see [`Var::max_pool2d`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool2d(pub PoolOptions);

impl MaxPool2d {
    /// The layer's output.
    #[track_caller]
    pub fn forward<'t, T: Float>(&self, x: Var<'t, T>) -> Var<'t, T> {
        x.max_pool2d(self.0)
    }
}

/// The mean under a window, see [`Var::avg_pool2d`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvgPool2d(pub PoolOptions);

impl AvgPool2d {
    /// The layer's output.
    #[track_caller]
    pub fn forward<'t, T: Float>(&self, x: Var<'t, T>) -> Var<'t, T> {
        x.avg_pool2d(self.0)
    }
}

/// Every axis but the first as one: `[n, ..]` to `[n, features]`. A scalar stays what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flatten;

impl Flatten {
    /// The layer's output.
    #[track_caller]
    pub fn forward<'t, T: Float>(&self, x: Var<'t, T>) -> Var<'t, T> {
        match x.shape().as_deref() {
            Ok([n, features @ ..]) => x.reshape([*n, features.iter().product()]),
            // A value that has no shape keeps its error.
            Ok([]) | Err(_) => x,
        }
    }
}
