//! Attention.

use retrograde_storage::{MAX_RANK, Shape};

use super::{AnyVar, Float, Rng, Var};
use crate::error::Fault;
use crate::infer;
use crate::list::{List, Value};
use crate::op::Attr;

/// How [`Var::scaled_dot_product_attention`] weighs keys: which ones a query sees, and the scale of the scores.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'t, T: Float = f32> {
    causal: bool,
    scale: Option<f64>,
    mask: Option<Mask<'t, T>>,
    dropout: Option<(f64, Rng<'t>)>,
}

#[derive(Clone, Copy, Debug)]
enum Mask<'t, T: Float> {
    Keep(Var<'t, bool>),
    Bias(Var<'t, T>),
}

impl<'t, T: Float> Attention<'t, T> {
    /// Every query sees every key.
    pub fn full() -> Self {
        Self {
            causal: false,
            scale: None,
            mask: None,
            dropout: None,
        }
    }
    /// Query `i` sees keys `0..=i`.
    pub fn causal() -> Self {
        Self {
            causal: true,
            ..Self::full()
        }
    }
    /// The factor of the scores instead of `1 / sqrt(d)`.
    #[must_use]
    pub fn scale(self, scale: f64) -> Self {
        Self {
            scale: Some(scale),
            ..self
        }
    }
    /// A query sees the keys where this is true (and that [`causal`](Self::causal) lets it see). It broadcasts to
    /// `[.., queries, keys]`.
    #[must_use]
    pub fn keep(self, mask: Var<'t, bool>) -> Self {
        Self {
            mask: Some(Mask::Keep(mask)),
            ..self
        }
    }
    /// Added to the scaled scores; negative infinity hides a key. It broadcasts to `[.., queries, keys]`, and has a
    /// gradient, which takes memory for all pairs of queries and keys.
    #[must_use]
    pub fn bias(self, bias: Var<'t, T>) -> Self {
        Self {
            mask: Some(Mask::Bias(bias)),
            ..self
        }
    }
    /// Each weight is 0 with probability `p`, else divided by `1 - p`, as by [`Var::dropout`]. With a `p` above 0 the
    /// weights of all pairs of queries and keys take memory, and hidden keys must have finite values.
    #[must_use]
    pub fn dropout(self, p: f64, rng: Rng<'t>) -> Self {
        Self {
            dropout: Some((p, rng)),
            ..self
        }
    }
}

/// Attention; extents that do not fit are an error.
///
/// ```
/// # use retrograde_graph::{Attention, Tape};
/// # use retrograde_storage::{Array, Create};
/// # let tape = Tape::new();
/// // Two keys that are alike share the query's attention; under a causal mask it sees the first alone.
/// let q = tape.variable(Array::from([[1.0_f64, 0.0]]));
/// let k = tape.variable(Array::from([[3.0_f64, 1.0], [3.0, -1.0]]));
/// let v = tape.variable(Array::from([[2.0_f64], [4.0]]));
/// assert_eq!(q.scaled_dot_product_attention(k, v, Attention::full()).value()?, Array::from([[3.0]]));
/// assert_eq!(q.scaled_dot_product_attention(k, v, Attention::causal()).value()?, Array::from([[2.0]]));
/// let second = tape.constant(Array::from([false, true]));
/// let seen = q.scaled_dot_product_attention(k, v, Attention::full().keep(second));
/// assert_eq!(seen.value()?, Array::from([[4.0]]));
/// let dropped = Attention::full().dropout(1.0, tape.rec().rng(1));
/// assert_eq!(q.scaled_dot_product_attention(k, v, dropped).value()?, Array::from([[0.0]]));
/// assert!(q.scaled_dot_product_attention(v, v, Attention::full()).value().is_err());
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<'t, T: Float> Var<'t, T> {
    /// `softmax(scale q k^T + mask) v`: with `self` the queries `[.., queries, d]`, keys `[.., keys, d]` and values
    /// `[.., keys, dv]`, whose leading axes (batch, heads) broadcast, gives `[.., queries, dv]`. The scale is
    /// `1 / sqrt(d)` unless [`options`](Attention) say otherwise.
    ///
    /// A key that a query does not see contributes nothing to it, whatever its elements; a query that sees none gives
    /// zeros. Memory is linear in the numbers of queries and keys, forward and for the gradient; a derivative of the
    /// gradient takes memory for all pairs.
    #[track_caller]
    pub fn scaled_dot_product_attention(
        self,
        keys: Self,
        values: Self,
        options: Attention<'t, T>,
    ) -> Self {
        let mut operands: [AnyVar<'t>; 4] = [self.into(), keys.into(), values.into(), self.into()];
        let mask = options.mask.map(|mask| match mask {
            Mask::Keep(mask) => AnyVar::from(mask),
            Mask::Bias(bias) => AnyVar::from(bias),
        });
        let count = 3 + usize::from(mask.is_some());
        operands[3] = mask.unwrap_or(operands[3]);
        self.rec
            .apply("scaled_dot_product_attention", &operands[..count], |s| {
                let fit = Fit::of(&s.list, self.id, keys.id, values.id)?;
                let scores = fit.scores()?;
                let mut q = self.id;
                if let Some(scale) = options.scale {
                    let scale = s.scalar(scale, T::DTYPE);
                    q = s.list.mul(q, scale);
                }
                let l = &mut s.list;
                let mut all = [q, keys.id, values.id, q];
                for x in &mut all[..3] {
                    *x = fit.by_time(l, *x);
                }
                if let Some(mask) = mask {
                    infer::broadcasts_to(l.shape(mask.id), scores)?;
                    let mask = l.expand(mask.id, scores);
                    all[3] = fit.with_heads(l, mask);
                }
                let attr = Attr::attention(options.causal, options.scale.is_none());
                let result = match options.dropout {
                    Some((p, rng)) if p != 0.0 => {
                        rng.fits(self.rec, p)?;
                        let mask = mask.map(|_| all[3]);
                        let weights = l.attention_weights([all[0], all[1]], mask, attr);
                        let weights = rng.dropped(s, weights, p);
                        s.list.weighted_values(weights, all[2])
                    }
                    _ => l.attention(&all[..count], attr),
                };
                let l = &mut s.list;
                Ok(fit.by_head(l, result))
            })
    }
}

/// The leading axes and extents of an attention's operands, once they fit.
struct Fit {
    batch: Shape,
    queries: usize,
    keys: usize,
}

impl Fit {
    fn of(list: &List, q: Value, k: Value, v: Value) -> Result<Self, Fault> {
        let shapes = [q, k, v].map(|x| list.shape(x));
        for shape in shapes {
            infer::rank_at_least(shape, 2)?;
        }
        let last = |i: usize| -> [usize; 2] {
            let dims = shapes[i].dims();
            [dims[dims.len() - 2], dims[dims.len() - 1]]
        };
        let ([queries, width], [keys, of_keys], [of_values, dv]) = (last(0), last(1), last(2));
        if width != of_keys {
            return Err(Fault::shape(format!(
                "queries and keys must have as many features, but {} has {width} and {} has {of_keys}",
                shapes[0], shapes[1]
            )));
        }
        if keys != of_values {
            return Err(Fault::shape(format!(
                "there must be a value for every key, but {} has {keys} keys and {} has {of_values} values",
                shapes[1], shapes[2]
            )));
        }
        let lead = |s: Shape| Shape::new(&s.dims()[..s.rank() - 2]).expect("fewer axes");
        let both = lead(shapes[0]).broadcast(&lead(shapes[1]));
        let Some(batch) = both.and_then(|both| both.broadcast(&lead(shapes[2]))) else {
            return Err(Fault::shape(format!(
                "the leading axes of {}, {} and {} do not broadcast; try `unsqueeze`",
                shapes[0], shapes[1], shapes[2]
            )));
        };
        let fit = Self {
            batch,
            queries,
            keys,
        };
        // Operands are expanded, and their gradients stand in one buffer.
        let mut total = 0usize;
        for last in [[queries, width], [keys, width], [keys, dv]] {
            total = total.saturating_add(fit.shape(last)?.len());
        }
        infer::shape(&[total])?;
        Ok(fit)
    }

    /// The shape of the scores: that of a mask for every pair.
    fn scores(&self) -> Result<Shape, Fault> {
        self.shape([self.queries, self.keys])
    }

    fn shape(&self, last: [usize; 2]) -> Result<Shape, Fault> {
        let (mut dims, lead) = ([1; MAX_RANK], self.batch.rank());
        dims[..lead].copy_from_slice(self.batch.dims());
        dims[lead..lead + 2].copy_from_slice(&last);
        infer::shape(&dims[..lead + 2])
    }

    /// A value with all leading axes, one at least: the heads.
    fn with_heads(&self, list: &mut List, x: Value) -> Value {
        let dims = list.dims(x);
        let last = [dims[dims.len() - 2], dims[dims.len() - 1]];
        let shape = self.shape(last).expect("checked with the operands");
        let x = list.expand(x, shape);
        if self.batch.rank() > 0 {
            return x;
        }
        let one = Shape::new(&[1, last[0], last[1]]).expect("as many elements as before");
        list.reshape(x, one)
    }

    /// An operand in the layout of [`Op::Attention`](crate::op::Op::Attention).
    fn by_time(&self, list: &mut List, x: Value) -> Value {
        let x = self.with_heads(list, x);
        list.heads_out(x)
    }

    /// A result in that of the operands.
    fn by_head(&self, list: &mut List, x: Value) -> Value {
        let x = list.heads_out(x);
        let dims = list.dims(x);
        let last = [dims[dims.len() - 2], dims[dims.len() - 1]];
        let shape = self.shape(last).expect("checked with the operands");
        list.reshape(x, shape)
    }
}
