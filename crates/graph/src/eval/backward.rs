//! Backward sweeps: a value and its gradients with respect to variables and parameters, in one program.

use std::panic::Location;

use retrograde_storage::{Array, Element, Id, PACKET_BYTES, Packet, packets_for};

use super::gradients::Gradients;
use super::{Sources, compile, with_sources};
use crate::error::{Error, ErrorKind, Result};
use crate::list::{List, Region, Value};
use crate::op::{Attr, Op};
use crate::params::Params;
use crate::passes::gates;
use crate::program::budget;
use crate::recorder::Recording;
use crate::rules;
use crate::tape::LeafKind;
use crate::trace::{Cache, Compiled, Extra, Goal, Query};
use crate::var::{Float, Var};

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
            list.refused()
                .map_err(|e| crate::error::Fault::new(e.kind(), e.to_string()))?;
            Ok(self.id)
        });
        // A poisoned operand poisons every gradient.
        if first.shape_checked().is_err() {
            return [first; N];
        }
        std::array::from_fn(|i| grads.get(i).map_or(first, |&g| self.rec.var(g)))
    }
}

impl Recording {
    fn backward<T: Float>(
        &mut self,
        target: Value,
        sources: &mut Sources<'_, T>,
    ) -> Result<Gradients<T>> {
        self.with_cache(|state, cache| {
            state.note_keys();
            let seeded = sources.seed.is_some();
            let q = state.query(Goal::Backward { seeded }, target, sources.version());
            let number = match cache.find(&q) {
                Some(number) => number,
                None => state.compile_backward(&q, seeded, sources.table(), cache)?,
            };
            state.store.last = Some(cache.run_of(number));
            state.sweep(target, number, sources, cache)
        })
    }

    /// Runs a compiled backward and hands out what it computes.
    fn sweep<T: Float>(
        &mut self,
        target: Value,
        number: usize,
        sources: &mut Sources<'_, T>,
        cache: &mut Cache,
    ) -> Result<Gradients<T>> {
        let trace = cache.trace(number);
        let leaf =
            |state: &Self, v: Value| state.store.leaves[state.list.attr(v).as_int() as usize];
        let len = |state: &Self, v: Value| state.list.shape(v).len();
        let mut gradients = Gradients::zeros(sources.table());
        // A value that is known already is computed once more, to no use but that programs are alike.
        let keeps = !self.store.is_known(target);

        // Gradients of variables wait in scratch until they are added to what the variables have.
        let own = |state: &Self, v: Value| !matches!(leaf(state, v).kind, LeafKind::Param(_));
        let waiting = trace.outputs.iter().filter(|&&v| own(self, v));
        let elements = len(self, target) + waiting.map(|&v| len(self, v)).sum::<usize>();
        let packets = packets_for(elements, size_of::<T>()).unwrap_or(0);
        let mut scratch = std::mem::take(&mut self.buffers.scratch);
        scratch.resize(packets, Packet::ZERO);
        let sums = scratch.as_mut_ptr().cast::<T>();
        let mut to = std::mem::take(&mut self.buffers.to);
        to.0.clear();
        to.0.push(sums.cast());
        let (mut at, column) = (len(self, target), gradients.column_mut().as_mut_ptr());
        for &v in &trace.outputs {
            match (leaf(self, v).kind, sources.table()) {
                (LeafKind::Param(p), Some(params)) => {
                    let start = gradients.reach(p, params)?;
                    to.0.push(column.wrapping_add(start).cast());
                }
                _ => {
                    to.0.push(sums.wrapping_add(at).cast());
                    at += len(self, v);
                }
            }
        }
        let kept = if keeps {
            std::slice::from_ref(&target)
        } else {
            &[]
        };
        self.reserve(kept)?;
        self.reserve(&trace.wanted)
            .inspect_err(|_| self.forget(kept))?;
        if let Some(start) = self.store.start(target).filter(|_| keeps) {
            to.0[0] = self.store.address(start);
        }
        self.buffers.to = to;
        self.aim(&trace.wanted);

        let result = self.run(trace, sources, None);
        let sums: &[T] = bytemuck::cast_slice(&scratch);
        if result.is_ok() {
            let loss = if keeps {
                self.store.first(target)
            } else {
                sums.first().copied()
            };
            gradients.set_loss(loss.map_or(0.0, Element::to_f64));
            let mut at = len(self, target);
            for &v in &trace.outputs {
                if own(self, v) {
                    let n = len(self, v);
                    self.store.accumulate(v, &sums[at..at + n]);
                    at += n;
                }
            }
        } else {
            self.forget(kept);
            self.forget(&trace.wanted);
        }
        self.buffers.scratch = scratch;
        result.map(|()| gradients)
    }

    fn compile_backward<T: Float>(
        &self,
        q: &Query<'_>,
        seeded: bool,
        params: Option<&Params<T>>,
        cache: &mut Cache,
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
        let options = cache.options;
        let compile = |regions: &[Region]| {
            let mut list = q.list.clone();
            regions.iter().for_each(|&r| list.add_region(r));
            self.backward_plan(q, seeded, &wrt, list, cache)
        };
        let arena = |c: &Compiled| c.plan.arena * PACKET_BYTES;
        let budget = options.memory_budget;
        let compiled = budget::within(budget, q.list, &[q.target], compile, arena)?;
        cache.keep(q, compiled)
    }

    /// The plan of a backward of `list`, a query's with what is to be computed again.
    fn backward_plan(
        &self,
        q: &Query<'_>,
        seeded: bool,
        wrt: &[Value],
        mut list: List,
        cache: &Cache,
    ) -> Result<Compiled> {
        let dtype = self.list.dtype(q.target);
        let mut extra = Extra::default();
        let seed = if seeded {
            let leaf = list.push(
                Op::Input,
                &[],
                Attr::int(i64::MAX),
                list.shape(q.target),
                dtype,
            );
            extra.leaves.push((leaf, LeafKind::Seed));
            // Marks the seed for the pass that decides where strong zeros are needed.
            list.push(Op::Detach, &[leaf], Attr::NONE, list.shape(leaf), dtype)
        } else {
            let one = list.like(1.0, q.target);
            list.expand(one, list.shape(q.target))
        };
        let grads = rules::reverse(&mut list, q.target, seed, wrt);
        list.refused()?;
        gates::downgrade(&mut list);
        let used = self.list.differentiably_used(q.target);
        let reached: Vec<(Value, Value)> = wrt
            .iter()
            .copied()
            .zip(grads)
            .filter_map(|(w, g)| match g {
                Some(g) => Some((w, g)),
                // Through functions that are constant almost everywhere, such as `floor`: reached, and zero.
                None if used[w.index()] => Some((w, list.zeros_like(w))),
                None => None,
            })
            .collect();
        let asked: Vec<Value> = [q.target]
            .into_iter()
            .chain(reached.iter().map(|r| r.1))
            .collect();
        let wanted = cache.wanted(q);
        let outputs = [asked.as_slice(), &wanted].concat();
        let plan = compile(q, &list, &outputs, &asked, &[], cache)?;
        Ok(Compiled {
            outputs: reached.into_iter().map(|r| r.0).collect(),
            wanted,
            extra,
            plan,
        })
    }
}
