//! Reading values: whatever they need is evaluated then, in one program, and kept. A read costs what it computes, not
//! what was recorded.

use std::panic::Location;

use retrograde_storage::{Array, Element, Id};

use super::part::Part;
use super::{Buffers, Sources, compile, with_sources};
use crate::error::{Error, ErrorKind, Result};
use crate::list::{List, Value};
use crate::op::Op;
use crate::params::Bound;
use crate::passes::gates;
use crate::recorder::Recording;
use crate::tape::Guard;
use crate::trace::{Cache, Compiled, Goal, Query, Trace};
use crate::var::{Float, Var};

impl Recording {
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
        self.want(target);
        gates::note_zeros(&mut self.list);
        let mut part = std::mem::take(&mut self.buffers.part);
        let known = |v| self.store.is_known(v);
        part.take(&self.list, &self.uniforms, target, known);
        let result = self.with_cache(|state, cache| state.read(&part, sources, cache));
        self.buffers.part = part;
        result
    }

    fn read<T: Float>(
        &mut self,
        part: &Part,
        sources: &mut Sources<'_, T>,
        cache: &mut Cache,
    ) -> Result<()> {
        let q = Query {
            goal: Goal::Read,
            list: &part.list,
            target: part.target(),
            known: &[],
            leaves: &[],
            params: 0,
        };
        let number = match cache.find(&q) {
            Some(number) => number,
            None => {
                let target = std::slice::from_ref(&q.target);
                let plan = compile(&q, q.list, &part.outputs, target, &[], cache)?;
                cache.keep(&q, Compiled::new(plan))?
            }
        };
        self.reserve(&part.results)?;
        self.buffers.to.0.clear();
        self.aim(&part.results);
        let result = self.run(cache.trace(number), sources, Some(part));
        if result.is_err() {
            self.forget(&part.results);
        }
        result
    }

    /// A value is read that the last backward computed on its way but did not keep: from the next such step on it does.
    /// If only part of what the read needs was on the way, that part is kept.
    fn want(&mut self, target: Value) {
        let Some(last) = self.store.last else { return };
        let (list, buffers) = (&self.list, &mut self.buffers);
        let mut cache = std::mem::take(&mut self.store.cache);
        let known = |v| self.store.is_known(v);
        if let Some(trace) = cache.ran(last) {
            buffers.want(list, trace, target, &known);
        }
        self.store.cache = cache;
    }
}

impl<T: Element> Var<'_, T> {
    /// The value: evaluates what it needs, keeps all of it until the tape is reset.
    #[track_caller]
    pub fn value(self) -> Result<Array<T>> {
        let location = Location::caller();
        let mut state = self.rec.recorder.state.borrow_mut();
        if state.store.recording {
            return Err(Error::new(
                ErrorKind::Unknown,
                "a program being recorded has no values yet; to branch, read a comparison: `x.lt(1.0).item()?`",
            )
            .at(Some(location)));
        }
        self.force(&mut state).map_err(|e| e.or_at(location))?;
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
        self.force(&mut state).map_err(|e| e.or_at(location))?;
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
    #[track_caller]
    pub fn to_vec(self) -> Result<Vec<T>> {
        self.value().map(Array::into_vec)
    }
}

impl Buffers {
    /// Marks in a trace what a read of `target` needs of it.
    fn want(
        &mut self,
        list: &List,
        trace: &mut Trace,
        target: Value,
        known: &dyn Fn(Value) -> bool,
    ) {
        let end = trace.target().index().max(target.index()) + 1;
        let (way, needed) = (&mut self.way, &mut self.needed);
        for (marks, from) in [(&mut *way, trace.target()), (&mut *needed, target)] {
            marks.clear();
            marks.resize(end, false);
            marks[from.index()] = true;
        }
        for row in (0..end).rev() {
            let v = Value::from_index(row);
            let leaf = matches!(list.op(v), Op::Input | Op::Const | Op::Uniform);
            if way[row] && !trace.knew(v) {
                list.args(v).iter().for_each(|a| way[a.index()] = true);
            }
            if !needed[row] || leaf || known(v) {
                continue;
            }
            if way[row] {
                trace.want(v);
            } else {
                list.args(v).iter().for_each(|a| needed[a.index()] = true);
            }
        }
    }
}
