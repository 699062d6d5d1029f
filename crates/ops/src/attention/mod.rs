//! Attention: `softmax(scale Q K^T + mask) V` for every index of the batch axes, and its gradient, without the matrix of
//! all pairs of queries and keys.
//!
//! Work goes by tiles of queries, as in FlashAttention-2 (Dao, 2023), but a tile sees all its keys at once: its scores, a
//! few rows of the matrix, stand in scratch, so that a row's softmax is the plain one and no running maximum corrects
//! what was added before. Memory is linear in the number of keys, and nothing but the operands is kept for the
//! gradient: it computes the scores of a tile again, which it needs in any case, and with them their softmax.
//!
//! Under a causal mask a tile's keys end with its last query's, which saves half of the work of long sequences.
//!
//! *Masked keys are absent.* A key that a query does not see contributes nothing to it, though its elements be infinite
//! or NaN: where there is a mask and an element is not finite, products with weights go by loops that leave out what is
//! masked (`careful`).
//!
//! An element's bits depend on shapes and level alone; levels with fused multiply-add agree.

mod backward;
mod careful;
mod element;
mod forward;
mod matrix;
mod multiply;
mod seen;
mod sizes;
mod softmax;
mod spec;

#[cfg(test)]
mod tests;

pub use backward::{Backward, BackwardPointers};
pub use element::Element;
pub use forward::{Forward, ForwardPointers};
pub use spec::{Mask, Spec};
