//! Automation for Retrograde.
fn main() {}
