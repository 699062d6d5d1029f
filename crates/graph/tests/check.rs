//! The NaN check names the operation at fault and its line, in the forward part and in the backward part.

use std::ops::Range;

use retrograde_graph::{
    Check, ErrorKind, Options, Params, Program, Rec, Result, Tape, Update, UpdateRule, Var,
};
use retrograde_storage::Array;

fn checked(check: Check) -> Options {
    Options {
        check,
        ..Options::default()
    }
}

fn nan() -> Options {
    checked(Check::Nan)
}

/// A network with a logarithm of something negative deep inside; and the line of that logarithm.
fn network<'t>(x: Var<'t, f64>, w: Var<'t, f64>) -> (Var<'t, f64>, u32) {
    let hidden = x.matmul(w).tanh();
    let hidden = (hidden * 2.0).softplus() - 1.0;
    let (deep, line) = (hidden.ln(), line!());
    let out = (deep * 0.5).matmul(w.t()).sigmoid();
    (out.log_softmax(1).mean() + hidden.square().mean(), line)
}

fn data() -> [Array<f64>; 2] {
    [
        Array::from_shape_fn([4, 3], |i| (i[0] * 3 + i[1]) as f64 * 0.3 - 1.0),
        Array::from_shape_fn([3, 2], |i| (i[0] + 2 * i[1]) as f64 * 0.4 - 0.9),
    ]
}

#[test]
fn a_logarithm_deep_inside() -> Result<()> {
    let [x, w] = data();
    let line = std::cell::Cell::new(0);
    let p = Program::try_record(&[x.clone(), w.clone()], |_, [x, w]| {
        let (loss, at) = network(x, w);
        line.set(at);
        Ok(loss.into())
    })?;
    let silent = p.value_and_grad()?;
    assert!(
        silent
            .run(&mut silent.workspace()?, [&x, &w])?
            .item::<f64>(0)?
            .is_nan()
    );
    for p in [p.clone(), p.value_and_grad()?, p.hvp()?] {
        let p = p.with_options(nan())?;
        let inputs = [&x, &w, &x, &w];
        let error = p
            .run(&mut p.workspace()?, &inputs[..p.input_count()])
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFinite);
        assert_eq!(
            error.location().map(std::panic::Location::line),
            Some(line.get()),
            "{error}"
        );
        let text = error.to_string();
        assert!(text.starts_with("ln of [4, 2] f64 gives NaN: "), "{text}");
        assert!(text.contains("operand 0: from -0."), "{text}");
        assert!(text.contains(", 0 NaN, -0."), "its value there: {text}");
        assert!(text.contains("check.rs"), "{text}");
    }
    Ok(())
}

#[test]
fn on_a_tape() -> Result<()> {
    let tape = Tape::with_options(nan());
    let [x, w] = data().map(|a| tape.variable(a));
    let (loss, line) = network(x, w);
    for error in [loss.backward().unwrap_err(), loss.item().unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::NotFinite);
        assert_eq!(
            error.location().map(std::panic::Location::line),
            Some(line),
            "{error}"
        );
    }
    assert!(x.matmul(w).item().is_err(), "other errors are other errors");
    assert!(x.matmul(w).value().is_ok(), "other values are not touched");
    Ok(())
}

#[test]
fn born_in_the_backward_part() -> Result<()> {
    // The square root of 0 is 0; its derivative is infinite, and meets a factor of 0.
    let x = Array::<f64>::from([4.0, 0.0, 1.0]);
    let tape = Tape::with_options(nan());
    let v = tape.variable(x.clone());
    let flat = v * 0.0;
    let (root, line) = (flat.sqrt(), line!());
    let loss = root.sum();
    assert_eq!(loss.item()?, 0.0, "nothing is wrong before the derivative");
    let error = loss.backward().unwrap_err();
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::NotFinite);
    assert!(
        text.contains("in the derivative of what this line records"),
        "{text}"
    );
    let at = error.location().map(std::panic::Location::line);
    // Infinity is born at the root, NaN where it meets the factor of the line before.
    assert_eq!(at, Some(line - 1), "{text}");
    assert!(v.grad().is_err(), "no gradient was added");

    let strict = checked(Check::NonFinite);
    let tape = Tape::with_options(strict);
    let v = tape.variable(x);
    let flat = v * 0.0;
    let (root, line) = (flat.sqrt(), line!());
    let error = root.sum().backward().unwrap_err();
    assert_eq!(
        error.location().map(std::panic::Location::line),
        Some(line),
        "{error}"
    );
    Ok(())
}

#[test]
fn what_is_masked_off_is_no_error_and_not_blamed() -> Result<()> {
    fn f(x: Var<'_, f64>) -> Var<'_, f64> {
        x.gt(0.0).select(x.ln(), 0.0 * x)
    }
    let x = Array::<f64>::from([1.0, -1.0, 2.0]);
    let p = Program::try_record_with(&[x.clone()], nan(), |_, [x]| Ok(f(x).sum().into()))?;
    let g = p.value_and_grad()?;
    let mut ws = g.workspace()?;
    assert_eq!(
        g.run(&mut ws, [&x])?.array::<f64>(1)?,
        Array::<f64>::from([1.0, 0.0, 0.5])
    );

    // Of two sides that are both NaN, the one taken is to blame, though it was recorded later.
    let tape = Tape::with_options(nan());
    let v = tape.variable(x.clone());
    let first = v.ln();
    let (second, line) = ((v - 5.0).sqrt(), line!());
    let error = v.gt(0.0).select(first, second).sum().item().unwrap_err();
    assert_eq!(
        error.location().map(std::panic::Location::line),
        Some(line),
        "{error}"
    );

    // Beside it, later, stands the one that does reach the result.
    let tape = Tape::with_options(nan());
    let v = tape.variable(x);
    let masked = f(v);
    let (guilty, line) = ((masked - 1.0).sqrt(), line!());
    let error = (guilty.flip(0) + masked).sum().item().unwrap_err();
    assert!(error.to_string().starts_with("sqrt of [3] f64"), "{error}");
    assert_eq!(error.location().map(std::panic::Location::line), Some(line));
    Ok(())
}

#[test]
fn a_nan_that_is_given() -> Result<()> {
    let good = Array::<f64>::from([1.0, 2.0]);
    let p = Program::try_record_with(&[good.clone(), good.clone()], nan(), |_, [x, y]| {
        Ok((x * y).exp().sum().into())
    })?;
    let mut ws = p.workspace()?;
    let bad = Array::<f64>::from([1.0, f64::NAN]);
    let error = p.run(&mut ws, [&good, &bad]).unwrap_err();
    let want = "an input of [2] f64 holds NaN: 1 of 2 elements, the first NaN at [1]";
    assert!(error.to_string().starts_with(want), "{error}");
    assert!(
        p.run(&mut ws, [&good, &good]).is_ok(),
        "the workspace goes on"
    );
    Ok(())
}

/// Plain descent.
struct Descent;
impl UpdateRule<f64> for Descent {
    fn columns(&self) -> usize {
        0
    }
    fn identity(&self) -> u64 {
        1
    }
    fn scalars(&self, _: u32, to: &mut Vec<f64>) {
        to.push(0.1);
    }
    fn update<'t>(&self, step: Update<'_, 't, f64>) -> (Var<'t, f64>, Vec<Var<'t, f64>>) {
        (step.value - step.scalars[0] * step.grad, Vec::new())
    }
}

#[test]
fn training_leaves_parameters_alone() -> Result<()> {
    let mut params = Params::<f64>::empty();
    let w = params.insert("w", Array::<f64>::from([1.0, 0.5]));
    let mut tape = Tape::with_options(nan());
    let mut trained = |params: &mut Params<f64>, x: f64| -> Result<f64> {
        let data = [x, 1.0];
        let step = tape.train(params);
        let x = step.input(&data[..]);
        let loss: Var<'_, f64> = (step.param::<f64>(w) * x).ln().sum();
        loss.minimise_with(&Descent)
    };
    trained(&mut params, 1.0)?;
    let before = params.values().to_vec();
    assert_eq!(before[..2], [0.9, 0.3]);
    let error = trained(&mut params, -1.0).unwrap_err();
    assert!(
        error.to_string().starts_with("ln of [2] f64 gives NaN"),
        "{error}"
    );
    assert_eq!(params.values(), before);
    Ok(())
}

#[test]
fn a_failed_guard_comes_first() -> Result<()> {
    let x = Array::<f64>::from([2.0, 3.0]);
    let f = |_: Rec<'_>, x: Var<'_, f64>| -> Result<bool> { x.sum().gt(0.0).item() };
    let p = Program::try_record_with(&[x.clone()], nan(), |t, [x]| {
        Ok(if f(t, x)? { x.ln().sum() } else { x.sum() }.into())
    })?;
    let error = p.run(&mut p.workspace()?, [&-x.clone()]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Guard, "{error}");
    let f = Program::record_dynamic_with(&[x.clone()], nan(), 4, |_, [x]| {
        let taken = x.sum().gt(0.0).item()?;
        Ok(if taken { x.ln().sum() } else { x.sum() }.into())
    })?;
    assert_eq!(f.run(&mut f.workspace(), [&-x])?.item::<f64>(0)?, -5.0);
    Ok(())
}

#[test]
fn exact_elements_through_views() -> Result<()> {
    // NaN in the part that a slice leaves out is not what reaches the result.
    let rows: Range<isize> = 1..3;
    let tape = Tape::with_options(nan());
    let x = tape.variable(Array::<f64>::from([[-1.0, 1.0], [2.0, 3.0], [4.0, 0.25]]));
    let y = x.ln();
    let (bad, line) = ((y.slice(0, rows) - 0.1).t().sqrt(), line!());
    let error = bad.slice_step(0, .., -1).sum().item().unwrap_err();
    assert_eq!(
        error.location().map(std::panic::Location::line),
        Some(line),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("1 of 4 elements, the first NaN at [1, 1]"),
        "{error}"
    );
    Ok(())
}
