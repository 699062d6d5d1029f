//! What differentiation means here, step by step; every claim is asserted.
//!
//! `cargo run --release --example quickstart`

mod cost;
mod plot;

use retrograde::prelude::*;

fn main() -> Result<()> {
    first_gradient()?;
    accumulation()?;
    not_a_scalar()?;
    detaching()?;
    control_flow()?;
    backward_twice()?;
    second_derivatives()?;
    sine()?;
    explained()?;
    forward_and_reverse()?;
    cost::report()
}

fn title(number: usize, text: &str) {
    println!("\n{number:2}. {text}");
}

fn first_gradient() -> Result<()> {
    title(1, "y = 2 dot(x, x) has the gradient 4x");
    let tape = Tape::new();
    let x = tape.variable(Array::arange(4));
    let y = 2.0 * x.dot(x);
    y.backward()?;
    println!(
        "    x = {}, y = {}, gradient {}",
        x.value()?,
        y.item()?,
        x.grad()?
    );
    assert_eq!(x.grad()?, 4.0 * x.value()?);
    Ok(())
}

fn accumulation() -> Result<()> {
    title(
        2,
        "The gradient slot is empty at first, then gradients add up until they are zeroed",
    );
    let tape = Tape::new();
    let x = tape.variable(Array::arange(3));
    let error = x.grad().expect_err("no backward yet");
    assert_eq!(error.kind(), ErrorKind::Unknown);
    println!("    before: {}", error.to_string().replace('\n', "\n    "));
    x.dot(x).backward()?;
    x.sum().backward()?;
    println!("    of dot(x, x) and of sum(x) together: {}", x.grad()?);
    assert_eq!(x.grad()?, 2.0 * x.value()? + 1.0);
    tape.zero_grad();
    x.sum().backward()?;
    println!("    of sum(x) after zero_grad: {}", x.grad()?);
    assert_eq!(x.grad()?, Array::ones([3]));
    Ok(())
}

fn not_a_scalar() -> Result<()> {
    title(
        3,
        "Only a scalar has a gradient; what is none takes a seed, and ones are the same as a sum",
    );
    let tape = Tape::new();
    let x = tape.variable(Array::arange(4));
    let y = x * x;
    let error = y.backward().expect_err("y is a vector");
    assert_eq!(error.kind(), ErrorKind::Seed);
    println!("    {}", error.to_string().replace('\n', "\n    "));
    y.backward_with(&Array::ones([4]))?;
    let seeded = x.grad()?;
    tape.zero_grad();
    y.sum().backward()?;
    println!("    seeded with ones {seeded}, of the sum {}", x.grad()?);
    assert_eq!(x.grad()?, seeded);
    Ok(())
}

fn detaching() -> Result<()> {
    title(
        4,
        "detach makes a constant: with u = detach(x^2), d(u x)/dx is u, not 3x^2",
    );
    let tape = Tape::new();
    let x = tape.variable(Array::arange(4));
    let square = x * x;
    let u = square.detach();
    (u * x).sum().backward()?;
    println!("    d(u x)/dx = {}", x.grad()?);
    assert_eq!(x.grad()?, u.value()?);
    tape.zero_grad();
    square.sum().backward()?;
    println!(
        "    what is behind u stays usable: d(x^2)/dx = {}",
        x.grad()?
    );
    assert_eq!(x.grad()?, 2.0 * x.value()?);

    // A product is replayed from memory, so what a derivative keeps of it shows in the plan.
    let m = Array::ones([64, 64]);
    let saved = |cut: bool| -> Result<usize> {
        let p = Program::record(&[m.clone()], |_, [x]| {
            let deep = x.matmul(x).sigmoid().matmul(x).sigmoid();
            (if cut { deep.detach() } else { deep } * x).sum()
        })?;
        Ok(p.value_and_grad()?.arena_bytes())
    };
    let (with, without) = (saved(false)?, saved(true)?);
    println!("    beneath a detach nothing is saved: {without} bytes of memory instead of {with}");
    assert!(without < with);
    Ok(())
}

fn control_flow() -> Result<()> {
    title(
        5,
        "Gradients follow `while` and `if` on real values: this function is piecewise linear, f'(a) = f(a) / a",
    );
    for start in [0.3, -0.7, 12.0, -0.001] {
        let tape = Tape::new();
        let a = tape.variable(Array::<f64>::scalar(start));
        let mut b = a * 2.0;
        while b.norm().item()? < 1000.0 {
            b = b * 2.0;
        }
        let f = if b.item()? > 0.0 { b } else { 100.0 * b };
        f.backward()?;
        let (gradient, ratio) = (a.grad()?.item()?, f.item()? / start);
        println!("    a = {start:6}: f'(a) = {gradient}");
        assert!((gradient - ratio).abs() <= 1e-12 * ratio.abs());
    }
    let tape = Tape::new();
    let a = tape.variable(Array::<f64>::from([0.5, -2.0, 0.25]));
    let mut b = a * 2.0;
    while b.norm().item()? < 1000.0 {
        b = b * 2.0;
    }
    b.sum().backward()?;
    println!("    a = {}: f'(a) = {}", a.value()?, a.grad()?);
    assert_eq!(a.grad()?, b.value()? / &a.value()?);
    Ok(())
}

fn backward_twice() -> Result<()> {
    title(
        6,
        "Backward twice just works: nothing is freed that a second one needs, and gradients add",
    );
    let tape = Tape::new();
    let x = tape.variable(Array::from([1.0, 2.0]));
    let y = x.exp().sum();
    y.backward()?;
    let once: Array<f64> = x.grad()?;
    y.backward()?;
    println!("    once {once}, twice {}", x.grad()?);
    assert_eq!(x.grad()?, 2.0 * once);
    Ok(())
}

fn second_derivatives() -> Result<()> {
    title(
        7,
        "A gradient is a value like any other: differentiate it again",
    );
    let tape = Tape::new();
    let x = tape.variable(Array::from([1.0, -2.0, 0.5]));
    let [first] = (x * x * x).sum().grad_of([x]);
    let [second] = first.sum().grad_of([x]);
    println!(
        "    x^3 at {}: {} and {}",
        x.value()?,
        first.value()?,
        second.value()?
    );
    first
        .value()?
        .assert_close(&(3.0 * x.value()? * x.value()?), 1e-15, 0.0);
    second
        .value()?
        .assert_close(&(6.0 * x.value()?), 1e-15, 0.0);
    Ok(())
}

fn sine() -> Result<()> {
    title(
        8,
        "sin with its derivative, and no cos anywhere in this program",
    );
    let tape = Tape::new();
    let x = tape.variable(Array::<f64>::linspace(-6.4, 6.4, 257));
    let y = x.sin();
    y.sum().backward()?;
    let (at, values, slopes) = (x.value()?, y.value()?, x.grad()?);
    // sin^2 + (sin')^2 = 1, and the slope agrees with differences of the curve.
    for i in 0..at.len() {
        let (s, d) = (values.as_slice()[i], slopes.as_slice()[i]);
        assert!((s * s + d * d - 1.0).abs() < 1e-15);
        let difference = ((at.as_slice()[i] + 1e-6).sin() - (at.as_slice()[i] - 1e-6).sin()) / 2e-6;
        assert!((difference - d).abs() < 1e-9);
    }
    let curves = [
        ("sin x", '*', values.as_slice()),
        ("its derivative", 'o', slopes.as_slice()),
    ];
    print!("{}", plot::text(at.as_slice(), &curves));
    let path = plot::save(at.as_slice(), &curves)?;
    println!("    the same as a picture: {}", path.display());
    Ok(())
}

fn explained() -> Result<()> {
    title(
        9,
        "((ln x^2) sin x) + 1/x at x = 2: every instruction, its value, its adjoint, its local derivatives",
    );
    let tape = Tape::new();
    let x = tape.variable(Array::<f64>::scalar(2.0));
    let y = x.square().ln() * x.sin() + 1.0 / x;
    let explanation = y.explain()?;
    for line in explanation.to_string().lines() {
        println!("    {line}");
    }
    println!("    the adjoint of the first line is the gradient");
    y.backward()?;
    let shown = explanation.lines()[0].adjoint.expect("y depends on x").min;
    assert!((shown - x.grad()?.item()?).abs() < 1e-15);
    Ok(())
}

fn forward_and_reverse() -> Result<()> {
    title(10, "Forward and reverse mode agree: u (J v) = (u J) v");
    let x = Array::<f64>::linspace(-1.0, 1.0, 6).reshape([2, 3])?;
    let f = Program::record(&[x.clone()], |_, [x]| x.softmax(1).matmul(x.t().tanh()))?;
    let (v, u) = (
        Array::<f64>::linspace(0.5, -0.3, 6).reshape([2, 3])?,
        Array::from([[1.0, -2.0], [0.5, 3.0]]),
    );
    let (jvp, vjp) = (f.jvp()?, f.vjp()?);
    let (mut forward, mut reverse) = (jvp.workspace()?, vjp.workspace()?);
    let jv = jvp.run(&mut forward, [&x, &v])?.array::<f64>(1)?;
    let uj = vjp.run(&mut reverse, [&x, &u])?.array::<f64>(1)?;
    let dot = |a: &Array<f64>, b: &Array<f64>| -> f64 {
        a.iter().zip(b.iter()).map(|(a, b)| a * b).sum()
    };
    let (a, b) = (dot(&u, &jv), dot(&uj, &v));
    println!("    u (J v) = {a:.15}, (u J) v = {b:.15}");
    assert!((a - b).abs() < 1e-14);
    Ok(())
}
