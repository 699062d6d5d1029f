//! The one error type: opaque, with a kind to match on and a message to read.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

/// What went wrong, coarse enough to match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Shapes do not fit the operation or each other.
    Shape,
    /// An axis is out of range or given twice.
    Axis,
    /// An element type does not fit.
    DType,
    /// An index is out of range (found while running) or an argument is out of its domain.
    Index,
    /// A matrix is not positive definite, or has no inverse (found while running).
    Singular,
    /// A division of an integer by zero (found while running).
    Division,
    /// `backward` of a value that is not a scalar, or a seed of the wrong shape.
    Seed,
    /// The number or kind of a program's inputs or outputs is wrong.
    Inputs,
    /// A variable, parameter or workspace of another tape or program.
    Foreign,
    /// The value asked for cannot be known: no backward yet, no data while recording, memory already reused.
    Unknown,
    /// A guard did not hold: the recorded branch is not the one these inputs take.
    Guard,
    /// A result is not finite (opt-in check).
    NotFinite,
    /// A derivative differs from central differences (`gradcheck`), or there is none of the order asked for.
    Gradient,
    /// A custom operation refused its operands, panicked, or has not the derivative asked for.
    Custom,
    /// More memory than there is.
    Memory,
    /// A file cannot be read, written or understood.
    File,
    /// A setting out of its domain, or one that this machine or build does not have.
    Setting,
}

/// An error of any Retrograde call. Cheap to clone: one pointer.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    location: Option<&'static Location<'static>>,
}

impl Error {
    /// An error with a message of its own.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            location: None,
        }))
    }

    /// A mistake of ours, reported instead of thrown.
    pub(crate) fn internal(what: &str) -> Self {
        Self::new(
            ErrorKind::Setting,
            format!("internal error, please report it: {what}"),
        )
    }

    /// The same error, pointing at the user's line.
    pub fn at(&self, location: Option<&'static Location<'static>>) -> Self {
        Self(Arc::new(Inner {
            kind: self.0.kind,
            message: self.0.message.clone(),
            location: location.or(self.0.location),
        }))
    }

    /// The same error, pointing at a line if it does not yet.
    pub(crate) fn or_at(self, location: &'static Location<'static>) -> Self {
        match self.0.location {
            Some(_) => self,
            None => self.at(Some(location)),
        }
    }

    /// What went wrong, without the line.
    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    /// What went wrong, to match on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The line of the user's code that recorded the operation at fault, where there is one.
    pub fn location(&self) -> Option<&'static Location<'static>> {
        self.0.location
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if let Some(at) = self.0.location {
            write!(f, "\n  at {}:{}:{}", at.file(), at.line(), at.column())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    /// As `Display`: this is what a `main` that returns `Result` prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl std::error::Error for Error {}

impl From<retrograde_storage::ArrayError> for Error {
    fn from(e: retrograde_storage::ArrayError) -> Self {
        Self::new(ErrorKind::Shape, e.to_string())
    }
}

/// The result of a Retrograde call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation cannot be recorded, before the recorder adds the op's name, its operands and the user's line.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The coarse kind.
    pub kind: ErrorKind,
    /// What was expected, and what to try: "the inner extents must be equal, but 3 is not 4; try `x.t()`".
    pub reason: String,
}

impl Fault {
    pub(crate) fn new(kind: ErrorKind, reason: impl Into<String>) -> Self {
        Self {
            kind,
            reason: reason.into(),
        }
    }
    pub(crate) fn shape(reason: impl Into<String>) -> Self {
        Self::new(ErrorKind::Shape, reason)
    }
    pub(crate) fn axis(reason: impl Into<String>) -> Self {
        Self::new(ErrorKind::Axis, reason)
    }
}
