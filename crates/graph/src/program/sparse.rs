//! Sparse Jacobians and Hessians of programs.

use std::rc::Rc;
use std::sync::Arc;

use retrograde_storage::AnyArray;

use super::feed::{self, Feed};
use super::products::{Direction, Products, Seeded, Ways};
use super::{Program, Recorded};
use crate::error::{Error, ErrorKind, Result};
use crate::list::{List, Value};
use crate::op::Op;
use crate::sparse::known::Known;
use crate::sparse::matrix::Csr;
use crate::sparse::pattern::Pattern;
use crate::sparse::{MOST_SETS, Sources, colour, dependencies};
use crate::var::Float;

/// Sparse derivatives.
///
/// A pattern is found on the list of instructions, without a run: an output's element depends on what its formula reads.
/// It holds for all floats that the program may be given, and misses nothing; where what is read depends on other data,
/// it has every place that may be (a maximum depends on all of its row). Indices of `gather` and masks of `select` are
/// taken as they are where they are literals, or computed from literals (`arange`, `tril`); where they are *inputs* of
/// the program, see [`pattern_at`](Self::pattern_at).
///
/// ```
/// use retrograde_graph::{Direction, Program};
/// use retrograde_storage::{Array, Create};
/// # fn main() -> retrograde_graph::Result<()> {
/// // Neighbours' differences: two places a row.
/// let x = Array::<f64>::arange(1000);
/// let f = Program::record(&[x.clone()], |_, [x]| (x.slice(0, 1..) - x.slice(0, ..999)).square())?;
/// assert_eq!((f.pattern(0)?.len(), f.pattern(0)?.row(3)), (1998, &[3_u32, 4][..]));
///
/// let jacobian = f.sparse_jacobian(0)?;
/// assert_eq!(jacobian.products(), 2, "of 1000 columns, even and odd ones share a seed");
/// let mut ws = jacobian.workspace::<f64>()?;
/// let mut j = jacobian.matrix::<f64>()?;
/// jacobian.run_into(&mut ws, [&x], &mut j)?; // allocates nothing
/// assert_eq!((j.get(3, 3), j.get(3, 4), j.get(3, 5)), (-2.0, 2.0, 0.0));
/// assert_eq!(j.to_dense()?, f.jacobian(0)?.run::<f64>([&x])?);
/// # Ok(()) }
/// ```
impl Program {
    /// Which elements of the Jacobian of the first output with respect to input `wrt` may be other than zero. Rows are
    /// elements of the output, columns those of the input, both in row-major order.
    ///
    /// Time is proportional to the elements of all values between input and output and to the size of the sets of input
    /// elements that they depend on; memory to the different ones among those.
    ///
    /// # Errors
    /// As [`jacobian`](Self::jacobian); more than some ten million different sets, or 2^28 places.
    pub fn pattern(&self, wrt: usize) -> Result<Pattern> {
        self.recorded.pattern("pattern", wrt, &[])
    }

    /// As [`pattern`](Self::pattern), for the integers and bools among the inputs as they are in `inputs`: of an index
    /// that is an input, the elements that it points at instead of all. Floats of `inputs` are not looked at.
    pub fn pattern_at(&self, wrt: usize, inputs: impl Feed) -> Result<Pattern> {
        let known = self.recorded.integers(&inputs)?;
        self.recorded.pattern("pattern_at", wrt, &known)
    }

    /// The Jacobian of the first output with respect to input `wrt`, as a sparse matrix: its pattern, and as many
    /// products as that has colours. Columns without a common row share a tangent, or rows without a common column a
    /// seed, whichever takes less time; several products are made in one replay.
    ///
    /// See Curtis, Powell and Reid 1974, Coleman and Moré 1983, and Gebremedhin, Manne and Pothen 2005, "What color is
    /// your Jacobian?".
    ///
    /// # Errors
    /// As [`pattern`](Self::pattern).
    pub fn sparse_jacobian(&self, wrt: usize) -> Result<SparseJacobian> {
        self.sparse("sparse_jacobian", wrt, Vec::new(), false)
    }

    /// As [`sparse_jacobian`](Self::sparse_jacobian), for the integers and bools among the inputs as they are in
    /// `inputs`; a run with others is an error.
    ///
    /// ```
    /// # use retrograde_graph::Program;
    /// # use retrograde_storage::Array;
    /// # fn main() -> retrograde_graph::Result<()> {
    /// // Distances of points: which pairs is data.
    /// let x = Array::<f64>::from([0.0, 1.0, 3.0, 6.0]);
    /// let [from, to] = [[0_u32, 1, 2], [1, 2, 3]].map(Array::from);
    /// let inputs = (x.clone(), from.clone(), to.clone());
    /// let f = Program::record(&inputs, |_, (x, from, to)| x.take(to) - x.take(from))?;
    /// assert_eq!(f.pattern(0)?.len(), 12, "any point in any pair");
    ///
    /// let jacobian = f.sparse_jacobian_at(0, (&x, &from, &to))?;
    /// let j = jacobian.run::<f64>((&x, &from, &to))?;
    /// assert_eq!(j.pattern().indices(), [0, 1, 1, 2, 2, 3]);
    /// assert_eq!(j.values(), [-1.0, 1.0, -1.0, 1.0, -1.0, 1.0]);
    ///
    /// let error = jacobian.run::<f64>((&x, &to, &from)).unwrap_err();
    /// assert!(error.to_string().contains("input 1 (u32): element 0 is 1, but was 0"));
    /// # Ok(()) }
    /// ```
    pub fn sparse_jacobian_at(&self, wrt: usize, inputs: impl Feed) -> Result<SparseJacobian> {
        let known = self.recorded.integers(&inputs)?;
        self.sparse("sparse_jacobian_at", wrt, known, false)
    }

    /// The Hessian of the first output (a scalar) with respect to input `wrt`, as a sparse matrix. Of each pair of places
    /// that are equal by symmetry, one needs to be read, which takes fewer colours (a star colouring): a diagonal Hessian
    /// one product, an arrow two, whatever their size. Both places of a pair are in the matrix.
    ///
    /// ```
    /// # use retrograde_graph::Program;
    /// # use retrograde_storage::{Array, Create};
    /// # fn main() -> retrograde_graph::Result<()> {
    /// // One element meets all others.
    /// let x = Array::<f64>::arange(500);
    /// let f = Program::record(&[x.clone()], |_, [x]| (x.square() * x.slice(0, ..1)).sum())?;
    /// let hessian = f.sparse_hessian(0)?;
    /// assert_eq!((hessian.pattern().len(), hessian.products()), (500 + 2 * 499, 2));
    /// let h = hessian.run::<f64>([&x])?;
    /// assert_eq!((h.get(7, 7), h.get(0, 7), h.get(7, 0), h.get(7, 8)), (0.0, 14.0, 14.0, 0.0));
    /// let error = Program::record(&[x], |_, [x]| x.sin())?.sparse_hessian(0).unwrap_err();
    /// assert!(error.to_string().contains("sparse_hessian of [500] f64: only a scalar has a gradient"));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`sparse_jacobian`](Self::sparse_jacobian); an output of several elements.
    pub fn sparse_hessian(&self, wrt: usize) -> Result<SparseJacobian> {
        let gradient = self.gradient_of("sparse_hessian", wrt)?;
        gradient.sparse("sparse_hessian", wrt, Vec::new(), true)
    }

    /// As [`sparse_hessian`](Self::sparse_hessian), for the integers and bools among the inputs as they are in `inputs`;
    /// a run with others is an error.
    pub fn sparse_hessian_at(&self, wrt: usize, inputs: impl Feed) -> Result<SparseJacobian> {
        let known = self.recorded.integers(&inputs)?;
        let gradient = self.gradient_of("sparse_hessian_at", wrt)?;
        gradient.sparse("sparse_hessian_at", wrt, known, true)
    }

    /// The gradient of the first output with respect to one input, alone.
    pub(super) fn gradient_of(&self, what: &str, wrt: usize) -> Result<Self> {
        self.derive(|r| {
            let (_, x) = r.pair(what, wrt)?;
            r.gradients(what, false, &[x])
        })
    }

    fn sparse(
        &self,
        what: &str,
        wrt: usize,
        known: Vec<(usize, AnyArray)>,
        is_hessian: bool,
    ) -> Result<SparseJacobian> {
        let (y, x) = self.recorded.pair(what, wrt)?;
        let mut pattern = self.recorded.pattern(what, wrt, &known)?;
        let symmetric = is_hessian && self.recorded.is_symmetric();
        if symmetric {
            pattern = pattern.symmetric();
        }
        let ways = self.ways(y, x)?;
        let Some(found) = coloured(&pattern, &ways, symmetric, f64::INFINITY) else {
            return Err(Error::internal("a pattern without a colouring"));
        };
        let count = found.sources.takes.len();
        Ok(SparseJacobian {
            products: self.products((y, x), ways, found.direction, count)?,
            pattern: Arc::new(pattern),
            sources: Arc::new(found.sources),
            known,
        })
    }
}

impl Recorded {
    fn pattern(&self, what: &str, wrt: usize, known: &[(usize, AnyArray)]) -> Result<Pattern> {
        let (y, x) = self.pair(what, wrt)?;
        let given: Vec<(Value, Known)> = known
            .iter()
            .map(|(i, array)| (self.inputs[*i], elements(array)))
            .collect();
        let known = |v: Value| given.iter().find(|g| g.0 == v).and_then(|g| g.1.clone());
        dependencies(&self.list, y, x, MOST_SETS, known)
    }

    /// The inputs that are integers or bools, by number.
    fn integers(&self, inputs: &dyn Feed) -> Result<Vec<(usize, AnyArray)>> {
        self.check_feed(inputs)?;
        let which = (0..self.inputs.len()).filter(|&i| !self.list.dtype(self.inputs[i]).is_float());
        which
            .map(|i| Ok((i, feed::port(inputs, i)?.to_any()?)))
            .collect()
    }

    /// Whether a Hessian is its own transpose, which rules of the user's may break.
    pub(super) fn is_symmetric(&self) -> bool {
        fn has_custom(list: &List) -> bool {
            list.values().any(|v| match list.op(v) {
                Op::Scan => has_custom(&list.scan_spec(v).body.list),
                op => op.is_custom(),
            })
        }
        !has_custom(&self.list)
    }
}

/// Elements of integers and bools.
fn elements(array: &AnyArray) -> Known {
    match array {
        AnyArray::U32(a) => Some(a.iter().map(|&x| x.into()).collect()),
        AnyArray::I64(a) => Some(Rc::from(a.as_slice())),
        AnyArray::Bool(a) => Some(a.iter().map(|&x| x.into()).collect()),
        AnyArray::F32(_) | AnyArray::F64(_) => None,
    }
}

/// How a matrix is put together from products.
pub(super) struct Colouring {
    pub direction: Direction,
    pub sources: Sources,
}

/// The cheapest colouring that takes less than `time`; of a symmetric matrix, the pattern is symmetric too.
pub(super) fn coloured(
    pattern: &Pattern,
    ways: &Ways,
    symmetric: bool,
    time: f64,
) -> Option<Colouring> {
    use Direction::{Forward, Reverse};
    let cheaper = |forward: usize, reverse: usize| {
        let [f, r] = [ways.time(Forward, forward), ways.time(Reverse, reverse)];
        if f < r { (Forward, f) } else { (Reverse, r) }
    };
    if symmetric {
        let colours = colour::star(pattern);
        let (direction, needed) = cheaper(colours.count, colours.count);
        let sources = Sources::new(&colours, colour::star_sources(pattern, &colours));
        return (needed < time).then_some(Colouring { direction, sources });
    }
    let across = pattern.transposed();
    // No colouring has fewer colours than the fullest row has places: what cannot win is not tried.
    let (first, least) = cheaper(pattern.widest(), across.widest());
    if least >= time {
        return None;
    }
    let (mut best, mut time) = (None, time);
    let second = if first == Forward { Reverse } else { Forward };
    for direction in [first, second] {
        let (rows, columns) = match direction {
            Forward => (pattern, &across),
            Reverse => (&across, pattern),
        };
        if ways.time(direction, rows.widest()) >= time {
            continue;
        }
        let colours = colour::columns(rows, columns);
        let needed = ways.time(direction, colours.count);
        if needed < time {
            (best, time) = (Some((direction, colours)), needed);
        }
    }
    let (direction, colours) = best?;
    let places = (0..pattern.rows() as u32)
        .flat_map(|i| pattern.row(i as usize).iter().map(move |&j| (i, j)));
    let sources = places.map(|(i, j)| match direction {
        Forward => (colours.of[j as usize], i),
        Reverse => (colours.of[i as usize], j),
    });
    Some(Colouring {
        direction,
        sources: Sources::new(&colours, sources),
    })
}

/// A sparse Jacobian or Hessian, ready to be replayed: see [`Program::sparse_jacobian`].
#[derive(Clone, Debug)]
pub struct SparseJacobian {
    products: Products,
    pattern: Arc<Pattern>,
    sources: Arc<Sources>,
    /// Integers and bools that the pattern was made for, by number of the input.
    known: Vec<(usize, AnyArray)>,
}

/// The memory of one running copy of a [`SparseJacobian`].
#[derive(Debug)]
pub struct SparseWorkspace<T: Float>(Seeded<T>);

impl SparseJacobian {
    /// Its places.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Which way it goes.
    pub fn direction(&self) -> Direction {
        self.products.direction
    }

    /// The number of products with a seed or tangent that it takes: colours of the pattern.
    pub fn products(&self) -> usize {
        self.sources.takes.len()
    }

    /// The program of one replay: the inputs and some seeds to as many products.
    pub fn program(&self) -> &Program {
        &self.products.program
    }

    /// Memory to run in.
    ///
    /// # Errors
    /// `T` is not the element type; there is not that much memory.
    pub fn workspace<T: Float>(&self) -> Result<SparseWorkspace<T>> {
        self.products.workspace().map(SparseWorkspace)
    }

    /// A matrix of the pattern, zero so far, for [`run_into`](Self::run_into).
    ///
    /// # Errors
    /// `T` is not the element type.
    pub fn matrix<T: Float>(&self) -> Result<Csr<T>> {
        self.products.check_type::<T>()?;
        Ok(Csr::zeros(Arc::clone(&self.pattern)))
    }

    /// Its elements at these inputs.
    ///
    /// # Errors
    /// As [`Program::run`]; `T` is not the element type; integers or bools that the pattern was not made for.
    pub fn run<T: Float>(&self, inputs: impl Feed) -> Result<Csr<T>> {
        let mut matrix = self.matrix()?;
        self.run_into(&mut self.workspace()?, inputs, &mut matrix)?;
        Ok(matrix)
    }

    /// As [`run`](Self::run), to a matrix of [`matrix`](Self::matrix). A steady state allocates nothing. After an error
    /// the matrix holds anything.
    pub fn run_into<T: Float>(
        &self,
        ws: &mut SparseWorkspace<T>,
        inputs: impl Feed,
        matrix: &mut Csr<T>,
    ) -> Result<()> {
        if !Arc::ptr_eq(&matrix.pattern, &self.pattern) && matrix.pattern != self.pattern {
            let message = format!(
                "the matrix is a {:?}, the Jacobian a {:?}; make one with `jacobian.matrix()`",
                matrix.pattern, self.pattern
            );
            return Err(Error::new(ErrorKind::Foreign, message));
        }
        self.check_known(&inputs)?;
        let (sources, values) = (&*self.sources, &mut matrix.values[..]);
        let members = |i: usize| &sources.members[i][..];
        let count = sources.takes.len();
        self.products
            .run(&mut ws.0, &inputs, count, members, |i, out| {
                for &(from, to) in &sources.takes[i] {
                    values[to] = out[from as usize];
                }
            })
    }

    /// That integers and bools are those of the pattern.
    fn check_known(&self, inputs: &dyn Feed) -> Result<()> {
        for (i, array) in &self.known {
            // What is missing or of another shape is for the program to tell.
            let Some(port) = inputs.port(*i) else {
                continue;
            };
            if port.dtype() != array.dtype()
                || port.shape() != array.shape_of()
                || port.bytes() == array.as_bytes()
            {
                continue;
            }
            let [now, then] = [port.to_any()?, array.clone()].map(|a| elements(&a));
            let (now, then) = (now.unwrap_or_default(), then.unwrap_or_default());
            let mut pairs = now.iter().zip(then.iter()).enumerate();
            if let Some((e, (now, then))) = pairs.find(|(_, (now, then))| now != then) {
                let message = format!(
                    "input {i} ({}): element {e} is {now}, but was {then} when the pattern was made; a pattern \
                     holds for the indices and masks that it was made for",
                    array.dtype()
                );
                return Err(Error::new(ErrorKind::Inputs, message));
            }
        }
        Ok(())
    }
}
