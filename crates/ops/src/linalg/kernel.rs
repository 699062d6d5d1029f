//! The walk over a batch of matrices.

use retrograde_storage::{DType, MAX_RANK, Packet};

use super::decompose::{decompose, scratch_len};
use super::determinant::determinant;
use super::factor::{cholesky, cholesky_packets, lu, lu_packets};
use super::scratch::{packets, take};
use super::solve::{solve, solve_packets};
use super::{Element, Linalg, Solver};
use crate::Level;
use crate::structured::memory::{Dest, RawView, Source};
use crate::structured::{Cause, ErrorCell, Fault, Mismatch, ensure};
use crate::thresholds::BLOCK_NS;

/// What a kernel reads: a matrix, or its LU factors where those are what matters; and the right side of a system.
#[derive(Clone, Copy, Debug)]
pub struct Operands {
    /// `[.., n, n]`, of LU factors `[.., n + 1, n]`, of some decompositions `[.., m, n]`.
    pub matrix: RawView,
    /// `[.., n, k]`.
    pub right: Option<RawView>,
}

/// A [`Linalg`] over a batch: the leading axes, equal for operands and result.
#[derive(Clone, Copy, Debug)]
pub struct Kernel<'a> {
    /// What is computed.
    pub op: Linalg,
    /// How, if it is a system.
    pub how: Solver,
    /// Of the products between blocks.
    pub level: Level,
    /// What of.
    pub operands: Operands,
    /// The result, dense.
    pub dst: RawView,
    /// Where a matrix that will not do is reported.
    pub errors: &'a ErrorCell,
    /// As whose.
    pub site: u32,
}

/// Nanoseconds of a multiply-add within a factorisation of middling size, and of the work beside them for each matrix:
/// measured 0.05 to 0.2 and 200 to 500.
const TERM_NS: f64 = 0.1;
const MATRIX_NS: f64 = 300.0;

/// Extents of a batch.
struct Extents {
    count: usize,
    /// Rows.
    m: usize,
    /// Columns.
    n: usize,
    /// Columns of the right side.
    k: usize,
}

impl Kernel<'_> {
    /// The operands have one floating type and extents that fit.
    pub fn check(&self) -> Result<(), Mismatch> {
        let Operands { matrix, right } = &self.operands;
        let fit = |holds, expected| ensure(holds, "linalg", expected);
        fit(
            self.dst.dtype.is_float() && matrix.dtype == self.dst.dtype,
            "floats of one type",
        )?;
        fit(matrix.dims().len() >= 2, "matrices")?;
        let (lead, last) = matrix.dims().split_at(matrix.dims().len() - 2);
        let (m, n) = (last[0], last[1]);
        let (holds, expected) = match self.op {
            Linalg::Cholesky | Linalg::TriangularSolve | Linalg::Lu | Linalg::Eigh => {
                (m == n, "square matrices")
            }
            Linalg::Solve | Linalg::Det | Linalg::LogAbsDet | Linalg::SignDet => {
                (m == n + 1, "LU factors")
            }
            Linalg::Svd => (true, ""),
            Linalg::Qr => (m >= n, "no more columns than rows"),
            part => (
                part.rows_of_factors(m, n).is_none(),
                "no view of factors, which is nothing to compute",
            ),
        };
        fit(holds, expected)?;
        let solves = matches!(self.op, Linalg::TriangularSolve | Linalg::Solve);
        fit(
            solves == right.is_some(),
            "a right side for a system, and for no other",
        )?;
        let expected = match right {
            Some(right) => {
                let k = right.dims().last().copied().unwrap_or(0);
                fit(
                    right.dtype == self.dst.dtype,
                    "a right side of the matrix's type",
                )?;
                fit(
                    right.dims() == [lead, &[n, k]].concat(),
                    "a right side that fits",
                )?;
                [lead, &[n, k]].concat()
            }
            None => match self.op.factors(m, n) {
                Some(factors) => [lead, &factors].concat(),
                None => lead.to_vec(),
            },
        };
        fit(self.dst.dims() == expected, "a result that fits")
    }

    fn extents(&self) -> Extents {
        let dims = self.operands.matrix.dims();
        let right = self.operands.right.as_ref();
        Extents {
            count: dims[..dims.len() - 2].iter().product(),
            m: dims[dims.len() - 2],
            n: dims[dims.len() - 1],
            k: right.map_or(0, |r| r.dims()[dims.len() - 1]),
        }
    }

    /// Estimated nanoseconds for one matrix.
    fn matrix_ns(&self) -> f64 {
        let Extents { m, n, k, .. } = self.extents();
        let [m, n, k] = [m, n, k].map(|x| x as f64);
        let terms = match self.op {
            Linalg::Cholesky => n * n * n / 6.0,
            Linalg::Lu => n * n * n / 3.0,
            Linalg::TriangularSolve => n * n * k / 2.0,
            Linalg::Solve => n * n * k,
            Linalg::Eigh => 8.0 * n * n * n,
            Linalg::Svd => 13.0 * m * n * m.min(n),
            Linalg::Qr => 3.0 * m * n * n,
            _ => n,
        };
        MATRIX_NS + terms * TERM_NS
    }

    /// Estimated nanoseconds for all.
    pub fn cost_ns(&self) -> f64 {
        self.matrix_ns() * self.extents().count as f64
    }

    fn matrices_a_block(&self) -> usize {
        (BLOCK_NS / self.matrix_ns()).ceil().max(1.0) as usize
    }

    /// Pieces the work divides into.
    pub fn blocks(&self) -> usize {
        self.extents().count.div_ceil(self.matrices_a_block())
    }

    /// Packets of scratch that a running block needs.
    pub fn scratch_packets(&self) -> usize {
        match self.dst.dtype {
            DType::F64 => self.scratch_of::<f64>(),
            _ => self.scratch_of::<f32>(),
        }
    }

    fn scratch_of<T: Element>(&self) -> usize {
        let Extents { m, n, k, .. } = self.extents();
        let elements = |m: usize| packets(m, size_of::<T>());
        let rows = packets(n, size_of::<u32>());
        match self.op {
            Linalg::Cholesky => elements(n * n) + cholesky_packets::<T>(self.level, n),
            Linalg::TriangularSolve => {
                elements(n * n) + solve_packets::<T>(self.level, false, self.how, n, k)
            }
            Linalg::Lu => elements(n * n) + lu_packets::<T>(self.level, n),
            Linalg::Solve => {
                let own = solve_packets::<T>(self.level, true, self.how, n, k);
                elements(n * n) + elements(n * k) + rows + own
            }
            Linalg::Eigh | Linalg::Svd | Linalg::Qr => {
                packets(scratch_len(self.op, m, n), size_of::<f64>())
            }
            _ => elements(n) + rows,
        }
    }

    /// Does one piece.
    ///
    /// # Safety
    /// [The block contract](crate::structured), with the scratch asked for.
    pub unsafe fn run_block(&self, block: usize, scratch: &mut [Packet]) {
        // SAFETY: the caller's contract is what `source` and `dest` ask for.
        unsafe {
            match self.dst.dtype {
                DType::F64 => self.run(
                    &self.operands.matrix.source::<f64>(),
                    self.operands.right.as_ref().map(|r| r.source()).as_ref(),
                    self.dst.dest(),
                    block,
                    scratch,
                ),
                _ => self.run(
                    &self.operands.matrix.source::<f32>(),
                    self.operands.right.as_ref().map(|r| r.source()).as_ref(),
                    self.dst.dest(),
                    block,
                    scratch,
                ),
            }
        }
    }

    fn run<T: Element>(
        &self,
        matrix: &Source<T>,
        right: Option<&Source<T>>,
        mut dst: Dest<T>,
        block: usize,
        scratch: &mut [Packet],
    ) {
        let Extents { count, .. } = self.extents();
        let each = self.matrices_a_block();
        let len = self.dst.shape.len() / count.max(1);
        for i in (block * each)..((block + 1) * each).min(count) {
            let start = self.dst.offset + (i * len) as isize;
            let out = dst.row_mut(start, len);
            let a = At::new(&self.operands.matrix, matrix, i);
            let b = self
                .operands
                .right
                .as_ref()
                .zip(right)
                .map(|(view, source)| At::new(view, source, i));
            if let Err((pivot, cause)) = self.one(&a, b.as_ref(), out, scratch) {
                self.errors.report(Fault {
                    site: self.site,
                    position: i as u64,
                    value: pivot as i64,
                    bound: self.extents().n as u64,
                    cause,
                });
            }
        }
    }

    /// One matrix.
    fn one<T: Element>(
        &self,
        a: &At<'_, T>,
        b: Option<&At<'_, T>>,
        out: &mut [T],
        scratch: &mut [Packet],
    ) -> Result<(), (usize, Cause)> {
        let Extents { m, n, k, .. } = self.extents();
        match (self.op, b) {
            (Linalg::Cholesky, _) => {
                let (own, rest) = take(scratch, n * n);
                a.load_columns(own, n);
                let done = cholesky(self.level, own, n, rest);
                for (i, row) in out.chunks_exact_mut(n.max(1)).enumerate() {
                    let below = |j: usize| if j <= i { own[j * n + i] } else { T::default() };
                    row.iter_mut().enumerate().for_each(|(j, x)| *x = below(j));
                }
                done.map_err(|pivot| (pivot, Cause::NotPositiveDefinite))
            }
            (Linalg::TriangularSolve, Some(b)) => {
                let (own, rest) = take(scratch, n * n);
                a.load_columns(own, n);
                b.load_rows(out, k, |i| i);
                solve(self.level, (false, self.how), own, out, n, rest)
                    .map_err(|pivot| (pivot, Cause::Singular))
            }
            (Linalg::Lu, _) => {
                let (own, rest) = take(scratch, n * n);
                a.load_columns(own, n);
                let rows = lu(self.level, own, n, rest);
                for (i, row) in out.chunks_exact_mut(n.max(1)).enumerate() {
                    let packed = |j: usize| {
                        if i < n {
                            own[j * n + i]
                        } else {
                            T::from_f64(f64::from(rows[j]))
                        }
                    };
                    row.iter_mut().enumerate().for_each(|(j, x)| *x = packed(j));
                }
                Ok(())
            }
            (Linalg::Solve, Some(b)) => {
                let (own, rest) = take(scratch, n * n);
                let (rows, rest) = take::<u32>(rest, n);
                a.load_columns(own, n);
                a.load_exchanges(rows);
                let singular = |pivot| (pivot, Cause::Singular);
                if self.how.transposed {
                    let (x, rest) = take::<T>(rest, n * k);
                    b.load_rows(x, k, |i| i);
                    solve(self.level, (true, self.how), own, x, n, rest).map_err(singular)?;
                    for (x, &to) in x.chunks_exact(k.max(1)).zip(&*rows) {
                        out[to as usize * k..][..k].copy_from_slice(x);
                    }
                    Ok(())
                } else {
                    b.load_rows(out, k, |i| rows[i] as usize);
                    solve(self.level, (true, self.how), own, out, n, rest).map_err(singular)
                }
            }
            (Linalg::Eigh | Linalg::Svd | Linalg::Qr, _) => {
                let (own, _) = take::<f64>(scratch, scratch_len(self.op, m, n));
                a.load_columns(&mut own[..m * n], m);
                decompose(self.op, (m, n), own, out);
                Ok(())
            }
            (op, _) => {
                let (diagonal, rest) = take::<T>(scratch, n);
                let (rows, _) = take::<u32>(rest, n);
                diagonal
                    .iter_mut()
                    .enumerate()
                    .for_each(|(i, u)| *u = a.get(i, i));
                a.load_exchanges(rows);
                out[0] = determinant(op, diagonal, rows);
                Ok(())
            }
        }
    }
}

/// One matrix of a batch.
struct At<'a, T> {
    source: &'a Source<T>,
    start: isize,
    row: isize,
    column: isize,
}

impl<'a, T: Element> At<'a, T> {
    /// Number `i`, row-major.
    fn new(view: &RawView, source: &'a Source<T>, i: usize) -> Self {
        let rank = view.dims().len();
        let (mut rest, mut start) = (i, view.offset);
        for axis in (0..rank - 2).rev() {
            let d = view.dims()[axis];
            start += (rest % d) as isize * view.strides[axis];
            rest /= d;
        }
        debug_assert!(rank <= MAX_RANK);
        Self {
            source,
            start,
            row: view.strides[rank - 2],
            column: view.strides[rank - 1],
        }
    }

    fn get(&self, i: usize, j: usize) -> T {
        self.source
            .get(self.start + i as isize * self.row + j as isize * self.column)
    }

    /// The upper `n` rows, column-major.
    fn load_columns<N: Element>(&self, to: &mut [N], n: usize) {
        for (j, column) in to.chunks_exact_mut(n.max(1)).enumerate() {
            let run = self
                .source
                .run(self.start + j as isize * self.column, self.row, n);
            column
                .iter_mut()
                .enumerate()
                .for_each(|(i, x)| *x = N::from_f64(run.get(i).to_f64()));
        }
    }

    /// Rows of `k`, of which row `i` is row `from(i)` of the matrix.
    fn load_rows(&self, to: &mut [T], k: usize, from: impl Fn(usize) -> usize) {
        for (i, row) in to.chunks_exact_mut(k.max(1)).enumerate() {
            let run = self
                .source
                .run(self.start + from(i) as isize * self.row, self.column, k);
            row.iter_mut()
                .enumerate()
                .for_each(|(j, x)| *x = run.get(j));
        }
    }

    /// The last row of packed factors: which row each row was.
    fn load_exchanges(&self, rows: &mut [u32]) {
        let n = rows.len();
        // In range whatever the memory holds: after a failed instruction that may be anything.
        let within = |x: f64| (x as usize).min(n.saturating_sub(1)) as u32;
        rows.iter_mut()
            .enumerate()
            .for_each(|(j, row)| *row = within(self.get(n, j).to_f64()));
    }
}
