//! Products of every rank against loops: vectors, matrices, batches that broadcast, operands that are views, nothing.

use retrograde::prelude::*;
use retrograde_tests::derivatives::{check_derivatives, run, samples};

/// `matmul` by its definition: a vector is a row on the left and a column on the right, batches broadcast.
fn product(a: &Array<f64>, b: &Array<f64>) -> Array<f64> {
    let (mut m, mut n) = (a.shape().to_vec(), b.shape().to_vec());
    let (row, column) = (m.len() == 1, n.len() == 1);
    if row {
        m.insert(0, 1);
    }
    if column {
        n.push(1);
    }
    let rank = m.len().max(n.len());
    let extent = |s: &[usize], from_end: usize| s.len().checked_sub(from_end).map_or(1, |i| s[i]);
    let mut dims: Vec<usize> = (3..=rank)
        .rev()
        .map(|i| {
            if extent(&m, i) == 1 {
                extent(&n, i)
            } else {
                extent(&m, i)
            }
        })
        .collect();
    let inner = m[m.len() - 1];
    dims.extend([m[m.len() - 2], n[n.len() - 1]]);
    // The place of an operand's element, from the result's batch indices and its own two.
    let place = |s: &[usize], at: &[usize], i: usize, j: usize| {
        let batch = s.len() - 2;
        let lead = at.len() - 2 - batch;
        let outer = (0..batch).fold(0, |place, axis| {
            place * s[axis] + if s[axis] == 1 { 0 } else { at[lead + axis] }
        });
        (outer * s[batch] + i) * s[batch + 1] + j
    };
    let full = Array::from_shape_fn(dims.clone(), |at| {
        let (i, j) = (at[at.len() - 2], at[at.len() - 1]);
        (0..inner)
            .map(|k| a.as_slice()[place(&m, at, i, k)] * b.as_slice()[place(&n, at, k, j)])
            .sum()
    });
    let end = dims.len();
    if column {
        dims.remove(end - 1);
    }
    if row {
        dims.remove(end - 2);
    }
    full.reshape(dims).expect("as many elements")
}

#[test]
fn of_every_rank() -> Result<()> {
    let pairs: [(&[usize], &[usize]); 15] = [
        (&[3], &[3]),
        (&[3], &[3, 2]),
        (&[2, 3], &[3]),
        (&[1, 1], &[1, 1]),
        (&[4, 2, 3], &[3, 5]),
        (&[2, 3], &[4, 3, 5]),
        (&[4, 1, 2, 3], &[5, 3, 2]),
        (&[2, 3, 2, 3], &[2, 3, 3, 2]),
        (&[3], &[4, 3, 2]),
        (&[4, 2, 3], &[3]),
        (&[2, 0, 3], &[3, 4]),
        (&[2, 2, 0], &[0, 3]),
        (&[0, 2, 3], &[3, 2]),
        (&[0], &[0]),
        (&[3, 17, 33], &[3, 33, 19]),
    ];
    for (a, b) in pairs {
        let (x, y) = (samples(a, (-1.0, 1.0)), samples(b, (-0.9, 1.1)));
        let expected = product(&x, &y);
        let tape = Tape::new();
        let (v, w) = (tape.constant(x.clone()), tape.constant(y.clone()));
        v.matmul(w).value()?.assert_close(&expected, 1e-13, 1e-13);
        let half = tape
            .constant(x.cast::<f32>())
            .matmul(tape.constant(y.cast::<f32>()));
        half.value()?
            .cast::<f64>()
            .assert_close(&expected, 1e-5, 1e-5);
        if a.len() > 1 && b.len() > 1 {
            // The same elements by other strides.
            let (turned, flipped) = (v.t().value()?, w.flip(-1).value()?);
            let (turned, flipped) = (tape.constant(turned).t(), tape.constant(flipped).flip(-1));
            turned
                .matmul(flipped)
                .value()?
                .assert_close(&expected, 1e-13, 1e-13);
        }
        if x.len() * y.len() < 3000 {
            let p = Program::try_record(&[x.clone(), y.clone()], |_, [x, y]| {
                Ok(x.matmul(y).sin().sum().into())
            })?;
            check_derivatives(&format!("matmul of {a:?} and {b:?}"), &p, &[&x, &y])?;
        }
    }
    Ok(())
}

#[test]
fn dot_outer_and_a_product_with_itself() -> Result<()> {
    for n in [0, 1, 2, 17, 1030] {
        let (x, y) = (
            samples(&[n], (-1.0, 1.0)),
            samples(&[n.min(40)], (0.2, 0.9)),
        );
        let p = Program::try_record(&[x.clone(), y.clone()], |_, [x, y]| {
            Ok([x.dot(x), x.outer(y)].into())
        })?;
        let found = run(&p, &[&x, &y])?;
        let dot: f64 = x.iter().map(|x| x * x).sum();
        found[0].assert_close(&Array::scalar(dot), 1e-13, 0.0);
        assert_eq!(
            found[1],
            Array::from_shape_fn([n, n.min(40)], |i| x[[i[0]]] * y[[i[1]]])
        );
    }
    let x = samples(&[5, 7], (-1.0, 1.0));
    let turned = Array::from_shape_fn([7, 5], |i| x[[i[1], i[0]]]);
    let p = Program::record(&[x.clone()], |_, [x]| x.matmul(x.t()))?;
    run(&p, &[&x])?[0].assert_close(&product(&x, &turned), 1e-14, 1e-14);
    Ok(())
}
