//! Losses against loops, in every reduction; extreme logits; labels that are no class.

use retrograde::prelude::*;
use retrograde_tests::derivatives::{check_derivatives, samples};

type Loss = for<'t> fn(Var<'t, f64>, Var<'t, f64>, Reduction) -> Var<'t, f64>;

fn reduced(terms: &[f64], reduction: Reduction, shape: &[usize]) -> Array<f64> {
    match reduction {
        Reduction::None => Array::from_vec(terms.to_vec(), shape).expect("as many"),
        Reduction::Sum => Array::scalar(terms.iter().sum()),
        Reduction::Mean => Array::scalar(terms.iter().sum::<f64>() / terms.len() as f64),
    }
}

const REDUCTIONS: [Reduction; 3] = [Reduction::None, Reduction::Sum, Reduction::Mean];

#[test]
fn of_pairs() -> Result<()> {
    let table: [(&str, Loss, fn(f64, f64) -> f64); 6] = [
        ("mse", |x, y, r| x.mse_with(y, r), |x, y| (x - y).powi(2)),
        ("l1", |x, y, r| x.l1_with(y, r), |x, y| (x - y).abs()),
        (
            "huber",
            |x, y, r| x.huber_with(y, 1.5, r),
            |x, y| {
                let d = (x - y).abs();
                if d <= 1.5 {
                    0.5 * d * d
                } else {
                    1.5 * (d - 0.75)
                }
            },
        ),
        (
            "hinge",
            |x, y, r| x.hinge_with(y, r),
            |x, y| (1.0 - x * y).max(0.0),
        ),
        (
            "kl_div",
            |x, y, r| x.kl_div_with(y, r),
            |x, y| y * (y.ln() - x),
        ),
        (
            "bce_with_logits",
            |x, y, r| x.bce_with_logits_with(y, r),
            |x, y| {
                let p = 1.0 / (1.0 + (-x).exp());
                -y * p.ln() - (1.0 - y) * (1.0 - p).ln()
            },
        ),
    ];
    for (name, op, oracle) in table {
        for shape in [&[][..], &[1], &[23], &[4, 5], &[2, 3, 2]] {
            let (x, y) = (samples(shape, (-3.0, 3.0)), samples(shape, (0.05, 0.96)));
            let terms: Vec<f64> = x.iter().zip(&y).map(|(&x, &y)| oracle(x, y)).collect();
            for reduction in REDUCTIONS {
                let tape = Tape::new();
                let found = op(
                    tape.constant(x.clone()),
                    tape.constant(y.clone()),
                    reduction,
                )
                .value()?;
                let close = found.check_close(&reduced(&terms, reduction, shape), 1e-13, 1e-14);
                assert!(
                    close.is_ok(),
                    "{name} of {shape:?}, {reduction:?}: {close:?}"
                );
            }
        }
    }
    Ok(())
}

/// Derivatives away from kinks, by both operands.
#[test]
fn of_pairs_by_differences() -> Result<()> {
    let table: [(&str, Loss); 8] = [
        ("mse", |x, y, r| x.mse_with(y, r)),
        ("l1", |x, y, r| x.l1_with(y + 4.0, r)),
        ("huber near", |x, y, r| x.huber_with(y, 4.0, r)),
        ("huber far", |x, y, r| x.huber_with(y + 2.0, 0.5, r)),
        ("hinge", |x, y, r| (x + 2.0).hinge_with(y, r)),
        ("kl_div", |x, y, r| x.kl_div_with(y, r)),
        ("bce", |x, y, r| x.sigmoid().bce_with(y, r)),
        ("bce_with_logits", |x, y, r| x.bce_with_logits_with(y, r)),
    ];
    let (x, y) = (samples(&[3, 4], (-1.0, 0.9)), samples(&[3, 4], (0.1, 0.3)));
    for (name, op) in table {
        let p = Program::try_record(&[x.clone(), y.clone()], |_, [x, y]| {
            let terms = op(x, y, Reduction::None);
            Ok((terms.sin().sum() + op(x, y, Reduction::Mean)).into())
        })?;
        check_derivatives(name, &p, &[&x, &y])?;
    }
    Ok(())
}

/// Probabilities of 0 and 1 cost 100 at most; a probability that does not occur costs nothing.
#[test]
fn certain_probabilities() -> Result<()> {
    let tape = Tape::new();
    let p = tape.variable(Array::from([0.0, 1.0, 0.0, 1.0]));
    let target = tape.constant(Array::from([1.0, 0.0, 0.0, 1.0]));
    let loss = p.bce_with(target, Reduction::None);
    assert_eq!(loss.value()?, Array::from([100.0, 100.0, 0.0, 0.0]));
    loss.sum().backward()?;
    assert!(p.grad()?.iter().all(|g: &f64| g.is_finite()));

    let logs = tape.variable(Array::from([f64::NEG_INFINITY, -0.5]));
    let target = tape.variable(Array::from([0.0, 1.0]));
    let loss = logs.kl_div_with(target, Reduction::Sum);
    assert_eq!(loss.item()?, 0.5);
    loss.backward()?;
    assert_eq!(logs.grad()?, Array::from([0.0, -1.0]));
    assert_eq!(target.grad()?, Array::from([0.0, 1.5]));

    let x = tape.constant(Array::from([1.0]));
    for delta in [-1.0, f64::NAN, f64::INFINITY] {
        let error = x.huber(x, delta).value().unwrap_err().to_string();
        assert!(
            error.contains("huber") && error.contains("delta"),
            "{error}"
        );
    }
    Ok(())
}

#[test]
fn of_classes() -> Result<()> {
    for shape in [&[4][..], &[3, 5], &[1, 1], &[2, 3, 7], &[40, 10]] {
        let (classes, rows) = (shape[shape.len() - 1], &shape[..shape.len() - 1]);
        let x = samples(shape, (-3.0, 3.0));
        let labels = Array::<u32>::from_shape_fn(rows.to_vec(), |i| {
            (i.iter().sum::<usize>() * 7 % classes) as u32
        });
        let terms: Vec<f64> = (labels.iter().enumerate())
            .map(|(row, &label)| {
                let x = &x.as_slice()[row * classes..][..classes];
                x.iter().map(|x| x.exp()).sum::<f64>().ln() - x[label as usize]
            })
            .collect();
        for reduction in REDUCTIONS {
            let expected = reduced(&terms, reduction, rows);
            let tape = Tape::new();
            let (x, labels) = (tape.constant(x.clone()), tape.constant(labels.clone()));
            let found = x.cross_entropy_with(labels, reduction).value()?;
            found.assert_close(&expected, 1e-13, 1e-14);
            let found = x.log_softmax(-1).nll_with(labels, reduction).value()?;
            found.assert_close(&expected, 1e-13, 1e-14);
        }
    }
    Ok(())
}

/// No overflow, no cancellation to nothing, and gradients that are exact in the limit.
#[test]
fn extreme_logits() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(Array::<f64>::from([1e3, -1e3, 1e3, -1e3]));
    let y = tape.constant(Array::<f64>::from([1.0, 0.0, 0.0, 1.0]));
    let loss = x.bce_with_logits_with(y, Reduction::None);
    assert_eq!(loss.value()?.as_slice(), [0.0, 0.0, 1e3, 1e3]);
    loss.sum().backward()?;
    assert_eq!(x.grad()?.as_slice(), [0.0, 0.0, 1.0, -1.0]);
    let x = tape.variable(Array::<f64>::from([[1e3, -1e3], [-1e3, 1e3]]));
    let loss = x.cross_entropy_with(
        tape.constant(Array::from_slice(&[0u32, 0])),
        Reduction::None,
    );
    assert_eq!(loss.value()?.as_slice(), [0.0, 2e3]);
    tape.zero_grad();
    loss.sum().backward()?;
    assert_eq!(x.grad()?.as_slice(), [0.0, 0.0, -1.0, 1.0]);
    Ok(())
}

#[test]
fn a_label_that_is_no_class_is_named_with_its_place() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(Array::<f64>::ones([2, 3]));
    let labels = tape.constant(Array::from_slice(&[1u32, 3]));
    let loss = x.cross_entropy(labels);
    let line = line!() - 1;
    let at = format!("{}:{line}:", file!());
    for error in [loss.backward().unwrap_err(), loss.value().unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Index);
        let text = error.to_string();
        let expected = "cross_entropy with indices of shape [2]: index 3 at position 1 is out of range for an axis of 3 elements\n  at ";
        assert!(text.starts_with(expected) && text.contains(&at), "{text}");
    }
    // The tape goes on.
    x.cross_entropy(tape.constant(Array::from_slice(&[1u32, 2])))
        .backward()?;
    assert_eq!(x.grad()?.shape(), [2, 3]);
    Ok(())
}
