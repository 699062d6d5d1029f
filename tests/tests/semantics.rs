//! What differentiation means: the promises a user relies on, one test each.

use retrograde::prelude::*;

fn wiggle(n: usize) -> Array<f64> {
    Array::from_shape_fn([n], |i| (i[0] as f64 * 1.7).sin() + 0.1)
}

#[test]
fn gradient_of_two_dot() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(Array::arange(4));
    (2.0 * x.dot(x)).backward()?;
    assert_eq!(x.grad()?, 4.0 * x.value()?);
    Ok(())
}

#[test]
fn gradients_accumulate_until_zeroed() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(wiggle(5));
    let y = (x * x).sum();
    y.backward()?;
    let once = x.grad()?;
    y.backward()?;
    assert_eq!(x.grad()?, 2.0 * once.clone(), "backward twice adds");
    x.sum().backward()?;
    assert_eq!(
        x.grad()?,
        2.0 * once + 1.0,
        "another value's gradient adds too"
    );
    tape.zero_grad();
    assert_eq!(x.grad().unwrap_err().kind(), ErrorKind::Unknown);
    y.backward()?;
    assert_eq!(x.grad()?, 2.0 * x.value()?);
    Ok(())
}

#[test]
fn gradient_slot_is_empty_at_first() {
    let tape = Tape::new();
    let x = tape.variable(Array::arange(3));
    let error = x.grad().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unknown);
    assert!(error.to_string().contains("has no gradient"), "{error}");
    assert!(
        error.to_string().contains("semantics.rs"),
        "names the user's line: {error}"
    );
}

#[test]
fn backward_of_what_is_no_scalar() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(wiggle(4));
    let y = x * x;
    let error = y.backward().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Seed);
    let text = error.to_string();
    assert!(text.starts_with("backward of [4] f64: only a scalar has a gradient; use `.sum().backward()`, or give a seed"), "{text}");
    assert_eq!(
        y.backward_with(&Array::<f64>::ones([3]))
            .unwrap_err()
            .kind(),
        ErrorKind::Seed
    );

    y.backward_with(&Array::<f64>::ones([4]))?;
    let seeded = x.grad()?;
    tape.zero_grad();
    y.sum().backward()?;
    assert_eq!(x.grad()?, seeded);
    Ok(())
}

#[test]
fn seeds_are_linear_and_zero_gives_zero() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(wiggle(6));
    let y = x.exp() * x.sqrt();
    y.backward_with(&Array::<f64>::zeros([6]))?;
    assert!(
        x.grad()?.iter().all(|&g| g == 0.0),
        "even where sqrt has no derivative: {}",
        x.grad()?
    );
    Ok(())
}

#[test]
fn detach_is_a_constant() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(wiggle(4));
    let square = x * x;
    let u = square.detach();
    (u * x).sum().backward()?;
    assert_eq!(x.grad()?, u.value()?);
    tape.zero_grad();
    square.sum().backward()?;
    assert_eq!(x.grad()?, 2.0 * x.value()?, "what is behind stays usable");
    Ok(())
}

/// Real control flow: `f` is piecewise linear, so its derivative is `f(a) / a`.
#[test]
fn gradient_through_while_and_if() -> Result<()> {
    let starts = (-20..20)
        .filter(|&i| i != 0)
        .map(|i| f64::from(i).powi(3) * 0.013);
    for start in starts {
        let tape = Tape::new();
        let a = tape.variable(Array::scalar(start));
        let mut b = a * 2.0;
        while b.norm().item()? < 1000.0 {
            b = b * 2.0;
        }
        let f = if b.item()? > 0.0 { b } else { 100.0 * b };
        f.backward()?;
        // The quotient is rounded, the gradient is a power of two or 100 times one.
        let (gradient, quotient) = (a.grad()?.item()?, f.item()? / start);
        assert!(
            (gradient - quotient).abs() <= 1e-12 * quotient.abs(),
            "at {start}: {gradient}, {quotient}"
        );
    }
    Ok(())
}

#[test]
fn gradient_through_while_of_vectors() -> Result<()> {
    for scale in [0.2, -3.0, 55.0] {
        let tape = Tape::new();
        let a = tape.variable(wiggle(7) * scale);
        let mut b = a * 2.0;
        while b.norm().item()? < 1000.0 {
            b = b * 2.0;
        }
        let f = if b.sum().item()? > 0.0 { b } else { 100.0 * b };
        f.sum().backward()?;
        let expected = f.value()? / &a.value()?;
        a.grad()?.assert_close(&expected, 1e-14, 0.0);
    }
    Ok(())
}

#[test]
fn second_derivative_on_a_tape() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(wiggle(5));
    let [first] = (x * x * x).sum().grad_of([x]);
    let [second] = first.sum().grad_of([x]);
    second.sum().backward()?;
    second
        .value()?
        .assert_close(&(6.0 * x.value()?), 1e-14, 1e-14);
    assert_eq!(x.grad()?, Array::<f64>::full([5], 6.0), "and a third");
    Ok(())
}

#[test]
fn forward_is_the_transpose_of_reverse() -> Result<()> {
    let x = Array::<f64>::linspace(-1.3, 1.1, 12).reshape([3, 4])?;
    let f = Program::record(&[x.clone()], |_, [x]| {
        (x.softmax(1).matmul(x.t().tanh()) + x.sum_over(keep(1))).sigmoid()
    })?;
    let shape = f.output_shape(0).expect("one output").to_vec();
    let (v, u) = (
        x.map(|x: f64| (9.0 * x).cos()),
        Array::<f64>::from_shape_fn(shape, |i| (i[0] * 3 + i[1]) as f64 - 2.5),
    );
    let (jvp, vjp) = (f.jvp()?, f.vjp()?);
    let (mut jw, mut vw) = (jvp.workspace()?, vjp.workspace()?);
    let forward = jvp.run(&mut jw, [&x, &v])?.array::<f64>(1)?;
    let reverse = vjp.run(&mut vw, [&x, &u])?.array::<f64>(1)?;
    let dot =
        |a: &Array<f64>, b: &Array<f64>| a.iter().zip(b.iter()).map(|(a, b)| a * b).sum::<f64>();
    let (a, b) = (dot(&u, &forward), dot(&reverse, &v));
    assert!((a - b).abs() < 1e-13 * a.abs().max(1.0), "{a} {b}");
    Ok(())
}

#[test]
fn foreign_handle_is_caught() {
    let (one, two) = (Tape::new(), Tape::new());
    let (x, y) = (
        one.variable(Array::arange(3)),
        two.variable(Array::arange(3)),
    );
    let error = (x + y).value().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Foreign);
    assert!(
        error.to_string().contains("another tape") && error.to_string().contains("semantics.rs"),
        "{error}"
    );
    assert_eq!(
        (x + y).sum().backward().unwrap_err().kind(),
        ErrorKind::Foreign,
        "later uses report it"
    );
}

#[test]
fn foreign_workspace_and_wrong_inputs() -> Result<()> {
    let x = Array::arange(3);
    let p = Program::record(&[x.clone()], |_, [x]| x.sum())?;
    let q = Program::record(&[x.clone()], |_, [x]| x.exp())?;
    assert_eq!(
        p.run(&mut q.workspace()?, [&x]).unwrap_err().kind(),
        ErrorKind::Foreign
    );
    let mut ws = p.workspace()?;
    assert_eq!(
        p.run(&mut ws, [&x, &x]).unwrap_err().to_string(),
        "the program takes 1 inputs, given were 2"
    );
    assert_eq!(
        p.run(&mut ws, [&Array::arange(4)]).unwrap_err().to_string(),
        "input 0 is [4] f32, the program was recorded for [3] f32"
    );
    assert_eq!(
        p.run(&mut ws, [&Array::<f64>::arange(3)])
            .unwrap_err()
            .kind(),
        ErrorKind::Inputs
    );
    assert_eq!(p.run(&mut ws, [&x])?.item::<f32>(0)?, 3.0, "still usable");
    Ok(())
}

#[test]
fn guard_reports_another_branch() -> Result<()> {
    let x = Array::<f64>::from([1.0, 2.0]);
    let p = Program::try_record(&[x.clone()], |_, [x]| {
        let positive = x.sum().gt(0.0).item()?;
        Ok(if positive { x.sum() } else { -x.sum() }.into())
    })?;
    let mut ws = p.workspace()?;
    assert_eq!(p.run(&mut ws, [&x])?.item::<f64>(0)?, 3.0);
    let error = p.run(&mut ws, [&-x.clone()]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Guard);
    assert!(error.to_string().contains("semantics.rs"), "{error}");
    assert_eq!(p.run(&mut ws, [&x])?.item::<f64>(0)?, 3.0);
    Ok(())
}

#[test]
fn floats_do_not_steer_a_recording() {
    let x = Array::<f64>::from([1.0]);
    let p = Program::try_record(&[x], |_, [x]| {
        let v = x.item()?;
        Ok((x * v).into())
    });
    let error = p.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unknown);
    assert!(error.to_string().contains("compare first"), "{error}");
}

#[test]
fn inactive_branches_never_pollute() -> Result<()> {
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let tape = Tape::new();
    let x = tape.variable(Array::from([-1.0, 0.0, 4.0, nan, inf]));
    let gradient = |y: Var<'_, f64>| -> Result<Array<f64>> {
        tape.zero_grad();
        y.sum().backward()?;
        x.grad()
    };
    // The side not taken has an infinite or undefined derivative.
    let rooted = gradient(x.gt(0.0).select(x.sqrt(), x))?;
    assert_eq!(rooted.as_slice(), [1.0, 1.0, 0.25, 1.0, 0.0]);
    let logged = gradient(x.le(0.0).select(x, x.ln()))?;
    assert_eq!(logged.as_slice()[..3], [1.0, 1.0, 0.25]);
    let divided = gradient(x.eq(0.0).select(x.rec().scalar(1.0), x.sin() / x))?;
    assert_eq!(divided.as_slice()[1], 0.0);
    let masked = gradient((1.0 / x).masked_fill(x.eq(0.0), 7.0))?;
    assert_eq!(masked.as_slice()[..3], [-1.0, 0.0, -1.0 / 16.0]);
    let relu = gradient((x.relu() * x.recip_or_inf()).relu())?;
    assert_eq!(relu.as_slice()[0], 0.0);
    assert_eq!(relu.as_slice()[1], 0.0);
    Ok(())
}

/// A function with a pole, for the test above.
trait Pole {
    fn recip_or_inf(self) -> Self;
}
impl Pole for Var<'_, f64> {
    fn recip_or_inf(self) -> Self {
        self.reciprocal().square()
    }
}

#[test]
fn inactive_branches_never_pollute_second_order() -> Result<()> {
    let x = Array::from([-1.0, 0.0, 4.0]);
    let y = Program::record(&[x.clone()], |_, [x]| {
        x.gt(0.0).select(x * x.sqrt(), x).sum()
    })?;
    let hvp = y.hvp()?;
    let mut ws = hvp.workspace()?;
    let out = hvp
        .run(&mut ws, [&x, &Array::<f64>::ones([3])])?
        .array::<f64>(0)?;
    out.assert_close(&Array::from([0.0, 0.0, 0.375]), 1e-14, 0.0);
    Ok(())
}

#[test]
fn mistakes_name_shapes_and_lines() {
    let tape = Tape::new();
    let (x, y) = (
        tape.variable(Array::ones([3, 4])),
        tape.variable(Array::ones([3, 5])),
    );
    for (value, kind, part) in [
        (x + y, ErrorKind::Shape, "add of [3, 4] f32 and [3, 5] f32"),
        (x.matmul(y), ErrorKind::Shape, "4 is not 3"),
        (x.sum_over(2), ErrorKind::Axis, "axis 2 is out of range"),
        (x.sum_over([0, -2]), ErrorKind::Axis, "given twice"),
        (
            x.reshape([5]),
            ErrorKind::Shape,
            "has 5 elements, but the operand has 12",
        ),
        (x.narrow(0, 2, 2), ErrorKind::Index, "3"),
    ] {
        let error = value.exp().value().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(
            error.to_string().contains(part) && error.to_string().contains("semantics.rs"),
            "{error}"
        );
    }
}

#[test]
fn a_label_that_is_no_class() {
    let tape = Tape::new();
    let x = tape.variable(Array::ones([2, 3]));
    let error = x
        .cross_entropy(tape.constant(Array::from_slice(&[1u32, 3])))
        .backward()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Index);
    assert!(error.to_string().contains('3'), "{error}");
}
