//! Indexing. Every index is checked while running: one out of range is an error that names it, its place and the bound.

use retrograde_ops::Binary;
use retrograde_storage::{DType, Element, MAX_RANK, Shape};

use super::{Float, Operand, Var};
use crate::error::Fault;
use crate::infer::{self, Few};
use crate::list::{List, Value};
use crate::op::{Attr, Indexing, Op};

/// Element types of indices: `u32` and `i64`.
pub trait Index: Element {}
impl Index for u32 {}
impl Index for i64 {}

/// Picking.
///
/// ```
/// # use retrograde_graph::{Reduction, Tape, keep};
/// # use retrograde_storage::{Array, Create};
/// # let tape = Tape::new();
/// let x = tape.variable(Array::<f64>::arange(6).reshape([2, 3])?);
/// let index = tape.constant(Array::from([[2_u32], [0]]));
/// assert_eq!(x.gather(1, index).value()?, Array::from([[2.0], [3.0]]));
/// let rows = tape.constant(Array::from([1_i64, -1, 0]));
/// assert_eq!(x.index_select(0, rows).shape()?, [3, 3]);
/// let words = tape.constant(Array::from([[1_u32, 1]]));
/// assert_eq!(x.embedding(words).value()?, Array::from([[[3.0, 4.0, 5.0], [3.0, 4.0, 5.0]]]));
/// let added = x.scatter_add(1, index, 10.0);
/// assert_eq!(added.value()?, Array::from([[0.0, 1.0, 12.0], [13.0, 4.0, 5.0]]));
/// assert_eq!(x.take(index).value()?, Array::from([[2.0], [0.0]]));
/// let twice = tape.constant(Array::from([1_u32, 1]));
/// assert_eq!(x.index_add(0, twice, 10.0).at(0, 1).value()?, Array::from([23.0, 24.0, 25.0]));
/// assert_eq!(rows.one_hot::<f64>(2).value()?, Array::from([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]));
/// let error = x.gather(0, index).value().unwrap_err();
/// assert!(error.to_string().contains("index 2 at position 0 is out of range for an axis of 2 elements"));
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<'t, T: Element> Var<'t, T> {
    /// `r[i, j, k] = x[i, index[i, j, k], k]` (for axis 1 of three). The index has the rank of `x`, and on the other axes
    /// the extents of `x` or 1. The gradient adds up where an index repeats.
    #[track_caller]
    pub fn gather<I: Index>(self, axis: isize, index: Var<'t, I>) -> Self {
        self.rec.apply("gather", &[self.into(), index.into()], |s| {
            let axis = indexed_axis(&s.list, self.id, index.id, axis)?;
            gathered(&mut s.list, self.id, index.id, axis)
        })
    }

    /// Whole slices of an axis, in the order of a vector of indices: `r[.., j, ..] = x[.., index[j], ..]`.
    #[track_caller]
    pub fn index_select<I: Index>(self, axis: isize, index: Var<'t, I>) -> Self {
        self.rec
            .apply("index_select", &[self.into(), index.into()], |s| {
                let shape = s.list.shape(self.id);
                let axis = infer::axis(shape, axis)?;
                let (l, extent) = (&mut s.list, shape.dims()[axis]);
                let index = l.checked_index(index.id, extent, Indexing::IndexSelect);
                let along = along_axis(l, index, shape.rank(), axis)?;
                picked_at(l, self.id, along, axis)
            })
    }

    /// Elements by their number in row-major order, in the shape of the index.
    #[track_caller]
    pub fn take<I: Index>(self, index: Var<'t, I>) -> Self {
        self.rec.apply("take", &[self.into(), index.into()], |s| {
            let l = &mut s.list;
            let (shape, indices) = (l.shape(self.id), l.shape(index.id));
            let line = l.reshape(self.id, infer::shape(&[shape.len()])?);
            let index = l.checked_index(index.id, shape.len(), Indexing::Take);
            let index = l.reshape(index, infer::shape(&[indices.len()])?);
            let picked = picked_at(l, line, index, 0)?;
            Ok(l.reshape(picked, indices))
        })
    }

    /// Rows of a table `[rows, width]` by index: `[..]` gives `[.., width]`.
    #[track_caller]
    pub fn embedding<I: Index>(self, index: Var<'t, I>) -> Self {
        self.rec
            .apply("embedding", &[self.into(), index.into()], |s| {
                let (table, indices) = (s.list.shape(self.id), s.list.shape(index.id));
                let &[count, width] = table.dims() else {
                    return Err(Fault::shape(format!(
                        "the table must have shape [rows, width], not {table}"
                    )));
                };
                infer::room_for_axis(indices)?;
                let l = &mut s.list;
                let index = l.checked_index(index.id, count, Indexing::Embedding);
                let column = l.reshape(index, infer::shape(&[indices.len(), 1])?);
                let rows = picked_at(l, self.id, column, 0)?;
                let mut dims = Few::from_slice(indices.dims());
                dims.push(width);
                let shape = infer::shape(&dims)?;
                Ok(s.list.reshape(rows, shape))
            })
    }
}

impl<'t, T: Float> Var<'t, T> {
    /// `x` with `source` added at indices along an axis: `r[i, index[i, j, k], k] += source[i, j, k]` (for axis 1 of
    /// three). The index has the rank of `source`, and on the other axes its extents or 1; `source` has the extents of
    /// `x` there.
    #[track_caller]
    pub fn scatter_add<I: Index>(
        self,
        axis: isize,
        index: Var<'t, I>,
        source: impl Operand<'t, T>,
    ) -> Self {
        let source = source.lift(self.rec);
        self.rec.apply(
            "scatter_add",
            &[self.into(), index.into(), source.into()],
            |s| {
                let l = &mut s.list;
                let axis = indexed_axis(l, self.id, index.id, axis)?;
                let extent = l.dims(self.id)[axis];
                let index = l.checked_index(index.id, extent, Indexing::ScatterAdd);
                scattered(l, self.id, index, source.id, axis)
            },
        )
    }
}

impl<'t, T: Float> Var<'t, T> {
    /// `x` with whole slices of `source` added along an axis: `r[.., index[j], ..] += source[.., j, ..]`. The index is a
    /// vector; `source` has its length on the axis and the extents of `x` on the others, or broadcasts to that.
    #[track_caller]
    pub fn index_add<I: Index>(
        self,
        axis: isize,
        index: Var<'t, I>,
        source: impl Operand<'t, T>,
    ) -> Self {
        let source = source.lift(self.rec);
        let operands = [self.into(), index.into(), source.into()];
        self.rec.apply("index_add", &operands, |s| {
            let shape = s.list.shape(self.id);
            let axis = infer::axis(shape, axis)?;
            let (l, extent) = (&mut s.list, shape.dims()[axis]);
            let index = l.checked_index(index.id, extent, Indexing::IndexAdd);
            let along = along_axis(l, index, shape.rank(), axis)?;
            scattered(l, self.id, along, source.id, axis)
        })
    }
}

impl<'t, I: Index> Var<'t, I> {
    /// 1 at the index along a new last axis of extent `classes`, 0 elsewhere: `[..]` gives `[.., classes]`. A negative
    /// index counts from the end.
    #[track_caller]
    pub fn one_hot<T: Element>(self, classes: usize) -> Var<'t, T> {
        self.map("one_hot", |s, x| {
            let l = &mut s.list;
            let shape = l.shape(x);
            infer::room_for_axis(shape)?;
            let mut dims = Few::from_slice(shape.dims());
            dims.push(1);
            let column = infer::shape(&dims)?;
            dims[shape.rank()] = classes;
            infer::shape(&dims)?;
            let index = l.checked_index(x, classes, Indexing::OneHot);
            let index = from_the_end(l, index, classes);
            let column = l.reshape(index, column);
            let hit = l.one_hot_mask(column, shape.rank(), classes);
            Ok(if T::DTYPE == DType::Bool {
                hit
            } else {
                l.cast(hit, T::DTYPE)
            })
        })
    }
}

/// `index + extent` where `index` is negative. Kernels that index do so themselves.
pub(super) fn from_the_end(list: &mut List, index: Value, extent: usize) -> Value {
    let dtype = list.dtype(index);
    if dtype == DType::U32 {
        return index;
    }
    let (zero, extent) = (list.int(0, dtype), list.int(extent as i64, dtype));
    let below = list.binary(Binary::Lt, index, zero);
    let counted = list.binary(Binary::Add, index, extent);
    list.select(below, counted, index)
}

fn index_fits(shape: Shape, index: Shape, axis: usize) -> Result<(), Fault> {
    let fits = |a: usize| a == axis || index.dims()[a] == shape.dims()[a] || index.dims()[a] == 1;
    if index.rank() == shape.rank() && (0..shape.rank()).all(fits) {
        return Ok(());
    }
    Err(Fault::shape(format!(
        "the index must have the rank of {shape}, and its extents or 1 on all axes but {axis}, but its shape is {index}; \
         for a vector of indices try `index_select`"
    )))
}

/// A vector of indices along an axis of `rank` of them.
fn along_axis(list: &mut List, index: Value, rank: usize, axis: usize) -> Result<Value, Fault> {
    let indices = list.shape(index);
    if indices.rank() != 1 {
        return Err(Fault::shape(format!(
            "the index must be a vector, not {indices}; try `flatten` or `gather`"
        )));
    }
    let mut dims = Few::from_elem(1, rank);
    dims[axis] = indices.len();
    Ok(list.reshape(index, infer::shape(&dims)?))
}

/// What is put at the indices, in the extents of `shape` but for the axis of as many as there are indices.
pub(super) fn source_at(
    list: &mut List,
    shape: Shape,
    index: Value,
    source: Value,
    axis: usize,
) -> Result<Value, Fault> {
    let mut dims = Few::from_slice(shape.dims());
    dims[axis] = list.dims(index)[axis];
    let put = infer::shape(&dims)?;
    infer::broadcasts_to(list.shape(source), put)?;
    Ok(list.expand(source, put))
}

/// The axis along which whole elements are indexed, and that the index fits.
pub(super) fn indexed_axis(
    list: &List,
    x: Value,
    index: Value,
    axis: isize,
) -> Result<usize, Fault> {
    let shape = list.shape(x);
    let axis = infer::axis(shape, axis)?;
    index_fits(shape, list.shape(index), axis)?;
    Ok(axis)
}

/// `x` with `source` added at indices that are checked already.
fn scattered(
    list: &mut List,
    x: Value,
    index: Value,
    source: Value,
    axis: usize,
) -> Result<Value, Fault> {
    let shape = list.shape(x);
    let source = source_at(list, shape, index, source, axis)?;
    let dtype = list.dtype(x);
    let attr = Attr::axis(axis, false);
    let added = list.push(Op::ScatterAdd, &[source, index], attr, shape, dtype);
    Ok(list.add(x, added))
}

pub(super) fn gathered(
    list: &mut List,
    x: Value,
    index: Value,
    axis: usize,
) -> Result<Value, Fault> {
    let index = list.checked_index(index, list.dims(x)[axis], Indexing::Gather);
    picked_at(list, x, index, axis)
}

/// What is at indices that are checked already.
fn picked_at(list: &mut List, x: Value, index: Value, axis: usize) -> Result<Value, Fault> {
    let (mut dims, rank) = ([1; MAX_RANK], list.shape(x).rank());
    dims[..rank].copy_from_slice(list.dims(x));
    dims[axis] = list.dims(index)[axis];
    let shape = infer::shape(&dims[..rank])?;
    Ok(list.push(
        Op::Gather,
        &[x, index],
        Attr::axis(axis, false),
        shape,
        list.dtype(x),
    ))
}
