//! Elementary and special functions on SIMD vectors, in `f32` and `f64`.
//!
//! Each function is written once, on any vector that is [`Lanes`]; what differs between the element types are the
//! constants and a few kernels of [`Real`], chosen at compile time. A lane's result depends on that lane alone: the same
//! bits come out of a full packet and of a narrow vector, and out of every level with fused multiply-add. Levels without
//! it round some steps twice and differ in the last bits; steps whose correctness rests on single rounding use the exact
//! `mul_add_precise` there too.
//!
//! Bounds and measured errors are in [`accuracy`]; `tests/math` holds them, `examples/speed.rs` measures the time.
//! `fit.py` derives the coefficients.
//!
//! Call these under `simd.vectorize`: target features do not cross a call that is not inlined.

mod coefficients;
mod erf;
mod exp;
mod huge;
mod hyperbolic;
mod lanes;
mod log;
mod pow;
mod round;
mod trig;

#[doc = include_str!("../../docs/accuracy.md")]
pub mod accuracy {}

pub use erf::{erf, erfc, normal_cdf, normal_cdf_of};
pub use exp::{exp, expm1};
pub use hyperbolic::{sigmoid, tanh};
pub use lanes::{Lanes, Real};
pub use log::{ln, log1p, softplus};
pub use pow::{pow, powi, rsqrt, sqrt};
pub use round::{
    ceil, copysign, floor, hardshrink, is_finite, is_nan, max, min, relu, rem, round, sign, trunc,
};
pub use trig::{TRIG_NEAR, cos, sin, sin_cos, sin_cos_near, tan};
