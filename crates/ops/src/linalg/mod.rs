//! Dense linear algebra over batches of matrices: factorisations and solves, one matrix at a time, sequential; blocks are
//! runs of the batch. Within a matrix, `faer` works on blocks of 32 and the product kernels in between: see `update`.
//!
//! Every matrix is first copied to scratch, column-major, which is how the factorisations are fast and what makes any
//! strides possible; that costs `n^2` beside their `n^3`. `faer` chooses its own instructions by what the processor has,
//! so a level forced lower than that reaches the products alone: these bits are also those of the machine.
//!
//! - `op` names the kernels; `kernel` walks the batch; `factor`, `solve` and `determinant` do one matrix;
//! - `update` is the product between blocks;
//! - `decompose` makes QR, eigenvalues and singular values, without `faer`;
//! - `scratch` cuts scratch packets into slices and `faer`'s stack.

mod decompose;
mod determinant;
mod factor;
mod kernel;
mod op;
mod scratch;
mod solve;
#[cfg(test)]
mod tests;
mod update;

pub use kernel::{Kernel, Operands};
pub use op::{Linalg, Solver};

/// The element types of matrices.
pub trait Element:
    faer::traits::RealField + crate::product::Float + bytemuck::Pod + Send + Sync
{
}
impl Element for f32 {}
impl Element for f64 {}
