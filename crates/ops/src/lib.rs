//! Kernels of Retrograde: SIMD, dispatched at run time, forward and backward alike; nothing here knows of graphs.
//!
//! No kernel allocates; scratch and parallelism are parameters.

pub mod attention;
pub mod conv;
mod elementwise;
mod level;
pub mod linalg;
pub mod math;
pub mod product;
pub mod scalar;
pub mod structured;
pub mod thresholds;
pub mod tile;
mod window;

pub use elementwise::*;
pub use level::*;
pub use window::Window;

/// The compiler's optimisation level for this crate, where the kernels are: `0` to `3`, `s` or `z`.
pub const OPT_LEVEL: &str = env!("RETROGRADE_OPT_LEVEL");
