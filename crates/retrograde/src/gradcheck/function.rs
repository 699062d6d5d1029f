//! A function with its derivatives, compared in random directions and element by element.

use retrograde_graph::{Error, ErrorKind, Program, Result, Workspace};
use retrograde_storage::{AnyArray, Array, Shape};

use super::{GradCheck, shape_error};

/// A function of one output, with its derivatives.
pub(super) struct Function {
    value: Program,
    reverse: Program,
    forward: Program,
    output: Shape,
    what: String,
}

/// Workspaces of a [`Function`].
struct Spaces {
    value: Workspace,
    reverse: Workspace,
}

/// Which derivative differs most.
struct Worst {
    input: usize,
    element: usize,
    output: usize,
    analytic: f64,
    numeric: f64,
    /// How far beyond what is allowed.
    excess: f64,
}

impl Function {
    pub(super) fn new(value: &Program, what: String) -> Result<Self> {
        let output = value.output_shape(0).unwrap_or_default();
        Ok(Self {
            reverse: value.vjp()?,
            forward: value.jvp()?,
            output: Shape::new(output).map_err(shape_error)?,
            value: value.clone(),
            what,
        })
    }

    /// Workspaces whose random draws are the same in every run.
    fn spaces(&self) -> Result<Spaces> {
        let mut spaces = Spaces {
            value: self.value.workspace()?,
            reverse: self.reverse.workspace()?,
        };
        spaces.value.set_repeat(true);
        spaces.reverse.set_repeat(true);
        Ok(spaces)
    }

    pub(super) fn check(&self, how: &GradCheck, inputs: &[AnyArray]) -> Result<()> {
        let mut spaces = self.spaces()?;
        if how.full {
            return self.compare_all(how, inputs, &mut spaces);
        }
        let mut random = Random(how.seed);
        for _ in 0..how.directions {
            let u = random.array(self.output)?;
            let directions = floats(inputs)
                .map(|(_, x)| random.array(x.shape_of()))
                .collect::<Result<Vec<_>>>()?;
            let numeric = dot(&u, &self.difference(how, inputs, &directions, &mut spaces)?);
            let gradient = self.gradient(inputs, &u, &mut spaces)?;
            let reverse: f64 = gradient
                .iter()
                .zip(&directions)
                .map(|(g, v)| dot(g, v))
                .sum();
            if !how.is_close(reverse, numeric) {
                // Rounding alone may do this in a sum of many: only a single derivative that is off is an error.
                self.compare_all(how, inputs, &mut spaces)?;
            }
            let forward = dot(&u, &self.tangent(inputs, &directions)?);
            if !how.is_close(forward, reverse) && how.is_close(reverse, numeric) {
                let message = format!(
                    "{}: forward mode gives {forward} in a direction in which reverse mode gives {reverse} and \
                     central differences {numeric}",
                    self.what
                );
                return Err(Error::new(ErrorKind::Gradient, message));
            }
        }
        Ok(())
    }

    fn value(&self, inputs: &[AnyArray], ws: &mut Workspace) -> Result<Array<f64>> {
        self.value.run(ws, inputs)?.array(0)
    }

    /// Central difference in a direction.
    fn difference(
        &self,
        how: &GradCheck,
        inputs: &[AnyArray],
        directions: &[Array<f64>],
        spaces: &mut Spaces,
    ) -> Result<Array<f64>> {
        let mut side = |sign: f64| -> Result<Array<f64>> {
            let mut moved = inputs.to_vec();
            let floats = moved.iter_mut().filter_map(AnyArray::downcast_mut::<f64>);
            for (x, v) in floats.zip(directions) {
                let pairs = x.as_mut_slice().iter_mut().zip(v.as_slice());
                pairs.for_each(|(x, v)| *x += sign * how.step * v);
            }
            self.value(&moved, &mut spaces.value)
        };
        let (above, below) = (side(1.0)?, side(-1.0)?);
        Ok(above.zip_map(&below, |a, b| (a - b) / (2.0 * how.step))?)
    }

    /// `u^T J`, one for each `f64` input.
    fn gradient(
        &self,
        inputs: &[AnyArray],
        u: &Array<f64>,
        spaces: &mut Spaces,
    ) -> Result<Vec<Array<f64>>> {
        let mut feed = inputs.to_vec();
        feed.push(u.clone().into());
        let out = self.reverse.run(&mut spaces.reverse, feed.as_slice())?;
        (1..out.len()).map(|i| out.array(i)).collect()
    }

    /// `J v`.
    fn tangent(&self, inputs: &[AnyArray], directions: &[Array<f64>]) -> Result<Array<f64>> {
        let mut feed = inputs.to_vec();
        feed.extend(directions.iter().map(|v| v.clone().into()));
        let mut ws = self.forward.workspace()?;
        self.forward.run(&mut ws, feed.as_slice())?.array(1)
    }

    /// Compares the whole Jacobian.
    fn compare_all(&self, how: &GradCheck, inputs: &[AnyArray], spaces: &mut Spaces) -> Result<()> {
        let columns: usize = floats(inputs).map(|(_, x)| x.len()).sum();
        let rows = self.output.len();
        // By row: gradients of all inputs one after the other.
        let mut analytic: Vec<f64> = Vec::new();
        let room = rows.checked_mul(columns);
        if room.is_none_or(|n| analytic.try_reserve_exact(n).is_err()) {
            let message = format!(
                "{}: no memory for {rows} times {columns} derivatives",
                self.what
            );
            return Err(Error::new(ErrorKind::Memory, message));
        }
        let mut unit = Array::<f64>::try_zeros(self.output)?;
        for row in 0..rows {
            unit.as_mut_slice()[row] = 1.0;
            for g in self.gradient(inputs, &unit, spaces)? {
                analytic.extend_from_slice(g.as_slice());
            }
            unit.as_mut_slice()[row] = 0.0;
        }
        let (mut column, mut wrong) = (0, 0);
        let mut worst: Option<Worst> = None;
        let mut moved = inputs.to_vec();
        for (input, x) in floats(inputs) {
            for element in 0..x.len() {
                let at = x.as_slice()[element];
                let mut side = |sign: f64| {
                    if let Some(x) = moved[input].downcast_mut::<f64>() {
                        x.as_mut_slice()[element] = at + sign * how.step;
                    }
                    self.value(&moved, &mut spaces.value)
                };
                let (above, below) = (side(1.0)?, side(-1.0)?);
                if let Some(x) = moved[input].downcast_mut::<f64>() {
                    x.as_mut_slice()[element] = at;
                }
                let sides = above.as_slice().iter().zip(below.as_slice());
                for (output, (a, b)) in sides.enumerate() {
                    let numeric = (a - b) / (2.0 * how.step);
                    let analytic = analytic[output * columns + column];
                    if how.is_close(analytic, numeric) {
                        continue;
                    }
                    wrong += 1;
                    let excess = (analytic - numeric).abs() / (1.0 + numeric.abs());
                    // The first NaN is worse than anything.
                    let is_worse =
                        |w: &Worst| !w.excess.is_nan() && (excess.is_nan() || excess > w.excess);
                    if worst.as_ref().is_none_or(is_worse) {
                        worst = Some(Worst {
                            input,
                            element,
                            output,
                            analytic,
                            numeric,
                            excess,
                        });
                    }
                }
                column += 1;
            }
        }
        match worst {
            None => Ok(()),
            Some(w) => Err(self.explain(how, &inputs[w.input], &w, wrong, rows * columns)),
        }
    }

    fn explain(
        &self,
        how: &GradCheck,
        input: &AnyArray,
        w: &Worst,
        wrong: usize,
        all: usize,
    ) -> Error {
        let index = |shape: Shape, e: usize| format!("{:?}", &shape.index_of(e)[..shape.rank()]);
        let (shape, of) = (input.shape_of(), self.output);
        let at = input
            .downcast_ref::<f64>()
            .map_or(0.0, |x| x.as_slice()[w.element]);
        let message = format!(
            "{what} {of}, element {out}, by input {i} {shape}, element {element} (which is {at}):\n  \
             analytic {analytic}, numeric {numeric} (central difference, step {step:e})\n  \
             {wrong} of {all} derivatives differ by more than {absolute:e} + {relative:e} |numeric|; this one differs most",
            what = self.what,
            out = index(of, w.output),
            i = w.input,
            element = index(shape, w.element),
            analytic = w.analytic,
            numeric = w.numeric,
            step = how.step,
            absolute = how.absolute,
            relative = how.relative,
        );
        Error::new(ErrorKind::Gradient, message)
    }
}

/// The `f64` inputs with their numbers.
fn floats(inputs: &[AnyArray]) -> impl Iterator<Item = (usize, &Array<f64>)> {
    let numbered = inputs.iter().enumerate();
    numbered.filter_map(|(i, x)| Some((i, x.downcast_ref::<f64>()?)))
}

fn dot(x: &Array<f64>, y: &Array<f64>) -> f64 {
    x.iter().zip(y.iter()).map(|(x, y)| x * y).sum()
}

/// Directions: splitmix64, uniform in `[-1, 1)`.
pub(super) struct Random(pub u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    pub(super) fn array(&mut self, shape: Shape) -> Result<Array<f64>> {
        let mut array = Array::<f64>::try_zeros(shape)?;
        array
            .as_mut_slice()
            .iter_mut()
            .for_each(|x| *x = self.next());
        Ok(array)
    }
}
