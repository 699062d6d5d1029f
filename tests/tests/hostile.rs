//! Nonsense through the public API: errors, never panics (contract 4). A panic anywhere fails the test by itself. And
//! sense: any few calls agree in every engine (contract 2).

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use retrograde::Options;
use retrograde::prelude::*;
use retrograde_tests::bits::{first_difference_of_all, first_distance};
use retrograde_tests::calls::{NUMBERS, SHAPES, Step, results};
use retrograde_tests::variants::variants;
use retrograde_tests::{cases, explores};

/// Shapes of two operands, and calls.
type Calls = ([u8; 2], Vec<Step>);

fn try_calls(few: u32, seed: u64, test: impl Fn(&Calls) -> Result<(), TestCaseError>) {
    let config = Config {
        cases: cases(few),
        rng_seed: if explores() {
            RngSeed::Random
        } else {
            RngSeed::Fixed(seed)
        },
        failure_persistence: None,
        ..Config::default()
    };
    let step = (any::<[u8; 3]>(), any::<[u8; 3]>());
    let programs = (any::<[u8; 2]>(), proptest::collection::vec(step, 1..6));
    let outcome = TestRunner::new(config).run(&programs, |calls| test(&calls));
    if let Err(e) = outcome {
        panic!("{e}");
    }
}

#[test]
fn no_call_panics() {
    try_calls(1500, 3, |(shapes, steps)| {
        let tape = Tape::new();
        let [x, y] = shapes.map(|s| {
            let shape = SHAPES[usize::from(s) % SHAPES.len()];
            tape.variable(Array::from_shape_fn(shape.to_vec(), |i| {
                i.iter().sum::<usize>() as f64
            }))
        });
        for v in results([x, y], steps, &NUMBERS, |_| false) {
            // All answers are fine, errors among them.
            let (shape, value) = (v.shape(), v.value());
            if let (Ok(shape), Ok(value)) = (&shape, &value) {
                prop_assert_eq!(shape.as_slice(), value.shape());
            }
            prop_assert!(shape.is_ok() || value.is_err(), "a value without a shape");
            drop((v.item(), v.backward(), v.sum().backward(), v.grad()));
            drop(v.backward_with(&Array::<f64>::ones([2])));
            for g in v.sum().grad_of([x, y]) {
                drop(g.value());
            }
        }
        drop(format!("{tape:?}"));
        Ok(())
    });
}

/// Numbers that calls mostly have a use for.
const SENSIBLE: [isize; 8] = [0, 1, 2, 3, -1, -2, 1, 2];

/// Draws differ from run to run, and shapes that depend on values are for tapes alone.
fn of_tapes(op: u8) -> bool {
    matches!(op, 56..=59 | 101 | 102)
}

/// Those results that are `good`, and the gradients of their sum.
fn outputs<'t>(
    operands: [Var<'t, f64>; 2],
    steps: &[Step],
    good: &[usize],
    checkpoint: bool,
) -> Result<Vec<Var<'t, f64>>> {
    let made = || {
        let made = results(operands, steps, &SENSIBLE, of_tapes);
        good.iter().map(|&i| made[i]).collect::<Vec<_>>()
    };
    let rec = operands[0].rec();
    let mut all = if checkpoint {
        rec.checkpoint(made)
    } else {
        made()
    };
    let loss = all
        .iter()
        .fold(rec.scalar(0.0), |sum, v| sum + v.tanh().sum());
    all.extend(loss.grad_of(operands));
    Ok(all)
}

/// The same calls, those that a tape has values of, with gradients: the same bits however compiled, within a checkpoint
/// too, and near those of the tape.
#[test]
fn calls_agree_in_every_engine() {
    let samples = |shape: u8, phase: f64| {
        let shape = SHAPES[usize::from(shape) % SHAPES.len()].to_vec();
        let mut k = phase;
        Array::from_shape_fn(shape, |_| {
            k += 1.0;
            (k * 0.618_033_988_749_895_f64).fract() * 3.0 - 1.0
        })
    };
    try_calls(150, 5, |(shapes, steps)| {
        let inputs = [samples(shapes[0], 0.0), samples(shapes[1], 100.0)];
        let tape = Tape::new();
        let operands = inputs.each_ref().map(|x| tape.variable(x.clone()));
        let made = results(operands, steps, &SENSIBLE, of_tapes);
        let good = (0..made.len()).filter(|&i| made[i].value().is_ok());
        let good: Vec<usize> = good.collect();
        let by_run: Result<Vec<Array<f64>>> = outputs(operands, steps, &good, false)
            .and_then(|all| all.into_iter().map(Var::value).collect());
        let Ok(by_run) = by_run else {
            // The gradient of the determinant of a matrix without an inverse, say.
            return Ok(());
        };
        let run = |options: Options, checkpoint: bool| {
            let p = Program::try_record_with(&inputs, options, |_, operands| {
                Ok(outputs(operands, steps, &good, checkpoint)?.into())
            });
            p.and_then(|p| retrograde_tests::derivatives::run(&p, &inputs.each_ref()))
                .map_err(|e| TestCaseError::fail(e.to_string()))
        };
        let expected = run(Options::default(), false)?;
        if let Some(distance) = first_distance(&by_run, &expected, 1e-9) {
            return Err(TestCaseError::fail(format!("tape: {distance}")));
        }
        let all = variants()
            .into_iter()
            .map(|(name, options)| (name, options, false));
        for (name, options, checkpoint) in all.chain([("checkpoint", Options::default(), true)]) {
            let found = run(options, checkpoint)?;
            if let Some(difference) = first_difference_of_all(&expected, &found) {
                return Err(TestCaseError::fail(format!("{name}: {difference}")));
            }
        }
        Ok(())
    });
}

/// Shapes and sizes no machine has room for.
#[test]
fn impossible_sizes_are_errors() {
    let tape = Tape::new();
    let huge = usize::MAX;
    for (v, kind) in [
        (tape.rec().zeros::<f64>([huge]), ErrorKind::Shape),
        (tape.rec().zeros::<f64>([huge, 2]), ErrorKind::Shape),
        (tape.rec().arange::<f64>(huge), ErrorKind::Shape),
        (tape.rec().eye::<f64>(huge), ErrorKind::Shape),
        (tape.variable(Array::<f64>::zeros([huge])), ErrorKind::Shape),
        (tape.rec().zeros::<f64>([1 << 50]), ErrorKind::Memory),
        (tape.rec().ones::<f64>([1 << 58]), ErrorKind::Memory),
        (
            tape.rec().ones::<f64>([1 << 29, 1 << 29]).exp(),
            ErrorKind::Memory,
        ),
    ] {
        let error = v.value().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    assert!(Array::<f64>::zeros([huge]).check().is_err());
    assert!(Array::<f64>::try_zeros([huge]).is_err());
}

#[test]
fn programs_refuse_what_they_do_not_have() -> Result<()> {
    let x = Array::<f64>::ones([3]);
    let p = Program::record(&[x.clone()], |_, [x]| x.exp())?;
    assert_eq!(p.grad().unwrap_err().kind(), ErrorKind::Seed);
    assert_eq!(p.hvp().unwrap_err().kind(), ErrorKind::Seed);
    assert_eq!(p.output(1).unwrap_err().kind(), ErrorKind::Inputs);
    assert_eq!(
        p.value_and_grad_of(&[0]).unwrap_err().kind(),
        ErrorKind::Seed
    );
    assert!(p.output_shape(9).is_none() && p.input_shape(9).is_none());
    let mut ws = p.workspace()?;
    let out = p.run(&mut ws, [&x])?;
    assert_eq!(out.array::<f64>(1).unwrap_err().kind(), ErrorKind::Inputs);
    assert_eq!(out.array::<f32>(0).unwrap_err().kind(), ErrorKind::DType);
    assert!(out.item::<f64>(0).is_err(), "three elements are no item");
    let none = Program::try_record(&[x.clone()], |_, [_]| Ok(Vec::<Var<'_, f64>>::new().into()))?;
    assert_eq!(none.grad().unwrap_err().kind(), ErrorKind::Inputs);
    assert_eq!(none.run(&mut none.workspace()?, [&x])?.len(), 0);
    let backward = Program::try_record(&[x.clone()], |_, [x]| {
        x.sum().backward()?;
        Ok(x.into())
    });
    assert_eq!(backward.unwrap_err().kind(), ErrorKind::Unknown);
    Ok(())
}
