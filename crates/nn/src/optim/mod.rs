//! Optimisers.
//!
//! Each has two forms of the same step. [`minimise`](Optimiser::minimise) hands the rule to the engine, which compiles
//! forward, reverse and update into one program. [`update`](Optimiser::update) is a loop over the table's columns, for
//! gradients that something happened to in between: clipping, accumulation, a sum across machines.
//!
//! # Settings
//!
//! Learning rates (times the schedule's factor) and weight decays must be finite and not negative, and each rule says
//! what its own numbers must be. Others are an error of the next step, of kind [`ErrorKind::Setting`], which changes
//! nothing: the optimiser can be corrected and go on.
//!
//! ```
//! use retrograde_nn::prelude::*;
//! let mut params = Params::new();
//! let w = params.insert("w", Array::ones([2]));
//! let mut adam = Adam::new(-0.1);
//! let mut tape = Tape::new();
//! let loss = tape.train(&mut params).param::<f32>(w).sum();
//! let error = adam.minimise(loss).unwrap_err();
//! assert!(error.to_string().contains("a learning rate must be finite and not negative, but it is -0.1"));
//! adam.set_learning_rate(0.1);
//! let loss = tape.train(&mut params).param::<f32>(w).sum();
//! adam.minimise(loss)?;
//! # Ok::<(), Error>(())
//! ```
//!
//! # Exceptions near zero
//!
//! Gradients with `|g| <= 1e-17` and moments with `|m| <= 1e-36` count as zero, in both forms and both element types.
//! Smaller moments would decay into `f32` subnormals, on which processors are up to a hundred times slower; a gradient
//! of 1e-17 is the smallest whose square, weighted by `1 - beta2 = 0.001`, is a normal number. NaN is kept.

mod adam;
mod sgd;

pub use adam::{Adam, AdamRule, AdamW};
pub use sgd::{Sgd, SgdRule};

use std::fmt;
use std::panic::Location;

use retrograde::{Error, ErrorKind, Float, Gradients, Params, Result, Update, UpdateRule, Var};

use crate::Schedule;

/// Gradients smaller than this count as zero.
pub const GRADIENT_FLOOR: f64 = 1e-17;
/// Moments smaller than this count as zero.
pub const MOMENT_FLOOR: f64 = 1e-36;

/// What a step is taken with: the hyper-parameters of one group at one time.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Learning rate, schedule included.
    pub learning_rate: f64,
    /// Weight decay.
    pub decay: f64,
    /// Number of the step, from 1.
    pub step: u64,
}

/// How one parameter follows its gradient: as recorded instructions, and as a loop.
pub trait Rule: Clone {
    /// Checks the rule's own numbers, as elements of type `T` will hold them, before every step.
    fn check<T: Float>(&self) -> Result<()> {
        Ok(())
    }
    /// State columns.
    fn columns(&self) -> usize;
    /// Tells apart rules that record different instructions.
    fn identity(&self) -> u64;
    /// The numbers of a step, all of them: a literal in [`record`](Self::record) would be frozen into the program.
    fn scalars(&self, rates: Rates, to: &mut Vec<f64>);
    /// Records the next value and state.
    fn record<'t, T: Float>(&self, of: Update<'_, 't, T>) -> (Var<'t, T>, Vec<Var<'t, T>>);
    /// The same on slices of one parameter, in place.
    fn apply<T: Float>(&self, scalars: &[T], value: &mut [T], grad: &[T], state: &mut [&mut [T]]);
}

#[derive(Clone, Copy, Debug)]
struct Group {
    number: u32,
    learning_rate: f64,
    decay: f64,
}

/// A rule with its learning rates, schedule and step count: [`Sgd`], [`Adam`], [`AdamW`].
#[derive(Clone, Debug)]
pub struct Optimiser<R> {
    rule: R,
    learning_rate: f64,
    decay: f64,
    groups: Vec<Group>,
    schedule: Schedule,
    steps: u64,
}

impl<R: Rule> Optimiser<R> {
    fn with_rule(rule: R, learning_rate: f64, decay: f64) -> Self {
        Self {
            rule,
            learning_rate,
            decay,
            groups: Vec::new(),
            schedule: Schedule::constant(),
            steps: 0,
        }
    }

    /// Weight decay of all parameters whose group has no own.
    #[must_use]
    pub fn weight_decay(mut self, decay: f64) -> Self {
        self.decay = decay;
        self
    }
    /// Learning rate and weight decay of a group of parameters (see [`Params::set_group`]).
    #[must_use]
    pub fn group(mut self, number: u32, learning_rate: f64, decay: f64) -> Self {
        self.groups.retain(|g| g.number != number);
        self.groups.push(Group {
            number,
            learning_rate,
            decay,
        });
        self
    }
    /// A factor on every learning rate, by step.
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }
    /// Another learning rate from now on, for parameters whose group has no own. Compiles nothing.
    pub fn set_learning_rate(&mut self, learning_rate: f64) {
        self.learning_rate = learning_rate;
    }
    /// The learning rate of a group's next step, schedule included.
    pub fn learning_rate(&self, group: u32) -> f64 {
        self.rates(group).learning_rate
    }
    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Checks everything a step is taken with.
    fn check<T: Float>(&self) -> Result<()> {
        self.rule.check::<T>()?;
        let factor = self.schedule.factor(self.steps);
        let rates = |rate: f64, decay: f64, of: fmt::Arguments<'_>| {
            not_negative::<T>(format_args!("a learning rate{of}"), rate)?;
            not_negative::<T>(
                format_args!("a learning rate{of}, scheduled,"),
                rate * factor,
            )?;
            not_negative::<T>(format_args!("a weight decay{of}"), decay)
        };
        rates(self.learning_rate, self.decay, format_args!(""))?;
        self.groups.iter().try_for_each(|g| {
            let of = format_args!(" of group {}", g.number);
            rates(g.learning_rate, g.decay, of)
        })
    }

    fn rates(&self, group: u32) -> Rates {
        let own = self.groups.iter().find(|g| g.number == group);
        let (rate, decay) = own.map_or((self.learning_rate, self.decay), |g| {
            (g.learning_rate, g.decay)
        });
        Rates {
            learning_rate: rate * self.schedule.factor(self.steps),
            decay,
            step: self.steps + 1,
        }
    }

    /// One step on a loss of `tape.train(&mut params)`: forward, reverse and update as one program. Returns the loss.
    /// Frozen parameters, and those without influence on the loss, stay as they are.
    #[track_caller]
    pub fn minimise<T: Float>(&mut self, loss: Var<'_, T>) -> Result<T> {
        let at = Location::caller();
        self.check::<T>().map_err(|e| e.at(Some(at)))?;
        let loss = loss.minimise_with(&*self)?;
        self.steps += 1;
        Ok(loss)
    }

    /// One step with gradients at hand. Frozen parameters, and those the gradients do not reach, stay as they are.
    #[track_caller]
    pub fn update<T: Float>(&mut self, params: &mut Params<T>, grads: &Gradients<T>) -> Result<()> {
        let at = Location::caller();
        self.check::<T>().map_err(|e| e.at(Some(at)))?;
        params.check()?;
        if grads.column().len() != params.values().len() {
            let message = "these gradients are of another parameter table, or parameters were added after `backward`";
            return Err(Error::new(ErrorKind::Foreign, message));
        }
        params.ensure_state(self.rule.columns());
        let mut work = Vec::with_capacity(params.len());
        for p in params.ids() {
            if let (false, Some(grad)) = (params.is_frozen(p)?, grads.slice(p)) {
                work.push((params.group(p)?, params.range(p)?, grad));
            }
        }
        let (values, mut columns) = params.columns_mut();
        let mut numbers = Vec::new();
        for (group, range, grad) in work {
            numbers.clear();
            self.rule.scalars(self.rates(group), &mut numbers);
            let scalars: Vec<T> = numbers.iter().map(|&x| T::of(x)).collect();
            let mut state: Vec<&mut [T]> =
                columns.iter_mut().map(|c| &mut c[range.clone()]).collect();
            self.rule.apply(
                &scalars,
                &mut values[range],
                grad,
                &mut state[..self.rule.columns()],
            );
        }
        self.steps += 1;
        Ok(())
    }
}

impl<T: Float, R: Rule> UpdateRule<T> for Optimiser<R> {
    fn columns(&self) -> usize {
        self.rule.columns()
    }
    fn identity(&self) -> u64 {
        self.rule.identity()
    }
    fn scalars(&self, group: u32, to: &mut Vec<f64>) {
        self.rule.scalars(self.rates(group), to);
    }
    fn update<'t>(&self, step: Update<'_, 't, T>) -> (Var<'t, T>, Vec<Var<'t, T>>) {
        self.rule.record(step)
    }
}

/// Zero where `|x| <= floor`, as [`Var::hardshrink`].
#[inline]
fn flushed<T: Float>(x: T, floor: T) -> T {
    if x.abs() <= floor { T::of(0.0) } else { x }
}

/// An error unless `x`, as an element, is finite and not negative.
fn not_negative<T: Float>(what: fmt::Arguments<'_>, x: f64) -> Result<()> {
    if x >= 0.0 && T::of(x).to_f64().is_finite() {
        return Ok(());
    }
    Err(setting(format!(
        "{what} must be finite and not negative, but it is {x}"
    )))
}

/// The error of a number that no step can be taken with.
fn setting(message: String) -> Error {
    Error::new(ErrorKind::Setting, message)
}
