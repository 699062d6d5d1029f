//! Mistakes in training code: each is an error that says what was expected, and nothing is lost.

use retrograde::Options;
use retrograde_nn::prelude::*;

#[track_caller]
fn says<X>(result: Result<X>, kind: ErrorKind, parts: &[&str]) {
    let Err(error) = result else {
        panic!("no error, expected {parts:?}")
    };
    assert_eq!(error.kind(), kind, "{error}");
    for part in parts {
        assert!(
            error.to_string().contains(part),
            "{error} does not say {part:?}"
        );
    }
}

#[test]
fn loaders() {
    let (x, y) = (Array::<f32>::zeros([3, 2]), Array::<u32>::zeros([4]));
    says(
        Loader::new(&x, &y, 2),
        ErrorKind::Shape,
        &["there are 3 samples but 4 labels"],
    );
    let y = Array::<u32>::zeros([3]);
    says(
        Loader::new(&x, &y, 0),
        ErrorKind::Setting,
        &["a batch must have a sample at least"],
    );
    let scalar = Array::scalar(1.0_f32);
    says(
        Loader::new(&scalar, &y, 1),
        ErrorKind::Shape,
        &["not scalars"],
    );
    let broken = Array::<f32>::zeros([usize::MAX, 8]);
    assert!(Loader::new(&broken, &y, 1).is_err());
}

#[test]
fn accuracies() {
    let logits = Array::<f32>::zeros([3, 2]);
    says(
        accuracy(&logits, &Array::<u32>::zeros([2])),
        ErrorKind::Shape,
        &["accuracy of logits [3, 2]", "found [2]"],
    );
    says(
        accuracy(&Array::<f32>::zeros([3]), &Array::<u32>::zeros([3])),
        ErrorKind::Shape,
        &["expected [n, classes]"],
    );
    says(
        accuracy(&Array::<f32>::zeros([0, 2]), &Array::<u32>::zeros([0])),
        ErrorKind::Shape,
        &["[0, 2]"],
    );
}

#[test]
fn clips() -> Result<()> {
    let mut params = Params::new();
    let w = params.insert("w", Array::from([1.0_f32, 2.0]));
    let mut tape = Tape::new();
    let mut gradient = |factor: f32| -> Result<Gradients> {
        let step = tape.step(&params);
        (step.param::<f32>(w).square() * factor).sum().backward()
    };
    let mut grads = gradient(f32::INFINITY)?;
    let before = grads.column().to_vec();
    says(
        clip_norm(&mut grads, 1.0),
        ErrorKind::NotFinite,
        &["the gradients' norm is inf"],
    );
    assert_eq!(grads.column(), before);
    for limit in [-1.0, f64::NAN] {
        says(
            clip_norm(&mut grads, limit),
            ErrorKind::Setting,
            &["not negative", &limit.to_string()],
        );
        says(
            clip_value(&mut grads, limit),
            ErrorKind::Setting,
            &["not negative"],
        );
    }
    Ok(())
}

#[test]
fn tables() -> Result<()> {
    let mut params = Params::new();
    let w = params.insert("w", Array::from([1.0_f32, 2.0]));
    says(
        params.set(w, &Array::ones([3])),
        ErrorKind::Shape,
        &["\"w\" has shape [2]", "[3]"],
    );
    assert_eq!(params.slice(w)?, [1.0, 2.0]);
    let mut larger = Params::new();
    larger.insert("a", Array::<f32>::ones([1]));
    let foreign = larger.insert("b", Array::<f32>::ones([1]));
    says(
        params.get(foreign),
        ErrorKind::Foreign,
        &["p1 is not of this table, which has 1"],
    );
    params.insert("w", Array::ones([1]));
    says(
        params.check(),
        ErrorKind::Inputs,
        &["a parameter named \"w\" exists already"],
    );
    Ok(())
}

#[test]
fn steps() -> Result<()> {
    let mut params = Params::new();
    let w = params.insert("w", Array::from([1.0_f32, 2.0]));
    let start = params.clone();
    let mut adam = Adam::new(0.1);
    let mut tape = Tape::new();

    let step = tape.train(&mut params);
    says(
        adam.minimise(step.param::<f32>(w)),
        ErrorKind::Seed,
        &["minimise of [2] f32", ".mean()", "mistakes.rs"],
    );
    let step = tape.step(&params);
    says(
        adam.minimise(step.param::<f32>(w).sum()),
        ErrorKind::Inputs,
        &["tape.train(&mut params)", "mistakes.rs"],
    );
    let step = tape.train(&mut params);
    says(
        adam.minimise(step.param::<f64>(w).sum()),
        ErrorKind::Foreign,
        &["no parameters of f64", "mistakes.rs"],
    );
    let three = Array::ones([3]);
    let step = tape.train(&mut params);
    let wrong = step.param::<f32>(w) + step.input(&three);
    says(
        adam.minimise(wrong.sum()),
        ErrorKind::Shape,
        &["add of [2] f32 and [3] f32", "mistakes.rs"],
    );
    assert_eq!(params.values(), start.values(), "nothing was updated");
    assert_eq!(adam.steps(), 0, "steps that failed do not count");

    let step = tape.train(&mut params);
    let loss = step.param::<f32>(w).square().sum();
    let unread = loss * 3.0;
    adam.minimise(loss)?;
    says(
        unread.value(),
        ErrorKind::Unknown,
        &["not evaluated before the parameters were updated"],
    );
    says(
        adam.minimise(loss),
        ErrorKind::Unknown,
        &["updated its parameters already"],
    );
    says(loss.backward(), ErrorKind::Unknown, &["record a new step"]);

    let mut other = Params::new();
    other.insert("v", Array::<f32>::ones([100]));
    let step = tape.step(&params);
    let grads = step.param::<f32>(w).sum().backward()?;
    let before = other.clone();
    says(
        adam.update(&mut other, &grads),
        ErrorKind::Foreign,
        &["gradients are of another parameter table"],
    );
    assert_eq!(other.values(), before.values());
    Ok(())
}

/// The two-call form finds the same mistake before anything is updated.
#[test]
fn a_label_that_is_no_class_has_no_gradient() -> Result<()> {
    let mut params = Params::new();
    let layer = Linear::new(&mut params, "a", 3, 3, 1);
    let x: Array<f32> = normal([2, 3], 1.0, 5);
    let labels = Array::from([0_u32, 3]);
    let mut tape = Tape::new();
    let step = tape.step(&params);
    let loss = layer
        .forward(step.input(&x))
        .cross_entropy(step.input(&labels));
    says(loss.backward(), ErrorKind::Index, &["3", "mistakes.rs"]);
    Ok(())
}

/// An error found while a step runs must leave parameters and moments as they were: `samples` with the last label out of
/// range, on as many threads.
fn a_wrong_label_updates_nothing(samples: usize, width: usize, threads: usize) -> Result<()> {
    let mut params = Params::new();
    let model = Sequential::new()
        .then(Linear::new(&mut params, "a", 3, width, 1))
        .then(Activation::Relu)
        .then(Linear::new(&mut params, "b", width, 3, 2));
    let mut adam = Adam::new(0.1);
    let mut tape = Tape::with_options(Options {
        threads,
        ..Options::default()
    });
    let x: Array<f32> = normal([samples, 3], 1.0, 5);
    let mut train = |params: &mut Params, adam: &mut Adam, last: u32| {
        let labels = (0..samples).map(|i| if i + 1 == samples { last } else { i as u32 % 3 });
        let labels = Array::from_vec(labels.collect(), [samples])?;
        let step = tape.train(params);
        let loss = model
            .forward(step.input(&x))
            .cross_entropy(step.input(&labels));
        adam.minimise(loss)
    };
    train(&mut params, &mut adam, 0)?;
    let (values, first, second) = (
        params.values().to_vec(),
        params.state(0).map(<[f32]>::to_vec),
        params.state(1).map(<[f32]>::to_vec),
    );
    says(
        train(&mut params, &mut adam, 3),
        ErrorKind::Index,
        &["index 3", &format!("position {}", samples - 1)],
    );
    assert_eq!(params.values(), values);
    assert_eq!(
        (params.state(0), params.state(1)),
        (first.as_deref(), second.as_deref())
    );
    assert_eq!(adam.steps(), 1);
    train(&mut params, &mut adam, 0)?;
    assert_ne!(params.values(), values, "training goes on");
    Ok(())
}

#[test]
fn a_label_that_is_no_class_updates_nothing() -> Result<()> {
    a_wrong_label_updates_nothing(4, 8, 1)
}

#[test]
fn a_label_that_is_no_class_updates_nothing_on_two_threads() -> Result<()> {
    a_wrong_label_updates_nothing(3000, 256, 2)
}

/// Every optimiser setting that no step can be taken with: both forms refuse it, change nothing, and go on when it is
/// corrected.
#[test]
fn settings_of_optimisers() -> Result<()> {
    fn refused<T: Float, R: retrograde_nn::optim::Rule>(
        mut optimiser: Optimiser<R>,
        parts: &[&str],
    ) -> Result<()> {
        let mut params = Params::<T>::empty();
        let w = params.insert("w", Array::from([T::of(1.0), T::of(2.0)]));
        let start = params.clone();
        let mut tape = Tape::new();
        let grads = tape.step(&params).param::<T>(w).sum().backward()?;
        let fused = optimiser.minimise(tape.train(&mut params).param::<T>(w).sum());
        let called = optimiser.update(&mut params, &grads);
        for result in [fused.map(|_| ()), called] {
            says(result, ErrorKind::Setting, parts);
        }
        assert_eq!(params.values(), start.values());
        assert_eq!((params.state_columns(), optimiser.steps()), (0, 0));
        Ok(())
    }
    let place = "mistakes.rs";
    for bad in [-1e-3, f64::NAN, f64::INFINITY] {
        let named = bad.to_string();
        refused::<f32, _>(Sgd::new(bad), &["a learning rate must be", &named, place])?;
        refused::<f64, _>(Adam::new(bad), &["a learning rate must be", &named, place])?;
        refused::<f32, _>(
            Sgd::new(0.1).weight_decay(bad),
            &["a weight decay must be", &named],
        )?;
        refused::<f64, _>(Sgd::new(0.1).momentum(bad), &["momentum must be", &named])?;
        refused::<f32, _>(Sgd::new(0.1).nesterov(bad), &["momentum must be", &named])?;
        let grouped = AdamW::new(0.1).group(3, bad, 0.0);
        refused::<f32, _>(grouped, &["a learning rate of group 3 must be", &named])?;
        let grouped = AdamW::new(0.1).group(3, 0.1, bad);
        refused::<f32, _>(grouped, &["a weight decay of group 3 must be", &named])?;
        let scheduled = Adam::new(0.1).schedule(Schedule::cosine(0, bad));
        refused::<f32, _>(scheduled, &["a learning rate, scheduled, must be"])?;
    }
    for bad in [-0.1, 1.0, 1.5, f64::NAN] {
        refused::<f32, _>(
            Adam::new(0.1).betas(bad, 0.999),
            &["beta1 must be", &bad.to_string()],
        )?;
        refused::<f64, _>(
            AdamW::new(0.1).betas(0.9, bad),
            &["beta2 must be", &bad.to_string()],
        )?;
    }
    for bad in [0.0, -1e-8, f64::NAN, f64::INFINITY] {
        refused::<f64, _>(Adam::new(0.1).eps(bad), &["eps must be", place])?;
    }
    // What is positive in f64 may be 0 in f32, and what is finite infinite.
    refused::<f32, _>(Adam::new(0.1).eps(1e-50), &["positive as f32", "1e-50"])?;
    refused::<f32, _>(Sgd::new(1e300), &["finite"])?;

    let mut params = Params::new();
    let w = params.insert("w", Array::from([1.0_f32, 2.0]));
    let mut sgd = Sgd::new(f64::NAN);
    let mut tape = Tape::new();
    assert!(
        sgd.minimise(tape.train(&mut params).param::<f32>(w).sum())
            .is_err()
    );
    sgd.set_learning_rate(0.5);
    sgd.minimise(tape.train(&mut params).param::<f32>(w).sum())?;
    assert_eq!(params.slice(w)?, [0.5, 1.5]);
    Ok(())
}
