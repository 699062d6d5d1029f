//! Losses. Each has a form with a [`Reduction`] and one that takes the mean.

use retrograde_ops::Reduce;
use retrograde_storage::Element;

use super::reduce::Reduction;
use super::{Float, Var, check};
use crate::error::Fault;
use crate::op::{Attr, Op};

impl<'t, T: Float> Var<'t, T> {
    /// Mean of `(x - target)^2`.
    #[track_caller]
    pub fn mse(self, target: Self) -> Self {
        self.mse_with(target, Reduction::Mean)
    }
    /// `(x - target)^2`.
    #[track_caller]
    pub fn mse_with(self, target: Self, reduction: Reduction) -> Self {
        reduction.apply((self - target).square())
    }
    /// Mean of `|x - target|`; gradient 0 where equal.
    #[track_caller]
    pub fn l1(self, target: Self) -> Self {
        self.l1_with(target, Reduction::Mean)
    }
    /// `|x - target|`.
    #[track_caller]
    pub fn l1_with(self, target: Self, reduction: Reduction) -> Self {
        reduction.apply((self - target).abs())
    }
    /// Mean of `softplus(x) - x target` for logits `x` and targets in `[0, 1]`: binary cross-entropy, safe for any logit.
    #[track_caller]
    pub fn bce_with_logits(self, target: Self) -> Self {
        self.bce_with_logits_with(target, Reduction::Mean)
    }
    /// `softplus(x) - x target`.
    #[track_caller]
    pub fn bce_with_logits_with(self, target: Self, reduction: Reduction) -> Self {
        reduction.apply(self.softplus() - self * target)
    }

    /// Mean over rows of `logsumexp(row) - row[label]`: classes on the last axis, a label for each row. A label that is
    /// no class is an error that names it when the program runs.
    #[track_caller]
    pub fn cross_entropy(self, labels: Var<'t, u32>) -> Self {
        self.cross_entropy_with(labels, Reduction::Mean)
    }
    /// `logsumexp(row) - row[label]`.
    #[track_caller]
    pub fn cross_entropy_with(self, labels: Var<'t, u32>, reduction: Reduction) -> Self {
        reduction.apply(self.logsumexp_over(-1) - self.pick(labels, "cross_entropy"))
    }
    /// Mean over rows of `-row[label]`, for log-probabilities.
    #[track_caller]
    pub fn nll(self, labels: Var<'t, u32>) -> Self {
        self.nll_with(labels, Reduction::Mean)
    }
    /// `-row[label]`.
    #[track_caller]
    pub fn nll_with(self, labels: Var<'t, u32>, reduction: Reduction) -> Self {
        reduction.apply(-self.pick(labels, "nll"))
    }

    /// The element of each row (last axis) that its label names. A comparison with the class number instead of a
    /// gather: it fuses with what the row is computed from.
    #[track_caller]
    fn pick(self, labels: Var<'t, u32>, name: &str) -> Self {
        self.rec.apply(name, &[self.into(), labels.into()], |r| {
            let list = &mut r.list;
            check::rank_at_least(list, self.id, 1)?;
            let dims = list.dims(self.id).to_vec();
            let (classes, rows) = (dims[dims.len() - 1], &dims[..dims.len() - 1]);
            if list.dims(labels.id) != rows {
                return Err(Fault::shape(format!("expected labels of shape {rows:?}, one for each row of classes")));
            }
            let shape = list.shape(labels.id);
            let checked = list.push(Op::CheckIndex, &[labels.id], Attr::int(classes as i64), shape, u32::DTYPE);
            let mut column = rows.to_vec();
            column.push(1);
            let column = list.reshape(checked, check::shape(&column)?);
            let mut line = vec![1; dims.len()];
            line[dims.len() - 1] = classes;
            let class = list.push(Op::Iota, &[], Attr::axis(dims.len() - 1, false), check::shape(&line)?, u32::DTYPE);
            let hit = list.binary(retrograde_ops::Binary::Eq, class, column);
            let zero = list.like(0.0, self.id);
            let picked = list.select(hit, self.id, zero);
            let picked = list.reduce(Reduce::Sum, picked, 1 << (dims.len() - 1));
            Ok(list.reshape(picked, check::shape(rows)?))
        })
    }
}
