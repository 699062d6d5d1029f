//! Dense Jacobians and Hessians, by as many products as one side has elements, or as its pattern has colours.

use std::sync::Arc;

use retrograde_storage::{Array, Shape};

use super::Program;
use super::feed::Feed;
pub use super::products::Direction;
use super::products::Products;
use super::sparse::coloured;
use crate::error::{Error, Result};
use crate::sparse::{Sources, dependencies};
use crate::var::Float;

/// Sides of fewer elements are not worth a pattern.
const FEWEST: usize = 4;

/// Different sets of elements in a pattern that is only to save products: some 10 MB and as many milliseconds.
const MOST_SETS: usize = 1 << 20;

/// The dense Jacobian of a program's first output with respect to one input, ready to be replayed: see
/// [`Program::jacobian`].
#[derive(Clone, Debug)]
pub struct Jacobian {
    products: Products,
    /// What products of seeds that add several rows or columns hold; none where each has one of its own.
    sources: Option<Arc<Sources>>,
    output: Shape,
    input: Shape,
}

impl Program {
    /// The Jacobian of the first output with respect to input `wrt`: by reverse sweeps, one for each output element, or
    /// by forward ones, one for each input element, whichever [`cost`](Self::cost) says is cheaper. Where its
    /// [pattern](Self::pattern) shows columns (or rows) that do not overlap, they share a sweep. For the sparse matrix
    /// itself see [`sparse_jacobian`](Self::sparse_jacobian).
    ///
    /// ```
    /// use retrograde_graph::Program;
    /// use retrograde_storage::Array;
    /// # fn main() -> retrograde_graph::Result<()> {
    /// let x = Array::<f64>::from([1.0, 2.0]);
    /// let f = Program::record(&[x.clone()], |_, [x]| x * x.sum())?;
    /// let j: Array<f64> = f.jacobian(0)?.run(&[&x])?;
    /// assert_eq!(j, Array::<f64>::from([[4.0, 1.0], [2.0, 5.0]]));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The first output is not a float; there is no such input, or it is of another type than the output.
    pub fn jacobian(&self, wrt: usize) -> Result<Jacobian> {
        self.dense("jacobian", wrt, false)
    }

    /// The Hessian of the first output (a scalar) with respect to input `wrt`: the Jacobian of its gradient. Columns
    /// share a product where its pattern allows; for the sparse matrix see [`sparse_hessian`](Self::sparse_hessian).
    pub fn hessian(&self, wrt: usize) -> Result<Jacobian> {
        self.gradient_of("hessian", wrt)?
            .dense("hessian", wrt, true)
    }

    fn dense(&self, what: &str, wrt: usize, is_hessian: bool) -> Result<Jacobian> {
        let (y, x) = self.recorded.pair(what, wrt)?;
        let list = &self.recorded.list;
        let (output, input) = (list.shape(y), list.shape(x));
        let ways = self.ways(y, x)?;
        let each = [
            (Direction::Reverse, output.len()),
            (Direction::Forward, input.len()),
        ];
        let [reverse, forward] = each.map(|(way, n)| ways.time(way, n));
        let (direction, count) = if forward < reverse { each[1] } else { each[0] };
        let time = forward.min(reverse);
        // A pattern that cannot be had, for it is too large, saves nothing.
        let pattern = (output.len().min(input.len()) >= FEWEST)
            .then(|| dependencies(list, y, x, MOST_SETS, |_| None).ok())
            .flatten();
        let symmetric = is_hessian && self.recorded.is_symmetric();
        let better = pattern.and_then(|mut pattern| {
            if symmetric {
                pattern = pattern.symmetric();
            }
            let found = coloured(&pattern, &ways, symmetric, time)?;
            let places = (0..pattern.rows()).flat_map(|i| {
                pattern
                    .row(i)
                    .iter()
                    .map(move |&j| i * input.len() + j as usize)
            });
            let places: Vec<usize> = places.collect();
            Some((found.direction, found.sources.placed(&places)))
        });
        let (direction, count, sources) = match better {
            Some((direction, sources)) => (direction, sources.takes.len(), Some(Arc::new(sources))),
            None => (direction, count, None),
        };
        Ok(Jacobian {
            products: self.products((y, x), ways, direction, count)?,
            sources,
            output,
            input,
        })
    }
}

impl Jacobian {
    /// Which way it goes.
    pub fn direction(&self) -> Direction {
        self.products.direction
    }

    /// The number of products with a seed or tangent that it takes: elements of one side, or fewer where several share
    /// one.
    pub fn products(&self) -> usize {
        match (&self.sources, self.direction()) {
            (Some(sources), _) => sources.takes.len(),
            (None, Direction::Reverse) => self.output.len(),
            (None, Direction::Forward) => self.input.len(),
        }
    }

    /// The program of one replay: the inputs and some seeds to as many rows, or the inputs and tangents to columns.
    pub fn program(&self) -> &Program {
        &self.products.program
    }

    /// Its elements at these inputs. Shape: the output's extents, then the input's.
    ///
    /// # Errors
    /// As [`Program::run`]; `T` is not the element type; more than [`MAX_RANK`](retrograde_storage::MAX_RANK) extents.
    pub fn run<T: Float>(&self, inputs: impl Feed) -> Result<Array<T>> {
        let mut ws = self.products.workspace::<T>()?;
        let (m, n) = (self.output.len(), self.input.len());
        let dims = [self.output.dims(), self.input.dims()].concat();
        let mut jacobian = Array::<T>::try_zeros(dims).map_err(|e| {
            let e = Error::from(e);
            let (y, x) = (self.output, self.input);
            let message = format!(
                "the Jacobian of {y} by {x}: {e}; try `flatten` on the output or the input"
            );
            Error::new(e.kind(), message)
        })?;
        let data = jacobian.as_mut_slice();
        let count = self.products();
        let Some(sources) = &self.sources else {
            let units: Vec<u32> = (0..count as u32).collect();
            let unit = |i: usize| std::slice::from_ref(&units[i]);
            let direction = self.direction();
            self.products
                .run(&mut ws, &inputs, count, unit, |i, out| match direction {
                    Direction::Reverse => data[i * n..][..n].copy_from_slice(out),
                    Direction::Forward => {
                        let column = data.iter_mut().skip(i).step_by(n);
                        column.zip(&out[..m]).for_each(|(to, &x)| *to = x);
                    }
                })?;
            return Ok(jacobian);
        };
        // Places are numbered by (row, column).
        let members = |i: usize| &sources.members[i][..];
        self.products
            .run(&mut ws, &inputs, count, members, |i, out| {
                for &(from, to) in &sources.takes[i] {
                    data[to] = out[from as usize];
                }
            })?;
        Ok(jacobian)
    }
}

/// Dense Jacobian of a program's first output with respect to one input, at `inputs`. Shape: output's, then input's
/// extents. To evaluate it more than once, or for inputs of several types, keep [`Program::jacobian`].
pub fn jacobian<T: Float>(program: &Program, inputs: &[&Array<T>], wrt: usize) -> Result<Array<T>> {
    program.jacobian(wrt)?.run(inputs)
}

/// Dense Hessian of a program's first output (a scalar) with respect to one input, at `inputs`: a Jacobian of its
/// gradient. To evaluate it more than once, keep [`Program::hessian`].
pub fn hessian<T: Float>(program: &Program, inputs: &[&Array<T>], wrt: usize) -> Result<Array<T>> {
    program.hessian(wrt)?.run(inputs)
}
