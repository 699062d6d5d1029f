//! Every tuned constant of the kernels, each with the measurement behind it.

/// Elements a reduction adds before its partial result joins the pairwise tree. Fixed: it defines the bits of a sum.
pub const CHUNK: usize = 1024;
