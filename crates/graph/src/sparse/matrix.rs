//! Sparse matrices: a pattern and an element for each of its places.

use std::sync::Arc;

use retrograde_storage::Array;

use super::pattern::Pattern;
use crate::error::Result;
use crate::var::Float;

/// A sparse matrix in compressed rows (CSR): [`values`](Self::values) are the elements at the places of
/// [`pattern`](Self::pattern), in its order, which is that of `scipy.sparse.csr_matrix((values, indices, offsets))`.
/// Everywhere else it is zero.
///
/// Row `i` is the output's element `i`, column `j` the input's element `j`, both in row-major order.
#[derive(Clone, Debug)]
pub struct Csr<T> {
    pub(crate) pattern: Arc<Pattern>,
    pub(crate) values: Vec<T>,
}

impl<T: Float> Csr<T> {
    /// Zeros.
    pub(crate) fn zeros(pattern: Arc<Pattern>) -> Self {
        let values = vec![T::default(); pattern.len()];
        Self { pattern, values }
    }

    /// Its places.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Its elements, by place.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// Columns and elements of row `i`; none if there is no such row.
    pub fn row(&self, i: usize) -> impl Iterator<Item = (usize, T)> + '_ {
        let columns = self.pattern.row(i);
        let start = self.pattern.offsets().get(i).copied().unwrap_or(0);
        let values = &self.values[start..start + columns.len()];
        columns
            .iter()
            .map(|&j| j as usize)
            .zip(values.iter().copied())
    }

    /// The element at a place, zero where there is none.
    pub fn get(&self, row: usize, column: usize) -> T {
        let place = self.pattern.position(row, column);
        place.map_or(T::default(), |at| self.values[at])
    }

    /// The matrix with its zeros, `[rows, columns]`.
    ///
    /// # Errors
    /// It does not fit memory.
    pub fn to_dense(&self) -> Result<Array<T>> {
        let columns = self.pattern.columns();
        let mut dense = Array::<T>::try_zeros([self.pattern.rows(), columns])?;
        let data = dense.as_mut_slice();
        for i in 0..self.pattern.rows() {
            self.row(i).for_each(|(j, x)| data[i * columns + j] = x);
        }
        Ok(dense)
    }
}
