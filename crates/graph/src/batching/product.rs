//! Batching of matrix products.

use super::Batch;
use crate::error::Result;
use crate::list::Value;

impl Batch<'_> {
    /// Of samples with one matrix for all: their rows are the rows of one tall matrix, one product instead of many, and
    /// the matrix's gradient is a product over all rows. A column with a matrix on its left is a row with it transposed
    /// on its right. Else a product a sample, over broadcast batch axes.
    pub(super) fn matmul(&mut self, v: Value) -> Result<Value> {
        let (x, y) = (self.arg(v, 0)?, self.arg(v, 1)?);
        let (shape, dims) = (self.shape(v)?, self.from.dims(v));
        let rank = dims.len();
        let (m, n) = (dims[rank - 2], dims[rank - 1]);
        let inner = self.from.dims(self.from.arg(v, 1));
        let inner = inner[inner.len() - 2];
        let of = |i: usize| self.from.shape(self.from.arg(v, i)).rank();
        let (rank_x, rank_y) = (of(0), of(1));
        if x.batched && !y.batched && rank_y == 2 {
            let rows = shape.len().checked_div(n).unwrap_or(0);
            // Without columns the number of rows cannot be told from the elements.
            if n > 0 {
                let tall = self.reshaped(x.v, &[rows, inner]);
                let product = self.to.matmul(tall, y.v);
                return Ok(self.to.reshape(product, shape));
            }
        }
        if !x.batched && y.batched && rank_x == 2 && n == 1 && m > 0 {
            let rows = shape.len() / m;
            let tall = self.reshaped(y.v, &[rows, inner]);
            let transposed = self.to.transpose(x.v);
            let product = self.to.matmul(tall, transposed);
            return Ok(self.to.reshape(product, shape));
        }
        let x = self.lined_up(x, rank);
        let y = self.lined_up(y, rank);
        Ok(self.to.matmul(x, y))
    }
}
