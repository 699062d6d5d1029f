//! What there is of linear algebra.

use std::ops::Range;

/// A factorisation, or something that one is for. `A` is `[.., n, n]` unless said otherwise.
///
/// Factors of three decompositions stand in one array, row under row. Their parts are operations of their own, given `A`,
/// which their derivatives are in terms of, and the factors: views of some of these rows, for which there is no kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Linalg {
    /// Lower triangular `L` with `A = L L^T`, zeros above the diagonal; reads the lower triangle of `A`.
    Cholesky,
    /// `A^-1 B` for a triangular `A`, of which the other triangle is not read. See [`Solver`].
    TriangularSolve,
    /// `P A = L U` with row exchanges, packed as `[.., n + 1, n]`: `U` and, below its diagonal, `L` without its ones; in
    /// the last row which row of `A` each row of `P A` is.
    Lu,
    /// `A^-1 B`, given `A`, `B` and the LU factors of `A`. See [`Solver`].
    Solve,
    /// The determinant, given `A` and its LU factors.
    Det,
    /// The logarithm of the determinant's absolute value, given `A` and its LU factors.
    LogAbsDet,
    /// The sign of the determinant, given the LU factors.
    SignDet,
    /// `A = V diag(w) V^T` of a symmetric matrix, whose lower triangle is read: `[.., 1 + n, n]`, `w` ascending above `V`.
    Eigh,
    /// The `w` of [`Eigh`](Self::Eigh), `[.., n]`.
    Eigenvalues,
    /// The `V`.
    Eigenvectors,
    /// `A = U diag(s) V^T` of any `[.., m, n]`, all of them with `k = min(m, n)` columns: `[.., m + 1 + n, k]`, `U` above
    /// `s`, descending, above `V`.
    Svd,
    /// The `U` of [`Svd`](Self::Svd), `[.., m, k]`.
    LeftVectors,
    /// The `s`, `[.., k]`.
    SingularValues,
    /// The `V`, `[.., n, k]`.
    RightVectors,
    /// `A = Q R` of `[.., m, n]` with `m >= n`: `[.., m + n, n]`, `Q` above `R`, whose diagonal is not negative.
    Qr,
    /// The `Q` of [`Qr`](Self::Qr), `[.., m, n]`.
    Orthogonal,
    /// The `R`, `[.., n, n]`.
    Upper,
}

impl Linalg {
    /// Whether a matrix may turn out to be none that it is defined for.
    pub fn may_fail(self) -> bool {
        matches!(self, Self::Cholesky | Self::TriangularSolve | Self::Solve)
    }

    /// Rows and columns of the factors of an `m` by `n` matrix, of a factorisation.
    pub fn factors(self, m: usize, n: usize) -> Option<[usize; 2]> {
        match self {
            Self::Cholesky => Some([n, n]),
            Self::Lu | Self::Eigh => Some([n + 1, n]),
            Self::Svd => Some([m + 1 + n, m.min(n)]),
            Self::Qr => Some([m + n, m.min(n)]),
            _ => None,
        }
    }

    /// Of a part of a decomposition of `m` by `n` matrices, which rows of the factors it is.
    pub fn rows_of_factors(self, m: usize, n: usize) -> Option<Range<usize>> {
        match self {
            Self::Eigenvalues => Some(0..1),
            Self::Eigenvectors => Some(1..n + 1),
            Self::LeftVectors | Self::Orthogonal => Some(0..m),
            Self::SingularValues => Some(m..m + 1),
            Self::RightVectors => Some(m + 1..m + 1 + n),
            Self::Upper => Some(m..m + n),
            Self::Cholesky | Self::TriangularSolve | Self::Lu | Self::Solve => None,
            Self::Det | Self::LogAbsDet | Self::SignDet => None,
            Self::Eigh | Self::Svd | Self::Qr => None,
        }
    }

    /// The name in listings and errors.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cholesky => "cholesky",
            Self::TriangularSolve => "solve_triangular",
            Self::Lu => "lu",
            Self::Solve => "solve",
            Self::Det => "det",
            Self::LogAbsDet => "log_abs_det",
            Self::SignDet => "sign_det",
            Self::Eigh => "eigh",
            Self::Eigenvalues => "eigenvalues",
            Self::Eigenvectors => "eigenvectors",
            Self::Svd => "svd",
            Self::LeftVectors => "left_vectors",
            Self::SingularValues => "singular_values",
            Self::RightVectors => "right_vectors",
            Self::Qr => "qr",
            Self::Orthogonal => "qr_q",
            Self::Upper => "qr_r",
        }
    }
}

/// How a system is solved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Solver {
    /// A triangular matrix is an upper one.
    pub upper: bool,
    /// A triangular matrix has ones on its diagonal, which are not read.
    pub unit: bool,
    /// It is `A^T X = B` that is solved; of [`Linalg::Solve`] alone, for a triangular matrix can be transposed itself.
    pub transposed: bool,
}
