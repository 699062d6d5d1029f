//! `gradcheck` passes what is right and explains what is not; `build_info` tells the truth.

use retrograde::prelude::*;
use retrograde::{GradCheck, Level, build_info, gradcheck, gradcheck2};

#[test]
fn right_derivatives_pass() -> Result<()> {
    let x = Array::<f64>::linspace(-0.9, 1.3, 12).reshape([3, 4])?;
    let w = Array::<f64>::linspace(0.2, 1.0, 8).reshape([4, 2])?;
    let inputs = (x, w, Array::from_slice(&[0u32, 1, 1]));
    fn loss<'t>(x: Var<'t, f64>, w: Var<'t, f64>, labels: Var<'t, u32>) -> Var<'t, f64> {
        (x.matmul(w).tanh() * w.sum()).cross_entropy(labels)
    }
    gradcheck(&inputs, |_, (x, w, labels)| loss(x, w, labels))?;
    gradcheck2(&inputs, |_, (x, w, labels)| loss(x, w, labels))?;
    // Outputs of any shape, and a random mask that is the same in every run.
    gradcheck(&[inputs.0.clone()], |t, [x]| {
        x.sin() * t.rng(3).uniform::<f64>([4], 0.0, 1.0)
    })?;
    let all = Program::try_record(&[inputs.0.clone()], |_, [x]| {
        Ok([x.exp(), x.cumsum(1)].into())
    })?;
    let full = GradCheck {
        full: true,
        ..GradCheck::default()
    };
    full.check(&all, [&inputs.0])?;
    full.check2(&all, [&inputs.0])?;
    Ok(())
}

/// `x y` whose derivative by `y` is wrong: a part of it passes for a constant.
fn wrong<'t>(x: Var<'t, f64>, y: Var<'t, f64>) -> Var<'t, f64> {
    x * (0.75 * y + 0.25 * y.detach())
}

#[test]
fn a_wrong_derivative_is_explained() -> Result<()> {
    let x = Array::<f64>::from([[1.0, 2.0], [3.0, -8.0]]);
    let y = Array::<f64>::from([0.5, 0.25]);
    let error = gradcheck(&[x.clone(), y.clone()], |_, [x, y]| wrong(x, y)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Gradient);
    let text = error.to_string();
    // The largest difference: out[1, 1] = -8 y[1].
    let start =
        "gradcheck: output 0 [2, 2], element [1, 1], by input 1 [2], element [1] (which is 0.25):";
    assert!(text.starts_with(start), "{text}");
    assert!(text.contains("analytic -6, numeric -7.999"), "{text}");
    assert!(
        text.contains("4 of 24 derivatives differ by more than 1e-5 + 1e-3 |numeric|"),
        "{text}"
    );

    // By the first input all is well.
    let p = Program::record(&[x.clone(), y.clone()], |_, [x, y]| wrong(x, y.detach()))?;
    let error = GradCheck::default().check(&p, [&x, &y]).unwrap_err();
    assert!(error.to_string().contains("analytic 0, "), "{error}");
    Ok(())
}

#[test]
fn a_wrong_second_derivative_is_explained() -> Result<()> {
    let x = Array::<f64>::from([1.0, 2.0]);
    // x^2 with the right slope, 2x, that passes for a constant.
    let p = Program::record(&[x.clone()], |_, [x]| {
        let slope = 2.0 * x.detach();
        let value = x.square().detach();
        (value + slope * (x - x.detach())).sum()
    })?;
    let analytic = p.value_and_grad()?;
    let mut ws = analytic.workspace()?;
    assert_eq!(
        analytic.run(&mut ws, [&x])?.array::<f64>(1)?,
        Array::<f64>::from([2.0, 4.0])
    );
    let error = GradCheck::default().check2(&p, [&x]).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("gradcheck of the gradient: output 1 [2]"),
        "{text}"
    );
    assert!(text.contains("analytic 0, numeric"), "{text}");
    Ok(())
}

#[test]
fn nan_is_never_close() -> Result<()> {
    let x = Array::<f64>::from([1.0, 0.0]);
    // Infinity times zero in the derivative of the root.
    let error = gradcheck(&[x], |_, [x]| (x * 0.0).sqrt().sum()).unwrap_err();
    assert!(error.to_string().contains("analytic NaN"), "{error}");
    Ok(())
}

#[test]
fn what_cannot_be_checked() -> Result<()> {
    let x = Array::<f32>::ones([3]);
    let f = Program::record(&[x.clone()], |_, [x]| x.sum())?;
    let error = GradCheck::default().check(&f, [&x]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "gradcheck: no input is f64; central differences need its precision, so record with `Array<f64>`"
    );
    let x = Array::<f64>::ones([3]);
    let f = Program::record(&[x.clone()], |_, [x]| x.argmax())?;
    let error = GradCheck::default().check(&f, [&x]).unwrap_err();
    assert_eq!(error.to_string(), "gradcheck: no output is f64");
    assert!(GradCheck::default().check2(&f, [&x]).is_err());
    let f = Program::record(&[x.clone()], |_, [x]| x.sum())?;
    let error = GradCheck::default().check(&f, [&x, &x]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Inputs);
    // A branch within reach of the step.
    let f = Program::try_record(&[x.clone()], |_, [x]| {
        let beyond = x.sum().gt(3.0).item()?;
        Ok(if beyond { x.exp() } else { x }.sum().into())
    })?;
    let error = GradCheck::default().check(&f, [&x]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Guard, "{error}");
    Ok(())
}

#[test]
fn empty_inputs_are_right() -> Result<()> {
    gradcheck(&[Array::<f64>::arange(0)], |_, [x]| x.exp().sum())?;
    gradcheck2(&[Array::<f64>::arange(0)], |_, [x]| x.exp())
}

#[test]
fn the_build_knows_itself() {
    let info = build_info();
    assert_eq!(info.version, env!("CARGO_PKG_VERSION"));
    assert!(info.levels.contains(&info.level) && info.levels[0] == Level::Baseline);
    assert!(info.threads >= 1);
    assert_eq!(info.debug_assertions, cfg!(debug_assertions));
    let text = info.to_string();
    assert!(text.contains(info.level.name()), "{text}");
    assert_eq!(text.contains("WARNING"), !info.is_optimised(), "{text}");

    let mut slow = info.clone();
    slow.opt_level = "0";
    slow.asked = Some("avx1024".into());
    let text = slow.to_string();
    assert!(
        text.contains("BUILT WITHOUT OPTIMISATION (opt-level 0)"),
        "{text}"
    );
    assert!(
        text.contains("[profile.dev.package.\"*\"]\nopt-level = 3"),
        "{text}"
    );
    assert!(
        text.contains("RETROGRADE_LEVEL=avx1024 is not a level of this machine"),
        "{text}"
    );
    let mut fast = info;
    fast.opt_level = "3";
    assert!(!fast.to_string().contains("WARNING"));
}

#[test]
fn settings_by_which_nothing_is_compared_are_errors() -> Result<()> {
    let x = Array::<f64>::linspace(0.1, 1.0, 4);
    let p = Program::record(&[x.clone()], |_, [x]| x.exp().sum())?;
    let usual = GradCheck::default();
    for (check, part) in [
        (
            GradCheck {
                directions: 0,
                ..usual
            },
            "without directions nothing is compared",
        ),
        (
            GradCheck { step: 0.0, ..usual },
            "the step must be finite and positive, but it is 0",
        ),
        (
            GradCheck {
                step: f64::NAN,
                ..usual
            },
            "the step",
        ),
        (
            GradCheck {
                absolute: f64::INFINITY,
                ..usual
            },
            "the absolute tolerance",
        ),
        (
            GradCheck {
                relative: -1.0,
                ..usual
            },
            "the relative tolerance",
        ),
    ] {
        for result in [check.check(&p, [&x]), check.check2(&p, [&x])] {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Setting);
            assert!(error.to_string().contains(part), "{error}");
        }
    }
    GradCheck {
        directions: 0,
        full: true,
        ..usual
    }
    .check(&p, [&x])
}
