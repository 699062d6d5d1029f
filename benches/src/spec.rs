//! The list of workloads: names, what they are, how exact they must be and the mark each has to reach.

use crate::reference;
use crate::workload::Workload;

/// One workload.
#[derive(Clone, Copy)]
pub struct Spec {
    /// The name on the command line and in every line printed.
    pub name: &'static str,
    /// What is computed.
    pub about: &'static str,
    /// Ours has to be this many times faster than the best peer of the same run.
    pub mark: f64,
    /// The largest relative error that passes.
    pub tolerance: f64,
    /// Training: restarted from fresh parameters every 500 steps.
    pub trains: bool,
    /// Has nothing to share between threads: peers are measured on one thread as well, and the better counts.
    pub serial: bool,
    /// Value and gradients in f64 by plain loops.
    pub reference: fn() -> Box<dyn Workload>,
}

/// Every workload, in the order of the report.
pub const SPECS: &[Spec] = &[
    Spec {
        name: "tiny",
        about: "x = arange(4), y = 2 dot(x, x), dy/dx",
        mark: 15.0,
        tolerance: 1e-6,
        trains: false,
        serial: true,
        reference: || Box::new(reference::scalar::Tiny::new()),
    },
    Spec {
        name: "tiny_define_by_run",
        about: "tiny, recorded anew every step",
        mark: 3.0,
        tolerance: 1e-6,
        trains: false,
        serial: true,
        reference: || Box::new(reference::scalar::Tiny::new()),
    },
    Spec {
        name: "scalar_chain",
        about: "250 times { y = sin(y) x + 0.1; y = 0.9 y } on scalars, dy/dx",
        mark: 3.0,
        tolerance: 1e-5,
        trains: false,
        serial: true,
        reference: || Box::new(reference::scalar::Chain::new()),
    },
    Spec {
        name: "chain_4m",
        about: "sum(tanh(x x + 0.5) sigmoid(x) + exp(-x x)) and its gradient, 4M elements",
        mark: 2.0,
        tolerance: 1e-5,
        trains: false,
        serial: false,
        reference: || Box::new(reference::chain::Chain::new(crate::inputs::CHAIN_LEN)),
    },
    Spec {
        name: "black_scholes_1m",
        about: "price sum and dS, dT, dsigma, dr of 1M options",
        mark: 2.0,
        tolerance: 1e-4,
        trains: false,
        serial: false,
        reference: || {
            Box::new(reference::options::BlackScholes::new(
                crate::inputs::OPTIONS,
            ))
        },
    },
    Spec {
        name: "black_scholes_1m_f64",
        about: "the same in f64",
        mark: 2.0,
        tolerance: 1e-9,
        trains: false,
        serial: false,
        reference: || {
            Box::new(reference::options::BlackScholes::new_f64(
                crate::inputs::OPTIONS,
            ))
        },
    },
    Spec {
        name: "mc_asian",
        about: "arithmetic Asian call, 65,536 paths of 64 steps, price and d/dS0, dr, dsigma",
        mark: 5.0,
        tolerance: 1e-4,
        trains: false,
        serial: false,
        reference: || Box::new(reference::asian::Asian::new()),
    },
    Spec {
        name: "mlp_b64",
        about: "784-256-128-10, relu, cross-entropy, Adam, batch 64: one training step",
        mark: 2.0,
        tolerance: 1e-3,
        trains: true,
        serial: false,
        reference: || Box::new(reference::mlp::Mlp::new(&crate::inputs::MLP_WIDTHS, 64)),
    },
    Spec {
        name: "mlp_b512",
        about: "the same, batch 512",
        mark: 1.4,
        tolerance: 1e-3,
        trains: true,
        serial: false,
        reference: || Box::new(reference::mlp::Mlp::new(&crate::inputs::MLP_WIDTHS, 512)),
    },
    Spec {
        name: "lenet_b64",
        about: "conv 6@5x5, relu, maxpool, conv 16@5x5, relu, maxpool, 120, 84, 10; Adam, batch 64: one training step",
        mark: 2.0,
        tolerance: 1e-3,
        trains: true,
        serial: false,
        reference: || Box::new(reference::lenet::Lenet::new(64)),
    },
    Spec {
        name: "gpt",
        about: "4 layers, width 128, 4 heads, context 64, batch 12, vocabulary 65, AdamW: one training step",
        mark: 1.5,
        tolerance: 1e-3,
        trains: true,
        serial: false,
        reference: || Box::new(reference::gpt::Gpt::new(crate::inputs::GPT)),
    },
    Spec {
        name: "gmm_f64",
        about: "ADBench's Gaussian mixture, 10,000 points, d = 10, K = 25, gradient of all parameters",
        mark: 3.0,
        tolerance: 1e-9,
        trains: false,
        serial: false,
        reference: || Box::new(reference::gmm::Mixture::new()),
    },
    Spec {
        name: "logreg_hvp_f64",
        about: "logistic regression, 10,000 rows, 100 weights: Hessian-vector product",
        mark: 1.5,
        tolerance: 1e-9,
        trains: false,
        serial: false,
        reference: || Box::new(reference::logreg::LogReg::new()),
    },
];

/// The workload of that name.
///
/// # Errors
/// Names those that exist.
pub fn find(name: &str) -> Result<&'static Spec, String> {
    SPECS.iter().find(|s| s.name == name).ok_or_else(|| {
        let names: Vec<_> = SPECS.iter().map(|s| s.name).collect();
        format!(
            "no workload is called `{name}`; there are {}",
            names.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for (i, spec) in SPECS.iter().enumerate() {
            assert_eq!(find(spec.name).unwrap().about, spec.about);
            assert!(SPECS[..i].iter().all(|s| s.name != spec.name));
        }
        assert!(find("mlp_b65").err().unwrap().contains("mlp_b64"));
    }
}
