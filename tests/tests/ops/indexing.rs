//! Indexing: duplicates, negative indices, none at all, and those out of range.

use retrograde::prelude::*;
use retrograde_tests::derivatives::{check_derivatives, samples};

/// `index` counted from the end where it is negative.
fn place(index: i64, extent: usize) -> usize {
    (if index < 0 {
        index + extent as i64
    } else {
        index
    }) as usize
}

#[test]
fn gather_and_scatter_along_every_axis() -> Result<()> {
    let shape = [3, 4, 2];
    let x = samples(&shape, (-1.0, 1.0));
    for axis in 0..3 {
        let extent = shape[axis];
        // More indices than elements: every one comes more than once.
        let mut dims = shape;
        dims[axis] = 2 * extent + 1;
        let index = Array::<i64>::from_shape_fn(dims, |i| {
            ((i[0] * 5 + i[1] * 3 + i[2] * 7) % (2 * extent)) as i64 - extent as i64
        });
        let tape = Tape::new();
        let (v, at) = (tape.variable(x.clone()), tape.constant(index.clone()));
        let gathered = v.gather(axis as isize, at);
        let from = |i: &[usize]| -> [usize; 3] {
            let mut from = [i[0], i[1], i[2]];
            from[axis] = place(index[from], extent);
            from
        };
        assert_eq!(
            gathered.value()?,
            Array::from_shape_fn(dims, |i| x[from(i)]),
            "axis {axis}"
        );
        gathered.backward_with(&Array::<f64>::ones(dims))?;
        let mut count = Array::<f64>::zeros(shape);
        for e in 0..index.len() {
            let i = [e / (dims[1] * dims[2]), e / dims[2] % dims[1], e % dims[2]];
            count[from(&i)] += 1.0;
        }
        assert_eq!(
            v.grad()?,
            count,
            "the gradient adds up where an index repeats"
        );

        let source = samples(&dims, (-1.0, 1.0));
        let added = v.scatter_add(axis as isize, at, tape.constant(source.clone()));
        let mut expected = x.clone();
        for e in 0..index.len() {
            let i = [e / (dims[1] * dims[2]), e / dims[2] % dims[1], e % dims[2]];
            expected[from(&i)] += source[i];
        }
        added.value()?.assert_close(&expected, 1e-14, 1e-14);
        let index = &index;
        let both = Program::try_record(
            &(x.clone(), source.clone(), index.clone()),
            |_, (x, s, i)| {
                let joined = x.scatter_add(axis as isize, i, s * s).sin() * x;
                Ok((joined.sum() + x.gather(axis as isize, i).exp().sum()).into())
            },
        )?;
        let gradient = both.value_and_grad()?;
        let mut ws = gradient.workspace()?;
        let found = gradient.run(&mut ws, (&x, &source, index))?;
        assert!(found.item::<f64>(0)?.is_finite() && found.len() == 3);
    }
    Ok(())
}

#[test]
fn unsigned_indices_and_their_derivatives() -> Result<()> {
    let x = samples(&[4, 3], (0.3, 1.2));
    let rows = |t: Rec<'_>| -> Vec<u32> {
        let _ = t;
        vec![3, 0, 3, 3, 1]
    };
    let p = Program::record(&[x.clone()], |t, [x]| {
        let one: Vec<Var<'_, u32>> = rows(t).into_iter().map(|i| t.scalar(i)).collect();
        let index = t.stack(&one, 0);
        let selected = x.index_select(0, index).sin() * x.embedding(index);
        selected.sum() + (x.index_select(1, index.slice(0, 4..)) * x).sum().exp()
    })?;
    check_derivatives("index_select and embedding", &p, &[&x])?;
    let tape = Tape::new();
    let index = tape.constant(Array::from_slice(&[3u32, 0, 3, 3, 1]));
    let found = tape.constant(x.clone()).index_select(0, index).value()?;
    let picked = [3, 0, 3, 3, 1];
    assert_eq!(
        found,
        Array::from_shape_fn([5, 3], |i| x[[picked[i[0]], i[1]]])
    );
    let table = tape.constant(Array::from([[3u32, 0], [1, 1]]));
    let found = tape.constant(x.clone()).embedding(table).value()?;
    assert_eq!(
        found,
        Array::from_shape_fn([2, 2, 3], |i| x[[[[3, 0], [1, 1]][i[0]][i[1]], i[2]]])
    );
    Ok(())
}

#[test]
fn no_indices_and_nothing_to_index() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(Array::<f64>::ones([3, 2]));
    let none = tape.constant(Array::<u32>::from_vec(vec![], [0])?);
    let selected = x.index_select(0, none);
    assert_eq!(selected.value()?, Array::<f64>::zeros([0, 2]));
    selected.sum().backward()?;
    assert_eq!(x.grad()?, Array::<f64>::zeros([3, 2]));
    let flat = tape.constant(Array::<u32>::from_vec(vec![], [0, 2])?);
    assert_eq!(
        x.scatter_add(0, flat, 5.0).value()?,
        Array::<f64>::ones([3, 2])
    );
    let empty = tape.variable(Array::<f64>::zeros([0, 2]));
    assert_eq!(empty.index_select(0, none).value()?.shape(), [0, 2]);
    let error = empty
        .index_select(0, tape.constant(Array::from_slice(&[0u32])))
        .value();
    let text = error.unwrap_err().to_string();
    assert!(
        text.contains("index 0 at position 0 is out of range for an axis of 0 elements"),
        "{text}"
    );
    Ok(())
}

/// The message names the index, its place and the bound; the first of several wins, whatever the threads.
#[test]
fn out_of_range() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(Array::<f64>::ones([3, 4]));
    let index = |i: &[i64]| tape.constant(Array::<i64>::from_slice(i));
    let column = |i: &[i64]| index(i).unsqueeze(1);
    let logits = |i: &[i64]| index(i).cast::<u32>();
    let some = ClassLoss::default().ignore(7);
    // The index has the shape that the user gave it.
    for (value, by, position, found, bound) in [
        (
            x.index_select(0, index(&[0, -3, 3, 7])),
            "index_select with indices of shape [4]",
            2,
            3,
            3,
        ),
        (
            x.index_select(1, index(&[-5, 4])),
            "index_select with indices of shape [2]",
            0,
            -5,
            4,
        ),
        (
            x.gather(0, column(&[2, 1, -4])),
            "gather with indices of shape [3, 1]",
            2,
            -4,
            3,
        ),
        (
            x.embedding(index(&[i64::MIN, i64::MAX]).unsqueeze(0)),
            "embedding with indices of shape [1, 2]",
            0,
            i64::MIN,
            3,
        ),
        (
            x.take(column(&[-12, 12])),
            "take with indices of shape [2, 1]",
            1,
            12,
            12,
        ),
        (
            x.scatter_add(0, column(&[0, 1, 2, 3]), 1.0),
            "scatter_add with indices of shape [4, 1]",
            3,
            3,
            3,
        ),
        (
            x.scatter(1, column(&[4, 0, 0]), 1.0),
            "scatter with indices of shape [3, 1]",
            0,
            4,
            4,
        ),
        (
            x.index_add(1, index(&[0, -5]), 1.0),
            "index_add with indices of shape [2]",
            1,
            -5,
            4,
        ),
        (
            index(&[0, 1, 5]).one_hot(5),
            "one_hot with indices of shape [3]",
            2,
            5,
            5,
        ),
        (
            x.nll(logits(&[0, 4, 0])),
            "nll with indices of shape [3]",
            1,
            4,
            4,
        ),
        (
            x.cross_entropy_by(logits(&[7, 4, 0]), some),
            "cross_entropy with indices of shape [3]",
            1,
            4,
            4,
        ),
        (
            x.nll_by(logits(&[7, 4, 0]), some),
            "nll with indices of shape [3]",
            1,
            4,
            4,
        ),
    ] {
        let expected = format!(
            "{by}: index {found} at position {position} is out of range for an axis of {bound} elements"
        );
        for _ in 0..2 {
            let error = value.value().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Index);
            let text = error.to_string();
            assert!(
                text.starts_with(&expected) && text.contains("indexing.rs:"),
                "{text}, not {expected}"
            );
        }
    }
    assert_eq!(
        (x * 2.0).sum().item()?,
        24.0,
        "what does not use them goes on"
    );
    let many = Array::<u32>::from_shape_fn([200_000], |i| if i[0] % 1000 == 777 { 9 } else { 1 });
    for threads in [1, 2, 4] {
        let options = retrograde::Options {
            threads,
            ..Default::default()
        };
        let inputs = (Array::<f64>::ones([3]), many.clone());
        let p = Program::try_record_with(&inputs, options, |_, (x, i)| {
            Ok(x.index_select(0, i).into())
        })?;
        let text = p
            .run(&mut p.workspace()?, (&inputs.0, &many))
            .unwrap_err()
            .to_string();
        assert!(text.contains("index 9 at position 777 "), "{text}");
    }
    Ok(())
}

#[test]
fn one_hot_and_masked_fill() -> Result<()> {
    let tape = Tape::new();
    let index = tape.constant(Array::from([[2u32, 0], [1, 2]]));
    let expected = Array::from_shape_fn([2, 2, 3], |i| {
        f64::from(u8::from([[2, 0], [1, 2]][i[0]][i[1]] == i[2]))
    });
    assert_eq!(index.one_hot::<f64>(3).value()?, expected);
    assert_eq!(
        index.one_hot::<bool>(3).value()?,
        expected.map(|x| x == 1.0)
    );
    assert_eq!(index.one_hot::<i64>(3).value()?, expected.map(|x| x as i64));
    let signed = tape.constant(Array::<i64>::from_slice(&[-1, 0, -3]));
    assert_eq!(
        signed.one_hot::<f64>(3).value()?,
        Array::from([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]),
        "negative indices count from the end, here as everywhere"
    );
    let x = tape.variable(Array::<f64>::from([[1.0, 2.0], [3.0, 4.0]]));
    let value = tape.variable(Array::<f64>::scalar(9.0));
    let mask = tape.constant(Array::from_slice(&[true, false]));
    let filled = x.masked_fill(mask, value);
    assert_eq!(filled.value()?, Array::from([[9.0, 2.0], [9.0, 4.0]]));
    (filled * filled).sum().backward()?;
    assert_eq!(x.grad()?, Array::from([[0.0, 4.0], [0.0, 8.0]]));
    assert_eq!(value.grad()?.item()?, 36.0);
    Ok(())
}

/// Whole slices added where an index repeats, elements by their number.
#[test]
fn index_add_and_take() -> Result<()> {
    let (x, source) = (samples(&[4, 3], (-1.0, 1.0)), samples(&[5, 3], (1.0, 2.0)));
    let index = [1i64, -1, 1, 0, 3];
    let mut expected = x.clone();
    for (j, &i) in index.iter().enumerate() {
        let row = i.rem_euclid(4) as usize;
        for k in 0..3 {
            expected.as_mut_slice()[row * 3 + k] += source.as_slice()[j * 3 + k];
        }
    }
    let tape = Tape::new();
    let v = tape.constant(x.clone());
    v.index_add(
        0,
        tape.constant(Array::from(index)),
        tape.constant(source.clone()),
    )
    .value()?
    .assert_close(&expected, 1e-15, 1e-15);
    let p = Program::try_record(&[x.clone(), source.clone()], |t, [x, source]| {
        let index = t.stack(&index.map(|i| t.scalar(i)), 0);
        let flat = t
            .stack(&[11u32, 0, 4, 4].map(|i| t.scalar(i)), 0)
            .reshape([2, 2]);
        let added = x.index_add(0, index, source);
        Ok((added.sin().sum() + added.take(flat).exp().sum()).into())
    })?;
    check_derivatives("index_add and take", &p, &[&x, &source])?;

    let picked = v.take(tape.constant(Array::from([[11u32, 0]])));
    assert_eq!(picked.value()?, Array::from([[x[[3, 2]], x[[0, 0]]]]));
    let outside = v.take(tape.constant(Array::from([12u32]))).value();
    assert!(outside.unwrap_err().to_string().contains("index 12"));
    let matrix = tape.constant(Array::from([[1u32]]));
    let wrong = v.index_add(0, matrix, 1.0).value().unwrap_err().to_string();
    assert!(
        wrong.contains("index_add") && wrong.contains("vector"),
        "{wrong}"
    );
    Ok(())
}
