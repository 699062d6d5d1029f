//! The two element types of an attention: what products and functions of their lanes have in common.

use fearless_simd::{Simd, f32x16, f64x8};

use crate::math::{self, Lanes};
use crate::product::Float;

/// An element type that attention is computed in: `f32` or `f64`.
pub trait Element: Float + math::Real {
    /// A packet of lanes.
    type Packet<S: Simd>: Lanes<S, Element = Self>;
}

impl Element for f32 {
    type Packet<S: Simd> = f32x16<S>;
}

impl Element for f64 {
    type Packet<S: Simd> = f64x8<S>;
}
