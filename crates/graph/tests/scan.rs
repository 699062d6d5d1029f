//! Loops in the list against the same loops unrolled by Rust.

use retrograde_graph::{
    Check, ErrorKind, Float, Options, Program, Rec, Result, ScanOptions, Tape, Var, hessian,
};
use retrograde_storage::{Array, Create};

/// One step of something recurrent: nonlinear in carries and constants, with an output.
fn cell<'t, T: Float>(
    [h, c]: [Var<'t, T>; 2],
    x: Var<'t, T>,
    [w, u]: [Var<'t, T>; 2],
) -> ([Var<'t, T>; 2], Var<'t, T>) {
    let gate = (w * x + u * h).sigmoid();
    let c = gate * c + (T::of(1.0) - gate) * (x - u * h).tanh();
    let h = gate * c.tanh();
    ([h, c], h * c + x)
}

/// The same with a product of a matrix: rank 2 in its constants, rank 1 in its carries.
fn layer<'t, T: Float>(
    [h, c]: [Var<'t, T>; 2],
    x: Var<'t, T>,
    [w, u]: [Var<'t, T>; 2],
) -> ([Var<'t, T>; 2], Var<'t, T>) {
    let z = w.matmul(x) + u.matmul(h);
    let c = z.sigmoid() * c + z.tanh();
    let h = c.tanh() * (z * T::of(0.5)).sigmoid();
    ([h, c], h * x)
}

type Step<T> =
    for<'t> fn([Var<'t, T>; 2], Var<'t, T>, [Var<'t, T>; 2]) -> ([Var<'t, T>; 2], Var<'t, T>);

/// Inputs: two carries, per-step inputs, two constants.
type Inputs<T> = [Array<T>; 5];

fn numbers<T: Float>(dims: &[usize], seed: f64) -> Array<T> {
    let n = dims.iter().product();
    let x = (0..n).map(|i| T::of(((i as f64 + seed) * 1.7).sin() * 0.9));
    Array::from_vec(x.collect(), dims).unwrap()
}

fn inputs<T: Float>(length: usize, state: &[usize], weight: &[usize]) -> Inputs<T> {
    let steps = [&[length], state].concat();
    [
        numbers(state, 0.3),
        numbers(state, 1.1),
        numbers(&steps, 2.0),
        numbers(weight, 3.7),
        numbers(weight, 5.2),
    ]
}

/// The loss of a loop: of its last carries and of all its outputs.
fn loss<'t, T: Float>(last: [Var<'t, T>; 2], outputs: Var<'t, T>) -> Var<'t, T> {
    (last[0] * last[1]).sum() + (outputs * outputs).sum() + outputs.sum()
}

fn looped<T: Float>(inputs: &Inputs<T>, step: Step<T>, options: ScanOptions) -> Result<Program> {
    Program::record(inputs, |t: Rec<'_>, [h, c, xs, w, u]| {
        let (last, y) = t.scan_with(options, [h, c], xs, |s, x| step(s, x, [w, u]));
        loss(last, y)
    })
}

fn unrolled<T: Float>(inputs: &Inputs<T>, step: Step<T>, reverse: bool) -> Result<Program> {
    let length = inputs[2].shape()[0];
    Program::record(inputs, |t: Rec<'_>, [h, c, xs, w, u]| {
        let mut state = [h, c];
        let mut outputs = Vec::new();
        for i in 0..length {
            let at = if reverse { length - 1 - i } else { i };
            let x = xs.narrow(0, at, 1).squeeze(0);
            let (next, y) = step(state, x, [w, u]);
            state = next;
            outputs.push(y);
        }
        if reverse {
            outputs.reverse();
        }
        let stacked = if length == 0 {
            xs
        } else {
            t.stack(&outputs, 0)
        };
        loss(state, stacked)
    })
}

fn run<T: Float>(p: &Program, inputs: &[Array<T>]) -> Result<Vec<Array<T>>> {
    let mut ws = p.workspace()?;
    // The second run must find nothing of the first.
    p.run(&mut ws, inputs)?;
    let out = p.run(&mut ws, inputs)?;
    (0..out.len()).map(|i| out.array(i)).collect()
}

fn bits<T: Float>(of: &[Array<T>]) -> Vec<Vec<u64>> {
    let each = |a: &Array<T>| a.as_slice().iter().map(|x| x.to_f64().to_bits()).collect();
    of.iter().map(each).collect()
}

fn close<T: Float>(what: &str, found: &[Array<T>], expected: &[Array<T>], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert_eq!(a.shape(), b.shape(), "{what}: result {i}");
        for (x, y) in a.as_slice().iter().zip(b.as_slice()) {
            let (x, y) = (x.to_f64(), y.to_f64());
            let near = (x - y).abs() <= tolerance * (1.0 + y.abs());
            assert!(near, "{what}: result {i} has {x}, expected {y}");
        }
    }
}

const CASES: [(&[usize], &[usize], bool); 4] = [
    (&[], &[], false),
    (&[1], &[1], false),
    (&[3], &[3, 3], true),
    (&[70], &[70, 70], true),
];

fn step_of<T: Float>(product: bool) -> Step<T> {
    if product { layer } else { cell }
}

#[test]
fn a_scan_is_the_unrolled_loop() {
    fn check<T: Float>(tolerance: f64) -> Result<()> {
        for (state, weight, product) in CASES {
            for length in [0, 1, 2, 3, 8, 17] {
                for reverse in [false, true] {
                    let inputs = inputs::<T>(length, state, weight);
                    let options = ScanOptions::new();
                    let options = if reverse { options.reverse() } else { options };
                    let step = step_of::<T>(product);
                    let scan = looped(&inputs, step, options)?;
                    let plain = unrolled(&inputs, step, reverse)?;
                    let what = format!("{length} steps of {state:?}, reverse {reverse}");
                    // Sums over outputs are those of one tensor in both.
                    assert_eq!(
                        bits(&run(&scan, &inputs)?),
                        bits(&run(&plain, &inputs)?),
                        "{what}"
                    );
                    let found = run(&scan.value_and_grad()?, &inputs)?;
                    let expected = run(&plain.value_and_grad()?, &inputs)?;
                    close(&what, &found, &expected, tolerance);
                }
            }
        }
        Ok(())
    }
    check::<f64>(1e-12).unwrap();
    check::<f32>(3e-4).unwrap();
}

#[test]
fn the_gradient_has_the_bits_of_the_unrolled_one() -> Result<()> {
    // Where every step has constants of its own and no value has more than two users behind it, both add the same
    // numbers in the same order.
    let length = 9;
    let xs = numbers::<f64>(&[length, 2], 0.5);
    let ws = numbers::<f64>(&[length, 2], 1.5);
    let h = numbers::<f64>(&[2], 2.5);
    let inputs = [h, xs, ws];
    fn body<'t>(h: Var<'t, f64>, x: Var<'t, f64>, w: Var<'t, f64>) -> Var<'t, f64> {
        (h * w).tanh() + x.sin() * w
    }
    let scan = Program::record(&inputs, |t, [h, xs, ws]| {
        let (h, y) = t.scan(h, [xs, ws], |h, [x, w]| {
            let h = body(h, x, w);
            (h, h)
        });
        h.sum() + y.exp().sum()
    })?;
    let plain = Program::record(&inputs, |t, [mut h, xs, ws]| {
        let mut outputs = Vec::new();
        for i in 0..length {
            let [x, w] = [xs, ws].map(|v| v.narrow(0, i, 1).squeeze(0));
            h = body(h, x, w);
            outputs.push(h);
        }
        h.sum() + t.stack(&outputs, 0).exp().sum()
    })?;
    let (scan, plain) = (scan.value_and_grad()?, plain.value_and_grad()?);
    assert_eq!(bits(&run(&scan, &inputs)?), bits(&run(&plain, &inputs)?));
    Ok(())
}

#[test]
fn checkpoints_keep_less_and_give_the_same_bits() -> Result<()> {
    for (state, weight, product) in CASES {
        for length in [1, 2, 7, 12] {
            for reverse in [false, true] {
                let inputs = inputs::<f64>(length, state, weight);
                let base = ScanOptions::new();
                let base = if reverse { base.reverse() } else { base };
                let step = step_of::<f64>(product);
                let expected = run(&looped(&inputs, step, base)?.value_and_grad()?, &inputs)?;
                let every = [1, 2, 3, 5, 100].map(|k| base.checkpoint_every(k));
                for options in every.into_iter().chain([base.checkpoint_root()]) {
                    let p = looped(&inputs, step, options)?.value_and_grad()?;
                    let found = run(&p, &inputs)?;
                    let what = format!("{length} steps of {state:?}, {options:?}");
                    assert_eq!(bits(&found), bits(&expected), "{what}\n{p}");
                }
            }
        }
    }
    // What is kept grows with the root of the length.
    let arena = |length: usize, options: ScanOptions| -> Result<usize> {
        let start = [Array::<f64>::full([64], 0.5)];
        let p = Program::record(&start, |t, [h]| {
            let options = options.length(length);
            t.scan_with(options, h, (), |h, ()| (h.sin() + h.cos(), ()))
                .0
                .sum()
        })?;
        Ok(p.value_and_grad()?.arena_bytes())
    };
    let (all, root) = (ScanOptions::new(), ScanOptions::new().checkpoint_root());
    assert!(arena(4096, all)? > 4096 * 64 * 8);
    assert!(arena(4096, root)? < 200 * 64 * 8);
    assert!(arena(4096, root)? < 3 * arena(1024, root)?);
    Ok(())
}

#[test]
fn second_order_and_forward_mode() -> Result<()> {
    for (state, weight, product) in &CASES[..3] {
        for options in [ScanOptions::new(), ScanOptions::new().checkpoint_every(2)] {
            let inputs = inputs::<f64>(5, state, weight);
            let step = step_of::<f64>(*product);
            let (scan, plain) = (
                looped(&inputs, step, options)?,
                unrolled(&inputs, step, false)?,
            );
            let tangents: Vec<Array<f64>> = (0..5)
                .map(|i| numbers(inputs[i].shape(), i as f64))
                .collect();
            let with: Vec<Array<f64>> = inputs.iter().cloned().chain(tangents).collect();
            let what = format!("{state:?} {options:?}");
            close(
                &format!("jvp of {what}"),
                &run(&scan.jvp()?, &with)?,
                &run(&plain.jvp()?, &with)?,
                1e-11,
            );
            close(
                &format!("hvp of {what}"),
                &run(&scan.hvp()?, &with)?,
                &run(&plain.hvp()?, &with)?,
                1e-10,
            );
            // Reverse over reverse, and once more.
            let again = |p: &Program| p.grad()?.output(4)?.vjp();
            let seed = numbers::<f64>(inputs[4].shape(), 0.7);
            let with: Vec<Array<f64>> = inputs.iter().cloned().chain([seed]).collect();
            close(
                &format!("reverse over reverse of {what}"),
                &run(&again(&scan)?, &with)?,
                &run(&again(&plain)?, &with)?,
                1e-10,
            );
        }
    }
    // The third derivative of x^(2^3) by three squarings is 336 x^5.
    let x = [Array::<f64>::scalar(1.25)];
    let p = Program::record(&x, |t, [x]| {
        let options = ScanOptions::new().length(3);
        t.scan_with(options, x, (), |x, ()| (x * x, ())).0
    })?;
    let third = p.grad()?.grad()?.grad()?;
    let expected = Array::scalar(336.0 * 1.25f64.powi(5));
    close("third derivative", &run(&third, &x)?, &[expected], 1e-12);
    Ok(())
}

#[test]
fn scans_nest() -> Result<()> {
    let inputs = [
        numbers::<f64>(&[3], 0.1),
        numbers(&[4, 5, 3], 0.2),
        numbers(&[3], 0.9),
    ];
    let scan = Program::record(&inputs, |t, [h, xs, w]| {
        let (h, rows) = t.scan(h, xs, |h, row| {
            let scale = (h * w).mean();
            let options = ScanOptions::new().reverse();
            let (inner, ys) = t.scan_with(options, h * 0.5, row, |h, x| {
                let h = (h * w + x * scale).sin();
                (h, h.sum())
            });
            (inner + h, ys.mean())
        });
        h.sum() + rows.square().sum()
    })?;
    let plain = Program::record(&inputs, |t, [mut h, xs, w]| {
        let mut rows = Vec::new();
        for i in 0..4 {
            let scale = (h * w).mean();
            let (mut inner, mut ys) = (h * 0.5, Vec::new());
            for j in (0..5).rev() {
                let x = xs.narrow(0, i, 1).squeeze(0).narrow(0, j, 1).squeeze(0);
                inner = (inner * w + x * scale).sin();
                ys.push(inner.sum());
            }
            h = inner + h;
            rows.push(t.stack(&ys, 0).mean());
        }
        h.sum() + t.stack(&rows, 0).square().sum()
    })?;
    let what = ["value and gradient", "hvp"];
    close(
        what[0],
        &run(&scan.value_and_grad()?, &inputs)?,
        &run(&plain.value_and_grad()?, &inputs)?,
        1e-12,
    );
    let tangents = [
        numbers(&[3], 0.4),
        numbers(&[4, 5, 3], 0.6),
        numbers(&[3], 0.7),
    ];
    let with = [inputs, tangents].concat();
    let (found, expected) = (run(&scan.hvp()?, &with)?, run(&plain.hvp()?, &with)?);
    close(what[1], &found, &expected, 1e-11);
    Ok(())
}

#[test]
fn bits_do_not_depend_on_how_it_is_compiled() -> Result<()> {
    let base = Options::default();
    let variants = [
        Options {
            optimise: false,
            ..base
        },
        Options {
            fuse: false,
            ..base
        },
        Options {
            fuse: false,
            share: false,
            poison: true,
            ..base
        },
        Options {
            poison: true,
            ..base
        },
        Options { threads: 1, ..base },
        Options {
            tile: std::num::NonZeroUsize::new(1),
            ..base
        },
    ];
    for (state, weight, product) in CASES {
        let inputs = inputs::<f32>(6, state, weight);
        for options in [ScanOptions::new(), ScanOptions::new().checkpoint_every(4)] {
            let p = looped(&inputs, step_of::<f32>(product), options)?.value_and_grad()?;
            let expected = bits(&run(&p, &inputs)?);
            for variant in variants {
                let found = bits(&run(&p.with_options(variant)?, &inputs)?);
                assert_eq!(found, expected, "{state:?} {variant:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn the_oracle_agrees_on_a_tape() -> Result<()> {
    let tape = Tape::new();
    let [h, c, xs, w, u] = inputs::<f64>(6, &[3], &[3, 3]).map(|x| tape.variable(x));
    let ([h2, c2], ys) = tape.rec().scan([h, c], xs, |s, x| layer(s, x, [w, u]));
    let loss = loss([h2, c2], ys);
    let gradients = loss.grad_of([h, xs, w]);
    let values = [loss, ys, gradients[0], gradients[1], gradients[2]];
    let expected = retrograde_graph::reference::on_tape(&values).unwrap();
    for (v, expected) in values.iter().zip(&expected) {
        let expected = Array::from_vec(expected.clone(), v.shape()?)?;
        close("tape", &[v.value()?], &[expected], 1e-12);
    }
    // A backward finds the same gradients.
    loss.backward()?;
    close("backward", &[w.grad()?], &[gradients[2].value()?], 1e-13);
    Ok(())
}

#[test]
fn a_recording_is_met_again() -> Result<()> {
    let mut tape = Tape::new();
    for step in 0..4 {
        let tape_step = tape.rec();
        let factor = 0.1 + f64::from(step);
        let x = tape_step.variable(&numbers::<f64>(&[7, 2], factor));
        let zero = numbers::<f64>(&[2], 0.0);
        let start = tape_step.variable(&zero);
        // A literal that changes is data, in a body too.
        let (h, ()) = tape_step.scan(start, x, |h, x| ((h + x * factor).tanh(), ()));
        h.sum().backward()?;
        let expected = {
            let x = numbers::<f64>(&[7, 2], factor);
            let mut h = [0.0f64, (1.7f64).sin() * 0.9];
            for i in 0..7 {
                for j in 0..2 {
                    h[j] = (h[j] + x.as_slice()[2 * i + j] * factor).tanh();
                }
            }
            h[0] + h[1]
        };
        assert!((h.sum().item()? - expected).abs() < 1e-12);
        tape.reset();
    }
    let stats = tape.cache_stats();
    assert!(stats.hits >= 4, "{stats:?}");
    // Another body is another program.
    let x = tape.variable(numbers::<f64>(&[7, 2], 0.1));
    let start = tape.constant(numbers::<f64>(&[2], 0.0));
    let (h, ()) = tape.rec().scan(start, x, |h, x| ((h - x * 0.1).tanh(), ()));
    let misses = tape.cache_stats().misses;
    h.sum().backward()?;
    assert_eq!(tape.cache_stats().misses, misses + 1);
    Ok(())
}

#[test]
fn a_long_loop_compiles_to_one_step() -> Result<()> {
    let compile = |length: usize| -> Result<Program> {
        let inputs = inputs::<f64>(length, &[3], &[3, 3]);
        looped(&inputs, layer, ScanOptions::new())?.value_and_grad()
    };
    let (short, long) = (compile(4)?, compile(4096)?);
    assert_eq!(short.len(), long.len());
    let ratio = long.cost().flops as f64 / short.cost().flops as f64;
    assert!((500.0..1100.0).contains(&ratio), "{ratio}");
    let text = long.to_string();
    assert!(text.contains("4096 steps reverse"), "{text}");
    assert!(
        text.lines()
            .any(|l| l.starts_with("    ") && l.contains("matmul")),
        "{text}"
    );
    assert!(
        long.listing().contains("    v0 = input 0"),
        "{}",
        long.listing()
    );
    Ok(())
}

#[test]
fn indices_and_random_numbers_in_a_body() -> Result<()> {
    let table = Array::<f64>::arange(5);
    let p = |n: u32| {
        let inputs = (table.clone(), Array::from([0u32, n, 1]));
        let p = Program::record(
            &inputs,
            |t: Rec<'_>, (table, order): (Var<'_, f64>, Var<'_, u32>)| {
                let zero = t.scalar(0.0);
                t.scan(zero, order, |sum, i| {
                    let one = table.index_select(0, i.reshape([1])).sum();
                    (sum * 10.0 + one, ())
                })
                .0
            },
        )?;
        let mut ws = p.workspace()?;
        let sum = p
            .run(&mut ws, (&inputs.0, &inputs.1))?
            .array::<f64>(0)?
            .item();
        Ok::<f64, retrograde_graph::Error>(sum?)
    };
    assert_eq!(p(4)?, 41.0);
    let error = p(5).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Index);
    assert!(error.to_string().contains("scan.rs"), "{error}");
    // Draws of steps differ, and the gradient's body draws the same.
    let tape = Tape::new();
    let rng = tape.rec().rng(3);
    let x = tape.variable(Array::<f64>::scalar(2.0));
    let options = ScanOptions::new().length(50);
    let (sum, draws) = tape.rec().scan_with(options, 0.0 * x, (), |sum, ()| {
        let u = rng.uniform([], 0.0, 1.0);
        (sum + u * x, u)
    });
    sum.backward()?;
    let draws = draws.value()?;
    assert!((x.grad()?.item()? - draws.as_slice().iter().sum::<f64>()).abs() < 1e-12);
    let mut different = draws.into_vec();
    different.sort_by(f64::total_cmp);
    different.dedup();
    assert_eq!(different.len(), 50);
    Ok(())
}

#[test]
fn a_hessian_through_a_loop() -> Result<()> {
    // Newton's method for the square root: smooth in its argument.
    let x = Array::from([2.0, 3.0]);
    let f = Program::record(&[x.clone()], |t, [x]| {
        let options = ScanOptions::new().length(8);
        let (root, ()) = t.scan_with(options, x, (), |r, ()| (0.5 * (r + x / r), ()));
        root.sum()
    })?;
    let h = hessian(&f, &[&x], 0)?;
    let expected = Array::from([
        [-0.25 * 2f64.powf(-1.5), 0.0],
        [0.0, -0.25 * 3f64.powf(-1.5)],
    ]);
    close("hessian", &[h], &[expected], 1e-9);
    Ok(())
}

#[test]
fn mistakes_are_named() {
    let tape = Tape::new();
    let t = tape.rec();
    let (h, xs) = (
        tape.variable(numbers::<f64>(&[2], 0.0)),
        tape.constant(numbers::<f64>(&[3, 2], 0.0)),
    );
    let message = |v: Var<'_, f64>| v.value().unwrap_err().to_string();
    let (last, ()) = t.scan(h, xs, |h, _| (h.sum(), ()));
    assert!(
        message(last).contains("carry 0 goes in as [2] and comes out as []"),
        "{}",
        message(last)
    );
    assert!(message(last).contains("scan.rs"));
    let short = tape.constant(numbers::<f64>(&[2, 2], 0.0));
    let (last, ()) = t.scan(h, [xs, short], |h, [x, y]| (h + x + y, ()));
    assert!(message(last).contains("input 1 has 2 elements along its first axis, expected are 3"));
    let (last, ()) = t.scan(h, (), |h, ()| (h, ()));
    assert!(message(last).contains("the length must be given"));
    let (last, ()) = t.scan(h, h.sum(), |h, _| (h, ()));
    assert!(message(last).contains("per-step input 0 is a scalar"));
    let (last, ()) = t.scan_with(ScanOptions::new().checkpoint_every(0), h, xs, |h, _| {
        (h, ())
    });
    assert!(message(last).contains("every 0 steps"));
    let (_, flags) = t.scan(h, xs, |h, x| (h, h.lt(x)));
    assert!(
        flags
            .value()
            .unwrap_err()
            .to_string()
            .contains("floats of one type")
    );
    // What the body did wrong comes out, with its line; a value of the body cannot be read.
    let (last, ys) = t.scan(h, xs, |h, x| (h + x.reshape([5]), x));
    assert!(message(last).contains("reshape") && message(ys).contains("reshape"));
    let mut read = Ok(0.0);
    let _ = t.scan(h, xs, |h, x| {
        read = x.sum().item();
        (h, ())
    });
    assert!(
        read.unwrap_err()
            .to_string()
            .contains("return it from the body")
    );
    let mut leaked = None;
    let _ = t.scan(h, xs, |h, x| {
        leaked = Some(h * x);
        (h, ())
    });
    assert!(leaked.unwrap().value().is_err());
    let many = vec![h, h];
    let (last, ()) = t.scan(many, xs, |h, _| (vec![h[0]], ()));
    assert!(message(last[1]).contains("2 carries go in, but 1 come out"));
    let other = Tape::new();
    let foreign = other.variable(numbers::<f64>(&[2], 0.0));
    let (last, ()) = t.scan(h, xs, |h, _| (h + foreign, ()));
    assert!(message(last).contains("another tape"));
}

#[test]
fn a_nan_is_blamed_on_the_loop_that_makes_it() {
    let options = Options {
        check: Check::Nan,
        ..Options::default()
    };
    let tape = Tape::with_options(options);
    let x = tape.variable(Array::<f64>::from([1.0, 2.0]));
    let steps = ScanOptions::new().length(3);
    // 1, 0, -1: the logarithm of the last is none.
    let (last, logs) = tape
        .rec()
        .scan_with(steps, x, (), |x, ()| (x - 1.0, (x - 0.5).ln()));
    let error = (last + logs.sum()).sum().backward().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFinite);
    assert!(error.to_string().starts_with("scan of"), "{error}");
    assert!(error.to_string().contains("scan.rs"), "{error}");
    assert!(last.sum().backward().is_ok());
}
