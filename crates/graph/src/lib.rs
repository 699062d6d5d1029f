//! Recording, the instruction list, derivative rules, passes, programs and replay.
//!
//! A computation is recorded once as a flat [`list`] of instructions whose operands point only backwards; derivatives
//! are further instructions of the same list; passes turn it into a planned program that is replayed without allocation.

mod error;
mod infer;
mod list;
mod lower;
mod op;
mod params;
mod passes;
mod recorder;
#[doc(hidden)]
pub mod reference;
mod rules;
mod tape;
#[cfg(test)]
mod testing;
mod var;

pub use error::{Error, ErrorKind, Result};
pub use list::Value;
pub use params::{Param, Params};
pub use recorder::Recorder;
pub use var::{Axes, Float, INFER, Index, Operand, Rec, Reduction, Rng, Var, keep};
