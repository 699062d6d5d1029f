//! Parameters as entities: one table whose columns (values, optimiser state) are contiguous over all parameters.
//!
//! An optimiser, a norm or an all-reduce across machines is one pass over a flat column. Every parameter starts on a
//! packet, so kernels load it aligned; the padding between parameters is zero and stays zero.

use std::cell::Cell;

use retrograde_storage::{Array, Id, PACKET_BYTES, Packet, Real, Shape, entity_id};

use crate::error::{Error, ErrorKind, Result};

entity_id!(
    /// A parameter: row of a [`Params`] table.
    Param, "p"
);

/// What is known of one parameter.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub name: String,
    pub shape: Shape,
    /// First element in every column.
    pub offset: usize,
    /// Which hyper-parameters apply.
    pub group: u32,
    /// Frozen parameters get no gradient and no update.
    pub frozen: bool,
}

/// A table of parameters of element type `T`.
///
/// ```
/// use retrograde_graph::Params;
/// use retrograde_storage::Array;
/// let mut params = Params::new();
/// let w = params.insert("w", Array::ones([2, 3]));
/// assert_eq!(params.get(w)?.shape(), [2, 3]);
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Params<T = f32> {
    pub(crate) rows: Vec<Row>,
    values: Vec<Packet>,
    /// Optimiser state: column `i` is an optimiser's `i`-th moment. Laid out as the values.
    state: Vec<Vec<Packet>>,
    /// Counts insertions and changes of freezing or grouping: recordings made before do not fit afterwards.
    pub(crate) version: u64,
    /// The first mistake made while inserting (a poisoned array, a repeated name), reported by every later use.
    error: Option<Error>,
    element: std::marker::PhantomData<T>,
}

impl Params<f32> {
    /// An empty table of `f32` parameters; `Params::<f64>::empty()` for others.
    pub fn new() -> Self {
        Self::empty()
    }
}

impl<T: Real> Params<T> {
    /// An empty table.
    pub fn empty() -> Self {
        Self {
            rows: Vec::new(),
            values: Vec::new(),
            state: Vec::new(),
            version: 0,
            error: None,
            element: std::marker::PhantomData,
        }
    }

    /// Adds a parameter. A name used before, or an array that could not be made, is reported by the next use of the table.
    pub fn insert(&mut self, name: &str, initial: Array<T>) -> Param {
        let id = Param::from_index(self.rows.len());
        if self.rows.iter().any(|r| r.name == name) {
            self.fail(Error::new(
                ErrorKind::Inputs,
                format!("a parameter named {name:?} exists already; names must differ"),
            ));
        }
        if let Err(e) = initial.check() {
            self.fail(Error::new(
                ErrorKind::Shape,
                format!("parameter {name:?}: {e}"),
            ));
        }
        let shape = initial.shape_of();
        let per_packet = PACKET_BYTES / size_of::<T>();
        let offset = self.values.len() * per_packet;
        self.values.resize(
            self.values.len() + shape.len().div_ceil(per_packet),
            Packet::ZERO,
        );
        for column in &mut self.state {
            column.resize(self.values.len(), Packet::ZERO);
        }
        self.values_mut()[offset..offset + initial.as_slice().len()]
            .copy_from_slice(initial.as_slice());
        self.rows.push(Row {
            name: name.into(),
            shape,
            offset,
            group: 0,
            frozen: false,
        });
        self.version += 1;
        id
    }

    fn fail(&mut self, error: Error) {
        self.error.get_or_insert(error);
    }

    /// The table itself, unless a mistake was made building it.
    pub fn check(&self) -> Result<&Self> {
        self.error.as_ref().map_or(Ok(self), |e| Err(e.clone()))
    }

    pub(crate) fn row(&self, p: Param) -> Result<&Row> {
        self.check()?.rows.get(p.index()).ok_or_else(|| {
            Error::new(
                ErrorKind::Foreign,
                format!(
                    "parameter {p} is not of this table, which has {}",
                    self.rows.len()
                ),
            )
        })
    }

    /// The number of parameters (tensors).
    pub fn len(&self) -> usize {
        self.rows.len()
    }
    /// Whether there is no parameter.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
    /// The number of scalar values in all parameters.
    pub fn count(&self) -> usize {
        self.rows.iter().map(|r| r.shape.len()).sum()
    }
    /// All parameters, in order of insertion.
    pub fn ids(&self) -> impl Iterator<Item = Param> + use<T> {
        (0..self.rows.len()).map(Param::from_index)
    }
    /// The parameter of that name.
    pub fn find(&self, name: &str) -> Option<Param> {
        self.rows
            .iter()
            .position(|r| r.name == name)
            .map(Param::from_index)
    }
    /// Name of a parameter.
    pub fn name(&self, p: Param) -> Result<&str> {
        Ok(&self.row(p)?.name)
    }
    /// Extents of a parameter.
    pub fn shape(&self, p: Param) -> Result<&[usize]> {
        Ok(self.row(p)?.shape.dims())
    }
    /// Elements of a parameter, row-major.
    pub fn slice(&self, p: Param) -> Result<&[T]> {
        let row = self.row(p)?;
        Ok(&self.values()[row.offset..row.offset + row.shape.len()])
    }
    /// Elements of a parameter, to write.
    pub fn slice_mut(&mut self, p: Param) -> Result<&mut [T]> {
        let row = self.row(p)?;
        let range = row.offset..row.offset + row.shape.len();
        Ok(&mut self.values_mut()[range])
    }
    /// A copy of a parameter.
    pub fn get(&self, p: Param) -> Result<Array<T>> {
        Ok(Array::from_vec(
            self.slice(p)?.to_vec(),
            self.row(p)?.shape,
        )?)
    }
    /// Overwrites a parameter with an array of its shape.
    pub fn set(&mut self, p: Param, value: &Array<T>) -> Result<()> {
        let row = self.row(p)?;
        if value.shape() != row.shape.dims() {
            let message = format!(
                "parameter {:?} has shape {}, the new value {:?}",
                row.name,
                row.shape,
                value.shape()
            );
            return Err(Error::new(ErrorKind::Shape, message));
        }
        self.slice_mut(p)?.copy_from_slice(value.as_slice());
        Ok(())
    }
    /// Hyper-parameter group of a parameter, 0 unless set.
    pub fn group(&self, p: Param) -> Result<u32> {
        Ok(self.row(p)?.group)
    }
    /// Puts a parameter into a hyper-parameter group.
    pub fn set_group(&mut self, p: Param, group: u32) -> Result<()> {
        self.row(p)?;
        self.rows[p.index()].group = group;
        self.version += 1;
        Ok(())
    }
    /// Whether a parameter is frozen: no gradient, no update.
    pub fn is_frozen(&self, p: Param) -> Result<bool> {
        Ok(self.row(p)?.frozen)
    }
    /// Freezes or thaws a parameter.
    pub fn set_frozen(&mut self, p: Param, frozen: bool) -> Result<()> {
        self.row(p)?;
        self.rows[p.index()].frozen = frozen;
        self.version += 1;
        Ok(())
    }

    /// The column of all values: parameters in order, each from a multiple of 64 bytes, zeros between.
    pub fn values(&self) -> &[T] {
        bytemuck::cast_slice(&self.values)
    }
    /// The column of all values, to write.
    pub fn values_mut(&mut self) -> &mut [T] {
        bytemuck::cast_slice_mut(&mut self.values)
    }
    /// Where a parameter's elements stand in every column.
    pub fn range(&self, p: Param) -> Result<std::ops::Range<usize>> {
        let row = self.row(p)?;
        Ok(row.offset..row.offset + row.shape.len())
    }
    /// Optimiser state column `i`, if it exists.
    pub fn state(&self, i: usize) -> Option<&[T]> {
        self.state.get(i).map(|c| bytemuck::cast_slice(c))
    }
    /// Optimiser state column `i`, to write, if it exists.
    pub fn state_mut(&mut self, i: usize) -> Option<&mut [T]> {
        self.state.get_mut(i).map(|c| bytemuck::cast_slice_mut(c))
    }
    /// The column of values and every optimiser state column at once, to write: what an optimiser's loop works on.
    pub fn columns_mut(&mut self) -> (&mut [T], Vec<&mut [T]>) {
        let state = self
            .state
            .iter_mut()
            .map(|c| bytemuck::cast_slice_mut(c))
            .collect();
        (bytemuck::cast_slice_mut(&mut self.values), state)
    }
    /// The number of optimiser state columns.
    pub fn state_columns(&self) -> usize {
        self.state.len()
    }
    /// Makes sure there are `n` optimiser state columns; new ones are zero.
    pub fn ensure_state(&mut self, n: usize) {
        while self.state.len() < n {
            self.state.push(vec![Packet::ZERO; self.values.len()]);
        }
    }
    /// Forgets all optimiser state.
    pub fn clear_state(&mut self) {
        self.state.clear();
    }
}

/// The parameters a recording can see.
#[derive(Clone, Copy, Default)]
pub(crate) enum Bound<'t> {
    /// None.
    #[default]
    None,
    /// Read by this step.
    F32(&'t Params<f32>),
    /// Read by this step.
    F64(&'t Params<f64>),
    /// Read and updated by this step. The cell lets a copyable handle take the table out, change it and put it back.
    TrainF32(&'t Cell<Params<f32>>),
    /// Read and updated by this step.
    TrainF64(&'t Cell<Params<f64>>),
}

/// How a step holds the parameters of one element type.
pub(crate) enum Access<'t, T> {
    None,
    Read(&'t Params<T>),
    Train(&'t Cell<Params<T>>),
}

/// Element types that parameters can have, and how tables of them are bound to a step.
pub trait Bind: Real {
    #[doc(hidden)]
    fn bind(params: &Params<Self>) -> BoundParams<'_>;
    #[doc(hidden)]
    fn bind_mut(params: &mut Params<Self>) -> BoundParams<'_>;
    #[doc(hidden)]
    fn access(bound: BoundParams<'_>) -> ParamAccess<'_, Self>;
}

/// Opaque: parameters bound to a step.
#[doc(hidden)]
#[derive(Clone, Copy, Default)]
pub struct BoundParams<'t>(pub(crate) Bound<'t>);

/// Opaque: how parameters of one type are bound.
#[doc(hidden)]
pub struct ParamAccess<'t, T>(pub(crate) Access<'t, T>);

macro_rules! bind {
    ($t:ident, $read:ident, $train:ident) => {
        impl Bind for $t {
            fn bind(params: &Params<Self>) -> BoundParams<'_> {
                BoundParams(Bound::$read(params))
            }
            fn bind_mut(params: &mut Params<Self>) -> BoundParams<'_> {
                BoundParams(Bound::$train(Cell::from_mut(params)))
            }
            fn access(bound: BoundParams<'_>) -> ParamAccess<'_, Self> {
                ParamAccess(match bound.0 {
                    Bound::$read(params) => Access::Read(params),
                    Bound::$train(cell) => Access::Train(cell),
                    _ => Access::None,
                })
            }
        }
    };
}
bind!(f32, F32, TrainF32);
bind!(f64, F64, TrainF64);

impl<'t> Bound<'t> {
    /// As seen by element type `T`.
    pub(crate) fn access<T: Bind>(self) -> Access<'t, T> {
        T::access(BoundParams(self)).0
    }

    /// Shape of a parameter of type `T`.
    pub(crate) fn shape_of<T: Bind>(self, p: Param) -> Result<Shape> {
        match self.access::<T>() {
            Access::Read(params) => params.row(p).map(|r| r.shape),
            Access::Train(cell) => {
                let params = cell.take();
                let shape = params.row(p).map(|r| r.shape);
                cell.set(params);
                shape
            }
            Access::None => Err(Error::new(
                ErrorKind::Foreign,
                format!(
                    "parameter {p}: this step has no parameters of {}; use `tape.step(&params)` or `tape.train(&mut params)`",
                    T::DTYPE
                ),
            )),
        }
    }
}
