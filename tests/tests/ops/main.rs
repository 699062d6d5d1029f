//! Every operator against an independent oracle, over shapes and operands of every kind.

mod binary;
mod conv;
mod creation;
mod decompositions;
mod einsum;
mod indexing;
mod integers;
mod kinks;
mod lengths;
mod linalg;
mod losses;
mod moves;
mod normalize;
mod pool;
mod products;
mod reductions;
mod resample;
mod rows;
mod scatter;
mod sorting;
mod special;
mod structured;
mod unary;
