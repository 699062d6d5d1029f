//! Losses of classes with options: weights, labels that do not count, smoothing, probabilities as targets.

use retrograde_ops::{Binary, Reduce};
use retrograde_storage::DType;

use super::loss::{Reduction, classes, reduced};
use super::{AnyVar, Float, Var};
use crate::error::Fault;
use crate::infer;
use crate::list::{List, Value, kept};
use crate::op::{Indexing, Op};

/// What [`Var::cross_entropy_by`] and [`Var::nll_by`] are to do beside the plain loss.
///
/// ```
/// # use retrograde_graph::{ClassLoss, Reduction, Tape};
/// # use retrograde_storage::{Array, Create};
/// # let tape = Tape::new();
/// let logits = tape.variable(Array::from([[1.0_f64, 3.0], [2.0, 0.5], [0.0, 0.0]]));
/// let labels = tape.constant(Array::from([1_u32, 0, 7]));
/// let weights = tape.constant(Array::from([1.0_f64, 3.0]));
/// let how = ClassLoss::default().ignore(7).weights(weights);
/// let each = logits.cross_entropy_by(labels, how.reduction(Reduction::None)).value()?;
/// let mean = logits.cross_entropy_by(labels, how).item()?;
/// assert!((mean - (each[0] + each[1]) / (1.0 + 3.0)).abs() < 1e-15 && each[2] == 0.0);
/// let certain = tape.constant(Array::from([[0.0_f64, 1.0], [1.0, 0.0], [0.5, 0.5]]));
/// assert!(logits.cross_entropy_of(certain, ClassLoss::default().smoothing(0.1)).item()? > 0.0);
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ClassLoss<'t, T: Float = f32> {
    reduction: Reduction,
    smoothing: f64,
    ignore: Option<u32>,
    weights: Option<Var<'t, T>>,
}

impl<T: Float> Default for ClassLoss<'_, T> {
    fn default() -> Self {
        Self {
            reduction: Reduction::Mean,
            smoothing: 0.0,
            ignore: None,
            weights: None,
        }
    }
}

impl<'t, T: Float> ClassLoss<'t, T> {
    /// With this reduction. The mean is over the weights of the labels that count: `sum(terms) / sum(w[label])`, NaN if
    /// none does; of probabilities it is over the rows.
    #[must_use]
    pub fn reduction(mut self, reduction: Reduction) -> Self {
        self.reduction = reduction;
        self
    }
    /// A part of the target's mass, between 0 and 1, is spread over all classes alike.
    #[must_use]
    pub fn smoothing(mut self, smoothing: f64) -> Self {
        self.smoothing = smoothing;
        self
    }
    /// Rows with this label, which may be no class, contribute nothing.
    #[must_use]
    pub fn ignore(mut self, label: u32) -> Self {
        self.ignore = Some(label);
        self
    }
    /// A factor for each class, of shape `[classes]`.
    #[must_use]
    pub fn weights(mut self, weights: Var<'t, T>) -> Self {
        self.weights = Some(weights);
        self
    }
}

impl<'t, T: Float> Var<'t, T> {
    /// [`cross_entropy`](Self::cross_entropy) with options: with `p = log_softmax(x)` along the last axis, smoothing `e`,
    /// weights `w` and `C` classes, a row's term is `-(1 - e) w[label] p[label] - e / C sum(w p)`.
    #[track_caller]
    pub fn cross_entropy_by(self, labels: Var<'t, u32>, how: ClassLoss<'t, T>) -> Self {
        self.by_labels("cross_entropy", labels, how, true)
    }

    /// [`nll`](Self::nll) with options: a row's term is `-w[label] x[label]`, with smoothing as
    /// [`cross_entropy_by`](Self::cross_entropy_by) has it.
    #[track_caller]
    pub fn nll_by(self, labels: Var<'t, u32>, how: ClassLoss<'t, T>) -> Self {
        self.by_labels("nll", labels, how, false)
    }

    /// Cross-entropy of logits `[.., classes]` and probabilities of that shape: a row's term is `-sum(w t p)` with
    /// `p = log_softmax(x)` and `t = (1 - e) target + e / C`. A class of probability 0 contributes nothing. There are no
    /// labels to [`ignore`](ClassLoss::ignore).
    #[track_caller]
    pub fn cross_entropy_of(self, probabilities: Self, how: ClassLoss<'t, T>) -> Self {
        let weights = how.weights.map_or(self, |w| w);
        let operands: [AnyVar<'t>; 3] = [self.into(), probabilities.into(), weights.into()];
        let count = 2 + usize::from(how.weights.is_some());
        self.rec.apply("cross_entropy", &operands[..count], |s| {
            let l = &mut s.list;
            infer::equal_shapes(l, self.id, probabilities.id)?;
            infer::rank_at_least(l.shape(self.id), 1)?;
            if let Some(label) = how.ignore {
                let reason =
                    format!("label {label} is to be ignored, but probabilities have no labels");
                return Err(infer::argument(reason));
            }
            let axis = l.shape(self.id).rank() - 1;
            let mask = 1 << axis;
            checked(l, &how, self.id, axis)?;
            let logarithms = log_softmax(l, self.id, mask);
            let mut target = probabilities.id;
            if how.smoothing > 0.0 {
                target = l.scale(target, 1.0 - how.smoothing);
                let even = l.like(how.smoothing / l.dims(self.id)[axis].max(1) as f64, target);
                target = l.add(target, even);
            }
            let mut term = l.mul(target, logarithms);
            if let Some(w) = how.weights {
                term = l.mul(term, w.id);
            }
            let zero = l.like(0.0, target);
            let none = l.binary(Binary::Eq, target, zero);
            let term = l.select(none, zero, term);
            let sum = l.reduce(Reduce::Sum, term, mask);
            let terms = l.neg(sum);
            let rows = super::axes::without(l.shape(self.id), mask);
            let terms = l.reshape(terms, rows);
            Ok(reduced(l, terms, how.reduction))
        })
    }

    #[track_caller]
    fn by_labels(
        self,
        name: &str,
        labels: Var<'t, u32>,
        how: ClassLoss<'t, T>,
        logits: bool,
    ) -> Self {
        let weights = how.weights.map_or(self, |w| w);
        let operands: [AnyVar<'t>; 3] = [self.into(), labels.into(), weights.into()];
        let count = 2 + usize::from(how.weights.is_some());
        self.rec.apply(name, &operands[..count], |s| {
            let l = &mut s.list;
            let axis = classes(l, self.id, labels.id)?;
            checked(l, &how, self.id, axis)?;
            let logarithms = if logits {
                log_softmax(l, self.id, 1 << axis)
            } else {
                self.id
            };
            let rows = l.shape(labels.id);
            let row = Rows::new(l, &how, self.id, labels.id, axis, logits);
            let terms = row.terms(l, &how, logarithms);
            let terms = l.reshape(terms, rows);
            if how.reduction != Reduction::Mean {
                return Ok(reduced(l, terms, how.reduction));
            }
            let weights = l.reshape(row.weight, rows);
            let (sum, weight) = (
                reduced(l, terms, Reduction::Sum),
                reduced(l, weights, Reduction::Sum),
            );
            Ok(l.binary(Binary::Div, sum, weight))
        })
    }
}

/// That smoothing is a share and that there is a weight for every class.
fn checked<T: Float>(l: &List, how: &ClassLoss<'_, T>, x: Value, axis: usize) -> Result<(), Fault> {
    infer::probability(how.smoothing)?;
    let Some(weights) = how.weights else {
        return Ok(());
    };
    let count = &l.dims(x)[axis..];
    if l.dims(weights.id) == count {
        return Ok(());
    }
    Err(Fault::shape(format!(
        "there must be a weight for each class, of shape {count:?}, not {}",
        l.shape(weights.id)
    )))
}

fn log_softmax(l: &mut List, x: Value, mask: u8) -> Value {
    let (shape, dtype) = (l.shape(x), l.dtype(x));
    l.push(
        Op::LogSoftmax,
        &[x],
        crate::op::Attr::axes(mask),
        shape,
        dtype,
    )
}

/// What labels say of every row, the class axis kept.
struct Rows {
    axis: usize,
    /// Where the label's class is.
    hit: Value,
    /// Which rows count; `None` if all do.
    counts: Option<Value>,
    /// The weight of the label's class, 0 where the row does not count.
    weight: Value,
}

impl Rows {
    fn new<T: Float>(
        l: &mut List,
        how: &ClassLoss<'_, T>,
        x: Value,
        labels: Value,
        axis: usize,
        logits: bool,
    ) -> Self {
        let classes = l.dims(x)[axis];
        let mut labels = labels;
        let column = kept(l.shape(x), 1 << axis);
        let counts = how.ignore.map(|ignored| {
            let ignored = l.int(ignored.into(), DType::U32);
            let counts = l.binary(Binary::Ne, labels, ignored);
            // A class, so that the check passes: of no classes there is none.
            if classes > 0 {
                let zero = l.int(0, DType::U32);
                labels = l.select(counts, labels, zero);
            }
            l.reshape(counts, column)
        });
        let what = if logits {
            Indexing::CrossEntropy
        } else {
            Indexing::Nll
        };
        let labels = l.checked_index(labels, classes, what);
        let labels = l.reshape(labels, column);
        let hit = l.one_hot_mask(labels, axis, classes);
        let zero = l.like(0.0, x);
        let weight = match how.weights {
            Some(w) => {
                let only = l.select(hit, w.id, zero);
                l.reduce(Reduce::Sum, only, 1 << axis)
            }
            None => {
                let one = l.like(1.0, x);
                l.expand(one, column)
            }
        };
        let weight = match counts {
            Some(counts) => l.select(counts, weight, zero),
            None => weight,
        };
        Self {
            axis,
            hit,
            counts,
            weight,
        }
    }

    /// The loss of every row.
    fn terms<T: Float>(&self, l: &mut List, how: &ClassLoss<'_, T>, logarithms: Value) -> Value {
        let mask = 1 << self.axis;
        let zero = l.like(0.0, logarithms);
        let only = l.select(self.hit, logarithms, zero);
        let picked = l.reduce(Reduce::Sum, only, mask);
        let mut loss = l.mul(self.weight, picked);
        if how.smoothing > 0.0 {
            let all = match how.weights {
                Some(w) => l.mul(logarithms, w.id),
                None => logarithms,
            };
            let all = l.reduce(Reduce::Sum, all, mask);
            let classes = l.dims(logarithms)[self.axis].max(1);
            let all = l.scale(all, how.smoothing / classes as f64);
            let hit = l.scale(loss, 1.0 - how.smoothing);
            loss = l.add(hit, all);
        }
        let loss = l.neg(loss);
        match self.counts {
            Some(counts) => l.select(counts, loss, zero),
            None => loss,
        }
    }
}
