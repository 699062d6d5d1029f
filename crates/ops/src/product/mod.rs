//! Dense matrix products: `C (m x n) [+]= A (m x k) B (k x n)`, any strides, no allocation, any number of threads.
//!
//! A [`Plan`] is made once from shape, strides and [`Level`](crate::Level); it says how much memory to provide (a buffer
//! that is packed once and shared, scratch for each running thread) and how many blocks of C there are to claim. See
//! [`Plan`] for how to run it and for what fixes the bits of a result.
//!
//! Micro-kernels want the output's unit stride along their vectors. Where C is row-major, the transposed problem is
//! computed instead, so inside this module operands go by role, not by side: the *lane operand* (read by whole vectors
//! along C's unit stride) and the *broadcast operand* (read an element at a time). A transpose is never materialised:
//! whatever is packed is read by its strides.
//!
//! A batch of products is one plan run once an item, with the operands' pointers moved along: `batch * plan.blocks()`
//! blocks to claim.

mod float;
mod kernel;
mod pack;
mod pieces;
mod plan;
mod run;
pub mod tuning;
mod vector;
mod whole;

#[cfg(test)]
mod guard;
#[cfg(test)]
mod tests;

pub use float::Float;
pub(crate) use float::Isa;
pub use plan::{Plan, Spec, Strides};
pub use run::Operands;
