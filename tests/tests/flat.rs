//! A tape that is reset and recorded again, however often, holds no more memory: every byte of the process is counted.
//!
//! `RETROGRADE_LONG=1` takes a hundred times the steps.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use retrograde::prelude::*;

/// The system's allocator, counting bytes that are allocated and not freed.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on unchanged to the system's allocator; counting has no other effect.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(p, layout) }
    }
    unsafe fn realloc(&self, p: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LIVE.fetch_add(size, Ordering::Relaxed);
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(p, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Tests of one process run at once, and what one holds the other would count.
static ALONE: Mutex<()> = Mutex::new(());

/// What the test harness itself may hold more at one time than at another.
const SLACK: usize = 16 << 10;

/// The longest cycle of steps below: what is held differs within a cycle, and is compared at the ends of two.
const CYCLE: usize = 100;

/// The number of the step after which nothing grows any more, the last of a cycle: each kind of step has been met, and the
/// trace cache is full.
const WARM: usize = 3 * CYCLE - 1;

/// Calls `step` with its number, a thousand times or 100,000, and compares what is held at the end with what was after
/// [`WARM`] steps.
fn holds_flat(mut step: impl FnMut(&mut Tape, usize) -> Result<()>) -> Result<()> {
    let _alone = ALONE.lock();
    let steps = if std::env::var_os("RETROGRADE_LONG").is_some() {
        100_000
    } else {
        1000
    };
    let mut tape = Tape::new();
    let (mut bytes, mut live) = (0, 0);
    for number in 0..steps {
        tape.reset();
        step(&mut tape, number)?;
        if number == WARM {
            (bytes, live) = (tape.bytes(), LIVE.load(Ordering::Relaxed));
        }
    }
    tape.reset();
    assert_eq!(tape.bytes(), bytes);
    let now = LIVE.load(Ordering::Relaxed);
    assert!(
        now <= live + SLACK,
        "{live} bytes after {WARM} steps, {now} after {steps}"
    );
    Ok(())
}

#[test]
fn counting_counts() {
    let _alone = ALONE.lock();
    let before = LIVE.load(Ordering::Relaxed);
    let held = std::hint::black_box(vec![1u8; 10 * SLACK]);
    assert!(LIVE.load(Ordering::Relaxed) >= before + 9 * SLACK);
    drop(held);
}

/// One program, data and literals that change: found again each step.
#[test]
fn one_program() -> Result<()> {
    holds_flat(|tape, number| {
        let x = tape.variable(Array::linspace(-1.0, number as f64, 100));
        let y = (x * 0.1 * number as f32).sin().sum();
        y.backward()?;
        assert_eq!(x.grad()?.len(), 100);
        assert!(y.item()?.is_finite());
        Ok(())
    })
}

/// Scalars only, some hundred instructions.
#[test]
fn scalars() -> Result<()> {
    holds_flat(|tape, number| {
        let x = tape.variable(Array::scalar(0.7 + number as f32 * 1e-6));
        let y = (0..100).fold(x, |y, _| y.sin() * x + 0.1);
        y.backward()?;
        assert!(x.grad()?.item()?.is_finite());
        Ok(())
    })
}

/// A hundred programs in turn, more than are kept: each is compiled again when it comes again, in place of another.
#[test]
fn more_programs_than_are_kept() -> Result<()> {
    holds_flat(|tape, number| {
        let x = tape.variable(Array::linspace(-1.0, 1.0, 10));
        let y = (0..number % CYCLE).fold(x, |y, _| (y * x).tanh()).sum();
        y.backward()?;
        assert_eq!(x.grad()?.len(), 10);
        assert!(tape.cache_stats().held <= 64);
        Ok(())
    })
}

/// Mistakes leave nothing behind either.
#[test]
fn mistakes() -> Result<()> {
    holds_flat(|tape, number| {
        let x = tape.variable(Array::linspace(-1.0, 1.0, 3 + number % 5));
        let wrong = x + tape.constant(Array::linspace(0.0, 1.0, 2));
        assert!(wrong.sum().backward().is_err());
        Ok(())
    })
}
