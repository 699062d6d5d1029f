//! A rule as instructions, recorded by itself and copied into lists.

use std::panic::{AssertUnwindSafe, catch_unwind};

use retrograde_storage::{Id, Shape};

use super::Derivative;
use super::call::said;
use crate::batching::Batch;
use crate::error::{Error, ErrorKind, Result};
use crate::list::{List, Value};
use crate::op::{Attr, Op};
use crate::params::Bound;
use crate::recorder::Recorder;
use crate::var::{Float, Rec, Var};

/// A rule's instructions: leaves are the inputs, then the output, then its gradient.
#[derive(Debug)]
pub(crate) struct Fragment {
    list: List,
    gradients: Vec<Value>,
}

impl Fragment {
    /// Records a rule at these shapes.
    pub(super) fn record<T: Float>(
        name: &str,
        rule: &Derivative<T>,
        inputs: &[Shape],
        output: Shape,
    ) -> Result<Self> {
        let wrong = |what: &str| {
            Error::new(
                ErrorKind::Custom,
                format!("the derivative of custom operation `{name}` {what}"),
            )
        };
        let recorder = Recorder::default();
        let rec = Rec {
            recorder: &recorder,
            params: Bound::None,
        };
        let leaves: Vec<Var<'_, T>> = {
            let mut state = recorder.state.borrow_mut();
            // Its numbers are part of it, whatever lists it is copied to.
            state.literals_are_fixed = true;
            // Reading a value would steer it unseen.
            state.store.recording = true;
            let shapes = inputs.iter().copied().chain([output, output]);
            let leaf = |(i, shape): (usize, Shape)| {
                let number = Attr::int(i as i64);
                rec.var(state.list.push(Op::Input, &[], number, shape, T::DTYPE))
            };
            shapes.enumerate().map(leaf).collect()
        };
        let (own, last) = leaves.split_at(inputs.len());
        let recorded = catch_unwind(AssertUnwindSafe(|| rule(own, last[0], last[1])));
        let gradients = recorded.map_err(|panic| wrong(&format!("panicked: {}", said(&*panic))))?;
        if gradients.len() != inputs.len() {
            return Err(wrong(&format!(
                "gives {} gradients, one is needed for each of {} inputs",
                gradients.len(),
                inputs.len()
            )));
        }
        let Ok(state) = recorder.state.try_borrow() else {
            return Err(wrong("left its recording in use"));
        };
        for (i, (g, &shape)) in gradients.iter().zip(inputs).enumerate() {
            if !std::ptr::eq(g.rec.recorder, &raw const recorder) {
                return Err(wrong("gives a value of another tape"));
            }
            if let Some(error) = state.poison_of(g.id) {
                return Err(wrong(&format!("does not work: {error}")));
            }
            let found = state.list.shape(g.id);
            if found != shape {
                return Err(wrong(&format!(
                    "gives input {i} a gradient of {found}, not of its shape {shape}"
                )));
            }
        }
        if !state.streams.is_empty()
            || !state.store.guards.is_empty()
            || !state.store.leaves.is_empty()
        {
            return Err(wrong(
                "draws random numbers, reads values or makes variables; a rule is made of operations on its arguments",
            ));
        }
        Ok(Self {
            list: state.list.clone(),
            gradients: gradients.iter().map(|g| g.id).collect(),
        })
    }

    /// The rule of the call for so many samples.
    pub(super) fn of_samples(&self, samples: usize) -> Result<Self> {
        let mut list = List::default();
        let mut batch = Batch::new(&self.list, &mut list, samples);
        batch.run(|_| true, Batch::input)?;
        let gradients = self.gradients.iter();
        let gradients = gradients.map(|&g| {
            let lane = batch.lane(g)?;
            batch.wide(g, lane)
        });
        let gradients = gradients.collect::<Result<_>>()?;
        Ok(Self { list, gradients })
    }
}

impl List {
    /// Appends a fragment's instructions with `leaves` as its leaves; returns its gradients.
    pub(crate) fn splice(&mut self, fragment: &Fragment, leaves: &[Value]) -> Vec<Value> {
        let from = &fragment.list;
        let mut rows: Vec<Value> = Vec::with_capacity(from.len());
        for v in from.values() {
            let row = match from.op(v) {
                Op::Input => leaves[from.attr(v).as_int() as usize],
                op => {
                    let args: Vec<Value> = from.args(v).iter().map(|a| rows[a.index()]).collect();
                    let attr = self.carry(from, v);
                    self.push(op, &args, attr, from.shape(v), from.dtype(v))
                }
            };
            rows.push(row);
        }
        fragment.gradients.iter().map(|g| rows[g.index()]).collect()
    }
}
