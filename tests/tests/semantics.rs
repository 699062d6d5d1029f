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
    let line = line!() - 1;
    let error = x.grad().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unknown);
    let expected = format!(
        "v0 ([3] f32) has no gradient: no backward has reached it yet, or it is not a variable of this tape\n  at {}:{line}:",
        file!()
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
}

#[test]
fn a_seed_of_zeros_gives_zeros() -> Result<()> {
    let tape = Tape::new();
    let at = wiggle(6);
    // A root of a negative number, and of 0: no derivative, an infinite one.
    assert!(at.iter().any(|&x| x < 0.0));
    let x = tape.variable(at.map(|x: f64| if x > 1.0 { 0.0 } else { x }));
    let y = x.exp() * x.sqrt();
    y.backward_with(&Array::<f64>::zeros([6]))?;
    assert!(
        x.grad()?.iter().all(|&g| g == 0.0),
        "even where sqrt has no derivative: {}",
        x.grad()?
    );
    Ok(())
}

/// The derivative of a step function is zero, which is not the same as no derivative.
#[test]
fn steps_have_a_gradient_of_zeros() -> Result<()> {
    let steps: [for<'t> fn(Var<'t, f64>) -> Var<'t, f64>; 5] = [
        |x| x.floor(),
        |x| x.ceil(),
        |x| x.round(),
        |x| x.trunc(),
        |x| x.sign(),
    ];
    for step in steps {
        let tape = Tape::new();
        let x = tape.variable(wiggle(3));
        step(x).sum().backward()?;
        assert_eq!(x.grad()?, Array::<f64>::zeros([3]));
    }
    // Beneath a detach, a comparison or an index there is none.
    let tape = Tape::new();
    let [x, y] = [(); 2].map(|()| tape.variable(wiggle(3)));
    (x.detach() * y + x.lt(y).cast::<f64>() * y)
        .sum()
        .backward()?;
    assert!(x.grad().is_err() && y.grad().is_ok());
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

/// What is constant has no adjoint, on either side of an operation, and nothing is kept for one.
#[test]
fn constants_cost_nothing() -> Result<()> {
    let both = [wiggle(1000), wiggle(1000)];
    type Build = for<'t> fn(Var<'t, f64>, Var<'t, f64>) -> Var<'t, f64>;
    let table: [(&str, Build); 5] = [
        ("left", |x, c| c.sin() * x),
        ("right", |x, c| x * c.sin()),
        ("divisor", |x, c| x / (c.sin() + 2.0)),
        ("mask", |x, c| c.gt(0.0).select(x, c.sin())),
        ("detached", |x, c| x * c.sin().detach()),
    ];
    for (name, build) in table {
        let f = Program::record(&both, |_, [x, c]| build(x, c).sum())?;
        let (one, all) = (f.value_and_grad_of(&[0])?, f.value_and_grad()?);
        assert_eq!(one.output_count(), 2);
        // Only an adjoint of `c` has a cosine.
        let cosines = |p: &Program| p.listing().matches("= cos").count();
        let expected = usize::from(name != "detached");
        assert_eq!(
            (cosines(&one), cosines(&all)),
            (0, expected),
            "{name}:\n{one}\n{all}"
        );
        let mut ws = one.workspace()?;
        let slope = one.run(&mut ws, both.each_ref())?.array::<f64>(1)?;
        let mut ws = all.workspace()?;
        assert_eq!(slope, all.run(&mut ws, both.each_ref())?.array::<f64>(1)?);
    }
    // Both sides the same value, and one of them cut off.
    let tape = Tape::new();
    let x = tape.variable(wiggle(4));
    (x * x.detach()).sum().backward()?;
    assert_eq!(x.grad()?, x.value()?);
    Ok(())
}

/// Real control flow: `f` is piecewise linear, so its derivative is `f(a) / a`.
///
/// The gradient is a product of small integers and powers of two: exact. `f(a)` and the quotient are rounded once each
/// (where the factor is a power of two, not at all), so they are within two half ulps of it.
#[test]
fn gradient_through_while_and_if() -> Result<()> {
    let starts = (-20..20)
        .filter(|&i| i != 0)
        .map(|i| f64::from(i).powi(3) * 0.013);
    for start in starts {
        let tape = Tape::new();
        let a = tape.variable(Array::scalar(start));
        let (mut b, mut factor) = (a * 2.0, 2.0);
        while b.norm().item()? < 1000.0 {
            b = b * 2.0;
            factor *= 2.0;
        }
        let f = if b.item()? > 0.0 { b } else { 100.0 * b };
        f.backward()?;
        let (gradient, quotient) = (a.grad()?.item()?, f.item()? / start);
        if start > 0.0 {
            assert_eq!(gradient, factor, "at {start}");
            assert_eq!(quotient, factor, "at {start}");
        } else {
            assert_eq!(gradient, 100.0 * factor, "at {start}");
            let distance = (gradient - quotient).abs();
            assert!(
                distance <= f64::EPSILON * gradient,
                "at {start}: {quotient}"
            );
        }
    }
    Ok(())
}

#[test]
fn gradient_through_while_of_vectors() -> Result<()> {
    for scale in [0.2, -3.0, 55.0, -0.01] {
        let tape = Tape::new();
        let a = tape.variable(wiggle(7) * scale);
        let (mut b, mut factor) = (a * 2.0, 2.0);
        while b.norm().item()? < 1000.0 {
            b = b * 2.0;
            factor *= 2.0;
        }
        let f = if b.sum().item()? > 0.0 { b } else { 100.0 * b };
        f.sum().backward()?;
        let factor = factor * if scale > 0.0 { 1.0 } else { 100.0 };
        assert_eq!(a.grad()?, Array::<f64>::full([7], 1.0) * factor);
        let quotient = f.value()? / &a.value()?;
        quotient.assert_close(&a.grad()?, f64::EPSILON, 0.0);
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
    let is = |found: Array<f64>, expected: [f64; 5]| {
        let same =
            |(a, b): (&f64, &f64)| a == b || a.is_nan() && b.is_nan() || (a - b).abs() < 1e-15;
        assert!(
            found.iter().zip(&expected).all(same),
            "{found}, not {expected:?}"
        );
    };
    // NaN is not below or at 0: there the logarithm is the side taken.
    is(
        gradient(x.le(0.0).select(x, x.ln()))?,
        [1.0, 1.0, 0.25, nan, 0.0],
    );
    let slope = |x: f64| x.cos() / x - x.sin() / (x * x);
    is(
        gradient(x.eq(0.0).select(x.rec().scalar(1.0), x.sin() / x))?,
        // At infinity the quotient's own adjoint is 0 / infinity: a zero, which stays one.
        [slope(-1.0), 0.0, slope(4.0), nan, 0.0],
    );
    is(
        gradient((1.0 / x).masked_fill(x.eq(0.0), 7.0))?,
        [-1.0, 0.0, -1.0 / 16.0, nan, 0.0],
    );
    // The relu masks: 0 times the pole's infinite slope.
    let relu = gradient((x.relu() * x.reciprocal().square()).relu())?;
    assert_eq!(relu.as_slice()[..3], [0.0, 0.0, -1.0 / 16.0]);
    // A mask as a factor masks as well as a choice does: the root's slope at 0 is infinite.
    let product = gradient(x.gt(0.0).cast::<f64>() * x.abs().sqrt())?;
    assert_eq!(product.as_slice()[..3], [0.0, 0.0, 0.25]);
    Ok(())
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
