//! Retrograde's bench workloads on candle, eager on the CPU.

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::optim::{AdamW, Optimizer, ParamsAdamW};
use candle_nn::{loss::cross_entropy, ops::sigmoid};
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

type Result<T> = candle_core::Result<T>;

const REGISTRY: &[(&str, Build)] = &[
    ("tiny", |_| made(Function::new(arange(), tiny))),
    ("tiny_define_by_run", |_| {
        made(Function::new(arange(), tiny))
    }),
    ("chain_4m", |_| {
        made(Function::new(to_f32(&chain(CHAIN_LEN)), activations))
    }),
    ("mlp_b64", |_| made(Mlp::new(64))),
    ("mlp_b512", |_| made(Mlp::new(512))),
];

fn main() -> ExitCode {
    main_with(|| {
        let options = Options::parse(std::env::args().skip(1))?;
        let who = Who {
            name: "candle",
            version: "0.11.1",
            // Its kernels are compiled for what every machine has; products pick their level at run time.
            level: "as built".into(),
            // From the environment, which `bench` sets.
            threads: options.threads,
        };
        serve(&who, &options, registry(REGISTRY))
    })
}

fn made<W: Workload + 'static>(work: Result<W>) -> std::result::Result<Box<dyn Workload>, String> {
    match work {
        Ok(work) => Ok(Box::new(work)),
        Err(error) => Err(text(error)),
    }
}

fn text(error: candle_core::Error) -> String {
    error.to_string()
}

fn arange() -> Vec<f32> {
    vec![0.0, 1.0, 2.0, 3.0]
}

fn tiny(x: &Tensor) -> Result<Tensor> {
    (x * x)?.sum_all()? * 2.0
}

fn activations(x: &Tensor) -> Result<Tensor> {
    let square = (x * x)?;
    let first = ((&square + 0.5)?.tanh()? * sigmoid(x)?)?;
    (first + square.neg()?.exp()?)?.sum_all()
}

/// A scalar function of one variable.
struct Function {
    x: Var,
    f: fn(&Tensor) -> Result<Tensor>,
}

impl Function {
    fn new(x: Vec<f32>, f: fn(&Tensor) -> Result<Tensor>) -> Result<Self> {
        let len = x.len();
        Ok(Self {
            x: Var::from_vec(x, len, &Device::Cpu)?,
            f,
        })
    }

    fn value_and_grad(&self) -> Result<(Tensor, Tensor)> {
        let value = (self.f)(&self.x)?;
        let grads = value.backward()?;
        let grad = grads.get(&self.x).cloned();
        let none = || candle_core::Error::Msg("no gradient".into());
        Ok((value, grad.ok_or_else(none)?))
    }
}

impl Workload for Function {
    fn step(&mut self) -> std::result::Result<(), String> {
        black_box(self.value_and_grad().map_err(text)?);
        Ok(())
    }

    fn results(&mut self) -> std::result::Result<Results, String> {
        let (value, grad) = self.value_and_grad().map_err(text)?;
        Ok(Results {
            loss: number(&value).map_err(text)?,
            grads: vec![("x", numbers(&grad).map_err(text)?)],
            loss_after: None,
        })
    }
}

fn number(x: &Tensor) -> Result<f64> {
    x.to_dtype(DType::F64)?.to_scalar()
}

fn numbers(x: &Tensor) -> Result<Vec<f64>> {
    x.flatten_all()?.to_dtype(DType::F64)?.to_vec1()
}

const NAMES: [&str; 6] = ["w1", "b1", "w2", "b2", "w3", "b3"];

/// A perceptron with its batch.
struct Mlp {
    start: Vec<Tensor>,
    params: Vec<Var>,
    adam: AdamW,
    images: Tensor,
    labels: Tensor,
}

/// Adam is the AdamW of no decay.
fn adam(params: &[Var]) -> Result<AdamW> {
    let settings = ParamsAdamW {
        lr: ADAM.lr,
        beta1: ADAM.beta1,
        beta2: ADAM.beta2,
        eps: ADAM.eps,
        weight_decay: 0.0,
    };
    AdamW::new(params.to_vec(), settings)
}

impl Mlp {
    fn new(batch: usize) -> Result<Self> {
        let mut start = Vec::new();
        for (i, values) in mlp_params(&MLP_WIDTHS).iter().enumerate() {
            let shape = match i % 2 {
                0 => vec![MLP_WIDTHS[i / 2], MLP_WIDTHS[i / 2 + 1]],
                _ => vec![values.len()],
            };
            start.push(Tensor::from_vec(to_f32(values), shape, &Device::Cpu)?);
        }
        let params: Vec<Var> = start
            .iter()
            .map(|t| Var::from_tensor(&t.copy()?))
            .collect::<Result<_>>()?;
        let (images, labels) = mlp_batch(batch, MLP_WIDTHS[0], MLP_WIDTHS[3] as u32);
        Ok(Self {
            adam: adam(&params)?,
            start,
            params,
            images: Tensor::from_vec(to_f32(&images), (batch, MLP_WIDTHS[0]), &Device::Cpu)?,
            labels: Tensor::from_vec(labels, batch, &Device::Cpu)?,
        })
    }

    fn loss(&self) -> Result<Tensor> {
        let mut x = self.images.clone();
        for (layer, pair) in self.params.chunks_exact(2).enumerate() {
            if layer > 0 {
                x = x.relu()?;
            }
            x = x.matmul(&pair[0])?.broadcast_add(&pair[1])?;
        }
        cross_entropy(&x, &self.labels)
    }

    fn train(&mut self) -> Result<Tensor> {
        let loss = self.loss()?;
        self.adam.backward_step(&loss)?;
        Ok(loss)
    }

    fn restart(&mut self) -> Result<()> {
        for (param, start) in self.params.iter().zip(&self.start) {
            param.set(&start.copy()?)?;
        }
        self.adam = adam(&self.params)?;
        Ok(())
    }

    fn all(&mut self) -> Result<Results> {
        self.restart()?;
        let grads = self.loss()?.backward()?;
        let mut found = Vec::new();
        for (name, param) in NAMES.into_iter().zip(&self.params) {
            let grad = grads.get(param).map(numbers).transpose()?;
            found.push((name, grad.unwrap_or_default()));
        }
        let loss = number(&self.train()?)?;
        let mut after = loss;
        for _ in 0..STEPS_CHECKED {
            after = number(&self.train()?)?;
        }
        Ok(Results {
            loss,
            grads: found,
            loss_after: Some(after),
        })
    }
}

impl Workload for Mlp {
    fn reset(&mut self) -> std::result::Result<(), String> {
        self.restart().map_err(text)
    }

    fn step(&mut self) -> std::result::Result<(), String> {
        black_box(self.train().map_err(text)?);
        Ok(())
    }

    fn results(&mut self) -> std::result::Result<Results, String> {
        self.all().map_err(text)
    }
}
