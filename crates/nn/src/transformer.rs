//! The transformer: self-attention and the pre-norm block around it.

use retrograde::{Attention, Float, INFER, Params, Var};

use crate::layers::{Activation, LayerNorm, Linear};

/// Multi-head self-attention (Vaswani et al., 2017): `[.., time, width]` to the same shape. Queries, keys and values are
/// one linear layer, cut into heads of `width / heads` features; another one joins what the heads found.
///
/// ```
/// use retrograde_nn::prelude::*;
/// let mut params = Params::new();
/// let attention = SelfAttention::new(&mut params, "attention", 8, 2, 1).causal();
/// let mut tape = Tape::new();
/// let step = tape.step(&params);
/// let x = Array::ones([3, 5, 8]);
/// assert_eq!(attention.forward(step.input(&x)).shape()?, [3, 5, 8]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SelfAttention {
    /// Queries, keys and values side by side, `[width, 3 width]`.
    pub qkv: Linear,
    /// What joins the heads, `[width, width]`.
    pub out: Linear,
    /// Number of heads. One that does not divide the width is an error of the layer's output.
    pub heads: usize,
    width: usize,
    /// Whether a position sees only those before it and itself.
    pub is_causal: bool,
}

impl SelfAttention {
    /// Adds the layers `name.qkv` and `name.out` to the table.
    pub fn new<T: Float>(
        params: &mut Params<T>,
        name: &str,
        width: usize,
        heads: usize,
        seed: u64,
    ) -> Self {
        let qkv = Linear::new(params, &format!("{name}.qkv"), width, 3 * width, seed);
        let out = Linear::new(params, &format!("{name}.out"), width, width, seed + 1);
        Self {
            qkv,
            out,
            heads,
            width,
            is_causal: false,
        }
    }
    /// The same where a position sees only those before it and itself.
    #[must_use]
    pub fn causal(self) -> Self {
        Self {
            is_causal: true,
            ..self
        }
    }
    /// The layer's output.
    #[track_caller]
    pub fn forward<'t, T: Float>(&self, x: Var<'t, T>) -> Var<'t, T> {
        let options = if self.is_causal {
            Attention::causal()
        } else {
            Attention::full()
        };
        self.forward_with(x, options)
    }
    /// The layer's output under other options, a mask for instance; [`causal`](Self::causal) has no effect here.
    #[track_caller]
    pub fn forward_with<'t, T: Float>(
        &self,
        x: Var<'t, T>,
        options: Attention<'t, T>,
    ) -> Var<'t, T> {
        let all = self.qkv.forward(x);
        let (q, k, v) = (self.part(all, 0), self.part(all, 1), self.part(all, 2));
        let heads = q.scaled_dot_product_attention(k, v, options);
        self.out
            .forward(heads.transpose(-3, -2).flatten_axes(-2, -1))
    }

    /// The heads of the queries, keys or values, `[.., heads, time, features]`.
    #[track_caller]
    fn part<'t, T: Float>(&self, all: Var<'t, T>, i: usize) -> Var<'t, T> {
        let part = all.narrow(-1, i * self.width, self.width);
        part.unflatten(-1, [self.heads, INFER]).transpose(-3, -2)
    }
}

/// A pre-norm transformer block: `y = x + attention(norm1 x)`, then `y + down(f(up(norm2 y)))`.
///
/// ```
/// use retrograde_nn::prelude::*;
/// let mut params = Params::new();
/// let block = TransformerBlock::new(&mut params, "block", 8, 2, 1).causal();
/// let mut tape = Tape::new();
/// let step = tape.step(&params);
/// let x = Array::ones([3, 5, 8]);
/// assert_eq!(block.forward(step.input(&x)).shape()?, [3, 5, 8]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TransformerBlock {
    /// Before the attention.
    pub norm1: LayerNorm,
    /// Between positions.
    pub attention: SelfAttention,
    /// Before the two layers.
    pub norm2: LayerNorm,
    /// `[width, 4 width]`.
    pub up: Linear,
    /// Between the two; [`Activation::GeluTanh`] unless changed.
    pub activation: Activation,
    /// `[4 width, width]`.
    pub down: Linear,
}

impl TransformerBlock {
    /// Adds `name.norm1`, `name.attention`, `name.norm2`, `name.up` and `name.down` to the table.
    pub fn new<T: Float>(
        params: &mut Params<T>,
        name: &str,
        width: usize,
        heads: usize,
        seed: u64,
    ) -> Self {
        Self {
            norm1: LayerNorm::new(params, &format!("{name}.norm1"), width),
            attention: SelfAttention::new(params, &format!("{name}.attention"), width, heads, seed),
            norm2: LayerNorm::new(params, &format!("{name}.norm2"), width),
            up: Linear::new(params, &format!("{name}.up"), width, 4 * width, seed + 2),
            activation: Activation::GeluTanh,
            down: Linear::new(params, &format!("{name}.down"), 4 * width, width, seed + 3),
        }
    }
    /// The same where a position sees only those before it and itself.
    #[must_use]
    pub fn causal(self) -> Self {
        Self {
            attention: self.attention.causal(),
            ..self
        }
    }
    /// The block's output, `[.., time, width]` to the same shape.
    #[track_caller]
    pub fn forward<'t, T: Float>(&self, x: Var<'t, T>) -> Var<'t, T> {
        let x = x + self.attention.forward(self.norm1.forward(x));
        let hidden = self
            .activation
            .forward(self.up.forward(self.norm2.forward(x)));
        x + self.down.forward(hidden)
    }
}
