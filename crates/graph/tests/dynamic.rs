//! Programs that re-record, against define-by-run on the same inputs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use proptest::prelude::*;
use retrograde_graph::{
    Dynamic, DynamicWorkspace, ErrorKind, Options, Outs, Program, Result, Tape, Var, Workspace,
};
use retrograde_storage::{Array, Create};

/// A loop whose trips depend on data, nested branches, a count that indexes: gives the value.
fn branchy(x: Var<'_, f64>) -> Result<Var<'_, f64>> {
    let mut b = x * 2.0;
    while b.square().sum().lt(1000.0).item()? {
        b = b * 1.7 + 0.1;
    }
    let first = b.at(0, 0);
    let y = if first.gt(0.0).item()? {
        if b.sum().gt(30.0).item()? {
            b.sin() * x
        } else {
            b.exp().sum() + x * x
        }
    } else {
        100.0 * b
    };
    // An integer: how many elements are positive.
    let positive = x.gt(0.0).cast::<f64>().sum().cast::<u32>().item()?;
    Ok(y.sum() * (f64::from(positive) + 0.5))
}

fn record(example: &Array<f64>) -> Result<Dynamic> {
    Program::record_dynamic(&[example.clone()], |_, [x]| Ok(branchy(x)?.into()))
}

/// Value and gradient by a tape.
fn by_run(x: &Array<f64>) -> Result<(f64, Array<f64>)> {
    let tape = Tape::new();
    let v = tape.variable(x.clone());
    let y = branchy(v)?;
    y.backward()?;
    Ok((y.item()?, v.grad()?))
}

fn check(f: &Dynamic, ws: &mut DynamicWorkspace, x: &Array<f64>) -> Result<()> {
    let out = f.run(ws, [x])?;
    let (value, gradient) = by_run(x)?;
    assert_eq!(out.item::<f64>(0)?.to_bits(), value.to_bits(), "{x:?}");
    let bits = |a: &[f64]| a.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(out.slice(1)?), bits(gradient.as_slice()), "{x:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn equals_define_by_run(inputs in prop::collection::vec(prop::collection::vec(-60.0f64..60.0, 3), 1..8)) {
        let f = record(&Array::from_slice(&inputs[0])).unwrap().value_and_grad().unwrap();
        let mut ws = f.workspace();
        for _ in 0..2 {
            for x in &inputs {
                check(&f, &mut ws, &Array::from_slice(x)).unwrap();
            }
        }
        let stats = f.stats();
        prop_assert_eq!(stats.runs, 2 * inputs.len() as u64);
        prop_assert!(stats.recorded < inputs.len() as u64, "the second round met no new path");
    }
}

#[test]
fn any_bound_is_right() -> Result<()> {
    let x = |k: f64| Array::from_slice(&[k, -0.5 * k, 0.01]);
    for traces in [0, 1, 2] {
        let f = Program::record_dynamic_with(
            &[x(1.0)],
            Options::default(),
            traces,
            |_, [x]: [Var<'_, f64>; 1]| Ok(branchy(x)?.into()),
        )?;
        let f = f.value_and_grad()?;
        let mut ws = f.workspace();
        for k in [1.0, -3.0, 0.2, 0.2, 1.0, -3.0, 40.0] {
            check(&f, &mut ws, &x(k))?;
        }
        let stats = f.stats();
        assert_eq!((stats.runs, stats.held), (7, traces));
        assert!(stats.unheld > 0);
    }
    Ok(())
}

#[test]
fn statistics_by_line() -> Result<()> {
    let line = line!() + 3;
    let f = Program::record_dynamic(&[Array::<f64>::scalar(1.0)], |_, [x]| {
        let mut b = x;
        while b.lt(100.0).item()? {
            b = b * 10.0;
        }
        Ok(b.into())
    })?;
    let mut ws = f.workspace();
    let mut run = |x: f64| -> Result<f64> { f.run(&mut ws, [&Array::scalar(x)])?.item(0) };
    assert_eq!(run(1.0)?, 100.0); // three values read
    assert_eq!(run(1.0)?, 100.0);
    assert_eq!(run(2.0)?, 200.0);
    assert_eq!(run(20.0)?, 200.0); // fails at the second, is recorded
    assert_eq!(run(1.0)?, 100.0); // fails at the second of the shorter path
    let stats = f.stats();
    assert_eq!(
        (stats.runs, stats.recorded, stats.held, stats.unheld),
        (5, 1, 2, 0)
    );
    let [guard] = stats.guards.as_slice() else {
        panic!("{stats}")
    };
    assert_eq!(guard.location.line(), line);
    // Four runs of three, one of two, and two failures that had passed one each.
    assert_eq!((guard.hits, guard.misses), (4 * 3 + 2 + 2, 2));
    let text = stats.to_string();
    assert!(text.starts_with("5 runs, 2 traces held, 1 recorded while running, 0 without room"));
    assert!(text.contains(&format!("dynamic.rs:{line}")), "{text}");
    assert_eq!(f.traces().count(), 2);
    Ok(())
}

#[test]
fn other_shapes_are_other_paths() -> Result<()> {
    let f = Program::record_dynamic(&[Array::<f64>::arange(3)], |_, [x]| {
        Ok((x * x).sum().into())
    })?
    .value_and_grad()?;
    let mut ws = f.workspace();
    for n in [3, 5, 0, 3, 5] {
        let x = Array::<f64>::arange(n);
        let out = f.run(&mut ws, [&x])?;
        assert_eq!(out.array::<f64>(1)?, 2.0 * x);
    }
    assert_eq!(f.stats().recorded, 2);
    Ok(())
}

#[test]
fn an_error_on_a_branch_not_taken_does_not_hide_it() -> Result<()> {
    fn pick<'t>(x: Var<'t, f64>, i: Var<'t, u32>) -> Result<Outs<'t>> {
        // With a bad index, only the first branch may gather.
        let taken = x.sum().gt(0.0).item()?;
        Ok(if taken { x.gather(0, i).sum() } else { x.sum() }.into())
    }
    let example = (Array::<f64>::from([1.0, 2.0]), Array::from_slice(&[1u32]));
    let bad = Array::from_slice(&[7u32]);
    let minus = -example.0.clone();

    let plain = Program::try_record(&example, |_, (x, i)| pick(x, i))?;
    let mut ws = plain.workspace()?;
    let error = plain.run(&mut ws, (&minus, &bad)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Guard, "{error}");
    assert!(error.to_string().contains("dynamic.rs"), "{error}");
    assert!(
        error
            .to_string()
            .contains("read as false, recorded as true"),
        "{error}"
    );
    let error = plain.run(&mut ws, (&example.0, &bad)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Index, "the branch holds: {error}");

    let f = Program::record_dynamic(&example, |_, (x, i)| pick(x, i))?;
    let mut ws = f.workspace();
    assert_eq!(f.run(&mut ws, (&minus, &bad))?.item::<f64>(0)?, -3.0);
    let error = f.run(&mut ws, (&example.0, &bad)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Index, "{error}");
    assert_eq!(
        f.run(&mut ws, (&example.0, &example.1))?.item::<f64>(0)?,
        2.0
    );
    Ok(())
}

#[test]
fn an_error_in_what_a_branch_reads_is_that_error() -> Result<()> {
    let example = (Array::<f64>::from([1.0, 2.0]), Array::from_slice(&[1u32]));
    fn f<'t>(x: Var<'t, f64>, i: Var<'t, u32>) -> Result<Outs<'t>> {
        let taken = x.gather(0, i).sum().gt(1.5).item()?;
        Ok(if taken { x.sum() } else { -x.sum() }.into())
    }
    let bad = Array::from_slice(&[9u32]);
    let plain = Program::try_record(&example, |_, (x, i)| f(x, i))?;
    let error = plain
        .run(&mut plain.workspace()?, (&example.0, &bad))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Index, "{error}");
    let dynamic = Program::record_dynamic(&example, |_, (x, i)| f(x, i))?;
    let mut ws = dynamic.workspace();
    let error = dynamic.run(&mut ws, (&example.0, &bad)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Index, "{error}");
    assert_eq!(
        dynamic
            .run(&mut ws, (&example.0, &example.1))?
            .item::<f64>(0)?,
        3.0
    );
    Ok(())
}

#[test]
fn integers_are_compared_exactly() -> Result<()> {
    let large = (1i64 << 53) + 1;
    let example = [Array::from_slice(&[large])];
    let p = Program::try_record(&example, |_, [i]| {
        i.item()?;
        Ok(i.into())
    })?;
    let mut ws = p.workspace()?;
    assert_eq!(p.run(&mut ws, &example)?.item::<i64>(0)?, large);
    let error = p
        .run(&mut ws, [&Array::from_slice(&[large - 1])])
        .unwrap_err();
    let want = format!("read as {}, recorded as {large}", large - 1);
    assert!(error.to_string().contains(&want), "{error}");
    Ok(())
}

#[test]
fn random_branches_follow_the_run() -> Result<()> {
    let f = Program::record_dynamic(&[Array::<f64>::scalar(1.0)], |t, [x]| {
        let u = t.rng(7).uniform::<f64>([1], 0.0, 1.0).sum();
        Ok(if u.lt(0.5).item()? { x + u } else { x - u }.into())
    })?;
    let (mut ws, mut again) = (f.workspace(), f.workspace());
    let run =
        |ws: &mut DynamicWorkspace| -> Result<f64> { f.run(ws, [&Array::scalar(1.0)])?.item(0) };
    let first = (0..20).map(|_| run(&mut ws)).collect::<Result<Vec<_>>>()?;
    assert!(first.iter().any(|&x| x > 1.0) && first.iter().any(|&x| x < 1.0));
    // Each draw on its own branch: those below a half are added, others taken away.
    assert!(
        first
            .iter()
            .all(|x| (1.0..1.5).contains(x) || (0.0..=0.5).contains(x))
    );
    again.set_step(3);
    assert_eq!(run(&mut again)?, first[3]);
    again.set_step(11);
    again.set_repeat(true);
    assert_eq!(run(&mut again)?, first[11]);
    assert_eq!(run(&mut again)?, first[11]);
    Ok(())
}

#[test]
fn many_threads_share_traces() -> Result<()> {
    let recorded = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&recorded);
    let f = Program::record_dynamic(&[Array::<f64>::from([1.0, 1.0, 1.0])], move |_, [x]| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(branchy(x)?.into())
    })?
    .value_and_grad()?;
    let threads = 4;
    let start = Barrier::new(threads);
    std::thread::scope(|s| {
        for t in 0..threads {
            let (f, start) = (&f, &start);
            s.spawn(move || {
                let mut ws = f.workspace();
                start.wait();
                for i in 0..60 {
                    let k = [0.3, -2.0, 17.0, 90.0, -0.01][(i + t) % 5];
                    check(f, &mut ws, &Array::from_slice(&[k, 1.0, -1.0])).unwrap();
                }
            });
        }
    });
    let stats = f.stats();
    assert_eq!(stats.runs, 60 * threads as u64);
    assert!(
        stats.held <= 6,
        "a path that two threads meet at once is kept once: {stats}"
    );
    let recorded = recorded.load(Ordering::Relaxed) as u64;
    assert_eq!(recorded, stats.recorded + 1);
    Ok(())
}

#[test]
fn a_path_that_two_threads_meet_at_once_is_kept_once() -> Result<()> {
    // Whoever records after the first waits until the other records too.
    let (calls, both) = (AtomicUsize::new(0), Barrier::new(2));
    let f = Program::record_dynamic(&[Array::<f64>::scalar(1.0)], move |_, [x]| {
        if calls.fetch_add(1, Ordering::Relaxed) > 0 {
            both.wait();
        }
        Ok(if x.gt(0.0).item()? { x } else { -x }.into())
    })?;
    std::thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                let minus = Array::scalar(-3.0);
                let mut ws = f.workspace();
                let out = f.run(&mut ws, [&minus]).and_then(|o| o.item::<f64>(0));
                assert_eq!(out.unwrap(), 3.0);
            });
        }
    });
    let stats = f.stats();
    assert_eq!((stats.recorded, stats.held, stats.unheld), (2, 2, 0));
    Ok(())
}

#[test]
fn transforms_compose() -> Result<()> {
    fn cube(x: Var<'_, f64>) -> Var<'_, f64> {
        x * x * x
    }
    let f = Program::record_dynamic(&[Array::<f64>::scalar(2.0)], |_, [x]| {
        let y = cube(x);
        Ok(if x.gt(0.0).item()? { y } else { -y }.into())
    })?;
    let (two, minus, v) = (
        Array::<f64>::scalar(2.0),
        Array::scalar(-2.0),
        Array::scalar(0.5),
    );
    let hvp = f.hvp()?;
    let mut ws = hvp.workspace();
    assert_eq!(hvp.run(&mut ws, [&two, &v])?.item::<f64>(0)?, 6.0);
    assert_eq!(hvp.run(&mut ws, [&minus, &v])?.item::<f64>(0)?, 6.0);
    let jvp = f.jvp()?;
    let mut ws = jvp.workspace();
    assert_eq!(jvp.run(&mut ws, [&minus, &v])?.item::<f64>(1)?, -6.0);
    let vjp = f.vjp()?;
    let mut ws = vjp.workspace();
    assert_eq!(vjp.run(&mut ws, [&minus, &v])?.item::<f64>(1)?, -6.0);
    let second = f.grad()?.grad()?.output(0)?;
    let mut ws = second.workspace();
    assert_eq!(second.run(&mut ws, [&minus])?.item::<f64>(0)?, 12.0);
    Ok(())
}

#[test]
fn mistakes_are_errors() -> Result<()> {
    let x = Array::<f64>::arange(3);
    let f = Program::record_dynamic(&[x.clone()], |_, [x]| Ok((x * 2.0).into()))?;
    assert!(
        f.value_and_grad()
            .unwrap_err()
            .to_string()
            .contains("only a scalar has a gradient")
    );
    let other = Program::record_dynamic(&[x.clone()], |_, [x]| Ok(x.sum().into()))?;
    let error = f.run(&mut other.workspace(), [&x]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Foreign);
    let mut ws = f.workspace();
    let error = f.run(&mut ws, [&Array::<f32>::arange(3)]).unwrap_err();
    assert_eq!(error.to_string(), "input 0 is f32, the closure takes f64");
    let error = f.run(&mut ws, <[&Array<f64>; 0]>::default()).unwrap_err();
    assert_eq!(error.to_string(), "input 0 is missing: given were 0");
    let error = f.run(&mut ws, [&x, &x]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the program takes 1 inputs, given were 2"
    );
    let broken = Array::<f64>::zeros([usize::MAX, 2]);
    let error = f.run(&mut ws, [&broken]).unwrap_err();
    assert!(error.to_string().starts_with("input 0: "), "{error}");
    // What the closure refuses while it records is returned, and the workspace goes on.
    let f = Program::record_dynamic(&[x.clone()], |_, [x]| {
        if x.sum().gt(100.0).item()? {
            x.at(0, 4).sum().gt(0.0).item()?;
        }
        Ok(x.sum().into())
    })?;
    let mut ws = f.workspace();
    assert!(f.run(&mut ws, [&(50.0 * x.clone())]).is_err());
    assert_eq!(f.run(&mut ws, [&x])?.item::<f64>(0)?, 3.0);
    Ok(())
}

#[test]
fn what_may_cross_threads() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<Program>();
    shared::<Dynamic>();
    sent::<Workspace>();
    sent::<DynamicWorkspace>();
}
