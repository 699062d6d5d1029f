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

/// Every pair of these, by operators with handles, numbers on either side and in place, against Rust's own.
macro_rules! against_rust {
    ($t:ty, $of:expr) => {{
        let of: Vec<$t> = $of;
        let n = of.len();
        let tape = Tape::new();
        let x = tape.constant(Array::from_slice(&of));
        let (rows, columns) = (x.unsqueeze(1), x.unsqueeze(0));
        let square = |f: fn($t, $t) -> $t| Array::from_shape_fn([n, n], |i| f(of[i[0]], of[i[1]]));
        assert_eq!((rows + columns).value()?, square(<$t>::wrapping_add));
        assert_eq!((rows - columns).value()?, square(<$t>::wrapping_sub));
        assert_eq!((rows * columns).value()?, square(<$t>::wrapping_mul));
        assert_eq!(rows.maximum(columns).value()?, square(Ord::max));
        assert_eq!(rows.minimum(columns).value()?, square(Ord::min));
        for &y in &of {
            let each = |f: fn($t, $t) -> $t| of.iter().map(|&x| f(x, y)).collect::<Vec<$t>>();
            let back = |f: fn($t, $t) -> $t| of.iter().map(|&x| f(y, x)).collect::<Vec<$t>>();
            assert_eq!((x + y).to_vec()?, each(<$t>::wrapping_add));
            assert_eq!((y + x).to_vec()?, each(<$t>::wrapping_add));
            assert_eq!((y - x).to_vec()?, back(<$t>::wrapping_sub));
            assert_eq!((y * x).to_vec()?, each(<$t>::wrapping_mul));
            if y != 0 {
                assert_eq!((x / y).to_vec()?, each(<$t>::wrapping_div), "by {y}");
                assert_eq!((x % y).to_vec()?, each(<$t>::wrapping_rem), "by {y}");
                assert_eq!(x.remainder(y).to_vec()?, each(floored), "by {y}");
                let (mut q, mut r) = (x, x);
                q /= y;
                r %= y;
                assert_eq!(
                    (q.to_vec()?, r.to_vec()?),
                    ((x / y).to_vec()?, (x % y).to_vec()?)
                );
            }
        }
        let divisors: Vec<$t> = of.iter().copied().filter(|&y| y != 0).collect();
        let y = tape.constant(Array::from_slice(&divisors));
        let found = (rows / y.unsqueeze(0)).value()?;
        let m = divisors.len();
        let expected = Array::from_shape_fn([n, m], |i| of[i[0]].wrapping_div(divisors[i[1]]));
        assert_eq!(found, expected);
        let running = |f: fn($t, $t) -> $t, first: $t| {
            let mut r = first;
            of.iter().map(|&x| (r = f(r, x), r).1).collect::<Vec<$t>>()
        };
        assert_eq!(x.cumsum(0).to_vec()?, running(<$t>::wrapping_add, 0));
        assert_eq!(x.cumprod(0).to_vec()?, running(<$t>::wrapping_mul, 1));
        assert_eq!(x.cummax(0).to_vec()?, running(Ord::max, <$t>::MIN));
        assert_eq!(
            x.sum().item()?,
            *running(<$t>::wrapping_add, 0).last().unwrap()
        );
        assert_eq!(
            x.prod().item()?,
            *running(<$t>::wrapping_mul, 1).last().unwrap()
        );
        assert_eq!(x.max().item()?, *of.iter().max().unwrap());
        assert_eq!(x.min().item()?, *of.iter().min().unwrap());
        let place = |by: $t| of.iter().position(|&x| x == by).unwrap() as u32;
        assert_eq!(x.argmax().item()?, place(*of.iter().max().unwrap()));
        assert_eq!(x.argmin().item()?, place(*of.iter().min().unwrap()));
    }};
}

/// The remainder with the divisor's sign.
fn floored<T: Into<i128> + TryFrom<i128>>(x: T, y: T) -> T {
    let (x, y): (i128, i128) = (x.into(), y.into());
    let r = ((x % y) + y) % y;
    T::try_from(r).unwrap_or_else(|_| unreachable!("smaller than the divisor"))
}

#[test]
fn arithmetic_wraps_and_truncates() -> Result<()> {
    against_rust!(
        u32,
        vec![
            0,
            1,
            2,
            3,
            7,
            1 << 16,
            (1 << 31) + 1,
            u32::MAX - 1,
            u32::MAX
        ]
    );
    against_rust!(
        i64,
        vec![
            0,
            1,
            -1,
            2,
            -2,
            7,
            -7,
            1 << 40,
            (1 << 53) + 1,
            -(1 << 62),
            i64::MAX,
            i64::MIN
        ]
    );
    let tape = Tape::new();
    let x = tape.constant(Array::from_slice(&[3_i64, -3, i64::MIN]));
    assert_eq!((-x).to_vec()?, [-3, 3, i64::MIN]);
    assert_eq!(x.abs().to_vec()?, [3, 3, i64::MIN]);
    // Numbers that no float holds.
    let large = tape.rec().full([2], (1_i64 << 53) + 1);
    assert_eq!((large - (1 << 53)).to_vec()?, [1, 1]);
    Ok(())
}

/// More than a block of the kernel, through views of all kinds.
#[test]
fn divisions_of_many() -> Result<()> {
    let n = 70_001;
    let x = Array::from_shape_fn([n], |i| i[0] as i64 - 30_000);
    let y = Array::from_shape_fn([n], |i| (i[0] % 1000) as i64 - 1001);
    let both = [x.clone(), y.clone()];
    let p = Program::try_record(&both, |_, [x, y]| {
        Ok(vec![x / y, x.flip(0) % y, x / 7, -5 % y].into())
    })?;
    let (x, y) = (x.as_slice(), y.as_slice());
    let mut ws = p.workspace()?;
    let out = p.run(&mut ws, both.each_ref())?;
    let check = |i: usize, f: &dyn Fn(usize) -> i64| -> Result<()> {
        assert_eq!(
            out.array::<i64>(i)?.into_vec(),
            (0..n).map(f).collect::<Vec<_>>()
        );
        Ok(())
    };
    check(0, &|i| x[i] / y[i])?;
    check(1, &|i| x[n - 1 - i] % y[i])?;
    check(2, &|i| x[i] / 7)?;
    check(3, &|i| -5 % y[i])
}

/// Integers carry no gradient, and cut that of what they are made of.
#[test]
fn no_gradient_passes() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(Array::from_slice(&[1.5_f64, 2.5]));
    let whole = x.cast::<i64>() * 3 / 2;
    (x * whole.cast()).sum().backward()?;
    assert_eq!(x.grad()?, Array::from_slice(&[1.0, 3.0]));
    Ok(())
}

/// The first zero is named, whatever the threads; what is not of it goes on; nothing folds it away.
#[test]
fn division_by_zero() -> Result<()> {
    let tape = Tape::new();
    let x = tape.constant(Array::from([[1_i64, 2], [3, 4]]));
    let y = tape.constant(Array::from([[1_i64, 2], [0, 0]]));
    let r = x % y;
    let line = line!() - 1;
    let error = r.value().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Division);
    let expected = format!(
        "rem of [2, 2] i64 and [2, 2] i64: element [1, 0] divides 3 by zero, which integers have no number for; make \
         the zeros something else first, as `y.eq(0).select(1, y)` does, or divide floats\n  at {}:{line}:",
        file!()
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert_eq!((x + y).to_vec()?, [2, 4, 3, 4]);

    // Of literals, scalars, and an element that nobody reads.
    let one = tape.rec().scalar(1_u32);
    assert_eq!((one / 0).item().unwrap_err().kind(), ErrorKind::Division);
    assert_eq!(
        (5 % (one - 1)).item().unwrap_err().kind(),
        ErrorKind::Division
    );
    assert_eq!(
        (x / y).at(0, 0).value().unwrap_err().kind(),
        ErrorKind::Division
    );
    assert_eq!(
        (one.remainder(0)).item().unwrap_err().kind(),
        ErrorKind::Division
    );

    // Broadcast: the place is that in the result. On every number of threads the first.
    let divisor = Array::from_shape_fn([40_000], |i| u32::from(i[0] < 30_000));
    let rows = Array::from_slice(&[7_u32, 8, 9]);
    let both = (rows, divisor);
    let p = Program::record(&both, |_, (x, y)| x.unsqueeze(1) / y)?;
    for threads in 1..=3 {
        let options = retrograde::Options {
            threads,
            ..Default::default()
        };
        let p = p.with_options(options)?;
        let error = p.run(&mut p.workspace()?, (&both.0, &both.1)).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("element [0, 30000] divides 7 by zero"),
            "{text}"
        );
    }
    Ok(())
}

/// The place in a batch counts the sample.
#[test]
fn division_by_zero_in_batches() -> Result<()> {
    let x = Array::from_slice(&[4_i64, 2, 0, 1]);
    let p = Program::record(&[x.clone()], |_, [y]| 12 / y)?;
    let one = Program::record(&[Array::scalar(4_i64)], |_, [y]| 12 / y)?;
    let batch = one.vmap(4, &[Some(0)])?;
    for p in [p, batch] {
        let error = p.run(&mut p.workspace()?, [&x]).unwrap_err().to_string();
        assert!(error.contains("element [2] divides 12 by zero"), "{error}");
        let good = Array::from_slice(&[4_i64, 2, 5, -5]);
        let mut ws = p.workspace()?;
        assert_eq!(
            p.run(&mut ws, [&good])?.array::<i64>(0)?.into_vec(),
            [3, 6, 2, -2]
        );
    }
    Ok(())
}

/// Inside a loop, where the divisor changes with the step.
#[test]
fn division_in_a_scan() -> Result<()> {
    let inputs = (
        Array::scalar(1000.0_f64),
        Array::from_slice(&[7_i64, -3, 2]),
    );
    let p = Program::record(&inputs, |t, (start, by)| {
        let (last, rests) = t.scan(start, by, |x, y| {
            let x = x.cast::<i64>();
            ((x / y).cast::<f64>(), (x % y).cast::<f64>())
        });
        rests + last
    })?;
    let mut ws = p.workspace()?;
    let found = p.run(&mut ws, (&inputs.0, &inputs.1))?.array::<f64>(0)?;
    // 1000 = 142 * 7 + 6, 142 = -47 * -3 + 1, -47 = -23 * 2 - 1.
    assert_eq!(found.into_vec(), [6.0 - 23.0, 1.0 - 23.0, -1.0 - 23.0]);
    let zero = Array::from_slice(&[7_i64, 0, 2]);
    let error = p.run(&mut ws, (&inputs.0, &zero)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Division, "{error}");
    // The workspace goes on.
    let found = p.run(&mut ws, (&inputs.0, &inputs.1))?.array::<f64>(0)?;
    assert_eq!(found.into_vec(), [-17.0, -22.0, -24.0]);
    Ok(())
}
