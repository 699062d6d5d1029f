//! Kernels by themselves: an operation over 65,536 numbers that stay in the second-level cache, by `cargo bench`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use retrograde::prelude::*;

type Operation = for<'t> fn(Var<'t>, Var<'t>) -> Var<'t>;

/// One of each kind: arithmetic, a root, elementary functions, reductions along either axis and over both.
const OPERATIONS: [(&str, Operation); 12] = [
    ("add", |x, y| x + y),
    ("div", |x, y| x / y),
    ("sqrt", |_, y| y.sqrt()),
    ("exp", |x, _| x.exp()),
    ("ln", |_, y| y.ln()),
    ("sin", |x, _| x.sin()),
    ("tanh", |x, _| x.tanh()),
    ("normal_cdf", |x, _| x.normal_cdf()),
    ("sum", |x, _| x.sum()),
    ("sum of rows", |x, _| x.sum_over(1)),
    ("sum of columns", |x, _| x.sum_over(0)),
    ("softmax", |x, _| x.softmax(1)),
];

fn elementwise(c: &mut Criterion) {
    let mut group = c.benchmark_group("kernels");
    let shape = [256, 256];
    let x = Array::<f32>::linspace(-2.0, 2.0, 65_536)
        .reshape(shape)
        .expect("as many");
    let y = Array::<f32>::linspace(0.5, 2.0, 65_536)
        .reshape(shape)
        .expect("as many");
    group.throughput(Throughput::Elements(65_536));
    for (name, operation) in OPERATIONS {
        let program = Program::record(&[x.clone(), y.clone()], |_, [x, y]| operation(x, y))
            .expect("recorded");
        let mut workspace = program.workspace().expect("memory");
        group.bench_function(name, |b| {
            b.iter(|| program.run(&mut workspace, [&x, &y]).expect("runs").len());
        });
    }
    group.finish();
}

fn products(c: &mut Criterion) {
    let mut group = c.benchmark_group("products");
    for n in [32, 128, 512] {
        let x = Array::<f32>::linspace(-1.0, 1.0, n * n)
            .reshape([n, n])
            .expect("as many");
        let program =
            Program::record(&[x.clone(), x.clone()], |_, [x, y]| x.matmul(y)).expect("recorded");
        let mut workspace = program.workspace().expect("memory");
        // Two operations for each of n^3 terms.
        group.throughput(Throughput::Elements(2 * (n * n * n) as u64));
        group.bench_function(format!("matmul {n}"), |b| {
            b.iter(|| program.run(&mut workspace, [&x, &x]).expect("runs").len());
        });
    }
    group.finish();
}

fn random(c: &mut Criterion) {
    type Draw = for<'t> fn(Rec<'t>) -> Var<'t>;
    let draws: [(&str, Draw); 2] = [
        ("uniform", |t| t.rng(1).uniform([65_536], 0.0, 1.0)),
        ("normal", |t| t.rng(1).normal([65_536], 0.0, 1.0)),
    ];
    let mut group = c.benchmark_group("random");
    group.throughput(Throughput::Elements(65_536));
    for (name, draw) in draws {
        let program = Program::record(&(), |t, ()| draw(t)).expect("recorded");
        let mut workspace = program.workspace().expect("memory");
        group.bench_function(name, |b| {
            b.iter(|| program.run(&mut workspace, ()).expect("runs").len());
        });
    }
    group.finish();
}

criterion_group!(benches, elementwise, products, random);
criterion_main!(benches);
