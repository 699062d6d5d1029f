//! Reductions and the row family.

use retrograde_ops::Reduce;
use retrograde_storage::Element;

use super::{Float, Var, check};
use crate::error::Fault;
use crate::op::{Attr, Op};

/// Which axes a reduction removes: one (`1`, or `-1` from the end), several (`[0, 2]`), or all (`..`).
pub trait Axes {
    /// The axes of an operand of that rank, or `None` for all.
    fn list(&self) -> Option<Vec<isize>>;
}
impl Axes for isize {
    fn list(&self) -> Option<Vec<isize>> {
        Some(vec![*self])
    }
}
impl Axes for i32 {
    fn list(&self) -> Option<Vec<isize>> {
        Some(vec![*self as isize])
    }
}
impl<const N: usize> Axes for [isize; N] {
    fn list(&self) -> Option<Vec<isize>> {
        Some(self.to_vec())
    }
}
impl Axes for &[isize] {
    fn list(&self) -> Option<Vec<isize>> {
        Some(self.to_vec())
    }
}
impl Axes for std::ops::RangeFull {
    fn list(&self) -> Option<Vec<isize>> {
        None
    }
}

fn mask(rank: usize, axes: &impl Axes) -> Result<u8, Fault> {
    match axes.list() {
        None => Ok(((1u16 << rank) - 1) as u8),
        Some(list) => check::axes(rank, &list),
    }
}

/// How losses combine their elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// Their mean.
    #[default]
    Mean,
    /// Their sum.
    Sum,
    /// Not at all.
    None,
}

impl Reduction {
    #[track_caller]
    pub(super) fn apply<'t, T: Float>(self, x: Var<'t, T>) -> Var<'t, T> {
        match self {
            Self::Mean => x.mean(),
            Self::Sum => x.sum(),
            Self::None => x,
        }
    }
}

impl<'t, T: Element> Var<'t, T> {
    /// Records an op that leaves extent 1 on `axes`, then drops those axes unless `keep`.
    #[track_caller]
    fn over<U: Element>(self, name: &str, op: Op, axes: &impl Axes, keep: bool) -> Var<'t, U> {
        self.rec.apply(name, &[self.into()], |r| {
            let shape = r.list.shape(self.id);
            let axes = mask(shape.rank(), axes)?;
            let kept = r.list.keepdim(op, self.id, axes, U::DTYPE);
            if keep {
                return Ok(kept);
            }
            let dims: Vec<usize> =
                shape.dims().iter().enumerate().filter(|(i, _)| axes >> i & 1 == 0).map(|(_, &d)| d).collect();
            Ok(r.list.reshape(kept, check::shape(&dims)?))
        })
    }

    /// The number of elements that `axes` remove, for means.
    fn count_over(self, axes: &impl Axes) -> usize {
        let Ok(shape) = self.shape_checked() else { return 1 };
        let Ok(mask) = mask(shape.rank(), axes) else { return 1 };
        shape.dims().iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1).map(|(_, &d)| d).product()
    }
}

macro_rules! reductions {
    ($($(#[$doc:meta])* $all:ident $over:ident $keep:ident => $kind:ident),* $(,)?) => {
        impl<'t, T: Float> Var<'t, T> {$(
            $(#[$doc])*
            ///
            /// Over all elements; the result is a scalar.
            #[track_caller]
            pub fn $all(self) -> Self { self.over(stringify!($all), Op::Reduce(Reduce::$kind), &.., false) }
            $(#[$doc])*
            ///
            /// Over the given axes, which are dropped.
            #[track_caller]
            pub fn $over(self, axes: impl Axes) -> Self {
                self.over(stringify!($all), Op::Reduce(Reduce::$kind), &axes, false)
            }
            $(#[$doc])*
            ///
            /// Over the given axes, which stay with extent 1.
            #[track_caller]
            pub fn $keep(self, axes: impl Axes) -> Self {
                self.over(stringify!($all), Op::Reduce(Reduce::$kind), &axes, true)
            }
        )*}
    };
}
reductions! {
    /// Sum, in chunks of 1024 and a pairwise tree: the same bits on any number of threads. 0 for no elements.
    sum sum_over sum_keep => Sum,
    /// Product; the gradient is exact where elements are 0. 1 for no elements.
    prod prod_over prod_keep => Prod,
    /// Largest element, NaN if any is; ties share the gradient equally.
    max max_over max_keep => Max,
    /// Smallest element, NaN if any is; ties share the gradient equally.
    min min_over min_keep => Min,
}

impl<'t, T: Float> Var<'t, T> {
    /// Arithmetic mean of all elements; NaN for none.
    #[track_caller]
    pub fn mean(self) -> Self {
        self.mean_over(..)
    }
    /// Mean over the given axes, which are dropped.
    #[track_caller]
    pub fn mean_over(self, axes: impl Axes) -> Self {
        let n = self.count_over(&axes);
        self.sum_over(axes) / T::of(n as f64)
    }
    /// Mean over the given axes, which stay with extent 1.
    #[track_caller]
    pub fn mean_keep(self, axes: impl Axes) -> Self {
        let n = self.count_over(&axes);
        self.sum_keep(axes) / T::of(n as f64)
    }
    /// Variance of all elements: sum of squared deviations over `n - correction`; NaN where that is not positive.
    #[track_caller]
    pub fn var(self, correction: usize) -> Self {
        self.var_over(.., correction)
    }
    /// Variance over the given axes, which are dropped.
    #[track_caller]
    pub fn var_over(self, axes: impl Axes + Copy, correction: usize) -> Self {
        let n = self.count_over(&axes) as f64 - correction as f64;
        let centred = self - self.mean_keep(axes);
        let sum = centred.square().sum_over(axes);
        if n > 0.0 { sum / T::of(n) } else { sum * T::of(f64::NAN) }
    }
    /// Standard deviation of all elements; gradient 0 where all are equal.
    #[track_caller]
    pub fn std(self, correction: usize) -> Self {
        self.std_over(.., correction)
    }
    /// Standard deviation over the given axes, which are dropped.
    #[track_caller]
    pub fn std_over(self, axes: impl Axes + Copy, correction: usize) -> Self {
        self.var_over(axes, correction).sqrt_or_zero()
    }
    /// `sqrt(x)` with gradient 0 at 0: the root is taken of 1 there, and what comes of it is not selected.
    #[track_caller]
    fn sqrt_or_zero(self) -> Self {
        let zero = self.rec.scalar(T::of(0.0));
        let is_zero = self.eq(zero);
        let safe = is_zero.select(self.rec.scalar(T::of(1.0)), self);
        is_zero.select(zero, safe.sqrt())
    }
    /// Euclidean norm of all elements; gradient 0 at 0.
    #[track_caller]
    pub fn norm(self) -> Self {
        self.norm_over(..)
    }
    /// Euclidean norm over the given axes, which are dropped.
    #[track_caller]
    pub fn norm_over(self, axes: impl Axes) -> Self {
        self.square().sum_over(axes).sqrt_or_zero()
    }
    /// `p`-norm of all elements, `p > 0`; `f64::INFINITY` for the largest magnitude. Gradient 0 at 0.
    #[track_caller]
    pub fn norm_p(self, p: f64) -> Self {
        if p == f64::INFINITY {
            return self.abs().max();
        }
        if p == 1.0 {
            return self.abs().sum();
        }
        if p == 2.0 {
            return self.norm();
        }
        let zero = self.rec.scalar(T::of(0.0));
        let one = self.rec.scalar(T::of(1.0));
        let magnitude = self.abs();
        let none = magnitude.eq(zero);
        let powers = none.select(zero, none.select(one, magnitude).powf(T::of(p)));
        let sum = powers.sum();
        let empty = sum.eq(zero);
        empty.select(zero, empty.select(one, sum).powf(T::of(1.0 / p)))
    }

    /// `ln(sum(exp x))` of all elements, safe for any magnitude.
    #[track_caller]
    pub fn logsumexp(self) -> Self {
        self.logsumexp_over(..)
    }
    /// `ln(sum(exp x))` over the given axes, which are dropped.
    #[track_caller]
    pub fn logsumexp_over(self, axes: impl Axes) -> Self {
        self.over("logsumexp", Op::LogSumExp, &axes, false)
    }
    /// `exp x / sum(exp x)` along an axis; zeros where all of it is negative infinity.
    #[track_caller]
    pub fn softmax(self, axis: isize) -> Self {
        self.rows("softmax", Op::Softmax, axis)
    }
    /// `x - logsumexp x` along an axis.
    #[track_caller]
    pub fn log_softmax(self, axis: isize) -> Self {
        self.rows("log_softmax", Op::LogSoftmax, axis)
    }
    #[track_caller]
    fn rows(self, name: &str, op: Op, axis: isize) -> Self {
        self.rec.apply(name, &[self.into()], |r| {
            let shape = r.list.shape(self.id);
            let axis = check::axis(shape.rank(), axis)?;
            Ok(r.list.push(op, &[self.id], Attr::axes(1 << axis), shape, T::DTYPE))
        })
    }
    /// `(x - mean) / sqrt(var + eps) weight + bias` along the last axis, variance without correction.
    #[track_caller]
    pub fn layer_norm(self, weight: Self, bias: Self, eps: f64) -> Self {
        let centred = self - self.mean_keep(-1);
        let scale = (centred.square().mean_keep(-1) + T::of(eps)).rsqrt();
        centred * scale * weight + bias
    }
    /// `x / sqrt(mean(x^2) + eps) weight` along the last axis.
    #[track_caller]
    pub fn rms_norm(self, weight: Self, eps: f64) -> Self {
        self * (self.square().mean_keep(-1) + T::of(eps)).rsqrt() * weight
    }
}

impl<'t> Var<'t, bool> {
    /// How many are true.
    #[track_caller]
    pub fn count(self) -> Var<'t, u32> {
        let ones: Var<'t, u32> = self.cast();
        ones.over("count", Op::Reduce(Reduce::Sum), &.., false)
    }
    /// Whether any is true; false for no elements.
    #[track_caller]
    pub fn any(self) -> Var<'t, bool> {
        self.count().ne(0)
    }
    /// Whether all are true; true for no elements.
    #[track_caller]
    pub fn all(self) -> Var<'t, bool> {
        (!self).count().eq(0)
    }
}

