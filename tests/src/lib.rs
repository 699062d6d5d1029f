//! Helpers of the whole-library tests.

pub mod bits;
pub mod random;

/// Whether `RETROGRADE_LONG` asks for the larger set of cases.
pub fn long() -> bool {
    std::env::var_os("RETROGRADE_LONG").is_some()
}
