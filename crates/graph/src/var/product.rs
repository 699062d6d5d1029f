//! Products of vectors, matrices and batches of them.

use super::{Float, Var, check};
use crate::error::Fault;

impl<'t, T: Float> Var<'t, T> {
    /// Matrix product by NumPy's rules: `[.., m, k]` by `[.., k, n]` with broadcast batch axes; a vector on the left is
    /// a row, on the right a column, and its axis is dropped from the result.
    #[track_caller]
    pub fn matmul(self, other: Self) -> Self {
        self.rec.apply("matmul", &[self.into(), other.into()], |r| {
            let list = &mut r.list;
            check::rank_at_least(list, self.id, 1)?;
            check::rank_at_least(list, other.id, 1)?;
            let (a, b) = (list.shape(self.id), list.shape(other.id));
            let (row, column) = (a.rank() == 1, b.rank() == 1);
            let x = if row { list.reshape(self.id, check::shape(&[1, a.dims()[0]])?) } else { self.id };
            let y = if column { list.reshape(other.id, check::shape(&[b.dims()[0], 1])?) } else { other.id };
            check::matmul(list, x, y)?;
            let product = list.matmul(x, y);
            let dims = list.dims(product).to_vec();
            let rank = dims.len();
            let keep = |i: usize| !(row && i == rank - 2 || column && i == rank - 1);
            let dims: Vec<usize> = dims.into_iter().enumerate().filter(|&(i, _)| keep(i)).map(|(_, d)| d).collect();
            Ok(list.reshape(product, check::shape(&dims)?))
        })
    }

    /// Sum of the products of two vectors.
    #[track_caller]
    pub fn dot(self, other: Self) -> Self {
        self.rec.apply("dot", &[self.into(), other.into()], |r| {
            let list = &mut r.list;
            let (a, b) = (list.shape(self.id), list.shape(other.id));
            if a.rank() != 1 || a != b {
                return Err(Fault::shape("expected two vectors of one length; for matrices use `matmul`"));
            }
            let product = list.mul(self.id, other.id);
            let sum = list.reduce(retrograde_ops::Reduce::Sum, product, 1);
            Ok(list.reshape(sum, check::shape(&[])?))
        })
    }

    /// All products of elements of two vectors: `[m]` and `[n]` give `[m, n]`.
    #[track_caller]
    pub fn outer(self, other: Self) -> Self {
        self.rec.apply("outer", &[self.into(), other.into()], |r| {
            let list = &mut r.list;
            let (a, b) = (list.shape(self.id), list.shape(other.id));
            if a.rank() != 1 || b.rank() != 1 {
                return Err(Fault::shape("expected two vectors; try `flatten`"));
            }
            let column = list.reshape(self.id, check::shape(&[a.dims()[0], 1])?);
            Ok(list.mul(column, other.id))
        })
    }
}
