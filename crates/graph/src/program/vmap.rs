//! Programs of a sample as programs of a batch of samples.

use retrograde_ops::{Binary, Reduce};
use retrograde_storage::{DType, Id, MAX_RANK, Shape};

use super::{Program, Recorded};
use crate::batching::{Batch, Lane};
use crate::error::{Error, ErrorKind, Result};
use crate::infer;
use crate::list::{List, Region, Value};
use crate::op::{Attr, Op};
use crate::tape::Guard;

impl Program {
    /// The same function of `samples` samples at once: of inputs with a new axis of that extent, at the place that `axes`
    /// says for each, or without one (`None`) where all samples share it. Outputs have the axis in front. What depends on
    /// shared inputs alone is computed once.
    ///
    /// It composes with the other transforms in any order: `f.value_and_grad()?.vmap(..)` gives a gradient for each
    /// sample, `f.vmap(..)?.vjp()` the gradient of all samples' outputs, `f.vmap(..)?.vmap(..)` two batch axes.
    ///
    /// Elementwise results have the bits that a sample alone has; sums and products may be rounded in another order: the
    /// shape of what is reduced, of which the batch is a part, says which elements are added first.
    ///
    /// Random draws are drawn anew for each sample: sample 0 has the draws that the program alone has. A value that was
    /// read while recording must be the same for all samples; samples may branch their own ways under
    /// [`Dynamic::vmap`](crate::Dynamic::vmap). A [custom operation](crate::CustomOp) on slices is called for each sample.
    ///
    /// ```
    /// use retrograde_graph::Program;
    /// use retrograde_storage::{Array, Create};
    /// # fn main() -> retrograde_graph::Result<()> {
    /// // The squared error of a linear model at one observation, and its gradient at each of three.
    /// let [w, x] = [Array::<f64>::from([2.0, -1.0]), Array::from([1.0, 1.0])];
    /// let y = Array::scalar(0.0);
    /// let loss = Program::record(&(w.clone(), x, y), |_, (w, x, y)| (w.dot(x) - y).square())?;
    /// let each = loss.value_and_grad_of(&[0])?.vmap(3, &[None, Some(0), Some(0)])?;
    ///
    /// let xs = Array::from([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]);
    /// let ys = Array::from([1.0, 1.0, 1.0]);
    /// let mut ws = each.workspace()?;
    /// let out = each.run(&mut ws, (&w, &xs, &ys))?;
    /// assert_eq!(out.array::<f64>(0)?, Array::from([1.0, 4.0, 0.0]));
    /// assert_eq!(out.array::<f64>(1)?, Array::from([[2.0, 0.0], [0.0, -4.0], [0.0, 0.0]]));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Another number of axes than of inputs, an axis out of range, no input with one; a value of the largest rank, or
    /// one that would have more elements than memory can address.
    pub fn vmap(&self, samples: usize, axes: &[Option<isize>]) -> Result<Self> {
        let outputs = vec![Some(0); self.output_count()];
        self.vmap_to(samples, axes, &outputs)
    }

    /// As [`vmap`](Self::vmap), with the place of the new axis in each output too, or none (`None`) for an output that is
    /// the same for all samples.
    ///
    /// ```
    /// # use retrograde_graph::Program;
    /// # use retrograde_storage::{Array, Create};
    /// # fn main() -> retrograde_graph::Result<()> {
    /// // Samples as columns, and a scale that all of them share.
    /// let (x, a) = (Array::<f64>::from([1.0, 2.0]), Array::scalar(3.0));
    /// let f = Program::try_record(&(x, a.clone()), |_, (x, a)| Ok([a * x, a.exp()].into()))?;
    /// let columns = f.vmap_to(2, &[Some(1), None], &[Some(-1), None])?;
    /// let mut ws = columns.workspace()?;
    /// let out = columns.run(&mut ws, (&Array::from([[1.0, 5.0], [2.0, 6.0]]), &a))?;
    /// assert_eq!(out.array::<f64>(0)?, Array::from([[3.0, 15.0], [6.0, 18.0]]));
    /// assert!((out.item::<f64>(1)? - 3.0f64.exp()).abs() < 1e-13);
    /// let error = f.vmap_to(2, &[Some(1), None], &[None, None]).unwrap_err();
    /// assert!(error.to_string().contains("output 0 differs from sample to sample"), "{error}");
    /// # Ok(()) }
    /// ```
    pub fn vmap_to(
        &self,
        samples: usize,
        inputs: &[Option<isize>],
        outputs: &[Option<isize>],
    ) -> Result<Self> {
        let made = self.recorded.vmap(samples, inputs, outputs)?;
        Self::compile(made, self.plan.options)?.checked()
    }
}

impl Recorded {
    /// The recording of `samples` samples at once; axes as for [`Program::vmap_to`]. Guards must hold for all samples.
    pub(super) fn vmap(
        &self,
        samples: usize,
        inputs: &[Option<isize>],
        outputs: &[Option<isize>],
    ) -> Result<Self> {
        let axes = self.input_axes(inputs)?;
        if outputs.len() != self.outputs.len() {
            let message = format!(
                "vmap: the program has {} outputs, given were axes for {}",
                self.outputs.len(),
                outputs.len()
            );
            return Err(Error::new(ErrorKind::Inputs, message));
        }
        let live = self.live();
        let draws = |v: Value| live[v.index()] && matches!(self.list.op(v), Op::Random(_));
        if axes.iter().all(Option::is_none) && !self.list.values().any(draws) {
            let message = "vmap: every input is shared by all samples, so there is nothing to batch; give one of them an axis";
            return Err(Error::new(ErrorKind::Inputs, message));
        }
        let mut list = List::default();
        let mut batch = Batch::new(&self.list, &mut list, samples);
        let mut new_inputs = Vec::new();
        batch.run(
            |v| live[v.index()],
            |batch, v| {
                if self.list.op(v) != Op::Input {
                    return Ok(None);
                }
                let Some(i) = self.inputs.iter().position(|&input| input == v) else {
                    return Ok(None);
                };
                let shape = self.list.shape(v);
                let number = Attr::int(i as i64);
                let dtype = self.list.dtype(v);
                let shape = match axes[i] {
                    Some(axis) => inserted(&self.list, v, shape, axis, samples)?,
                    None => shape,
                };
                let given = batch.to.push(Op::Input, &[], number, shape, dtype);
                new_inputs.push((i, given));
                Ok(Some(match axes[i] {
                    Some(axis) => Lane::batched(batch.batch_first(given, axis)),
                    None => Lane::shared(given),
                }))
            },
        )?;
        let mut new_outputs = Vec::with_capacity(outputs.len());
        for (i, (&v, &axis)) in self.outputs.iter().zip(outputs).enumerate() {
            let lane = batch.lane(v)?;
            new_outputs.push(match axis {
                None if lane.batched => {
                    let message = format!(
                        "vmap: output {i} differs from sample to sample, so it needs an axis for them"
                    );
                    return Err(Error::new(ErrorKind::Axis, message).at(self.list.location(v)));
                }
                None => lane.v,
                Some(axis) => {
                    let at = infer::new_axis(self.list.shape(v), axis).map_err(|fault| {
                        Error::new(fault.kind, format!("vmap of output {i}: {}", fault.reason))
                    })?;
                    let wide = batch.wide(v, lane)?;
                    batch.move_batch(wide, at)
                }
            });
        }
        let mut guards = Vec::with_capacity(self.guards.len());
        for &guard in &self.guards {
            let lane = batch.lane(guard.value)?;
            guards.push(if lane.batched {
                held_by_all(batch.to, guard, lane.v)
            } else {
                Guard {
                    value: lane.v,
                    ..guard
                }
            });
        }
        let moved = |r: &Region| Region {
            start: batch.start(r.start),
            end: batch.start(r.end),
        };
        let regions: Vec<Region> = self.list.regions().iter().map(moved).collect();
        let segments = self.segments.iter().map(moved).collect();
        let primal = batch.start(self.primal);
        regions.into_iter().for_each(|r| list.add_region(r));
        new_inputs.sort_unstable();
        let new_inputs: Vec<Value> = new_inputs.into_iter().map(|i| i.1).collect();
        let given = |v: &Value| {
            self.inputs
                .iter()
                .position(|i| i == v)
                .map(|i| new_inputs[i])
        };
        Ok(Self {
            given: self.given.iter().filter_map(given).collect(),
            inputs: new_inputs,
            outputs: new_outputs,
            guards,
            uniforms: self.uniforms.clone(),
            seeds: self.seeds.clone(),
            segments,
            primal,
            list,
        })
    }

    /// The places of the batch axis in the inputs.
    pub(super) fn input_axes(&self, axes: &[Option<isize>]) -> Result<Vec<Option<usize>>> {
        if axes.len() != self.inputs.len() {
            let message = format!(
                "vmap: the program takes {} inputs, given were axes for {}",
                self.inputs.len(),
                axes.len()
            );
            return Err(Error::new(ErrorKind::Inputs, message));
        }
        let each = axes.iter().zip(&self.inputs).enumerate();
        each.map(|(i, (axis, &v))| {
            let Some(axis) = *axis else {
                return Ok(None);
            };
            let at = infer::new_axis(self.list.shape(v), axis);
            at.map(Some).map_err(|fault| {
                Error::new(fault.kind, format!("vmap of input {i}: {}", fault.reason))
            })
        })
        .collect()
    }

    /// By row, whether it is an input or needed.
    fn live(&self) -> Vec<bool> {
        let mut live = vec![false; self.list.len()];
        let guards = self.guards.iter().map(|g| &g.value);
        for v in self.outputs.iter().chain(&self.inputs).chain(guards) {
            live[v.index()] = true;
        }
        for v in self.list.values().rev() {
            if live[v.index()] {
                let args = self.list.args(v).iter();
                args.for_each(|a| live[a.index()] = true);
            }
        }
        live
    }
}

/// A shape with an axis for the samples.
fn inserted(list: &List, v: Value, shape: Shape, axis: usize, samples: usize) -> Result<Shape> {
    let mut dims = shape.dims().to_vec();
    dims.insert(axis, samples);
    Shape::new(&dims).map_err(|_| {
        let message = format!(
            "vmap: an input of {shape} {} has no room for an axis of {samples}: the largest rank is {MAX_RANK}, and memory \
             must be able to address it",
            list.dtype(v)
        );
        Error::new(ErrorKind::Shape, message)
    })
}

/// The guard that a value, one for each sample, was as recorded.
fn held_by_all(list: &mut List, guard: Guard, v: Value) -> Guard {
    let dtype = list.dtype(v);
    let expected = list.int(guard.expected as i64, dtype);
    let other = list.binary(Binary::Ne, v, expected);
    let count = list.cast(other, DType::U32);
    let axes = (1u16 << list.shape(v).rank()) - 1;
    let count = list.reduce(Reduce::Sum, count, axes as u8);
    let count = list.reshape(count, Shape::SCALAR);
    let none = list.int(0, DType::U32);
    let held = list.binary(Binary::Eq, count, none);
    Guard {
        value: held,
        expected: 1,
        ..guard
    }
}
