//! What there is of linear algebra.

/// A factorisation, or something that one is for. `A` is `[.., n, n]`.
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
}

impl Linalg {
    /// Whether a matrix may turn out to be none that it is defined for.
    pub fn may_fail(self) -> bool {
        matches!(self, Self::Cholesky | Self::TriangularSolve | Self::Solve)
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
