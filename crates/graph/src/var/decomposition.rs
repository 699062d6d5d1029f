//! QR, eigenvalues and singular values on the last two axes; the leading ones are a batch.

use retrograde_ops::linalg::Linalg;

use super::join::joined;
use super::linalg::square;
use super::{Float, Var};
use crate::error::Fault;
use crate::infer;
use crate::list::{List, Value};

/// Decompositions of matrices `[.., m, n]`, of which `k` is the smaller extent. Signs are chosen so that each is one
/// function of its matrix; a matrix with an element that is not finite gives NaN throughout. Factors of `f32` are
/// computed in `f64` and rounded.
///
/// Derivatives of any order are in closed form (Giles 2008, An extended collection of matrix derivative results; Townsend
/// 2016, Differentiating the Singular Value Decomposition; Walter and Lehmann 2010, Algorithmic differentiation of linear
/// algebra functions). Vectors of equal values can be any of a subspace, so they have no derivatives, and terms that
/// divide by the difference of two values are 0 where these are equal: no further apart than rounding, eight units in the
/// last place of the largest times the root of their number. That is exact for functions of the values, and for those
/// that depend on vectors of equal values by the space that these span, as a projection or `U V^T`. It leaves out a part
/// of the gradient of `V f(w) V^T`, `f'(w)` between vectors of equal values, and of second derivatives: for these values
/// must be apart.
///
/// ```
/// # use retrograde_graph::Tape;
/// # use retrograde_storage::Array;
/// # let tape = Tape::new();
/// let a = tape.variable(Array::from([[2.0_f64, 1.0], [1.0, 2.0]]));
/// let (w, v) = a.eigh();
/// w.value()?.assert_close(&Array::from([1.0, 3.0]), 1e-15, 1e-15);
/// (v * w.unsqueeze(0)).matmul(v.t()).value()?.assert_close(&a.value()?, 1e-15, 1e-15);
/// // Of the largest eigenvalue the gradient is its vector times itself.
/// let [gradient] = w.at(0, 1).grad_of([a]);
/// gradient.value()?.assert_close(&Array::from([[0.5, 0.5], [0.5, 0.5]]), 1e-15, 1e-15);
///
/// let b = tape.variable(Array::from([[3.0_f64, 1.0], [0.0, 0.0], [4.0, 3.0]]));
/// let (q, r) = b.qr();
/// r.value()?.assert_close(&Array::from([[5.0, 3.0], [0.0, 1.0]]), 1e-15, 1e-15);
/// q.value()?.assert_close(&Array::from([[0.6, -0.8], [0.0, 0.0], [0.8, 0.6]]), 1e-15, 1e-15);
/// let (u, s, vh) = b.svd();
/// (u * s.unsqueeze(0)).matmul(vh).value()?.assert_close(&b.value()?, 1e-14, 1e-14);
/// s.prod().value()?.assert_close(&Array::scalar(5.0), 1e-14, 1e-14);
/// let error = b.eigh().0.value().unwrap_err();
/// assert!(error.to_string().starts_with("eigh of [3, 2] f64: the matrices in the last two axes must be square"));
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<T: Float> Var<'_, T> {
    /// Eigenvalues `[.., n]`, ascending, and eigenvectors `[.., n, n]`, the columns of an orthogonal `V` with
    /// `A = V diag(w) V^T`. Those of the symmetric `(A + A^T) / 2`, so both triangles are read and the gradient is
    /// symmetric. Of each vector the first element whose magnitude is at least 15/16 of the largest is positive.
    ///
    /// With `F_ij = 1 / (w_j - w_i)`, 0 for equal values, the gradient is `V (diag(gw) + F * V^T gV) V^T`, made symmetric.
    #[track_caller]
    pub fn eigh(self) -> (Self, Self) {
        (
            self.map("eigh", |s, a| eigen(&mut s.list, a, Linalg::Eigenvalues)),
            self.map("eigh", |s, a| eigen(&mut s.list, a, Linalg::Eigenvectors)),
        )
    }

    /// The eigenvalues of [`eigh`](Self::eigh). Their gradient `V diag(g) V^T` is finite whatever they are; where two are
    /// equal it is one of several.
    #[track_caller]
    pub fn eigvalsh(self) -> Self {
        self.map("eigvalsh", |s, a| {
            eigen(&mut s.list, a, Linalg::Eigenvalues)
        })
    }

    /// `U` `[.., m, k]` and `V` with orthonormal columns, singular values `s` `[.., k]`, descending and not negative, with
    /// `A = U diag(s) V^T`; returned are `U`, `s` and `V^T`, `[.., k, n]`. Of each column of `U` the first element whose
    /// magnitude is at least 15/16 of the largest is positive.
    ///
    /// With `F_ij = 1 / (s_j^2 - s_i^2)`, `M = U^T gU` and `N = V^T gV` the gradient is
    /// `U [(F * (M - M^T)) S + diag(gs) + S (F * (N - N^T))] V^T + (gU - U M) S^-1 V^T + U S^-1 (gV - V N)^T`, where
    /// quotients by 0 are left out.
    #[track_caller]
    pub fn svd(self) -> (Self, Self, Self) {
        (
            self.map("svd", |s, a| singular(&mut s.list, a, Linalg::LeftVectors)),
            self.map("svd", |s, a| {
                singular(&mut s.list, a, Linalg::SingularValues)
            }),
            self.map("svd", |s, a| {
                let right = singular(&mut s.list, a, Linalg::RightVectors)?;
                Ok(s.list.transpose(right))
            }),
        )
    }

    /// The singular values of [`svd`](Self::svd). Their gradient `U diag(g) V^T` is finite whatever they are; where two
    /// are equal, or one is 0, it is one of several.
    #[track_caller]
    pub fn svdvals(self) -> Self {
        self.map("svdvals", |s, a| {
            singular(&mut s.list, a, Linalg::SingularValues)
        })
    }

    /// `A = Q R`: `Q` `[.., m, k]` with orthonormal columns, `R` `[.., k, n]` upper triangular, no element of its diagonal
    /// negative. Of a matrix with more columns than rows, the first `m` are what `Q` is computed from. A gradient where the
    /// diagonal has a zero is an error of the run that names the matrix.
    ///
    /// With `C` the lower triangle of `R gR^T - gQ^T Q`, mirrored, the gradient is `(gQ + Q C) R^-T`.
    #[track_caller]
    pub fn qr(self) -> (Self, Self) {
        (
            self.map("qr", |s, a| {
                let (head, factors) = leading(&mut s.list, a)?;
                Ok(s.list.part(Linalg::Orthogonal, head, factors))
            }),
            self.map("qr", |s, a| {
                let l = &mut s.list;
                let (head, factors) = leading(l, a)?;
                let r = l.part(Linalg::Upper, head, factors);
                let axis = l.shape(a).rank() - 1;
                let (m, n) = (l.dims(head)[axis], l.dims(a)[axis]);
                if m == n {
                    return Ok(r);
                }
                let q = l.part(Linalg::Orthogonal, head, factors);
                let transposed = l.transpose(q);
                let tail = l.narrow(a, axis, m, n - m);
                let rest = l.matmul(transposed, tail);
                joined(l, &[r, rest], -1)
            }),
        )
    }
}

/// That the last two axes are a matrix, and its factors have a shape.
fn matrix(list: &List, op: Linalg, a: Value) -> Result<(), Fault> {
    infer::rank_at_least(list.shape(a), 2)?;
    infer::shape(&list.dims_of_factors(op, a)).map(drop)
}

fn eigen(list: &mut List, a: Value, part: Linalg) -> Result<Value, Fault> {
    square(list, a)?;
    matrix(list, Linalg::Eigh, a)?;
    // Halves first: the sum of two finite elements may not be finite.
    let half = list.scale(a, 0.5);
    let transposed = list.transpose(half);
    let symmetric = list.add(half, transposed);
    let factors = list.factors(Linalg::Eigh, symmetric);
    Ok(list.part(part, symmetric, factors))
}

fn singular(list: &mut List, a: Value, part: Linalg) -> Result<Value, Fault> {
    matrix(list, Linalg::Svd, a)?;
    let factors = list.factors(Linalg::Svd, a);
    Ok(list.part(part, a, factors))
}

/// As many columns as there are rows, and their factors.
fn leading(list: &mut List, a: Value) -> Result<(Value, Value), Fault> {
    matrix(list, Linalg::Qr, a)?;
    let axis = list.shape(a).rank() - 1;
    let (m, n) = (list.dims(a)[axis - 1], list.dims(a)[axis]);
    let head = if n > m { list.narrow(a, axis, 0, m) } else { a };
    let factors = list.factors(Linalg::Qr, head);
    Ok((head, factors))
}
