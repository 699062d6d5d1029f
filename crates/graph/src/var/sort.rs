//! Sorting and searching.

use retrograde_storage::{DType, Element, Shape};

use super::Var;
use super::index::gathered;
use crate::error::Fault;
use crate::infer;
use crate::list::{List, Value};
use crate::op::{Attr, Op};

/// Which elements come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The smallest; NaN is last.
    #[default]
    Ascending,
    /// The largest; NaN, which counts as larger than any number, is first.
    Descending,
}

/// On which side of equal elements [`Var::searchsorted`] finds a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// Before them.
    #[default]
    Left,
    /// After them.
    Right,
}

/// Order along an axis. Sorting is stable: elements that are equal stay in the order in which they stand. NaN counts as
/// larger than any number, `-0.0` equals `0.0`. Gradients go to where an element came from, of equal ones to the first.
///
/// ```
/// # use retrograde_graph::{Order, Side, Tape};
/// # use retrograde_storage::Array;
/// # let tape = Tape::new();
/// let x = tape.variable(Array::from([3.0_f64, 1.0, 2.0, 1.0]));
/// assert_eq!(x.sort(0, Order::Ascending).value()?, Array::from([1.0, 1.0, 2.0, 3.0]));
/// assert_eq!(x.argsort(0, Order::Descending).value()?, Array::from([0, 2, 1, 3]));
/// let (largest, at) = x.topk(2, 0, Order::Descending);
/// assert_eq!((largest.value()?, at.value()?), (Array::from([3.0, 2.0]), Array::from([0, 2])));
/// let [gradient] = largest.square().sum().grad_of([x]);
/// assert_eq!(gradient.value()?, Array::from([6.0, 0.0, 4.0, 0.0]));
/// let sorted = x.sort(0, Order::Ascending);
/// assert_eq!(sorted.searchsorted(x, Side::Left).value()?, Array::from([3, 0, 2, 0]));
/// assert!(x.topk(5, 0, Order::Ascending).0.value().is_err());
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<'t, T: Element> Var<'t, T> {
    /// The elements of every line along an axis in order.
    #[track_caller]
    pub fn sort(self, axis: isize, order: Order) -> Self {
        self.map("sort", |s, x| {
            let axis = infer::axis(s.list.shape(x), axis)?;
            let index = argsort(&mut s.list, x, axis, order)?;
            gathered(&mut s.list, x, index, axis)
        })
    }

    /// The positions along an axis of the elements in order.
    #[track_caller]
    pub fn argsort(self, axis: isize, order: Order) -> Var<'t, u32> {
        self.map("argsort", |s, x| {
            let axis = infer::axis(s.list.shape(x), axis)?;
            argsort(&mut s.list, x, axis, order)
        })
    }

    /// The first `k` elements in order along an axis, and their positions: with [`Order::Descending`] the `k` largest.
    #[track_caller]
    pub fn topk(self, k: usize, axis: isize, order: Order) -> (Self, Var<'t, u32>) {
        let first = |list: &mut List, x: Value| {
            let axis = infer::axis(list.shape(x), axis)?;
            let extent = list.dims(x)[axis];
            if k > extent {
                let reason =
                    format!("axis {axis} has {extent} elements, fewer than the {k} asked for");
                return Err(infer::argument(reason));
            }
            let index = argsort(list, x, axis, order)?;
            Ok((list.narrow(index, axis, 0, k), axis))
        };
        let values = self.map("topk", |s, x| {
            let (index, axis) = first(&mut s.list, x)?;
            gathered(&mut s.list, x, index, axis)
        });
        (
            values,
            self.map("topk", |s, x| Ok(first(&mut s.list, x)?.0)),
        )
    }

    /// Where values would go into lines that are sorted in ascending order: `[.., n]` and `[.., m]` give `[.., m]`, how
    /// many elements stand before each. Leading axes broadcast. Lines that are not sorted give some position.
    #[track_caller]
    pub fn searchsorted(self, values: Self, side: Side) -> Var<'t, u32> {
        self.rec.apply("searchsorted", &[self.into(), values.into()], |s| {
            let l = &mut s.list;
            let (sorted, wanted) = (l.shape(self.id), l.shape(values.id));
            infer::rank_at_least(sorted, 1)?;
            infer::rank_at_least(wanted, 1)?;
            let split = |s: Shape| {
                let (&last, lead) = s.dims().split_last().expect("rank 1 at least");
                (Shape::new(lead).expect("an axis less"), last)
            };
            let ((a, n), (b, m)) = (split(sorted), split(wanted));
            fits_u32(n)?;
            let Some(lead) = a.broadcast(&b) else {
                let reason = format!("the leading axes of {sorted} and {wanted} do not broadcast; try `unsqueeze`");
                return Err(Fault::shape(reason));
            };
            let whole = |last: usize| infer::shape(&[lead.dims(), &[last]].concat());
            let (lines, shape) = (whole(n)?, whole(m)?);
            let operands = [l.expand(self.id, lines), l.expand(values.id, shape)];
            let right = Attr::int(i64::from(side == Side::Right));
            Ok(l.push(Op::SearchSorted, &operands, right, shape, DType::U32))
        })
    }
}

/// That positions in `n` elements are u32.
fn fits_u32(n: usize) -> Result<(), Fault> {
    if u32::try_from(n).is_ok() {
        return Ok(());
    }
    Err(Fault::shape(format!(
        "positions are u32, too few for {n} elements"
    )))
}

fn argsort(list: &mut List, x: Value, axis: usize, order: Order) -> Result<Value, Fault> {
    let shape = list.shape(x);
    fits_u32(shape.dims()[axis])?;
    let attr = Attr::axis(axis, order == Order::Descending);
    Ok(list.push(Op::ArgSort, &[x], attr, shape, DType::U32))
}
