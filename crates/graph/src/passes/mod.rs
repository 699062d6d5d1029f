//! From a recorded list to a plan: each pass a small module.
//!
//! 1. [`rebuild`]: copies what the outputs need into a new list, lowering composites, folding exactly and sharing
//!    common subexpressions ([`seen`]) on the way (dead code is what is not copied).
//! 2. [`gates`]: turns strong multiplications into plain ones where the adjoint cannot be structurally zero.
//! 3. [`places`]: resolves views, so that reshapes, slices and transposes cost nothing where strides can say them.
//!    [`legalise`] then copies the few operands that no group's three axes can read.
//! 4. [`fuse`]: assigns instructions to steps; elementwise runs and their reductions become groups.
//!    [`group`] says what one can take.
//!    [`remat`] computes again in a later group what is cheaper to compute than to store; then groups are formed anew.
//!    [`hoist`] moves groups up to the products that they go on with.
//! 5. [`memory`]: liveness of buffers and their offsets in one arena.
//! 6. [`emit`]: the kernels of each step, with slots for groups, programs for scalars; `pairs`: two operations in one
//!    micro-op, `updates`: the formulas of optimisers in one.

pub(crate) mod emit;
pub(crate) mod fold;
pub(crate) mod fuse;
pub(crate) mod gates;
pub(crate) mod group;
pub(crate) mod hoist;
pub(crate) mod legalise;
pub(crate) mod memory;
mod pairs;
pub(crate) mod places;
mod prune;
pub(crate) mod rebuild;
pub(crate) mod remat;
mod seen;
mod updates;
#[cfg(debug_assertions)]
pub(crate) mod verify;
