//! Passes (filled in next).
