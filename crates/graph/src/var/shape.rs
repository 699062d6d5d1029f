//! Shape: elements stay what they are and move elsewhere. Views cost nothing where strides can say them.

use retrograde_storage::{Element, IntoShape, Shape};

use super::axes::without;
use super::{Axes, Var};
use crate::error::Fault;
use crate::infer::{self, Few};
use crate::list::{List, Value};
use crate::op::{Attr, Op};

/// The extent that [`Var::reshape`] works out from the others: `x.reshape([2, INFER])`.
pub const INFER: usize = usize::MAX;

/// Views of other shapes; axes and shapes that do not fit are errors.
///
/// ```
/// # use retrograde_graph::{INFER, Tape};
/// # use retrograde_storage::{Array, Create};
/// # let tape = Tape::new();
/// let x = tape.variable(Array::<f64>::arange(6).reshape([2, 3])?);
/// assert_eq!(x.reshape([3, INFER]).shape()?, [3, 2]);
/// assert_eq!((x.flatten().len()?, x.t().shape()?, x.transpose(0, -1).shape()?), (6, vec![3, 2], vec![3, 2]));
/// assert_eq!((x.unflatten(1, [3, 1]).shape()?, x.unsqueeze(0).flatten_axes(0, 1).shape()?), (vec![2, 3, 1], vec![2, 3]));
/// assert_eq!(x.permute([1, 0]).at(0, 2).value()?, Array::from([2.0, 5.0]));
/// assert_eq!((x.unsqueeze(0).shape()?, x.unsqueeze(-1).squeeze(2).shape()?), (vec![1, 2, 3], vec![2, 3]));
/// assert_eq!((x.broadcast_to([4, 2, 3]).shape()?, x.expand([1, 2, 3]).shape()?), (vec![4, 2, 3], vec![1, 2, 3]));
/// let error = x.reshape([5]).value().unwrap_err().to_string();
/// assert!(error.starts_with("reshape of [2, 3] f64: [5] has 5 elements, but the operand has 6"));
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<T: Element> Var<'_, T> {
    /// The same elements in row-major order under another shape of as many. One extent may be [`INFER`].
    #[track_caller]
    pub fn reshape(self, dims: impl AsRef<[usize]>) -> Self {
        self.map("reshape", |s, x| {
            let shape = reshaped(s.list.shape(x), dims.as_ref())?;
            Ok(s.list.reshape(x, shape))
        })
    }

    /// All elements in one axis.
    #[track_caller]
    pub fn flatten(self) -> Self {
        self.reshape([INFER])
    }

    /// The axes `first..=last` as one, in row-major order (`PyTorch`'s `flatten(start_dim, end_dim)`).
    #[track_caller]
    pub fn flatten_axes(self, first: isize, last: isize) -> Self {
        self.map("flatten_axes", |s, x| {
            let shape = s.list.shape(x);
            let (first, last) = (infer::axis(shape, first)?, infer::axis(shape, last)?);
            if first > last {
                let reason =
                    format!("axis {first} comes after axis {last}; name the first one first");
                return Err(Fault::axis(reason));
            }
            let mut dims = Few::from_slice(&shape.dims()[..first]);
            dims.push(shape.dims()[first..=last].iter().product());
            dims.extend_from_slice(&shape.dims()[last + 1..]);
            Ok(s.list.reshape(x, infer::shape(&dims)?))
        })
    }

    /// One axis as several of these extents, whose product is its own; one may be [`INFER`].
    #[track_caller]
    pub fn unflatten(self, axis: isize, dims: impl AsRef<[usize]>) -> Self {
        self.map("unflatten", |s, x| {
            let shape = s.list.shape(x);
            let axis = infer::axis(shape, axis)?;
            let one = infer::shape(&shape.dims()[axis..=axis])?;
            let mut all = Few::from_slice(&shape.dims()[..axis]);
            all.extend_from_slice(reshaped(one, dims.as_ref())?.dims());
            all.extend_from_slice(&shape.dims()[axis + 1..]);
            Ok(s.list.reshape(x, infer::shape(&all)?))
        })
    }

    /// Two axes exchanged.
    #[track_caller]
    pub fn transpose(self, a: isize, b: isize) -> Self {
        self.map("transpose", |s, x| {
            let shape = s.list.shape(x);
            let mut order: Few = (0..shape.rank()).collect();
            order.swap(infer::axis(shape, a)?, infer::axis(shape, b)?);
            Ok(permuted(&mut s.list, x, &order))
        })
    }

    /// The last two axes exchanged: a matrix transposed, or every matrix of a batch. Rank 2 at least.
    #[track_caller]
    pub fn t(self) -> Self {
        self.map("t", |s, x| {
            infer::rank_at_least(s.list.shape(x), 2)?;
            Ok(s.list.transpose(x))
        })
    }

    /// Axes in another order: axis `i` of the result is axis `order[i]` of `x`.
    #[track_caller]
    pub fn permute(self, order: impl AsRef<[isize]>) -> Self {
        self.map("permute", |s, x| {
            let (shape, order) = (s.list.shape(x), order.as_ref());
            if order.len() != shape.rank() {
                let reason = format!(
                    "{} axes are named, but the operand has {}; name each once",
                    order.len(),
                    shape.rank()
                );
                return Err(Fault::axis(reason));
            }
            infer::axis_mask(shape, order)?;
            let order = order
                .iter()
                .map(|&a| infer::axis(shape, a))
                .collect::<Result<Few, _>>()?;
            Ok(permuted(&mut s.list, x, &order))
        })
    }

    /// Without the given axes, which must have extent 1; `..` drops all such axes.
    #[track_caller]
    pub fn squeeze(self, axes: impl Into<Axes>) -> Self {
        let axes = axes.into();
        self.map("squeeze", |s, x| {
            let shape = s.list.shape(x);
            let mut mask = axes.mask(shape)?;
            for (axis, &extent) in shape.dims().iter().enumerate() {
                if mask >> axis & 1 == 1 && extent != 1 {
                    if !axes.is_all() {
                        let reason = format!("axis {axis} has extent {extent}, only extent 1 can be dropped; try `slice` or a reduction");
                        return Err(Fault::shape(reason));
                    }
                    mask &= !(1 << axis);
                }
            }
            Ok(s.list.reshape(x, without(shape, mask)))
        })
    }

    /// A new axis of extent 1, at this place of the result.
    #[track_caller]
    pub fn unsqueeze(self, axis: isize) -> Self {
        self.map("unsqueeze", |s, x| {
            let shape = s.list.shape(x);
            infer::room_for_axis(shape)?;
            let mut dims = Few::from_slice(shape.dims());
            dims.insert(infer::new_axis(shape, axis)?, 1);
            let shape = infer::shape(&dims)?;
            Ok(s.list.reshape(x, shape))
        })
    }

    /// Broadcast to a shape: new axes in front, axes of extent 1 repeated. The gradient sums what was repeated.
    #[track_caller]
    pub fn broadcast_to(self, shape: impl IntoShape) -> Self {
        let shape = shape.into_shape();
        self.map("broadcast_to", |s, x| {
            let shape = shape.map_err(|e| Fault::shape(e.to_string()))?;
            infer::broadcasts_to(s.list.shape(x), shape)?;
            Ok(s.list.expand(x, shape))
        })
    }

    /// [`broadcast_to`](Self::broadcast_to) by its other name.
    #[track_caller]
    pub fn expand(self, shape: impl IntoShape) -> Self {
        self.broadcast_to(shape)
    }

    /// The same value with nothing behind it for a derivative: a constant from here on.
    #[track_caller]
    pub fn detach(self) -> Self {
        self.map("detach", |s, x| {
            let (shape, dtype) = (s.list.shape(x), s.list.dtype(x));
            Ok(s.list.push(Op::Detach, &[x], Attr::NONE, shape, dtype))
        })
    }
}

fn reshaped(from: Shape, dims: &[usize]) -> Result<Shape, Fault> {
    let mut dims = Few::from_slice(dims);
    let unknown: Few = (0..dims.len()).filter(|&i| dims[i] == INFER).collect();
    match unknown.as_slice() {
        [] => {}
        &[at] => {
            let known = dims
                .iter()
                .filter(|&&d| d != INFER)
                .try_fold(1usize, |n, &d| n.checked_mul(d));
            dims[at] = match known {
                Some(known) if known > 0 && from.len().is_multiple_of(known) => from.len() / known,
                _ => {
                    let known: Vec<_> = dims.iter().filter(|&&d| d != INFER).collect();
                    let reason = format!(
                        "{} elements are no multiple of the known extents {known:?}",
                        from.len()
                    );
                    return Err(Fault::shape(reason));
                }
            };
        }
        _ => return Err(Fault::shape("only one extent can be `INFER`")),
    }
    let shape = infer::shape(&dims)?;
    if shape.len() == from.len() {
        return Ok(shape);
    }
    Err(Fault::shape(format!(
        "{shape} has {} elements, but the operand has {}; one extent may be `INFER`",
        shape.len(),
        from.len()
    )))
}

fn permuted(list: &mut List, x: Value, order: &[usize]) -> Value {
    if order.iter().enumerate().all(|(i, &a)| i == a) {
        x
    } else {
        list.permute(x, order)
    }
}
