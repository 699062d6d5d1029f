//! The tape (filled in next).

/// Leaves and evaluated values.
#[derive(Debug, Default)]
pub(crate) struct Store {}
