//! Shared by the tests of `math` and the benches that print its tables.

pub mod functions;
pub mod kernels;
pub mod measure;
pub mod reference;
pub mod samples;

/// The functions that a bench's command line names; `cargo bench` adds a word of its own.
pub fn named() -> Vec<String> {
    std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect()
}
