//! Normalisation against loops, its derivatives, what does not fit.

use retrograde::prelude::*;
use retrograde_tests::derivatives::{check_derivatives, samples};

const EPS: f64 = 0.1;

/// Elements of `[batch, channels, positions]` standardised over those that `same` says belong together.
fn standardised(x: &Array<f64>, same: impl Fn([usize; 3], [usize; 3]) -> bool) -> Vec<f64> {
    let &[b, c, p] = x.shape() else {
        unreachable!("three axes")
    };
    let at = |i: usize| [i / (c * p), i / p % c, i % p];
    let all: Vec<f64> = x.iter().copied().collect();
    (0..b * c * p)
        .map(|i| {
            let group = (0..all.len()).filter(|&j| same(at(i), at(j)));
            let group: Vec<f64> = group.map(|j| all[j]).collect();
            let n = group.len() as f64;
            let mean = group.iter().sum::<f64>() / n;
            let variance = group.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
            (all[i] - mean) / (variance + EPS).sqrt()
        })
        .collect()
}

/// `weight` and `bias` by channel.
fn affine(x: Vec<f64>, shape: &[usize], weight: &Array<f64>, bias: &Array<f64>) -> Array<f64> {
    let (c, p) = (shape[1], shape[2]);
    let x = x.into_iter().enumerate().map(|(i, x)| {
        let channel = i / p % c;
        x * weight.as_slice()[channel] + bias.as_slice()[channel]
    });
    Array::from_vec(x.collect(), shape).expect("as many")
}

#[test]
fn of_batches_and_groups() -> Result<()> {
    for shape in [[3, 4, 5], [1, 6, 1], [5, 2, 17], [2, 4, 0], [2, 12, 3]] {
        let x = samples(&shape, (-2.0, 3.0));
        let (weight, bias) = (
            samples(&[shape[1]], (0.5, 2.0)),
            samples(&[shape[1]], (-1.0, 1.0)),
        );
        let tape = Tape::new();
        let [v, w, b] = [&x, &weight, &bias].map(|a| tape.constant(a.clone()));
        let expected = standardised(&x, |i, j| i[1] == j[1]);
        v.batch_norm(w, b, EPS).value()?.assert_close(
            &affine(expected, &shape, &weight, &bias),
            1e-12,
            1e-12,
        );
        for groups in [1, 2, shape[1]] {
            let size = shape[1] / groups;
            let expected = standardised(&x, |i, j| i[0] == j[0] && i[1] / size == j[1] / size);
            v.group_norm(groups, w, b, EPS).value()?.assert_close(
                &affine(expected, &shape, &weight, &bias),
                1e-12,
                1e-12,
            );
        }
        let given = (0..x.len()).map(|i| {
            let c = i / shape[2].max(1) % shape[1];
            (x.as_slice()[i] - bias.as_slice()[c]) / (weight.as_slice()[c] + EPS).sqrt()
        });
        v.batch_norm_by(b, w, w, b, EPS).value()?.assert_close(
            &affine(given.collect(), &shape, &weight, &bias),
            1e-12,
            1e-12,
        );
    }
    Ok(())
}

#[test]
fn derivatives() -> Result<()> {
    type Build = for<'t> fn([Var<'t, f64>; 3]) -> Var<'t, f64>;
    let table: [(&str, Build); 6] = [
        ("batch_norm", |[x, w, b]| x.batch_norm(w, b, EPS)),
        ("group_norm", |[x, w, b]| x.group_norm(2, w, b, EPS)),
        ("batch_norm_by", |[x, w, b]| {
            x.batch_norm_by(b, w, w, b, EPS)
        }),
        ("normalize", |[x, ..]| x.normalize(-1)),
        ("normalize over two axes", |[x, ..]| x.normalize([0, 2])),
        ("cosine_similarity", |[x, w, _]| {
            x.cosine_similarity(w.unsqueeze(-1), 1)
        }),
    ];
    let inputs = [
        samples(&[2, 4, 3], (-1.0, 1.5)),
        samples(&[4], (0.5, 1.5)),
        samples(&[4], (-0.5, 0.5)),
    ];
    for (name, build) in table {
        let p = Program::try_record(&inputs, |_, v| Ok(build(v).sin().sum().into()))?;
        check_derivatives(name, &p, &inputs.each_ref())?;
    }
    Ok(())
}

#[test]
fn of_length_one() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(Array::from([[3.0, 4.0], [0.0, 0.0]]));
    let y = x.normalize(-1);
    assert_eq!(y.value()?, Array::from([[0.6, 0.8], [0.0, 0.0]]));
    y.sum().backward()?;
    let g = x.grad()?;
    // (1 - y y^T) / |x| times ones; nothing at zero.
    g.assert_close(
        &Array::from([[0.8 * 0.2 / 5.0, -0.6 * 0.2 / 5.0], [0.0, 0.0]]),
        1e-14,
        1e-14,
    );
    tape.zero_grad();
    let c = x.cosine_similarity(tape.constant(Array::from([4.0, 3.0])), 1);
    assert_eq!(c.value()?, Array::from([0.96, 0.0]));
    c.sum().backward()?;
    assert_eq!(x.grad()?.as_slice()[2..], [0.0, 0.0]);
    Ok(())
}

#[test]
fn what_does_not_fit() {
    let tape = Tape::new();
    let x = tape.constant(Array::<f64>::ones([2, 6, 3]));
    let (w, short) = (
        tape.constant(Array::<f64>::ones([6])),
        tape.constant(Array::<f64>::ones([3])),
    );
    let errors = [
        (x.batch_norm(short, w, 0.1), "[6]"),
        (x.group_norm(4, w, w, 0.1), "4 groups"),
        (x.group_norm(0, w, w, 0.1), "0 groups"),
        (w.batch_norm(w, w, 0.1), "rank"),
        (x.normalize(3), "axis 3"),
        (x.cosine_similarity(w, 0), "broadcast"),
        (x.batch_norm(w, w, w), "eps"),
    ];
    for (v, part) in errors {
        let message = v.value().unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
        assert!(message.contains("normalize.rs"), "{message}");
    }
}
