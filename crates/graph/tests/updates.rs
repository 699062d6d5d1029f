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
    fn scalars(&self, _: u32) -> Vec<f64> {
        vec![0.25]
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
