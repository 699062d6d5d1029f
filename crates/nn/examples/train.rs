//! Trains a small network to tell good red wine from the rest by its chemistry: `cargo run --release --example train`.
//!
//! The data (1,599 wines, 11 measurements, a grade from 3 to 8) come with the `linfa-datasets` crate. On the way: a
//! gradient check of the very model, the size of the compiled program, and weights that are saved and read back.

use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use retrograde_nn::prelude::*;

const FEATURES: usize = 11;
const EPOCHS: u32 = 30;
const BATCH: usize = 32;
/// Wines of this grade or better are good: 53% of them.
const GOOD: usize = 6;

fn main() -> Result<()> {
    let (samples, labels) = wines()?;
    // The loader shuffles: the first fifth of one pass is held out.
    let n = labels.len();
    let mut shuffled = Loader::new(&samples, &labels, n)?.shuffle(1);
    let (samples, labels) = shuffled.epoch().next().expect("there are wines");
    let (held_samples, samples) = split(&samples, n / 5)?;
    let (held_labels, labels) = split(&labels, n / 5)?;
    let good = held_labels.iter().filter(|&&l| l == 1).count() as f64 / held_labels.len() as f64;
    println!("{} wines to train on, {} held out, of which {:.2}% good", labels.len(), held_labels.len(), 100.0 * good);

    let worst = check_gradients(&samples, &labels)?;
    println!("gradient check in f64: largest error {worst:.1e} of 1 + |gradient|");

    let mut params = Params::new();
    let model = build(&mut params);
    let mut loader = Loader::new(&samples, &labels, BATCH)?.shuffle(2);
    let steps = u64::from(EPOCHS) * loader.len() as u64;
    let mut adam = AdamW::new(3e-3).schedule(Schedule::cosine(steps, 0.01).warm_up(20));
    let (mut tape, mut judge) = (Tape::new(), Tape::new());

    let style = ProgressStyle::with_template("epoch {prefix} [{bar:32}] {pos}/{len} {msg}").expect("a valid template");
    for epoch in 1..=EPOCHS {
        let start = Instant::now();
        let bar = ProgressBar::new(loader.len() as u64).with_style(style.clone()).with_prefix(format!("{epoch:2}"));
        let mut total = 0.0;
        for (samples, labels) in &mut loader {
            let step = tape.train(&mut params);
            let loss = model.forward(step.input(&samples)).cross_entropy(step.input(&labels));
            total += f64::from(adam.minimise(loss)?);
            bar.inc(1);
        }
        bar.finish_and_clear();
        let accuracy = judged(&mut judge, &params, &model, &held_samples, &held_labels)?;
        let (loss, took) = (total / loader.len() as f64, start.elapsed().as_secs_f64() * 1e3);
        println!("epoch {epoch:2}  loss {loss:.4}  {took:.1} ms  accuracy {:.2}%", 100.0 * accuracy);
    }

    if let Some(program) = tape.last_program() {
        println!(
            "a training step is one program: {} instructions, {} fused groups, {} bytes of planned memory; {} parameters",
            program.instructions,
            program.groups,
            program.arena_bytes,
            params.count()
        );
        println!("{} programs compiled, {} steps replayed them", tape.cache_stats().misses, tape.cache_stats().hits);
    }

    let before = judged(&mut judge, &params, &model, &held_samples, &held_labels)?;
    let path = std::env::temp_dir().join(format!("retrograde-wine-{}.safetensors", std::process::id()));
    save(&params, &path)?;
    let mut fresh = Params::new();
    let model = build(&mut fresh);
    load(&mut fresh, &path)?;
    let after = judged(&mut judge, &fresh, &model, &held_samples, &held_labels)?;
    println!("saved to {} and read back: accuracy {:.2}%", path.display(), 100.0 * after);
    if before != after {
        return Err(Error::new(ErrorKind::File, format!("the weights read back give {after}, those saved {before}")));
    }
    std::fs::remove_file(&path).map_err(|e| Error::new(ErrorKind::File, format!("{}: {e}", path.display())))
}

/// The model, in a table of either element type.
fn build<T: Float>(params: &mut Params<T>) -> Sequential {
    Sequential::new()
        .then(Linear::new(params, "hidden", FEATURES, 32, 3))
        .then(LayerNorm::new(params, "norm", 32))
        .then(Activation::Silu)
        .then(Linear::new(params, "second", 32, 16, 4))
        .then(Activation::Tanh)
        .then(Linear::new(params, "out", 16, 2, 5))
}

/// All wines: measurements scaled to mean 0 and deviation 1, and whether they are good.
fn wines() -> Result<(Array<f32>, Array<u32>)> {
    let data = linfa_datasets::winequality();
    let rows: Vec<f64> = data.records.iter().copied().collect();
    let n = rows.len() / FEATURES;
    let column = |j: usize| rows.iter().skip(j).step_by(FEATURES);
    let scale: Vec<(f64, f64)> = (0..FEATURES)
        .map(|j| {
            let mean = column(j).sum::<f64>() / n as f64;
            let variance = column(j).map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
            (mean, variance.sqrt())
        })
        .collect();
    let scaled = rows.iter().enumerate().map(|(i, x)| {
        let (mean, deviation) = scale[i % FEATURES];
        ((x - mean) / deviation) as f32
    });
    let labels: Vec<u32> = data.targets.iter().map(|&grade| u32::from(grade >= GOOD)).collect();
    Ok((Array::from_vec(scaled.collect(), [n, FEATURES])?, Array::from(labels)))
}

/// The first `n` rows, and the rest.
fn split<T: retrograde::Element>(of: &Array<T>, n: usize) -> Result<(Array<T>, Array<T>)> {
    let mut dims = of.shape().to_vec();
    let (first, rest) = of.as_slice().split_at(n * dims[1..].iter().product::<usize>());
    let total = std::mem::replace(&mut dims[0], n);
    let first = Array::from_vec(first.to_vec(), &dims)?;
    dims[0] = total - n;
    Ok((first, Array::from_vec(rest.to_vec(), &dims)?))
}

fn judged(tape: &mut Tape, params: &Params, model: &Sequential, samples: &Array<f32>, labels: &Array<u32>) -> Result<f64> {
    let step = tape.step(params);
    let logits = model.forward(step.input(samples)).value()?;
    accuracy(&logits, labels)
}

/// Compares every gradient of the model on one batch with central differences, in `f64`; the largest relative error.
fn check_gradients(samples: &Array<f32>, labels: &Array<u32>) -> Result<f64> {
    let mut params = Params::<f64>::empty();
    let model = build(&mut params);
    let (samples, _) = split(&samples.cast::<f64>(), BATCH)?;
    let (labels, _) = split(labels, BATCH)?;
    let mut tape = Tape::new();
    let mut loss = |params: &Params<f64>, gradients: bool| -> Result<(f64, Gradients<f64>)> {
        let step = tape.step(params);
        let loss = model.forward(step.input(&samples)).cross_entropy(step.input(&labels));
        let grads = if gradients { loss.backward()? } else { Gradients::default() };
        Ok((loss.item()?, grads))
    };
    let (_, grads) = loss(&params, true)?;
    let (h, mut worst) = (1e-6, 0.0_f64);
    for p in params.ids().collect::<Vec<_>>() {
        for i in params.range(p)? {
            let x = params.values()[i];
            let mut at = |value: f64| {
                params.values_mut()[i] = value;
                loss(&params, false).map(|l| l.0)
            };
            let slope = (at(x + h)? - at(x - h)?) / (2.0 * h);
            params.values_mut()[i] = x;
            let g = grads.column()[i];
            worst = worst.max((slope - g).abs() / (1.0 + g.abs()));
        }
    }
    if worst < 1e-7 { Ok(worst) } else { Err(Error::new(ErrorKind::NotFinite, format!("the gradient check found {worst}"))) }
}
