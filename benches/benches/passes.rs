//! Recording, differentiation and compilation by length, by `cargo bench`: each grows in proportion.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use retrograde::prelude::*;

fn chain<'t>(x: Var<'t>, a: Var<'t>, length: usize) -> Var<'t> {
    let mut y = x;
    for _ in 0..length {
        y = (y * a + x).tanh();
    }
    y.sum()
}

fn passes(c: &mut Criterion) {
    let mut group = c.benchmark_group("passes");
    group.sample_size(10);
    for (kind, elements) in [("scalar", 1), ("tensor", 64)] {
        let x = Array::<f32>::linspace(-1.0, 1.0, elements);
        for length in [100, 1000, 10_000] {
            group.throughput(Throughput::Elements(length as u64));
            let record = || {
                Program::record(&[x.clone(), x.clone()], |_, [x, a]| chain(x, a, length))
                    .expect("recorded")
            };
            group.bench_function(BenchmarkId::new(format!("{kind}: record"), length), |b| {
                b.iter(|| record().len());
            });
            let program = record();
            let name = format!("{kind}: differentiate and compile");
            group.bench_function(BenchmarkId::new(name, length), |b| {
                b.iter(|| program.value_and_grad().expect("differentiable").len());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, passes);
criterion_main!(benches);
