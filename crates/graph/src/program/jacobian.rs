//! Dense Jacobians and Hessians, by as many replays as one side has elements.

use retrograde_storage::{Array, Shape};

use super::feed::{Extended, Feed};
use super::{Program, Recorded};
use crate::error::{Error, ErrorKind, Result};
use crate::var::Float;

/// What a replay takes beside its instructions, in nanoseconds, to the order of magnitude: it decides between many
/// replays of a short program and few of a long one, which differ by more than that wherever it matters.
const REPLAY_NS: f64 = 300.0;

/// Which way derivatives are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From inputs to outputs, one input element at a time.
    Forward,
    /// From outputs to inputs, one output element at a time.
    Reverse,
}

/// The dense Jacobian of a program's first output with respect to one input, ready to be replayed: see
/// [`Program::jacobian`].
#[derive(Clone, Debug)]
pub struct Jacobian {
    /// Inputs and a seed or tangent, to a row or column.
    program: Program,
    direction: Direction,
    output: Shape,
    input: Shape,
}

impl Program {
    /// The Jacobian of the first output with respect to input `wrt`: by reverse sweeps, one for each output element, or
    /// by forward ones, one for each input element, whichever [`cost`](Self::cost) says is cheaper.
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
        let (y, x) = self.recorded.pair("jacobian", wrt)?;
        let list = &self.recorded.list;
        let (output, input) = (list.shape(y), list.shape(x));
        let reverse = self.derive(|r| {
            let (mut new, rows) = r.pullback(y, &[x]);
            new.outputs = rows;
            Ok(new)
        })?;
        let forward = self.derive(|r| {
            let (mut new, columns) = r.pushforward(&[y], &[x]);
            new.outputs = columns;
            Ok(new)
        });
        let forward = match forward {
            // Through a custom operation that has a rule for reverse sweeps alone.
            Err(e) if e.kind() == ErrorKind::Custom => None,
            other => Some(other?),
        };
        let time =
            |program: &Self, replays: usize| (program.cost_ns() + REPLAY_NS) * replays as f64;
        let (program, direction) = match forward {
            Some(forward) if time(&forward, input.len()) < time(&reverse, output.len()) => {
                (forward, Direction::Forward)
            }
            _ => (reverse, Direction::Reverse),
        };
        Ok(Jacobian {
            program,
            direction,
            output,
            input,
        })
    }

    /// The Hessian of the first output (a scalar) with respect to input `wrt`: the Jacobian of its gradient.
    pub fn hessian(&self, wrt: usize) -> Result<Jacobian> {
        self.recorded.pair("hessian", wrt)?;
        self.value_and_grad_of(&[wrt])?.output(1)?.jacobian(wrt)
    }
}

impl Recorded {
    /// The first output and an input of its type.
    fn pair(&self, what: &str, wrt: usize) -> Result<(crate::list::Value, crate::list::Value)> {
        let y = self.float_output(what)?;
        let Some(&x) = self.inputs.get(wrt) else {
            let message = format!(
                "{what}: input {wrt} does not exist, the program has {}",
                self.inputs.len()
            );
            return Err(Error::new(ErrorKind::Inputs, message));
        };
        let (of, dtype) = (self.list.dtype(y), self.list.dtype(x));
        if of != dtype {
            let message = format!("{what}: input {wrt} is {dtype}, the output is {of}");
            return Err(Error::new(ErrorKind::DType, message));
        }
        Ok((y, x))
    }
}

impl Jacobian {
    /// Which way it goes.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// The program of one replay: the inputs and a seed to a row, or the inputs and a tangent to a column.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Its elements at these inputs. Shape: the output's extents, then the input's.
    ///
    /// # Errors
    /// As [`Program::run`]; `T` is not the element type; more than [`MAX_RANK`](retrograde_storage::MAX_RANK) extents.
    pub fn run<T: Float>(&self, inputs: impl Feed) -> Result<Array<T>> {
        if self.program.output_dtype(0) != Some(T::DTYPE) {
            let message = format!("the Jacobian is not of {}", T::DTYPE);
            return Err(Error::new(ErrorKind::DType, message));
        }
        let (m, n) = (self.output.len(), self.input.len());
        let dims = [self.output.dims(), self.input.dims()].concat();
        let mut jacobian = Array::<T>::try_zeros(dims)?;
        let data = jacobian.as_mut_slice();
        let (replays, each) = match self.direction {
            Direction::Reverse => (m, self.output),
            Direction::Forward => (n, self.input),
        };
        let mut ws = self.program.workspace()?;
        ws.set_repeat(true);
        let mut unit = [Array::<T>::try_zeros(each)?];
        for i in 0..replays {
            unit[0].as_mut_slice()[i] = T::of(1.0);
            let feed = Extended {
                base: &inputs,
                extra: &unit,
            };
            let out = self.program.run(&mut ws, feed)?.array::<T>(0)?;
            unit[0].as_mut_slice()[i] = T::default();
            match self.direction {
                Direction::Reverse => data[i * n..][..n].copy_from_slice(out.as_slice()),
                Direction::Forward => {
                    let column = data.iter_mut().skip(i).step_by(n);
                    column.zip(out.as_slice()).for_each(|(to, &x)| *to = x);
                }
            }
        }
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
