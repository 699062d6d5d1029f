//! A function of a sample applied to many at once, while recording.

use std::panic::Location;

use retrograde_storage::{Id, Shape};

use super::Rec;
use super::bundle::{Member, Vars};
use super::control::members;
use crate::batching::{Batch, Lane};
use crate::body::{Recorded, extract};
use crate::error::{Error, ErrorKind, Fault};
use crate::infer;
use crate::list::Value;
use crate::recorder::Recording;

/// A function whose body is being recorded.
struct Opened {
    /// What stands for the inputs of one sample.
    inputs: Vec<Value>,
    /// The places of their batch axes.
    axes: Vec<usize>,
    from: usize,
    samples: usize,
}

impl<'t> Rec<'t> {
    /// `f` of every sample at once, as `jax.vmap` does: `f` is recorded once, on inputs without their first axes, and
    /// gives outputs with a new first axis. Whatever else it reads is shared by all samples, and what depends on nothing
    /// else is computed once. Inputs and outputs are bundles: a [`Var`](crate::Var), or arrays, vectors and tuples of
    /// them.
    ///
    /// It may stand within itself, within the bodies of loops and around them. Random draws differ from sample to sample.
    /// A whole program is batched by [`Program::vmap`](crate::Program::vmap).
    ///
    /// ```
    /// # use retrograde_graph::Tape;
    /// # use retrograde_storage::Array;
    /// # let tape = Tape::new();
    /// // Distances between all pairs of two sets of points: written for one pair.
    /// let (t, scale) = (tape.rec(), tape.variable(Array::<f64>::scalar(2.0)));
    /// let x = tape.variable(Array::from([[0.0, 0.0], [3.0, 4.0]]));
    /// let y = tape.constant(Array::from([[0.0, 0.0], [3.0, 0.0], [6.0, 8.0]]));
    /// let d = t.vmap(x, |x| t.vmap(y, |y| (x - y).norm() * scale));
    /// assert_eq!(d.value()?, Array::from([[0.0, 6.0, 20.0], [10.0, 8.0, 10.0]]));
    /// d.at(1, 0).sum().backward()?;
    /// assert_eq!(scale.grad()?.item()?, 0.0 + 5.0);
    /// # Ok::<(), retrograde_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// No inputs, a scalar among them, different numbers of samples. The values of the samples cannot be read within `f`:
    /// to branch on them, see [`Dynamic::vmap`](crate::Dynamic::vmap).
    #[track_caller]
    pub fn vmap<X: Vars<'t>, Y: Vars<'t>>(self, inputs: X, f: impl FnOnce(X) -> Y) -> Y {
        self.batched(&[], &[], inputs, f)
    }

    /// [`vmap`](Self::vmap) with the place of the batch axis in each input and in each output; those for which none is
    /// given have it first. Negative places count from the end.
    ///
    /// ```
    /// # use retrograde_graph::Tape;
    /// # use retrograde_storage::Array;
    /// # let tape = Tape::new();
    /// let x = tape.constant(Array::<f64>::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]));
    /// let sums = tape.rec().vmap_along(&[1], &[-1], x, |column| column.cumsum(0));
    /// assert_eq!(sums.value()?, Array::from([[1.0, 2.0, 3.0], [5.0, 7.0, 9.0]]));
    /// let error = tape.rec().vmap_along(&[2], &[], x, |column| column).value().unwrap_err();
    /// assert!(error.to_string().contains("input 0: axis 2 is out of range"), "{error}");
    /// # Ok::<(), retrograde_graph::Error>(())
    /// ```
    #[track_caller]
    pub fn vmap_along<X: Vars<'t>, Y: Vars<'t>>(
        self,
        input_axes: &[isize],
        output_axes: &[isize],
        inputs: X,
        f: impl FnOnce(X) -> Y,
    ) -> Y {
        self.batched(input_axes, output_axes, inputs, f)
    }

    #[track_caller]
    fn batched<X: Vars<'t>, Y: Vars<'t>>(
        self,
        input_axes: &[isize],
        output_axes: &[isize],
        inputs: X,
        f: impl FnOnce(X) -> Y,
    ) -> Y {
        let at = Location::caller();
        let given = members(&inputs);
        let opened = self.open_samples(input_axes, &given, at);
        let own = match &opened {
            Ok(opened) => opened.inputs.clone(),
            Err(error) => self.poisoned(error, &given),
        };
        let outputs = f(self.bundle(&inputs, &own));
        let made = members(&outputs);
        let results =
            opened.and_then(|opened| self.close_samples(output_axes, &opened, &given, &made, at));
        let results = results.unwrap_or_else(|error| self.poisoned(&error, &made));
        self.bundle(&outputs, &results)
    }

    fn open_samples(
        self,
        axes: &[isize],
        inputs: &[Member<'t>],
        at: &'static Location<'static>,
    ) -> Result<Opened, Error> {
        let mut state = self.recorder.state.borrow_mut();
        self.check_members("vmap", &state, inputs, at)?;
        let ids: Vec<Value> = inputs.iter().map(|m| m.id).collect();
        let opened = state.open_samples(axes, &ids, at);
        opened.map_err(|fault| state.refusal("vmap", &ids, &fault, at))
    }

    fn close_samples(
        self,
        axes: &[isize],
        opened: &Opened,
        inputs: &[Member<'t>],
        outputs: &[Member<'t>],
        at: &'static Location<'static>,
    ) -> Result<Vec<Value>, Error> {
        let mut state = self.recorder.state.borrow_mut();
        self.check_members("vmap", &state, outputs, at)?;
        let ids = |of: &[Member<'t>]| of.iter().map(|m| m.id).collect::<Vec<_>>();
        let (inputs, outputs) = (ids(inputs), ids(outputs));
        state.list.set_location(Some(at));
        let before = state.list.len();
        let results = state.close_samples(axes, opened, &inputs, &outputs);
        results.map_err(|error| {
            state.list.truncate(before);
            match error {
                Refused::Fault(fault) => state.refusal("vmap", &inputs, &fault, at),
                Refused::Error(error) => error.at(error.location().or(Some(at))),
            }
        })
    }
}

/// Why there is no batch of samples.
enum Refused {
    Fault(Fault),
    Error(Error),
}
impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}
impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// The place of one of several axes, for which fewer may be given.
fn place(axes: &[isize], i: usize) -> isize {
    axes.get(i).copied().unwrap_or(0)
}

/// No more places than there are handles.
fn check_count(what: &str, axes: &[isize], count: usize) -> Result<(), Fault> {
    if axes.len() <= count {
        return Ok(());
    }
    Err(infer::argument(format!(
        "axes for {} {what} are given, but there are {count}",
        axes.len()
    )))
}

impl Recording {
    fn open_samples(
        &mut self,
        axes: &[isize],
        inputs: &[Value],
        at: &'static Location<'static>,
    ) -> Result<Opened, Fault> {
        let list = &mut self.list;
        check_count("inputs", axes, inputs.len())?;
        let (mut samples, mut places) = (None, Vec::new());
        for (i, &v) in inputs.iter().enumerate() {
            let axis = infer::axis(list.shape(v), place(axes, i));
            let axis = axis.map_err(|fault| {
                Fault::new(
                    fault.kind,
                    format!(
                        "input {i}: {}; what all samples share is simply used by the function",
                        fault.reason
                    ),
                )
            })?;
            let n = list.dims(v)[axis];
            let expected = *samples.get_or_insert(n);
            if n != expected {
                return Err(Fault::shape(format!(
                    "input {i} has {n} samples along axis {axis}, but input 0 has {expected}"
                )));
            }
            places.push(axis);
        }
        let Some(samples) = samples else {
            return Err(Fault::new(
                ErrorKind::Inputs,
                "there are no inputs, so there is nothing to batch",
            ));
        };
        list.set_location(Some(at));
        let from = list.len();
        let own = inputs.iter().zip(&places).map(|(&v, &axis)| {
            let mut dims = list.dims(v).to_vec();
            dims.remove(axis);
            let shape = Shape::new(&dims).expect("fewer axes");
            list.placeholder(shape, v)
        });
        Ok(Opened {
            inputs: own.collect(),
            axes: places,
            from,
            samples,
        })
    }

    fn close_samples(
        &mut self,
        axes: &[isize],
        opened: &Opened,
        inputs: &[Value],
        outputs: &[Value],
    ) -> Result<Vec<Value>, Refused> {
        let (list, samples) = (&mut self.list, opened.samples);
        check_count("outputs", axes, outputs.len())?;
        let mut places = Vec::with_capacity(outputs.len());
        for (i, &v) in outputs.iter().enumerate() {
            let place = infer::new_axis(list.shape(v), place(axes, i));
            places.push(place.map_err(|fault| {
                Fault::new(fault.kind, format!("output {i}: {}", fault.reason))
            })?);
        }
        let recorded = Recorded {
            from: opened.from,
            carries: &[],
            steps: &opened.inputs,
            outputs,
            length: samples,
        };
        // What differs from sample to sample are the steps of a loop over them; its constants are shared.
        let extracted = extract(list, &recorded)?;
        let body = extracted.body;
        let mut batch = Batch::new(&body.list, list, samples);
        for (i, operand) in extracted.operands.into_iter().enumerate() {
            let lane = match operand {
                Ok(input) => Lane::batched(batch.batch_first(inputs[input], opened.axes[input])),
                Err(drawn) if i < body.steps => Lane::batched(drawn),
                Err(shared) => Lane::shared(shared),
            };
            batch.give(Value::from_index(i), lane);
        }
        batch.run(|_| true, |_, _| Ok(None))?;
        let results = body.outputs.iter().zip(places).map(|(&v, place)| {
            let lane = batch.lane(v)?;
            let wide = batch.wide(v, lane)?;
            Ok(batch.move_batch(wide, place))
        });
        results.collect()
    }
}
