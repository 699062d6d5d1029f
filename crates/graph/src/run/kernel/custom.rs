//! Custom operations: the user's function on slices.

use std::panic::{AssertUnwindSafe, catch_unwind};

use retrograde_ops::structured::{Cause, Fault, Mismatch};
use retrograde_storage::Packet;

use super::{Block, Operand, Work};
use crate::custom::MOST_OPERANDS;
use crate::custom::call::{AnyCall, said};
use crate::list::{List, Value};
use crate::op::Op;
use crate::passes::places::Places;

/// A call with operands that have no addresses yet.
#[derive(Debug)]
pub(super) struct Custom {
    call: AnyCall,
    gradient: bool,
    operands: Vec<Operand>,
    dst: Operand,
}

/// Nanoseconds that a function is taken to need for a byte of its operands: nobody knows.
const BYTE_NS: f64 = 1.0;

impl Custom {
    /// The kernel of `v`, an [`Op::Custom`] or [`Op::CustomGrad`].
    pub(super) fn new(list: &List, places: &Places, v: Value) -> Self {
        let operands = list.args(v).iter();
        Self {
            call: list.call(v).clone(),
            gradient: list.op(v) == Op::CustomGrad,
            operands: operands.map(|&x| Operand::of(list, places, x)).collect(),
            dst: Operand::result(list, v),
        }
    }
}

impl Work for Custom {
    /// Slices are dense.
    fn check(&self) -> Result<(), Mismatch> {
        if self.operands.iter().all(|x| x.view.is_dense())
            && self.operands.len() <= MOST_OPERANDS + 2
        {
            return Ok(());
        }
        Err(Mismatch {
            kernel: "custom",
            expected: "few dense operands",
        })
    }

    /// All at once: what the function does with its slices is its own affair.
    fn phases(&self) -> Vec<usize> {
        vec![1]
    }

    fn cost_ns(&self) -> f64 {
        let bytes: f64 = self
            .operands
            .iter()
            .chain([&self.dst])
            .map(Operand::bytes)
            .sum();
        bytes * BYTE_NS
    }

    unsafe fn run(&self, at: Block<'_>, _scratch: &mut [Packet]) {
        let mut addresses = [std::ptr::null(); MOST_OPERANDS + 2];
        for (to, x) in addresses.iter_mut().zip(&self.operands) {
            let start = x.view.offset * x.dtype.size() as isize;
            *to = at
                .bindings
                .address(x.at)
                .wrapping_offset(start)
                .cast_const();
        }
        let operands = &addresses[..self.operands.len()];
        let out = at.bindings.address(self.dst.at);
        // SAFETY: the caller's contract; operands are dense, of the type and shapes that the call was made for. Whatever
        // the function leaves half done is memory that this run alone uses, and the run is an error then.
        let run = AssertUnwindSafe(|| unsafe { self.call.run(self.gradient, operands, out) });
        let (cause, text) = match catch_unwind(run) {
            Ok(None) => return,
            Ok(Some(refusal)) => (Cause::Refused, refusal),
            Err(panic) => (Cause::Panicked, said(&*panic)),
        };
        let fault = Fault {
            site: at.site,
            position: 0,
            value: 0,
            bound: 0,
            cause,
        };
        at.bindings.errors.report_with(fault, text);
    }
}
