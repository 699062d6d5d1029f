//! Replay: a plan's steps run phase by phase, by the caller and by helpers that arrive when they can.

pub(crate) mod bind;
mod build;
pub(crate) mod chain;
pub(crate) mod fault;
pub(crate) mod kernel;
mod links;
pub(crate) mod options;
pub(crate) mod pages;
pub(crate) mod phase;
pub(crate) mod plan;
mod settled;
pub(crate) mod team;
pub(crate) mod workspace;
