//! What cannot be batched, and what the error says.

use retrograde::ErrorKind;
use retrograde::prelude::*;

fn refused(made: Result<Program>, kind: ErrorKind, says: &[&str]) {
    let error = made.expect_err("a mistake");
    assert_eq!(error.kind(), kind, "{error}");
    for part in says {
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn of_programs() -> Result<()> {
    let x = [Array::<f64>::ones([2, 3]), Array::<f64>::ones([3])];
    let f = Program::record(&x, |_, [x, y]| x.matmul(y))?;
    refused(
        f.vmap(4, &[Some(0)]),
        ErrorKind::Inputs,
        &["2 inputs", "axes for 1"],
    );
    refused(
        f.vmap(4, &[None, None]),
        ErrorKind::Inputs,
        &["every input is shared"],
    );
    refused(
        f.vmap(4, &[Some(0), Some(2)]),
        ErrorKind::Axis,
        &["input 1", "0 to 1", "not to 2"],
    );
    refused(
        f.vmap(4, &[Some(-4), None]),
        ErrorKind::Axis,
        &["input 0", "not to -4"],
    );
    refused(
        f.vmap_to(4, &[Some(0), None], &[]),
        ErrorKind::Inputs,
        &["1 outputs", "axes for 0"],
    );
    refused(
        f.vmap_to(4, &[Some(0), None], &[Some(5)]),
        ErrorKind::Axis,
        &["output 0", "not to 5"],
    );
    refused(
        f.vmap_to(4, &[Some(0), None], &[None]),
        ErrorKind::Axis,
        &["output 0 differs"],
    );
    // A batch of another extent than the program is for.
    let four = f.vmap(4, &[Some(0), None])?;
    let mut ws = four.workspace()?;
    let error = four
        .run(&mut ws, [&Array::<f64>::ones([5, 2, 3]), &x[1]])
        .unwrap_err();
    assert!(
        error.to_string().contains("input 0 is [5, 2, 3]"),
        "{error}"
    );
    // No room.
    let deep = [Array::<f64>::ones([1; 8])];
    let f = Program::record(&deep, |_, [x]| x.sum())?;
    refused(
        f.vmap(2, &[Some(0)]),
        ErrorKind::Shape,
        &["the largest rank is 8"],
    );
    let f = Program::record(&[Array::<f64>::ones([2])], |_, [x]| {
        x.reshape([1, 1, 1, 1, 1, 1, 1, 2]).sin().sum()
    })?;
    refused(
        f.vmap(2, &[Some(0)]),
        ErrorKind::Shape,
        &[
            "reshape of [1, 1, 1, 1, 1, 1, 1, 2] f64",
            "rank 9",
            "mistakes.rs",
        ],
    );
    // Nor where the samples have less axes than what is shared.
    let both = [Array::<f64>::ones([2]), Array::<f64>::ones([1; 8])];
    let g = Program::record(&both, |_, [x, y]| x.gt(y).select(x, y).sum())?;
    refused(
        g.vmap(2, &[Some(0), None]),
        ErrorKind::Shape,
        &[
            "gt of [1, 1, 1, 1, 1, 1, 1, 2] bool",
            "rank 9",
            "mistakes.rs",
        ],
    );
    refused(
        f.vmap(usize::MAX / 4, &[Some(0)]),
        ErrorKind::Shape,
        &["memory"],
    );
    Ok(())
}

#[test]
fn while_recording() -> Result<()> {
    let tape = Tape::new();
    let t = tape.rec();
    let (x, y) = (t.ones::<f64>([2, 3]), t.ones::<f64>([3]));
    let says = |v: Var<'_, f64>, part: &str| {
        let error = v.value().expect_err("a mistake");
        assert!(error.to_string().contains(part), "{error}");
        assert!(error.to_string().contains("mistakes.rs"), "{error}");
    };
    says(
        t.vmap([x.sum(), x.sum()], |[x, y]| x + y),
        "vmap of [] f64 and [] f64: input 0: axis 0 is out of range",
    );
    says(
        t.vmap((x, y), |(x, y)| x.sum() + y),
        "input 1 has 3 samples along axis 0, but input 0 has 2",
    );
    says(t.vmap((), |()| x), "there are no inputs");
    says(
        t.vmap_along(&[0, 1], &[], x, |x| x),
        "axes for 2 inputs are given, but there are 1",
    );
    says(t.vmap_along(&[], &[4], x, |x| x), "output 0: a new axis");
    // Other values are as they were.
    assert_eq!(t.vmap(x, |x| x.sum()).to_vec()?, [3.0, 3.0]);
    // Samples cannot be read.
    let mut read = None;
    t.vmap(x, |x| {
        read = Some(x.sum().gt(1.0).item());
        x
    });
    assert!(read.expect("called").is_err());
    says(
        t.vmap(x, |x| x.masked_select(x.gt(0.0)).sum()),
        "masked_select reads its mask: a value of the body of a loop or a batch has no value of its own",
    );
    says(t.vmap(x, |x| x.unique().sum()), "masked_select reads");
    // Of another tape.
    let other = Tape::new();
    says(other.rec().vmap(x, |x| x), "belongs to another tape");
    Ok(())
}

/// A matrix of one sample: its number is in the batch, of gradients too; other samples are no help.
#[test]
fn one_bad_matrix() -> Result<()> {
    let matrices = Array::from([[[2.0, 1.0], [1.0, 2.0]], [[1.0, 2.0], [2.0, 4.0]]]);
    type Build = for<'t> fn(Var<'t, f64>) -> Var<'t, f64>;
    let table: [(&str, Build); 3] = [
        (
            "cholesky of [2, 2, 2] f64: matrix 1 is not positive definite: pivot 1 of 2",
            |a| a.cholesky(),
        ),
        (
            "inverse of [2, 2, 2] f64: matrix 1 is singular: pivot 1 of 2",
            |a| a.inverse(),
        ),
        (
            "solve of [2, 2, 2] f64: matrix 1 is singular: pivot 1 of 2",
            |a| a.solve(a.at(0, 0)),
        ),
    ];
    for (says, build) in table {
        let f = Program::record(&[Array::<f64>::zeros([2, 2])], |_, [a]| build(a).sum())?;
        for p in [
            f.vmap(2, &[Some(0)])?,
            f.value_and_grad()?.vmap(2, &[Some(0)])?,
        ] {
            let error = p.run(&mut p.workspace()?, [&matrices]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Singular);
            let text = error.to_string();
            assert!(
                text.starts_with(says) && text.contains("mistakes.rs"),
                "{text}"
            );
        }
    }
    Ok(())
}

/// A batch of none is empty, and its gradient zero.
#[test]
fn of_no_samples() -> Result<()> {
    let x = [Array::<f64>::ones([2, 3]), Array::<f64>::ones([3])];
    let f = Program::record(&x, |t, [x, y]| {
        let (c, path) = t.scan(y, x, |c, x| (c * x, c + x));
        (c + path.sum_over(0)).max()
    })?;
    let mapped = f.vmap(0, &[Some(0), None])?.vjp()?;
    let mut ws = mapped.workspace()?;
    let out = mapped.run(
        &mut ws,
        [
            &Array::<f64>::ones([0, 2, 3]),
            &x[1],
            &Array::<f64>::ones([0]),
        ],
    )?;
    assert_eq!(out.array::<f64>(0)?.shape(), [0]);
    assert_eq!(out.array::<f64>(1)?.shape(), [0, 2, 3]);
    assert_eq!(out.array::<f64>(2)?, Array::<f64>::zeros([3]));
    Ok(())
}

/// What a program read while it was recorded must hold for every sample.
#[test]
fn guards_hold_for_all_samples() -> Result<()> {
    let f = Program::try_record(&[Array::<f64>::from([1.0, 2.0])], |_, [x]| {
        Ok(if x.sum().gt(0.0).item()? {
            x.sin()
        } else {
            x.cos()
        }
        .into())
    })?;
    let two = f.vmap(2, &[Some(0)])?;
    let mut ws = two.workspace()?;
    assert!(
        two.run(&mut ws, [&Array::from([[1.0, 2.0], [3.0, 4.0]])])
            .is_ok()
    );
    let error = two
        .run(&mut ws, [&Array::from([[1.0, 2.0], [-3.0, -4.0]])])
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Guard, "{error}");
    assert!(error.to_string().contains("mistakes.rs"), "{error}");
    Ok(())
}
