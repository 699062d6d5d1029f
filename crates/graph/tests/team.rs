//! A run on many threads: nothing is left out when helpers never come, or when there are more of them than blocks.

use retrograde_graph::{Options, Program, Result};
use retrograde_storage::Array;

const SHAPE: [usize; 2] = [40, 1000];

/// Products, groups and reductions, some of more blocks than others: value and gradient of every input.
fn program(threads: usize) -> Result<Program> {
    let inputs = [
        Array::<f32>::zeros(SHAPE),
        Array::<f32>::zeros([SHAPE[1], 24]),
    ];
    let options = Options {
        threads,
        ..Options::default()
    };
    Program::try_record_with(&inputs, options, |_, [x, w]| {
        let hidden = (x.sin() * x.exp()).matmul(w).tanh();
        Ok((hidden * hidden.sum_over(1).reshape([SHAPE[0], 1]))
            .mean()
            .into())
    })?
    .value_and_grad()
}

/// Results of several runs on different inputs, as bits.
fn results(program: &Program) -> Result<Vec<Vec<u32>>> {
    let mut workspace = program.workspace()?;
    let mut all = Vec::new();
    for run in 1..4 {
        let ramp = |dims: [usize; 2]| {
            Array::from_shape_fn(dims, |i| {
                ((i[0] * 31 + i[1] * run) % 97) as f32 / 97.0 - 0.5
            })
        };
        let out = program.run(&mut workspace, &[ramp(SHAPE), ramp([SHAPE[1], 24])])?;
        for k in 0..out.len() {
            let array: Array<f32> = out.array(k)?;
            all.push(array.into_vec().into_iter().map(f32::to_bits).collect());
        }
    }
    Ok(all)
}

fn pool(threads: usize) -> rayon::ThreadPool {
    let builder = rayon::ThreadPoolBuilder::new().num_threads(threads);
    builder.build().expect("a pool")
}

/// The pool's one thread is the caller, so the helpers it asks for never start: it does all seats' blocks itself.
#[test]
fn helpers_that_never_come_are_not_missed() -> Result<()> {
    let expected = results(&program(1)?)?;
    assert!(expected.iter().all(|r| r.iter().any(|&bits| bits != 0)));
    for threads in [2, 3, 8] {
        let found = pool(1).install(|| results(&program(threads)?))?;
        assert!(found == expected, "{threads} threads");
    }
    Ok(())
}

#[test]
fn more_threads_than_blocks() -> Result<()> {
    let expected = results(&program(1)?)?;
    for threads in [16, 65, 1000] {
        let found = pool(4).install(|| results(&program(threads)?))?;
        assert!(found == expected, "{threads} threads");
    }
    Ok(())
}
