//! Products of vectors and matrices.

use retrograde_ops::Reduce;
use retrograde_storage::{MAX_RANK, Shape};

use super::axes::without;
use super::{Float, Var};
use crate::error::Fault;
use crate::infer;
use crate::list::{List, Value};

/// Products; extents that do not fit are an error.
///
/// ```
/// # use retrograde_graph::{INFER, Tape, keep};
/// # use retrograde_storage::{Array, Create};
/// # let tape = Tape::new();
/// let a = tape.variable(Array::from([[1.0_f64, 2.0], [3.0, 4.0]]));
/// let x = tape.variable(Array::from([1.0_f64, -1.0]));
/// assert_eq!(a.matmul(x).value()?, Array::from([-1.0, -1.0]));
/// assert_eq!(a.matmul(a.t()).value()?, Array::from([[5.0, 11.0], [11.0, 25.0]]));
/// assert_eq!(a.unsqueeze(0).broadcast_to([5, 2, 2]).matmul(a).shape()?, [5, 2, 2]);
/// assert_eq!(x.dot(x).item()?, 2.0);
/// assert_eq!(x.outer(x).value()?, Array::from([[1.0, -1.0], [-1.0, 1.0]]));
/// assert_eq!(a.unsqueeze(0).bmm(a.unsqueeze(0)).value()?, a.matmul(a).unsqueeze(0).value()?);
/// assert_eq!(x.linear(a, x).value()?, Array::from([0.0, -2.0])); // a x + x
/// assert_eq!(a.linear(a, None).value()?, a.matmul(a.t()).value()?);
/// assert!(a.matmul(tape.rec().ones([3, 2])).value().is_err());
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<T: Float> Var<'_, T> {
    /// The matrix product, by `NumPy`'s rules: `[.., m, k]` and `[.., k, n]` give `[.., m, n]`, batch axes broadcast. A
    /// vector on the left is a row, one on the right a column, and the axis added for it vanishes again.
    #[track_caller]
    pub fn matmul(self, other: Self) -> Self {
        self.rec.apply("matmul", &[self.into(), other.into()], |s| {
            matmul(&mut s.list, self.id, other.id)
        })
    }

    /// The products of two batches of as many matrices: `[b, m, k]` and `[b, k, n]` give `[b, m, n]`. Nothing
    /// broadcasts; for that see [`matmul`](Self::matmul).
    #[track_caller]
    pub fn bmm(self, other: Self) -> Self {
        self.rec.apply("bmm", &[self.into(), other.into()], |s| {
            let (x, y) = (s.list.shape(self.id), s.list.shape(other.id));
            if x.rank() != 3 || y.rank() != 3 || x.dims()[0] != y.dims()[0] {
                return Err(Fault::shape(
                    "expected [b, m, k] and [b, k, n] with one b; try `matmul`, which broadcasts",
                ));
            }
            matmul(&mut s.list, self.id, other.id)
        })
    }

    /// `x W^T + bias`: `[.., inputs]` with a weight `[outputs, inputs]` gives `[.., outputs]`. The bias has shape
    /// `[outputs]` (or broadcasts to the result); `None` for none.
    #[track_caller]
    pub fn linear(self, weight: Self, bias: impl Into<Option<Self>>) -> Self {
        let bias = bias.into();
        let operands = [self.into(), weight.into(), bias.unwrap_or(self).into()];
        let count = 2 + usize::from(bias.is_some());
        self.rec.apply("linear", &operands[..count], |s| {
            let l = &mut s.list;
            infer::rank_at_least(l.shape(self.id), 1)?;
            let shape = l.shape(weight.id);
            if shape.rank() != 2 || shape.dims().last() != l.dims(self.id).last() {
                return Err(Fault::shape(format!(
                    "the weight must have shape [outputs, {}], the last extent being that of the first operand; try `.t()`",
                    l.dims(self.id).last().copied().unwrap_or(1)
                )));
            }
            let weight = l.transpose(weight.id);
            let product = matmul(l, self.id, weight)?;
            let Some(bias) = bias else { return Ok(product) };
            infer::broadcasts_to(l.shape(bias.id), l.shape(product))?;
            Ok(l.add(product, bias.id))
        })
    }

    /// The sum of products of two vectors (or scalars) of one shape.
    #[track_caller]
    pub fn dot(self, other: Self) -> Self {
        self.rec.apply("dot", &[self.into(), other.into()], |s| {
            let rank = s.list.shape(self.id).rank().max(s.list.shape(other.id).rank());
            if rank > 1 {
                return Err(Fault::shape("both must be vectors; try `matmul`, or `(x * y).sum()` for the sum over all axes"));
            }
            infer::equal_shapes(&s.list, self.id, other.id)?;
            let product = s.list.mul(self.id, other.id);
            if rank == 0 {
                return Ok(product);
            }
            let sum = s.list.reduce(Reduce::Sum, product, 1);
            Ok(s.list.reshape(sum, Shape::SCALAR))
        })
    }

    /// `x[i] y[j]` for all pairs of two vectors: `[m]` and `[n]` give `[m, n]`.
    #[track_caller]
    pub fn outer(self, other: Self) -> Self {
        self.rec.apply("outer", &[self.into(), other.into()], |s| {
            let (x, y) = (s.list.shape(self.id), s.list.shape(other.id));
            if x.rank() != 1 || y.rank() != 1 {
                return Err(Fault::shape("both must be vectors; try `flatten`"));
            }
            let column = s.list.reshape(self.id, infer::shape(&[x.len(), 1])?);
            infer::broadcast(&s.list, &[column, other.id])?;
            Ok(s.list.mul(column, other.id))
        })
    }
}

fn matmul(list: &mut List, x: Value, y: Value) -> Result<Value, Fault> {
    let (a, b) = (list.shape(x), list.shape(y));
    if a.rank() == 0 || b.rank() == 0 {
        return Err(Fault::shape("a scalar has no matrix product; try `*`"));
    }
    let (x_is_vector, y_is_vector) = (a.rank() == 1, b.rank() == 1);
    let inner = (
        a.dims()[a.rank() - 1],
        b.dims()[if y_is_vector { 0 } else { b.rank() - 2 }],
    );
    if inner.0 != inner.1 {
        let transposed = !y_is_vector && b.dims()[b.rank() - 1] == inner.0;
        let hint = if transposed {
            "; try `.t()` on the right operand"
        } else {
            ""
        };
        return Err(Fault::shape(format!(
            "the inner extents must be equal, but {} is not {}{hint}",
            inner.0, inner.1
        )));
    }
    let x = if x_is_vector {
        list.reshape(x, infer::shape(&[1, inner.0])?)
    } else {
        x
    };
    let y = if y_is_vector {
        list.reshape(y, infer::shape(&[inner.0, 1])?)
    } else {
        y
    };
    let (a, b) = (list.shape(x), list.shape(y));
    let batch = |s: Shape| Shape::new(&s.dims()[..s.rank() - 2]).expect("fewer axes");
    let (batch_x, batch_y) = (batch(a), batch(b));
    let Some(both) = batch_x.broadcast(&batch_y) else {
        return Err(Fault::shape(format!(
            "the batch axes {batch_x} and {batch_y} do not broadcast; try `unsqueeze`"
        )));
    };
    let (mut dims, lead) = ([1; MAX_RANK], both.rank());
    dims[..lead].copy_from_slice(both.dims());
    dims[lead..lead + 2].copy_from_slice(&[a.dims()[a.rank() - 2], b.dims()[b.rank() - 1]]);
    let full = infer::shape(&dims[..lead + 2])?;
    // One matrix on the right for a whole batch on the left (a layer over a batch of sequences): the rows of the batch
    // are rows of one tall matrix. One large product instead of many small ones, and the weight's gradient is a product
    // over all rows instead of a batch of products summed.
    let product = if b.rank() == 2 && a.rank() > 2 {
        let rows: usize = a.dims()[..a.rank() - 1].iter().product();
        let tall = list.reshape(x, infer::shape(&[rows, inner.0])?);
        let product = list.matmul(tall, y);
        list.reshape(product, full)
    } else {
        list.matmul(x, y)
    };
    let rank = full.rank();
    let of_vectors = u8::from(y_is_vector) << (rank - 1) | u8::from(x_is_vector) << (rank - 2);
    Ok(list.reshape(product, without(full, of_vectors)))
}
