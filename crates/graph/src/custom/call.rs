//! An operation at certain shapes, its element type forgotten: what the list and the kernels know.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use retrograde_storage::{ArrayRef, Element, Shape};

use super::fragment::Fragment;
use super::samples::Samples;
use super::{MOST_OPERANDS, Rules};
use crate::error::{Error, ErrorKind};
use crate::var::Float;

/// How a call is differentiated.
pub(crate) enum Rule<'a> {
    /// By instructions.
    Recorded(&'a Fragment),
    /// By an instruction that runs the user's function.
    Slices,
}

/// A call, whatever its element type.
pub(crate) trait Call: Send + Sync + fmt::Debug {
    /// The user's name for the operation.
    fn name(&self) -> &str;
    /// Its rule, or why there is none.
    fn rule(&self) -> Result<Rule<'_>, Error>;
    /// Samples that the function is called for, one after the other.
    fn samples(&self) -> usize {
        1
    }
    /// The call for so many times the samples, all operands and results having an axis more.
    fn of_samples(self: Arc<Self>, samples: usize) -> AnyCall;
    /// Elements of each input, of one sample.
    fn lengths(&self) -> Vec<usize>;
    /// Elements of the output, of one sample.
    fn output_length(&self) -> usize;
    /// Bytes of an element.
    fn element_size(&self) -> usize;
    /// Runs the function, or with `gradient` the rule on slices: inputs, output, its gradient; into all gradients, one
    /// after the other, sample by sample. Returns a refusal.
    ///
    /// # Safety
    /// Operands and `out` are aligned, initialised memory of the call's element type, of as many elements as it has at
    /// these shapes; nobody writes the operands or touches `out` meanwhile.
    unsafe fn run(&self, gradient: bool, operands: &[*const u8], out: *mut u8) -> Option<String>;
    /// As [`run`](Self::run), on numbers: for the oracle.
    fn evaluate(&self, gradient: bool, operands: &[&[f64]]) -> Vec<f64>;
}

/// A call of an operation on `T`.
pub(crate) struct Typed<T: Float> {
    rules: Rules<T>,
    pub inputs: Vec<Shape>,
    pub output: Shape,
    rule: OnceLock<Result<Fragment, Error>>,
    /// Calls for several samples that lists hold: equal calls are one by address.
    of_samples: Mutex<Vec<(usize, Weak<Samples>)>>,
}

impl<T: Float> fmt::Debug for Typed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {:?}", self.rules.name, self.inputs)
    }
}

impl<T: Float> Typed<T> {
    pub(super) fn new(rules: Rules<T>, inputs: Vec<Shape>, output: Shape) -> Self {
        Self {
            rules,
            inputs,
            output,
            rule: OnceLock::new(),
            of_samples: Mutex::default(),
        }
    }

    /// Records the rule, if it is one to record and was not before.
    pub(super) fn record_rule(&self) {
        if let Some(rule) = &self.rules.derivative {
            self.rule.get_or_init(|| {
                Fragment::record(&self.rules.name, &**rule, &self.inputs, self.output)
            });
        }
    }

    /// Runs on slices; see [`Call::run`].
    fn on_slices(&self, gradient: bool, operands: &[&[T]], out: &mut [T]) -> Option<String> {
        out.fill(T::default());
        let none = ArrayRef::new(&[], [0]).expect("no element");
        let mut inputs = [none; MOST_OPERANDS];
        let count = self.inputs.len();
        for ((to, &data), &shape) in inputs.iter_mut().zip(operands).zip(&self.inputs) {
            *to = ArrayRef::new(data, shape).expect("as many elements as the shape has");
        }
        let inputs = &inputs[..count];
        match (&self.rules.backward, gradient) {
            (Some(rule), true) => {
                let mut grads: [&mut [T]; MOST_OPERANDS] = Default::default();
                let mut rest = out;
                for (to, shape) in grads.iter_mut().zip(&self.inputs) {
                    let (own, after) = rest.split_at_mut(shape.len());
                    (*to, rest) = (own, after);
                }
                rule(
                    inputs,
                    operands[count],
                    operands[count + 1],
                    &mut grads[..count],
                );
                None
            }
            _ => (self.rules.forward)(inputs, out),
        }
    }

    /// Elements of operand `i`: an input, the output, its gradient.
    fn length(&self, i: usize) -> usize {
        self.inputs.get(i).unwrap_or(&self.output).len()
    }

    fn out_length(&self, gradient: bool) -> usize {
        if gradient {
            self.inputs.iter().map(Shape::len).sum()
        } else {
            self.output.len()
        }
    }
}

impl<T: Float> Call for Typed<T> {
    fn name(&self) -> &str {
        &self.rules.name
    }

    fn rule(&self) -> Result<Rule<'_>, Error> {
        self.record_rule();
        match (self.rule.get(), &self.rules.backward) {
            (Some(Ok(fragment)), _) => Ok(Rule::Recorded(fragment)),
            (Some(Err(error)), _) => Err(error.clone()),
            (None, Some(_)) => Ok(Rule::Slices),
            (None, None) => {
                let message = format!(
                    "custom operation `{}` has no derivative: give it one by `derivative` or `backward`, or `detach` its inputs",
                    self.rules.name
                );
                Err(Error::new(ErrorKind::Custom, message))
            }
        }
    }

    fn of_samples(self: Arc<Self>, samples: usize) -> AnyCall {
        let known = &self.of_samples;
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|k| k.1.strong_count() > 0);
        let found = known.iter().find(|k| k.0 == samples);
        if let Some(call) = found.and_then(|k| k.1.upgrade()) {
            return call;
        }
        let call = Arc::new(Samples::new(Arc::<Self>::clone(&self), samples));
        known.push((samples, Arc::downgrade(&call)));
        call
    }

    fn lengths(&self) -> Vec<usize> {
        self.inputs.iter().map(Shape::len).collect()
    }

    fn output_length(&self) -> usize {
        self.output.len()
    }

    fn element_size(&self) -> usize {
        size_of::<T>()
    }

    unsafe fn run(&self, gradient: bool, operands: &[*const u8], out: *mut u8) -> Option<String> {
        let mut slices: [&[T]; MOST_OPERANDS + 2] = Default::default();
        for (i, (to, &from)) in slices.iter_mut().zip(operands).enumerate() {
            // An operand without elements may stand nowhere.
            if self.length(i) > 0 {
                // SAFETY: the caller's contract: so many elements, initialised and not written meanwhile.
                *to = unsafe { std::slice::from_raw_parts(from.cast(), self.length(i)) };
            }
        }
        // SAFETY: the caller's contract: so many elements, ours alone. The result of an instruction that is run has some.
        let out = unsafe { std::slice::from_raw_parts_mut(out.cast(), self.out_length(gradient)) };
        self.on_slices(gradient, &slices[..operands.len()], out)
    }

    fn evaluate(&self, gradient: bool, operands: &[&[f64]]) -> Vec<f64> {
        let typed = |x: &&[f64]| x.iter().map(|&x| T::of(x)).collect::<Vec<T>>();
        let operands: Vec<Vec<T>> = operands.iter().map(typed).collect();
        let slices: Vec<&[T]> = operands.iter().map(Vec::as_slice).collect();
        let mut out = vec![T::default(); self.out_length(gradient)];
        self.on_slices(gradient, &slices, &mut out);
        out.into_iter().map(Element::to_f64).collect()
    }
}

/// What a panic said.
pub(crate) fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}

/// As [`Arc<dyn Call>`], for lists.
pub(crate) type AnyCall = Arc<dyn Call>;
