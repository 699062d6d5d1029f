//! Automatic differentiation for the CPU: record once, replay forward and in reverse.
#![doc = include_str!("../../../README.md")]
//!
//! Coming from PyTorch, JAX or NumPy? What things are called here: [`names`].

mod gradcheck;
#[doc = include_str!("../docs/names.md")]
pub mod names {}

pub use gradcheck::{GradCheck, gradcheck, gradcheck2};
pub use retrograde_graph::*;
pub use retrograde_storage::{
    AnyArray, Array, ArrayError, ArrayRef, Create, DType, Element, IntoShape, Real, Shape,
};

/// What most programs import.
pub mod prelude {
    pub use crate::{
        Array, ArrayRef, Attention, Axes, ClassLoss, ConvOptions, Create, CustomOp, Dynamic,
        DynamicWorkspace, Element, Error, ErrorKind, Float, Gradients, Interpolation, Number,
        Operand, Order, Param, Params, PerAxis, PoolOptions, Program, Rec, Reduction, Result, Rng,
        Rope, ScanOptions, Side, Tape, Triangle, Var, Vars, Workspace, keep,
    };
}
