//! Recording, the instruction list, derivative rules, passes, programs and replay.
//!
//! A computation is recorded once as a flat [`list`] of instructions whose operands point only backwards; derivatives
//! are further instructions of the same list; passes turn it into a planned program that is replayed without allocation.

mod attention;
mod batching;
mod body;
mod check;
mod custom;
mod error;
mod eval;
mod explain;
pub mod implicit;
mod infer;
mod info;
mod list;
mod lower;
mod op;
mod params;
mod passes;
mod print;
mod program;
mod recorder;
#[doc(hidden)]
pub mod reference;
mod rules;
mod run;
mod sparse;
mod tape;
#[cfg(test)]
mod testing;
mod trace;
mod var;

pub use check::Check;
pub use custom::{CustomOp, Outcome};
pub use error::{Error, ErrorKind, Result};
pub use eval::{Gradients, Update, UpdateRule};
pub use explain::{Explained, Explanation, Spread};
pub use info::{BuildInfo, build_info};
pub use list::Value;
pub use params::{Bind, Param, Params};
pub use program::Program;
pub use program::budget::Recomputed;
pub use program::cost::{Cost, GuardCost, Saved};
pub use program::dynamic::{
    Dynamic, DynamicBatch, DynamicBatchWorkspace, DynamicStats, DynamicWorkspace, GuardStats,
};
pub use program::feed::{Feed, FeedPort, Inputs};
pub use program::jacobian::{Direction, Jacobian, hessian, jacobian};
pub use program::linear::{Linear, Linearized};
pub use program::outputs::{OutputMut, OutputsRef, Outs};
pub use program::run::Workspace;
pub use program::sparse::{SparseJacobian, SparseWorkspace};
pub use recorder::Recorder;
pub use retrograde_ops::Level;
pub use run::options::{Options, level};
pub use sparse::matrix::Csr;
pub use sparse::pattern::Pattern;
pub use tape::Tape;
pub use trace::{CacheStats, ProgramSummary};
pub use var::{
    Attention, Axes, ClassLoss, ConvOptions, Float, INFER, Index, Interpolation, Number, Operand,
    Order, PerAxis, PoolOptions, Rec, Reduction, Rng, Rope, ScanOptions, Side, Triangle, Var, Vars,
    keep,
};
