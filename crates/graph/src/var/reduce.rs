//! Reductions: `x.sum()` over everything to a scalar, `x.sum_over(axes)` over some axes (see [`Axes`]).

use retrograde_ops::{Binary, Reduce, Unary};
use retrograde_storage::{DType, Shape};

use super::{Axes, Float, Number, Var};
use crate::error::Fault;
use crate::infer;
use crate::list::{List, Value};
use crate::op::{Attr, Op};
use crate::recorder::Recording;

/// A reduction as the user asked for it, resolved against the operand's shape.
pub(super) struct Over {
    /// The axes.
    pub mask: u8,
    /// The result's shape.
    pub shape: Shape,
    /// The number of elements that make one.
    pub count: usize,
}

impl Over {
    pub(super) fn new(list: &List, x: Value, axes: Axes) -> Result<Self, Fault> {
        let from = list.shape(x);
        let mask = axes.mask(from)?;
        let extents = from
            .dims()
            .iter()
            .enumerate()
            .filter(|(axis, _)| mask >> axis & 1 == 1);
        Ok(Self {
            mask,
            shape: axes.result(from, mask),
            count: extents.map(|(_, &d)| d).product(),
        })
    }
}

impl List {
    /// Sum over axes, kept, divided by `n`.
    pub(super) fn sum_over_n(&mut self, x: Value, mask: u8, n: f64) -> Value {
        let sum = self.reduce(Reduce::Sum, x, mask);
        let n = self.like(n, x);
        self.binary(Binary::Div, sum, n)
    }

    /// Mean over axes, kept: the sum divided by the number of elements, NaN for none.
    pub(super) fn mean(&mut self, x: Value, mask: u8) -> Value {
        let dims = self
            .dims(x)
            .iter()
            .enumerate()
            .filter(|(axis, _)| mask >> axis & 1 == 1);
        let count: usize = dims.map(|(_, &d)| d).product();
        self.sum_over_n(x, mask, count as f64)
    }

    /// `sqrt x` of a sum of squares, with derivative 0 at 0: the adjoint does not reach the root there.
    pub(super) fn root(&mut self, x: Value) -> Value {
        let zero = self.like(0.0, x);
        let flat = self.binary(Binary::Eq, x, zero);
        let root = self.unary(Unary::Sqrt, x);
        self.select(flat, zero, root)
    }
}

/// Reductions of numbers: over all axes to a scalar, or over some to what [`Axes`] says. An axis out of range or given
/// twice is an error, and so is the largest or smallest of no elements.
///
/// ```
/// # use retrograde_graph::{INFER, Tape, keep};
/// # use retrograde_storage::{Array, Create};
/// # let tape = Tape::new();
/// let x = tape.variable(Array::from([[1.0_f64, 2.0, 6.0], [0.0, 5.0, 1.0]]));
/// assert_eq!(x.sum().item()?, 15.0);
/// assert_eq!(x.sum_over(0).value()?, Array::from([1.0, 7.0, 7.0]));
/// assert_eq!(x.mean_over(keep(1)).value()?, Array::from([[3.0], [2.0]]));
/// assert_eq!(x.prod_over(-1).value()?, Array::from([12.0, 0.0]));
/// assert_eq!((x.max().item()?, x.min_over([0, 1]).item()?), (6.0, 0.0));
/// assert_eq!((x.argmax().item()?, x.argmin_over(1).to_vec()?), (2, vec![0, 0]));
/// assert_eq!((x.var_over(1, 1).to_vec()?, x.std_over(1, 1).at(0, 0).item()?), (vec![7.0, 7.0], 7f64.sqrt()));
/// assert_eq!(x.logsumexp_over(0).shape()?, [3]);
/// let error = x.sum_over(2).value().unwrap_err().to_string();
/// assert!(error.starts_with("sum of [2, 3] f64: axis 2 is out of range: rank 2 has axes 0 to 1 (or -2 to -1)"));
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<'t, T: Number> Var<'t, T> {
    /// Records a reduction: `build` leaves the reduced axes with extent 1.
    #[track_caller]
    pub(super) fn over(
        self,
        name: &str,
        axes: impl Into<Axes>,
        build: impl FnOnce(&mut Recording, Value, &Over) -> Result<Value, Fault>,
    ) -> Self {
        let axes = axes.into();
        self.map(name, |s, x| {
            let over = Over::new(&s.list, x, axes)?;
            let kept = build(s, x, &over)?;
            Ok(s.list.reshape(kept, over.shape))
        })
    }

    /// The sum of all elements, 0 of none. Of integers it wraps, in their own type: cast `u32` first if that is too narrow.
    #[track_caller]
    pub fn sum(self) -> Self {
        self.sum_over(..)
    }
    /// The sum over some axes, 0 over none; of integers as [`sum`](Self::sum).
    #[track_caller]
    pub fn sum_over(self, axes: impl Into<Axes>) -> Self {
        self.over("sum", axes, |s, x, over| {
            Ok(s.list.reduce(Reduce::Sum, x, over.mask))
        })
    }

    /// The product of all elements, 1 of none; of integers it wraps. The gradient is exact where elements
    /// are 0.
    #[track_caller]
    pub fn prod(self) -> Self {
        self.prod_over(..)
    }
    /// The product over some axes, 1 over none. The gradient is exact where elements are 0.
    #[track_caller]
    pub fn prod_over(self, axes: impl Into<Axes>) -> Self {
        self.over("prod", axes, |s, x, over| {
            Ok(s.list.reduce(Reduce::Prod, x, over.mask))
        })
    }

    /// The largest element, NaN if any is. Equal ones share the gradient equally. An error where there is no element.
    #[track_caller]
    pub fn max(self) -> Self {
        self.max_over(..)
    }
    /// The largest along some axes, as [`max`](Self::max).
    #[track_caller]
    pub fn max_over(self, axes: impl Into<Axes>) -> Self {
        self.over("max", axes, |s, x, over| {
            infer::not_empty(s.list.shape(x), over.mask)?;
            Ok(s.list.reduce(Reduce::Max, x, over.mask))
        })
    }

    /// The smallest element, NaN if any is. Equal ones share the gradient equally. An error where there is no element.
    #[track_caller]
    pub fn min(self) -> Self {
        self.min_over(..)
    }
    /// The smallest along some axes, as [`min`](Self::min).
    #[track_caller]
    pub fn min_over(self, axes: impl Into<Axes>) -> Self {
        self.over("min", axes, |s, x, over| {
            infer::not_empty(s.list.shape(x), over.mask)?;
            Ok(s.list.reduce(Reduce::Min, x, over.mask))
        })
    }

    /// The row-major index of the first largest element; NaN counts as largest.
    #[track_caller]
    pub fn argmax(self) -> Var<'t, u32> {
        self.flat_arg("argmax", Op::ArgMax)
    }
    /// The index of the first largest element along one axis, which vanishes (or stays: `keep(axis)`); NaN counts as
    /// largest.
    #[track_caller]
    pub fn argmax_over(self, axis: impl Into<Axes>) -> Var<'t, u32> {
        self.arg("argmax", Op::ArgMax, axis.into())
    }
    /// The row-major index of the first smallest element; NaN counts as smallest.
    #[track_caller]
    pub fn argmin(self) -> Var<'t, u32> {
        self.flat_arg("argmin", Op::ArgMin)
    }
    /// The index of the first smallest element along one axis, which vanishes (or stays: `keep(axis)`); NaN counts as
    /// smallest.
    #[track_caller]
    pub fn argmin_over(self, axis: impl Into<Axes>) -> Var<'t, u32> {
        self.arg("argmin", Op::ArgMin, axis.into())
    }

    #[track_caller]
    fn flat_arg(self, name: &str, op: Op) -> Var<'t, u32> {
        self.map(name, |s, x| {
            let n = infer::shape(&[s.list.shape(x).len()])?;
            infer::not_empty(n, 1)?;
            let flat = s.list.reshape(x, n);
            Ok(arg_along(&mut s.list, op, flat, 0, Shape::SCALAR))
        })
    }

    #[track_caller]
    fn arg(self, name: &str, op: Op, axes: Axes) -> Var<'t, u32> {
        self.map(name, |s, x| {
            let over = Over::new(&s.list, x, axes)?;
            if over.mask.count_ones() != 1 {
                let reason = "an index is along exactly one axis; for all of them use the method without `_over`";
                return Err(Fault::axis(reason));
            }
            infer::not_empty(s.list.shape(x), over.mask)?;
            Ok(arg_along(&mut s.list, op, x, over.mask.trailing_zeros() as usize, over.shape))
        })
    }
}

/// Reductions that floats have alone, over all axes or some.
impl<T: Float> Var<'_, T> {
    /// The mean of all elements, NaN of none.
    #[track_caller]
    pub fn mean(self) -> Self {
        self.mean_over(..)
    }
    /// The mean over some axes, NaN over none.
    #[track_caller]
    pub fn mean_over(self, axes: impl Into<Axes>) -> Self {
        self.over("mean", axes, |s, x, over| Ok(s.list.mean(x, over.mask)))
    }

    /// The variance of all elements: squared distances from the mean, summed, divided by `n - correction`. Correction 1
    /// estimates from a sample, 0 describes a population. NaN where the divisor is 0 and so is the sum.
    #[track_caller]
    pub fn var(self, correction: usize) -> Self {
        self.var_over(.., correction)
    }
    /// The variance over some axes, as [`var`](Self::var).
    #[track_caller]
    pub fn var_over(self, axes: impl Into<Axes>, correction: usize) -> Self {
        self.over("var", axes, |s, x, over| {
            Ok(variance(&mut s.list, x, over, correction))
        })
    }

    /// The standard deviation, the root of [`var`](Self::var). The gradient of equal values is 0.
    #[track_caller]
    pub fn std(self, correction: usize) -> Self {
        self.std_over(.., correction)
    }
    /// The standard deviation over some axes, as [`std`](Self::std).
    #[track_caller]
    pub fn std_over(self, axes: impl Into<Axes>, correction: usize) -> Self {
        self.over("std", axes, |s, x, over| {
            let variance = variance(&mut s.list, x, over, correction);
            Ok(s.list.root(variance))
        })
    }

    /// `ln(sum(exp x))` of all elements, safe for any magnitude; negative infinity of none.
    #[track_caller]
    pub fn logsumexp(self) -> Self {
        self.logsumexp_over(..)
    }
    /// `ln(sum(exp x))` over some axes. Where all are negative infinity so is the result, with gradient 0; where some are
    /// infinite so is the result, and they share the gradient.
    #[track_caller]
    pub fn logsumexp_over(self, axes: impl Into<Axes>) -> Self {
        self.over("logsumexp", axes, |s, x, over| {
            Ok(s.list.keepdim(Op::LogSumExp, x, over.mask, T::DTYPE))
        })
    }
}

fn arg_along(list: &mut List, op: Op, x: Value, axis: usize, shape: Shape) -> Value {
    let kept = crate::list::kept(list.shape(x), 1 << axis);
    let index = list.push(op, &[x], Attr::axis(axis, false), kept, DType::U32);
    list.reshape(index, shape)
}

fn variance(list: &mut List, x: Value, over: &Over, correction: usize) -> Value {
    let mean = list.mean(x, over.mask);
    let distance = list.sub(x, mean);
    let square = list.unary(Unary::Square, distance);
    list.sum_over_n(
        square,
        over.mask,
        over.count.saturating_sub(correction) as f64,
    )
}

/// Reductions of masks, over all axes or some.
///
/// ```
/// # use retrograde_graph::{INFER, Tape, keep};
/// # use retrograde_storage::{Array, Create};
/// # let tape = Tape::new();
/// let mask = tape.constant(Array::from([[true, false], [true, true]]));
/// assert_eq!((mask.count().item()?, mask.count_over(0).to_vec()?), (3, vec![2, 1]));
/// assert_eq!((mask.any().item()?, mask.any_over(1).to_vec()?), (true, vec![true, true]));
/// assert_eq!((mask.all().item()?, mask.all_over(1).to_vec()?), (false, vec![false, true]));
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<'t> Var<'t, bool> {
    /// How many hold.
    #[track_caller]
    pub fn count(self) -> Var<'t, u32> {
        self.count_over(..)
    }
    /// How many hold along some axes.
    #[track_caller]
    pub fn count_over(self, axes: impl Into<Axes>) -> Var<'t, u32> {
        let axes = axes.into();
        self.map("count", |s, x| count(&mut s.list, x, axes))
    }
    /// Whether any holds; false of none.
    #[track_caller]
    pub fn any(self) -> Self {
        self.any_over(..)
    }
    /// Whether any holds along some axes.
    #[track_caller]
    pub fn any_over(self, axes: impl Into<Axes>) -> Self {
        let axes = axes.into();
        self.map("any", |s, x| {
            let count = count(&mut s.list, x, axes)?;
            let zero = s.list.int(0, DType::U32);
            Ok(s.list.binary(Binary::Ne, count, zero))
        })
    }
    /// Whether all hold; true of none.
    #[track_caller]
    pub fn all(self) -> Self {
        self.all_over(..)
    }
    /// Whether all hold along some axes.
    #[track_caller]
    pub fn all_over(self, axes: impl Into<Axes>) -> Self {
        let axes = axes.into();
        self.map("all", |s, x| {
            let off = s.list.unary(Unary::Not, x);
            let count = count(&mut s.list, off, axes)?;
            let zero = s.list.int(0, DType::U32);
            Ok(s.list.binary(Binary::Eq, count, zero))
        })
    }
}

fn count(list: &mut List, x: Value, axes: Axes) -> Result<Value, Fault> {
    let over = Over::new(list, x, axes)?;
    let ones = list.cast(x, DType::U32);
    let count = list.reduce(Reduce::Sum, ones, over.mask);
    Ok(list.reshape(count, over.shape))
}
