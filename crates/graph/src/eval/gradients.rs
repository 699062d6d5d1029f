//! Gradients with respect to parameters, as values of their own.

use retrograde_storage::{Array, Id, Shape};

use crate::error::{Error, ErrorKind, Result};
use crate::params::{Param, Params};
use crate::var::Float;

/// Gradients of a backward sweep with respect to the parameters of the step: owned, `Send`, laid out as the table's
/// columns.
#[derive(Clone, Debug, Default)]
pub struct Gradients<T = f32> {
    loss: f64,
    column: Vec<T>,
    ranges: Vec<Option<(usize, Shape)>>,
}

impl<T: Float> Gradients<T> {
    /// Zeros for every parameter of the table.
    pub(super) fn zeros(params: Option<&Params<T>>) -> Self {
        Self {
            loss: 0.0,
            column: params.map_or(Vec::new(), |p| vec![T::default(); p.values().len()]),
            ranges: params.map_or(Vec::new(), |p| vec![None; p.rows.len()]),
        }
    }

    pub(super) fn set_loss(&mut self, loss: f64) {
        self.loss = loss;
    }

    /// Notes that a parameter has a gradient; where it starts in the column.
    pub(super) fn reach(&mut self, p: Param, params: &Params<T>) -> Result<usize> {
        let row = params.row(p)?;
        self.ranges[p.index()] = Some((row.offset, row.shape));
        Ok(row.offset)
    }

    /// The value that was differentiated (its first element).
    pub fn loss(&self) -> f64 {
        self.loss
    }
    /// Gradients of all parameters, in the layout of [`Params::values`]; zeros where a parameter had no influence.
    pub fn column(&self) -> &[T] {
        &self.column
    }
    /// The column, to clip, scale or reduce across machines.
    pub fn column_mut(&mut self) -> &mut [T] {
        &mut self.column
    }
    /// Gradient of one parameter, or `None` if it had no influence or is frozen.
    pub fn get(&self, p: Param) -> Option<Array<T>> {
        let (start, shape) = (*self.ranges.get(p.index())?)?;
        Array::from_vec(self.column[start..start + shape.len()].to_vec(), shape).ok()
    }
    /// As [`get`](Self::get), borrowed.
    pub fn slice(&self, p: Param) -> Option<&[T]> {
        let (start, shape) = self.ranges.get(p.index())?.as_ref()?;
        self.column.get(*start..start + shape.len())
    }
    /// Adds other gradients of the same table (accumulation over micro-batches).
    pub fn add(&mut self, other: &Self) -> Result<()> {
        if self.column.len() != other.column.len() {
            return Err(Error::new(
                ErrorKind::Foreign,
                "gradients of two different parameter tables cannot be added",
            ));
        }
        self.column
            .iter_mut()
            .zip(&other.column)
            .for_each(|(a, &b)| *a = *a + b);
        self.loss += other.loss;
        for (mine, theirs) in self.ranges.iter_mut().zip(&other.ranges) {
            *mine = mine.or(*theirs);
        }
        Ok(())
    }
    /// Multiplies every gradient.
    pub fn scale(&mut self, factor: T) {
        self.column.iter_mut().for_each(|g| *g = *g * factor);
    }
    /// Euclidean norm of all gradients together, summed in `f64`.
    pub fn norm(&self) -> f64 {
        self.column
            .iter()
            .map(|g| g.to_f64() * g.to_f64())
            .sum::<f64>()
            .sqrt()
    }
}
