//! Convolutions in two dimensions, and both adjoints: three bilinear maps over one [`Window`](crate::Window).
//!
//! With `x[n, c, h, w]`, `w[o, c, i, j]`, `y[n, o, p, q]`, and `x` zero outside its extents (groups left out):
//!
//! - [`Kind::Output`]: `y[n, o, p, q] = sum over c, i, j of w[o, c, i, j] x[n, c, p s + i d - pad, q s + j d - pad]`
//! - [`Kind::Image`]: `x` from `y` and `w`, the adjoint with respect to the image;
//! - [`Kind::Weight`]: `w` from `x` and `y`, the adjoint with respect to the weight.
//!
//! Each is a matrix product with the matrix of *patches*, `[c i j, p q]`: the image elements that each tap sees at each
//! output. That matrix is never made for the batch, nor for an image: a [`Plan`] cuts outputs into tiles and channels
//! into chunks, so that the patches of one tile and chunk fit the second-level cache, packs them by whole vectors
//! (`patches`), and lets the [products](crate::product) do the rest.
//!
//! What fixes bits is the shape alone: tiles, chunks and the images whose weight gradients are added in a row are cut
//! by shape, blocks only say which of these a thread claims.

mod geometry;
mod patches;
mod plan;
mod run;

#[cfg(test)]
mod tests;

pub use plan::{Kind, Plan, Spec};
pub use run::Operands;
