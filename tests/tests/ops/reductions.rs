//! Reductions over every set of axes, against a loop over each group of elements.

use retrograde::prelude::*;
use retrograde_tests::derivatives::samples;

type Reduce = for<'t> fn(Var<'t, f64>, Axes) -> Var<'t, f64>;
type Single = for<'t> fn(Var<'t, f32>, Axes) -> Var<'t, f32>;
type Find = for<'t> fn(Var<'t, f64>, Axes) -> Var<'t, u32>;
type Truth = for<'t> fn(Var<'t, bool>, Axes) -> Var<'t, bool>;

/// Shapes with an extent of 1 and of 0 in every place, ranks 0 to 5, rows of part packets and of several chunks.
const SHAPES: [&[usize]; 14] = [
    &[],
    &[1],
    &[7],
    &[0],
    &[0, 3],
    &[3, 0],
    &[2, 0, 3],
    &[1, 5],
    &[5, 1],
    &[4, 3, 5],
    &[2, 1, 3, 2],
    &[2, 2, 2, 2, 3],
    &[3, 1100],
    &[130, 17],
];

/// The extents that stay, and for each element of the result those that it combines, in order.
fn groups<T: Element>(x: &Array<T>, axes: &[usize]) -> (Vec<usize>, Vec<Vec<T>>) {
    let dims = x.shape();
    let kept: Vec<usize> = (0..dims.len()).filter(|a| !axes.contains(a)).collect();
    let extents: Vec<usize> = kept.iter().map(|&a| dims[a]).collect();
    let mut groups = vec![Vec::new(); extents.iter().product()];
    let mut at = vec![0; dims.len()];
    for &element in x {
        let place = kept.iter().fold(0, |place, &a| place * dims[a] + at[a]);
        groups[place].push(element);
        for axis in (0..dims.len()).rev() {
            at[axis] += 1;
            if at[axis] < dims[axis] {
                break;
            }
            at[axis] = 0;
        }
    }
    (extents, groups)
}

/// Every set of axes of a shape.
fn axis_sets(rank: usize) -> impl Iterator<Item = Vec<usize>> {
    (0..1usize << rank).map(move |mask| (0..rank).filter(|a| mask >> a & 1 == 1).collect())
}

fn moment(x: &[f64], correction: usize) -> f64 {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let sum: f64 = x.iter().map(|x| (x - mean).powi(2)).sum();
    sum / (x.len() as f64 - correction as f64).max(0.0)
}

fn log_sum_exp(x: &[f64]) -> f64 {
    x.iter().map(|x| x.exp()).sum::<f64>().ln()
}

#[test]
fn values() -> Result<()> {
    macro_rules! table {
        ($($name:literal, $chooses:literal, |$x:ident, $a:ident| $body:expr, $oracle:expr;)*) => {
            [$(($name, $chooses, (|$x, $a| $body) as Reduce, (|$x, $a| $body) as Single, ($oracle) as fn(&[f64]) -> f64)),*]
        };
    }
    // Name, whether an empty group is an error, operation, oracle.
    let table = table! {
        "sum", false, |x, a| x.sum_over(a), |x| x.iter().sum();
        "mean", false, |x, a| x.mean_over(a), |x| x.iter().sum::<f64>() / x.len() as f64;
        "prod", false, |x, a| x.prod_over(a), |x| x.iter().product();
        "max", true, |x, a| x.max_over(a), |x| x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        "min", true, |x, a| x.min_over(a), |x| x.iter().copied().fold(f64::INFINITY, f64::min);
        "var 0", false, |x, a| x.var_over(a, 0), |x| moment(x, 0);
        "var 1", false, |x, a| x.var_over(a, 1), |x| moment(x, 1);
        "std 0", false, |x, a| x.std_over(a, 0), |x| moment(x, 0).sqrt();
        "norm", false, |x, a| x.norm_over(a), |x| x.iter().map(|x| x * x).sum::<f64>().sqrt();
        "norm 1", false, |x, a| x.norm_p_over(a, 1.0), |x| x.iter().map(|x| x.abs()).sum();
        "norm 3", false, |x, a| x.norm_p_over(a, 3.0), |x| x.iter().map(|x| x.abs().powi(3)).sum::<f64>().cbrt();
        "norm inf", true, |x, a| x.norm_p_over(a, f64::INFINITY), |x| x.iter().fold(0.0, |m, x| m.max(x.abs()));
        "logsumexp", false, |x, a| x.logsumexp_over(a), log_sum_exp;
    };
    for (name, chooses, op, single, oracle) in table {
        for shape in SHAPES {
            // Magnitudes about 1, so that a product of a thousand of them is a number.
            let x = samples(shape, (-1.3, -0.6)).map(|x| if x < -0.95 { -x } else { x });
            for axes in axis_sets(shape.len()) {
                let tape = Tape::new();
                let what = format!("{name} of {shape:?} over {axes:?}");
                let over = Axes::from(axes.as_slice());
                let found = op(tape.constant(x.clone()), over).value();
                let (extents, groups) = groups(&x, &axes);
                if chooses && axes.iter().any(|&a| shape[a] == 0) {
                    assert_eq!(found.unwrap_err().kind(), ErrorKind::Shape, "{what}");
                    continue;
                }
                let found = found?;
                let expected: Vec<f64> = groups.iter().map(|g| oracle(g)).collect();
                let expected = Array::from_vec(expected, extents.clone())?;
                close(&what, &found, &expected, 1e-12);
                let half = single(tape.constant(x.cast()), over).value()?;
                close(&what, &half.cast(), &expected, 2e-5);
                let mut ones = shape.to_vec();
                axes.iter().for_each(|&a| ones[a] = 1);
                let kept = op(tape.constant(x.clone()), keep(over)).value()?;
                assert_eq!(kept.shape(), ones, "{what}, kept");
                same(&what, &kept.reshape(extents)?, &found);
            }
        }
    }
    Ok(())
}

/// Relative to 1 or the expected value; NaN equals NaN.
fn close(what: &str, found: &Array<f64>, expected: &Array<f64>, tolerance: f64) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    for (i, (&a, &b)) in found.iter().zip(expected).enumerate() {
        assert!(
            a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= tolerance * b.abs().max(1.0),
            "{what}, element {i}: {a}, by a loop {b}"
        );
    }
}

fn same(what: &str, a: &Array<f64>, b: &Array<f64>) {
    let difference = retrograde_tests::bits::first_difference(a, b);
    assert!(difference.is_none(), "{what}: {difference:?}");
}

#[test]
fn places_of_the_largest_and_smallest() -> Result<()> {
    let table: [(&str, Find, fn(f64, f64) -> bool); 2] = [
        ("argmax", |x, a| x.argmax_over(a), |x, best| x > best),
        ("argmin", |x, a| x.argmin_over(a), |x, best| x < best),
    ];
    for (name, op, better) in table {
        for shape in SHAPES {
            // Many equal elements, some NaN: the first wins.
            let mut x = samples(shape, (-3.0, 3.0)).map(f64::round);
            if x.len() > 4 {
                x.as_mut_slice()[3] = f64::NAN;
            }
            for axis in 0..shape.len() {
                let tape = Tape::new();
                let found = op(tape.constant(x.clone()), axis.into()).value();
                if shape[axis] == 0 {
                    assert_eq!(found.unwrap_err().kind(), ErrorKind::Shape);
                    continue;
                }
                let (extents, groups) = groups(&x, &[axis]);
                let place = |group: &Vec<f64>| {
                    (1..group.len()).fold(0, |best, i| {
                        let first_nan = group[i].is_nan() && !group[best].is_nan();
                        if first_nan || better(group[i], group[best]) {
                            i
                        } else {
                            best
                        }
                    }) as u32
                };
                let expected = groups.iter().map(place).collect();
                assert_eq!(
                    found?,
                    Array::from_vec(expected, extents)?,
                    "{name} of {shape:?} along {axis}"
                );
            }
        }
    }
    let tape = Tape::new();
    let x = tape.variable(Array::<f64>::from([[1.0, 5.0], [5.0, -2.0]]));
    assert_eq!(x.argmax().item()?, 1);
    assert_eq!(x.argmin().item()?, 3);
    Ok(())
}

#[test]
fn any_all_count() -> Result<()> {
    let truths: [(&str, Truth, fn(&[bool]) -> bool); 2] = [
        ("any", |x, a| x.any_over(a), |g| g.iter().any(|&x| x)),
        ("all", |x, a| x.all_over(a), |g| g.iter().all(|&x| x)),
    ];
    for shape in SHAPES {
        for density in [-2.0, 0.0, 0.9, 2.0] {
            let x = samples(shape, (-1.0, 1.0)).map(|x| x < density);
            for axes in axis_sets(shape.len()) {
                let over = Axes::from(axes.as_slice());
                let (extents, groups) = groups(&x, &axes);
                let tape = Tape::new();
                for (name, op, oracle) in truths {
                    let expected = groups.iter().map(|g| oracle(g)).collect();
                    assert_eq!(
                        op(tape.constant(x.clone()), over).value()?,
                        Array::from_vec(expected, extents.clone())?,
                        "{name} of {shape:?} over {axes:?}"
                    );
                }
                let count = |g: &Vec<bool>| g.iter().filter(|&&x| x).count() as u32;
                let expected = groups.iter().map(count).collect();
                assert_eq!(
                    tape.constant(x.clone()).count_over(over).value()?,
                    Array::from_vec(expected, extents)?,
                    "count of {shape:?} over {axes:?}"
                );
            }
        }
    }
    Ok(())
}

/// Sixteen lanes add 64 elements each in turn, then a tree of `4 + log2 chunks` levels: so many roundings at most.
#[test]
fn long_sums_are_accurate_and_the_same_for_any_number_of_threads() -> Result<()> {
    const N: usize = 10_000_000;
    let x = Array::<f32>::from_shape_fn([N], |i| {
        ((i[0] as u64 * 2_654_435_761 % 1_000_003) as f32) * 1e-6
    });
    let exact: f64 = x.iter().map(|&x| f64::from(x)).sum();
    let bound = 1.02 * (64.0 + 4.0 + 14.0) * f64::from(f32::EPSILON / 2.0) * exact;
    let p = Program::record(&[x.clone()], |_, [x]| x.sum())?;
    let mut bits = Vec::new();
    for threads in 1..=4 {
        let p = p.with_options(retrograde::Options {
            threads,
            ..p.options()
        })?;
        bits.push(p.run(&mut p.workspace()?, [&x])?.item::<f32>(0)?.to_bits());
    }
    let found = f64::from(f32::from_bits(bits[0]));
    assert!(
        (found - exact).abs() <= bound,
        "{found}, not {exact} within {bound}"
    );
    assert!(bits.iter().all(|&b| b == bits[0]), "{bits:?}");
    Ok(())
}
