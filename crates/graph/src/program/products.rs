//! Products of a Jacobian with many seeds: which way, how many a replay, and the replays.

use retrograde_storage::{Array, Shape};

use super::feed::{Extended, Feed};
use super::run::{Workspace, check_count};
use super::{Program, Recorded};
use crate::error::{Error, ErrorKind, Result};
use crate::list::Value;
use crate::var::Float;

/// What a replay takes beside its instructions, in nanoseconds, to the order of magnitude: it decides between many
/// replays of a short program and few of a long one, which differ by more than that wherever it matters.
const REPLAY_NS: f64 = 300.0;

/// Seeds of one replay at most. All of them share what the function itself computes, and the replay. Measured with 8
/// against one a replay, one thread: a band of 100 elements 6.8 us against 12.0, two layers of 64 units 89 against 328,
/// 12 chains of scalars 14.5 (6 a replay) against 28.
const MOST_SEEDS: usize = 8;

/// Instructions of a program with several seeds at most: compilation takes some microsecond for each.
const MOST_INSTRUCTIONS: usize = 100_000;

/// Bytes of the arena of a program with several seeds at most, unless one seed takes more: beyond the caches a second
/// seed saves little and takes its memory.
const MOST_BYTES: usize = 8 << 20;

/// Which way derivatives are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From inputs to outputs, one input element at a time.
    Forward,
    /// From outputs to inputs, one output element at a time.
    Reverse,
}

/// The program of one product each way; no forward one through a custom operation that has a rule for reverse sweeps
/// alone.
pub(super) struct Ways {
    reverse: Program,
    forward: Option<Program>,
}

impl Ways {
    /// Estimated time of so many products.
    pub(super) fn time(&self, direction: Direction, products: usize) -> f64 {
        let program = match direction {
            Direction::Reverse => Some(&self.reverse),
            Direction::Forward => self.forward.as_ref(),
        };
        program.map_or(f64::INFINITY, |p| {
            (p.cost_ns() + REPLAY_NS) * products as f64
        })
    }

    fn of(self, direction: Direction) -> Program {
        match (direction, self.forward) {
            (Direction::Forward, Some(forward)) => forward,
            _ => self.reverse,
        }
    }
}

/// A program that takes the inputs and some seeds, and gives a product of the Jacobian with each.
#[derive(Clone, Debug)]
pub(super) struct Products {
    pub program: Program,
    pub direction: Direction,
    /// Seeds of a replay.
    pub seeds: usize,
    /// Shape of a seed.
    pub each: Shape,
}

/// What replays of [`Products`] need.
#[derive(Debug)]
pub(super) struct Seeded<T: Float> {
    ws: Workspace,
    seeds: Vec<Array<T>>,
}

impl Program {
    /// Both ways to differentiate `y` by `x`.
    pub(super) fn ways(&self, y: Value, x: Value) -> Result<Ways> {
        let reverse = self.derive(|r| Ok(r.products(y, x, Direction::Reverse, 1)))?;
        let forward = self.derive(|r| Ok(r.products(y, x, Direction::Forward, 1)));
        let forward = match forward {
            Err(e) if e.kind() == ErrorKind::Custom => None,
            other => Some(other?),
        };
        Ok(Ways { reverse, forward })
    }

    /// Products that way, several a replay where that is cheaper for `count` of them.
    pub(super) fn products(
        &self,
        (y, x): (Value, Value),
        ways: Ways,
        direction: Direction,
        count: usize,
    ) -> Result<Products> {
        let list = &self.recorded.list;
        let each = match direction {
            Direction::Reverse => list.shape(y),
            Direction::Forward => list.shape(x),
        };
        let one = Products {
            program: ways.of(direction),
            direction,
            seeds: 1,
            each,
        };
        let mut seeds = MOST_SEEDS.min(count);
        // As few replays as with the most seeds, and no seed for nothing.
        seeds = count.div_ceil(count.div_ceil(seeds.max(1)).max(1));
        while seeds > 1 {
            let room = one.program.arena_bytes() * seeds <= MOST_BYTES;
            if room && one.program.len() * seeds <= MOST_INSTRUCTIONS {
                let time = |p: &Program| p.cost_ns() + REPLAY_NS;
                match self.derive(|r| Ok(r.products(y, x, direction, seeds))) {
                    Ok(program) if time(&program) < time(&one.program) * seeds as f64 => {
                        return Ok(Products {
                            program,
                            seeds,
                            ..one
                        });
                    }
                    // Beyond a budget of memory that one seed keeps.
                    Err(e) if e.kind() != ErrorKind::Memory => return Err(e),
                    Ok(_) | Err(_) => {}
                }
            }
            seeds /= 2;
        }
        Ok(one)
    }
}

impl Recorded {
    /// Appends `seeds` inputs and their products with the Jacobian of `y` by `x`, which are the outputs then.
    fn products(&self, y: Value, x: Value, direction: Direction, seeds: usize) -> Self {
        let mut new = self.clone();
        new.outputs.clear();
        for i in 0..seeds {
            let from = if i == 0 { self } else { &new };
            let (mut next, products) = match direction {
                Direction::Reverse => from.pullback(y, &[x]),
                Direction::Forward => from.pushforward(&[y], &[x]),
            };
            next.primal = self.list.len();
            next.outputs.clone_from(&new.outputs);
            next.outputs.extend(products);
            new = next;
        }
        new
    }

    /// The first output and an input of its type.
    pub(super) fn pair(&self, what: &str, wrt: usize) -> Result<(Value, Value)> {
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

impl Products {
    /// That its elements are of this type.
    pub(super) fn check_type<T: Float>(&self) -> Result<()> {
        if self.program.output_dtype(0) != Some(T::DTYPE) {
            let message = format!("the Jacobian is not of {}", T::DTYPE);
            return Err(Error::new(ErrorKind::DType, message));
        }
        Ok(())
    }

    /// Memory to run in.
    pub(super) fn workspace<T: Float>(&self) -> Result<Seeded<T>> {
        self.check_type::<T>()?;
        let seeds = (0..self.seeds).map(|_| Array::<T>::try_zeros(self.each));
        let seeds = seeds.collect::<Result<_, _>>()?;
        let mut ws = self.program.workspace()?;
        ws.set_repeat(true);
        Ok(Seeded { ws, seeds })
    }

    /// Runs `count` products, of seeds that are 1 at `members` and 0 elsewhere; `take` is given each product's elements.
    pub(super) fn run<'m, T: Float>(
        &self,
        ws: &mut Seeded<T>,
        inputs: &dyn Feed,
        count: usize,
        members: impl Fn(usize) -> &'m [u32],
        mut take: impl FnMut(usize, &[T]),
    ) -> Result<()> {
        // Seeds are ours, so that an error is of the inputs alone.
        let inputs_taken = self.program.recorded.inputs.len() - self.seeds;
        check_count(inputs_taken, inputs)?;
        for first in (0..count).step_by(self.seeds) {
            let some = first..count.min(first + self.seeds);
            let set = |ws: &mut Seeded<T>, to: T| {
                for (i, seed) in some.clone().zip(&mut ws.seeds) {
                    let seed = seed.as_mut_slice();
                    members(i).iter().for_each(|&e| seed[e as usize] = to);
                }
            };
            set(ws, T::of(1.0));
            let feed = Extended {
                base: inputs,
                extra: &ws.seeds,
            };
            let ran = self.program.run(&mut ws.ws, feed).and_then(|out| {
                for (k, i) in some.clone().enumerate() {
                    take(i, out.floats(k)?);
                }
                Ok(())
            });
            set(ws, T::default());
            ran?;
        }
        Ok(())
    }
}
