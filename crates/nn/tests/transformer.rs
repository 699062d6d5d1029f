//! The transformer's layers: what a position sees, what a step trains, and mistakes.

use retrograde_nn::prelude::*;
use retrograde_nn::{SelfAttention, TransformerBlock};

fn input(shape: &[usize]) -> Array<f64> {
    let mut n = 0.0;
    Array::from_shape_fn(shape, |_| {
        n += 1.0;
        f64::sin(n * n)
    })
}

#[test]
fn a_causal_block_does_not_see_ahead() -> Result<()> {
    let mut params = Params::<f64>::empty();
    let block = TransformerBlock::new(&mut params, "block", 8, 2, 3);
    let (x, mut changed) = (input(&[2, 5, 8]), input(&[2, 5, 8]));
    // One feature: normalisation would not see all of them moved together.
    changed[[0, 3, 2]] += 1.0;
    for is_causal in [false, true] {
        let block = if is_causal {
            block.clone().causal()
        } else {
            block.clone()
        };
        let mut tape = Tape::new();
        let step = tape.step(&params);
        let [a, b] = [&x, &changed].map(|x| block.forward(step.input(x)).value());
        let (a, b) = (a?, b?);
        let same = |s: usize, t: usize| (0..8).all(|f| a.get(&[s, t, f]) == b.get(&[s, t, f]));
        assert!((0..5).all(|t| same(1, t)), "other sequences");
        assert_eq!((0..3).all(|t| same(0, t)), is_causal, "before");
        assert!(!same(0, 3) && !same(0, 4), "from there on");
    }
    Ok(())
}

/// One head of the attention is the formula on its columns of the layer.
#[test]
fn heads_are_columns_of_one_layer() -> Result<()> {
    let mut params = Params::<f64>::empty();
    let attention = SelfAttention::new(&mut params, "attention", 6, 2, 5);
    let x = input(&[4, 6]);
    let mut tape = Tape::new();
    let step = tape.step(&params);
    let x = step.input(&x);
    let all = attention.qkv.forward(x);
    let head = |h: usize| {
        let [q, k, v] = [0, 1, 2].map(|part| all.narrow(1, 6 * part + 3 * h, 3));
        (q.matmul(k.t()) / 3f64.sqrt()).softmax(-1).matmul(v)
    };
    let joined = step.concat(&[head(0), head(1)], 1);
    let expected = attention.out.forward(joined).value()?;
    assert!(
        attention
            .forward(x)
            .value()?
            .allclose(&expected, 1e-13, 1e-13)
    );
    Ok(())
}

#[test]
fn a_block_learns_to_copy_the_token_before() -> Result<()> {
    let mut params = Params::new();
    let tokens = Embedding::new(&mut params, "tokens", 5, 16, 1);
    let positions = Embedding::new(&mut params, "positions", 8, 16, 2);
    let block = TransformerBlock::new(&mut params, "block", 16, 2, 3).causal();
    let head = Linear::new(&mut params, "head", 16, 5, 7);
    let of = |i: usize| (i * i * 7 + i / 3) as u32 % 5;
    let x: Vec<u32> = (0..64).map(of).collect();
    let y: Vec<u32> = (0..64)
        .map(|i| if i % 8 == 0 { x[i] } else { x[i - 1] })
        .collect();
    let (x, y) = (Array::from_vec(x, [8, 8])?, Array::from_vec(y, [8, 8])?);
    let mut adam = AdamW::new(3e-3);
    let mut tape = Tape::new();
    let mut loss = f32::INFINITY;
    for _ in 0..200 {
        let step = tape.train(&mut params);
        let h = tokens.forward(step.input(&x)) + step.param(positions.weight);
        let logits = head.forward(block.forward(h));
        loss = adam.minimise(logits.cross_entropy(step.input(&y)))?;
    }
    assert!(loss < 0.1, "{loss}");
    Ok(())
}

#[test]
fn heads_that_do_not_divide_the_width_are_an_error() {
    let mut params = Params::<f32>::new();
    for heads in [3, 0] {
        let name = format!("attention{heads}");
        let attention = SelfAttention::new(&mut params, &name, 8, heads, 1);
        let mut tape = Tape::new();
        let step = tape.step(&params);
        let x = Array::ones([2, 8]);
        let error = attention.forward(step.input(&x)).value().unwrap_err();
        assert!(error.to_string().contains("unflatten"), "{error}");
        assert!(
            error.to_string().contains("tests/transformer.rs"),
            "{error}"
        );
    }
}
