//! Memory of Retrograde: the 64-byte [`Packet`], bump [`Arena`]s, typed ids with primary and secondary columns,
//! element types, shapes and strided views, and the owned host tensor [`Array`].
//!
//! This crate knows nothing of operations: it says where elements live and how they are addressed.

#![forbid(unsafe_code)]

mod arena;
mod array;
mod column;
mod dtype;
mod id;
mod packet;
mod shape;
mod view;

pub use arena::*;
pub use array::*;
pub use column::*;
pub use dtype::*;
pub use id::*;
pub use packet::*;
pub use shape::*;
pub use view::*;

/// Optional features of this crate that are compiled in.
pub const FEATURES: &[&str] = if cfg!(feature = "ndarray") {
    &["ndarray"]
} else {
    &[]
};
