//! Shared by the accuracy test and the example that prints the table.

pub mod functions;
pub mod kernels;
pub mod measure;
pub mod reference;
pub mod samples;
