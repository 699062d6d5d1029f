//! What compilation costs: nanoseconds and bytes an instruction, by length.
//!
//! `cargo run --release -p retrograde-graph --example compile [longest]`

use std::time::Instant;

use retrograde_graph::{Program, Result, Var};
use retrograde_storage::Array;

/// `y = tanh(y a + x)`: all on single elements, or all in few groups.
fn chain<'t>(x: Var<'t>, a: Var<'t>, rounds: usize) -> Var<'t> {
    (0..rounds).fold(x, |y, _| (y * a + x).tanh()).sum()
}

/// Groups of two instructions, products between them.
fn layers<'t>(x: Var<'t>, a: Var<'t>, rounds: usize) -> Var<'t> {
    (0..rounds).fold(x, |y, _| (y.matmul(a) + x).tanh()).sum()
}

/// The process's largest resident memory in bytes, on Linux.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM"));
    let kilobytes = line.and_then(|l| l.split_whitespace().nth(1)?.parse::<usize>().ok());
    kilobytes.unwrap_or(0) << 10
}

type Recorder = for<'t> fn(Var<'t>, Var<'t>, usize) -> Var<'t>;

fn main() -> Result<()> {
    let number = |i| std::env::args().nth(i).and_then(|n| n.parse().ok());
    let longest: usize = number(1).unwrap_or(300_000);
    let kinds: [(&str, Recorder, Array<f32>); 3] = [
        ("scalars", chain, Array::scalar(0.5)),
        ("groups", chain, Array::linspace(-1.0, 1.0, 64)),
        (
            "layers",
            layers,
            Array::from_shape_fn([4, 4], |i| (i[0] as f32 - i[1] as f32) / 8.0),
        ),
    ];
    println!(
        "kind      recorded  compiled   record  primal  derivative   ns an instruction; peak MB"
    );
    for (name, record, x) in kinds {
        let mut rounds = 100;
        while 3 * rounds
            <= if name == "layers" {
                longest / 10
            } else {
                longest
            }
        {
            let mut best = [f64::INFINITY; 2];
            let mut counts = [0; 2];
            for _ in 0..(30_000 / rounds).clamp(1, 20) {
                let inputs = [x.clone(), x.clone()];
                let start = Instant::now();
                let p = Program::record(&inputs, |_, [x, a]| record(x, a, rounds))?;
                let recorded = start.elapsed().as_secs_f64();
                let d = p.value_and_grad()?;
                let derived = start.elapsed().as_secs_f64() - recorded;
                counts = [p.len(), d.len()];
                best = [best[0].min(recorded), best[1].min(derived)];
            }
            let [first, second] = [best[0] / counts[0] as f64, best[1] / counts[1] as f64];
            println!(
                "{name:8} {:9} {:9} {:8.0}           {:8.0}             {:6}",
                counts[0],
                counts[1],
                first * 1e9,
                second * 1e9,
                peak() >> 20
            );
            rounds *= 10;
        }
    }
    Ok(())
}
