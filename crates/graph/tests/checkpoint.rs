//! Regions that derivatives compute again, marked by the user or chosen for a budget of memory: less memory, same bits.

use retrograde_graph::{
    ErrorKind, Float, Options, Params, Program, Rec, Result, Tape, Update, UpdateRule, Var,
};
use retrograde_storage::Array;

fn numbers(dims: &[usize], seed: f64) -> Array<f32> {
    let n: usize = dims.iter().product();
    let x = (0..n).map(|i| ((i as f64 * 0.37 + seed).sin() * 0.2) as f32);
    Array::from_vec(x.collect(), dims).unwrap()
}

const WIDTH: usize = 64;
const BATCH: usize = 128;
const LAYERS: usize = 16;

fn inputs() -> [Array<f32>; 2] {
    [
        numbers(&[BATCH, WIDTH], 0.1),
        numbers(&[LAYERS, WIDTH, WIDTH], 0.7),
    ]
}

fn layer<'t>(x: Var<'t, f32>, weights: Var<'t, f32>, i: usize) -> Var<'t, f32> {
    let w = weights.narrow(0, i, 1).squeeze(0);
    x + x.matmul(w).tanh()
}

/// A deep residual network, its layers in regions of so many.
fn deep(block: Option<usize>) -> impl for<'t> Fn(Rec<'t>, [Var<'t, f32>; 2]) -> Var<'t, f32> {
    move |t, [x, weights]| {
        let size = block.unwrap_or(LAYERS);
        let mut y = x;
        for first in (0..LAYERS).step_by(size) {
            let run = |y| (first..first + size).fold(y, |y, i| layer(y, weights, i));
            y = if block.is_some() {
                t.checkpoint(|| run(y))
            } else {
                run(y)
            };
        }
        y.square().mean()
    }
}

fn run(p: &Program, inputs: &[Array<f32>]) -> Result<Vec<Vec<u32>>> {
    let mut ws = p.workspace()?;
    ws.set_repeat(true);
    let out = p.run(&mut ws, inputs)?;
    let each = |i| {
        Ok(out
            .array::<f32>(i)?
            .as_slice()
            .iter()
            .map(|x| x.to_bits())
            .collect())
    };
    (0..out.len()).map(each).collect()
}

#[test]
fn a_region_saves_memory_and_changes_no_bit() -> Result<()> {
    let inputs = inputs();
    let plain = Program::record(&inputs, deep(None))?.value_and_grad()?;
    let expected = run(&plain, &inputs)?;
    for block in [1, 2, 4, 8] {
        let f = Program::record(&inputs, deep(Some(block)))?;
        let p = f.value_and_grad()?;
        assert_eq!(run(&p, &inputs)?, expected, "blocks of {block}");
        for options in [
            Options {
                optimise: false,
                ..Options::default()
            },
            Options {
                fuse: false,
                ..Options::default()
            },
            Options {
                poison: true,
                ..Options::default()
            },
        ] {
            assert_eq!(
                run(&p.with_options(options)?, &inputs)?,
                expected,
                "{options:?}"
            );
        }
    }
    let four = Program::record(&inputs, deep(Some(4)))?.value_and_grad()?;
    assert!(
        four.arena_bytes() < plain.arena_bytes() * 2 / 3,
        "{} {}",
        four.arena_bytes(),
        plain.arena_bytes()
    );
    // Run again indeed: not merged with the first run.
    assert!(four.cost().flops > plain.cost().flops * 5 / 4);
    Ok(())
}

#[test]
fn regions_nest_and_have_derivatives_of_any_order() -> Result<()> {
    let x = [numbers(&[40], 0.3), numbers(&[40], 1.3)];
    let f = |again: bool| {
        Program::record(&x, |t, [x, w]| {
            let outer = || {
                let mut y = x;
                for _ in 0..2 {
                    let (a, b) = (y * w, y.sin());
                    let z = if again {
                        a.checkpoint(|a| (a + b).exp())
                    } else {
                        (a + b).exp()
                    };
                    y = z * y * 0.1;
                }
                y
            };
            let y = if again { t.checkpoint(outer) } else { outer() };
            (y * x).sum()
        })
    };
    let (again, plain) = (f(true)?, f(false)?);
    assert_eq!(
        run(&again.value_and_grad()?, &x)?,
        run(&plain.value_and_grad()?, &x)?
    );
    let tangents = [numbers(&[40], 2.0), numbers(&[40], 2.5)];
    let with = [x.clone(), tangents].concat();
    assert_eq!(run(&again.jvp()?, &with)?, run(&plain.jvp()?, &with)?);
    // A derivative of the gradient reads values twice that are computed twice: the same sums in another order.
    let (found, expected) = (run(&again.hvp()?, &with)?, run(&plain.hvp()?, &with)?);
    for (a, b) in found.iter().flatten().zip(expected.iter().flatten()) {
        let (a, b) = (f32::from_bits(*a), f32::from_bits(*b));
        assert!((a - b).abs() <= 1e-6 * (0.01 + b.abs()), "{a} {b}");
    }
    Ok(())
}

#[test]
fn random_draws_repeat() -> Result<()> {
    let x = [numbers(&[5000], 0.3)];
    let f = |again: bool| {
        Program::record(&x, |t, [x]| {
            let rng = t.rng(5);
            let mut y = x;
            for _ in 0..2 {
                let block = || {
                    let noise = rng.normal([5000], 0.0f32, 1.0);
                    (y * noise).tanh() * y.cumsum(0)
                };
                y = if again { t.checkpoint(block) } else { block() };
            }
            y.sum()
        })
    };
    assert_eq!(
        run(&f(true)?.value_and_grad()?, &x)?,
        run(&f(false)?.value_and_grad()?, &x)?
    );
    Ok(())
}

#[test]
fn a_budget_is_kept_with_the_same_bits() -> Result<()> {
    let inputs = inputs();
    let free = Program::record(&inputs, deep(None))?.value_and_grad()?;
    let expected = run(&free, &inputs)?;
    assert!(free.cost().recomputed.is_empty());
    let mut flops = free.cost().flops;
    for share in [0.8, 0.6, 0.5] {
        let budget = (free.arena_bytes() as f64 * share) as usize;
        let options = Options {
            memory_budget: Some(budget),
            ..Options::default()
        };
        let record =
            Program::try_record_with(&inputs, options, |t, v| Ok(deep(None)(t, v).into()))?;
        let p = record.value_and_grad()?;
        assert!(p.arena_bytes() <= budget, "{share}");
        assert_eq!(run(&p, &inputs)?, expected, "{share}");
        let cost = p.cost();
        assert!(!cost.recomputed.is_empty() && cost.flops > free.cost().flops);
        flops = flops.max(cost.flops);
        assert!(cost.to_string().contains("computed again: "), "{cost}");
        assert!(cost.recomputed[0].bytes > 0 && cost.recomputed[0].flops > 0);
    }
    // No more than the function once more.
    assert!(flops < free.cost().flops * 4 / 3 + 1000);
    // What cannot be is an error that says what could.
    let least = |budget: usize| -> Result<usize> {
        let options = Options {
            memory_budget: Some(budget),
            ..Options::default()
        };
        let f = Program::try_record_with(&inputs, options, |t, v| Ok(deep(None)(t, v).into()))?;
        Ok(f.value_and_grad()?.arena_bytes())
    };
    let error = least(4 * BATCH * WIDTH * 4).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Memory);
    let text = error.to_string();
    let named: usize = text
        .split_once("at least ")
        .and_then(|(_, rest)| rest.split(' ').next()?.parse().ok())
        .unwrap_or_else(|| panic!("{text}"));
    assert!(named < free.arena_bytes() / 2);
    assert_eq!(least(named)?, named);
    Ok(())
}

/// `w - 0.1 g`.
struct Descent;

impl<T: Float> UpdateRule<T> for Descent {
    fn columns(&self) -> usize {
        0
    }
    fn identity(&self) -> u64 {
        0xd35c
    }
    fn scalars(&self, _: u32, to: &mut Vec<f64>) {
        to.push(0.1);
    }
    fn update<'t>(&self, step: Update<'_, 't, T>) -> (Var<'t, T>, Vec<Var<'t, T>>) {
        (step.value - step.scalars[0] * step.grad, Vec::new())
    }
}

#[test]
fn training_steps_and_backward_keep_a_budget() -> Result<()> {
    let train = |options: Options, block: bool| -> Result<(Vec<u32>, usize, usize)> {
        let mut params = Params::<f32>::new();
        let weights: Vec<_> = (0..LAYERS)
            .map(|i| params.insert(&format!("w{i}"), numbers(&[WIDTH, WIDTH], i as f64)))
            .collect();
        let data = numbers(&[BATCH, WIDTH], 0.1);
        let mut tape = Tape::with_options(options);
        let mut losses = Vec::new();
        let mut arena = 0;
        for _ in 0..3 {
            let t = tape.train(&mut params);
            let mut y = t.input(&data);
            for pair in weights.chunks(4) {
                // Parameters first read in a region are none of its values.
                let run = || pair.iter().fold(y, |y, &w| y + y.matmul(t.param(w)).tanh());
                y = if block { t.checkpoint(run) } else { run() };
            }
            losses.push(y.square().mean().minimise_with(&Descent)?.to_bits());
            arena = tape.last_program().map_or(0, |p| p.arena_bytes);
        }
        let stats = tape.cache_stats();
        assert_eq!((stats.hits, stats.misses), (2, 1));
        let t = tape.step(&params);
        let mut y = t.input(&data);
        for &w in &weights {
            y = y + y.matmul(t.param(w)).tanh();
        }
        let gradients = y.square().mean().backward()?;
        for &w in &weights {
            losses.extend(gradients.get(w).unwrap().iter().map(|g| g.to_bits()));
        }
        let backward = tape.last_program().map_or(0, |p| p.arena_bytes);
        Ok((losses, arena, backward))
    };
    let free = Options::default();
    let (expected, all, all_backward) = train(free, false)?;
    let (marked, less, _) = train(free, true)?;
    assert_eq!(marked, expected);
    assert!(less < all * 3 / 4, "{less} of {all}");
    let budget = all * 2 / 3;
    let bounded = Options {
        memory_budget: Some(budget),
        ..free
    };
    let (found, least, backward) = train(bounded, false)?;
    assert_eq!(found, expected);
    assert!(all > budget && all_backward > budget);
    assert!(
        least <= budget && backward <= budget,
        "{least} and {backward} of {budget}"
    );
    Ok(())
}
