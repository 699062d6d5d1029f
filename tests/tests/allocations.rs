//! A steady state allocates nothing: the whole process is counted, on every thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use retrograde::Options;
use retrograde::prelude::*;

/// The system's allocator, counting.
struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on unchanged to the system's allocator; counting has no other effect.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(p, layout) }
    }
    unsafe fn realloc(&self, p: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(p, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Tests of one process run at once, and what one allocates the other would count.
static ALONE: Mutex<()> = Mutex::new(());

/// Trials at most.
const TRIALS: usize = 300;

/// Allocations of `runs` runs after a warm-up: the fewest of many trials, because the test harness's own threads may
/// allocate meanwhile, and so does calling a helper thread that the system has put aside (the pool boxes the call). What
/// a run itself does, every trial does.
fn steady(p: &Program, inputs: &[&Array<f32>], runs: usize) -> Result<usize> {
    let mut ws = p.workspace()?;
    for _ in 0..20 {
        p.run(&mut ws, inputs)?;
    }
    let mut fewest = usize::MAX;
    for _ in 0..TRIALS {
        let before = COUNT.load(Ordering::Relaxed);
        for _ in 0..runs {
            p.run(&mut ws, inputs)?;
        }
        fewest = fewest.min(COUNT.load(Ordering::Relaxed) - before);
        if fewest == 0 {
            break;
        }
    }
    Ok(fewest)
}

#[test]
fn counting_counts() {
    let _alone = ALONE.lock();
    let before = COUNT.load(Ordering::Relaxed);
    std::hint::black_box(vec![1u8; 100]);
    assert!(COUNT.load(Ordering::Relaxed) > before);
}

#[test]
fn small_program() -> Result<()> {
    let _alone = ALONE.lock();
    let x = Array::linspace(-1.0, 1.0, 8);
    let p = Program::record(&[x.clone()], |_, [x]| (x.tanh() * x).sum())?.value_and_grad()?;
    assert_eq!(steady(&p, &[&x], 20)?, 0);
    Ok(())
}

/// Groups of several blocks, reductions, rows, products, copies.
fn large(threads: usize) -> Result<usize> {
    let _alone = ALONE.lock();
    let x = Array::from_shape_fn([400, 300], |i| ((i[0] * 7 + i[1]) as f32 * 0.1).sin());
    let w = Array::from_shape_fn([300, 64], |i| ((i[0] + 5 * i[1]) as f32 * 0.3).cos());
    let options = Options {
        threads,
        ..Options::default()
    };
    let inputs = [x, w];
    let p = Program::try_record_with(&inputs, options, |_, [x, w]| {
        let hidden = (x.t().flip(0).t().matmul(w) + x.sum_over(keep(1))).relu();
        Ok((hidden.log_softmax(1).square().sum() + x.exp().mean()).into())
    })?;
    // On one thread nothing else allocates; two need a run without an interruption.
    let runs = if threads == 1 { 20 } else { 1 };
    steady(&p.value_and_grad()?, &[&inputs[0], &inputs[1]], runs)
}

#[test]
fn large_program_on_one_thread() -> Result<()> {
    assert_eq!(large(1)?, 0);
    Ok(())
}

#[test]
fn large_program_on_two_threads() -> Result<()> {
    assert_eq!(large(2)?, 0);
    Ok(())
}

/// Paths that were met before, in turn: guards are walked and workspaces found without allocation.
#[test]
fn dynamic_program_on_known_paths() -> Result<()> {
    let _alone = ALONE.lock();
    let f = Program::record_dynamic(&[Array::scalar(1.0f32)], |_, [x]| {
        let mut b = x;
        while b.abs().lt(100.0).item()? {
            b = b * 3.0;
        }
        Ok(if b.gt(0.0).item()? { b } else { b * b }.into())
    })?
    .value_and_grad()?;
    let inputs = [1.0f32, -50.0, 7.0, 500.0, 7.0, -0.1].map(Array::scalar);
    let mut ws = f.workspace();
    let mut round = || -> Result<usize> {
        let before = COUNT.load(Ordering::Relaxed);
        for x in &inputs {
            f.run(&mut ws, [x])?;
        }
        Ok(COUNT.load(Ordering::Relaxed) - before)
    };
    assert!(round()? > 0, "paths are recorded");
    let steady = (0..5).map(|_| round()).collect::<Result<Vec<_>>>()?;
    assert_eq!(steady.into_iter().min(), Some(0));
    Ok(())
}
