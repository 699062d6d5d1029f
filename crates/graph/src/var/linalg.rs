//! Linear algebra on the last two axes; the leading ones are a batch.

use retrograde_ops::linalg::{Linalg, Solver};
use retrograde_ops::{Binary, Reduce};
use retrograde_storage::{MAX_RANK, Shape};

use super::{Element, Float, Var};
use crate::error::Fault;
use crate::infer;
use crate::list::{List, Value};
use crate::op::{Attr, Op, SliceSpec};

/// Which triangle of a matrix [`Var::solve_triangular`] reads, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Triangle {
    how: Solver,
    transposed: bool,
}

impl Triangle {
    /// The diagonal and what is below it.
    pub fn lower() -> Self {
        Self {
            how: Solver::default(),
            transposed: false,
        }
    }
    /// The diagonal and what is above it.
    pub fn upper() -> Self {
        let mut upper = Self::lower();
        upper.how.upper = true;
        upper
    }
    /// The diagonal is taken as ones and not read.
    #[must_use]
    pub fn unit(mut self) -> Self {
        self.how.unit = true;
        self
    }
    /// The matrix's triangle is read, and its transpose is what the system is solved with.
    #[must_use]
    pub fn transposed(mut self) -> Self {
        self.transposed = true;
        self
    }
}

/// Factorisations and what they are for, of square matrices `[.., n, n]`; others are an error. All have derivatives of
/// any order, in closed form.
///
/// ```
/// # use retrograde_graph::{Tape, Triangle};
/// # use retrograde_storage::Array;
/// # let tape = Tape::new();
/// let a = tape.variable(Array::from([[4.0_f64, 2.0], [2.0, 2.0]]));
/// let b = tape.variable(Array::from([2.0_f64, 0.0]));
/// assert_eq!(a.cholesky().value()?, Array::from([[2.0, 0.0], [1.0, 1.0]]));
/// assert_eq!(a.solve(b).value()?, Array::from([1.0, -1.0]));
/// assert_eq!(a.cholesky().solve_triangular(b, Triangle::lower()).value()?, Array::from([1.0, -1.0]));
/// assert_eq!(a.det().item()?, 4.0);
/// assert_eq!(a.trace().item()?, 6.0);
/// // The gradient of the determinant's logarithm is the transposed inverse.
/// let [gradient] = a.logdet().grad_of([a]);
/// gradient.value()?.assert_close(&a.inverse().value()?, 1e-15, 1e-15);
/// let error = (a - 4.0).cholesky().value().unwrap_err();
/// assert!(error.to_string().starts_with("cholesky of [2, 2] f64: the matrix is not positive definite"));
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<T: Float> Var<'_, T> {
    /// The lower triangular `L` with `A = L L^T`, zeros above the diagonal. It is that of `(A + A^T) / 2`, so both
    /// triangles are read and the gradient is symmetric. A matrix that is not positive definite is an error of the run
    /// that names it ([`ErrorKind::Singular`](crate::ErrorKind::Singular)).
    #[track_caller]
    pub fn cholesky(self) -> Self {
        self.map("cholesky", |s, a| {
            let l = &mut s.list;
            square(l, a)?;
            let transposed = l.transpose(a);
            let twice = l.add(a, transposed);
            let symmetric = l.scale(twice, 0.5);
            let (shape, dtype) = (l.shape(a), l.dtype(a));
            Ok(l.push(
                Op::Linalg(Linalg::Cholesky),
                &[symmetric],
                Attr::NONE,
                shape,
                dtype,
            ))
        })
    }

    /// `A^-1 B` for a triangular `A`, of which the other triangle is not read: `B` is a vector `[n]` or matrices
    /// `[.., n, k]`, leading axes broadcast. A zero on the diagonal is an error of the run that names it.
    #[track_caller]
    pub fn solve_triangular(self, right: Self, triangle: Triangle) -> Self {
        self.rec
            .apply("solve_triangular", &[self.into(), right.into()], |s| {
                let l = &mut s.list;
                let system = System::of(l, self.id, right.id)?;
                let mut how = triangle.how;
                let mut a = system.matrix(l, self.id);
                if triangle.transposed {
                    a = l.transpose(a);
                    how.upper = !how.upper;
                }
                let b = system.right(l, right.id);
                let x = l.solve_triangular(a, b, how);
                Ok(system.solution(l, x))
            })
    }

    /// `A^-1 B`, by LU factors with row exchanges: `B` is a vector `[n]` or matrices `[.., n, k]`, leading axes
    /// broadcast. A singular matrix is an error of the run that names it.
    #[track_caller]
    pub fn solve(self, right: Self) -> Self {
        self.rec.apply("solve", &[self.into(), right.into()], |s| {
            let l = &mut s.list;
            let system = System::of(l, self.id, right.id)?;
            room_for_factors(l, self.id)?;
            // Factors of each matrix once, however many right sides it is broadcast to.
            let factors = l.lu(self.id);
            let (a, b) = (system.matrix(l, self.id), system.right(l, right.id));
            let factors = system.expand(l, factors);
            let x = l.solve(a, b, factors, false);
            Ok(system.solution(l, x))
        })
    }

    /// `A^-1`. A singular matrix is an error of the run that names it. To multiply by an inverse, [`solve`](Self::solve)
    /// is faster and more accurate.
    #[track_caller]
    pub fn inverse(self) -> Self {
        self.map("inverse", |s, a| {
            let l = &mut s.list;
            square(l, a)?;
            room_for_factors(l, a)?;
            let factors = l.lu(a);
            let identity = l.identity_like(a);
            Ok(l.solve(a, identity, factors, false))
        })
    }

    /// The determinant, `[.., n, n]` to `[..]`; that of an empty matrix is 1. Its gradient at a singular matrix is an
    /// error of the run, for it goes through the inverse.
    #[track_caller]
    pub fn det(self) -> Self {
        self.map("det", |s, a| determinant(&mut s.list, a, Linalg::Det))
    }

    /// The logarithm of the determinant: NaN where that is negative, negative infinity where it is 0.
    #[track_caller]
    pub fn logdet(self) -> Self {
        self.map("logdet", |s, a| {
            let l = &mut s.list;
            let logarithm = determinant(l, a, Linalg::LogAbsDet)?;
            let sign = determinant(l, a, Linalg::SignDet)?;
            let (zero, none) = (l.like(0.0, a), l.like(f64::NAN, a));
            let negative = l.binary(Binary::Lt, sign, zero);
            Ok(l.select(negative, none, logarithm))
        })
    }

    /// The sign of the determinant (1, -1 or 0) and the logarithm of its absolute value, neither of which overflows. The
    /// sign has no gradient.
    #[track_caller]
    pub fn slogdet(self) -> (Self, Self) {
        let sign = self.map("slogdet", |s, a| {
            determinant(&mut s.list, a, Linalg::SignDet)
        });
        let logarithm = self.map("slogdet", |s, a| {
            determinant(&mut s.list, a, Linalg::LogAbsDet)
        });
        (sign, logarithm)
    }

    /// The sum of the diagonal of the last two axes: `[.., m, n]` to `[..]`.
    #[track_caller]
    pub fn trace(self) -> Self {
        self.map("trace", |s, x| {
            let l = &mut s.list;
            let diagonal = diagonal(l, x, 0)?;
            let rank = l.shape(diagonal).rank();
            let sum = l.reduce(Reduce::Sum, diagonal, 1 << (rank - 1));
            let shape = Shape::new(&l.dims(sum)[..rank - 1]).expect("an axis less");
            Ok(l.reshape(sum, shape))
        })
    }
}

/// Diagonals and triangles of the last two axes, of any element type. Diagonal `k` is `k` to the right of the main one.
///
/// ```
/// # use retrograde_graph::Tape;
/// # use retrograde_storage::{Array, Create};
/// # let tape = Tape::new();
/// let x = tape.variable(Array::<f64>::arange(6).reshape([2, 3])?);
/// assert_eq!(x.diag().value()?, Array::from([0.0, 4.0]));
/// assert_eq!(x.diagonal(1).value()?, Array::from([1.0, 5.0]));
/// assert_eq!(x.diag().diag().value()?, Array::from([[0.0, 0.0], [0.0, 4.0]]));
/// assert_eq!(x.tril(0).value()?, Array::from([[0.0, 0.0, 0.0], [3.0, 4.0, 0.0]]));
/// assert_eq!(x.triu(1).value()?, Array::from([[0.0, 1.0, 2.0], [0.0, 0.0, 5.0]]));
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<T: Element> Var<'_, T> {
    /// The diagonal of a matrix, or the matrix with a vector as diagonal and zeros elsewhere. For batches see
    /// [`diagonal`](Self::diagonal) and [`diag_embed`](Self::diag_embed).
    #[track_caller]
    pub fn diag(self) -> Self {
        self.map("diag", |s, x| match s.list.shape(x).rank() {
            1 => embedded(&mut s.list, x, 0),
            2 => diagonal(&mut s.list, x, 0),
            _ => Err(Fault::shape(
                "expected a vector or a matrix; try `diagonal` or `diag_embed` for a batch",
            )),
        })
    }

    /// A diagonal of the last two axes: `[.., m, n]` to `[.., k]`, empty beyond the corner.
    #[track_caller]
    pub fn diagonal(self, offset: isize) -> Self {
        self.map("diagonal", |s, x| diagonal(&mut s.list, x, offset))
    }

    /// Square matrices with `x` as a diagonal and zeros elsewhere: `[.., n]` to `[.., n + |offset|, n + |offset|]`.
    #[track_caller]
    pub fn diag_embed(self, offset: isize) -> Self {
        self.map("diag_embed", |s, x| embedded(&mut s.list, x, offset))
    }

    /// The elements on and below a diagonal, zeros above.
    #[track_caller]
    pub fn tril(self, offset: isize) -> Self {
        self.map("tril", |s, x| triangle(&mut s.list, x, offset, false))
    }

    /// The elements on and above a diagonal, zeros below.
    #[track_caller]
    pub fn triu(self, offset: isize) -> Self {
        self.map("triu", |s, x| triangle(&mut s.list, x, offset, true))
    }
}

/// That the last two axes are a square matrix; its extent.
pub(super) fn square(list: &List, a: Value) -> Result<usize, Fault> {
    let shape = list.shape(a);
    infer::rank_at_least(shape, 2)?;
    match shape.dims() {
        [.., m, n] if m == n => Ok(*n),
        _ => Err(Fault::shape(
            "the matrices in the last two axes must be square",
        )),
    }
}

/// That packed factors have a shape.
fn room_for_factors(list: &List, a: Value) -> Result<(), Fault> {
    let mut dims = list.dims(a).to_vec();
    let rank = dims.len();
    dims[rank - 2] += 1;
    infer::shape(&dims).map(drop)
}

fn determinant(list: &mut List, a: Value, op: Linalg) -> Result<Value, Fault> {
    square(list, a)?;
    room_for_factors(list, a)?;
    let factors = list.lu(a);
    let dims = list.dims(a);
    let shape = Shape::new(&dims[..dims.len() - 2]).expect("fewer axes");
    let operands = [a, factors];
    let own = if op == Linalg::SignDet {
        &operands[1..]
    } else {
        &operands
    };
    let dtype = list.dtype(a);
    Ok(list.push(Op::Linalg(op), own, Attr::NONE, shape, dtype))
}

/// A square matrix and a right side that fit, once their leading axes are broadcast.
struct System {
    batch: Shape,
    n: usize,
    /// Columns; none of a vector.
    columns: Option<usize>,
}

impl System {
    fn of(list: &List, a: Value, b: Value) -> Result<Self, Fault> {
        let n = square(list, a)?;
        let (matrix, right) = (list.shape(a), list.shape(b));
        infer::rank_at_least(right, 1)?;
        let vector = right.rank() == 1;
        let rows = right.dims()[if vector { 0 } else { right.rank() - 2 }];
        if rows != n {
            return Err(Fault::shape(format!(
                "the right side must have a row for each of the matrix's {n}, but has {rows}"
            )));
        }
        let lead =
            |s: Shape| Shape::new(&s.dims()[..s.rank().saturating_sub(2)]).expect("fewer axes");
        let batch = lead(matrix).broadcast(&lead(right)).ok_or_else(|| {
            Fault::shape(format!(
                "the leading axes of {matrix} and {right} do not broadcast; try `unsqueeze`"
            ))
        })?;
        let columns = (!vector).then(|| right.dims()[right.rank() - 1]);
        let system = Self { batch, n, columns };
        for last in [n + 1, columns.unwrap_or(1)] {
            infer::shape(&system.dims(&[n, last]))?;
        }
        Ok(system)
    }

    fn dims(&self, last: &[usize]) -> Vec<usize> {
        [self.batch.dims(), last].concat()
    }

    /// `x` with the whole batch.
    fn expand(&self, list: &mut List, x: Value) -> Value {
        let dims = list.dims(x);
        let shape =
            Shape::new(&self.dims(&dims[dims.len() - 2..])).expect("checked with the operands");
        list.expand(x, shape)
    }

    fn matrix(&self, list: &mut List, a: Value) -> Value {
        self.expand(list, a)
    }

    fn right(&self, list: &mut List, b: Value) -> Value {
        let b = match self.columns {
            Some(_) => b,
            None => {
                let column = Shape::new(&[self.n, 1]).expect("as many elements");
                list.reshape(b, column)
            }
        };
        self.expand(list, b)
    }

    fn solution(&self, list: &mut List, x: Value) -> Value {
        match self.columns {
            Some(_) => x,
            None => {
                let shape = Shape::new(&self.dims(&[self.n])).expect("as many elements");
                list.reshape(x, shape)
            }
        }
    }
}

/// Where a diagonal of `[rows, columns]` starts in row-major order, and how long it is.
fn extent_of_diagonal(rows: usize, columns: usize, offset: isize) -> (usize, usize) {
    let (down, right) = (offset.min(0).unsigned_abs(), offset.max(0).unsigned_abs());
    let len = rows.saturating_sub(down).min(columns.saturating_sub(right));
    let start = if len == 0 { 0 } else { down * columns + right };
    (start, len)
}

/// Every `columns + 1`st element of the flattened matrices.
fn along_diagonal(axis: usize, start: usize, columns: usize) -> SliceSpec {
    let mut spec = SliceSpec {
        start: [0; MAX_RANK],
        step: [1; MAX_RANK],
    };
    (spec.start[axis], spec.step[axis]) = (start, columns as isize + 1);
    spec
}

fn diagonal(list: &mut List, x: Value, offset: isize) -> Result<Value, Fault> {
    infer::rank_at_least(list.shape(x), 2)?;
    let mut dims = list.dims(x).to_vec();
    let axis = dims.len() - 2;
    let (rows, columns) = (dims[axis], dims[axis + 1]);
    let (start, len) = extent_of_diagonal(rows, columns, offset);
    dims.truncate(axis + 1);
    dims[axis] = rows * columns;
    let flat = list.reshape(x, infer::shape(&dims)?);
    dims[axis] = len;
    let spec = along_diagonal(axis, start, columns);
    Ok(list.slice(flat, spec, infer::shape(&dims)?))
}

fn embedded(list: &mut List, x: Value, offset: isize) -> Result<Value, Fault> {
    infer::rank_at_least(list.shape(x), 1)?;
    infer::room_for_axis(list.shape(x))?;
    let mut dims = list.dims(x).to_vec();
    let axis = dims.len() - 1;
    let n = dims[axis].saturating_add(offset.unsigned_abs());
    dims[axis] = n;
    dims.push(n);
    let square = infer::shape(&dims)?;
    dims.truncate(axis + 1);
    dims[axis] = n * n;
    let flat = infer::shape(&dims)?;
    let (start, _) = extent_of_diagonal(n, n, offset);
    let whole = list.unslice(x, along_diagonal(axis, start, n), flat);
    Ok(list.reshape(whole, square))
}

fn triangle(list: &mut List, x: Value, offset: isize, upper: bool) -> Result<Value, Fault> {
    infer::rank_at_least(list.shape(x), 2)?;
    Ok(list.triangle(x, offset, upper))
}
