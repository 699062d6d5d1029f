//! Transforms of programs, and what they say to wrong arguments.

use retrograde_graph::{Direction, ErrorKind, Program, Result, Tape, Var};
use retrograde_storage::{AnyArray, Array, ArrayRef, Create};

fn message<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.expect_err("must be refused").to_string()
}

#[test]
fn jacobians_of_both_directions() -> Result<()> {
    let (x, a) = (
        Array::<f64>::from([0.3, -0.4, 2.0]),
        Array::<f64>::from([1.5, 0.5]),
    );
    let inputs = (x.clone(), Array::from_slice(&[1u32, 0, 1]), a.clone());
    // f_i = sin(x_i) a[labels_i]
    let f = Program::record(&inputs, |_, (x, labels, a)| x.sin() * a.gather(0, labels))?;
    let by_x: Array<f64> = f.jacobian(0)?.run((&x, &inputs.1, &a))?;
    let by_a: Array<f64> = f.jacobian(2)?.run((&x, &inputs.1, &a))?;
    assert_eq!(f.jacobian(2)?.direction(), Direction::Forward);
    for (i, &xi) in x.iter().enumerate() {
        let label = inputs.1.as_slice()[i] as usize;
        for j in 0..3 {
            let want = if i == j {
                xi.cos() * a.as_slice()[label]
            } else {
                0.0
            };
            assert!((by_x.get(&[i, j]).unwrap() - want).abs() < 1e-15);
        }
        for j in 0..2 {
            let want = if label == j { xi.sin() } else { 0.0 };
            assert!((by_a.get(&[i, j]).unwrap() - want).abs() < 1e-15);
        }
    }
    // Few outputs of many inputs: reverse. The Hessian of an input that does not come first among the differentiable.
    let f = Program::record(&inputs, |_, (x, labels, a)| {
        (x.square() * a.gather(0, labels).square()).sum()
    })?;
    assert_eq!(f.jacobian(0)?.direction(), Direction::Reverse);
    let h: Array<f64> = f.hessian(2)?.run((&x, &inputs.1, &a))?;
    let want = [2.0 * 0.4 * 0.4, 2.0 * (0.3 * 0.3 + 4.0)];
    assert!((h.get(&[0, 0]).unwrap() - want[0]).abs() < 1e-15);
    assert!((h.get(&[1, 1]).unwrap() - want[1]).abs() < 1e-15);
    assert_eq!(h.get(&[0, 1]), Some(&0.0));
    Ok(())
}

#[test]
fn empty_sides() -> Result<()> {
    let none = Array::<f64>::arange(0);
    let f = Program::record(&[none.clone()], |_, [x]| x.exp())?;
    let j: Array<f64> = f.jacobian(0)?.run([&none])?;
    assert_eq!(j.shape(), [0, 0]);
    let sum = Program::record(&[none.clone()], |_, [x]| x.exp().sum())?;
    for p in [
        sum.value_and_grad()?,
        sum.output(0)?,
        sum.with_options(sum.options())?,
    ] {
        assert_eq!(p.run(&mut p.workspace()?, [&none])?.item::<f64>(0)?, 0.0);
    }
    let h: Array<f64> = sum.hessian(0)?.run([&none])?;
    assert_eq!(h.shape(), [0, 0]);
    let nothing = Program::try_record(&[none], |_, [_]| {
        Ok(Vec::<retrograde_graph::Var<'_, f64>>::new().into())
    })?;
    assert_eq!((nothing.output_count(), nothing.cost().flops), (0, 0));
    for refused in [nothing.grad(), nothing.vjp(), nothing.jvp(), nothing.hvp()] {
        assert!(message(refused).ends_with("the program has no output"));
    }
    Ok(())
}

#[test]
fn feeds_of_every_kind() -> Result<()> {
    let (x, y) = (
        Array::<f64>::from([1.0, 2.0]),
        Array::<f64>::from([3.0, 4.0]),
    );
    let none = Program::record(&(), |t, ()| t.ones::<f64>([3]).sum())?;
    assert_eq!(none.run(&mut none.workspace()?, ())?.item::<f64>(0)?, 3.0);
    let p = Program::record(&[x.clone(), y.clone()], |_, [x, y]| x.dot(y))?;
    let mut ws = p.workspace()?;
    let each = |out: Result<retrograde_graph::OutputsRef<'_>>| {
        assert_eq!(out?.item::<f64>(0)?, 11.0);
        Ok::<_, retrograde_graph::Error>(())
    };
    each(p.run(&mut ws, [&x, &y]))?;
    each(p.run(&mut ws, &[x.clone(), y.clone()]))?;
    each(p.run(&mut ws, (&x, &y)))?;
    each(p.run(&mut ws, &[&x, &y][..]))?;
    each(p.run(&mut ws, vec![&x, &y].as_slice()))?;
    let slice = [3.0, 4.0];
    each(p.run(&mut ws, [x.view(), ArrayRef::new(&slice, [2])?]))?;
    let any: [AnyArray; 2] = [x.clone().into(), y.clone().into()];
    each(p.run(&mut ws, &any))?;
    each(p.run(&mut ws, any.as_slice()))?;
    Ok(())
}

#[test]
fn wrong_arguments_are_errors() -> Result<()> {
    let inputs = (
        Array::<f64>::arange(3),
        Array::from_slice(&[0u32]),
        Array::<f32>::arange(2),
    );
    let f = Program::record(&inputs, |_, (x, i, _)| x.gather(0, i).square())?;
    let g = f.output(0)?;
    assert_eq!(
        message(f.output(1)),
        "output 1 does not exist: the program has 1"
    );
    assert_eq!(
        message(f.value_and_grad_of(&[7])),
        "value_and_grad_of: input 7 does not exist, the program has 3"
    );
    assert_eq!(
        message(f.value_and_grad_of(&[1])),
        "value_and_grad_of: input 1 is u32, which has no gradient here"
    );
    assert_eq!(
        message(f.jacobian(9)),
        "jacobian: input 9 does not exist, the program has 3"
    );
    assert_eq!(
        message(f.jacobian(1)),
        "jacobian: input 1 is u32, the output is f64"
    );
    assert_eq!(
        message(f.hessian(2)),
        "hessian: input 2 is f32, the output is f64"
    );
    let jacobian = f.jacobian(0)?;
    assert_eq!(
        message(jacobian.run::<f32>((&inputs.0, &inputs.1, &inputs.2))),
        "the Jacobian is not of f32"
    );
    assert_eq!(
        message(jacobian.run::<f64>((&inputs.0, &inputs.1))),
        "the program takes 3 inputs, given were 2"
    );

    let labels = Program::record(&[Array::<f64>::arange(3)], |_, [x]| x.argmax())?;
    for (what, refused) in [
        ("value_and_grad", labels.value_and_grad()),
        ("vjp", labels.vjp()),
        ("jvp", labels.jvp()),
        ("hvp", labels.hvp()),
    ] {
        assert_eq!(
            message(refused),
            format!("{what}: the output is u32, which has no gradient")
        );
    }
    let wide = Program::record(&[Array::<f64>::arange(3)], |_, [x]| x * 2.0)?;
    assert_eq!(
        message(wide.hessian(0)),
        "hessian of [3] f64: only a scalar has a gradient; record `.sum()`, or use `vjp` with a seed"
    );

    let mut ws = g.workspace()?;
    let out = g.run(&mut ws, (&inputs.0, &inputs.1, &inputs.2))?;
    assert_eq!(
        message(out.array::<f64>(1)),
        "output 1 does not exist: the program has 1"
    );
    assert_eq!(
        message(out.item::<f32>(0)),
        "output 0 is f64, asked for was f32"
    );
    let out = wide.workspace()?;
    let mut out = out;
    let out = wide.run(&mut out, [&inputs.0])?;
    assert_eq!(
        message(out.item::<f64>(0)),
        "output 0 is [3]: only one element is an item"
    );

    // An array that holds an error in place of elements is no input, of a recording or of a run.
    let broken = Array::<f64>::zeros([usize::MAX, 3]);
    assert!(message(Program::record(&[broken.clone()], |_, [x]| x.sum())).starts_with("input 0: "));
    let mut ws = wide.workspace()?;
    assert!(message(wide.run(&mut ws, [&broken])).starts_with("input 0: "));
    // A closure that leaves its bad value unused has made no mistake that matters.
    let unused = Program::record(&[inputs.0.clone()], |_, [x]| {
        let _ = x.reshape([7]);
        x.sum()
    })?;
    assert_eq!(
        unused
            .run(&mut unused.workspace()?, [&inputs.0])?
            .item::<f64>(0)?,
        3.0
    );
    Ok(())
}

#[test]
fn a_value_and_its_gradient_by_mode() -> Result<()> {
    let x = Array::<f64>::from([0.5, 1.5]);
    let f = Program::record(&[x.clone()], |_, [x]| (x.exp() * x).sum())?;
    let v = Array::<f64>::from([1.0, -2.0]);
    let slope = |x: f64| x.exp() * (x + 1.0);
    let curve = |x: f64| x.exp() * (x + 2.0);
    let jvp = f.jvp()?;
    let mut ws = jvp.workspace()?;
    let forward = jvp.run(&mut ws, [&x, &v])?.item::<f64>(1)?;
    assert!((forward - (slope(0.5) - 2.0 * slope(1.5))).abs() < 1e-14);
    let vjp = f.vjp()?;
    let mut ws = vjp.workspace()?;
    let reverse = vjp
        .run(&mut ws, [&x, &Array::scalar(3.0)])?
        .array::<f64>(1)?;
    assert!((reverse.as_slice()[1] - 3.0 * slope(1.5)).abs() < 1e-14);
    let hvp = f.hvp()?;
    let mut ws = hvp.workspace()?;
    let product = hvp.run(&mut ws, [&x, &v])?.array::<f64>(0)?;
    assert!((product.as_slice()[1] + 2.0 * curve(1.5)).abs() < 1e-13);
    let error = hvp.run(&mut ws, [&x]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Inputs);
    Ok(())
}

#[test]
fn a_product_with_a_seed_has_a_derivative_by_the_seed() -> Result<()> {
    // g(x, u) = u cos(x): by u it is cos(x).
    let x = Array::<f64>::from([0.3, 1.0]);
    let u = Array::<f64>::from([2.0, -1.0]);
    let f = Program::record(&[x.clone()], |_, [x]| x.sin())?;
    let by_seed: Array<f64> = f.vjp()?.output(1)?.jacobian(1)?.run([&x, &u])?;
    for (i, x) in x.iter().enumerate() {
        assert_eq!(by_seed.get(&[i, i]), Some(&x.cos()));
        assert_eq!(by_seed.get(&[i, 1 - i]), Some(&0.0));
    }
    let by_tangent: Array<f64> = f.jvp()?.output(1)?.jacobian(1)?.run([&x, &u])?;
    assert_eq!(by_tangent, by_seed);
    Ok(())
}

#[test]
fn zeros_of_unit_vectors_are_structural() -> Result<()> {
    // The slope of the root is infinite at 0: that is the derivative of its own element and of no other.
    let x = Array::<f64>::from([0.0, 4.0]);
    let f = Program::record(&[x.clone()], |_, [x]| x.sqrt())?;
    let unit = Array::<f64>::from([0.0, 1.0]);
    let want = Array::<f64>::from([0.0, 0.25]);
    for p in [f.vjp()?, f.jvp()?] {
        assert_eq!(
            p.run(&mut p.workspace()?, [&x, &unit])?.array::<f64>(1)?,
            want
        );
    }
    Ok(())
}

#[test]
fn outputs_in_the_callers_memory() -> Result<()> {
    let x = Array::<f64>::linspace(-1.0, 1.0, 1001);
    let f = Program::try_record(&[x.clone()], |_, [x]| {
        Ok([x.exp().sum(), x.tanh(), x].into())
    })?;
    let mut ws = f.workspace()?;
    let want: Vec<Array<f64>> = {
        let out = f.run(&mut ws, [&x])?;
        (0..3).map(|i| out.array(i)).collect::<Result<_>>()?
    };
    // Not on a packet's boundary, with neighbours that must stay.
    let mut room = vec![7.0; 1 + 1001 + 1];
    let (mut sum, mut copy) = (Array::<f64>::scalar(0.0), Array::<f64>::zeros([1001]));
    f.run_into(
        &mut ws,
        [&x],
        &mut [
            (&mut sum).into(),
            room[1..1002].as_mut().into(),
            (&mut copy).into(),
        ],
    )?;
    assert_eq!((sum, &copy), (want[0].clone(), &want[2]));
    assert_eq!(room[1..1002], *want[1].as_slice());
    assert_eq!((room[0], room[1002]), (7.0, 7.0));

    let mut short = [0.0f64; 1000];
    let mut into = |place: retrograde_graph::OutputMut<'_>| {
        let (mut a, mut b) = ([0.0f64], vec![0.0; 1001]);
        let outputs = &mut [a.as_mut_slice().into(), place, b.as_mut_slice().into()];
        message(f.run_into(&mut ws, [&x], outputs))
    };
    assert_eq!(
        into(short.as_mut_slice().into()),
        "output 1 is [1001] f64, given for it was a slice of 1000 f64"
    );
    assert_eq!(
        into((&mut Array::<f32>::zeros([1001])).into()),
        "output 1 is [1001] f64, given for it was [1001] f32"
    );
    assert_eq!(
        into((&mut Array::<f64>::zeros([1, 1001])).into()),
        "output 1 is [1001] f64, given for it was [1, 1001] f64"
    );
    assert_eq!(
        message(f.run_into(&mut ws, [&x], &mut [])),
        "the program has 3 outputs, given were places for 0"
    );
    Ok(())
}

#[test]
fn a_value_of_another_tape_is_no_result() -> Result<()> {
    let tape: &'static Tape = Box::leak(Box::new(Tape::new()));
    let v = tape.constant(Array::<f64>::ones([3]));
    // The second value of the other tape: a row that this recording does not have.
    let w = v.exp();
    let error = Program::record(&[Array::<f64>::arange(3)], move |_, [_]| w).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Foreign);
    assert!(
        error
            .to_string()
            .starts_with("the closure returns a value of another tape")
    );
    Ok(())
}

/// A function of three elements, none of whose derivatives vanish.
fn curved(x: Var<'_, f64>) -> Var<'_, f64> {
    x.sin() * (x * x).sum() + x.exp()
}

#[test]
fn tangents_as_values_are_those_of_programs() -> Result<()> {
    let (x, v) = (
        Array::<f64>::from([0.3, -0.4, 1.2]),
        Array::<f64>::from([1.0, 0.5, -2.0]),
    );
    let inside = Program::record(&[x.clone(), v.clone()], |_, [x, v]| {
        curved(x).jvp_of([x], [v])
    })?;
    let outside = Program::record(&[x.clone()], |_, [x]| curved(x))?.jvp()?;
    let (mut a, mut b) = (inside.workspace()?, outside.workspace()?);
    let found = inside.run(&mut a, [&x, &v])?.array::<f64>(0)?;
    let expected = outside.run(&mut b, [&x, &v])?.array::<f64>(1)?;
    found.assert_close(&expected, 1e-15, 1e-15);
    // On a tape, and against central differences.
    let tape = Tape::new();
    let (vx, vv) = (tape.variable(x.clone()), tape.constant(v.clone()));
    curved(vx)
        .jvp_of([vx], [vv])
        .value()?
        .assert_close(&expected, 1e-15, 1e-15);
    let h = 1e-6;
    let at = |h: f64| curved(tape.constant(x.clone() + h * v.clone())).value();
    let difference = (at(h)? - at(-h)?) / (2.0 * h);
    difference.assert_close(&expected, 1e-8, 1e-8);
    Ok(())
}

#[test]
fn tangents_nest_in_every_order() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(Array::<f64>::from([0.3, -0.4, 1.2]));
    let v = tape.constant(Array::<f64>::from([1.0, 0.5, -2.0]));
    let u = tape.constant(Array::<f64>::from([-0.5, 2.0, 0.25]));
    let f = || curved(x).sum();
    let [gradient] = f().grad_of([x]);
    let over_reverse = gradient.jvp_of([x], [v]);
    let [reverse_over] = f().jvp_of([x], [v]).grad_of([x]);
    let [both_reverse] = (gradient * v).sum().grad_of([x]);
    let expected = both_reverse.value()?;
    over_reverse.value()?.assert_close(&expected, 1e-14, 1e-14);
    reverse_over.value()?.assert_close(&expected, 1e-14, 1e-14);
    let both_forward = f().jvp_of([x], [v]).jvp_of([x], [u]).item()?;
    let product = (over_reverse * u).sum().item()?;
    assert!((both_forward - product).abs() < 1e-13 * product.abs());
    // What does not depend on a value does not change with it.
    let unmoved = v.exp().jvp_of([x], [u]).value()?;
    assert_eq!(unmoved, Array::<f64>::from([0.0, 0.0, 0.0]));
    Ok(())
}

#[test]
fn a_tangent_has_the_shape_of_its_value() {
    let tape = Tape::new();
    let x = tape.variable(Array::<f64>::from([1.0, 2.0, 3.0]));
    let short = tape.constant(Array::<f64>::from([1.0, 2.0]));
    let said = message((x * x).jvp_of([x], [short]).value());
    assert!(said.contains("jvp_of"), "{said}");
    assert!(
        said.contains("tangent 0 is [2], its value is [3]"),
        "{said}"
    );
    assert!(said.contains("programs.rs"), "{said}");
    // A value that has none spoils the tangent, and nothing else.
    let broken = x + short;
    assert!(broken.jvp_of([x], [x]).value().is_err());
    assert!((x * x).jvp_of([x], [x]).value().is_ok());
}
