//! Values defined by equations: roots and fixed points, differentiated by the implicit function theorem.
//!
//! The value is found while a run evaluates it, by replaying a program of one step; it is a [custom operation](crate::custom)
//! whose derivative is recorded in terms of the equation. Nothing of the iteration is kept or differentiated, and since
//! the derivative is made of operations on the solution itself, it has derivatives of any order.

use std::panic::Location;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use retrograde_storage::{Array, ArrayRef, Shape};

use crate::custom::CustomOp;
use crate::error::{Fault, Result};
use crate::infer;
use crate::list::{List, Value};
use crate::op::{Attr, Op};
use crate::program::Program;
use crate::program::run::Workspace;
use crate::rules;
use crate::run::options::Options;
use crate::var::{AnyVar, Float, Var};

/// Unknowns at most: their Jacobian is recorded row by row.
const MOST_UNKNOWNS: usize = 512;

type Function<T> = dyn for<'t> Fn(Var<'t, T>, &[Var<'t, T>]) -> Var<'t, T> + Send + Sync;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Root,
    FixedPoint,
}

/// An equation that defines a value `x` in terms of parameters: made by [`root`] and [`fixed_point`].
///
/// It is solved when a run evaluates it, again in every replay. One that does not converge is an error of that run, of
/// kind [`ErrorKind::Custom`](crate::ErrorKind::Custom), with the iterations and the residual.
pub struct Implicit<T: Float = f64> {
    equation: Equation<T>,
    op: OnceLock<CustomOp<T>>,
}

#[derive(Clone)]
struct Equation<T: Float> {
    kind: Kind,
    f: Arc<Function<T>>,
    tolerance: f64,
    iterations: usize,
}

/// `x` with `f(x, theta) = 0`, by Newton's method from a first guess; `f` gives as many numbers as `x` has. Its
/// derivative is `dx/dtheta = -(df/dx)^-1 df/dtheta`.
///
/// ```
/// use retrograde_graph::{Tape, implicit};
/// use retrograde_storage::Array;
/// # fn main() -> retrograde_graph::Result<()> {
/// let root = implicit::root(|x, theta| x.square() - theta[0]);
/// let tape = Tape::new();
/// let a = tape.variable(Array::from([4.0_f64, 9.0]));
/// let x = root.solve(tape.rec().ones([2]), &[a]);
/// x.value()?.assert_close(&Array::from([2.0, 3.0]), 1e-12, 1e-12);
/// let [g] = x.sum().grad_of([a]);
/// g.value()?.assert_close(&Array::from([1.0 / 4.0, 1.0 / 6.0]), 1e-12, 1e-12);
/// let [h] = g.sum().grad_of([a]);
/// h.value()?.assert_close(&Array::from([-1.0 / 32.0, -1.0 / 108.0]), 1e-12, 1e-12);
/// # Ok(()) }
/// ```
pub fn root<T: Float>(
    f: impl for<'t> Fn(Var<'t, T>, &[Var<'t, T>]) -> Var<'t, T> + Send + Sync + 'static,
) -> Implicit<T> {
    Implicit::new(Kind::Root, Arc::new(f), 50)
}

/// `x` with `x = f(x, theta)`, by repeating `x <- f(x, theta)` from a first guess. Its derivative is that of the root of
/// `f(x, theta) - x`.
///
/// ```
/// use retrograde_graph::{Tape, implicit};
/// use retrograde_storage::Array;
/// # fn main() -> retrograde_graph::Result<()> {
/// let kepler = implicit::fixed_point(|x, theta| theta[0] + theta[1] * x.sin());
/// let tape = Tape::new();
/// let [mean, eccentricity] = [1.0_f64, 0.1].map(|x| tape.variable(Array::scalar(x)));
/// let x = kepler.solve(mean, &[mean, eccentricity]);
/// assert!((x - eccentricity * x.sin() - mean).item()?.abs() < 1e-9);
/// let [g] = x.grad_of([mean]);
/// assert!(((g * (1.0 - eccentricity * x.cos())).item()? - 1.0).abs() < 1e-9);
/// # Ok(()) }
/// ```
pub fn fixed_point<T: Float>(
    f: impl for<'t> Fn(Var<'t, T>, &[Var<'t, T>]) -> Var<'t, T> + Send + Sync + 'static,
) -> Implicit<T> {
    Implicit::new(Kind::FixedPoint, Arc::new(f), 1000)
}

impl<T: Float> std::fmt::Debug for Implicit<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Equation {
            tolerance,
            iterations,
            ..
        } = self.equation;
        write!(
            f,
            "{:?} to {tolerance:e} in {iterations} iterations",
            self.equation.kind
        )
    }
}

impl<T: Float> Implicit<T> {
    fn new(kind: Kind, f: Arc<Function<T>>, iterations: usize) -> Self {
        let tolerance = if size_of::<T>() == 8 { 1e-10 } else { 1e-5 };
        Self {
            equation: Equation {
                kind,
                f,
                tolerance,
                iterations,
            },
            op: OnceLock::new(),
        }
    }

    /// The same with another bound on the residual, the largest of `|f(x)|` or of `|f(x) - x|`: 1e-10 unless said, 1e-5
    /// of `f32`. The step from where it is met is still taken.
    #[must_use]
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.equation.tolerance = tolerance;
        self.op = OnceLock::new();
        self
    }

    /// The same with another number of iterations at most: 50 of Newton's method, 1000 of a fixed point unless said.
    #[must_use]
    pub fn iterations(mut self, iterations: usize) -> Self {
        self.equation.iterations = iterations;
        self.op = OnceLock::new();
        self
    }

    /// The solution near a first guess of its shape, at these parameters. It has derivatives with respect to the
    /// parameters, none with respect to the guess.
    #[track_caller]
    pub fn solve<'t>(&self, guess: Var<'t, T>, parameters: &[Var<'t, T>]) -> Var<'t, T> {
        let op = self.op.get_or_init(|| self.equation.operation());
        let inputs: Vec<Var<'t, T>> = [guess]
            .into_iter()
            .chain(parameters.iter().copied())
            .collect();
        op.record(guess.rec(), &inputs)
    }
}

impl<T: Float> Equation<T> {
    /// What must be zero.
    #[track_caller]
    fn residual<'t>(&self, x: Var<'t, T>, parameters: &[Var<'t, T>]) -> Var<'t, T> {
        let y = (self.f)(x, parameters);
        let y = match self.kind {
            Kind::Root => y,
            Kind::FixedPoint => y - x,
        };
        y.rec().apply(self.name(), &[y.into(), x.into()], |s| {
            infer::equal_shapes(&s.list, y.id, x.id)?;
            Ok(y.id)
        })
    }

    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Root => "root",
            Kind::FixedPoint => "fixed_point",
        }
    }

    fn operation(&self) -> CustomOp<T> {
        let (forward, rule) = (self.clone(), self.clone());
        let solvers: Mutex<Vec<Arc<Solver>>> = Mutex::default();
        CustomOp::new(
            self.name(),
            move |inputs: &[ArrayRef<'_, T>], out: &mut [T]| forward.iterate(inputs, &solvers, out),
        )
        .derivative(move |inputs, x, g| rule.derivative(inputs, x, g))
    }

    /// `-(df/dtheta)^T (df/dx)^-T g` for every parameter, zeros for the guess.
    fn derivative<'t>(
        &self,
        inputs: &[Var<'t, T>],
        x: Var<'t, T>,
        g: Var<'t, T>,
    ) -> Vec<Var<'t, T>> {
        let parameters = &inputs[1..];
        let residual = self.residual(x, parameters);
        let weights = jacobian(residual, x).t().solve(g.flatten());
        let operands: Vec<AnyVar<'t>> = parameters
            .iter()
            .chain([&residual, &weights])
            .map(|&v| v.into())
            .collect();
        let wrt: Vec<Value> = parameters.iter().map(|v| v.id).collect();
        let rec = x.rec();
        let mut gradients = Vec::new();
        let checked: Var<'t, T> = rec.apply(self.name(), &operands, |s| {
            let l = &mut s.list;
            let seed = l.reshape(weights.id, l.shape(residual.id));
            let seed = l.neg(seed);
            gradients = zeros_for_none(l, residual.id, seed, &wrt)?;
            Ok(seed)
        });
        let own = |i: usize| gradients.get(i).map_or(checked, |&g| rec.var(g));
        let guess = inputs[0] * T::default();
        [guess]
            .into_iter()
            .chain((0..parameters.len()).map(own))
            .collect()
    }

    /// Iterates from the first input; writes the solution to `out`.
    fn iterate(
        &self,
        inputs: &[ArrayRef<'_, T>],
        solvers: &Mutex<Vec<Arc<Solver>>>,
        out: &mut [T],
    ) -> Result<(), String> {
        let shapes: Vec<Shape> = inputs.iter().map(ArrayRef::shape_of).collect();
        let mut known = solvers.lock().unwrap_or_else(PoisonError::into_inner);
        let solver = known.iter().find(|s| s.shapes == shapes).cloned();
        let solver = match solver {
            Some(solver) => solver,
            None => {
                let solver = Arc::new(self.solver(shapes).map_err(|e| e.to_string())?);
                known.push(Arc::clone(&solver));
                solver
            }
        };
        drop(known);
        let mut packed: Vec<T> = inputs.iter().flat_map(|x| x.iter().copied()).collect();
        let total = packed.len();
        let spaces = || solver.spaces.lock().unwrap_or_else(PoisonError::into_inner);
        let spare = spaces().pop();
        let mut space = match spare {
            Some(space) => space,
            None => solver.program.workspace().map_err(|e| e.to_string())?,
        };
        let mut last = f64::NAN;
        for iteration in 0..self.iterations {
            let input = ArrayRef::new(&packed, [total]).map_err(|e| e.to_string())?;
            let run = solver.program.run(&mut space, [input]);
            let outputs = run.map_err(|e| format!("in iteration {iteration}: {e}"))?;
            last = outputs.item::<T>(1).map_err(|e| e.to_string())?.to_f64();
            let next = outputs.slice::<T>(0).map_err(|e| e.to_string())?;
            if !last.is_finite() {
                return Err(format!(
                    "iteration {iteration} has left the numbers: its residual is {last}"
                ));
            }
            packed[..out.len()].copy_from_slice(next);
            if last <= self.tolerance {
                out.copy_from_slice(next);
                spaces().push(space);
                return Ok(());
            }
        }
        Err(format!(
            "no convergence in {} iterations: the residual is {last:e}, not {:e}",
            self.iterations, self.tolerance
        ))
    }

    /// The program of one step: of all inputs in one vector, the next `x` and the residual before it.
    fn solver(&self, shapes: Vec<Shape>) -> Result<Solver> {
        let total: usize = shapes.iter().map(Shape::len).sum();
        let example = [Array::<T>::try_zeros([total])?];
        let program = Program::try_record(&example, |_, [all]| {
            let mut start = 0;
            let parts: Vec<Var<'_, T>> = shapes
                .iter()
                .map(|shape| {
                    let part = all.narrow(0, start, shape.len()).reshape(shape.dims());
                    start += shape.len();
                    part
                })
                .collect();
            let (x, parameters) = (parts[0], &parts[1..]);
            let residual = self.residual(x, parameters);
            let step = match self.kind {
                Kind::Root => -jacobian(residual, x).solve(residual.flatten()),
                Kind::FixedPoint => residual.flatten(),
            };
            Ok([x.flatten() + step, residual.abs().max()].into())
        })?;
        let options = Options {
            threads: 1,
            ..program.options()
        };
        Ok(Solver {
            program: program.with_options(options)?,
            shapes,
            spaces: Mutex::default(),
        })
    }
}

/// One step at certain shapes, with workspaces that are not in use.
struct Solver {
    shapes: Vec<Shape>,
    program: Program,
    spaces: Mutex<Vec<Workspace>>,
}

/// Gradients of `of`, zeros where there is no influence.
fn zeros_for_none(
    list: &mut List,
    of: Value,
    seed: Value,
    wrt: &[Value],
) -> Result<Vec<Value>, Fault> {
    let found = rules::reverse(list, of, seed, wrt);
    list.refused()
        .map_err(|e| Fault::new(e.kind(), e.to_string()))?;
    let pairs = wrt.iter().zip(found);
    Ok(pairs
        .map(|(&w, g)| g.unwrap_or_else(|| list.zeros_like(w)))
        .collect())
}

/// The Jacobian of `y` with respect to `x`, `[n, n]`: a reverse sweep for each row.
#[track_caller]
fn jacobian<'t, T: Float>(y: Var<'t, T>, x: Var<'t, T>) -> Var<'t, T> {
    let at = Location::caller();
    y.rec().apply("jacobian", &[y.into(), x.into()], |s| {
        let l = &mut s.list;
        let (shape, n) = (l.shape(y.id), l.shape(x.id).len());
        if n > MOST_UNKNOWNS {
            let reason =
                format!("there are {n} unknowns, no more than {MOST_UNKNOWNS} are possible");
            return Err(infer::argument(reason));
        }
        l.set_location(Some(at));
        let line = infer::shape(&[1, n])?;
        let one = l.filled(1.0, T::DTYPE, infer::shape(&[1])?);
        let mut rows = Vec::with_capacity(n);
        for i in 0..n {
            let unit = l.widen(one, 0, i, infer::shape(&[n])?);
            let unit = l.reshape(unit, shape);
            let row = zeros_for_none(l, y.id, unit, &[x.id])?[0];
            rows.push(l.reshape(row, line));
        }
        let square = infer::shape(&[n, n])?;
        if n == 0 {
            return Ok(l.filled(0.0, T::DTYPE, square));
        }
        Ok(l.push(Op::Concat, &rows, Attr::axis(0, false), square, T::DTYPE))
    })
}
