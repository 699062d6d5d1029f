//! Rules of factorisations and solves: closed forms, of solves and products that have rules themselves.
//!
//! Factors are shared by all that is made of them and never differentiated: what is computed from them has the matrix
//! itself as an operand too, and its derivative is in terms of the matrix. Those of QR, eigenvalues and singular values are
//! in `decomposition`.

use retrograde_ops::Binary;
use retrograde_ops::linalg::{Linalg, Solver};
use retrograde_storage::{DType, Shape};

use super::Sweep;
use crate::list::{List, Value};
use crate::op::{Attr, Op};

/// Whether a derivative passes to operand `i`.
pub(super) fn passes(op: Linalg, i: usize) -> bool {
    match op {
        Linalg::Cholesky | Linalg::TriangularSolve => true,
        Linalg::Solve => i < 2,
        Linalg::Det | Linalg::LogAbsDet => i == 0,
        Linalg::Lu | Linalg::SignDet => false,
        Linalg::Eigh | Linalg::Svd | Linalg::Qr => false,
        Linalg::Eigenvalues | Linalg::Eigenvectors => i == 0,
        Linalg::LeftVectors | Linalg::SingularValues | Linalg::RightVectors => i == 0,
        Linalg::Orthogonal | Linalg::Upper => i == 0,
    }
}

impl Sweep<'_> {
    pub(super) fn linalg(&mut self, op: Linalg, v: Value, g: Value) {
        match op {
            Linalg::Cholesky => self.cholesky(v, g),
            Linalg::TriangularSolve => self.solve_triangular(v, g),
            Linalg::Solve => self.solve(v, g),
            Linalg::Det => {
                let l = &mut *self.list;
                let scaled = l.chain(g, v);
                self.by_inverse(v, scaled);
            }
            Linalg::LogAbsDet => self.by_inverse(v, g),
            Linalg::Lu | Linalg::SignDet | Linalg::Eigh | Linalg::Svd | Linalg::Qr => {}
            Linalg::Eigenvalues => self.eigenvalues(v, g),
            Linalg::Eigenvectors => self.eigenvectors(v, g),
            Linalg::LeftVectors => self.left_vectors(v, g),
            Linalg::SingularValues => self.singular_values(v, g),
            Linalg::RightVectors => self.right_vectors(v, g),
            Linalg::Orthogonal => self.orthogonal(v, g),
            Linalg::Upper => self.upper(v, g),
        }
    }

    /// `S = L^-T phi(L^T g) L^-1`, of which the symmetric part is the adjoint; `phi` keeps the lower triangle and half of
    /// the diagonal (Murray 2016, arXiv 1602.07527).
    fn cholesky(&mut self, v: Value, g: Value) {
        let l = &mut *self.list;
        let lower = l.triangle(g, 0, false);
        let transposed = l.transpose(v);
        let inner = l.matmul(transposed, lower);
        let strict = l.triangle(inner, -1, false);
        let whole = l.triangle(inner, 0, false);
        let twice = l.add(strict, whole);
        let phi = l.scale(twice, 0.5);
        let how = Solver {
            upper: true,
            ..Solver::default()
        };
        let left = l.solve_triangular(transposed, phi, how);
        let left = l.transpose(left);
        let both = l.solve_triangular(transposed, left, how);
        let flipped = l.transpose(both);
        let twice = l.add(both, flipped);
        let gx = l.scale(twice, 0.5);
        let x = l.arg(v, 0);
        self.give(x, gx);
    }

    /// `X = A^-1 B`: the adjoint of `B` is `A^-T g`, that of `A` the triangle of `-A^-T g X^T`.
    fn solve_triangular(&mut self, v: Value, g: Value) {
        let l = &mut *self.list;
        let (a, b, how) = (l.arg(v, 0), l.arg(v, 1), l.attr(v).as_solver());
        let transposed = l.transpose(a);
        let other = Solver {
            upper: !how.upper,
            ..how
        };
        let gb = l.solve_triangular(transposed, g, other);
        if self.wants(a) {
            let l = &mut *self.list;
            let xt = l.transpose(v);
            let product = l.matmul(gb, xt);
            let from = match (how.unit, how.upper) {
                (false, _) => 0,
                (true, true) => 1,
                (true, false) => -1,
            };
            let own = l.triangle(product, from, how.upper);
            let ga = l.neg(own);
            self.give(a, ga);
        }
        self.give(b, gb);
    }

    /// As of a triangular system; of `A^T X = B` the adjoint of `A` is transposed.
    fn solve(&mut self, v: Value, g: Value) {
        let l = &mut *self.list;
        let (a, b, factors) = (l.arg(v, 0), l.arg(v, 1), l.arg(v, 2));
        let how = l.attr(v).as_solver();
        let gb = l.solve(a, g, factors, !how.transposed);
        if self.wants(a) {
            let l = &mut *self.list;
            let (left, right) = if how.transposed { (v, gb) } else { (gb, v) };
            let right = l.transpose(right);
            let product = l.matmul(left, right);
            let ga = l.neg(product);
            self.give(a, ga);
        }
        self.give(b, gb);
    }

    /// A number for each matrix times its transposed inverse.
    fn by_inverse(&mut self, v: Value, g: Value) {
        let l = &mut *self.list;
        let (a, factors) = (l.arg(v, 0), l.arg(v, 1));
        let identity = l.identity_like(a);
        let inverse = l.solve(a, identity, factors, true);
        let mut dims = l.dims(v).to_vec();
        dims.extend([1, 1]);
        let each = Shape::new(&dims).expect("no more axes than the matrix has");
        let each = l.reshape(g, each);
        let ga = l.chain(each, inverse);
        self.give(a, ga);
    }
}

/// Emission of linear algebra. Operands have equal leading axes.
impl List {
    /// LU factors of `a`.
    pub(crate) fn lu(&mut self, a: Value) -> Value {
        self.factors(Linalg::Lu, a)
    }

    /// `a^-1 b`, or with the transposed matrix, given its factors.
    pub(crate) fn solve(&mut self, a: Value, b: Value, factors: Value, transposed: bool) -> Value {
        let attr = Attr::solver(Solver {
            transposed,
            ..Solver::default()
        });
        let (shape, dtype) = (self.shape(b), self.dtype(b));
        self.push(
            Op::Linalg(Linalg::Solve),
            &[a, b, factors],
            attr,
            shape,
            dtype,
        )
    }

    /// `a^-1 b` for a triangular `a`.
    pub(crate) fn solve_triangular(&mut self, a: Value, b: Value, how: Solver) -> Value {
        let (shape, dtype) = (self.shape(b), self.dtype(b));
        let op = Op::Linalg(Linalg::TriangularSolve);
        self.push(op, &[a, b], Attr::solver(how), shape, dtype)
    }

    /// How the column of each element compares with its row, `from` diagonals to the right.
    fn on_diagonal(&mut self, op: Binary, x: Value, from: isize) -> Value {
        let dims = self.dims(x);
        let [rows, columns] = [dims[dims.len() - 2], dims[dims.len() - 1]];
        // As wide as the elements that the mask is for, so that one group takes both.
        let wide = self.dtype(x).size() == 8;
        let dtype = if wide { DType::I64 } else { DType::U32 };
        let mut line = |axis: usize, dims: [usize; 2], by: usize| {
            let shape = Shape::new(&dims).expect("an axis of a shape");
            let index = self.iota(axis, shape, dtype);
            if by == 0 {
                return index;
            }
            // No further than is different from the next.
            let by = self.int(by.min(rows + columns) as i64, dtype);
            self.binary(Binary::Add, index, by)
        };
        let row = line(0, [rows, 1], from.max(0).unsigned_abs());
        let column = line(1, [1, columns], from.min(0).unsigned_abs());
        self.binary(op, column, row)
    }

    /// The elements on and above diagonal `from`, or on and below it, zeros elsewhere.
    pub(crate) fn triangle(&mut self, x: Value, from: isize, upper: bool) -> Value {
        let op = if upper { Binary::Ge } else { Binary::Le };
        let mask = self.on_diagonal(op, x, from);
        let zero = if self.dtype(x).is_float() {
            self.like(0.0, x)
        } else {
            self.int(0, self.dtype(x))
        };
        self.select(mask, x, zero)
    }

    /// Identities of `a`'s shape.
    pub(crate) fn identity_like(&mut self, a: Value) -> Value {
        let hit = self.on_diagonal(Binary::Eq, a, 0);
        let identity = self.cast(hit, self.dtype(a));
        self.expand(identity, self.shape(a))
    }
}
