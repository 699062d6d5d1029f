//! Losses. Each means over all its terms; the `_with` variant takes a [`Reduction`].

use retrograde_ops::{Binary, Reduce, Unary};
use retrograde_storage::{DType, MAX_RANK, Shape};

use super::{Float, Var};
use crate::error::Fault;
use crate::infer;
use crate::list::{List, Value, kept};
use crate::op::{Attr, Indexing, Op};

/// What becomes of a loss's terms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// Their mean, a scalar; NaN of none.
    #[default]
    Mean,
    /// Their sum, a scalar.
    Sum,
    /// The terms themselves.
    None,
}

/// Losses of predictions.
///
/// ```
/// # use retrograde_graph::{Reduction, Tape, keep};
/// # use retrograde_storage::{Array, Create};
/// # let tape = Tape::new();
/// let x = tape.variable(Array::from([[1.0_f64, 3.0]]));
/// let y = tape.constant(Array::from([[0.0_f64, 1.0]]));
/// assert_eq!(x.mse(y).item()?, 2.5);
/// assert_eq!(x.l1_with(y, Reduction::Sum).item()?, 3.0);
/// assert_eq!(x.bce_with_logits_with(y, Reduction::None).shape()?, [1, 2]);
/// let labels = tape.constant(Array::from([1_u32]));
/// let loss = x.cross_entropy(labels);
/// assert!((loss.item()? - (1.0 + (-2.0_f64).exp()).ln()).abs() < 1e-15);
/// assert!((loss.item()? - x.log_softmax(-1).nll(labels).item()?).abs() < 1e-15);
/// assert!(x.mse(labels.cast()).item().is_err(), "shapes that differ are an error");
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<'t, T: Float> Var<'t, T> {
    /// The mean of `(x - target)^2`. Both have one shape: broadcasting here is nearly always a mistake.
    #[track_caller]
    pub fn mse(self, target: Self) -> Self {
        self.mse_with(target, Reduction::Mean)
    }
    /// [`mse`](Self::mse) with another reduction.
    #[track_caller]
    pub fn mse_with(self, target: Self, reduction: Reduction) -> Self {
        self.pairwise("mse", target, reduction, |l, x, y| {
            let difference = l.sub(x, y);
            l.unary(Unary::Square, difference)
        })
    }

    /// The mean of `|x - target|`, with derivative 0 where they are equal. Both have one shape.
    #[track_caller]
    pub fn l1(self, target: Self) -> Self {
        self.l1_with(target, Reduction::Mean)
    }
    /// [`l1`](Self::l1) with another reduction.
    #[track_caller]
    pub fn l1_with(self, target: Self, reduction: Reduction) -> Self {
        self.pairwise("l1", target, reduction, |l, x, y| {
            let difference = l.sub(x, y);
            l.unary(Unary::Abs, difference)
        })
    }

    /// Binary cross-entropy of logits: the mean of `softplus(x) - x target`, which is
    /// `-target ln p - (1 - target) ln(1 - p)` with `p = sigmoid(x)`, safe for any magnitude. Both have one shape.
    #[track_caller]
    pub fn bce_with_logits(self, target: Self) -> Self {
        self.bce_with_logits_with(target, Reduction::Mean)
    }
    /// [`bce_with_logits`](Self::bce_with_logits) with another reduction.
    #[track_caller]
    pub fn bce_with_logits_with(self, target: Self, reduction: Reduction) -> Self {
        self.pairwise("bce_with_logits", target, reduction, |l, x, y| {
            let softplus = l.unary(Unary::Softplus, x);
            let hit = l.mul(x, y);
            l.sub(softplus, hit)
        })
    }

    /// Huber's loss: the mean of `d^2 / 2` where `|d| <= delta`, `delta (|d| - delta / 2)` elsewhere, with
    /// `d = x - target`. Both have one shape; `delta` is at least 0, a negative one is an error.
    #[track_caller]
    pub fn huber(self, target: Self, delta: f64) -> Self {
        self.huber_with(target, delta, Reduction::Mean)
    }
    /// [`huber`](Self::huber) with another reduction.
    #[track_caller]
    pub fn huber_with(self, target: Self, delta: f64, reduction: Reduction) -> Self {
        self.rec.apply("huber", &[self.into(), target.into()], |s| {
            infer::equal_shapes(&s.list, self.id, target.id)?;
            if !(0.0..f64::INFINITY).contains(&delta) {
                let reason = format!("delta is {delta}; give a finite number of at least 0");
                return Err(infer::argument(reason));
            }
            let l = &mut s.list;
            let d = l.sub(self.id, target.id);
            let size = l.unary(Unary::Abs, d);
            let bound = l.like(delta, d);
            let near = l.binary(Binary::Le, size, bound);
            let square = l.unary(Unary::Square, d);
            let square = l.scale(square, 0.5);
            let half = l.like(0.5 * delta, d);
            let beyond = l.sub(size, half);
            let line = l.scale(beyond, delta);
            let terms = l.select(near, square, line);
            Ok(reduced(l, terms, reduction))
        })
    }

    /// Binary cross-entropy of probabilities: the mean of `-target ln x - (1 - target) ln(1 - x)`, each logarithm
    /// taken as -100 where it is less, with derivative 0 there. Both have one shape. Of logits use
    /// [`bce_with_logits`](Self::bce_with_logits), which loses nothing near 0 and 1.
    #[track_caller]
    pub fn bce(self, target: Self) -> Self {
        self.bce_with(target, Reduction::Mean)
    }
    /// [`bce`](Self::bce) with another reduction.
    #[track_caller]
    pub fn bce_with(self, target: Self, reduction: Reduction) -> Self {
        self.pairwise("bce", target, reduction, |l, x, y| {
            let (one, least) = (l.like(1.0, x), l.like(-100.0, x));
            let bounded = |l: &mut List, logarithm: Value| {
                let low = l.binary(Binary::Lt, logarithm, least);
                l.select(low, least, logarithm)
            };
            let ln = l.unary(Unary::Ln, x);
            let hit = bounded(l, ln);
            let minus = l.neg(x);
            let ln = l.unary(Unary::Log1p, minus);
            let miss = bounded(l, ln);
            let rest = l.sub(one, y);
            let hit = l.mul(y, hit);
            let miss = l.mul(rest, miss);
            let sum = l.add(hit, miss);
            l.neg(sum)
        })
    }

    /// Kullback-Leibler divergence of log-probabilities `x` from probabilities `target`: the mean of
    /// `target (ln target - x)`, 0 where `target` is 0. Both have one shape.
    #[track_caller]
    pub fn kl_div(self, target: Self) -> Self {
        self.kl_div_with(target, Reduction::Mean)
    }
    /// [`kl_div`](Self::kl_div) with another reduction.
    #[track_caller]
    pub fn kl_div_with(self, target: Self, reduction: Reduction) -> Self {
        self.pairwise("kl_div", target, reduction, |l, x, y| {
            let ln = l.unary(Unary::Ln, y);
            let apart = l.sub(ln, x);
            let term = l.mul(y, apart);
            let zero = l.like(0.0, y);
            let none = l.binary(Binary::Eq, y, zero);
            l.select(none, zero, term)
        })
    }

    /// Hinge loss of scores and labels of -1 and 1: the mean of `max(0, 1 - target x)`, with derivative 0 at the kink.
    /// Both have one shape.
    #[track_caller]
    pub fn hinge(self, target: Self) -> Self {
        self.hinge_with(target, Reduction::Mean)
    }
    /// [`hinge`](Self::hinge) with another reduction.
    #[track_caller]
    pub fn hinge_with(self, target: Self, reduction: Reduction) -> Self {
        self.pairwise("hinge", target, reduction, |l, x, y| {
            let score = l.mul(y, x);
            let one = l.like(1.0, x);
            let margin = l.sub(one, score);
            l.unary(Unary::Relu, margin)
        })
    }

    /// Loss of pairs of rows `[.., n]` that are to point the same way where `target`, of shape `[..]`, is positive, and not
    /// to where it is not: the mean of `1 - c` there and `max(0, c - margin)` elsewhere, `c` being the
    /// [`cosine_similarity`](Self::cosine_similarity) along the last axis. The derivative is 0 at the kink.
    ///
    /// ```
    /// # use retrograde_graph::Tape;
    /// # use retrograde_storage::Array;
    /// # let tape = Tape::new();
    /// let x = tape.variable(Array::from([[3.0_f64, 4.0], [3.0, 4.0]]));
    /// let y = tape.constant(Array::from([[4.0_f64, 3.0], [4.0, 3.0]]));
    /// let target = tape.constant(Array::from([1.0_f64, -1.0]));
    /// let loss = x.cosine_embedding(y, target, 0.5).item()?;
    /// assert!((loss - ((1.0 - 0.96) + (0.96 - 0.5)) / 2.0).abs() < 1e-15);
    /// assert!(x.cosine_embedding(y, y, 0.5).item().is_err(), "a target for each row");
    /// # Ok::<(), retrograde_graph::Error>(())
    /// ```
    #[track_caller]
    pub fn cosine_embedding(self, other: Self, target: Self, margin: f64) -> Self {
        self.cosine_embedding_with(other, target, margin, Reduction::Mean)
    }
    /// [`cosine_embedding`](Self::cosine_embedding) with another reduction.
    #[track_caller]
    pub fn cosine_embedding_with(
        self,
        other: Self,
        target: Self,
        margin: f64,
        reduction: Reduction,
    ) -> Self {
        let operands = [self.into(), other.into(), target.into()];
        self.rec.apply("cosine_embedding", &operands, |s| {
            infer::equal_shapes(&s.list, self.id, other.id)?;
            let l = &mut s.list;
            let dims = l.dims(self.id);
            if dims.is_empty() || l.dims(target.id) != &dims[..dims.len() - 1] {
                let reason = "rows along the last axis and a target for each row are needed";
                return Err(infer::argument(reason.to_owned()));
            }
            let axis = dims.len() - 1;
            let cosine = super::normalize::cosine(l, self.id, other.id, axis);
            let (zero, one) = (l.like(0.0, cosine), l.like(1.0, cosine));
            let margin = l.like(margin, cosine);
            let alike = l.sub(one, cosine);
            let beyond = l.sub(cosine, margin);
            let apart = l.unary(Unary::Relu, beyond);
            let same = l.binary(Binary::Gt, target.id, zero);
            let terms = l.select(same, alike, apart);
            Ok(reduced(l, terms, reduction))
        })
    }

    #[track_caller]
    fn pairwise(
        self,
        name: &str,
        target: Self,
        reduction: Reduction,
        terms: impl FnOnce(&mut List, Value, Value) -> Value,
    ) -> Self {
        self.rec.apply(name, &[self.into(), target.into()], |s| {
            infer::equal_shapes(&s.list, self.id, target.id)?;
            let terms = terms(&mut s.list, self.id, target.id);
            Ok(reduced(&mut s.list, terms, reduction))
        })
    }

    /// The mean cross-entropy of logits `[.., classes]` and labels `[..]`: `ln(sum(exp x)) - x[label]` over the last
    /// axis. A label that is no class is an error when the loss is computed.
    #[track_caller]
    pub fn cross_entropy(self, labels: Var<'t, u32>) -> Self {
        self.cross_entropy_with(labels, Reduction::Mean)
    }
    /// [`cross_entropy`](Self::cross_entropy) with another reduction.
    #[track_caller]
    pub fn cross_entropy_with(self, labels: Var<'t, u32>, reduction: Reduction) -> Self {
        self.rec
            .apply("cross_entropy", &[self.into(), labels.into()], |s| {
                let l = &mut s.list;
                let class_axis = classes(l, self.id, labels.id)?;
                let picked = picked(l, self.id, labels.id, class_axis, Indexing::CrossEntropy);
                let total = l.keepdim(Op::LogSumExp, self.id, 1 << class_axis, T::DTYPE);
                let terms = l.sub(total, picked);
                let terms = l.reshape(terms, l.shape(labels.id));
                Ok(reduced(l, terms, reduction))
            })
    }

    /// The mean negative log-likelihood of labels `[..]` under log-probabilities `[.., classes]`: `-x[label]` over the
    /// last axis. A label that is no class is an error when the loss is computed.
    #[track_caller]
    pub fn nll(self, labels: Var<'t, u32>) -> Self {
        self.nll_with(labels, Reduction::Mean)
    }
    /// [`nll`](Self::nll) with another reduction.
    #[track_caller]
    pub fn nll_with(self, labels: Var<'t, u32>, reduction: Reduction) -> Self {
        self.rec.apply("nll", &[self.into(), labels.into()], |s| {
            let l = &mut s.list;
            let class_axis = classes(l, self.id, labels.id)?;
            let picked = picked(l, self.id, labels.id, class_axis, Indexing::Nll);
            let terms = l.neg(picked);
            let terms = l.reshape(terms, l.shape(labels.id));
            Ok(reduced(l, terms, reduction))
        })
    }
}

/// The axis of classes, after the check that there is a label for every row.
pub(super) fn classes(list: &List, x: Value, labels: Value) -> Result<usize, Fault> {
    let (shape, labels) = (list.shape(x), list.shape(labels));
    infer::rank_at_least(shape, 1)?;
    let rows = &shape.dims()[..shape.rank() - 1];
    if labels.dims() == rows {
        return Ok(shape.rank() - 1);
    }
    Err(Fault::shape(format!(
        "the last axis of the first operand is the classes, so the labels must have shape {rows:?}, not {labels}"
    )))
}

/// `x[.., label]` of every row, the class axis kept: by a mask, whose adjoint is one pass over the row and no scatter.
fn picked(list: &mut List, x: Value, labels: Value, axis: usize, what: Indexing) -> Value {
    let labels = list.checked_index(labels, list.dims(x)[axis], what);
    let column = list.reshape(labels, kept(list.shape(x), 1 << axis));
    let hit = list.one_hot_mask(column, axis, list.dims(x)[axis]);
    let zero = list.like(0.0, x);
    let only = list.select(hit, x, zero);
    list.reduce(Reduce::Sum, only, 1 << axis)
}

pub(super) fn reduced(list: &mut List, terms: Value, reduction: Reduction) -> Value {
    let all = ((1u16 << list.shape(terms).rank()) - 1) as u8;
    let kept = match reduction {
        Reduction::None => return terms,
        Reduction::Sum => list.reduce(Reduce::Sum, terms, all),
        Reduction::Mean => list.mean(terms, all),
    };
    list.reshape(kept, Shape::SCALAR)
}

impl List {
    /// `index`, checked while running to be below `bound`.
    pub(super) fn checked_index(&mut self, index: Value, bound: usize, what: Indexing) -> Value {
        let (shape, dtype) = (self.shape(index), self.dtype(index));
        self.push(
            Op::CheckIndex,
            &[index],
            Attr::bound(bound, what),
            shape,
            dtype,
        )
    }

    /// Where `0, 1, ..` (`n` of them along `axis`) equals `index`, which has extent 1 there.
    pub(super) fn one_hot_mask(&mut self, index: Value, axis: usize, n: usize) -> Value {
        let mut dims = [1; MAX_RANK];
        dims[axis] = n;
        let rank = self.shape(index).rank();
        let line = Shape::new(&dims[..rank]).expect("one axis that exists");
        let dtype: DType = self.dtype(index);
        let iota = self.iota(axis, line, dtype);
        self.binary(Binary::Eq, iota, index)
    }
}
