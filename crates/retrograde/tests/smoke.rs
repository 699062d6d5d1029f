//! The north star, line by line.
use retrograde::prelude::*;

#[test]
fn define_by_run() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(Array::arange(4));
    let y = 2.0 * x.dot(x);
    y.backward()?;
    assert_eq!(x.grad()?, 4.0 * x.value()?);

    tape.zero_grad();
    let y = x * x;
    assert!(y.backward().unwrap_err().to_string().contains(".sum()"));
    y.backward_with(&Array::ones([4]))?;
    assert_eq!(x.grad()?, 2.0 * x.value()?);

    tape.zero_grad();
    let u = (x * x).detach();
    (u * x).sum().backward()?;
    assert_eq!(x.grad()?, u.value()?);

    for start in [0.3f32, -0.7, 12.0, 1e-3] {
        let a = tape.variable(Array::scalar(start));
        let mut b = a * 2.0;
        while b.norm().item()? < 1000.0 {
            b *= 2.0;
        }
        let d = if b.sum().item()? > 0.0 { b } else { 100.0 * b };
        d.backward()?;
        assert_eq!(a.grad()?.item()?, d.item()? / start);
    }
    Ok(())
}

#[test]
fn program_gradients() -> Result<()> {
    let x = Array::<f64>::linspace(-2.0, 2.0, 1000);
    let p = Program::record(&[x.clone()], |_, [x]| {
        ((x * x + 0.5).tanh() * x.sigmoid() + (-(x * x)).exp()).sum()
    })?;
    let g = p.value_and_grad()?;
    println!("{g}");
    assert_eq!(g.groups(), 1);
    let mut ws = g.workspace()?;
    let out = g.run(&mut ws, [&x])?;
    let f = |x: f64| (x * x + 0.5).tanh() / (1.0 + (-x).exp()) + (-x * x).exp();
    for (i, &x) in x.as_slice().iter().enumerate() {
        let n = (f(x + 1e-6) - f(x - 1e-6)) / 2e-6;
        assert!((out.slice::<f64>(1)?[i] - n).abs() < 1e-7);
    }
    let want: f64 = x.as_slice().iter().map(|&x| f(x)).sum();
    assert!((out.item::<f64>(0)? - want).abs() < 1e-9 * want.abs());
    Ok(())
}

#[test]
fn cross_entropy_gradient() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(Array::<f64>::linspace(-1.0, 1.0, 12).reshape([4, 3])?);
    let w = tape.variable(Array::<f64>::linspace(-1.0, 2.0, 6).reshape([3, 2])?);
    let labels = tape.constant(Array::from_slice(&[0u32, 1, 1, 0]));
    let loss = x.matmul(w).cross_entropy(labels);
    let before = loss.item()?;
    loss.backward()?;
    let g = w.grad()?;
    let h = 1e-6;
    let mut moved = w.value()?;
    moved.as_mut_slice()[3] += h;
    let t2 = Tape::new();
    let (x2, w2) = (t2.constant(x.value()?), t2.constant(moved));
    let after = x2
        .matmul(w2)
        .cross_entropy(t2.constant(labels.value()?))
        .item()?;
    assert!(((after - before) / h - g.as_slice()[3]).abs() < 1e-5);
    Ok(())
}
