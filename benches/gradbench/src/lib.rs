//! Retrograde as a tool of GradBench: all twelve of its evals, on the facade's public API alone.
//!
//! [`answer`] takes a message of GradBench's protocol and gives the response. Every eval is a file of its own, which
//! holds the function as a user would write it and says how its derivative is taken; `protocol` reads messages, and
//! `measure` times.
//!
//! # What is timed
//! One `evaluate` timing a run, from inputs in memory to results in memory; reading JSON, copying lists of lists into
//! arrays and writing JSON are not part of it, as in GradBench's other tools. Programs are recorded and compiled when
//! they are first needed, on the clock, and replayed from then on, as JAX's `jit` does: so in the first run of a message,
//! and of `particle` and `saddle`, which branch on values, once for each path. Another message records anew, even if its
//! shapes are the same. So whatever decides the shape of a recording (sizes, `n` of `llsq`, `s` of `ode`, the paths) is
//! paid for in the timings that are reported.

mod ba;
mod det;
mod gmm;
mod hello;
mod ht;
mod kmeans;
mod llsq;
mod lse;
mod lstm;
mod measure;
mod ode;
mod particle;
mod protocol;
mod saddle;
mod solver;

pub use protocol::answer;

use measure::Function;

/// Every eval with its functions.
const EVALS: &[(&str, &[(&str, Function)])] = &[
    ("ba", ba::FUNCTIONS),
    ("det", det::FUNCTIONS),
    ("gmm", gmm::FUNCTIONS),
    ("hello", hello::FUNCTIONS),
    ("ht", ht::FUNCTIONS),
    ("kmeans", kmeans::FUNCTIONS),
    ("llsq", llsq::FUNCTIONS),
    ("lse", lse::FUNCTIONS),
    ("lstm", lstm::FUNCTIONS),
    ("ode", ode::FUNCTIONS),
    ("particle", particle::FUNCTIONS),
    ("saddle", saddle::FUNCTIONS),
];
