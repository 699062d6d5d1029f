//! Comparisons, logic and casts, of every element type they take, with NaN among the operands.

use retrograde::prelude::*;

type Compare<T> = for<'t> fn(Var<'t, T>, Var<'t, T>) -> Var<'t, bool>;

fn check<T: Element>(of: &[T]) -> Result<()> {
    let table: [(&str, Compare<T>, fn(f64, f64) -> bool); 6] = [
        ("lt", |x, y| x.lt(y), |x, y| x < y),
        ("le", |x, y| x.le(y), |x, y| x <= y),
        ("gt", |x, y| x.gt(y), |x, y| x > y),
        ("ge", |x, y| x.ge(y), |x, y| x >= y),
        ("eq", |x, y| x.eq(y), |x, y| x == y),
        ("ne", |x, y| x.ne(y), |x, y| x != y),
    ];
    let n = of.len();
    for (name, op, oracle) in table {
        let tape = Tape::new();
        let x = tape.constant(Array::from_slice(of));
        let found = op(x.unsqueeze(1), x).value()?;
        let expected =
            Array::from_shape_fn([n, n], |i| oracle(of[i[0]].to_f64(), of[i[1]].to_f64()));
        assert_eq!(found, expected, "{name} of {:?}", T::DTYPE);
        // Long enough for several packets and a part of one.
        let tall = x.unsqueeze(1).repeat([17, 1]);
        let expected = Array::from_shape_fn([17 * n, n], |i| {
            oracle(of[i[0] % n].to_f64(), of[i[1]].to_f64())
        });
        assert_eq!(
            op(tall, x).value()?,
            expected,
            "{name} of many {:?}",
            T::DTYPE
        );
    }
    Ok(())
}

#[test]
fn comparisons() -> Result<()> {
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    check(&[nan, -inf, -1.0, -0.0, 0.0, 1.0, 1.0 + f64::EPSILON, inf])?;
    check(&[f32::NAN, f32::NEG_INFINITY, -0.0f32, 0.0, 1e-45, 2.0])?;
    check(&[0u32, 1, 7, 1 << 24, (1 << 24) + 1, 1 << 31, u32::MAX])?;
    check(&[i64::from(i32::MIN), -1i64, 0, 1, 1 << 40, (1 << 40) + 1])?;
    check(&[false, true])
}

#[test]
fn logic() -> Result<()> {
    let tape = Tape::new();
    let x = tape.constant(Array::from([[true], [false]]));
    let y = tape.constant(Array::from_slice(&[true, false]));
    for (found, expected) in [
        (x & y, [[true, false], [false, false]]),
        (x.and(y), [[true, false], [false, false]]),
        (x | y, [[true, true], [true, false]]),
        (x.or(y), [[true, true], [true, false]]),
        (x ^ y, [[false, true], [true, false]]),
        (x.xor(y), [[false, true], [true, false]]),
        (!(x & y), [[false, true], [true, true]]),
        ((x | y).not(), [[false, false], [false, true]]),
        (x & true | y & false, [[true, true], [false, false]]),
    ] {
        assert_eq!(found.value()?, Array::from(expected));
    }
    let v = tape.constant(Array::from_slice(&[f64::NAN, 1.0, f64::NEG_INFINITY]));
    assert_eq!(v.is_nan().value()?.as_slice(), [true, false, false]);
    assert_eq!(v.is_finite().value()?.as_slice(), [false, true, false]);
    Ok(())
}

/// As Rust's `as`, between all types.
#[test]
fn casts() -> Result<()> {
    let tape = Tape::new();
    let floats = [
        f64::NAN,
        f64::NEG_INFINITY,
        -2.7,
        -0.0,
        0.4,
        2.7,
        4294967295.0,
        1e10,
        1e300,
        f64::INFINITY,
    ];
    let x = tape.constant(Array::from_slice(&floats));
    let each = |f: fn(f64) -> f64| floats.map(f).to_vec();
    assert_eq!(
        x.cast::<u32>().value()?.into_vec(),
        floats.map(|x| x as u32)
    );
    assert_eq!(
        x.cast::<i64>().value()?.into_vec(),
        floats.map(|x| x as i64)
    );
    assert_eq!(
        x.cast::<bool>().value()?.into_vec(),
        floats.map(|x| x != 0.0)
    );
    let single: Vec<f64> = x.cast::<f32>().cast::<f64>().value()?.into_vec();
    let expected = each(|x| f64::from(x as f32));
    assert!(
        single
            .iter()
            .zip(&expected)
            .all(|(a, b)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan())
    );
    let integers = [i64::MIN, -1, 0, 1, i64::MAX];
    let n = tape.constant(Array::from_slice(&integers));
    assert_eq!(
        n.cast::<u32>().value()?.into_vec(),
        integers.map(|n| n as u32)
    );
    assert_eq!(
        n.cast::<f32>().value()?.into_vec(),
        integers.map(|n| n as f32)
    );
    assert_eq!(
        n.cast::<f64>().value()?.into_vec(),
        integers.map(|n| n as f64)
    );
    let truth = tape.constant(Array::from_slice(&[true, false]));
    assert_eq!(truth.cast::<i64>().value()?.into_vec(), [1, 0]);
    assert_eq!(truth.cast::<f32>().value()?.into_vec(), [1.0, 0.0]);
    Ok(())
}

#[test]
fn select_of_every_type() -> Result<()> {
    fn check<T: Element>(a: T, b: T) -> Result<()> {
        let tape = Tape::new();
        let mask = Array::from_shape_fn([37], |i| i[0] % 3 == 0);
        let (x, y) = (
            Array::from_vec(vec![a; 37], [37])?,
            Array::from_vec(vec![b; 37], [37])?,
        );
        let chosen = tape
            .constant(mask.clone())
            .select(tape.constant(x), tape.constant(y));
        assert_eq!(chosen.value()?, mask.map(|m| if m { a } else { b }));
        let scalar = tape.constant(mask.clone()).select(a, b).value()?;
        assert_eq!(scalar, mask.map(|m| if m { a } else { b }));
        Ok(())
    }
    check(1.5f32, -2.5)?;
    check(1.5f64, -2.5)?;
    check(7u32, u32::MAX)?;
    check(-7i64, 1 << 40)?;
    check(true, false)
}

/// Integers and masks have no gradient, and saying so names the type.
#[test]
fn no_gradient_of_integers() -> Result<()> {
    let x = (Array::<u32>::from_slice(&[1, 2]),);
    let p = Program::record(&x, |_, (x,)| x.slice(0, ..1))?;
    let error = p.grad().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DType);
    assert_eq!(
        error.to_string(),
        "grad: the output is u32, which has no gradient"
    );
    Ok(())
}
