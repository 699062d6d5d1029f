//! Fused groups: a short list of [`MicroOp`]s over numbered slots, run tile by tile.
//!
//! A [`Group`] walks an iteration space of three axes, outer `o`, middle `m` and inner `n`; a *row* is one `(o, m)`
//! pair, `n` its length. All micro-ops run on a tile whose live slots fit a cache before the next tile is begun, so
//! intermediate values never reach memory. A slot holds a value in one of three classes ([`Class`]); within a tile
//! every row is padded to whole packets, and what stands in the padding is unspecified: stores write valid lanes alone
//! and reductions replace the padding by their identity.
//!
//! Three sizes are never confused. A *chunk* is fixed by the space alone and defines what a reduction adds in which
//! order (see [`Reduction`]); a *tile* fits a cache and differs by machine; a *block* is what a thread claims. Only
//! chunks influence bits.
//!
//! The order of use: build the [`Group`], [`Group::check`] it, choose a [`Geometry`] once, then
//! [`Group::run_block`] for each of [`Group::blocks`] on any threads, then [`Group::finish`] for each reduction.

mod adam;
mod apply;
mod bound;
pub(crate) mod check;
mod direct;
mod geometry;
mod group;
mod lanes;
mod map;
mod memory;
mod order;
mod pair;
mod reduce;
mod run;
pub(crate) mod table;
mod update;
mod walk;

pub use check::Malformed;
pub use geometry::{CacheSizes, Geometry, Part, Request};
pub use group::*;
pub use pair::{Inner, Outer};
pub use update::Update;
