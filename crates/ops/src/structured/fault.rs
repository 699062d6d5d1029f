//! Errors found while running: the first one wins, whatever the threads.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{LockResult, Mutex, MutexGuard, PoisonError};

/// Why a kernel could not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// An index that is out of range: `value` of `0..bound`.
    Index,
    /// A matrix that is not positive definite: `value` is the first pivot that is not positive, of `bound`.
    NotPositiveDefinite,
    /// A matrix without an inverse: `value` is the first pivot that is zero, of `bound`.
    Singular,
    /// A division of the integer `value` by zero; the position is that in the result.
    DivisionByZero,
    /// A user's function said no.
    Refused,
    /// A user's function panicked.
    Panicked,
}

/// An element a kernel could not accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Which instruction, as the kernel was told.
    pub site: u32,
    /// Row-major position of the offending element in its operand, axes along which that is only repeated left out;
    /// of a matrix its number in the batch, of a division that in the result.
    pub position: u64,
    /// The offending value.
    pub value: i64,
    /// What it had to be below: valid are `0..bound`, for signed indices `-bound..bound`.
    pub bound: u64,
    /// What was wrong with it.
    pub cause: Cause,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Cause::Index => write!(
                f,
                "index {} at position {} is out of range for an axis of {} elements",
                self.value, self.position, self.bound
            ),
            Cause::NotPositiveDefinite => {
                write!(
                    f,
                    "not positive definite: pivot {} of {} is not positive",
                    self.value, self.bound
                )
            }
            Cause::Singular => write!(
                f,
                "singular: pivot {} of {} is zero",
                self.value, self.bound
            ),
            Cause::DivisionByZero => {
                write!(
                    f,
                    "element {} divides {} by zero",
                    self.position, self.value
                )
            }
            Cause::Refused => f.write_str("refused"),
            Cause::Panicked => f.write_str("panicked"),
        }
    }
}

/// Keeps the smallest [`Fault`] reported, by `(site, position)`. One serves all threads and kernels of a run.
#[derive(Debug)]
pub struct ErrorCell {
    /// The smallest `(site, position)` so far, position saturated to 32 bits: lets later ones leave without the lock.
    first: AtomicU64,
    fault: Mutex<Option<Fault>>,
    /// What a user's function said, with the first fault that has such words; and whether one panicked.
    said: Mutex<Option<(Fault, String)>>,
    panicked: AtomicBool,
}

impl ErrorCell {
    /// No fault yet.
    pub const fn new() -> Self {
        Self {
            first: AtomicU64::new(u64::MAX),
            fault: Mutex::new(None),
            said: Mutex::new(None),
            panicked: AtomicBool::new(false),
        }
    }

    /// Whether nothing was reported.
    pub fn is_clear(&self) -> bool {
        self.get().is_none()
    }

    /// The smallest fault reported. Meaningful once the kernels that report have finished.
    pub fn get(&self) -> Option<Fault> {
        // Whoever reports has said so here first. A run asks several times, and the smallest ones take less time than a
        // few locks.
        if self.first.load(Ordering::Relaxed) == u64::MAX {
            return None;
        }
        *self.lock()
    }

    /// Takes the smallest fault, leaving the cell as new.
    pub fn take(&mut self) -> Option<Fault> {
        *self.first.get_mut() = u64::MAX;
        *self.panicked.get_mut() = false;
        *unpoisoned(self.said.get_mut()) = None;
        unpoisoned(self.fault.get_mut()).take()
    }

    /// Reports a fault. Cold: a run without faults never comes here.
    #[cold]
    #[inline(never)]
    pub fn report(&self, fault: Fault) {
        let key = u64::from(fault.site) << 32 | fault.position.min(u64::from(u32::MAX));
        // The largest key says that there is no fault.
        let key = key.min(u64::MAX - 1);
        if self.first.fetch_min(key, Ordering::Relaxed) < key {
            return;
        }
        let mut kept = self.lock();
        if kept.is_none_or(|k| fault < k) {
            *kept = Some(fault);
        }
    }

    /// Reports a fault with what the user's function said about it.
    #[cold]
    pub fn report_with(&self, fault: Fault, text: String) {
        if fault.cause == Cause::Panicked {
            self.panicked.store(true, Ordering::Relaxed);
        }
        let mut said = self.words();
        if said.as_ref().is_none_or(|s| fault < s.0) {
            *said = Some((fault, text));
        }
        drop(said);
        self.report(fault);
    }

    /// What was said with a fault.
    pub fn said(&self, fault: &Fault) -> Option<String> {
        let said = self.words();
        said.as_ref().filter(|s| s.0 == *fault).map(|s| s.1.clone())
    }

    /// Whether a user's function panicked. Meaningful once the kernels that report have finished.
    pub fn panicked(&self) -> bool {
        self.panicked.load(Ordering::Relaxed)
    }

    fn words(&self) -> MutexGuard<'_, Option<(Fault, String)>> {
        unpoisoned(self.said.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Fault>> {
        unpoisoned(self.fault.lock())
    }
}

/// A panic cannot leave a half-written fault, so a poisoned lock is as good as any.
fn unpoisoned<T>(result: LockResult<T>) -> T {
    result.unwrap_or_else(PoisonError::into_inner)
}

impl Default for ErrorCell {
    fn default() -> Self {
        Self::new()
    }
}
