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
fn foreign_handle_is_caught() {
    let (one, two) = (Tape::new(), Tape::new());
    let (x, y) = (
        one.variable(Array::arange(3)),
        two.variable(Array::arange(3)),
    );
    let error = (x + y).value().unwrap_err();
    let line = line!() - 1;
    assert_eq!(error.kind(), ErrorKind::Foreign);
    let expected = format!(
        "add: an operand belongs to another tape; record both on one tape, or pass the value as an input\n  at {}:{line}:",
        file!()
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
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
    let read_at = std::cell::Cell::new(0);
    let p = Program::try_record(&[x.clone()], |_, [x]| {
        let positive = x.sum().gt(0.0).item()?;
        read_at.set(line!() - 1);
        Ok(if positive { x.sum() } else { -x.sum() }.into())
    })?;
    let line = read_at.get();
    let mut ws = p.workspace()?;
    assert_eq!(p.run(&mut ws, [&x])?.item::<f64>(0)?, 3.0);
    let error = p.run(&mut ws, [&-x.clone()]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Guard);
    let text = error.to_string();
    assert!(
        text.starts_with("the recorded branch does not hold for these inputs: "),
        "{text}"
    );
    let place = format!("\n  at {}:{line}:", file!());
    assert!(text.contains(&place), "{text} does not name {place}");
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
    let expected = "a float read while a program is recorded could steer it unseen; compare first: `x.lt(1.0).item()?`";
    assert!(error.to_string().starts_with(expected), "{error}");
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

/// The whole message: the operation and its operands, what was expected, what to try, the user's line.
#[test]
fn mistakes_name_shapes_and_lines() {
    let tape = Tape::new();
    let (x, y) = (
        tape.variable(Array::ones([3, 4])),
        tape.variable(Array::ones([3, 5])),
    );
    let refused = |value: Var<'_, f32>, line: u32, kind: ErrorKind, message: &str| {
        // What depends on it reports the same.
        for error in [
            value.shape().unwrap_err(),
            value.exp().value().unwrap_err(),
            value.sum().backward().unwrap_err(),
        ] {
            assert_eq!(error.kind(), kind, "{error}");
            let text = error.to_string();
            let (reason, at) = text.split_once("\n  at ").expect("the user's line");
            assert_eq!(reason, message);
            let (place, _column) = at.rsplit_once(':').expect("file:line:column");
            assert_eq!(place, format!("{}:{line}", file!()));
        }
    };
    refused(
        x + y,
        line!() - 1,
        ErrorKind::Shape,
        "add of [3, 4] f32 and [3, 5] f32: [3, 4] and [3, 5] do not broadcast: counted from the end, axis -1 has extents \
         4 and 5, which must be equal or one of them 1; try `reshape`, `unsqueeze` or `transpose`",
    );
    refused(
        x.matmul(y),
        line!() - 1,
        ErrorKind::Shape,
        "matmul of [3, 4] f32 and [3, 5] f32: the inner extents must be equal, but 4 is not 3",
    );
    refused(
        x.sum_over(2),
        line!() - 1,
        ErrorKind::Axis,
        "sum of [3, 4] f32: axis 2 is out of range: rank 2 has axes 0 to 1 (or -2 to -1)",
    );
    refused(
        x.sum_over([0, -2]),
        line!() - 1,
        ErrorKind::Axis,
        "sum of [3, 4] f32: axis 0 is given twice in [0, -2]; name each axis once",
    );
    refused(
        x.reshape([5]),
        line!() - 1,
        ErrorKind::Shape,
        "reshape of [3, 4] f32: [5] has 5 elements, but the operand has 12; one extent may be `INFER`",
    );
    refused(
        x.narrow(0, 2, 2),
        line!() - 1,
        ErrorKind::Index,
        "narrow of [3, 4] f32: 2 elements from 2 do not lie within axis 0 of extent 3",
    );
    assert_eq!(x.sum().item().expect("unrelated values go on"), 12.0);
}
