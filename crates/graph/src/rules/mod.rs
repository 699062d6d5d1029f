//! Derivative rules (filled in next).
