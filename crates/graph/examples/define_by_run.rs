//! What a step that is recorded anew costs beside its computation: recording, finding its program, compiling it.
//!
//! `cargo run --release -p retrograde-graph --example define_by_run`

use std::time::Instant;

use retrograde_graph::{Param, Params, Rec, Result, Tape, Update, UpdateRule, Var};
use retrograde_storage::Array;

/// Descent with two moments, as many instructions as Adam has.
struct Moments;

impl UpdateRule<f32> for Moments {
    fn columns(&self) -> usize {
        2
    }
    fn identity(&self) -> u64 {
        7
    }
    fn scalars(&self, _: u32, to: &mut Vec<f64>) {
        to.extend([1e-3, 0.9, 0.99]);
    }
    fn update<'t>(&self, of: Update<'_, 't, f32>) -> (Var<'t>, Vec<Var<'t>>) {
        let [rate, keep, keep_square] = [0, 1, 2].map(|i| of.scalars[i]);
        let first = of.state[0] * keep + of.grad * (1.0 - keep);
        let second = of.state[1] * keep_square + of.grad.square() * (1.0 - keep_square);
        (
            of.value - rate * first / (second.sqrt() + 1e-8),
            vec![first, second],
        )
    }
}

struct Net {
    layers: Vec<[Param; 2]>,
    x: Array<f32>,
    labels: Array<u32>,
}

impl Net {
    /// `widths` from input to classes.
    fn new(batch: usize, widths: &[usize]) -> (Self, Params) {
        let mut params = Params::new();
        let random = |dims: [usize; 2]| {
            Array::from_shape_fn(dims, |i| ((i[0] * 7 + i[1] * 3) as f32).sin() / 16.0)
        };
        let layers = widths.windows(2).enumerate().map(|(i, w)| {
            let weight = params.insert(&format!("{i}.weight"), random([w[0], w[1]]));
            let bias = params.insert(&format!("{i}.bias"), Array::zeros([w[1]]));
            [weight, bias]
        });
        let net = Self {
            layers: layers.collect(),
            x: random([batch, widths[0]]),
            labels: Array::from_shape_fn([batch], |i| (i[0] % 4) as u32),
        };
        (net, params)
    }

    fn loss<'t>(&'t self, rec: Rec<'t>) -> Var<'t> {
        let mut y = rec.input(&self.x);
        for (i, layer) in self.layers.iter().enumerate() {
            let [w, b] = layer.map(|p| rec.param::<f32>(p));
            y = y.matmul(w) + b;
            if i + 1 < self.layers.len() {
                y = y.relu();
            }
        }
        y.cross_entropy(rec.input(&self.labels))
    }
}

/// The best of some batches, in nanoseconds a call.
fn time(calls: usize, mut f: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..7 {
        let start = Instant::now();
        for _ in 0..calls {
            f()?;
        }
        best = best.min(start.elapsed().as_secs_f64() / calls as f64);
    }
    Ok(best * 1e9)
}

fn main() -> Result<()> {
    if std::env::args().nth(1).is_some() {
        let (net, mut params) = Net::new(1, &[8, 8, 8, 4]);
        let first = time(3000, || {
            let mut tape = Tape::new();
            let loss = net.loss(tape.train(&mut params));
            loss.minimise_with(&Moments).map(drop)
        })?;
        println!("{first}");
        return Ok(());
    }
    println!("net                      recorded  record    read     step     first step   ns");
    let nets: [(&str, usize, &[usize]); 3] = [
        ("8-8-8-4, batch 1", 1, &[8, 8, 8, 4]),
        ("16 layers of 8, batch 1", 1, &[8; 17]),
        ("784-256-128-10, batch 64", 64, &[784, 256, 128, 10]),
    ];
    for (name, batch, widths) in nets {
        let (net, mut params) = Net::new(batch, widths);
        let calls = if batch == 1 { 2000 } else { 50 };
        let mut tape = Tape::new();
        let mut length = 0;
        let record = time(calls, || {
            let rec = tape.step(&params);
            let _ = net.loss(rec);
            length = tape.len();
            Ok(())
        })?;
        let read = time(calls, || {
            let loss = net.loss(tape.step(&params));
            loss.item().map(drop)
        })?;
        let step = time(calls, || {
            let loss = net.loss(tape.train(&mut params));
            loss.minimise_with(&Moments).map(drop)
        })?;
        let first = time(calls / 50, || {
            let mut tape = Tape::new();
            let loss = net.loss(tape.train(&mut params));
            loss.minimise_with(&Moments).map(drop)
        })?;
        println!("{name:25} {length:7} {record:7.0} {read:8.0} {step:8.0} {first:12.0}");
    }
    Ok(())
}
