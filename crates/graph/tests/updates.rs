//! Updates in place: what a step reads of old values it reads before they are overwritten, and a step that fails updates
//! nothing. Each rule here is run on fused and unfused programs, on one thread and two.

use retrograde_graph::{ErrorKind, Options, Params, Result, Tape, Update, UpdateRule, Var};
use retrograde_storage::Array;

type Recorded<'t> = (Var<'t, f32>, Vec<Var<'t, f32>>);
type Record = for<'a, 't> fn(Update<'a, 't, f32>) -> Recorded<'t>;

/// A rule as a function.
struct Rule {
    columns: usize,
    identity: u64,
    record: Record,
}

impl UpdateRule<f32> for Rule {
    fn columns(&self) -> usize {
        self.columns
    }
    fn identity(&self) -> u64 {
        self.identity
    }
    fn scalars(&self, _: u32, to: &mut Vec<f64>) {
        to.push(0.25);
    }
    fn update<'t>(&self, of: Update<'_, 't, f32>) -> Recorded<'t> {
        (self.record)(of)
    }
}

/// Every way to compile and run.
fn everywhere(mut test: impl FnMut(&mut Tape) -> Result<()>) -> Result<()> {
    for fuse in [true, false] {
        for threads in [1, 2] {
            test(&mut Tape::with_options(Options {
                fuse,
                threads,
                ..Options::default()
            }))?;
        }
    }
    Ok(())
}

const SIZES: [usize; 3] = [3, 100, 70_000];

fn ramp(n: usize, from: f32) -> Array<f32> {
    Array::from_shape_fn([n], |i| from + i[0] as f32 / 8.0)
}

/// One step on `sum(a * b)` with two parameters; their values afterwards, and their state.
fn step(tape: &mut Tape, rule: &Rule, n: usize) -> Result<[Vec<f32>; 3]> {
    let mut params = Params::new();
    let a = params.insert("a", ramp(n, 1.0));
    let b = params.insert("b", ramp(n, -3.0));
    let rec = tape.train(&mut params);
    let loss = (rec.param::<f32>(a) * rec.param::<f32>(b)).sum();
    loss.minimise_with(rule)?;
    let state = params.state(0).map_or(Vec::new(), <[f32]>::to_vec);
    Ok([
        params.slice(a)?.to_vec(),
        params.slice(b)?.to_vec(),
        state[..if state.is_empty() { 0 } else { n }].to_vec(),
    ])
}

fn old(n: usize) -> (Vec<f32>, Vec<f32>) {
    (ramp(n, 1.0).into_vec(), ramp(n, -3.0).into_vec())
}

/// The gradient of each parameter is the other's old value, so each update reads what the other overwrites.
#[test]
fn updates_that_read_each_other() -> Result<()> {
    let swap = Rule {
        columns: 0,
        identity: 1,
        record: |of| (of.grad, Vec::new()),
    };
    let descend = Rule {
        columns: 0,
        identity: 2,
        record: |of| (of.value - of.scalars[0] * of.grad, Vec::new()),
    };
    // Does not read what it overwrites, which the other update may then read too late.
    let halve = Rule {
        columns: 0,
        identity: 3,
        record: |of| (of.grad * 0.5, Vec::new()),
    };
    for n in SIZES {
        let (a, b) = old(n);
        let each = |f: fn(f32, f32) -> f32| -> [Vec<f32>; 2] {
            let pairs = || a.iter().zip(&b);
            [
                pairs().map(|(&a, &b)| f(a, b)).collect(),
                pairs().map(|(&a, &b)| f(b, a)).collect(),
            ]
        };
        everywhere(|tape| {
            assert_eq!(step(tape, &swap, n)?[..2], each(|_, g| g));
            assert_eq!(step(tape, &descend, n)?[..2], each(|w, g| w - 0.25 * g));
            assert_eq!(step(tape, &halve, n)?[..2], each(|_, g| g * 0.5));
            Ok(())
        })?;
    }
    Ok(())
}

/// State that is the old value, as it is or computed from it after the new one.
#[test]
fn state_that_keeps_the_old_value() -> Result<()> {
    let keeps = Rule {
        columns: 1,
        identity: 1,
        record: |of| (of.value - of.scalars[0] * of.grad, vec![of.value]),
    };
    let doubles = Rule {
        columns: 1,
        identity: 2,
        record: |of| {
            let next = of.grad * 0.5;
            (next, vec![of.value * 2.0 + next])
        },
    };
    for n in SIZES {
        let (a, b) = old(n);
        everywhere(|tape| {
            let [next, _, state] = step(tape, &keeps, n)?;
            assert_eq!(state, a);
            assert!(
                next.iter()
                    .zip(&a)
                    .zip(&b)
                    .all(|((&x, a), b)| x == a - 0.25 * b)
            );
            let [next, _, state] = step(tape, &doubles, n)?;
            let expected = a.iter().zip(&b).map(|(a, b)| a * 2.0 + b * 0.5);
            assert!(state.into_iter().eq(expected));
            assert!(next.iter().zip(&b).all(|(&x, b)| x == b * 0.5));
            Ok(())
        })?;
    }
    Ok(())
}

/// Parameters that are rows' own numbers, in a group with the rows.
#[test]
fn columns_are_updated_once() -> Result<()> {
    let rule = Rule {
        columns: 0,
        identity: 1,
        record: |of| (of.value - of.scalars[0] * of.grad, Vec::new()),
    };
    for (rows, row) in [(5, 7), (3, 40_000), (900, 33)] {
        let x = Array::from_shape_fn([rows, row], |i| ((i[0] + 3 * i[1]) % 5) as f32);
        let start = ramp(rows, 0.5).reshape([rows, 1])?;
        everywhere(|tape| {
            let mut params = Params::new();
            let w = params.insert("w", start.clone());
            let rec = tape.train(&mut params);
            let (x, v) = (rec.input(&x), rec.param::<f32>(w));
            ((x * v).sum() + (x + v).sum_over(1).sum()).minimise_with(&rule)?;
            for (r, &found) in params.slice(w)?.iter().enumerate() {
                let sum: f32 = (0..row).map(|i| ((r + 3 * i) % 5) as f32).sum();
                assert_eq!(found, 0.5 + r as f32 / 8.0 - 0.25 * (sum + row as f32));
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// An index that is only found wrong by the update itself.
#[test]
fn a_rule_that_fails_updates_nothing() -> Result<()> {
    let rule = Rule {
        columns: 1,
        identity: 1,
        record: |of| {
            let index = (of.value * 0.0 + 2.0).powi(7).cast::<u32>();
            (of.value.gather(0, index), vec![of.state[0] + of.grad])
        },
    };
    everywhere(|tape| {
        let mut params = Params::new();
        let w = params.insert("w", ramp(50, 1.0));
        let u = params.insert("u", ramp(200, 1.0));
        let (before, mut run) = (params.values().to_vec(), || -> Result<f32> {
            let rec = tape.train(&mut params);
            (rec.param::<f32>(w).sum() + rec.param::<f32>(u).sum()).minimise_with(&rule)
        });
        assert_eq!(run().map_err(|e| e.kind()), Err(ErrorKind::Index));
        assert_eq!(params.values(), before);
        assert!(params.state(0).is_some_and(|s| s.iter().all(|&x| x == 0.0)));
        Ok(())
    })
}

/// One step on `sum(w)`, with a second parameter that the loss does not see.
fn plain(tape: &mut Tape, params: &mut Params, rule: &Rule) -> Result<f32> {
    let w = params.find("w").expect("inserted");
    let rec = tape.train(params);
    // A literal and a stream of the recording's own stand before the rule's.
    let noise = rec.rng(7).uniform([4], 0.25, 0.5) * 0.0;
    (rec.param::<f32>(w) + noise).sum().minimise_with(rule)
}

fn table() -> Params {
    let mut params = Params::new();
    params.insert("w", ramp(4, 1.0));
    params.insert("other", ramp(4, -7.0));
    params
}

/// What a rule records besides its arguments is there in later steps too, which compile nothing.
#[test]
fn rules_with_literals_streams_and_other_parameters() -> Result<()> {
    let rule = Rule {
        columns: 0,
        identity: 1,
        record: |of| {
            let rec = of.value.rec();
            let noise = rec.rng(3).normal([4], 0.0, 0.125);
            let other = rec.param::<f32>(second());
            (of.value - of.grad * 0.3 + other * 0.7 + noise, Vec::new())
        },
    };
    let (mut params, mut tape) = (table(), Tape::new());
    let mut draws: Vec<f32> = Vec::new();
    for step in 0..4 {
        let before = params.values().to_vec();
        plain(&mut tape, &mut params, &rule)?;
        let other = ramp(4, -7.0);
        for (i, x) in params
            .slice(params.find("w").expect("inserted"))?
            .iter()
            .enumerate()
        {
            let expected = before[i] - 0.3 + other.as_slice()[i] * 0.7;
            assert!(
                (x - expected).abs() < 1.0,
                "step {step}: {x} is not near {expected}"
            );
            draws.push(x - expected);
        }
        assert_eq!(tape.cache_stats().misses, 1);
    }
    draws.sort_by(f32::total_cmp);
    assert!(
        draws.windows(2).all(|d| d[0] != d[1]),
        "each step draws anew: {draws:?}"
    );
    Ok(())
}

/// The second parameter of [`table`], for rules, which are functions without surroundings.
fn second() -> retrograde_graph::Param {
    table().find("other").expect("inserted")
}

#[test]
fn rules_that_cannot_be_run() {
    let cases: [(usize, Record, ErrorKind, &str); 4] = [
        (
            0,
            |of| (of.grad.sum(), Vec::new()),
            ErrorKind::Shape,
            "\"w\" has shape [], expected [4]",
        ),
        (
            1,
            |of| {
                (
                    of.value,
                    vec![of.value.rec().concat(&[of.value, of.value], 0)],
                )
            },
            ErrorKind::Shape,
            "has shape [8]",
        ),
        (
            1,
            |of| (of.value, Vec::new()),
            ErrorKind::Inputs,
            "returned 0 state values, but the rule has 1",
        ),
        (
            0,
            |of| {
                let data = of.value.rec().input(&[1.0f32; 4][..]);
                (of.value - data, Vec::new())
            },
            ErrorKind::Inputs,
            "cannot record data",
        ),
    ];
    for (columns, record, kind, text) in cases {
        let rule = Rule {
            columns,
            identity: 1,
            record,
        };
        let (mut params, mut tape) = (table(), Tape::new());
        let before = params.values().to_vec();
        let error = plain(&mut tape, &mut params, &rule).expect_err(text);
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(params.values(), before);
        let good = Rule {
            columns,
            identity: 2,
            record: |of| (of.value - of.grad, of.state.to_vec()),
        };
        plain(&mut tape, &mut params, &good).expect("the tape goes on");
        assert!(
            params.values()[..4]
                .iter()
                .zip(&before)
                .all(|(x, y)| *x == y - 1.0)
        );
    }
}

/// A rule whose number of scalars changes is refused before anything is read beyond them.
#[test]
fn scalars_are_always_as_many() -> Result<()> {
    struct Shrinks(std::cell::Cell<usize>);
    impl UpdateRule<f32> for Shrinks {
        fn columns(&self) -> usize {
            0
        }
        fn identity(&self) -> u64 {
            1
        }
        fn scalars(&self, _: u32, to: &mut Vec<f64>) {
            to.extend((0..self.0.get()).map(|i| i as f64));
        }
        fn update<'t>(&self, of: Update<'_, 't, f32>) -> Recorded<'t> {
            (of.value - of.scalars[1] * of.grad, Vec::new())
        }
    }
    let (rule, mut tape, mut params) = (Shrinks(2.into()), Tape::new(), table());
    let w = params.find("w").expect("inserted");
    let mut run = |params: &mut Params| {
        let rec = tape.train(params);
        rec.param::<f32>(w).sum().minimise_with(&rule)
    };
    run(&mut params)?;
    let before = params.values().to_vec();
    rule.0.set(1);
    let error = run(&mut params).expect_err("one scalar is missing");
    assert!(
        error.to_string().contains("1 scalars, but had 2"),
        "{error}"
    );
    assert_eq!(params.values(), before);
    Ok(())
}
