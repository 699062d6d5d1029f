//! Elementary and special functions on SIMD vectors, in `f32` and `f64`.
//!
//! Each function is written once, on any vector that is [`Lanes`]; what differs between the element types are the
//! constants and a few kernels of [`Real`], chosen at compile time. A lane's result depends on that lane alone: the same
//! bits come out of a full packet and of a narrow vector, and out of every level with fused multiply-add. Levels without
//! it round some steps twice and differ in the last bits; steps whose correctness rests on single rounding use the exact
//! `mul_add_precise` there too.
//!
//! Bounds and measured errors are in [`accuracy`]; `tests/math` holds them, `benches/speed.rs` measures the time.
//! `fit.py` derives the coefficients.
//!
//! Call these under `simd.vectorize`: target features do not cross a call that is not inlined.

mod arithmetic;
mod coefficients;
mod erf;
mod exp;
mod gamma;
mod huge;
mod hyperbolic;
mod inverse;
mod lanes;
mod log;
mod pow;
mod quantile;
mod round;
mod special;
mod trig;

#[doc = include_str!("../../docs/accuracy.md")]
pub mod accuracy {}

pub use arithmetic::*;
pub use erf::*;
pub use exp::{exp, exp2, expm1};
pub use gamma::*;
pub use hyperbolic::*;
pub use inverse::*;
pub use lanes::{Lanes, Real};
pub use log::{ln, log1p, log2, log10, softplus};
pub use pow::{cbrt, hypot, pow, powi, rsqrt, sqrt};
pub use quantile::*;
pub use round::*;
pub use trig::*;
