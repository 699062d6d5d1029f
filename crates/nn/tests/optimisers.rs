//! Optimisers against plain loops over the published formulas (as `PyTorch` defines them), and the two forms of a step
//! against each other.

use retrograde_nn::optim::Rule;
use retrograde_nn::prelude::*;

const STEPS: u64 = 40;

/// Where training starts, and the curvature of `sum(c w^2) / 2`, whose gradient is `c w`.
const START: [f64; 5] = [1.0, -2.0, 0.3, 4.0, -0.05];
const CURVATURE: [f64; 5] = [0.7, 0.1, 3.0, 1.5, 9.0];

fn to<T: Float>(x: [f64; 5]) -> Array<T> {
    Array::from(x.map(T::of))
}

/// The parameter after every step of the library, by `backward` and `update`.
fn trained<T: Float, R: Rule>(mut optimiser: Optimiser<R>) -> Result<Vec<Vec<f64>>> {
    let mut params = Params::<T>::empty();
    let w = params.insert("w", to::<T>(START));
    let mut tape = Tape::new();
    let half = T::of(0.5);
    let mut path = Vec::new();
    for _ in 0..STEPS {
        let step = tape.step(&params);
        let (v, c) = (step.param::<T>(w), to::<T>(CURVATURE));
        let loss = half * (step.input(&c) * v * v).sum();
        let grads = loss.backward()?;
        optimiser.update(&mut params, &grads)?;
        path.push(params.slice(w)?.iter().map(|x| x.to_f64()).collect());
    }
    assert_eq!(optimiser.steps(), STEPS);
    Ok(path)
}

/// Compares the library in `f64` and `f32` with a formula: `step(t, w, g, state) -> w`.
fn follows<R: Rule>(
    optimiser: Optimiser<R>,
    step: impl Fn(u64, f64, f64, &mut [f64; 2]) -> f64,
) -> Result<()> {
    let (double, single) = (
        trained::<f64, R>(optimiser.clone())?,
        trained::<f32, R>(optimiser)?,
    );
    for i in 0..START.len() {
        let (mut w, mut state) = (START[i], [0.0; 2]);
        for t in 1..=STEPS {
            w = step(t, w, CURVATURE[i] * w, &mut state);
            let at = t as usize - 1;
            let error = (double[at][i] - w).abs();
            assert!(
                error <= 1e-12 * (1.0 + w.abs()),
                "f64, element {i}, step {t}: {} is not {w}",
                double[at][i]
            );
            let error = (single[at][i] - w).abs();
            assert!(
                error <= 2e-4 * (1.0 + w.abs()),
                "f32, element {i}, step {t}: {} is not {w}",
                single[at][i]
            );
        }
    }
    Ok(())
}

#[test]
fn plain_descent() -> Result<()> {
    follows(Sgd::new(0.1), |_, w, g, _| w - 0.1 * g)?;
    follows(Sgd::new(0.1).weight_decay(0.2), |_, w, g, _| {
        w - 0.1 * (g + 0.2 * w)
    })
}

#[test]
fn momentum() -> Result<()> {
    follows(
        Sgd::new(0.02).momentum(0.9).weight_decay(0.1),
        |t, w, g, state| {
            let g = g + 0.1 * w;
            state[0] = if t == 1 { g } else { 0.9 * state[0] + g };
            w - 0.02 * state[0]
        },
    )
}

#[test]
fn nesterov() -> Result<()> {
    follows(
        Sgd::new(0.02).nesterov(0.8).weight_decay(0.1),
        |t, w, g, state| {
            let g = g + 0.1 * w;
            state[0] = if t == 1 { g } else { 0.8 * state[0] + g };
            w - 0.02 * (g + 0.8 * state[0])
        },
    )
}

fn adam_step(t: u64, g: f64, [m, v]: &mut [f64; 2], (b1, b2, eps): (f64, f64, f64)) -> f64 {
    *m = b1 * *m + (1.0 - b1) * g;
    *v = b2 * *v + (1.0 - b2) * g * g;
    let correction = |b: f64| 1.0 - b.powi(t as i32);
    (*m / correction(b1)) / ((*v / correction(b2)).sqrt() + eps)
}

#[test]
fn adam_with_bias_correction_and_coupled_decay() -> Result<()> {
    let usual = (0.9, 0.999, 1e-8);
    follows(Adam::new(0.05), |t, w, g, s| {
        w - 0.05 * adam_step(t, g, s, usual)
    })?;
    let other = (0.8, 0.95, 1e-3);
    let adam = Adam::new(0.05).betas(0.8, 0.95).eps(1e-3).weight_decay(0.3);
    follows(adam, |t, w, g, s| {
        w - 0.05 * adam_step(t, g + 0.3 * w, s, other)
    })
}

#[test]
fn adamw_with_decoupled_decay() -> Result<()> {
    let usual = (0.9, 0.999, 1e-8);
    follows(AdamW::new(0.05), |t, w, g, s| {
        let w = w * (1.0 - 0.05 * 0.01);
        w - 0.05 * adam_step(t, g, s, usual)
    })?;
    follows(AdamW::new(0.05).weight_decay(0.5), |t, w, g, s| {
        let w = w * (1.0 - 0.05 * 0.5);
        w - 0.05 * adam_step(t, g, s, usual)
    })
}

#[test]
fn schedules_scale_the_rate_of_their_step() -> Result<()> {
    let schedule = Schedule::cosine(30, 0.1).warm_up(5);
    follows(Sgd::new(0.1).schedule(schedule), |t, w, g, _| {
        let factor = if t <= 5 {
            t as f64 / 5.0
        } else if t <= 35 {
            let along = (t - 6) as f64 / 30.0;
            0.1 + 0.9 * (1.0 + (std::f64::consts::PI * along).cos()) / 2.0
        } else {
            0.1
        };
        w - 0.1 * factor * g
    })
}

/// The classifier of the tests below: its parameters in three groups, one of them frozen.
fn model<T: Float>(params: &mut Params<T>) -> Result<Sequential> {
    let model = Sequential::new()
        .then(Linear::new(params, "first", 6, 9, 1))
        .then(LayerNorm::new(params, "norm", 9))
        .then(Activation::Gelu)
        .then(Linear::new(params, "second", 9, 7, 2))
        .then(Activation::Relu)
        .then(Linear::new(params, "third", 7, 3, 3));
    // Not used by the loss: without influence, it must stay as it is.
    params.insert("idle", normal([4], 1.0, 9));
    for (name, group) in [("norm.weight", 1), ("norm.bias", 1), ("third.weight", 2)] {
        params.set_group(params.find(name).expect("inserted"), group)?;
    }
    params.set_frozen(params.find("second.weight").expect("inserted"), true)?;
    Ok(model)
}

/// `minimise` is one program; `backward` and `update` are a program and a loop: the same bits.
fn both_forms<T: Float, R: Rule>(optimiser: Optimiser<R>) -> Result<()> {
    let optimiser = optimiser.group(1, 0.03, 0.0).group(2, 0.007, 0.4);
    let (mut fused, mut looped) = (Params::<T>::empty(), Params::<T>::empty());
    let net = model(&mut fused)?;
    model(&mut looped)?;
    let start = fused.clone();
    let (mut first, mut second) = (optimiser.clone(), optimiser);
    let (mut tape, mut other) = (Tape::new(), Tape::new());
    for i in 0..12_u64 {
        let x: Array<T> = normal([10, 6], 1.0, i);
        let labels = Array::from_shape_fn([10], |at| (at[0] * 7 + i as usize) as u32 % 3);
        let step = tape.train(&mut fused);
        let loss = net
            .forward(step.input(&x))
            .cross_entropy(step.input(&labels));
        let a = first.minimise(loss)?;
        let step = other.step(&looped);
        let loss = net
            .forward(step.input(&x))
            .cross_entropy(step.input(&labels));
        let grads = loss.backward()?;
        second.update(&mut looped, &grads)?;
        assert_eq!(a.to_f64(), grads.loss(), "step {i}");
        let bits = |p: &Params<T>| -> Vec<u64> {
            p.values().iter().map(|x| x.to_f64().to_bits()).collect()
        };
        assert_eq!(bits(&fused), bits(&looped), "values after step {i}");
        for c in 0..fused.state_columns() {
            assert!(
                fused.state(c) == looped.state(c),
                "state column {c} after step {i}"
            );
        }
    }
    assert_eq!(
        (tape.cache_stats().misses, tape.cache_stats().hits),
        (1, 11)
    );
    for p in fused.ids() {
        let still = fused.slice(p)? == start.slice(p)?;
        let expected = ["second.weight", "idle"].contains(&fused.name(p)?);
        assert_eq!(still, expected, "{}", fused.name(p)?);
    }
    Ok(())
}

fn both_forms_in_both_types<R: Rule>(optimiser: Optimiser<R>) -> Result<()> {
    both_forms::<f32, R>(optimiser.clone())?;
    both_forms::<f64, R>(optimiser)
}

#[test]
fn sgd_fused_and_in_two_calls() -> Result<()> {
    both_forms_in_both_types(Sgd::new(0.05).weight_decay(0.01))?;
    both_forms_in_both_types(Sgd::new(0.05).momentum(0.9))?;
    both_forms_in_both_types(Sgd::new(0.05).nesterov(0.9).weight_decay(0.01))
}

#[test]
fn adam_fused_and_in_two_calls() -> Result<()> {
    both_forms_in_both_types(Adam::new(0.01).schedule(Schedule::step(3, 0.5)))?;
    both_forms_in_both_types(Adam::new(0.01).weight_decay(0.1))?;
    both_forms_in_both_types(AdamW::new(0.01).schedule(Schedule::cosine(10, 0.0).warm_up(2)))
}

#[test]
fn groups_have_their_own_rate_and_decay() -> Result<()> {
    let mut params = Params::<f64>::empty();
    let (a, b) = (
        params.insert("a", Array::from([1.0])),
        params.insert("b", Array::from([1.0])),
    );
    params.set_group(b, 3)?;
    let mut sgd = Sgd::new(0.5).weight_decay(0.1).group(3, 0.25, 2.0);
    assert_eq!((sgd.learning_rate(0), sgd.learning_rate(3)), (0.5, 0.25));
    let mut tape = Tape::new();
    let step = tape.train(&mut params);
    sgd.minimise(step.param::<f64>(a).sum() + step.param::<f64>(b).sum())?;
    assert_eq!(params.get(a)?.item()?, 1.0 - 0.5 * (1.0 + 0.1));
    assert_eq!(params.get(b)?.item()?, 1.0 - 0.25 * (1.0 + 2.0));

    sgd.set_learning_rate(0.0);
    let step = tape.train(&mut params);
    sgd.minimise(step.param::<f64>(a).sum() + step.param::<f64>(b).sum())?;
    assert_eq!(params.get(a)?.item()?, 1.0 - 0.5 * 1.1, "at rate 0");
    assert!(params.get(b)?.item()? < 0.25, "a group's own rate stays");
    assert_eq!(tape.cache_stats().misses, 1, "a rate is data");
    Ok(())
}

#[test]
fn thawing_takes_part_again() -> Result<()> {
    let mut params = Params::new();
    let w = params.insert("w", Array::from([1.0_f32]));
    let mut sgd = Sgd::new(0.5);
    let mut tape = Tape::new();
    for (frozen, expected) in [(true, 1.0), (false, 0.5), (true, 0.5), (false, 0.0)] {
        params.set_frozen(w, frozen)?;
        let step = tape.train(&mut params);
        sgd.minimise(step.param::<f32>(w).sum())?;
        assert_eq!(params.get(w)?.item()?, expected);
    }
    Ok(())
}

#[test]
fn micro_batches_add_up_to_the_batch() -> Result<()> {
    let mut params = Params::<f64>::empty();
    let layer = Linear::new(&mut params, "l", 3, 2, 1);
    let x: Array<f64> = normal([8, 3], 1.0, 5);
    let mut tape = Tape::new();
    let gradients = |tape: &mut Tape, rows: std::ops::Range<usize>| -> Result<Gradients<f64>> {
        let part = Array::from_vec(
            x.as_slice()[rows.start * 3..rows.end * 3].to_vec(),
            [rows.len(), 3],
        )?;
        let step = tape.step(&params);
        layer.forward(step.input(&part)).square().sum().backward()
    };
    let whole = gradients(&mut tape, 0..8)?;
    let mut parts = gradients(&mut tape, 0..5)?;
    parts.add(&gradients(&mut tape, 5..8)?)?;
    assert!((whole.loss() - parts.loss()).abs() < 1e-12);
    for (a, b) in whole.column().iter().zip(parts.column()) {
        assert!((a - b).abs() < 1e-12);
    }
    Ok(())
}

#[test]
fn clipping() -> Result<()> {
    let mut params = Params::<f64>::empty();
    let w = params.insert("w", Array::from([3.0, -4.0]));
    let mut tape = Tape::new();
    let mut gradient = || -> Result<Gradients<f64>> {
        let step = tape.step(&params);
        (0.5 * step.param::<f64>(w).square().sum()).backward()
    };
    let mut grads = gradient()?;
    assert_eq!(clip_norm(&mut grads, 10.0)?, 5.0);
    assert_eq!(
        grads.slice(w),
        Some(&[3.0, -4.0][..]),
        "below the limit nothing changes"
    );
    assert_eq!(clip_norm(&mut grads, 2.5)?, 5.0);
    assert_eq!(grads.slice(w), Some(&[1.5, -2.0][..]));
    let mut grads = gradient()?;
    clip_value(&mut grads, 3.5)?;
    assert_eq!(grads.slice(w), Some(&[3.0, -3.5][..]));
    Ok(())
}
