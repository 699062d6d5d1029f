//! Golden listings: what is recorded, its adjoint, the fused groups and the memory plan, as text in `listings/`. They pin
//! that a change of a rule or a pass changes what it means to change and nothing else.
//!
//! `UPDATE=1 cargo test -p retrograde-tests --test listings` rewrites them; read the difference before committing it.
//! Level, tile and threads are fixed here, so that no machine has plans of its own.

use std::fmt::Write;
use std::num::NonZeroUsize;
use std::path::Path;

use retrograde::Options;
use retrograde::prelude::*;
use retrograde_nn::{Adam, Linear};
use retrograde_ops::Level;

fn options() -> Options {
    Options {
        level: Level::Baseline,
        threads: 2,
        tile: NonZeroUsize::new(16),
        ..Options::default()
    }
}

/// Lines of two texts side by side where they differ, each with a line before it that they share.
fn difference(expected: &str, found: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), found.lines().collect());
    let same_head = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let same_tail = a[same_head..]
        .iter()
        .rev()
        .zip(b[same_head..].iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let mut text = String::new();
    let before = same_head.saturating_sub(3);
    a[before..same_head]
        .iter()
        .for_each(|l| writeln!(text, "  {l}").expect("a string"));
    for (sign, lines) in [('-', &a), ('+', &b)] {
        for line in &lines[same_head..lines.len() - same_tail] {
            writeln!(text, "{sign} {line}").expect("a string");
        }
    }
    text
}

#[track_caller]
fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("listings/{name}.txt"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).expect("the listings can be written");
        return;
    }
    let expected = std::fs::read_to_string(&path)
        .unwrap_or_default()
        .replace("\r\n", "\n");
    assert!(
        expected == text,
        "listings/{name}.txt differs; UPDATE=1 rewrites it:\n{}",
        difference(&expected, text)
    );
}

/// The recording, the recording with its adjoint, and the plan of both together.
fn check(name: &str, p: &Program) -> Result<()> {
    let both = p.value_and_grad()?;
    let (recorded, adjoint) = (p.listing(), both.listing());
    // The adjoint follows the recording in the same list.
    let (mut body, _) = recorded
        .rsplit_once("return")
        .expect("a list ends with its outputs");
    body = body.strip_suffix('\n').unwrap_or(body);
    let adjoint = adjoint
        .strip_prefix(body)
        .expect("the recording comes first")
        .trim_start();
    golden(
        name,
        &format!(
            "# recording\n{recorded}\n# adjoint\n{adjoint}\n# plan of value and gradient\n{both}"
        ),
    );
    Ok(())
}

#[test]
fn two_dot() -> Result<()> {
    let x = [Array::<f64>::arange(4)];
    check(
        "two_dot",
        &Program::try_record_with(&x, options(), |_, [x]| Ok((2.0 * x.dot(x)).into()))?,
    )
}

/// `((ln x^2) sin x) + 1/x`, on a scalar: run by the scalar interpreter.
#[test]
fn textbook() -> Result<()> {
    let x = [Array::<f64>::scalar(3.0)];
    let p = Program::try_record_with(&x, options(), |_, [x]| {
        Ok(((x * x).ln() * x.sin() + 1.0 / x).into())
    })?;
    check("textbook", &p)
}

#[test]
fn cross_entropy() -> Result<()> {
    let inputs = (
        Array::<f32>::zeros([32, 10]),
        Array::<u32>::from_vec(vec![0; 32], [32])?,
    );
    let p = Program::try_record_with(&inputs, options(), |_, (x, labels)| {
        Ok(x.cross_entropy(labels).into())
    })?;
    check("cross_entropy", &p)
}

#[test]
fn layer_norm() -> Result<()> {
    let inputs = [[24, 48].as_slice(), &[48], &[48]].map(Array::<f32>::zeros);
    let p = Program::try_record_with(&inputs, options(), |_, [x, weight, bias]| {
        Ok(x.layer_norm(weight, bias, 1e-5).square().sum().into())
    })?;
    check("layer_norm", &p)
}

/// European calls: with its adjoint, the price and four Greeks of every option in one pass.
#[test]
fn black_scholes() -> Result<()> {
    let inputs = [1000, 1000, 1000, 1000].map(|n| Array::<f32>::ones([n]));
    let p = Program::try_record_with(&inputs, options(), |_, [spot, strike, vol, time]| {
        let rate = 0.03;
        let deviation = vol * time.sqrt();
        let d1 = ((spot / strike).ln() + (rate + 0.5 * vol * vol) * time) / deviation;
        let discounted = strike * (-rate * time).exp();
        let price = spot * d1.normal_cdf() - discounted * (d1 - deviation).normal_cdf();
        Ok(price.sum().into())
    })?;
    check("black_scholes", &p)
}

/// A whole training step of a classifier: from the images to the updated parameters and moments.
#[test]
fn mlp_step() -> Result<()> {
    let mut params = Params::new();
    let layers = [(784, 256), (256, 128), (128, 10)]
        .map(|(from, to)| Linear::new(&mut params, &format!("{from}x{to}"), from, to, from as u64));
    let images = Array::<f32>::zeros([64, 784]);
    let labels = Array::<u32>::from_vec(vec![3; 64], [64])?;
    let mut tape = Tape::with_options(options());
    let mut adam = Adam::new(1e-3);
    let step = tape.train(&mut params);
    let [first, second, third] = &layers;
    let hidden = second
        .forward(first.forward(step.input(&images)).relu())
        .relu();
    let loss = third.forward(hidden).cross_entropy(step.input(&labels));
    adam.minimise(loss)?;
    let program = tape.last_program().expect("the step that ran");
    golden("mlp_step", &program.listing);
    Ok(())
}

#[test]
fn a_difference_is_readable() {
    let (a, b) = ("1\n2\n3\n4\nx\n5\n6\n", "1\n2\n3\n4\ny\nz\n5\n6\n");
    assert_eq!(difference(a, b), "  2\n  3\n  4\n- x\n+ y\n+ z\n");
    assert_eq!(difference("", "1\n"), "+ 1\n");
}
