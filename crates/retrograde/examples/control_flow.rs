//! Control flow: a tape follows Rust's own `while` and `if` on real values; a recorded program keeps a guard on every
//! branch it was recorded on, and refuses inputs that would take another.
//!
//! `cargo run --release --example control_flow`

use retrograde::prelude::*;

/// Doubles until the norm reaches 1000, then takes a sign-dependent branch: piecewise linear, so its derivative is
/// `f(a) / a`.
fn winding(a: Var<'_, f64>) -> Result<Var<'_, f64>> {
    let mut b = a * 2.0;
    while b.norm().item()? < 1000.0 {
        b = b * 2.0;
    }
    Ok(if b.sum().item()? > 0.0 { b } else { 100.0 * b })
}

/// The square root by Newton's method, with as many steps as it takes.
fn newton_sqrt(x: Var<'_, f64>) -> Result<(Var<'_, f64>, usize)> {
    let (mut r, mut steps) = (x, 0);
    while (r * r - x).abs().item()? > 1e-12 * x.item()? {
        r = 0.5 * (r + x / r);
        steps += 1;
    }
    Ok((r, steps))
}

fn main() -> Result<()> {
    on_a_tape()?;
    iteration()?;
    in_a_program()
}

fn on_a_tape() -> Result<()> {
    println!(
        "1. `while` and `if` on real values: the gradient is that of the branch taken, f(a) / a"
    );
    for start in [0.3, -0.7, 12.0, -4000.0, 1e-3] {
        let tape = Tape::new();
        let a = tape.variable(Array::scalar(start));
        let f = winding(a)?;
        f.backward()?;
        let (gradient, expected) = (a.grad()?.item()?, f.item()? / start);
        println!(
            "   a = {start:8}   f = {:12.4}   f' = {gradient:12}   after {} instructions",
            f.item()?,
            tape.len()
        );
        assert!((gradient - expected).abs() <= 1e-12 * expected.abs());
    }
    let tape = Tape::new();
    let a = tape.variable(Array::from([0.5, -2.0, 0.25]));
    let f = winding(a)?;
    f.sum().backward()?;
    a.grad()?
        .assert_close(&(f.value()? / &a.value()?), 1e-12, 0.0);
    println!("   a vector works as well: gradient {}\n", a.grad()?);
    Ok(())
}

fn iteration() -> Result<()> {
    println!("2. An iteration to convergence is differentiated through every step it took");
    for x in [2.0, 81.0, 1e-4] {
        let tape = Tape::new();
        let v = tape.variable(Array::scalar(x));
        let (root, steps) = newton_sqrt(v)?;
        root.backward()?;
        let (gradient, exact) = (v.grad()?.item()?, 0.5 / x.sqrt());
        println!(
            "   sqrt({x}) = {:.12} in {steps} steps, derivative {gradient:.12}",
            root.item()?
        );
        assert!((gradient - exact).abs() < 1e-6 * exact);
    }
    println!();
    Ok(())
}

fn in_a_program() -> Result<()> {
    println!("3. A program is one straight trace: reading a comparison leaves a guard on it");
    let start = Array::from([1.0, 2.0]);
    let huber = Program::try_record(&[start.clone()], |_, [x]| {
        // Reading the float itself would be an error: it could steer the recording unseen.
        let far = x.norm().gt(5.0).item()?;
        Ok(if far { x.norm() } else { x.dot(x) }.into())
    })?;
    let slope = huber.value_and_grad()?;
    let mut ws = slope.workspace()?;
    for guard in slope.guards() {
        println!("   guarded: the branch read at line {}", guard.line());
    }
    let near = Array::from([2.0, 3.0]);
    let out = slope.run(&mut ws, [&near])?;
    println!(
        "   at {near}: {} with gradient {}",
        out.item::<f64>(0)?,
        out.array::<f64>(1)?
    );
    assert_eq!(out.array::<f64>(1)?, 2.0 * near.clone());

    let far = Array::from([30.0, 40.0]);
    let error = slope
        .run(&mut ws, [&far])
        .expect_err("these inputs take the other branch");
    assert_eq!(error.kind(), ErrorKind::Guard);
    println!(
        "   at {far}: refused, not answered wrongly:\n      {}",
        error.to_string().replace('\n', "\n      ")
    );
    // The workspace is as good as before.
    assert_eq!(slope.run(&mut ws, [&near])?.item::<f64>(0)?, 13.0);

    println!("   reading a float while recording is an error that says what to do:");
    let error = Program::try_record(&[start], |_, [x]| {
        Ok(if x.norm().item()? > 5.0 {
            x.norm()
        } else {
            x.dot(x)
        }
        .into())
    })
    .expect_err("a float was read");
    assert_eq!(error.kind(), ErrorKind::Unknown);
    println!("      {}", error.to_string().replace('\n', "\n      "));

    println!("   without a branch there is nothing to guard: `select` computes both sides");
    let both = Program::record(&[near.clone()], |_, [x]| x.gt(2.5).select(x * x, x).sum())?;
    let slope = both.value_and_grad()?;
    assert_eq!(slope.guards().count(), 0);
    let mut ws = slope.workspace()?;
    let gradient = slope.run(&mut ws, [&near])?.array::<f64>(1)?;
    println!("      at {near}: gradient {gradient}");
    assert_eq!(gradient, Array::from([1.0, 6.0]));
    Ok(())
}
