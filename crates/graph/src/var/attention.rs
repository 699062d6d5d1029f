//! Attention.

use retrograde_ops::Binary;
use retrograde_storage::{MAX_RANK, Shape};

use super::{AnyVar, Float, Var};
use crate::error::Fault;
use crate::infer;
use crate::list::{List, Value};
use crate::op::{Attr, Op};

/// How [`Var::scaled_dot_product_attention`] weighs keys: which ones a query sees, and the scale of the scores.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'t, T: Float = f32> {
    causal: bool,
    scale: Option<f64>,
    mask: Option<Mask<'t, T>>,
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
                let extents = Extents::of(&s.list, self.id, keys.id, values.id)?;
                let scores = extents.scores()?;
                let scale = match options.scale {
                    Some(scale) => scale,
                    None => 1.0 / (extents.width.max(1) as f64).sqrt(),
                };
                let l = &mut s.list;
                let keys_t = l.transpose(keys.id);
                let mut x = l.matmul(self.id, keys_t);
                x = l.scale(x, scale);
                let none = l.like(f64::NEG_INFINITY, x);
                if options.causal {
                    let row = Shape::new(&[extents.queries, 1]).expect("small");
                    let column = Shape::new(&[1, extents.keys]).expect("small");
                    let i = l.iota(0, row, retrograde_storage::DType::U32);
                    let j = l.iota(1, column, retrograde_storage::DType::U32);
                    let seen = l.binary(Binary::Ge, i, j);
                    x = l.select(seen, x, none);
                }
                let _ = scores;
                let shape = l.shape(x);
                let p = l.push(
                    Op::Softmax,
                    &[x],
                    Attr::axes(1 << (shape.rank() - 1)),
                    shape,
                    T::DTYPE,
                );
                Ok(l.matmul(p, values.id))
            })
    }
}

/// The extents of an attention's operands, once they fit.
struct Extents {
    batch: Shape,
    queries: usize,
    keys: usize,
    width: usize,
}

impl Extents {
    fn of(list: &List, q: Value, k: Value, v: Value) -> Result<Self, Fault> {
        let shapes = [q, k, v].map(|x| list.shape(x));
        for shape in shapes {
            infer::rank_at_least(shape, 2)?;
        }
        let last = |i: usize| -> [usize; 2] {
            let dims = shapes[i].dims();
            [dims[dims.len() - 2], dims[dims.len() - 1]]
        };
        let ([queries, width], [keys, of_keys], [of_values, _]) = (last(0), last(1), last(2));
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
        Ok(Self {
            batch,
            queries,
            keys,
            width,
        })
    }

    /// The shape of the scores: that of a mask for every pair.
    fn scores(&self) -> Result<Shape, Fault> {
        let (mut dims, lead) = ([1; MAX_RANK], self.batch.rank());
        dims[..lead].copy_from_slice(self.batch.dims());
        dims[lead..lead + 2].copy_from_slice(&[self.queries, self.keys]);
        infer::shape(&dims[..lead + 2])
    }
}
