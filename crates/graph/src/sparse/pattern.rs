//! Which elements of a Jacobian may be other than zero.

use std::fmt;

/// The places of a sparse matrix that may hold something other than zero, row by row (CSR, as `scipy.sparse.csr_matrix`
/// has it): the columns of row `i` are `indices()[offsets()[i]..offsets()[i + 1]]`, in ascending order.
///
/// Made by [`Program::pattern`](crate::Program::pattern).
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern {
    columns: usize,
    offsets: Vec<usize>,
    indices: Vec<u32>,
}

impl Pattern {
    /// Rows one after the other, each in ascending order.
    pub(crate) fn of_rows<R: IntoIterator<Item = u32>>(
        columns: usize,
        rows: impl IntoIterator<Item = R>,
    ) -> Self {
        let (mut offsets, mut indices) = (vec![0], Vec::new());
        for row in rows {
            indices.extend(row);
            offsets.push(indices.len());
        }
        Self {
            columns,
            offsets,
            indices,
        }
    }

    /// The number of rows: elements of the output.
    pub fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The number of columns: elements of the input.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The number of places.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether the matrix is zero throughout.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// Where each row starts among [`indices`](Self::indices), and at last their number: one more than there are rows.
    pub fn offsets(&self) -> &[usize] {
        &self.offsets
    }

    /// The column of each place.
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    /// The columns of row `i`; none if there is no such row.
    pub fn row(&self, i: usize) -> &[u32] {
        match (self.offsets.get(i), self.offsets.get(i + 1)) {
            (Some(&start), Some(&end)) => &self.indices[start..end],
            _ => &[],
        }
    }

    /// The number of a place among [`indices`](Self::indices), if it is one.
    pub fn position(&self, row: usize, column: usize) -> Option<usize> {
        let column = u32::try_from(column).ok()?;
        let within = self.row(row).binary_search(&column).ok()?;
        Some(self.offsets[row] + within)
    }

    /// Rows and columns exchanged.
    pub fn transposed(&self) -> Self {
        let mut offsets = vec![0; self.columns + 1];
        for &column in &self.indices {
            offsets[column as usize + 1] += 1;
        }
        for i in 0..self.columns {
            offsets[i + 1] += offsets[i];
        }
        let (mut next, mut indices) = (offsets.clone(), vec![0; self.indices.len()]);
        for row in 0..self.rows() {
            for &column in self.row(row) {
                let at = &mut next[column as usize];
                indices[*at] = row as u32;
                *at += 1;
            }
        }
        Self {
            columns: self.rows(),
            offsets,
            indices,
        }
    }

    /// The places of either this square matrix or its transpose.
    pub(crate) fn symmetric(&self) -> Self {
        let other = self.transposed();
        let rows = (0..self.rows()).map(|i| {
            let mut row = [self.row(i), other.row(i)].concat();
            row.sort_unstable();
            row.dedup();
            row
        });
        Self::of_rows(self.columns, rows)
    }

    /// Places of the fullest row.
    pub(crate) fn widest(&self) -> usize {
        let rows = (0..self.rows()).map(|i| self.row(i).len());
        rows.max().unwrap_or(0)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Pattern({} x {}, {} places)",
            self.rows(),
            self.columns,
            self.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposes_and_finds_places() {
        let pattern = Pattern::of_rows(4, [vec![0, 3], vec![], vec![1, 2, 3]]);
        assert_eq!(
            (pattern.rows(), pattern.columns(), pattern.len()),
            (3, 4, 5)
        );
        assert_eq!(pattern.offsets(), [0, 2, 2, 5]);
        assert_eq!(pattern.position(2, 2), Some(3));
        assert_eq!(pattern.position(1, 0), None);
        assert_eq!(pattern.position(7, 0), None);
        let across = pattern.transposed();
        assert_eq!(
            across,
            Pattern::of_rows(3, [vec![0], vec![2], vec![2], vec![0, 2]])
        );
        assert_eq!(across.transposed(), pattern);
        assert_eq!(pattern.widest(), 3);
        let square = Pattern::of_rows(2, [vec![1], vec![1]]);
        assert_eq!(
            square.symmetric(),
            Pattern::of_rows(2, [vec![1], vec![0, 1]])
        );
    }
}
