//! The functions of a geometry's steps, looked up when a level first runs them.

use std::sync::OnceLock;

use fearless_simd::Simd;

use super::geometry::Step;
use super::lanes::Wide;
use super::map::Kernel;
use super::{Code, Geometry, apply, pair};
use crate::Level;

/// Levels there are.
const LEVELS: usize = Level::Avx512 as usize + 1;

/// By level: the functions, once it has run. A copy looks them up by itself, and no two geometries differ by them.
#[derive(Debug, Default)]
pub(super) struct Bound([OnceLock<Kernels>; LEVELS]);

impl Clone for Bound {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Bound {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// By step of each of a geometry's lists: its function, if it is a loop over packets and nothing else.
#[derive(Debug)]
pub(super) struct Kernels {
    pub prologue: Box<[Option<Kernel>]>,
    pub body: Box<[Option<Kernel>]>,
    pub direct: Box<[Option<Kernel>]>,
}

impl Geometry {
    /// The functions of the steps at a level.
    #[inline(always)]
    pub(super) fn kernels<S: Simd, W: Wide>(&self, simd: S, level: Level) -> &Kernels {
        self.bound.0[level as usize].get_or_init(|| {
            let find = |steps: &[Step]| -> Box<[Option<Kernel>]> {
                (steps.iter())
                    .map(|step| kernel::<S, W>(simd, step.code))
                    .collect()
            };
            Kernels {
                prologue: find(&self.prologue),
                body: find(&self.body),
                direct: self.direct.as_ref().map_or(find(&[]), |d| find(&d.steps)),
            }
        })
    }
}

/// The function of an elementwise micro-op.
fn kernel<S: Simd, W: Wide>(simd: S, code: Code) -> Option<Kernel> {
    match code {
        Code::Copy => Some(apply::copy(simd)),
        Code::Unary(elem, what) => apply::unary::<S, W>(simd, elem, what),
        Code::Binary(elem, what) => apply::binary::<S, W>(simd, elem, what),
        Code::Ternary(elem, what) => Some(apply::ternary::<S, W>(simd, elem, what)),
        Code::Pair(inner, outer) => Some(pair::pair::<S, W>(simd, inner, outer)),
        Code::Cast(from, to) => apply::cast::<S, W>(simd, from, to),
        Code::Load
        | Code::Store
        | Code::Const(_)
        | Code::Iota(..)
        | Code::PowI
        | Code::Update(_)
        | Code::ReduceRow(..)
        | Code::Reduce => None,
    }
}
