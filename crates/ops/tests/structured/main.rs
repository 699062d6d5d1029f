//! The structured kernels against naive oracles on random strided views.

mod checks;
mod common;
mod gather;
mod moves;
mod random;
