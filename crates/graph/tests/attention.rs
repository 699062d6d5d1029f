//! Attention as a user meets it: against its formula, in programs, on threads, and its mistakes.

use retrograde_graph::{Attention, Options, Program, Tape, Var};
use retrograde_storage::Array;

fn numbers(seed: u64, shape: &[usize]) -> Array<f64> {
    let mut state = seed;
    Array::from_shape_fn(shape, |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    })
}

/// The formula, by operations that have derivatives of their own.
fn plain<'t>(
    q: Var<'t, f64>,
    k: Var<'t, f64>,
    v: Var<'t, f64>,
    seen: Option<Var<'t, bool>>,
) -> Var<'t, f64> {
    let d = q.shape().unwrap().pop().unwrap();
    let scores = q.matmul(k.transpose(-2, -1)) / (d as f64).sqrt();
    let scores = seen.map_or(scores, |seen| {
        scores.masked_fill(seen.not(), f64::NEG_INFINITY)
    });
    scores.softmax(-1).matmul(v)
}

fn causal(like: Var<'_, f64>, n: usize) -> Var<'_, bool> {
    let rec = like.rec();
    let (i, j) = (rec.arange::<u32>(n).unsqueeze(1), rec.arange::<u32>(n));
    i.ge(j)
}

#[test]
fn values_and_gradients_are_those_of_the_formula() {
    for n in [1, 7, 63, 64, 65, 130] {
        for is_causal in [false, true] {
            let tape = Tape::new();
            let [q, k, v] = [1, 2, 3].map(|seed| tape.variable(numbers(seed, &[2, 3, n, 8])));
            let options = if is_causal {
                Attention::causal()
            } else {
                Attention::full()
            };
            let weigh = tape.constant(numbers(4, &[2, 3, n, 8]));
            let ours = q.scaled_dot_product_attention(k, v, options);
            let formula = plain(q, k, v, is_causal.then(|| causal(q, n)));
            let gradients = (ours * weigh).sum().grad_of([q, k, v]);
            let expected = (formula * weigh).sum().grad_of([q, k, v]);
            for (found, expected) in
                std::iter::once((ours, formula)).chain(gradients.into_iter().zip(expected))
            {
                let (found, expected) = (found.value().unwrap(), expected.value().unwrap());
                assert!(found.allclose(&expected, 1e-12, 1e-12), "{n} {is_causal}");
            }
        }
    }
}

/// Queries, keys and values cut from one value, whose gradient then needs no joining.
#[test]
fn heads_cut_from_one_layer() {
    let tape = Tape::new();
    let x = tape.variable(numbers(9, &[2, 5, 12]));
    let cut = |i: usize| x.narrow(-1, 4 * i, 4).reshape([2, 5, 2, 2]).transpose(1, 2);
    let (q, k, v) = (cut(0), cut(1), cut(2));
    let ours = q.scaled_dot_product_attention(k, v, Attention::causal());
    let formula = plain(q, k, v, Some(causal(x, 5)));
    let [found] = ours.square().sum().grad_of([x]);
    let [expected] = formula.square().sum().grad_of([x]);
    assert!(
        found
            .value()
            .unwrap()
            .allclose(&expected.value().unwrap(), 1e-12, 1e-12)
    );
    // Pieces in another order, or not all of them, are put together one by one.
    let other = v.scaled_dot_product_attention(q, k, Attention::full());
    let formula = plain(v, q, k, None);
    let [found] = other.square().sum().grad_of([x]);
    let [expected] = formula.square().sum().grad_of([x]);
    assert!(
        found
            .value()
            .unwrap()
            .allclose(&expected.value().unwrap(), 1e-12, 1e-12)
    );
    let [found] = q.square().sum().grad_of([x]);
    let [expected] = x.narrow(-1, 0, 4).square().sum().grad_of([x]);
    assert_eq!(found.value().unwrap(), expected.value().unwrap());
}

/// Nothing is copied between a layer that makes queries, keys and values, the attention and the layer that takes its
/// result, neither forward nor in the adjoint.
#[test]
fn heads_of_one_layer_are_views() {
    let x = numbers(9, &[2, 5, 12]).cast::<f32>();
    let loss = Program::record(&[x], |_, [x]| {
        let x = x.exp();
        let cut = |i: usize| x.narrow(-1, 4 * i, 4).reshape([2, 5, 2, 2]);
        let [q, k, v] = [0, 1, 2].map(|i| cut(i).transpose(1, 2));
        let heads = q.scaled_dot_product_attention(k, v, Attention::causal());
        heads.transpose(1, 2).reshape([2, 5, 4]).square().sum()
    });
    let listing = loss.unwrap().value_and_grad().unwrap().to_string();
    let kernels = listing.lines().filter(|l| l.contains("kernel"));
    let kernels: Vec<&str> = kernels.collect();
    assert_eq!(kernels.len(), 2, "{listing}");
    assert!(kernels[0].contains("attention") && kernels[1].contains("attentiongrad"));
}

#[test]
fn second_derivatives_are_those_of_the_formula() {
    let tape = Tape::new();
    let [q, k, v] = [1, 2, 3].map(|seed| tape.variable(numbers(seed, &[2, 4, 3])));
    let twice = |y: Var<'_, f64>| {
        let [g] = y.square().sum().grad_of([k]);
        let [h] = g.square().sum().grad_of([k]);
        let [h] = h.sin().sum().grad_of([q]);
        h.value().unwrap()
    };
    let found = twice(q.scaled_dot_product_attention(k, v, Attention::causal()));
    let expected = twice(plain(q, k, v, Some(causal(q, 4))));
    assert!(
        found.allclose(&expected, 1e-9, 1e-9),
        "{found:?} {expected:?}"
    );
}

#[test]
fn a_mask_broadcasts_and_a_bias_has_a_gradient() {
    let tape = Tape::new();
    let [q, k, v] = [1, 2, 3].map(|seed| tape.variable(numbers(seed, &[2, 3, 4])));
    let bias = tape.variable(numbers(5, &[3]));
    let ours = q.scaled_dot_product_attention(k, v, Attention::full().bias(bias));
    let formula = (q.matmul(k.transpose(-2, -1)) / 2.0 + bias)
        .softmax(-1)
        .matmul(v);
    let [found] = ours.square().sum().grad_of([bias]);
    let [expected] = formula.square().sum().grad_of([bias]);
    assert!(
        found
            .value()
            .unwrap()
            .allclose(&expected.value().unwrap(), 1e-12, 1e-12)
    );
    let keep = tape.constant(Array::from([true, false, true]));
    let ours = q.scaled_dot_product_attention(k, v, Attention::full().keep(keep));
    let formula = plain(q, k, v, Some(keep));
    assert!(
        ours.value()
            .unwrap()
            .allclose(&formula.value().unwrap(), 1e-12, 1e-12)
    );
}

fn run(options: Options) -> Vec<Vec<f32>> {
    let inputs = [1, 2, 3].map(|seed| numbers(seed, &[3, 70, 16]).cast::<f32>());
    let sum = Program::record(&inputs, |_, [q, k, v]| {
        q.scaled_dot_product_attention(k, v, Attention::causal())
            .square()
            .sum()
    });
    let program = sum.unwrap().value_and_grad().unwrap();
    let program = program.with_options(options).unwrap();
    let mut workspace = program.workspace().unwrap();
    let [q, k, v] = &inputs;
    let out = program.run(&mut workspace, [q, k, v]).unwrap();
    (0..4)
        .map(|i| out.slice::<f32>(i).unwrap().to_vec())
        .collect()
}

#[test]
fn threads_memory_and_passes_do_not_change_bits() {
    let plain = Options {
        threads: 1,
        ..Options::default()
    };
    let expected = run(plain);
    for options in [
        Options {
            threads: 2,
            ..plain
        },
        Options {
            threads: 4,
            poison: true,
            ..plain
        },
        Options {
            share: false,
            poison: true,
            ..plain
        },
        Options {
            optimise: false,
            ..plain
        },
        Options {
            fuse: false,
            ..plain
        },
    ] {
        assert_eq!(run(options), expected, "{options:?}");
    }
}

/// Neither forward nor gradient keep all pairs.
#[test]
fn memory_is_linear_in_the_length() {
    let arena = |n: usize| {
        let inputs = [1, 2, 3].map(|seed| numbers(seed, &[n, 8]).cast::<f32>());
        let sum = Program::record(&inputs, |_, [q, k, v]| {
            q.scaled_dot_product_attention(k, v, Attention::full())
                .sum()
        });
        sum.unwrap().value_and_grad().unwrap().cost().arena_bytes
    };
    let (short, long) = (arena(256), arena(2048));
    assert!(long <= 9 * short, "{short} {long}");
    assert!(long < 2048 * 2048 * 4 / 8, "{long}");
}

#[test]
fn empty_extents() {
    let tape = Tape::new();
    let make = |dims: &[usize]| tape.variable(numbers(1, dims));
    for (queries, keys, d, dv) in [
        (0, 3, 2, 2),
        (3, 0, 2, 2),
        (3, 3, 0, 2),
        (3, 3, 2, 0),
        (2, 3, 0, 1),
    ] {
        let (q, k, v) = (
            make(&[2, queries, d]),
            make(&[2, keys, d]),
            make(&[2, keys, dv]),
        );
        let y = q.scaled_dot_product_attention(k, v, Attention::full());
        let expected = if d == 0 && queries > 0 {
            // All keys are alike.
            v.mean_over(retrograde_graph::keep(1))
                .broadcast_to([2, queries, dv])
                .value()
                .unwrap()
        } else {
            Array::zeros([2, queries, dv]).cast()
        };
        assert!(y.value().unwrap().allclose(&expected, 1e-15, 1e-15));
        for (x, g) in [q, k, v].into_iter().zip(y.sum().grad_of([q, k, v])) {
            assert_eq!(g.shape().unwrap(), x.shape().unwrap());
            assert!(g.value().unwrap().iter().all(|x| x.is_finite()));
        }
    }
}

#[test]
fn mistakes_say_what_was_expected() {
    let tape = Tape::new();
    let make = |dims: &[usize]| tape.variable(numbers(1, dims));
    let attend = |q: &[usize], k: &[usize], v: &[usize]| {
        make(q).scaled_dot_product_attention(make(k), make(v), Attention::full())
    };
    let message = |y: Var<'_, f64>| y.value().unwrap_err().to_string();
    for (found, expected) in [
        (
            attend(&[3], &[2, 3], &[2, 3]),
            "expected rank 2 at least, but [3] has rank 1",
        ),
        (
            attend(&[2, 3], &[2, 4], &[2, 3]),
            "queries and keys must have as many features, but [2, 3] has 3 and [2, 4] has 4",
        ),
        (
            attend(&[2, 3], &[5, 3], &[4, 3]),
            "there must be a value for every key, but [5, 3] has 5 keys and [4, 3] has 4 values",
        ),
        (
            attend(&[2, 2, 3], &[3, 2, 3], &[2, 3]),
            "the leading axes of [2, 2, 3], [3, 2, 3] and [2, 3] do not broadcast",
        ),
    ] {
        let found = message(found);
        assert!(
            found.contains("scaled_dot_product_attention") && found.contains(expected),
            "{found}"
        );
    }
    let (q, k) = (make(&[2, 3]), make(&[4, 3]));
    let mask = tape.constant(Array::from([true, false]));
    let found = message(q.scaled_dot_product_attention(k, k, Attention::full().keep(mask)));
    assert!(
        found.contains("[2] does not broadcast to [2, 4]"),
        "{found}"
    );
}
