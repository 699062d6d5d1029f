//! Created values, and random ones: what they are, that they repeat when told to and not otherwise, and that no level,
//! tile or thread count changes a bit of them.

use retrograde::Options;
use retrograde::prelude::*;
use retrograde_ops::Level;

#[test]
fn constants() -> Result<()> {
    let tape = Tape::new();
    let t = tape.rec();
    for shape in [vec![], vec![0], vec![3], vec![2, 0, 3], vec![17, 9]] {
        assert_eq!(t.zeros::<f64>(&shape).value()?, Array::<f64>::zeros(&shape));
        assert_eq!(t.ones::<f32>(&shape).value()?, Array::<f32>::ones(&shape));
        assert_eq!(
            t.full(&shape, 7u32).value()?,
            Array::from_shape_fn(&shape, |_| 7u32)
        );
        assert_eq!(
            t.full(&shape, -1i64).value()?,
            Array::from_shape_fn(&shape, |_| -1i64)
        );
        assert_eq!(
            t.full(&shape, true).value()?,
            Array::from_shape_fn(&shape, |_| true)
        );
    }
    for n in [0, 1, 2, 9, 17, 1030] {
        assert_eq!(
            t.arange::<i64>(n).value()?.into_vec(),
            (0..n as i64).collect::<Vec<_>>()
        );
        assert_eq!(
            t.arange::<f64>(n).value()?.into_vec(),
            (0..n).map(|i| i as f64).collect::<Vec<_>>()
        );
        let eye = Array::from_shape_fn([n.min(40), n.min(40)], |i| {
            f64::from(u8::from(i[0] == i[1]))
        });
        assert_eq!(t.eye::<f64>(n.min(40)).value()?, eye);
        let line = t.linspace(-1.5, 2.5, n).value()?;
        assert_eq!(line.shape(), [n]);
        if n > 1 {
            assert_eq!((line[0], line[n - 1]), (-1.5, 2.5), "the ends are exact");
            let expected = Array::from_shape_fn([n], |i| -1.5 + 4.0 * i[0] as f64 / (n - 1) as f64);
            line.assert_close(&expected, 0.0, 1e-15);
        }
    }
    Ok(())
}

const N: usize = 40_000;

fn draws(options: Options) -> Result<Program> {
    Program::try_record_with(&[] as &[Array<f64>; 0], options, |t, []| {
        let r = t.rng(7);
        let [a, b] = [
            r.uniform([N], -1.0, 3.0),
            r.normal([N / 4, 4], 2.0, 0.5).flatten(),
        ];
        let c = r.bernoulli([N], 0.3).cast();
        let d = r.randint::<i64>([N], -3, 4).cast();
        let e = r.permutation(N).cast();
        let f = t.ones::<f64>([N]).dropout(0.25, r);
        let g = r.normal::<f32>([N], 0.0, 1.0).cast();
        Ok([a, b, c, d, e, f, g].into())
    })
}

fn run(p: &Program, ws: &mut Workspace) -> Result<Vec<Array<f64>>> {
    let out = p.run(ws, &[] as &[&Array<f64>; 0])?;
    (0..out.len()).map(|i| out.array(i)).collect()
}

fn mean(x: &Array<f64>) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

/// Ranges, and means within five standard errors.
#[test]
fn random_values_are_what_they_are_named() -> Result<()> {
    let p = draws(Options::default())?;
    let [a, b, c, d, e, f, g] = run(&p, &mut p.workspace()?)?.try_into().expect("seven");
    let near = |x: &Array<f64>, expected: f64, deviation: f64| {
        let error = 5.0 * deviation / (N as f64).sqrt();
        assert!(
            (mean(x) - expected).abs() < error,
            "{} is not near {expected}",
            mean(x)
        );
    };
    assert!(a.iter().all(|x| (-1.0..3.0).contains(x)));
    near(&a, 1.0, 4.0 / 12f64.sqrt());
    near(&b, 2.0, 0.5);
    near(&b.map(|x: f64| (x - 2.0).powi(2)), 0.25, 0.25 * 2f64.sqrt());
    near(&c, 0.3, 0.46);
    assert!(
        d.iter()
            .all(|x| (-3.0..=3.0).contains(x) && x.fract() == 0.0)
    );
    near(&d, 0.0, 2.0);
    let mut sorted = e.clone().into_vec();
    sorted.sort_by(f64::total_cmp);
    assert!(
        sorted.iter().enumerate().all(|(i, &x)| x == i as f64),
        "each place once"
    );
    assert!(
        e.iter()
            .enumerate()
            .filter(|(i, x)| **x == *i as f64)
            .count()
            < 12,
        "and moved"
    );
    assert!(f.iter().all(|&x| x == 0.0 || x == 1.0 / 0.75));
    near(&f, 1.0, (0.25f64 / 0.75).sqrt());
    near(&g, 0.0, 1.0);
    near(&g.map(|x: f64| x.powi(4)), 3.0, 96f64.sqrt());
    Ok(())
}

#[test]
fn random_bits_are_the_same_for_every_level_tile_and_thread_count() -> Result<()> {
    let base = Options::default();
    let p = draws(base)?;
    let expected = run(&p, &mut p.workspace()?)?;
    let threads = [1, 2, 4].map(|threads| Options { threads, ..base });
    let tiles = [1, 7].map(|n| Options {
        tile: std::num::NonZeroUsize::new(n),
        fuse: n == 7,
        ..base
    });
    let levels = Level::available()
        .into_iter()
        .map(|level| Options { level, ..base });
    for options in threads.into_iter().chain(tiles).chain(levels) {
        let p = draws(options)?;
        let found = run(&p, &mut p.workspace()?)?;
        let difference = retrograde_tests::bits::first_difference_of_all(&found, &expected);
        assert!(difference.is_none(), "{options:?}: {difference:?}");
    }
    Ok(())
}

#[test]
fn a_replay_draws_anew_or_repeats() -> Result<()> {
    let p = draws(Options::default())?;
    let (mut ws, mut other) = (p.workspace()?, p.workspace()?);
    let first = run(&p, &mut ws)?;
    let second = run(&p, &mut ws)?;
    for (a, b) in first.iter().zip(&second) {
        let equal = a.iter().zip(b).filter(|(a, b)| a == b).count();
        assert!(equal < N * 9 / 10, "{equal} of {N} came again");
    }
    assert_eq!(
        run(&p, &mut other)?,
        first,
        "another workspace starts from the start"
    );
    other.set_repeat(true);
    assert_eq!(run(&p, &mut other)?, second);
    assert_eq!(run(&p, &mut other)?, second, "and repeats");
    other.set_step(0);
    assert_eq!(run(&p, &mut other)?, first);
    Ok(())
}

/// The adjoint sees the mask of the forward pass.
#[test]
fn dropout_passes_gradients_where_it_passes_values() -> Result<()> {
    let x = Array::<f64>::linspace(1.0, 2.0, 999);
    let p = Program::record(&[x.clone()], |t, [x]| {
        let dropped = x.dropout(0.4, t.rng(3));
        (dropped * dropped).sum()
    })?
    .value_and_grad()?;
    let mut ws = p.workspace()?;
    for _ in 0..3 {
        let out = p.run(&mut ws, [&x])?;
        let (value, gradient) = (out.item::<f64>(0)?, out.array::<f64>(1)?);
        let kept = gradient.iter().filter(|&&g| g != 0.0).count();
        assert!((500..700).contains(&kept), "{kept} of 999 at p = 0.4");
        // d/dx (x/q)^2 = 2 x / q^2, so that half of g x is the term of the sum.
        let sum: f64 = gradient.iter().zip(&x).map(|(g, x)| 0.5 * g * x).sum();
        assert!((sum - value).abs() < 1e-11 * value, "{sum}, {value}");
        for (&g, &x) in gradient.iter().zip(&x) {
            assert!(g == 0.0 || (g - 2.0 * x / 0.36).abs() < 1e-13, "{g} at {x}");
        }
    }
    let same = Program::record(&[x.clone()], |t, [x]| x.dropout(0.0, t.rng(3)))?;
    assert_eq!(same.run(&mut same.workspace()?, [&x])?.array::<f64>(0)?, x);
    Ok(())
}
