//! Layers, initial values and the loader: what they compute.

use std::collections::HashSet;

use retrograde_nn::prelude::*;

/// Mean and variance.
fn moments(x: &Array<f64>) -> (f64, f64) {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    (mean, x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n)
}

#[test]
fn initial_values_have_the_variance_they_promise() {
    let shape = [300, 200];
    // Name, values, variance, largest magnitude where there is one.
    let cases: [(&str, Array<f64>, f64, f64); 6] = [
        ("normal", normal(shape, 0.3, 1), 0.09, f64::INFINITY),
        ("uniform", uniform(shape, -1.0, 1.0, 2), 1.0 / 3.0, 1.0),
        ("he_normal", he_normal(shape, 3), 2.0 / 300.0, f64::INFINITY),
        (
            "he_uniform",
            he_uniform(shape, 4),
            2.0 / 300.0,
            (6.0 / 300.0_f64).sqrt(),
        ),
        (
            "xavier_normal",
            xavier_normal(shape, 5),
            2.0 / 500.0,
            f64::INFINITY,
        ),
        (
            "xavier_uniform",
            xavier_uniform(shape, 6),
            2.0 / 500.0,
            (6.0 / 500.0_f64).sqrt(),
        ),
    ];
    for (name, x, expected, limit) in cases {
        let (mean, variance) = moments(&x);
        // 60,000 draws: the mean's deviation is sigma / 245, the variance's below 0.6% of itself.
        assert!(
            mean.abs() < 5.0 * expected.sqrt() / 245.0,
            "{name}: mean {mean}"
        );
        assert!(
            (variance / expected - 1.0).abs() < 0.03,
            "{name}: variance {variance}, expected {expected}"
        );
        assert!(
            x.iter().all(|v| v.abs() <= limit),
            "{name} is within {limit}"
        );
    }
    let low: Array<f64> = uniform([1000], 2.0, 3.0, 1);
    assert!(low.iter().all(|&x| (2.0..3.0).contains(&x)));
    assert!(zeros::<f32>([3, 3]).iter().all(|&x| x == 0.0));
}

#[test]
fn initial_values_are_a_function_of_shape_and_seed() {
    let draw = |seed| -> Array<f32> { he_normal([7, 5], seed) };
    assert_eq!(draw(3), draw(3));
    assert_ne!(draw(3), draw(4));
    let double: Array<f64> = he_normal([7, 5], 3);
    assert_eq!(
        double.cast::<f32>(),
        draw(3),
        "the same numbers in either type"
    );
}

#[test]
fn shapes_too_large_are_an_error_of_the_table() {
    let mut params = Params::new();
    let layer = Linear::new(&mut params, "huge", usize::MAX, 2, 1);
    let error = params.check().unwrap_err();
    assert!(error.to_string().contains("\"huge.weight\""), "{error}");
    let mut tape = Tape::new();
    let x = Array::ones([1, 1]);
    let step = tape.step(&params);
    assert!(layer.forward(step.input(&x)).value().is_err());
}

#[test]
fn linear_is_a_product_and_a_bias() -> Result<()> {
    let mut params = Params::<f64>::empty();
    let with = Linear::new(&mut params, "with", 2, 3, 1);
    let without = Linear::without_bias(&mut params, "without", 2, 3, 2);
    assert_eq!(
        params
            .ids()
            .map(|p| params.name(p))
            .collect::<Result<Vec<_>>>()?,
        ["with.weight", "with.bias", "without.weight"]
    );
    params.set(
        with.weight,
        &Array::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
    )?;
    params.set(with.bias.expect("has one"), &Array::from([0.5, -0.5, 0.0]))?;
    params.set(
        without.weight,
        &Array::from([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]),
    )?;
    let x = Array::from([[1.0, 10.0], [-1.0, 0.0]]);
    let mut tape = Tape::new();
    let step = tape.step(&params);
    assert_eq!(
        with.forward(step.input(&x)).value()?,
        Array::from([[41.5, 51.5, 63.0], [-0.5, -2.5, -3.0]])
    );
    assert_eq!(
        without.forward(step.input(&x)).value()?,
        Array::from([[1.0, 10.0, 11.0], [-1.0, 0.0, -1.0]])
    );
    // Any leading axes.
    let deep = x.reshape([1, 2, 1, 2])?;
    assert_eq!(with.forward(step.input(&deep)).shape()?, [1, 2, 1, 3]);
    Ok(())
}

#[test]
fn layer_norm_by_hand() -> Result<()> {
    let mut params = Params::<f64>::empty();
    let norm = LayerNorm::new(&mut params, "n", 4);
    params.set(norm.weight, &Array::from([1.0, 2.0, 1.0, 1.0]))?;
    params.set(norm.bias, &Array::from([0.0, 0.0, 0.0, 5.0]))?;
    let x = Array::from([[1.0, 2.0, 3.0, 6.0]]);
    let mut tape = Tape::new();
    let step = tape.step(&params);
    // Mean 3, variance 3.5.
    let scale = 1.0 / (3.5_f64 + 1e-5).sqrt();
    let expected = Array::from([[-2.0 * scale, -2.0 * scale, 0.0, 3.0 * scale + 5.0]]);
    norm.forward(step.input(&x))
        .value()?
        .assert_close(&expected, 1e-14, 1e-14);
    Ok(())
}

#[test]
fn embedding_picks_rows_and_their_gradients_add() -> Result<()> {
    let mut params = Params::<f64>::empty();
    let words = Embedding::new(&mut params, "words", 4, 2, 1);
    let table = params.get(words.weight)?;
    let index = Array::from([[2_u32, 0, 2]]);
    let mut tape = Tape::new();
    let step = tape.step(&params);
    let rows = words.forward::<f64, _>(step.input(&index));
    let value = rows.value()?;
    assert_eq!(value.shape(), [1, 3, 2]);
    assert_eq!(value[[0, 1, 1]], table[[0, 1]]);
    assert_eq!(value[[0, 2, 0]], table[[2, 0]]);
    let grads = rows.sum().backward()?;
    assert_eq!(
        grads.slice(words.weight),
        Some(&[1.0, 1.0, 0.0, 0.0, 2.0, 2.0, 0.0, 0.0][..])
    );

    let outside = Array::from([4_u32]);
    let step = tape.step(&params);
    let error = words
        .forward::<f64, _>(step.input(&outside))
        .value()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Index);
    Ok(())
}

#[test]
fn dropout_drops_in_training_alone() -> Result<()> {
    let params = Params::<f64>::empty();
    let model = Sequential::new().then(Sequential::new().then(Dropout::new(0.25, 3)));
    let x = Array::<f64>::ones([100, 100]);
    let mut tape = Tape::new();
    let mut masks = Vec::new();
    for _ in 0..2 {
        let step = tape.step(&params);
        assert_eq!(model.forward(step.input(&x)).value()?, x);
        let y = model.forward_training(step.input(&x)).value()?;
        let dropped = y.iter().filter(|&&v| v == 0.0).count();
        // 10,000 draws of 1/4: deviation 43.
        assert!((2300..2700).contains(&dropped), "{dropped}");
        assert!(y.iter().all(|&v| v == 0.0 || v == 1.0 / 0.75));
        masks.push(y);
    }
    assert_ne!(masks[0], masks[1], "another step drops others");
    let again = Tape::new();
    let first = Dropout::new(0.25, 3)
        .forward(again.constant(x.clone()))
        .value()?;
    let other = Dropout::new(0.25, 4)
        .forward(again.constant(x.clone()))
        .value()?;
    assert_ne!(first, other, "another seed drops others");
    let error = Dropout::new(1.5, 1)
        .forward(again.constant(x))
        .value()
        .unwrap_err();
    assert!(
        error.to_string().contains("1.5") && error.to_string().contains("layers.rs"),
        "{error}"
    );
    Ok(())
}

#[test]
fn activations_are_the_functions_they_name() -> Result<()> {
    let tape = Tape::new();
    let x = tape.constant(Array::<f64>::linspace(-3.0, 3.0, 13));
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let cases: [(Activation, &dyn Fn(f64) -> f64); 5] = [
        (Activation::Relu, &|x| x.max(0.0)),
        (Activation::Silu, &|x| x * sigmoid(x)),
        (Activation::Tanh, &f64::tanh),
        (Activation::Sigmoid, &sigmoid),
        (Activation::Softplus, &|x| x.exp().ln_1p()),
    ];
    for (activation, f) in cases {
        activation
            .forward(x)
            .value()?
            .assert_close(&x.value()?.map(f), 1e-14, 1e-15);
    }
    // x Phi(x): odd part x / 2, and Phi(1) = 0.8413447460685429.
    let y = Activation::Gelu
        .forward(tape.constant(Array::from([1.0, -1.0])))
        .value()?;
    y.assert_close(
        &Array::from([0.841_344_746_068_542_9, -0.158_655_253_931_457_05]),
        1e-14,
        0.0,
    );
    Ok(())
}

#[test]
fn a_model_of_either_type_has_the_gradient_of_its_differences() -> Result<()> {
    fn build<T: Float>(params: &mut Params<T>) -> Sequential {
        Sequential::new()
            .then(Linear::new(params, "a", 4, 6, 1))
            .then(LayerNorm::new(params, "n", 6))
            .then(Activation::Gelu)
            .then(Linear::new(params, "b", 6, 3, 2))
    }
    let x: Array<f64> = normal([5, 4], 1.0, 8);
    let labels = Array::from([0_u32, 1, 2, 1, 0]);
    let mut params = Params::<f64>::empty();
    let model = build(&mut params);
    let mut tape = Tape::new();
    let mut loss = |params: &Params<f64>| {
        let step = tape.step(params);
        model
            .forward(step.input(&x))
            .cross_entropy(step.input(&labels))
            .backward()
    };
    let grads = loss(&params)?;
    for p in params.ids().collect::<Vec<_>>() {
        for i in params.range(p)? {
            let mut moved = params.clone();
            moved.values_mut()[i] += 1e-5;
            let above = loss(&moved)?.loss();
            moved.values_mut()[i] -= 2e-5;
            let slope = (above - loss(&moved)?.loss()) / 2e-5;
            assert!(
                (slope - grads.column()[i]).abs() < 1e-8,
                "{} element {i}",
                params.name(p)?
            );
        }
    }
    let mut single = Params::<f32>::empty();
    let same = build(&mut single);
    let (mut tape, x) = (Tape::new(), x.cast::<f32>());
    let step = tape.step(&single);
    let narrow = same
        .forward(step.input(&x))
        .cross_entropy(step.input(&labels))
        .backward()?;
    // By parameter: columns of the two types are padded differently.
    for p in params.ids() {
        let (a, b) = (
            narrow.get(p).expect("reached"),
            grads.get(p).expect("reached"),
        );
        a.cast::<f64>().assert_close(&b, 1e-4, 1e-6);
    }
    Ok(())
}

#[test]
fn a_pass_of_the_loader_has_every_sample_once() -> Result<()> {
    let x = Array::arange(22).reshape([11, 2])?;
    let y = Array::from_shape_fn([11], |i| i[0] as u32);
    let orders = |seed: Option<u64>, last: bool| -> Result<Vec<Vec<u32>>> {
        let mut loader = Loader::new(&x, &y, 4)?;
        if let Some(seed) = seed {
            loader = loader.shuffle(seed);
        }
        if !last {
            loader = loader.drop_last();
        }
        let mut passes = Vec::new();
        for _ in 0..3 {
            assert_eq!(loader.epoch().len(), loader.len());
            let mut pass = Vec::new();
            for (samples, labels) in &mut loader {
                assert_eq!(samples.shape(), [labels.len(), 2]);
                for (i, &label) in labels.iter().enumerate() {
                    assert_eq!(
                        samples[[i, 1]],
                        2.0 * label as f32 + 1.0,
                        "labels stay with their samples"
                    );
                    pass.push(label);
                }
            }
            passes.push(pass);
        }
        Ok(passes)
    };
    let plain: Vec<u32> = (0..11).collect();
    assert_eq!(orders(None, true)?, vec![plain.clone(); 3]);
    assert_eq!(orders(None, false)?, vec![plain[..8].to_vec(); 3]);
    let shuffled = orders(Some(5), true)?;
    for pass in &shuffled {
        assert_eq!(pass.iter().collect::<HashSet<_>>().len(), 11);
    }
    assert!(
        shuffled[0] != shuffled[1] && shuffled[0] != plain,
        "{shuffled:?}"
    );
    assert_eq!(shuffled, orders(Some(5), true)?, "the seed decides");
    assert_ne!(shuffled, orders(Some(6), true)?);
    Ok(())
}

#[test]
fn accuracy_counts_first_largest() -> Result<()> {
    let logits = Array::from([
        [0.0, 1.0],
        [2.0, 2.0],
        [f64::NAN, -1.0],
        [f64::NAN, f64::NAN],
    ]);
    assert_eq!(accuracy(&logits, &Array::from([1_u32, 0, 1, 0]))?, 0.75);
    assert_eq!(accuracy(&logits, &Array::from([0_u32, 1, 0, 7]))?, 0.0);
    Ok(())
}

#[test]
fn a_step_can_be_explained_before_it_is_taken() -> Result<()> {
    let mut params = Params::new();
    let layer = Linear::new(&mut params, "l", 3, 5, 1);
    let x: Array<f32> = normal([4, 3], 1.0, 2);
    let mut tape = Tape::new();
    let step = tape.train(&mut params);
    let loss = layer.forward(step.input(&x)).square().sum();
    let explained = loss.explain()?;
    let grads = loss.backward()?;
    Sgd::new(0.1).minimise(loss)?;
    let weight = explained
        .lines()
        .iter()
        .find(|l| l.instruction.contains("input") && l.instruction.contains("[3, 5]"))
        .expect("the weight is a leaf");
    let gradient = grads.get(layer.weight).expect("reached");
    let (least, most) = gradient
        .iter()
        .fold((f32::MAX, f32::MIN), |(a, b), &g| (a.min(g), b.max(g)));
    let shown = weight.adjoint.expect("the loss depends on it");
    assert_eq!((shown.min, shown.max), (least.into(), most.into()));
    Ok(())
}
