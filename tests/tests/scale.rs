//! Long recordings and long loops: no recursion, no growth.

use std::time::{Duration, Instant};

use retrograde::prelude::*;

/// Records, compiles, runs and drops a chain of `n` scalar instructions, on a stack that recursion would exhaust.
fn chain(n: usize) -> Result<(Duration, f64)> {
    let work = move || -> Result<(Duration, f64)> {
        let start = Instant::now();
        let x = Array::scalar(0.5f64);
        let p = Program::record(&[x.clone()], |_, [x]| {
            (0..n / 2).fold(x, |y, _| y * 0.5 + x)
        })?
        .value_and_grad()?;
        let mut ws = p.workspace()?;
        let gradient = p.run(&mut ws, [&x])?.item::<f64>(1)?;
        let listed = p.to_string().len() + p.listing().len();
        assert!(listed > n);
        drop((p, ws));
        Ok((start.elapsed(), gradient))
    };
    std::thread::Builder::new()
        .stack_size(512 << 10)
        .spawn(work)
        .expect("a thread")
        .join()
        .expect("no overflow")
}

#[test]
fn a_million_instructions() -> Result<()> {
    chain(1_000)?;
    let (short, _) = chain(100_000)?;
    let (long, gradient) = chain(1_000_000)?;
    println!("100,000: {short:?}, 1,000,000: {long:?}");
    assert_eq!(gradient, 2.0, "the sum of 1/2^i");
    // Ten times the instructions; a quadratic pass would take a hundred times as long.
    assert!(
        long < 40 * short + Duration::from_millis(200),
        "{short:?} for 100,000, {long:?} for a million"
    );
    Ok(())
}

/// Steps of a long loop: 100,000 where the environment asks for long tests.
fn steps() -> usize {
    if std::env::var_os("RETROGRADE_LONG").is_some() {
        100_000
    } else {
        20_000
    }
}

/// A tape that is reset before every recording, of three shapes in turn.
#[test]
fn a_tape_that_is_reset_holds_memory_flat() -> Result<()> {
    let data = [10, 64, 200].map(|n| Array::<f64>::linspace(-1.0, 1.0, n));
    let mut tape = Tape::new();
    let mut after_warm_up = 0;
    for step in 0..steps() {
        tape.reset();
        let rec = tape.rec();
        let x = rec.variable(&data[step % 3]);
        (x * 0.5).tanh().sum().backward()?;
        if step == 10 {
            after_warm_up = tape.bytes();
        }
    }
    assert_eq!(tape.bytes(), after_warm_up);
    assert_eq!(tape.cache_stats().held, 3);
    Ok(())
}

#[test]
fn a_long_loop_holds_memory_flat() -> Result<()> {
    let mut params = Params::new();
    let w = params.insert("w", Array::linspace(-1.0, 1.0, 64));
    let data = Array::linspace(0.0, 3.0, 64);
    let mut tape = Tape::new();
    let mut after_warm_up = 0;
    for step in 0..steps() {
        let rec = tape.step(&params);
        let (w, x) = (rec.param::<f32>(w), rec.input(&data));
        let loss = ((w * x).tanh() - 0.1).square().mean();
        let gradients = loss.backward()?;
        assert!(gradients.loss().is_finite());
        if step == 10 {
            after_warm_up = tape.bytes();
        }
    }
    assert_eq!(tape.bytes(), after_warm_up);
    let stats = tape.cache_stats();
    assert_eq!(
        (stats.misses, stats.held),
        (1, 1),
        "one program, found again each step"
    );
    Ok(())
}
