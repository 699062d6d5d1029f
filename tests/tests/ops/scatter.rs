//! Writing at indices and picking by masks, against loops; weighted and smoothed losses of classes.

use retrograde::prelude::*;
use retrograde_tests::derivatives::samples;

#[test]
fn of_equal_indices_the_last_is_written() -> Result<()> {
    for (index, negative) in [([1u32, 4, 1, 0, 4, 2], false), ([1, 4, 1, 0, 4, 2], true)] {
        let (x, source) = (
            samples(&[2, 5, 3], (-1.0, 1.0)),
            samples(&[2, 6, 3], (2.0, 3.0)),
        );
        let mut expected = x.clone();
        let mut kept = Array::<f64>::ones([2, 5, 3]);
        let mut written = Array::<f64>::zeros([2, 6, 3]);
        for b in 0..2 {
            for k in 0..3 {
                for (j, &to) in index.iter().enumerate() {
                    let (from, to) = ((b * 6 + j) * 3 + k, (b * 5 + to as usize) * 3 + k);
                    expected.as_mut_slice()[to] = source.as_slice()[from];
                    kept.as_mut_slice()[to] = 0.0;
                    let last = index.iter().rposition(|i| *i == index[j]) == Some(j);
                    written.as_mut_slice()[from] = f64::from(u8::from(last));
                }
            }
        }
        let tape = Tape::new();
        let (x, source) = (tape.variable(x), tape.variable(source));
        let y = if negative {
            let index = index.map(|i| i64::from(i) - 5);
            x.scatter(
                1,
                tape.constant(Array::from_slice(&index)).reshape([1, 6, 1]),
                source,
            )
        } else {
            x.scatter(
                1,
                tape.constant(Array::from_slice(&index)).reshape([1, 6, 1]),
                source,
            )
        };
        assert_eq!(y.value()?, expected);
        let [gx, gs] = y.sum().grad_of([x, source]);
        assert_eq!((gx.value()?, gs.value()?), (kept, written));
    }
    Ok(())
}

/// What is overwritten may be anything.
#[test]
fn overwritten_values_do_not_pollute() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(Array::from([f64::NAN, 2.0]));
    let source = tape.variable(Array::from([f64::INFINITY, 3.0]));
    let y = x.scatter(0, tape.constant(Array::from([0u32, 0])), source);
    assert_eq!(y.value()?, Array::from([3.0, 2.0]));
    let [gx, gs] = y.square().sum().grad_of([x, source]);
    assert_eq!(
        (gx.value()?, gs.value()?),
        (Array::from([0.0, 4.0]), Array::from([0.0, 6.0]))
    );
    let none = tape.constant(Array::from([0u32])).narrow(0, 0, 0);
    assert_eq!(y.scatter(0, none, 7.0).value()?, Array::from([3.0, 2.0]));
    Ok(())
}

#[test]
fn masks_pick_in_order() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(Array::from([[3.0, -1.0, 4.0], [-2.0, 5.0, -6.0]]));
    assert_eq!(
        x.masked_select(x.gt(0.0)).value()?,
        Array::from([3.0, 4.0, 5.0])
    );
    let columns = tape.constant(Array::from([true, false, true]));
    let picked = x.masked_select(columns);
    assert_eq!(picked.value()?, Array::from([3.0, 4.0, -2.0, -6.0]));
    let [g] = (picked * picked).sum().grad_of([x]);
    assert_eq!(
        g.value()?,
        Array::from([[6.0, 0.0, 8.0], [-4.0, 0.0, -12.0]])
    );
    assert_eq!(x.masked_select(x.gt(9.0)).len()?, 0);
    let labels = tape.constant(Array::from([7u32, 8, 9]));
    assert_eq!(
        labels.masked_select(columns).value()?,
        Array::from([7u32, 9])
    );

    let error = x
        .masked_select(tape.constant(Array::from([true, false])))
        .value()
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with(
            "masked_select of [2, 3] f64 and [2] bool: [2] does not broadcast to [2, 3]"
        ),
        "{text}"
    );
    let program = Program::record(&[Array::<f64>::ones([2])], |_, [x]| {
        x.masked_select(x.gt(0.0)).sum()
    });
    let text = program.unwrap_err().to_string();
    let expected = "how many elements are selected is not known while a program is recorded; try `masked_fill`";
    assert!(
        text.contains(expected) && text.contains(&format!("\n  at {}:", file!())),
        "{text}"
    );
    Ok(())
}

#[test]
fn distinct_elements() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(Array::from([[2.0, -1.0, 2.0], [0.5, -1.0, 7.0]]));
    let distinct = x.unique();
    assert_eq!(distinct.value()?, Array::from([-1.0, 0.5, 2.0, 7.0]));
    let [g] = distinct.square().sum().grad_of([x]);
    assert_eq!(
        g.value()?,
        Array::from([[4.0, -2.0, 0.0], [1.0, 0.0, 14.0]])
    );
    let nan = tape.constant(Array::from([f64::NAN, 1.0, f64::NAN]));
    assert_eq!(nan.unique().len()?, 3);
    assert_eq!(tape.constant(Array::<f64>::zeros([0])).unique().len()?, 0);
    assert_eq!(
        tape.constant(Array::scalar(5i64)).unique().value()?,
        Array::from([5i64])
    );
    let program = Program::record(&[Array::<f64>::ones([2])], |_, [x]| x.unique().sum());
    assert!(
        program
            .unwrap_err()
            .to_string()
            .contains("while a program is recorded")
    );
    Ok(())
}

/// The loss of each row by loops, and the weight it counts with.
struct Rows {
    terms: Vec<f64>,
    weights: Vec<f64>,
}

fn by_loops(
    x: &Array<f64>,
    labels: &[u32],
    w: &[f64],
    smoothing: f64,
    ignore: Option<u32>,
    logits: bool,
) -> Rows {
    let classes = w.len();
    let mut rows = Rows {
        terms: Vec::new(),
        weights: Vec::new(),
    };
    for (row, &label) in x.as_slice().chunks(classes).zip(labels) {
        if Some(label) == ignore {
            rows.terms.push(0.0);
            rows.weights.push(0.0);
            continue;
        }
        let total = row.iter().map(|x| x.exp()).sum::<f64>().ln();
        let p: Vec<f64> = row
            .iter()
            .map(|x| if logits { x - total } else { *x })
            .collect();
        let all: f64 = p.iter().zip(w).map(|(p, w)| p * w).sum();
        let label = label as usize;
        rows.terms
            .push(-(1.0 - smoothing) * w[label] * p[label] - smoothing / classes as f64 * all);
        rows.weights.push(w[label]);
    }
    rows
}

#[test]
fn losses_of_classes_with_options() -> Result<()> {
    let x = samples(&[2, 3, 4], (-2.0, 2.0));
    let labels = [1u32, 3, 0, 2, 9, 1];
    let w = [0.5, 2.0, 1.0, 1.5];
    for smoothing in [0.0, 0.1, 1.0] {
        for weighted in [false, true] {
            for logits in [true, false] {
                let of = if weighted { w } else { [1.0; 4] };
                let expected = by_loops(&x, &labels, &of, smoothing, Some(9), logits);
                let tape = Tape::new();
                let (x, l) = (
                    tape.constant(x.clone()),
                    tape.constant(Array::from_slice(&labels)).reshape([2, 3]),
                );
                let mut how = ClassLoss::default().smoothing(smoothing).ignore(9);
                if weighted {
                    how = how.weights(tape.constant(Array::from_slice(&w)));
                }
                let loss = |r| {
                    let how = how.reduction(r);
                    if logits {
                        x.cross_entropy_by(l, how)
                    } else {
                        x.nll_by(l, how)
                    }
                    .value()
                };
                let sum: f64 = expected.terms.iter().sum();
                let mean = sum / expected.weights.iter().sum::<f64>();
                loss(Reduction::None)?.assert_close(
                    &Array::from_vec(expected.terms, [2, 3])?,
                    1e-13,
                    1e-13,
                );
                loss(Reduction::Sum)?.assert_close(&Array::scalar(sum), 1e-13, 1e-13);
                loss(Reduction::Mean)?.assert_close(&Array::scalar(mean), 1e-13, 1e-13);
            }
        }
    }
    Ok(())
}

#[test]
fn losses_of_probabilities() -> Result<()> {
    let (x, p) = (samples(&[3, 4], (-2.0, 2.0)), samples(&[3, 4], (0.0, 0.5)));
    let w = [0.5, 2.0, 1.0, 1.5];
    for smoothing in [0.0, 0.3] {
        let terms: Vec<f64> = (0..3)
            .map(|r| {
                let row = &x.as_slice()[4 * r..][..4];
                let total = row.iter().map(|x| x.exp()).sum::<f64>().ln();
                let target =
                    |c: usize| (1.0 - smoothing) * p.as_slice()[4 * r + c] + smoothing / 4.0;
                -(0..4)
                    .map(|c| w[c] * target(c) * (row[c] - total))
                    .sum::<f64>()
            })
            .collect();
        let tape = Tape::new();
        let (x, p) = (tape.constant(x.clone()), tape.constant(p.clone()));
        let how = ClassLoss::default()
            .smoothing(smoothing)
            .weights(tape.constant(Array::from_slice(&w)));
        let mean = terms.iter().sum::<f64>() / 3.0;
        let each = x
            .cross_entropy_of(p, how.reduction(Reduction::None))
            .value()?;
        each.assert_close(&Array::from_slice(&terms), 1e-13, 1e-13);
        let found = x.cross_entropy_of(p, how).item()?;
        assert!((found - mean).abs() < 1e-13, "{found} {mean}");
    }
    // A class of probability 0 costs nothing, even where it is impossible; labels as probabilities are labels.
    let tape = Tape::new();
    let x = tape.variable(Array::from([[0.0, f64::NEG_INFINITY, 1.0]]));
    let certain = tape.constant(Array::from([[1.0, 0.0, 0.0]]));
    let loss = x.cross_entropy_of(certain, ClassLoss::default());
    let plain = x.cross_entropy(tape.constant(Array::from([0u32])));
    assert!((loss.item()? - plain.item()?).abs() < 1e-15);
    let [g] = loss.grad_of([x]);
    assert!(g.value()?.iter().all(|g: &f64| g.is_finite()));
    Ok(())
}

/// If no row counts there is no mean; ignored labels need not be classes, others must.
#[test]
fn labels_that_do_not_count() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(samples(&[2, 3], (0.0, 1.0)));
    let labels = tape.constant(Array::from([u32::MAX, u32::MAX]));
    let how = ClassLoss::default().ignore(u32::MAX);
    assert!(x.cross_entropy_by(labels, how).item()?.is_nan());
    let sum = x.cross_entropy_by(labels, how.reduction(Reduction::Sum));
    assert_eq!(sum.item()?, 0.0);
    let [g] = sum.grad_of([x]);
    assert_eq!(g.value()?, Array::<f64>::zeros([2, 3]));
    let odd = tape.constant(Array::from([u32::MAX, 3]));
    let error = x
        .cross_entropy_by(odd, how)
        .value()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("index 3 at position 1 is out of range"),
        "{error}"
    );

    let weights = tape.constant(Array::<f64>::ones([2]));
    let table = [
        (
            x.nll_by(labels, how.weights(weights)),
            "there must be a weight for each class, of shape [3], not [2]",
        ),
        (
            x.cross_entropy_by(labels, how.smoothing(1.5)),
            "a probability is between 0 and 1, but 1.5",
        ),
        (x.cross_entropy_of(x, how), "probabilities have no labels"),
        (
            x.cross_entropy_of(weights, ClassLoss::default()),
            "[2, 3] is not [2]",
        ),
    ];
    for (value, expected) in table {
        let text = value.value().unwrap_err().to_string();
        assert!(text.contains(expected) && text.contains(file!()), "{text}");
    }
    Ok(())
}

/// With dropout a weight is 0 or scaled; without any it is plain attention, and every replay draws anew.
#[test]
fn attention_drops_weights() -> Result<()> {
    let tape = Tape::new();
    let rng = tape.rec().rng(3);
    let (q, k) = (
        tape.variable(samples(&[6, 4], (-1.0, 1.0))),
        tape.variable(samples(&[50, 4], (-1.0, 1.0))),
    );
    let eye = tape.rec().eye::<f64>(50);
    let weights = q
        .scaled_dot_product_attention(k, eye, Attention::full())
        .value()?;
    let dropped = q.scaled_dot_product_attention(k, eye, Attention::full().dropout(0.25, rng));
    let mut zeros = 0;
    for (&d, &w) in dropped.value()?.iter().zip(&weights) {
        zeros += usize::from(d == 0.0);
        assert!(d == 0.0 || (d - w / 0.75).abs() < 1e-14, "{d} {w}");
    }
    assert!((40..110).contains(&zeros), "{zeros} of 300");
    let none = q.scaled_dot_product_attention(k, eye, Attention::full().dropout(0.0, rng));
    assert_eq!(none.value()?, weights);
    let [g] = dropped.square().sum().grad_of([q]);
    assert!(g.value()?.iter().all(|g: &f64| g.is_finite()));

    let inputs = [
        samples(&[6, 4], (-1.0, 1.0)),
        samples(&[50, 4], (-1.0, 1.0)),
    ];
    let p = Program::record(&inputs, |t, [q, k]| {
        let how = Attention::causal().dropout(0.5, t.rng(1));
        q.scaled_dot_product_attention(k, k, how)
    })?;
    let mut ws = p.workspace()?;
    let first = p.run(&mut ws, [&inputs[0], &inputs[1]])?.array::<f64>(0)?;
    let second = p.run(&mut ws, [&inputs[0], &inputs[1]])?.array::<f64>(0)?;
    assert!(first != second);
    let error = q.scaled_dot_product_attention(k, k, Attention::full().dropout(2.0, rng));
    assert!(
        error
            .value()
            .unwrap_err()
            .to_string()
            .contains("a probability is between 0 and 1")
    );
    Ok(())
}

#[test]
fn batches_and_layers() -> Result<()> {
    let tape = Tape::new();
    let of = |s: &[usize]| tape.constant(samples(s, (-1.0, 1.0)));
    let (x, w, b) = (of(&[2, 3, 4]), of(&[5, 4]), of(&[5]));
    let found = x.linear(w, b).value()?;
    let (x, w, b) = (x.value()?, w.value()?, b.value()?);
    let expected = Array::from_shape_fn([2, 3, 5], |i| {
        let x = |k: usize| x.get(&[i[0], i[1], k]).expect("inside");
        b[i[2]]
            + (0..4)
                .map(|k| x(k) * w.get(&[i[2], k]).expect("inside"))
                .sum::<f64>()
    });
    found.assert_close(&expected, 1e-14, 1e-14);
    let (x, w) = (of(&[2, 3, 4]), of(&[5, 3]));
    for (value, expected) in [
        (
            x.linear(w, None),
            "linear of [2, 3, 4] f64 and [5, 3] f64: the weight must have shape [outputs, 4]",
        ),
        (
            x.linear(of(&[5, 4]), of(&[3])),
            "does not broadcast to [2, 3, 5]",
        ),
        (
            x.bmm(of(&[3, 4, 5])),
            "bmm of [2, 3, 4] f64 and [3, 4, 5] f64: expected [b, m, k] and [b, k, n] with one b",
        ),
        (
            x.bmm(of(&[2, 5, 4])),
            "bmm of [2, 3, 4] f64 and [2, 5, 4] f64: the inner extents must be equal",
        ),
    ] {
        let text = value.value().unwrap_err().to_string();
        assert!(text.contains(expected) && text.contains(file!()), "{text}");
    }
    Ok(())
}
