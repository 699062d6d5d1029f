//! Operations of the user's own, and values defined by equations: derivatives, engines, what the rules cannot do, panics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use retrograde::prelude::*;
use retrograde::{CustomOp, Direction, implicit};
use retrograde_tests::derivatives::{check_derivatives, run, samples};
use retrograde_tests::variants::assert_variants_agree;

/// `x^2 y`, of one shape.
fn forward() -> CustomOp<f64> {
    CustomOp::new("bend", |inputs, out| {
        let pairs = inputs[0].iter().zip(inputs[1].iter());
        out.iter_mut()
            .zip(pairs)
            .for_each(|(r, (x, y))| *r = x * x * y);
    })
}

fn on_slices() -> CustomOp<f64> {
    forward().backward(|inputs, _, g, grads| {
        for i in 0..g.len() {
            let (x, y) = (inputs[0].as_slice()[i], inputs[1].as_slice()[i]);
            grads[0][i] = 2.0 * x * y * g[i];
            grads[1][i] = x * x * g[i];
        }
    })
}

fn recorded() -> CustomOp<f64> {
    forward().derivative(|inputs, _, g| {
        let [x, y] = [inputs[0], inputs[1]];
        vec![2.0 * x * y * g, x.square() * g]
    })
}

#[test]
fn both_kinds_of_rules_are_right() -> Result<()> {
    let (x, y) = (samples(&[3, 4], (-1.0, 1.0)), samples(&[4, 3], (-1.0, 1.0)));
    let value = |op: CustomOp<f64>| {
        // A transposed operand: the function sees dense slices all the same.
        Program::record(&[x.clone(), y.clone()], move |_, [x, y]| {
            (op.apply([x.sin(), y.t()]) * x).exp().sum()
        })
    };
    let plain = Program::record(&[x.clone(), y.clone()], |_, [x, y]| {
        (x.sin().square() * y.t() * x).exp().sum()
    })?;
    let (slices, list) = (value(on_slices())?, value(recorded())?);
    check_derivatives("recorded", &list, &[&x, &y])?;
    let expected = run(&plain.value_and_grad()?, &[&x, &y])?;
    for p in [&slices, &list] {
        for (a, b) in run(&p.value_and_grad()?, &[&x, &y])?.iter().zip(&expected) {
            a.assert_close(b, 1e-14, 1e-14);
        }
    }
    for p in [
        slices.value_and_grad()?,
        list.value_and_grad()?,
        list.hvp()?,
    ] {
        let inputs = [&x, &y, &x, &y];
        assert_variants_agree(&p, &inputs[..p.input_count()])?;
    }
    Ok(())
}

#[test]
fn what_a_rule_cannot_do_names_the_operation() -> Result<()> {
    let x = samples(&[3], (-1.0, 1.0));
    let of = |op: CustomOp<f64>| Program::record(&[x.clone()], move |_, [x]| op.apply([x, x]));
    let sum =
        |op: CustomOp<f64>| Program::record(&[x.clone()], move |_, [x]| op.apply([x, x]).sum());
    let says = |e: Error, what: &str| {
        assert_eq!(e.kind(), ErrorKind::Custom, "{e}");
        assert!(
            e.to_string().contains(what) && e.location().is_some_and(|at| at.file() == file!()),
            "{e}"
        );
    };
    let once =
        "custom operation `bend` has its derivative on slices, which serves one reverse sweep";
    says(of(on_slices())?.jvp().unwrap_err(), once);
    says(sum(on_slices())?.hvp().unwrap_err(), once);
    says(sum(on_slices())?.grad()?.jvp().unwrap_err(), once);
    says(
        sum(forward())?.grad().unwrap_err(),
        "custom operation `bend` has no derivative",
    );
    // A Jacobian goes the way that there is.
    let j = of(on_slices())?.jacobian(0)?;
    assert_eq!(j.direction(), Direction::Reverse);
    let expected = Array::from_shape_fn([3, 3], |i| {
        if i[0] == i[1] {
            3.0 * x[[i[0]]] * x[[i[0]]]
        } else {
            0.0
        }
    });
    j.run::<f64>([&x])?.assert_close(&expected, 1e-14, 1e-14);

    let tape = Tape::new();
    let v = tape.variable(x.clone());
    let y = forward().apply([v, v]).sum();
    says(y.backward().unwrap_err(), "has no derivative");
    says(y.grad_of([v])[0].value().unwrap_err(), "has no derivative");
    // Nothing else is the worse for it.
    (v * v).sum().backward()?;
    assert_eq!(v.grad()?, 2.0 * x);
    // Under a detach no derivative is asked for.
    let [g] = (y.detach() * v.sum()).grad_of([v]);
    assert_eq!(g.value()?.shape(), [3]);
    Ok(())
}

#[test]
fn rules_that_do_not_fit_are_told() -> Result<()> {
    let x = samples(&[3], (-1.0, 1.0));
    type Rule = for<'t> fn(&[Var<'t, f64>], Var<'t, f64>, Var<'t, f64>) -> Vec<Var<'t, f64>>;
    let rules: [(Rule, &str); 5] = [
        (
            |_, _, g| vec![g],
            "gives 1 gradients, one is needed for each of 2 inputs",
        ),
        (
            |_, _, g| vec![g, g.sum()],
            "gives input 1 a gradient of [], not of its shape [3]",
        ),
        (
            |i, _, g| vec![g, g.matmul(i[0].outer(g).unsqueeze(0).squeeze(1))],
            "does not work: squeeze",
        ),
        (|_, _, _| panic!("no idea"), "panicked: no idea"),
        (
            |_, _, g| vec![g, g * g.rec().rng(3).uniform([3], 0.0, 1.0)],
            "draws random numbers",
        ),
    ];
    for (rule, expected) in rules {
        let op = forward().derivative(rule);
        // Without a derivative it works.
        let p = Program::record(&[x.clone()], |_, [x]| op.apply([x, x]).sum())?;
        run(&p, &[&x])?;
        let error = p.grad().unwrap_err().to_string();
        assert!(
            error.starts_with("the derivative of custom operation `bend` ")
                && error.contains(expected),
            "{error}"
        );
    }
    let tape = Tape::new();
    let v = tape.variable(x);
    let shaped = |dims: Vec<usize>| forward().shape(move |_| dims.clone()).apply([v, v]).value();
    assert_eq!(shaped(vec![2])?.shape(), [2]);
    assert!(
        shaped(vec![1; 9])
            .unwrap_err()
            .to_string()
            .starts_with("bend of [3] f64 and [3] f64")
    );
    let panics = forward()
        .shape(|dims| dims[7].to_vec())
        .apply([v, v])
        .value();
    assert!(
        panics
            .unwrap_err()
            .to_string()
            .contains("its function for the shape panicked")
    );
    assert!(forward().apply([v; 9]).value().is_err());
    let other = Tape::new();
    let foreign = other.variable(Array::scalar(1.0));
    assert_eq!(
        forward().apply([v, foreign]).value().unwrap_err().kind(),
        ErrorKind::Foreign
    );
    Ok(())
}

#[test]
fn a_panic_is_an_error_and_the_workspace_waits_for_a_reset() -> Result<()> {
    let armed = Arc::new(AtomicBool::new(true));
    let trigger = Arc::clone(&armed);
    let op = CustomOp::<f64>::new("fragile", move |inputs, out| {
        assert!(!trigger.load(Ordering::Relaxed), "too much");
        out.copy_from_slice(inputs[0].as_slice());
    });
    let x = samples(&[4], (-1.0, 1.0));
    let p = Program::record(&[x.clone()], |_, [x]| op.apply([x]) * 2.0)?;
    let mut ws = p.workspace()?;
    let error = p.run(&mut ws, [&x]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Custom);
    assert!(
        error
            .to_string()
            .starts_with("custom operation `fragile` panicked: too much\n  at "),
        "{error}"
    );
    armed.store(false, Ordering::Relaxed);
    let error = p.run(&mut ws, [&x]).unwrap_err();
    assert!(
        error.to_string().starts_with("an earlier run did not end"),
        "{error}"
    );
    // Another workspace does not mind, and a reset mends this one.
    p.run(&mut p.workspace()?, [&x])?;
    ws.reset();
    assert_eq!(p.run(&mut ws, [&x])?.array::<f64>(0)?, 2.0 * x.clone());

    armed.store(true, Ordering::Relaxed);
    let mut tape = Tape::new();
    for round in 0..2 {
        let v = tape.variable(x.clone());
        let y = op.apply([v]) + 1.0;
        let failed = y.value();
        assert_eq!(failed.is_err(), round == 0);
        armed.store(false, Ordering::Relaxed);
        if round == 0 {
            assert!(
                y.value()
                    .unwrap_err()
                    .to_string()
                    .starts_with("an earlier run did not end")
            );
        }
        // What does not need it still evaluates.
        assert_eq!((v + 1.0).value()?, x.clone() + 1.0);
        tape.reset();
    }

    let refuses = CustomOp::<f64>::new("positive", |inputs, out| {
        out.copy_from_slice(inputs[0].as_slice());
        let least = inputs[0].iter().copied().fold(f64::INFINITY, f64::min);
        if least < 0.0 {
            Err(format!("{least} is negative"))
        } else {
            Ok(())
        }
    });
    let p = Program::record(&[x.clone()], |_, [x]| refuses.apply([x]))?;
    let mut ws = p.workspace()?;
    let error = p
        .run(&mut ws, [&Array::from([1.0, -2.0, 3.0, 4.0])])
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("custom operation `positive` refused: -2 is negative"),
        "{error}"
    );
    p.run(&mut ws, [&Array::from([1.0, 2.0, 3.0, 4.0])])?;
    Ok(())
}

#[test]
fn steps_find_their_program_and_another_operation_does_not() -> Result<()> {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = |runs: &Arc<AtomicUsize>| {
        let runs = Arc::clone(runs);
        CustomOp::<f64>::new("counted", move |inputs, out| {
            runs.fetch_add(1, Ordering::Relaxed);
            out.copy_from_slice(inputs[0].as_slice());
        })
        .derivative(|_, _, g| vec![g])
    };
    let (one, other) = (counted(&runs), counted(&runs));
    let mut tape = Tape::new();
    let mut step = |op: &CustomOp<f64>| -> Result<u64> {
        tape.reset();
        let v = tape.variable(samples(&[4], (-1.0, 1.0)));
        // Equal calls are made once.
        (op.apply([v]) * op.apply([v])).sum().backward()?;
        Ok(tape.cache_stats().misses)
    };
    assert_eq!([step(&one)?, step(&one)?, step(&one.clone())?], [1, 1, 1]);
    assert_eq!([step(&other)?, step(&one)?, step(&other)?], [2, 2, 2]);
    assert_eq!(runs.load(Ordering::Relaxed), 6);
    Ok(())
}

#[test]
fn training_through_a_custom_operation() -> Result<()> {
    let mut params = Params::<f64>::empty();
    let w = params.insert("w", samples(&[5], (0.5, 1.0)));
    let expected: Vec<f64> = params.values().iter().map(|x| 3.0 * x * x).collect();
    let mut tape = Tape::new();
    for op in [on_slices(), recorded()] {
        let step = tape.step(&params);
        let w = step.param(w);
        let grads = op.apply([w, w]).sum().backward()?;
        for (g, e) in grads.column().iter().zip(&expected) {
            assert!((g - e).abs() < 1e-14);
        }
    }
    Ok(())
}

#[test]
fn a_rule_may_use_its_own_operation() -> Result<()> {
    use std::sync::OnceLock;
    static EXP: OnceLock<CustomOp<f64>> = OnceLock::new();
    let exp = CustomOp::<f64>::new("my_exp", |inputs, out| {
        out.iter_mut()
            .zip(inputs[0].iter())
            .for_each(|(y, x)| *y = x.exp());
    })
    .derivative(|inputs, _, g| vec![EXP.get().expect("set").apply([inputs[0]]) * g]);
    let exp = EXP.get_or_init(|| exp);
    let x = samples(&[3], (-1.0, 1.0));
    let p = Program::record(&[x.clone()], |_, [x]| exp.apply([x * x]).sum())?;
    check_derivatives("exp", &p, &[&x])?;
    Ok(())
}

#[test]
fn roots_and_fixed_points() -> Result<()> {
    // x solves A x + x^3 = b.
    let root = implicit::root(|x: Var<'_, f64>, p| p[0].matmul(x) + x.powi(3) - p[1]);
    let fixed = implicit::fixed_point(|x: Var<'_, f64>, p| (p[0].matmul(x) + p[1]).tanh() * 0.5);
    let (a, b) = (samples(&[4, 4], (-0.4, 0.5)), samples(&[4], (0.2, 0.9)));
    let regular = Array::from_shape_fn([4, 4], |i| {
        a[[i[0], i[1]]] + if i[0] == i[1] { 2.0 } else { 0.0 }
    });
    for (name, equation, a) in [
        ("root", root, regular),
        ("fixed point", fixed.tolerance(1e-14), a),
    ] {
        let inputs = [a.clone(), b.clone()];
        let p = Program::record(&inputs, |_, [a, b]| {
            (equation.solve(b, &[a, b]) * samples_like(b))
                .square()
                .sum()
        })?;
        check_derivatives(name, &p, &[&a, &b])?;
        // Replays solve anew, and forward mode agrees.
        let x = Program::record(&inputs, |_, [a, b]| equation.solve(b, &[a, b]))?;
        let other = b.clone() * 0.5;
        assert_ne!(run(&x, &[&a, &b])?, run(&x, &[&a, &other])?);
        let tangent = run(&x.jvp()?, &[&a, &b, &a, &b])?;
        let seeds = samples(&[4], (-1.0, 1.0));
        let adjoint = run(&x.vjp()?, &[&a, &b, &seeds])?;
        let dot = |x: &Array<f64>, y: &Array<f64>| {
            x.iter().zip(y.iter()).map(|(x, y)| x * y).sum::<f64>()
        };
        let (left, right) = (
            dot(&tangent[1], &seeds),
            dot(&adjoint[1], &a) + dot(&adjoint[2], &b),
        );
        assert!((left - right).abs() < 1e-12, "{name}: {left} {right}");
    }
    Ok(())
}

/// Weights of a vector's elements.
fn samples_like(x: Var<'_, f64>) -> Var<'_, f64> {
    x.rec().arange(x.len().expect("a vector")) + 1.0
}

#[test]
fn equations_without_a_solution_say_so() -> Result<()> {
    let tape = Tape::new();
    let a = tape.variable(Array::scalar(-1.0_f64));
    let guess = tape.constant(Array::scalar(0.7));
    let says = |x: Var<'_, f64>, expected: &str| {
        let error = x.value().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Custom, "{error}");
        assert!(error.to_string().starts_with(expected), "{error}");
    };
    let root = implicit::root(|x: Var<'_, f64>, p| x.square() - p[0]).iterations(7);
    says(
        root.solve(guess, &[a]),
        "custom operation `root` refused: no convergence in 7 iterations: the residual is ",
    );
    let flat = implicit::root(|x: Var<'_, f64>, p| (x - x) + p[0]);
    says(
        flat.solve(guess, &[a]),
        "custom operation `root` refused: in iteration 0: solve of [1, 1] f64: the matrix is singular",
    );
    let growing = implicit::fixed_point(|x: Var<'_, f64>, p| x.square() * x + p[0] + x * 1e10);
    says(
        growing.solve(guess, &[a]),
        "custom operation `fixed_point` refused: iteration ",
    );
    let wrong = implicit::root(|x: Var<'_, f64>, p| x.unsqueeze(0) - p[0]);
    says(
        wrong.solve(guess, &[a]),
        "custom operation `root` refused: root of [1] f64 and [] f64: both must have one shape",
    );
    let empty = tape.constant(Array::<f64>::zeros([0]));
    let none = root.solve(empty, &[empty]);
    assert_eq!(
        (
            none.value()?.len(),
            none.sum().grad_of([empty])[0].value()?.len()
        ),
        (0, 0)
    );
    Ok(())
}
