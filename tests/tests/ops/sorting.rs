//! Sorting and searching against loops: ties, NaN, all element types, lines of every length, views, engines.

use retrograde::prelude::*;
use retrograde::{Order, Side};
use retrograde_tests::derivatives::{check_derivatives, samples};
use retrograde_tests::variants::assert_variants_agree;

const ORDERS: [Order; 2] = [Order::Ascending, Order::Descending];

/// Positions in order by a stable sort of the standard library.
fn expected<T: Element>(x: &[T], order: Order) -> Vec<u32> {
    let less = |a: f64, b: f64| a < b || (!a.is_nan() && b.is_nan());
    let mut at: Vec<u32> = (0..x.len() as u32).collect();
    at.sort_by(|&i, &j| {
        let (a, b) = (x[i as usize].to_f64(), x[j as usize].to_f64());
        let (a, b) = if order == Order::Descending {
            (b, a)
        } else {
            (a, b)
        };
        match (less(a, b), less(b, a)) {
            (true, _) => std::cmp::Ordering::Less,
            (_, true) => std::cmp::Ordering::Greater,
            _ => std::cmp::Ordering::Equal,
        }
    });
    at
}

/// Vectors of one type along the only axis, and as a column.
fn check<T: Element>(x: &[T]) -> Result<()> {
    let tape = Tape::new();
    let line = tape.constant(Array::from_vec(x.to_vec(), [x.len()])?);
    for order in ORDERS {
        let at = expected(x, order);
        assert_eq!(line.argsort(0, order).value()?.as_slice(), at);
        assert_eq!(
            line.flip(0)
                .flip(0)
                .unsqueeze(-1)
                .argsort(0, order)
                .value()?
                .as_slice(),
            at
        );
        let sorted = line.sort(-1, order).value()?;
        let same = |(y, &i): (&T, &u32)| y.to_f64().to_bits() == x[i as usize].to_f64().to_bits();
        assert!(sorted.as_slice().iter().zip(&at).all(same));
        let k = x.len() / 2;
        assert_eq!(line.topk(k, 0, order).1.value()?.as_slice(), &at[..k]);
    }
    let sorted = line.sort(0, Order::Ascending);
    for side in [Side::Left, Side::Right] {
        let found = sorted.searchsorted(line, side).value()?;
        for (y, &n) in x.iter().zip(found.as_slice()) {
            let y = y.to_f64();
            let before = |x: &&T| {
                let x = x.to_f64();
                let equal = x == y || (x.is_nan() && y.is_nan());
                x < y || (!x.is_nan() && y.is_nan()) || (side == Side::Right && equal)
            };
            assert_eq!(n as usize, x.iter().filter(before).count());
        }
    }
    Ok(())
}

#[test]
fn all_types_and_lengths() -> Result<()> {
    let special = [
        f64::NAN,
        -0.0,
        1.0,
        f64::INFINITY,
        0.0,
        -f64::NAN,
        f64::NEG_INFINITY,
        1.0,
        -1.5,
        f64::MIN_POSITIVE,
    ];
    check(&special)?;
    check(&special.map(|x| x as f32))?;
    check(&[3_u32, 0, u32::MAX, 3, 7])?;
    check(&[3_i64, i64::MIN, -1, i64::MAX, 3, 0])?;
    check(&[true, false, true, false, false])?;
    for n in [1, 2, 3, 16, 23, 812, 5000] {
        // Many ties.
        let x: Vec<f64> = (0..n)
            .map(|i| ((i * i * 31 + i * 7) % 97) as f64 - 40.0)
            .collect();
        check(&x)?;
    }
    Ok(())
}

#[test]
fn axes_views_and_engines() -> Result<()> {
    let x = samples(&[7, 30, 11], (-1.0, 1.0));
    for axis in [0, 1, -1] {
        for order in ORDERS {
            let p = Program::record(&[x.clone()], |_, [x]| {
                let y = x.transpose(0, 2).transpose(0, 2) * 2.0;
                (y.sort(axis, order) * y.argsort(axis, order).cast()).sum()
                    + y.t().sort(axis, order).at(0, 3).sum()
            })?
            .value_and_grad()?;
            assert_variants_agree(&p, &[&x])?;
        }
    }
    let small = samples(&[3, 4], (-1.0, 1.0));
    let p = Program::record(&[small.clone()], |_, [x]| {
        (x.sin().sort(0, Order::Descending) * x.topk(3, 1, Order::Ascending).0.sum())
            .square()
            .sum()
    })?;
    check_derivatives("sort", &p, &[&small])
}

#[test]
fn ties_give_the_gradient_to_the_first() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(Array::from([2.0_f64, 5.0, 5.0, 5.0]));
    let [g] = x.topk(1, 0, Order::Descending).0.sum().grad_of([x]);
    assert_eq!(g.value()?, Array::from([0.0, 1.0, 0.0, 0.0]));
    Ok(())
}

#[test]
fn of_nothing_and_mistakes() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(Array::<f64>::zeros([3, 0]));
    assert_eq!(x.sort(1, Order::Ascending).value()?.shape(), [3, 0]);
    assert_eq!(x.argsort(0, Order::Ascending).value()?.shape(), [3, 0]);
    let y = tape.variable(Array::<f64>::zeros([1, 2]));
    assert_eq!(
        x.searchsorted(y, Side::Right).value()?,
        Array::from([[0, 0], [0, 0], [0, 0]])
    );
    let says = |error: Error, start: &str| assert!(error.to_string().starts_with(start), "{error}");
    says(
        y.sort(2, Order::Ascending).value().unwrap_err(),
        "sort of [1, 2] f64: axis 2 is out of range",
    );
    says(
        y.topk(3, 1, Order::Ascending).1.value().unwrap_err(),
        "topk of [1, 2] f64: axis 1 has 2 elements, fewer than the 3 asked for",
    );
    let z = tape.variable(Array::<f64>::zeros([4, 2]));
    says(
        x.searchsorted(z, Side::Left).value().unwrap_err(),
        "searchsorted of [3, 0] f64 and [4, 2] f64: the leading axes of [3, 0] and [4, 2] do not broadcast",
    );
    Ok(())
}
