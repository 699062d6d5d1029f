//! Helpers of the whole-library tests.

pub mod bits;
pub mod derivatives;
pub mod misuse;
pub mod random;

/// How many random cases a test tries: `few`, or as many as `RETROGRADE_CASES` asks for, which are then new ones each
/// time.
pub fn cases(few: u32) -> u32 {
    asked().unwrap_or(few)
}

/// Whether `RETROGRADE_CASES` asks for new random cases.
pub fn explores() -> bool {
    asked().is_some()
}

fn asked() -> Option<u32> {
    std::env::var("RETROGRADE_CASES").ok()?.parse().ok()
}
