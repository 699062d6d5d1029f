//! Normalisation: to unit length, and to mean 0 and variance 1 over a batch or over groups of channels.

use retrograde_ops::{Binary, Reduce};

use super::row::{eps_is_scalar, normalised};
use super::{Axes, Float, Operand, Var};
use crate::error::Fault;
use crate::infer::{self, Few};
use crate::list::{List, Value};

/// Shapes that do not fit and axes out of range are errors.
///
/// ```
/// # use retrograde_graph::{INFER, Tape, keep};
/// # use retrograde_storage::{Array, Create};
/// # let tape = Tape::new();
/// let x = tape.variable(Array::from([[3.0_f64, -4.0], [0.0, 0.0]]));
/// assert_eq!(x.normalize(-1).value()?, Array::from([[0.6, -0.8], [0.0, 0.0]]));
/// assert_eq!(x.cosine_similarity(-x, -1).value()?, Array::from([-1.0, 0.0]));
/// let images = tape.variable(Array::<f64>::arange(24).reshape([2, 3, 2, 2])?);
/// let (weight, bias) = (tape.rec().ones([3]), tape.rec().zeros([3]));
/// assert!(images.batch_norm(weight, bias, 0.0).mean_over([0, 2, 3]).abs().max().item()? < 1e-15);
/// assert!(images.group_norm(1, weight, bias, 0.0).mean_over([1, 2, 3]).abs().max().item()? < 1e-15);
/// assert!(images.group_norm(2, weight, bias, 0.0).value().is_err(), "two groups do not divide three channels");
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<'t, T: Float> Var<'t, T> {
    /// `x / |x|` with the Euclidean norm over some axes; 0 with derivative 0 where the norm is 0.
    #[track_caller]
    pub fn normalize(self, axes: impl Into<Axes>) -> Self {
        let axes = axes.into();
        self.map("normalize", |s, x| {
            let mask = axes.mask(s.list.shape(x))?;
            let norm = s.list.norm(x, mask);
            Ok(divided_off_zero(&mut s.list, x, norm))
        })
    }

    /// `x . y / (|x| |y|)` along an axis of both, which broadcast; 0 with derivative 0 where one of them is 0. There is no
    /// `eps` under the quotient: a small row has its own direction, down to where squares are 0 (about 1e-23 in `f32`).
    #[track_caller]
    pub fn cosine_similarity(self, other: Self, axis: isize) -> Self {
        self.rec
            .apply("cosine_similarity", &[self.into(), other.into()], |s| {
                let l = &mut s.list;
                let shape = infer::broadcast(l, &[self.id, other.id])?;
                let axis = infer::axis(shape, axis)?;
                let (x, y) = (l.expand(self.id, shape), l.expand(other.id, shape));
                Ok(cosine(l, x, y, axis))
            })
    }

    /// Every channel of `[batch, channels, ..]` to mean 0 and variance 1 over the batch and all positions, then
    /// `weight` and `bias` (of shape `[channels]`): `(x - mean) / sqrt(var + eps) weight + bias`, with the variance of
    /// the batch itself (no correction). For statistics from elsewhere see
    /// [`batch_norm_by`](Self::batch_norm_by).
    #[track_caller]
    pub fn batch_norm(self, weight: Self, bias: Self, eps: impl Operand<'t, T>) -> Self {
        let eps = eps.lift(self.rec);
        let operands = [self.into(), weight.into(), bias.into(), eps.into()];
        self.rec.apply("batch_norm", &operands, |s| {
            let l = &mut s.list;
            let rank = channels(l, self.id, &[weight.id, bias.id], eps.id)?;
            let mask = !2 & ((1u16 << rank) - 1) as u8;
            let mean = l.mean(self.id, mask);
            let centred = l.sub(self.id, mean);
            let normal = normalised(l, centred, mask, eps.id);
            Ok(affine(l, normal, weight.id, bias.id))
        })
    }

    /// As [`batch_norm`](Self::batch_norm) by a mean and a variance of shape `[channels]` from elsewhere: running
    /// averages, when a network is used and no longer trained.
    #[track_caller]
    pub fn batch_norm_by(
        self,
        mean: Self,
        variance: Self,
        weight: Self,
        bias: Self,
        eps: impl Operand<'t, T>,
    ) -> Self {
        let eps = eps.lift(self.rec);
        let given = [mean, variance, weight, bias];
        let mut operands = [self.into(); 6];
        for (to, v) in operands[1..].iter_mut().zip(given.into_iter().chain([eps])) {
            *to = v.into();
        }
        self.rec.apply("batch_norm_by", &operands, |s| {
            let l = &mut s.list;
            channels(l, self.id, &given.map(|v| v.id), eps.id)?;
            let lifted = l.binary(Binary::Add, variance.id, eps.id);
            let factor = l.unary(retrograde_ops::Unary::Rsqrt, lifted);
            let (mean, factor) = (column(l, mean.id, self.id), column(l, factor, self.id));
            let centred = l.sub(self.id, mean);
            let normal = l.mul(centred, factor);
            Ok(affine(l, normal, weight.id, bias.id))
        })
    }

    /// Channels of `[batch, channels, ..]` in consecutive groups, each group of each sample to mean 0 and variance 1
    /// over its channels and positions, then `weight` and `bias` (of shape `[channels]`). One group is layer
    /// normalisation of whole samples, as many groups as channels instance normalisation.
    #[track_caller]
    pub fn group_norm(
        self,
        groups: usize,
        weight: Self,
        bias: Self,
        eps: impl Operand<'t, T>,
    ) -> Self {
        let eps = eps.lift(self.rec);
        let operands = [self.into(), weight.into(), bias.into(), eps.into()];
        self.rec.apply("group_norm", &operands, |s| {
            let l = &mut s.list;
            channels(l, self.id, &[weight.id, bias.id], eps.id)?;
            let shape = l.shape(self.id);
            let (batch, count) = (shape.dims()[0], shape.dims()[1]);
            if groups == 0 || !count.is_multiple_of(groups) {
                return Err(Fault::shape(format!(
                    "{groups} groups do not divide {count} channels"
                )));
            }
            let rest = shape.dims()[2..].iter().product::<usize>() * (count / groups);
            let rows = l.reshape(self.id, infer::shape(&[batch, groups, rest])?);
            let mean = l.mean(rows, 4);
            let centred = l.sub(rows, mean);
            let normal = normalised(l, centred, 4, eps.id);
            let normal = l.reshape(normal, shape);
            Ok(affine(l, normal, weight.id, bias.id))
        })
    }
}

/// The cosine of the angle between rows of one shape along an axis, which vanishes.
pub(super) fn cosine(l: &mut List, x: Value, y: Value, axis: usize) -> Value {
    let shape = l.shape(x);
    let product = l.mul(x, y);
    let dot = l.reduce(Reduce::Sum, product, 1 << axis);
    let norms = [x, y].map(|v| l.norm(v, 1 << axis));
    let of_both = l.mul(norms[0], norms[1]);
    let cosine = divided_off_zero(l, dot, of_both);
    l.reshape(cosine, super::axes::without(shape, 1 << axis))
}

/// `x / y` for `y >= 0`, 0 with derivative 0 where `y` is 0.
fn divided_off_zero(l: &mut List, x: Value, y: Value) -> Value {
    let zero = l.like(0.0, y);
    let flat = l.binary(Binary::Eq, y, zero);
    let ratio = l.binary(Binary::Div, x, y);
    let zero = l.like(0.0, x);
    l.select(flat, zero, ratio)
}

/// The rank of `[batch, channels, ..]`, after the check that there is a weight for every channel.
fn channels(l: &List, x: Value, weights: &[Value], eps: Value) -> Result<usize, Fault> {
    let shape = l.shape(x);
    infer::rank_at_least(shape, 2)?;
    let count = &shape.dims()[1..2];
    for &w in weights {
        if l.dims(w) != count {
            return Err(Fault::shape(format!(
                "what there is one of for each channel must have shape {count:?}, not {}",
                l.shape(w)
            )));
        }
    }
    eps_is_scalar(l, eps)?;
    Ok(shape.rank())
}

/// `[channels]` so that it broadcasts over `like`.
fn column(l: &mut List, v: Value, like: Value) -> Value {
    let mut dims = Few::from_elem(1, l.shape(like).rank() - 1);
    dims[0] = l.dims(v)[0];
    let shape = infer::shape(&dims).expect("ones beside an extent that is there");
    l.reshape(v, shape)
}

/// `x weight + bias` by channel.
fn affine(l: &mut List, x: Value, weight: Value, bias: Value) -> Value {
    let (weight, bias) = (column(l, weight, x), column(l, bias, x));
    let scaled = l.mul(x, weight);
    l.add(scaled, bias)
}
