//! Training on [Retrograde](retrograde): initial values, layers, optimisers, schedules, batches, and files of weights.
//!
//! Everything here is written on the facade's public API: a layer is a few [`Param`]s and a function, an optimiser
//! records one parameter's update and the engine fuses it with the gradients it comes from.
//!
//! ```
//! use retrograde_nn::prelude::*;
//! # fn main() -> Result<()> {
//! let mut params = Params::new();
//! let w = params.insert("w", he_normal([2, 1], 7));
//! let b = params.insert("b", zeros([1]));
//! let (x, y) = (Array::from([[0.0_f32, 0.0], [0.0, 1.0], [1.0, 0.0]]), Array::from([[1.0_f32], [3.0], [0.0]]));
//! let mut adam = Adam::new(0.1);
//! let mut tape = Tape::new();
//! let mut loss = f32::INFINITY;
//! for _ in 0..500 {
//!     let step = tape.train(&mut params);
//!     let fit = step.input(&x).matmul(step.param(w)) + step.param(b);
//!     loss = adam.minimise(fit.mse(step.input(&y)))?;   // forward, reverse and update: one program, one replay
//! }
//! assert!(loss < 1e-4);
//! # Ok(()) }
//! ```

pub mod clip;
mod conv;
pub mod idx;
pub mod init;
mod layers;
#[doc = include_str!("../docs/mlp_step.md")]
pub mod mlp_step {}
mod loader;
mod metrics;
#[doc = include_str!("../docs/names.md")]
pub mod names {}
pub mod optim;
mod random;
mod schedule;
mod transformer;
mod weights;

pub use conv::{AvgPool2d, Conv2d, Flatten, MaxPool2d};
pub use layers::{Activation, Dropout, Embedding, Layer, LayerNorm, Linear, Sequential};
pub use loader::{Epoch, Loader};
pub use metrics::accuracy;
pub use optim::{Adam, AdamW, Optimiser, Sgd};
pub use retrograde::{Gradients, Param, Params};
pub use schedule::Schedule;
pub use transformer::{SelfAttention, TransformerBlock};
pub use weights::{load, save};

/// What most training programs import: the facade's prelude and this crate's names.
pub mod prelude {
    pub use crate::clip::{clip_norm, clip_value};
    pub use crate::idx::{read_images, read_labels};
    pub use crate::init::{
        he_normal, he_uniform, normal, uniform, xavier_normal, xavier_uniform, zeros,
    };
    pub use crate::{
        Activation, Adam, AdamW, AvgPool2d, Conv2d, Dropout, Embedding, Flatten, Layer, LayerNorm,
        Linear, Loader, MaxPool2d, Optimiser, Schedule, SelfAttention, Sequential, Sgd,
        TransformerBlock, accuracy, load, save,
    };
    pub use retrograde::prelude::*;
}
