//! Explanations show the values, local derivatives and adjoints that calculus gives, and change nothing.

use retrograde_graph::{ErrorKind, Result, Tape};
use retrograde_storage::{Array, Create};

/// `((ln x^2) sin x) + 1/x` at 2, by hand.
#[test]
fn a_scalar_expression() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(Array::<f64>::scalar(2.0));
    let y = x.square().ln() * x.sin() + 1.0 / x;
    let explained = y.explain()?;
    let (ln, sin, cos) = (4f64.ln(), 2f64.sin(), 2f64.cos());
    let gradient = sin + ln * cos - 0.25;
    // Name, value, adjoint, local derivatives.
    let expected: [(&str, f64, Option<f64>, &[f64]); 8] = [
        ("input", 2.0, Some(gradient), &[]),
        ("square", 4.0, Some(sin / 4.0), &[4.0]),
        ("ln", ln, Some(sin), &[0.25]),
        ("sin", sin, Some(ln), &[cos]),
        ("mul", ln * sin, Some(1.0), &[sin, ln]),
        ("const", 1.0, None, &[]),
        ("div", 0.5, Some(1.0), &[-0.25]),
        ("add", ln * sin + 0.5, Some(1.0), &[1.0, 1.0]),
    ];
    assert_eq!(explained.lines().len(), expected.len(), "{explained}");
    for (line, (name, value, adjoint, local)) in explained.lines().iter().zip(expected) {
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-15;
        assert!(line.instruction.contains(name), "{explained}");
        assert!(close(line.result.min, value) && close(line.result.max, value));
        assert_eq!(line.adjoint.is_some(), adjoint.is_some(), "{explained}");
        assert!(close(
            line.adjoint.map_or(0.0, |a| a.min),
            adjoint.unwrap_or(0.0)
        ));
        let found: Vec<f64> = line.local.iter().map(|l| l.1.min).collect();
        assert_eq!(found.len(), local.len(), "{explained}");
        assert!(
            found.iter().zip(local).all(|(&a, &b)| close(a, b)),
            "{explained}"
        );
    }
    y.backward()?;
    assert!((x.grad()?.item()? - gradient).abs() < 1e-15);
    Ok(())
}

#[test]
fn the_table_as_text() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(Array::<f64>::scalar(2.0));
    let text = (x * x + 0.25).explain()?.to_string();
    let expected = "\
instruction              value  adjoint  local derivatives
v0 = input 0 : [] f64    2      4
v1 = mul v0 v0 : [] f64  4      1        dv1/dv0 = 2, dv1/dv0 = 2
v2 = uniform 0 : [] f64  0.25   -
v3 = add v1 v2 : [] f64  4.25   1        dv3/dv1 = 1
";
    assert_eq!(text, expected);
    Ok(())
}

#[test]
fn tensors_are_summarised_and_masks_have_no_adjoint() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(Array::from([-1.0_f32, 2.0, 3.0]));
    let y = x.gt(0.0).select(x.sqrt(), x).sum();
    let text = y.explain()?.to_string();
    let line = |name: &str| {
        let found = text.lines().find(|l| l.contains(name));
        let line = found.unwrap_or_else(|| panic!("no {name} in\n{text}"));
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(line("input").contains("-1 to 3"), "{text}");
    assert!(line(" gt ").ends_with("bool 0 to 1 -"), "{text}");
    // The side not taken has adjoint 0, whatever its derivative there.
    let root = line("sqrt");
    assert!(
        root.contains(
            "1.41421 to 1.73205 and 1 NaN 0 to 1 dv3/dv0 = 0.288675 to 0.353553 and 1 NaN"
        ),
        "{root}"
    );
    Ok(())
}

#[test]
fn explaining_leaves_the_recording_as_it_was() -> Result<()> {
    let step = |explain: bool, tape: &mut Tape| -> Result<Array<f64>> {
        tape.reset();
        let x = tape.variable(Array::<f64>::linspace(0.5, 2.0, 6));
        let w = tape.constant(Array::<f64>::ones([6]));
        let y = (x * w).exp().dot(x);
        if explain {
            let before = tape.len();
            y.explain()?;
            y.explain()?;
            assert_eq!(tape.len(), before);
        }
        y.backward()?;
        x.grad()
    };
    let mut tape = Tape::new();
    assert_eq!(step(true, &mut tape)?, step(false, &mut Tape::new())?);
    Ok(())
}

#[test]
fn matrix_products_and_integers() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(Array::<f64>::linspace(-1.0, 1.0, 6).reshape([2, 3])?);
    let w = tape.variable(Array::<f64>::linspace(0.0, 1.0, 12).reshape([3, 4])?);
    let labels = tape.constant(Array::from([1_u32, 3]));
    let loss = x.matmul(w).cross_entropy(labels);
    let explained = loss.explain()?;
    let product = explained
        .lines()
        .iter()
        .find(|l| l.instruction.contains("matmul"))
        .expect("a product");
    // d sum(x w) / dx are row sums of w.
    assert_eq!(product.local.len(), 2);
    assert!(
        (product.local[0].1.min - 6.0 / 11.0).abs() < 1e-14,
        "{explained}"
    );
    loss.backward()?;
    let (least, most) = x
        .grad()?
        .iter()
        .fold((f64::MAX, f64::MIN), |(a, b), &g| (a.min(g), b.max(g)));
    let shown = explained.lines()[0].adjoint.expect("x has an adjoint");
    assert!((shown.min - least).abs() < 1e-15 && (shown.max - most).abs() < 1e-15);
    Ok(())
}

#[test]
fn mistakes_are_returned() {
    let tape = Tape::new();
    let (x, y) = (
        tape.variable(Array::ones([3])),
        tape.variable(Array::ones([4])),
    );
    assert_eq!((x + y).explain().unwrap_err().kind(), ErrorKind::Shape);
    let label = tape.constant(Array::from([7_u32]));
    let wrong = x.reshape([1, 3]).cross_entropy(label);
    assert_eq!(wrong.explain().unwrap_err().kind(), ErrorKind::Index);
    let empty = tape.variable(Array::<f32>::zeros([0, 2]));
    assert!(
        empty
            .sum()
            .explain()
            .is_ok_and(|e| e.to_string().contains("empty"))
    );
}
