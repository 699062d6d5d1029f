//! Kernels of Retrograde: SIMD, dispatched at run time, forward and backward alike; nothing here knows of graphs.
//!
//! No kernel allocates; scratch and parallelism are parameters.

mod elementwise;
mod level;
pub mod math;
pub mod product;
pub mod scalar;
pub mod structured;
pub mod thresholds;
pub mod tile;

pub use elementwise::*;
pub use level::*;
