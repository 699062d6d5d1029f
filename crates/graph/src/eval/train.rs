//! Training steps: forward, reverse and the update of every parameter as one program.

use std::cell::Cell;
use std::panic::Location;

use retrograde_storage::{Id, PACKET_BYTES, Shape};

use super::{Sources, compile};
use crate::error::{Error, ErrorKind, Result};
use crate::list::{List, Region, Value};
use crate::op::{Attr, Op};
use crate::params::{Access, Param, Params, Row};
use crate::passes::gates;
use crate::program::budget;
use crate::rules;
use crate::tape::LeafKind;
use crate::trace::{Cache, Compiled, Extra, Goal, Query};
use crate::var::{Float, Var};

/// An optimiser, as the program of a training step sees it: how one parameter's next value follows from its gradient.
pub trait UpdateRule<T: Float> {
    /// State columns (moments) that each parameter has.
    fn columns(&self) -> usize;
    /// Identity of the instructions that [`update`](Self::update) records: rules of one identity share programs.
    fn identity(&self) -> u64;
    /// Appends the numbers that change from step to step (learning rate, bias corrections) for a group. They are data
    /// of the program: changing them compiles nothing. Always as many.
    fn scalars(&self, group: u32, to: &mut Vec<f64>);
    /// Records the next value and the next state, of the parameter's shape each.
    ///
    /// Called only when the step's program is compiled: what is to change later must be one of the scalars. Literals
    /// (`0.9 * step.grad`) and seeds of random streams are part of the program, so rules that differ in them must differ
    /// in their [`identity`](Self::identity). Other parameters of the step may be read (their old values); data may not.
    fn update<'t>(&self, step: Update<'_, 't, T>) -> (Var<'t, T>, Vec<Var<'t, T>>);
}

/// What an [`UpdateRule`] is given.
pub struct Update<'a, 't, T> {
    /// The parameter's value.
    pub value: Var<'t, T>,
    /// Its gradient.
    pub grad: Var<'t, T>,
    /// Its state columns.
    pub state: &'a [Var<'t, T>],
    /// The rule's scalars.
    pub scalars: &'a [Var<'t, T>],
}

impl<T: Float> Var<'_, T> {
    /// Forward, reverse and a parameter update as one program; returns the value. Values of this step that were not
    /// evaluated before cannot be read afterwards.
    #[track_caller]
    pub fn minimise_with(self, rule: &dyn UpdateRule<T>) -> Result<T> {
        let at = Location::caller();
        let shape = self.shape_checked()?;
        if shape.len() != 1 {
            let message = format!(
                "minimise of {shape} {}: only a scalar can be minimised; try `.mean()`",
                T::DTYPE
            );
            return Err(Error::new(ErrorKind::Seed, message).at(Some(at)));
        }
        let Access::Train(cell) = self.rec.params.access::<T>() else {
            let message =
                "minimise needs a step that may update parameters: `tape.train(&mut params)`";
            return Err(Error::new(ErrorKind::Inputs, message).at(Some(at)));
        };
        let found = lend(cell, |params| self.find_step(rule, params))?;
        let number = match found {
            Some(number) => number,
            None => {
                // The rule is the user's code: it records on this tape and may read parameters, so neither is borrowed.
                let (rows, version) = lend(cell, |params| (params.rows.clone(), params.version));
                let (budget, list) = {
                    let state = self.rec.recorder.state.borrow();
                    (state.store.cache.options.memory_budget, state.list.clone())
                };
                let compile = |regions: &[Region]| {
                    let step = self.record_step(rule, &rows, regions)?;
                    self.compile_step(rule, step, version)
                };
                let arena = |c: &Compiled| c.plan.arena * PACKET_BYTES;
                let compiled = budget::within(budget, &list, &[self.id], compile, arena)?;
                self.keep_step(rule, compiled, version)?
            }
        };
        lend(cell, |params| self.run_step(rule, number, params))
    }

    /// The step's program, if it was compiled before.
    fn find_step(self, rule: &dyn UpdateRule<T>, params: &mut Params<T>) -> Result<Option<usize>> {
        params.check()?;
        params.ensure_state(rule.columns());
        let mut state = self.rec.recorder.state.borrow_mut();
        if state.store.updated {
            return Err(Error::new(
                ErrorKind::Unknown,
                "this step has updated its parameters already; record a new one",
            ));
        }
        state.note_keys();
        Ok(state.with_cache(|state, cache| {
            cache.find(&state.query(goal(rule), self.id, params.version))
        }))
    }

    fn compile_step(self, rule: &dyn UpdateRule<T>, step: Step, params: u64) -> Result<Compiled> {
        let mut state = self.rec.recorder.state.borrow_mut();
        state.note_keys();
        state.with_cache(|state, cache| {
            step.compile(&state.query(goal(rule), self.id, params), cache)
        })
    }

    fn keep_step(self, rule: &dyn UpdateRule<T>, compiled: Compiled, params: u64) -> Result<usize> {
        let mut state = self.rec.recorder.state.borrow_mut();
        state.with_cache(|state, cache| {
            cache.keep(&state.query(goal(rule), self.id, params), compiled)
        })
    }

    fn run_step(
        self,
        rule: &dyn UpdateRule<T>,
        number: usize,
        params: &mut Params<T>,
    ) -> Result<T> {
        let groups = groups(&params.rows);
        let mut state = self.rec.recorder.state.borrow_mut();
        let own = state.uniforms.len();
        let mut loss = T::default();
        let result = state.with_cache(|state, cache| {
            let trace = cache.trace(number);
            state.uniforms.resize(trace.extra.first_scalar, 0.0);
            (0..groups).for_each(|group| rule.scalars(group, &mut state.uniforms));
            let given = state.uniforms.len() - trace.extra.first_scalar;
            if given != trace.extra.scalars {
                let message = format!(
                    "the update rule has {given} scalars, but had {} when it was recorded: always as many, or another identity",
                    trace.extra.scalars
                );
                return Err(Error::new(ErrorKind::Inputs, message));
            }
            state.buffers.to.0.clear();
            state.buffers.to.0.push(std::ptr::from_mut(&mut loss).cast());
            let mut sources = Sources {
                params: Some(params),
                read: None,
                seed: None,
            };
            state.run(trace, &mut sources, None)
        });
        state.uniforms.truncate(own);
        result?;
        state.store.updated = true;
        Ok(loss)
    }

    /// Records the adjoints and the rule's instructions, and takes them from the recording again. `regions` are computed
    /// again besides those that were recorded.
    fn record_step(
        self,
        rule: &dyn UpdateRule<T>,
        rows: &[Row],
        regions: &[Region],
    ) -> Result<Step> {
        let groups = groups(rows);
        let rec = self.rec;
        let mut state = rec.recorder.state.borrow_mut();
        let recorded = state.list.clone();
        let before = (
            state.store.leaves.len(),
            state.uniforms.len(),
            state.streams.len(),
        );
        let trained: Vec<(Param, Value)> = state
            .store
            .leaves
            .iter()
            .filter_map(|l| match l.kind {
                LeafKind::Param(p) => Some((p, l.value)),
                _ => None,
            })
            .filter(|(p, _)| !rows[p.index()].frozen)
            .collect();
        let wrt: Vec<Value> = trained.iter().map(|t| t.1).collect();
        let list = &mut state.list;
        regions.iter().for_each(|&r| list.add_region(r));
        let one = list.like(1.0, self.id);
        let seed = list.expand(one, list.shape(self.id));
        let grads = rules::reverse(list, self.id, seed, &wrt);
        let refused = list.refused();
        // The rule's scalars, group by group, follow the recording's own.
        let mut scalars: Vec<Vec<Var<'_, T>>> = Vec::new();
        for group in 0..groups {
            let first = state.uniforms.len();
            rule.scalars(group, &mut state.uniforms);
            let numbers = first..state.uniforms.len();
            let values = numbers.map(|number| {
                let attr = Attr::int(number as i64);
                rec.var(
                    state
                        .list
                        .push(Op::Uniform, &[], attr, Shape::SCALAR, T::DTYPE),
                )
            });
            scalars.push(values.collect());
        }
        let scalar_count = state.uniforms.len() - before.1;
        state.literals_are_fixed = true;
        let mut updates = Vec::new();
        let mut fits = refused;
        for (&(p, leaf), grad) in trained.iter().zip(grads) {
            let Some(grad) = grad else { continue };
            let row = &rows[p.index()];
            let columns: Vec<Value> = (0..rule.columns())
                .map(|c| state.push_leaf(LeafKind::State(p, c), row.shape, T::DTYPE))
                .collect();
            drop(state);
            let old: Vec<Var<'_, T>> = columns.iter().map(|&v| rec.var(v)).collect();
            let (value, next) = rule.update(Update {
                value: rec.var(leaf),
                grad: rec.var(grad),
                state: &old,
                scalars: &scalars[row.group as usize],
            });
            fits =
                fits.and_then(|()| self.check_update(&row.name, row.shape, &columns, value, &next));
            state = rec.recorder.state.borrow_mut();
            updates.push((leaf, value.id));
            updates.extend(columns.iter().zip(&next).map(|(&c, n)| (c, n.id)));
        }
        state.literals_are_fixed = false;
        let list = std::mem::replace(&mut state.list, recorded);
        let (leaves, uniforms, streams) = before;
        let extra = Extra {
            leaves: state.store.leaves[leaves..]
                .iter()
                .map(|l| (l.value, l.kind))
                .collect(),
            first_scalar: uniforms,
            scalars: scalar_count,
            first_seed: streams,
            seeds: state.streams[streams..].iter().map(|s| s.0).collect(),
        };
        let len = state.list.len();
        state.store.truncate(len, leaves);
        state.uniforms.truncate(uniforms);
        state.streams.truncate(streams);
        state.poison.retain(|p| p.0.index() < len);
        fits?;
        if extra
            .leaves
            .iter()
            .any(|l| matches!(l.1, LeafKind::Data { .. }))
        {
            let message = "an update rule cannot record data, which later steps would not have; use state columns or scalars";
            return Err(Error::new(ErrorKind::Inputs, message));
        }
        Ok(Step {
            list,
            updates,
            extra,
        })
    }

    /// What a rule returned can be written where it belongs.
    fn check_update(
        self,
        name: &str,
        shape: Shape,
        columns: &[Value],
        value: Var<'_, T>,
        next: &[Var<'_, T>],
    ) -> Result<()> {
        if next.len() != columns.len() {
            let message = format!(
                "the update of {name:?} returned {} state values, but the rule has {} columns",
                next.len(),
                columns.len()
            );
            return Err(Error::new(ErrorKind::Inputs, message));
        }
        for v in [&value].into_iter().chain(next) {
            if !std::ptr::eq(v.rec.recorder, self.rec.recorder) {
                let message = format!("the update of {name:?} is recorded on another tape");
                return Err(Error::new(ErrorKind::Foreign, message));
            }
            let found = v.shape_checked()?;
            if found != shape {
                let message = format!("the update of {name:?} has shape {found}, expected {shape}");
                return Err(Error::new(ErrorKind::Shape, message));
            }
        }
        Ok(())
    }
}

fn goal<T: Float>(rule: &dyn UpdateRule<T>) -> Goal {
    Goal::Train {
        rule: rule.identity(),
    }
}

/// How many groups the rule is asked for.
fn groups(rows: &[Row]) -> u32 {
    rows.iter().map(|r| r.group).max().unwrap_or(0) + 1
}

/// Takes the table out of its cell for a while.
fn lend<T: Float, R>(cell: &Cell<Params<T>>, f: impl FnOnce(&mut Params<T>) -> R) -> R {
    let mut params = cell.take();
    let result = f(&mut params);
    cell.set(params);
    result
}

/// A recorded training step.
struct Step {
    /// The recording, adjoints and updates.
    list: List,
    updates: Vec<(Value, Value)>,
    extra: Extra,
}

impl Step {
    fn compile(mut self, q: &Query<'_>, cache: &Cache) -> Result<Compiled> {
        gates::downgrade(&mut self.list);
        let outputs = [q.target];
        let plan = compile(q, &self.list, &outputs, &outputs, &self.updates, cache)?;
        Ok(Compiled {
            extra: self.extra,
            ..Compiled::new(plan)
        })
    }
}
