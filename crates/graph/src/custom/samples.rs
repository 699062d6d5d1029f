//! A call for several samples: of operands and results with a batch axis, the function is called for each in turn.

use std::sync::{Arc, OnceLock};

use super::MOST_OPERANDS;
use super::call::{AnyCall, Call, Rule};
use super::fragment::Fragment;
use crate::error::Error;

/// A call and how often it is made.
#[derive(Debug)]
pub(super) struct Samples {
    of: AnyCall,
    samples: usize,
    /// Elements of one sample: of each input, of the output, and bytes of an element.
    inputs: Vec<usize>,
    output: usize,
    size: usize,
    rule: OnceLock<Result<Fragment, Error>>,
}

impl Samples {
    pub(super) fn new(of: AnyCall, samples: usize) -> Self {
        Self {
            inputs: of.lengths(),
            output: of.output_length(),
            size: of.element_size(),
            of,
            samples,
            rule: OnceLock::new(),
        }
    }

    /// Elements of operand `i` in one sample: an input, the output, its gradient.
    fn length(&self, i: usize) -> usize {
        self.inputs.get(i).copied().unwrap_or(self.output)
    }

    /// Elements of the result in one sample.
    fn out_length(&self, gradient: bool) -> usize {
        if gradient {
            self.inputs.iter().sum()
        } else {
            self.output
        }
    }
}

impl Call for Samples {
    fn name(&self) -> &str {
        self.of.name()
    }

    fn rule(&self) -> Result<Rule<'_>, Error> {
        let Rule::Recorded(rule) = self.of.rule()? else {
            return Ok(Rule::Slices);
        };
        let rule = self.rule.get_or_init(|| rule.of_samples(self.samples));
        rule.as_ref().map(Rule::Recorded).map_err(Error::clone)
    }

    fn samples(&self) -> usize {
        self.samples
    }

    fn of_samples(self: Arc<Self>, samples: usize) -> AnyCall {
        Arc::clone(&self.of).of_samples(samples * self.samples)
    }

    fn lengths(&self) -> Vec<usize> {
        self.inputs.clone()
    }

    fn output_length(&self) -> usize {
        self.output
    }

    fn element_size(&self) -> usize {
        self.size
    }

    unsafe fn run(&self, gradient: bool, operands: &[*const u8], out: *mut u8) -> Option<String> {
        let mut at = [std::ptr::null(); MOST_OPERANDS + 2];
        let count = operands.len();
        at[..count].copy_from_slice(operands);
        let mut out = out;
        for sample in 0..self.samples {
            // SAFETY: the caller's contract for all samples is, of the elements of one, that of its call. Addresses
            // are moved from sample to sample, and beyond the last one by no more than the operand's length.
            let refusal = unsafe { self.of.run(gradient, &at[..count], out) };
            if let Some(refusal) = refusal {
                return Some(format!("sample {sample}: {refusal}"));
            }
            for (i, at) in at[..count].iter_mut().enumerate() {
                *at = at.wrapping_add(self.length(i) * self.size);
            }
            out = out.wrapping_add(self.out_length(gradient) * self.size);
        }
        None
    }

    fn evaluate(&self, gradient: bool, operands: &[&[f64]]) -> Vec<f64> {
        let mut out = Vec::new();
        for sample in 0..self.samples {
            let each = operands.iter().enumerate().map(|(i, x)| {
                let len = self.length(i);
                &x[sample * len..][..len]
            });
            let each: Vec<&[f64]> = each.collect();
            out.extend(self.of.evaluate(gradient, &each));
        }
        out
    }
}
