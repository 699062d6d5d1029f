//! Chains: a group that goes on with what a kernel computed, block by block, while it is in the cache.
//!
//! A product followed by its bias and activation, or by the optimiser's update of the weight whose gradient it is, would
//! write its result to memory in one phase and read it back in the next, after a rendezvous of all threads. In a chain
//! the thread that has computed some rows runs the group on those rows at once: no rendezvous, and the rows come from
//! the second-level cache.
//!
//! Two products of a matrix with vectors side by side read it once: [`beside`].

use retrograde_ops::tile::{Code, Part};

use super::kernel::Kernel;
use super::plan::PlannedGroup;
use crate::list::{List, Value};
use crate::op::Op;
use crate::passes::places::Places;

/// The group that each block of a kernel's last phase goes on with.
#[derive(Debug)]
pub(crate) struct Chained {
    /// Its number.
    pub group: usize,
    /// By block of the kernel: the part of the group's space with the same elements.
    pub parts: Box<[Part]>,
}

/// Whether blocks of `first` can run with those of `second`, the step after it: if both multiply the same rows of a
/// matrix by vectors, of which the second's is not the first's result. Then the rows come from memory once.
pub(crate) fn beside(list: &List, places: &Places, first: &Kernel, second: &Kernel) -> bool {
    let mut operands = list.args(second.value).iter().map(|&a| places.base(a));
    first.shares_rows(second) && operands.all(|a| a != first.value)
}

/// Whether `group`, number `number`, can be chained to the last of `kernels`, whose last phase has `blocks` blocks;
/// `threads` may run them. Others in `kernels` run block by block beside it, with blocks that write the same elements.
/// `overwritten` are the inputs that the group updates in place.
///
/// It can if it reads the kernels' results element by element, in order, and each block's elements are a part that the
/// group can be cut at; if it overwrites nothing that other blocks of the kernels still read; and if there is work for
/// all threads.
pub(crate) fn chain(
    (list, places): (&List, &Places),
    kernels: &[&Kernel],
    blocks: usize,
    (number, group): (usize, &PlannedGroup),
    overwritten: &[Value],
    threads: usize,
) -> Option<Chained> {
    let kernel = kernels.last()?;
    if blocks < threads.min(group.step.group.blocks(&group.geometry))
        || kernel.copies_to().is_some()
    {
        return None;
    }
    let space: usize = group.step.group.space.iter().product();
    let mut reads = false;
    for op in &group.step.group.ops {
        if let Code::Load | Code::Store = op.code
            && let (value, _) = group.step.bases[op.imm as usize]
            && kernels.iter().any(|kernel| kernel.value == value)
        {
            let in_order = group.step.group.is_contiguous(op.imm)
                && group.step.bases[op.imm as usize].1 == 0
                && list.shape(value).len() == space;
            if !in_order || op.code == Code::Store {
                return None;
            }
            reads |= value == kernel.value;
        }
    }
    let still_read = |input: &Value| {
        let external = list.attr(*input);
        let operands = kernels.iter().flat_map(|kernel| list.args(kernel.value));
        let mut operands = operands.map(|&a| places.base(a));
        operands.any(|a| list.op(a) == Op::Input && list.attr(a) == external)
    };
    if !reads || overwritten.iter().any(still_read) {
        return None;
    }
    let parts: Option<Box<[Part]>> = (0..blocks)
        .map(|block| group.step.group.part(kernel.writes(block)?))
        .collect();
    parts.map(|parts| Chained {
        group: number,
        parts,
    })
}
