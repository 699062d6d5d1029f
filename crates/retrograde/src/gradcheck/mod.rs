//! Derivatives against central differences.

mod function;

use retrograde_graph::{Error, ErrorKind, Feed, Inputs, Program, Rec, Result, Var};
use retrograde_storage::{AnyArray, DType, Shape};

use function::{Function, Random};

/// Checks the gradient of a closure at these inputs against central differences, in `f64`.
///
/// Every output is checked with respect to every `f64` input, first by derivatives in random directions (which is quick:
/// a few runs whatever the number of elements), by forward mode as well as reverse. Where one is off, the whole Jacobian
/// is compared, element by element, and the error says which derivative differs most.
///
/// ```
/// use retrograde::prelude::*;
/// use retrograde::gradcheck;
///
/// # fn main() -> Result<()> {
/// let inputs = [Array::<f64>::linspace(-1.0, 1.0, 6).reshape([2, 3])?, Array::<f64>::ones([3])];
/// gradcheck(&inputs, |_, [w, x]| (w * x).tanh().sum_over(1).logsumexp())?;
/// # Ok(()) }
/// ```
///
/// Inputs of other types (indices, labels, masks) are held fixed:
///
/// ```
/// # use retrograde::prelude::*;
/// # use retrograde::{gradcheck, gradcheck2};
/// # fn main() -> Result<()> {
/// let inputs = (Array::<f64>::eye(3), Array::from_slice(&[2u32, 0, 1]));
/// gradcheck(&inputs, |_, (x, labels)| x.cross_entropy(labels))?;
/// gradcheck2(&inputs, |_, (x, labels)| x.cross_entropy(labels))?; // and the second derivatives
/// # Ok(()) }
/// ```
///
/// # Errors
/// Of kind [`ErrorKind::Gradient`] where derivatives differ by more than `1e-5 + 1e-3 |numeric|` (see [`GradCheck`]).
/// A function that is not smooth at the inputs fails rightly: move them away from the kink. A branch that the step of
/// `1e-6` crosses is an error of kind [`ErrorKind::Guard`].
pub fn gradcheck<I: Inputs, F>(inputs: &I, f: F) -> Result<()>
where
    F: for<'t> Fn(Rec<'t>, I::Vars<'t>) -> Var<'t, f64>,
{
    GradCheck::default().check(&Program::record(inputs, f)?, inputs)
}

/// As [`gradcheck`] for the second derivative: the gradient itself, as a function of the inputs and of its seed, is
/// checked against its central differences.
pub fn gradcheck2<I: Inputs, F>(inputs: &I, f: F) -> Result<()>
where
    F: for<'t> Fn(Rec<'t>, I::Vars<'t>) -> Var<'t, f64>,
{
    GradCheck::default().check2(&Program::record(inputs, f)?, inputs)
}

/// How derivatives are compared; checks programs.
///
/// ```
/// use retrograde::prelude::*;
/// use retrograde::GradCheck;
///
/// # fn main() -> Result<()> {
/// let x = Array::<f64>::linspace(0.1, 2.0, 5);
/// let f = Program::record(&[x.clone()], |_, [x]| (x.ln() * x).sum())?;
/// let strict = GradCheck { relative: 1e-6, full: true, ..GradCheck::default() };
/// strict.check(&f, [&x])?;
/// strict.check2(&f, [&x])?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradCheck {
    /// Distance of the two function values of a difference from the point, `1e-6`.
    pub step: f64,
    /// What a derivative may be off, `1e-5`.
    pub absolute: f64,
    /// What it may be off besides, as a share of the numeric derivative, `1e-3`.
    pub relative: f64,
    /// Random directions that are tried, 2.
    pub directions: usize,
    /// Whether the whole Jacobian is compared in any case: as many runs as it has rows and columns.
    pub full: bool,
    /// Seed of the directions.
    pub seed: u64,
}

impl Default for GradCheck {
    fn default() -> Self {
        Self {
            step: 1e-6,
            absolute: 1e-5,
            relative: 1e-3,
            directions: 2,
            full: false,
            seed: 0,
        }
    }
}

impl GradCheck {
    /// Checks every `f64` output of a program with respect to every `f64` input, at these inputs.
    ///
    /// # Errors
    /// See [`gradcheck`]; whatever running the program gives.
    pub fn check(&self, program: &Program, inputs: impl Feed) -> Result<()> {
        let inputs = owned(&inputs)?;
        self.check_outputs(program, &inputs, 0, "gradcheck")
    }

    /// As [`check`](Self::check) for second derivatives of the first output.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check2(&self, program: &Program, inputs: impl Feed) -> Result<()> {
        let mut inputs = owned(&inputs)?;
        let Some(shape) = program.output_shape(0) else {
            return Err(Error::new(
                ErrorKind::Inputs,
                "gradcheck: the program has no output",
            ));
        };
        let seed = Random(self.seed ^ 0x5eed).array(Shape::new(shape).map_err(shape_error)?)?;
        let gradient = program.vjp()?;
        inputs.push(seed.into());
        self.check_outputs(&gradient, &inputs, 1, "gradcheck of the gradient")
    }

    /// Settings by which nothing would be compared, or nothing could agree, are errors.
    fn check_settings(&self) -> Result<()> {
        let fault = |message: String| Err(Error::new(ErrorKind::Setting, message));
        if !(self.step.is_finite() && self.step > 0.0) {
            return fault(format!(
                "gradcheck: the step must be finite and positive, but it is {}",
                self.step
            ));
        }
        for (what, x) in [("absolute", self.absolute), ("relative", self.relative)] {
            if !(x.is_finite() && x >= 0.0) {
                return fault(format!(
                    "gradcheck: the {what} tolerance must be finite and not negative, but it is {x}"
                ));
            }
        }
        if self.directions == 0 && !self.full {
            return fault(
                "gradcheck: without directions nothing is compared; try one, or `full: true`"
                    .into(),
            );
        }
        Ok(())
    }

    fn check_outputs(
        &self,
        program: &Program,
        inputs: &[AnyArray],
        first: usize,
        what: &str,
    ) -> Result<()> {
        self.check_settings()?;
        let is = |dtype: DType| inputs.iter().any(|x| x.dtype() == dtype);
        if !is(DType::F64) {
            let message = format!(
                "{what}: no input is f64; central differences need its precision, so record with `Array<f64>`"
            );
            return Err(Error::new(ErrorKind::DType, message));
        }
        let outputs = first..program.output_count();
        let outputs: Vec<usize> = outputs
            .filter(|&k| program.output_dtype(k) == Some(DType::F64))
            .collect();
        if outputs.is_empty() {
            let message = format!("{what}: no output is f64");
            return Err(Error::new(ErrorKind::DType, message));
        }
        for k in outputs {
            let what = format!("{what}: output {k}");
            let function = Function::new(&program.output(k)?, what)?;
            function.check(self, inputs)?;
        }
        Ok(())
    }

    fn is_close(&self, analytic: f64, numeric: f64) -> bool {
        // Equal infinities are close, NaN is close to nothing.
        analytic == numeric
            || (analytic - numeric).abs() <= self.absolute + self.relative * numeric.abs()
    }
}

/// Owned copies of what a feed holds.
fn owned(feed: &dyn Feed) -> Result<Vec<AnyArray>> {
    let ports = (0..feed.count()).filter_map(|i| feed.port(i));
    ports.map(|p| p.to_any()).collect()
}

fn shape_error(e: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Shape, e.to_string())
}
