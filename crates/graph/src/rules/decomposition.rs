//! Rules of QR, eigenvalues and singular values.
//!
//! Vectors of values that are equal may be turned among themselves, so they have no derivatives. A function that depends
//! on them by the space that they span has one, in which all terms that divide by the difference of two equal values are
//! 0: `inverse_apart` is, for all functions. Computed values that should be equal differ by rounding: see [`ROUNDINGS`].

use retrograde_ops::linalg::{Linalg, Solver};
use retrograde_ops::{Binary, Reduce, Unary};
use retrograde_storage::{DType, Shape};

use super::Sweep;
use crate::list::{List, Value};
use crate::op::{Attr, Op};

/// `n` values count as equal if they are no more than this many units in the last place of the largest magnitude, times
/// the root of `n`, apart. Matrices made with equal values, of 2 to 100 rows, had them up to 6 apart.
const ROUNDINGS: f64 = 8.0;

impl Sweep<'_> {
    /// `V diag(g) V^T`: the vectors alone, so equal values do no harm (Giles 2008, An extended collection of matrix
    /// derivative results, 3.1).
    pub(super) fn eigenvalues(&mut self, v: Value, g: Value) {
        let l = &mut *self.list;
        let (a, factors) = (l.arg(v, 0), l.arg(v, 1));
        let vectors = l.part(Linalg::Eigenvectors, a, factors);
        let weights = l.as_row(g);
        let left = l.chain(weights, vectors);
        let right = l.transpose(vectors);
        let ga = l.matmul(left, right);
        self.give(a, ga);
    }

    /// `V (F * V^T g) V^T` with `F_ij = 1 / (w_j - w_i)` (the same).
    pub(super) fn eigenvectors(&mut self, v: Value, g: Value) {
        let l = &mut *self.list;
        let (a, factors) = (l.arg(v, 0), l.arg(v, 1));
        let values = l.part(Linalg::Eigenvalues, a, factors);
        let (apart, _) = l.differences(values);
        let tolerance = l.tolerance(values);
        let apart = l.inverse_apart(apart, tolerance);
        let transposed = l.transpose(v);
        let inner = l.matmul(transposed, g);
        let inner = l.chain(inner, apart);
        let ga = l.sandwich(v, inner, v);
        self.give(a, ga);
    }

    /// `U diag(g) V^T` (Giles 2008, 3.2).
    pub(super) fn singular_values(&mut self, v: Value, g: Value) {
        let l = &mut *self.list;
        let (a, factors) = (l.arg(v, 0), l.arg(v, 1));
        let left = l.part(Linalg::LeftVectors, a, factors);
        let right = l.part(Linalg::RightVectors, a, factors);
        let weights = l.as_row(g);
        let left = l.chain(weights, left);
        let right = l.transpose(right);
        let ga = l.matmul(left, right);
        self.give(a, ga);
    }

    /// `U (F * (M - M^T)) S V^T + (g - U M) S^-1 V^T` with `M = U^T g` and `F_ij = 1 / (s_j^2 - s_i^2)` (Townsend 2016,
    /// Differentiating the Singular Value Decomposition). `F S` is half of `1 / (s_j - s_i) + 1 / (s_j + s_i)`: only the
    /// first is left out where singular values are equal.
    pub(super) fn left_vectors(&mut self, v: Value, g: Value) {
        let l = &mut *self.list;
        let (a, factors) = (l.arg(v, 0), l.arg(v, 1));
        let right = l.part(Linalg::RightVectors, a, factors);
        let values = l.part(Linalg::SingularValues, a, factors);
        let (own, outside) = l.within_and_outside(v, g, values, Binary::Add);
        let mut ga = l.sandwich(v, own, right);
        if let Some(outside) = outside {
            let transposed = l.transpose(right);
            let rest = l.matmul(outside, transposed);
            ga = l.add(ga, rest);
        }
        self.give(a, ga);
    }

    /// `U S (F * (M - M^T)) V^T + U S^-1 (g - V M)^T` with `M = V^T g` (the same). `S F` is half of
    /// `1 / (s_j - s_i) - 1 / (s_j + s_i)`.
    pub(super) fn right_vectors(&mut self, v: Value, g: Value) {
        let l = &mut *self.list;
        let (a, factors) = (l.arg(v, 0), l.arg(v, 1));
        let left = l.part(Linalg::LeftVectors, a, factors);
        let values = l.part(Linalg::SingularValues, a, factors);
        let (own, outside) = l.within_and_outside(v, g, values, Binary::Sub);
        let mut ga = l.sandwich(left, own, v);
        if let Some(outside) = outside {
            let transposed = l.transpose(outside);
            let rest = l.matmul(left, transposed);
            ga = l.add(ga, rest);
        }
        self.give(a, ga);
    }

    /// `(g - Q C) R^-T` where `C` has the lower triangle of `g^T Q`, mirrored (Walter and Lehmann 2010, Algorithmic
    /// differentiation of linear algebra functions with application in optimum experimental design).
    pub(super) fn orthogonal(&mut self, v: Value, g: Value) {
        let l = &mut *self.list;
        let (a, factors) = (l.arg(v, 0), l.arg(v, 1));
        let transposed = l.transpose(g);
        let inner = l.matmul(transposed, v);
        let mirrored = l.mirrored(inner);
        let within = l.matmul(v, mirrored);
        let rest = l.sub(g, within);
        let ga = l.times_inverse_of_upper(rest, a, factors);
        self.give(a, ga);
    }

    /// `Q C R^-T` where `C` has the lower triangle of `R g^T`, mirrored (the same).
    pub(super) fn upper(&mut self, v: Value, g: Value) {
        let l = &mut *self.list;
        let (a, factors) = (l.arg(v, 0), l.arg(v, 1));
        let q = l.part(Linalg::Orthogonal, a, factors);
        // What is below the diagonal of R is always zero.
        let own = l.triangle(g, 0, true);
        let transposed = l.transpose(own);
        let inner = l.matmul(v, transposed);
        let mirrored = l.mirrored(inner);
        let within = l.matmul(q, mirrored);
        let ga = l.times_inverse_of_upper(within, a, factors);
        self.give(a, ga);
    }
}

/// Emission of decompositions.
impl List {
    /// The factors of `a`.
    pub(crate) fn factors(&mut self, op: Linalg, a: Value) -> Value {
        let shape = Shape::new(&self.dims_of_factors(op, a)).expect("recording found room");
        let dtype = self.dtype(a);
        self.push(Op::Linalg(op), &[a], Attr::NONE, shape, dtype)
    }

    /// The extents of these factors.
    pub(crate) fn dims_of_factors(&self, op: Linalg, a: Value) -> Vec<usize> {
        let (lead, last) = self.dims(a).split_at(self.shape(a).rank() - 2);
        let factors = op.factors(last[0], last[1]).expect("a factorisation");
        [lead, &factors].concat()
    }

    /// A part of a decomposition of `a`, given its factors.
    pub(crate) fn part(&mut self, op: Linalg, a: Value, factors: Value) -> Value {
        let (lead, last) = self.dims(a).split_at(self.shape(a).rank() - 2);
        let rows = op.rows_of_factors(last[0], last[1]).expect("a part");
        let k = last[0].min(last[1]);
        let line = matches!(op, Linalg::Eigenvalues | Linalg::SingularValues);
        let own: &[usize] = if line { &[k] } else { &[rows.len(), k] };
        let shape = Shape::new(&[lead, own].concat()).expect("no more than the factors have");
        let dtype = self.dtype(a);
        self.push(Op::Linalg(op), &[a, factors], Attr::NONE, shape, dtype)
    }

    /// The same as a view; none of what is no part.
    pub(crate) fn rows_of_factors(
        &mut self,
        op: Linalg,
        args: &[Value],
        shape: Shape,
    ) -> Option<Value> {
        let dims = self.dims(args[0]);
        let axis = dims.len() - 2;
        let rows = op.rows_of_factors(dims[axis], dims[axis + 1])?;
        let rows = self.narrow(args[1], axis, rows.start, rows.len());
        Some(self.reshape(rows, shape))
    }

    /// `[.., n]` as `[.., 1, n]`.
    fn as_row(&mut self, x: Value) -> Value {
        let (&n, lead) = self.dims(x).split_last().expect("an axis");
        let shape = Shape::new(&[lead, &[1, n]].concat()).expect("no more axes than the matrix");
        self.reshape(x, shape)
    }

    /// `x_j - x_i` and `x_j + x_i` in row `i`, column `j`.
    fn differences(&mut self, x: Value) -> (Value, Value) {
        let row = self.as_row(x);
        let column = self.transpose(row);
        (self.sub(row, column), self.add(row, column))
    }

    /// How far values may be apart and still be equal, one number a matrix.
    fn tolerance(&mut self, values: Value) -> Value {
        let row = self.as_row(values);
        let axis = self.shape(row).rank() - 1;
        let n = self.dims(row)[axis];
        if n == 0 {
            return self.like(0.0, values);
        }
        let magnitudes = self.unary(Unary::Abs, row);
        let largest = self.reduce(Reduce::Max, magnitudes, 1 << axis);
        let unit = match self.dtype(values) {
            DType::F64 => f64::EPSILON,
            _ => f64::from(f32::EPSILON),
        };
        self.scale(largest, ROUNDINGS * unit * (n as f64).sqrt())
    }

    /// `1 / x`, and 0 within the tolerance of 0.
    fn inverse_apart(&mut self, x: Value, tolerance: Value) -> Value {
        let magnitude = self.unary(Unary::Abs, x);
        let close = self.binary(Binary::Le, magnitude, tolerance);
        // Infinity has the inverse 0, and the derivative of that is 0 as well.
        let far = self.like(f64::INFINITY, x);
        let apart = self.select(close, far, x);
        self.unary(Unary::Recip, apart)
    }

    /// `x y z^T`.
    fn sandwich(&mut self, x: Value, y: Value, z: Value) -> Value {
        let left = self.matmul(x, y);
        let right = self.transpose(z);
        self.matmul(left, right)
    }

    /// Half of `(M - M^T)` over the differences of singular values and, added or subtracted, over their sums, where
    /// `M = U^T g`; and, if the columns of `U` do not span everything, `(g - U M) S^-1`.
    fn within_and_outside(
        &mut self,
        u: Value,
        g: Value,
        values: Value,
        with: Binary,
    ) -> (Value, Option<Value>) {
        let tolerance = self.tolerance(values);
        let (minus, plus) = self.differences(values);
        let minus = self.inverse_apart(minus, tolerance);
        let plus = self.inverse_apart(plus, tolerance);
        let both = self.binary(with, minus, plus);
        let half = self.scale(both, 0.5);
        let transposed = self.transpose(u);
        let inner = self.matmul(transposed, g);
        let flipped = self.transpose(inner);
        let skew = self.sub(inner, flipped);
        let within = self.chain(skew, half);
        let dims = self.dims(u);
        if dims[dims.len() - 2] == dims[dims.len() - 1] {
            return (within, None);
        }
        let projected = self.matmul(u, inner);
        let rest = self.sub(g, projected);
        let row = self.as_row(values);
        let inverse = self.inverse_apart(row, tolerance);
        (within, Some(self.chain(rest, inverse)))
    }

    /// The lower triangle, and above the diagonal its mirror image.
    fn mirrored(&mut self, x: Value) -> Value {
        let lower = self.triangle(x, 0, false);
        let strict = self.triangle(x, -1, false);
        let above = self.transpose(strict);
        self.add(lower, above)
    }

    /// `x R^-T`, of the `R` of `a`.
    fn times_inverse_of_upper(&mut self, x: Value, a: Value, factors: Value) -> Value {
        let r = self.part(Linalg::Upper, a, factors);
        let transposed = self.transpose(x);
        let how = Solver {
            upper: true,
            ..Solver::default()
        };
        let solved = self.solve_triangular(r, transposed, how);
        self.transpose(solved)
    }
}
