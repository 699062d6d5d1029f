//! Terminal calls of a [`Var`](crate::Var): reading values, running backward, updating parameters.
//!
//! Everything recorded before is evaluated here, lazily, by compiling (or finding) the program of what is asked for.

mod backward;
mod forward;
mod gradients;
pub(crate) mod part;
mod read;
mod train;

use retrograde_storage::{Id, PACKET_BYTES, Packet};

use crate::body::PLACEHOLDER;
use crate::error::{Error, ErrorKind, Result};
use crate::list::{List, Value};
use crate::op::Op;
use crate::params::Params;
use crate::passes::rebuild::Job;
use crate::recorder::Recording;
use crate::run::plan::Plan;
use crate::run::workspace::{Addresses, Given};
use crate::tape::LeafKind;
use crate::trace::{Cache, Goal, Query, Trace};
use crate::var::{Float, Rec};
use part::Part;

pub use gradients::Gradients;
pub use train::{Update, UpdateRule};

/// What evaluation needs for a moment, kept so that a steady state allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    /// By value: whether it is computed already. Part of the key of a trace, as are the leaves.
    known: Vec<bool>,
    leaves: Vec<LeafKind>,
    seeds: Vec<u64>,
    /// By output of a run: where it goes.
    to: Addresses,
    /// Gradients on their way to variables.
    scratch: Vec<Packet>,
    /// Marks of walks over the list.
    way: Vec<bool>,
    needed: Vec<bool>,
    /// What a read needs.
    part: Part,
}

/// What the leaves of a run are besides data: parameters to read or write, and a seed.
struct Sources<'a, T> {
    params: Option<&'a mut Params<T>>,
    read: Option<&'a Params<T>>,
    seed: Option<&'a [T]>,
}

impl<T: Float> Sources<'_, T> {
    fn table(&self) -> Option<&Params<T>> {
        self.params.as_deref().or(self.read)
    }

    /// Part of the key: freezing and grouping decide what is compiled.
    fn version(&self) -> u64 {
        self.table().map_or(0, |p| p.version)
    }

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

/// Compiles what a query asks for from a list that already holds adjoints. `asked` are those outputs that must be free of
/// NaN if the options say so.
fn compile(
    q: &Query<'_>,
    list: &List,
    outputs: &[Value],
    asked: &[Value],
    updates: &[(Value, Value)],
    cache: &Cache,
) -> Result<Plan> {
    let job = Job {
        list,
        known: q.known,
        outputs,
        updates,
    };
    let mut plan = Plan::compile(&job, cache.options)?;
    plan.watch(&job, asked, q.list.len())?;
    Ok(plan)
}

impl Recording {
    /// Notes what the key of a trace has besides the list: which values are known and what the leaves are.
    fn note_keys(&mut self) {
        let (list, store, buffers) = (&self.list, &self.store, &mut self.buffers);
        let known = |v| store.is_known(v) && list.op(v) != Op::Input;
        buffers.known.clear();
        buffers.known.extend(list.values().map(known));
        let place_free = |kind| match kind {
            // Where the data stands is not part of the key.
            LeafKind::Data { wants_grad, .. } => LeafKind::Data {
                start: 0,
                wants_grad,
            },
            other => other,
        };
        buffers.leaves.clear();
        let kinds = store.leaves.iter().map(|l| place_free(l.kind));
        buffers.leaves.extend(kinds);
    }

    /// What is looked up, by the keys noted last.
    fn query(&self, goal: Goal, target: Value, params: u64) -> Query<'_> {
        Query {
            goal,
            list: &self.list,
            target,
            known: &self.buffers.known,
            leaves: &self.buffers.leaves,
            params,
        }
    }

    /// Calls `f` with the traces, which it may run while it changes the store.
    fn with_cache<R>(&mut self, f: impl FnOnce(&mut Self, &mut Cache) -> R) -> R {
        let mut cache = std::mem::take(&mut self.store.cache);
        let result = f(self, &mut cache);
        self.store.cache = cache;
        result
    }

    /// Room in the store for values that a run is to compute: for all of them, or an error and for none.
    fn reserve(&mut self, values: &[Value]) -> Result<()> {
        for (i, &v) in values.iter().enumerate() {
            let (shape, dtype) = (self.list.shape(v), self.list.dtype(v));
            if let Err(e) = self.store.reserve(v, shape, dtype) {
                self.forget(&values[..i]);
                return Err(e.at(self.list.location(v)));
            }
        }
        Ok(())
    }

    /// Takes back what was reserved for a run that failed.
    fn forget(&mut self, values: &[Value]) {
        values.iter().for_each(|&v| self.store.forget(v));
    }

    /// The next outputs of the run go to the store. To be called when all is reserved: reserving moves memory.
    fn aim(&mut self, values: &[Value]) {
        for &v in values {
            let start = self.store.start(v).expect("reserved");
            self.buffers.to.0.push(self.store.address(start));
        }
    }

    /// Runs a trace with the recording's uniforms, or one of a part of the recording with that part's; outputs go where
    /// `buffers.to` says.
    fn run<T: Float>(
        &mut self,
        trace: &mut Trace,
        sources: &mut Sources<'_, T>,
        part: Option<&Part>,
    ) -> Result<()> {
        let (list, store, buffers) = (&self.list, &mut self.store, &mut self.buffers);
        buffers.seeds.clear();
        buffers.seeds.extend(self.streams.iter().map(|s| s.0));
        let extra = &trace.extra;
        if !extra.seeds.is_empty() {
            buffers.seeds.resize(extra.first_seed, 0);
            buffers.seeds.extend_from_slice(&extra.seeds);
        }
        let (step, data) = (store.step, store.address(0));
        let externals = &trace.plan.externals;
        let external = |i: usize| part.map_or(externals[i], |part| part.recorded(externals[i]));
        let mut address = |i: usize| {
            let v = external(i);
            let of_list = v.index() < list.len() && list.op(v) == Op::Input;
            let kind = if of_list {
                store
                    .leaves
                    .get(list.attr(v).as_int() as usize)
                    .map(|l| l.kind)
            } else {
                let at = extra.leaves.binary_search_by_key(&v, |l| l.0);
                at.ok().map(|at| extra.leaves[at].1)
            };
            let start = || store.start(v);
            kind.and_then(|kind| sources.address(kind))
                .or_else(|| start().map(|s| data.wrapping_add(s * PACKET_BYTES)))
        };
        if let Some(i) = (0..externals.len()).find(|&i| address(i).is_none()) {
            let v = external(i);
            let inside = v.index() < list.len() && list.attr(v).as_int() == PLACEHOLDER;
            let message = if inside {
                "a value of the body of a loop or a batch has no value of its own: it is another one in every step or \
                 sample; return it from the body"
                    .into()
            } else {
                format!("{v} has no data")
            };
            return Err(Error::new(ErrorKind::Unknown, message));
        }
        let to = &buffers.to.0;
        let given = Given {
            externals: &mut |i| address(i).expect("found above"),
            outputs: &mut |i| to[i],
            uniforms: part.map_or(&self.uniforms, |part| &part.uniforms),
            seeds: &buffers.seeds,
            step,
        };
        // SAFETY: externals are data of the store, of the parameter table or the seed, dense, of the recorded shapes,
        // and nobody else touches them: the store and the table are borrowed mutably or nothing is written to them.
        // Outputs are stretches that the caller reserved for the outputs' shapes.
        unsafe { trace.memory.run(&trace.plan, given) }
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
