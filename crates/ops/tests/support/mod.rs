//! Shared by the tests of `math` and the examples that print its tables.

pub mod functions;
pub mod kernels;
pub mod measure;
pub mod reference;
pub mod samples;
