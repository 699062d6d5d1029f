//! Terminal calls of a [`Var`]: reading values, running backward, updating parameters.
//!
//! Everything recorded before is evaluated here, lazily, by compiling (or finding) the program of what is asked for.

use std::panic::Location;

use retrograde_storage::{Array, Element, Id, Shape};

use crate::error::{Error, ErrorKind, Result};
use crate::list::{List, Value};
use crate::op::{Attr, Op};
use crate::params::{Bound, Param, Params};
use crate::passes::gates;
use crate::passes::rebuild::Job;
use crate::recorder::Recording;
use crate::rules;
use crate::run::plan::Plan;
use crate::run::workspace::Given;
use crate::tape::{Guard, LeafKind};
use crate::trace::{Goal, Query};
use crate::var::{Float, Rec, Var};

/// Gradients of a backward sweep with respect to the parameters of the step: owned, `Send`, laid out as the table's
/// columns.
#[derive(Clone, Debug, Default)]
pub struct Gradients<T = f32> {
    loss: f64,
    column: Vec<T>,
    ranges: Vec<Option<(usize, Shape)>>,
}

impl<T: Float> Gradients<T> {
    /// The value that was differentiated (its first element).
    pub fn loss(&self) -> f64 {
        self.loss
    }
    /// Gradients of all parameters, in the layout of [`Params::values`]; zeros where a parameter had no influence.
    pub fn column(&self) -> &[T] {
        &self.column
    }
    /// The column, to clip, scale or reduce across machines.
    pub fn column_mut(&mut self) -> &mut [T] {
        &mut self.column
    }
    /// Gradient of one parameter, or `None` if it had no influence or is frozen.
    pub fn get(&self, p: Param) -> Option<Array<T>> {
        let (start, shape) = (*self.ranges.get(p.index())?)?;
        Array::from_vec(self.column[start..start + shape.len()].to_vec(), shape).ok()
    }
    /// As [`get`](Self::get), borrowed.
    pub fn slice(&self, p: Param) -> Option<&[T]> {
        let (start, shape) = self.ranges.get(p.index())?.as_ref()?;
        self.column.get(*start..start + shape.len())
    }
    /// Adds other gradients of the same table (accumulation over micro-batches).
    pub fn add(&mut self, other: &Self) -> Result<()> {
        if self.column.len() != other.column.len() {
            return Err(Error::new(
                ErrorKind::Foreign,
                "gradients of two different parameter tables cannot be added",
            ));
        }
        self.column
            .iter_mut()
            .zip(&other.column)
            .for_each(|(a, &b)| *a = *a + b);
        self.loss += other.loss;
        for (mine, theirs) in self.ranges.iter_mut().zip(&other.ranges) {
            *mine = mine.or(*theirs);
        }
        Ok(())
    }
    /// Multiplies every gradient.
    pub fn scale(&mut self, factor: T) {
        self.column.iter_mut().for_each(|g| *g = *g * factor);
    }
    /// Euclidean norm of all gradients together, summed in `f64`.
    pub fn norm(&self) -> f64 {
        self.column
            .iter()
            .map(|g| g.to_f64() * g.to_f64())
            .sum::<f64>()
            .sqrt()
    }
}

/// An optimiser, as the program of a training step sees it: how one parameter's next value follows from its gradient.
pub trait UpdateRule<T: Float> {
    /// State columns (moments) that each parameter has.
    fn columns(&self) -> usize;
    /// Identity of the instructions that [`update`](Self::update) records: rules of one identity share programs.
    fn identity(&self) -> u64;
    /// Numbers that change from step to step (learning rate, bias corrections) for a group. They are data of the
    /// program: changing them compiles nothing. Always as many.
    fn scalars(&self, group: u32) -> Vec<f64>;
    /// Records the next value and the next state.
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

/// What the leaves of a run are besides data: parameters to read or write, and a seed.
struct Sources<'a, T> {
    params: Option<&'a mut Params<T>>,
    read: Option<&'a Params<T>>,
    seed: Option<&'a [T]>,
}

impl<T: Float> Sources<'_, T> {
    fn address(&mut self, kind: LeafKind) -> Option<*mut u8> {
        match kind {
            LeafKind::Data { .. } => None,
            LeafKind::Seed => self.seed.map(|s| s.as_ptr().cast_mut().cast()),
            LeafKind::Param(p) => match (&mut self.params, self.read) {
                (Some(params), _) => params.slice_mut(p).ok().map(|s| s.as_mut_ptr().cast()),
                (None, Some(params)) => params.slice(p).ok().map(|s| s.as_ptr().cast_mut().cast()),
                (None, None) => None,
            },
            LeafKind::State(p, column) => {
                let params = self.params.as_mut()?;
                let range = params.range(p).ok()?;
                params
                    .state_mut(column)
                    .map(|s| s[range].as_mut_ptr().cast())
            }
        }
    }
}

/// Compiles what a query asks for from a list that already holds adjoints.
fn compile(
    q: &Query<'_>,
    list: &List,
    outputs: &[Value],
    updates: &[(Value, Value)],
    options: crate::Options,
) -> Result<Plan> {
    let job = Job {
        list,
        known: q.known,
        outputs,
        updates,
    };
    let mut plan = Plan::compile(&job, options)?;
    // A read keeps everything on its way, but asks for one value.
    let asked = match q.goal {
        Goal::Read => std::slice::from_ref(&q.target),
        Goal::Backward { .. } | Goal::Train { .. } => outputs,
    };
    plan.watch(&job, asked, q.list.len())?;
    Ok(plan)
}

impl Recording {
    fn known_flags(&self) -> Vec<bool> {
        self.list
            .values()
            .map(|v| self.store.is_known(v) && self.list.op(v) != Op::Input)
            .collect()
    }

    fn leaf_kinds(&self) -> Vec<LeafKind> {
        let place_free = |kind| match kind {
            // Where the data stands is not part of the key.
            LeafKind::Data { wants_grad, .. } => LeafKind::Data {
                start: 0,
                wants_grad,
            },
            other => other,
        };
        self.store
            .leaves
            .iter()
            .map(|l| place_free(l.kind))
            .collect()
    }

    /// Runs trace `number` with outputs written to the store (`stored`) or to the given addresses.
    fn run<T: Float>(
        &mut self,
        number: usize,
        sources: &mut Sources<'_, T>,
        uniforms: &[f64],
        mut to: Vec<*mut u8>,
    ) -> Result<()> {
        let seeds: Vec<u64> = self.streams.iter().map(|s| s.0).collect();
        let mut cache = std::mem::take(&mut self.store.cache);
        let trace = cache.trace(number);
        let (list, store) = (&self.list, &mut self.store);
        let mut missing = None;
        let dangling = retrograde_storage::PACKET_BYTES as *mut u8;
        let externals: Vec<*mut u8> = trace
            .plan
            .externals
            .iter()
            .map(|&v| {
                let leaf = (v.index() < list.len() && list.op(v) == Op::Input)
                    .then(|| store.leaves[list.attr(v).as_int() as usize].kind)
                    .or_else(|| trace.extra.iter().find(|e| e.0 == v).map(|e| e.1));
                let address = leaf.and_then(|kind| sources.address(kind));
                let start = store.start(v);
                address
                    .or_else(|| start.map(|s| store.address(s)))
                    .unwrap_or_else(|| {
                        missing = Some(v);
                        dangling
                    })
            })
            .collect();
        let step = store.step;
        let result = match missing {
            Some(v) => Err(Error::new(ErrorKind::Unknown, format!("{v} has no data"))),
            None => {
                let given = Given {
                    externals: &mut |i| externals[i],
                    outputs: &mut |i| to[i],
                    uniforms,
                    seeds: &seeds,
                    step,
                };
                // SAFETY: externals are data of the store, of the parameter table or the seed, dense, of the recorded
                // shapes, and nobody else touches them: the store and the table are borrowed mutably or nothing is
                // written to them. Outputs are stretches that the caller reserved for the outputs' shapes.
                unsafe { trace.memory.run(&trace.plan, given) }
            }
        };
        to.clear();
        self.store.cache = cache;
        result
    }

    /// Makes sure that `target` is in the store.
    fn evaluate<T: Float>(&mut self, target: Value, sources: &mut Sources<'_, T>) -> Result<()> {
        if let Some(error) = self.poison_of(target) {
            return Err(error.clone());
        }
        if self.store.is_known(target) {
            return Ok(());
        }
        if self.store.updated {
            return Err(Error::new(
                ErrorKind::Unknown,
                "this value was not evaluated before the parameters were updated; read it before the update, or return it from the loss",
            ));
        }
        let (known, leaves) = (self.known_flags(), self.leaf_kinds());
        let mut cache = std::mem::take(&mut self.store.cache);
        let q = Query {
            goal: Goal::Read,
            list: &self.list,
            target,
            known: &known,
            leaves: &leaves,
            params: 0,
        };
        let found = match cache.find(&q) {
            Some(i) => Ok(i),
            None => {
                // Everything on the way is kept: nothing is evaluated twice, so a loop over reads stays linear.
                let outputs = self.slice(target, &known);
                // Gradients taken as values are in the list: their products are those of a backward or a program.
                let mut list = self.list.clone();
                gates::downgrade(&mut list);
                compile(&q, &list, &outputs, &[], cache.options)
                    .and_then(|plan| cache.keep(&q, plan, outputs, Vec::new()))
            }
        };
        let found = found.map(|i| (i, cache.trace(i).outputs.clone()));
        self.store.cache = cache;
        let (number, outputs) = found?;
        let mut starts = Vec::with_capacity(outputs.len());
        for &v in &outputs {
            starts.push(
                self.store
                    .reserve(v, self.list.shape(v), self.list.dtype(v))?,
            );
        }
        let to = starts.iter().map(|&s| self.store.address(s)).collect();
        let uniforms = std::mem::take(&mut self.uniforms);
        let result = self.run(number, sources, &uniforms, to);
        self.uniforms = uniforms;
        if result.is_err() {
            outputs.iter().for_each(|&v| self.store.forget(v));
        }
        result
    }

    /// The values that `target` needs and that are not known, views and leaves left out; `target` itself always.
    fn slice(&self, target: Value, known: &[bool]) -> Vec<Value> {
        let mut needed = vec![false; target.index() + 1];
        needed[target.index()] = true;
        let mut outputs = Vec::new();
        for row in (0..=target.index()).rev() {
            let v = Value::from_index(row);
            if !needed[row] || known[row] {
                continue;
            }
            self.list
                .args(v)
                .iter()
                .for_each(|a| needed[a.index()] = true);
            let op = self.list.op(v);
            if v == target || !(op.is_leaf() || op.is_view()) {
                outputs.push(v);
            }
        }
        outputs.reverse();
        outputs
    }
}

/// Calls `f` with the parameters bound to a step, in whichever way they are.
fn with_sources<T: Float, R>(
    rec: Rec<'_>,
    seed: Option<&[T]>,
    f: impl FnOnce(&mut Sources<'_, T>) -> R,
) -> R {
    match rec.params.access::<T>() {
        crate::params::Access::None => f(&mut Sources {
            params: None,
            read: None,
            seed,
        }),
        crate::params::Access::Read(params) => f(&mut Sources {
            params: None,
            read: Some(params),
            seed,
        }),
        crate::params::Access::Train(cell) => {
            let mut params = cell.take();
            let result = f(&mut Sources {
                params: Some(&mut params),
                read: None,
                seed,
            });
            cell.set(params);
            result
        }
    }
}

impl<T: Element> Var<'_, T> {
    /// The value: evaluates what it needs, keeps all of it until the tape is reset.
    pub fn value(self) -> Result<Array<T>> {
        let mut state = self.rec.recorder.state.borrow_mut();
        if state.store.recording {
            return Err(Error::new(
                ErrorKind::Unknown,
                "a program being recorded has no values yet; to branch, read a comparison: `x.lt(1.0).item()?`",
            ));
        }
        self.force(&mut state)?;
        let shape = state.list.shape(self.id);
        let data = state
            .store
            .elements(self.id, shape)
            .expect("just evaluated");
        Ok(Array::from_vec(data, shape)?)
    }

    /// Evaluates, with the parameters of whatever type are bound.
    fn force(self, state: &mut Recording) -> Result<()> {
        match self.rec.params {
            Bound::F64(_) | Bound::TrainF64(_) => {
                with_sources::<f64, _>(self.rec, None, |s| state.evaluate(self.id, s))
            }
            Bound::None | Bound::F32(_) | Bound::TrainF32(_) => {
                with_sources::<f32, _>(self.rec, None, |s| state.evaluate(self.id, s))
            }
        }
    }

    /// The only element. While a program is recorded, a bool or an integer leaves a guard: the recorded branch holds
    /// only for inputs that give the same value.
    #[track_caller]
    pub fn item(self) -> Result<T> {
        let location = Location::caller();
        let mut state = self.rec.recorder.state.borrow_mut();
        if let Some(error) = state.poison_of(self.id) {
            return Err(error.clone());
        }
        let shape = state.list.shape(self.id);
        if shape.len() != 1 {
            let message = format!(
                "item of {shape} {}: only a value with one element has an item; reduce it or use `value`",
                T::DTYPE
            );
            return Err(Error::new(ErrorKind::Shape, message).at(Some(location)));
        }
        if state.store.recording && T::DTYPE.is_float() {
            let message = "a float read while a program is recorded could steer it unseen; compare first: `x.lt(1.0).item()?`";
            return Err(Error::new(ErrorKind::Unknown, message).at(Some(location)));
        }
        self.force(&mut state)?;
        let x = state
            .store
            .elements::<T>(self.id, shape)
            .and_then(|d| d.first().copied())
            .expect("one element");
        if state.store.recording {
            state.store.guards.push(Guard {
                value: self.id,
                expected: crate::program::run::bits(T::DTYPE, bytemuck::bytes_of(&x)),
                location,
            });
        }
        Ok(x)
    }

    /// The elements, row-major.
    pub fn to_vec(self) -> Result<Vec<T>> {
        self.value().map(Array::into_vec)
    }
}

impl<'t, T: Float> Var<'t, T> {
    /// Gradients of this scalar with respect to every variable it depends on, added to what they hold, and with respect
    /// to the step's parameters, returned.
    #[track_caller]
    pub fn backward(self) -> Result<Gradients<T>> {
        let at = Location::caller();
        let shape = self.shape_checked()?;
        if shape.len() != 1 {
            let message = format!(
                "backward of {shape} {}: only a scalar has a gradient; use `.sum().backward()`, or give a seed with `.backward_with(&seed)`",
                T::DTYPE
            );
            return Err(Error::new(ErrorKind::Seed, message).at(Some(at)));
        }
        self.sweep(None)
    }

    /// As [`backward`](Self::backward) from any shape, weighted by a seed of this value's shape.
    #[track_caller]
    pub fn backward_with(self, seed: &Array<T>) -> Result<Gradients<T>> {
        let at = Location::caller();
        let shape = self.shape_checked()?;
        seed.check()?;
        if seed.shape() != shape.dims() {
            let message = format!(
                "backward_with of {shape} {}: the seed has shape {:?}, expected the value's own",
                T::DTYPE,
                seed.shape()
            );
            return Err(Error::new(ErrorKind::Seed, message).at(Some(at)));
        }
        self.sweep(Some(seed.as_slice()))
    }

    fn sweep(self, seed: Option<&[T]>) -> Result<Gradients<T>> {
        let mut state = self.rec.recorder.state.borrow_mut();
        if state.store.recording {
            return Err(Error::new(
                ErrorKind::Unknown,
                "backward has no meaning while a program is recorded; record the value, then use `Program::value_and_grad`",
            ));
        }
        if state.store.updated {
            return Err(Error::new(
                ErrorKind::Unknown,
                "the parameters of this step have been updated; record a new step",
            ));
        }
        with_sources(self.rec, seed, |sources| state.backward(self.id, sources))
    }

    /// The gradient accumulated for this variable.
    pub fn grad(self) -> Result<Array<T>> {
        let state = self.rec.recorder.state.borrow();
        if let Some(error) = state.poison_of(self.id) {
            return Err(error.clone());
        }
        let shape = state.list.shape(self.id);
        match state.store.gradient::<T>(self.id, shape.len()) {
            Some(g) => Ok(Array::from_vec(g.to_vec(), shape)?),
            None => Err(Error::new(
                ErrorKind::Unknown,
                format!("{} ({shape} {}) has no gradient: no backward has reached it yet, or it is not a variable of this tape", self.id, T::DTYPE),
            )
            .at(state.list.location(self.id))),
        }
    }

    /// Gradients as values of the same recording, which can be differentiated again. Zeros where there is no influence.
    #[track_caller]
    pub fn grad_of<const N: usize>(self, wrt: [Var<'t, T>; N]) -> [Var<'t, T>; N] {
        let operands: Vec<crate::var::AnyVar<'t>> =
            wrt.iter().map(|&w| w.into()).chain([self.into()]).collect();
        let ids = wrt.map(|w| w.id);
        let mut grads = Vec::new();
        let first: Var<'t, T> = self.rec.apply("grad_of", &operands, |state| {
            let list = &mut state.list;
            let shape = list.shape(self.id);
            if shape.len() != 1 {
                return Err(crate::error::Fault::new(
                    ErrorKind::Seed,
                    "only a scalar has a gradient; try `.sum().grad_of(..)`",
                ));
            }
            let one = list.like(1.0, self.id);
            let seed = list.expand(one, shape);
            grads = rules::reverse(list, self.id, seed, &ids)
                .into_iter()
                .zip(ids)
                .map(|(g, w)| {
                    g.unwrap_or_else(|| {
                        let zero = list.like(0.0, w);
                        list.expand(zero, list.shape(w))
                    })
                })
                .collect();
            Ok(self.id)
        });
        // A poisoned operand poisons every gradient.
        std::array::from_fn(|i| grads.get(i).map_or(first, |&g| self.rec.var(g)))
    }

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
        let crate::params::Access::Train(cell) = self.rec.params.access::<T>() else {
            let message =
                "minimise needs a step that may update parameters: `tape.train(&mut params)`";
            return Err(Error::new(ErrorKind::Inputs, message).at(Some(at)));
        };
        let mut params = cell.take();
        let result = self.train(rule, &mut params);
        cell.set(params);
        result
    }

    fn train(self, rule: &dyn UpdateRule<T>, params: &mut Params<T>) -> Result<T> {
        params.check()?;
        params.ensure_state(rule.columns());
        let groups = params.rows.iter().map(|r| r.group).max().unwrap_or(0) + 1;
        let rec = self.rec;
        let (known, leaves, number) = {
            let mut state = rec.recorder.state.borrow_mut();
            if state.store.updated {
                return Err(Error::new(
                    ErrorKind::Unknown,
                    "this step has updated its parameters already; record a new one",
                ));
            }
            let (known, leaves) = (state.known_flags(), state.leaf_kinds());
            let state = &mut *state;
            let q = Query {
                goal: Goal::Train {
                    rule: rule.identity(),
                },
                list: &state.list,
                target: self.id,
                known: &known,
                leaves: &leaves,
                params: params.version,
            };
            let number = state.store.cache.find(&q);
            (known, leaves, number)
        };
        let number = match number {
            Some(number) => number,
            None => self.compile_training(rule, params, groups, &known, &leaves)?,
        };
        let mut state = rec.recorder.state.borrow_mut();
        let mut uniforms = std::mem::take(&mut state.uniforms);
        let own = uniforms.len();
        uniforms.extend((0..groups).flat_map(|g| rule.scalars(g)));
        let mut loss = T::default();
        let to = vec![std::ptr::from_mut(&mut loss).cast::<u8>()];
        let result = state.run(
            number,
            &mut Sources {
                params: Some(params),
                read: None,
                seed: None,
            },
            &uniforms,
            to,
        );
        uniforms.truncate(own);
        state.uniforms = uniforms;
        result?;
        state.store.updated = true;
        Ok(loss)
    }

    fn compile_training(
        self,
        rule: &dyn UpdateRule<T>,
        params: &Params<T>,
        groups: u32,
        known: &[bool],
        leaves: &[LeafKind],
    ) -> Result<usize> {
        let rec = self.rec;
        let mut state = rec.recorder.state.borrow_mut();
        let recorded = state.list.clone();
        let leaf_count = state.store.leaves.len();
        let uniform_count = state.uniforms.len();
        let trained: Vec<(Param, Value)> = state
            .store
            .leaves
            .iter()
            .filter_map(|l| {
                if let LeafKind::Param(p) = l.kind {
                    Some((p, l.value))
                } else {
                    None
                }
            })
            .filter(|(p, _)| !params.rows[p.index()].frozen)
            .collect();
        let wrt: Vec<Value> = trained.iter().map(|t| t.1).collect();
        let list = &mut state.list;
        let one = list.like(1.0, self.id);
        let seed = list.expand(one, list.shape(self.id));
        let grads = rules::reverse(list, self.id, seed, &wrt);
        // The rule's scalars, group by group, follow the recording's own.
        let mut scalars = Vec::new();
        for group in 0..groups {
            let values: Vec<Var<'t, T>> = rule
                .scalars(group)
                .into_iter()
                .map(|x| {
                    state.uniforms.push(x);
                    let number = state.uniforms.len() as i64 - 1;
                    rec.var(state.list.push(
                        Op::Uniform,
                        &[],
                        Attr::int(number),
                        Shape::SCALAR,
                        T::DTYPE,
                    ))
                })
                .collect();
            scalars.push(values);
        }
        let mut updates = Vec::new();
        let mut extra = Vec::new();
        for (&(p, leaf), grad) in trained.iter().zip(grads) {
            let Some(grad) = grad else { continue };
            let row = &params.rows[p.index()];
            let columns: Vec<Value> = (0..rule.columns())
                .map(|c| {
                    let v = state.push_leaf(LeafKind::State(p, c), row.shape, T::DTYPE);
                    extra.push((v, LeafKind::State(p, c)));
                    v
                })
                .collect();
            drop(state);
            let old: Vec<Var<'t, T>> = columns.iter().map(|&v| rec.var(v)).collect();
            let (value, next) = rule.update(Update {
                value: rec.var(leaf),
                grad: rec.var(grad),
                state: &old,
                scalars: &scalars[row.group as usize],
            });
            state = rec.recorder.state.borrow_mut();
            updates.push((leaf, value.id));
            updates.extend(columns.iter().zip(&next).map(|(&c, n)| (c, n.id)));
        }
        let mut list = std::mem::replace(&mut state.list, recorded);
        state.store.leaves.truncate(leaf_count);
        state.uniforms.truncate(uniform_count);
        let poisoned = state
            .poison
            .iter()
            .find(|p| updates.iter().any(|u| u.1 == p.0))
            .map(|p| p.1.clone());
        state.poison.retain(|p| p.0.index() < known.len());
        if let Some(error) = poisoned {
            return Err(error);
        }
        gates::downgrade(&mut list);
        let state = &mut *state;
        let q = Query {
            goal: Goal::Train {
                rule: rule.identity(),
            },
            list: &state.list,
            target: self.id,
            known,
            leaves,
            params: params.version,
        };
        let plan = compile(&q, &list, &[self.id], &updates, state.store.cache.options)?;
        state.store.cache.keep(&q, plan, Vec::new(), extra)
    }
}

impl Recording {
    fn backward<T: Float>(
        &mut self,
        target: Value,
        sources: &mut Sources<'_, T>,
    ) -> Result<Gradients<T>> {
        let (known, leaves) = (self.known_flags(), self.leaf_kinds());
        let seeded = sources.seed.is_some();
        let params: Option<&Params<T>> = sources.params.as_deref().or(sources.read);
        let version = params.map_or(0, |p| p.version);
        let mut cache = std::mem::take(&mut self.store.cache);
        let q = Query {
            goal: Goal::Backward { seeded },
            list: &self.list,
            target,
            known: &known,
            leaves: &leaves,
            params: version,
        };
        let found = match cache.find(&q) {
            Some(i) => Ok(i),
            None => self.compile_backward(&q, seeded, params, &mut cache),
        };
        let found = found.map(|i| (i, cache.trace(i).outputs.clone()));
        self.store.cache = cache;
        let (number, wrt) = found?;

        // The value first, then a gradient for each leaf.
        let mut gradients = Gradients {
            loss: 0.0,
            column: Vec::new(),
            ranges: Vec::new(),
        };
        if let Some(params) = params {
            gradients.column = vec![T::default(); params.values().len()];
            gradients.ranges = vec![None; params.rows.len()];
        }
        let shape = self.list.shape(target);
        let known_target = self.store.is_known(target);
        let mut value = Vec::new();
        let mut to = Vec::with_capacity(wrt.len() + 1);
        if known_target {
            value = vec![T::default(); shape.len()];
            to.push(value.as_mut_ptr().cast());
        } else {
            self.store.reserve(target, shape, T::DTYPE)?;
            to.push(std::ptr::null_mut());
        }
        let lengths = wrt.iter().map(|&v| self.list.shape(v).len());
        let mut buffers: Vec<Vec<T>> = lengths.map(|n| vec![T::default(); n]).collect();
        to.extend(buffers.iter_mut().map(|b| b.as_mut_ptr().cast::<u8>()));
        if !known_target {
            let start = self.store.start(target).expect("just reserved");
            to[0] = self.store.address(start);
        }
        let uniforms = std::mem::take(&mut self.uniforms);
        let result = self.run(number, sources, &uniforms, to);
        self.uniforms = uniforms;
        if let Err(e) = result {
            if !known_target {
                self.store.forget(target);
            }
            return Err(e);
        }
        gradients.loss = match value.first() {
            Some(x) => x.to_f64(),
            None => self
                .store
                .elements::<T>(target, shape)
                .and_then(|d| d.first().copied())
                .map_or(0.0, Element::to_f64),
        };
        for (&v, buffer) in wrt.iter().zip(&buffers) {
            match self.store.leaves[self.list.attr(v).as_int() as usize].kind {
                LeafKind::Param(p) => {
                    let params = sources
                        .params
                        .as_deref()
                        .or(sources.read)
                        .expect("parameters are bound");
                    let row = params.row(p)?;
                    gradients.column[row.offset..row.offset + buffer.len()].copy_from_slice(buffer);
                    gradients.ranges[p.index()] = Some((row.offset, row.shape));
                }
                LeafKind::Data { .. } | LeafKind::State(..) | LeafKind::Seed => {
                    self.store.accumulate(v, buffer);
                }
            }
        }
        Ok(gradients)
    }

    fn compile_backward<T: Float>(
        &self,
        q: &Query<'_>,
        seeded: bool,
        params: Option<&Params<T>>,
        cache: &mut crate::trace::Cache,
    ) -> Result<usize> {
        let wanted = |kind: LeafKind| match kind {
            LeafKind::Data { wants_grad, .. } => wants_grad,
            LeafKind::Param(p) => {
                params.is_some_and(|t| t.rows.get(p.index()).is_some_and(|r| !r.frozen))
            }
            LeafKind::State(..) | LeafKind::Seed => false,
        };
        let typed = |v: Value| self.list.dtype(v) == T::DTYPE;
        let wrt: Vec<Value> = self
            .store
            .leaves
            .iter()
            .filter(|l| wanted(l.kind) && typed(l.value))
            .map(|l| l.value)
            .collect();
        let mut list = q.list.clone();
        let mut extra = Vec::new();
        let seed = if seeded {
            let leaf = list.push(
                Op::Input,
                &[],
                Attr::int(i64::MAX),
                list.shape(q.target),
                T::DTYPE,
            );
            extra.push((leaf, LeafKind::Seed));
            // Marks the seed for the pass that decides where strong zeros are needed.
            list.push(Op::Detach, &[leaf], Attr::NONE, list.shape(leaf), T::DTYPE)
        } else {
            let one = list.like(1.0, q.target);
            list.expand(one, list.shape(q.target))
        };
        let grads = rules::reverse(&mut list, q.target, seed, &wrt);
        gates::downgrade(&mut list);
        let reached: Vec<(Value, Value)> = wrt
            .into_iter()
            .zip(grads)
            .filter_map(|(w, g)| g.map(|g| (w, g)))
            .collect();
        let outputs: Vec<Value> = [q.target]
            .into_iter()
            .chain(reached.iter().map(|r| r.1))
            .collect();
        let plan = compile(q, &list, &outputs, &[], cache.options)?;
        cache.keep(q, plan, reached.into_iter().map(|r| r.0).collect(), extra)
    }
}
