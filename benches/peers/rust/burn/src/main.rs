//! Retrograde's bench workloads on burn: its `flex` backend with autodiff, eager on the CPU.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{Adam, AdamConfig, AdamState, Optimizer};
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::{Device, Int, Tensor, TensorData};
use retrograde_benches::cli::Options;
use retrograde_benches::inputs::{
    ADAM, CHAIN_LEN, MLP_WIDTHS, STEPS_CHECKED, chain, mlp_batch, mlp_params, to_f32,
};
use retrograde_benches::main_with;
use retrograde_benches::results::Results;
use retrograde_benches::serve::{Who, registry, serve};
use retrograde_benches::workload::{Build, Workload};
use std::hint::black_box;
use std::process::ExitCode;

const REGISTRY: &[(&str, Build)] = &[
    ("tiny", |_| {
        Ok(Box::new(Function::new(vec![0.0, 1.0, 2.0, 3.0], tiny)))
    }),
    ("tiny_define_by_run", |_| {
        Ok(Box::new(Function::new(vec![0.0, 1.0, 2.0, 3.0], tiny)))
    }),
    ("chain_4m", |_| {
        let x = to_f32(&chain(CHAIN_LEN));
        Ok(Box::new(Function::new(x, activations)))
    }),
    ("mlp_b64", |_| Ok(Box::new(Mlp::new(64)))),
    ("mlp_b512", |_| Ok(Box::new(Mlp::new(512)))),
];

fn main() -> ExitCode {
    main_with(|| {
        let options = Options::parse(std::env::args().skip(1))?;
        let who = Who {
            name: "burn",
            version: "0.23.0-pre.1",
            level: "own choice".into(),
            // From the environment, which `bench` sets.
            threads: options.threads,
        };
        serve(&who, &options, registry(REGISTRY))
    })
}

fn device() -> Device {
    Device::flex().autodiff()
}

fn numbers<const D: usize>(x: Tensor<D>) -> Result<Vec<f64>, String> {
    let values = x.into_data().to_vec::<f32>();
    let values = values.map_err(|e| format!("{e:?}"))?;
    Ok(values.into_iter().map(f64::from).collect())
}

fn tiny(x: Tensor<1>) -> Tensor<1> {
    (x.clone() * x).sum() * 2.0
}

fn activations(x: Tensor<1>) -> Tensor<1> {
    let square = x.clone() * x.clone();
    let first = (square.clone() + 0.5).tanh() * sigmoid(x);
    (first + (-square).exp()).sum()
}

/// A scalar function of one variable.
struct Function {
    x: Tensor<1>,
    f: fn(Tensor<1>) -> Tensor<1>,
}

impl Function {
    fn new(x: Vec<f32>, f: fn(Tensor<1>) -> Tensor<1>) -> Self {
        let len = x.len();
        let x = Tensor::<1>::from_data(TensorData::new(x, [len]), &device());
        Self {
            x: x.require_grad(),
            f,
        }
    }

    fn value_and_grad(&self) -> Result<(Tensor<1>, Tensor<1>), String> {
        let value = (self.f)(self.x.clone());
        let grads = value.backward();
        Ok((value, self.x.grad(&grads).ok_or("no gradient")?))
    }
}

impl Workload for Function {
    fn step(&mut self) -> Result<(), String> {
        black_box(self.value_and_grad()?);
        Ok(())
    }

    fn results(&mut self) -> Result<Results, String> {
        let (value, grad) = self.value_and_grad()?;
        Ok(Results {
            loss: numbers(value)?[0],
            grads: vec![("x", numbers(grad)?)],
            loss_after: None,
        })
    }
}

/// A weight or bias with Adam's state.
struct Param<const D: usize> {
    start: Tensor<D>,
    now: Tensor<D>,
    state: Option<AdamState<D>>,
}

impl<const D: usize> Param<D> {
    fn new(values: &[f64], shape: [usize; D]) -> Self {
        let start = Tensor::<D>::from_data(TensorData::new(to_f32(values), shape), &Device::flex());
        let now = Tensor::from_inner(start.clone()).require_grad();
        Self {
            start,
            now,
            state: None,
        }
    }

    fn restart(&mut self) {
        self.now = Tensor::from_inner(self.start.clone()).require_grad();
        self.state = None;
    }

    fn update(&mut self, adam: &Adam, grad: Tensor<D>) {
        let (now, state) = adam.step(ADAM.lr, self.now.clone().inner(), grad, self.state.take());
        self.now = Tensor::from_inner(now).require_grad();
        self.state = state;
    }
}

const NAMES: [[&str; 2]; 3] = [["w1", "b1"], ["w2", "b2"], ["w3", "b3"]];

/// A perceptron with its batch.
struct Mlp {
    layers: Vec<(Param<2>, Param<1>)>,
    adam: Adam,
    images: Tensor<2>,
    labels: Tensor<1, Int>,
}

impl Mlp {
    fn new(batch: usize) -> Self {
        let params = mlp_params(&MLP_WIDTHS);
        let layers = params.chunks_exact(2).zip(MLP_WIDTHS.windows(2));
        let (images, labels) = mlp_batch(batch, MLP_WIDTHS[0], MLP_WIDTHS[3] as u32);
        let labels: Vec<i64> = labels.into_iter().map(i64::from).collect();
        Self {
            layers: layers
                .map(|(p, w)| (Param::new(&p[0], [w[0], w[1]]), Param::new(&p[1], [w[1]])))
                .collect(),
            adam: AdamConfig::new()
                .with_beta_1(ADAM.beta1 as f32)
                .with_beta_2(ADAM.beta2 as f32)
                .with_epsilon(ADAM.eps as f32)
                .build(),
            images: Tensor::from_data(
                TensorData::new(to_f32(&images), [batch, MLP_WIDTHS[0]]),
                &device(),
            ),
            labels: Tensor::from_data(TensorData::new(labels, [batch]), &device()),
        }
    }

    fn loss(&self) -> Tensor<1> {
        let mut x = self.images.clone();
        for (i, (weight, bias)) in self.layers.iter().enumerate() {
            if i > 0 {
                x = relu(x);
            }
            x = x.matmul(weight.now.clone()) + bias.now.clone().unsqueeze::<2>();
        }
        let loss = CrossEntropyLossConfig::new().init(&device());
        loss.forward(x, self.labels.clone())
    }

    fn train(&mut self) -> Result<Tensor<1>, String> {
        let loss = self.loss();
        let grads = loss.backward();
        for (weight, bias) in &mut self.layers {
            let by_weight = weight.now.grad(&grads).ok_or("no gradient")?;
            let by_bias = bias.now.grad(&grads).ok_or("no gradient")?;
            weight.update(&self.adam, by_weight);
            bias.update(&self.adam, by_bias);
        }
        Ok(loss)
    }

    fn restart(&mut self) {
        for (weight, bias) in &mut self.layers {
            weight.restart();
            bias.restart();
        }
    }
}

impl Workload for Mlp {
    fn reset(&mut self) -> Result<(), String> {
        self.restart();
        Ok(())
    }

    fn step(&mut self) -> Result<(), String> {
        black_box(self.train()?);
        Ok(())
    }

    fn results(&mut self) -> Result<Results, String> {
        self.restart();
        let grads = self.loss().backward();
        let mut found = Vec::new();
        for ((weight, bias), names) in self.layers.iter().zip(NAMES) {
            let by_weight = weight.now.grad(&grads).ok_or("no gradient")?;
            let by_bias = bias.now.grad(&grads).ok_or("no gradient")?;
            found.push((names[0], numbers(by_weight)?));
            found.push((names[1], numbers(by_bias)?));
        }
        let loss = numbers(self.train()?)?[0];
        let mut after = loss;
        for _ in 0..STEPS_CHECKED {
            after = numbers(self.train()?)?[0];
        }
        Ok(Results {
            loss,
            grads: found,
            loss_after: Some(after),
        })
    }
}
