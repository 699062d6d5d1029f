//! `tiny` and `scalar_chain`.

use crate::inputs::{SCALAR_ROUNDS, SCALAR_X};
use crate::results::Results;
use crate::workload::Workload;
use std::hint::black_box;

/// `x = arange(4)`, `y = 2 dot(x, x)`, `dy/dx = 4 x`.
pub struct Tiny {
    x: [f64; 4],
}

impl Tiny {
    /// With the workload's input.
    pub fn new() -> Self {
        Self {
            x: [0.0, 1.0, 2.0, 3.0],
        }
    }

    fn value_and_grad(&self) -> (f64, [f64; 4]) {
        let x = black_box(self.x);
        (
            2.0 * x.iter().map(|v| v * v).sum::<f64>(),
            x.map(|v| 4.0 * v),
        )
    }
}

impl Default for Tiny {
    fn default() -> Self {
        Self::new()
    }
}

impl Workload for Tiny {
    fn step(&mut self) -> Result<(), String> {
        black_box(self.value_and_grad());
        Ok(())
    }

    fn results(&mut self) -> Result<Results, String> {
        let (loss, grad) = self.value_and_grad();
        Ok(Results {
            loss,
            grads: vec![("x", grad.to_vec())],
            loss_after: None,
        })
    }
}

/// `250 times { y = sin(y) x + 0.1; y = 0.9 y }` from `y = x`, carried forward with its derivative.
pub struct Chain {
    x: f64,
}

impl Chain {
    /// With the workload's input.
    pub fn new() -> Self {
        Self {
            x: f64::from(SCALAR_X as f32),
        }
    }
}

impl Default for Chain {
    fn default() -> Self {
        Self::new()
    }
}

fn chain(x: f64) -> (f64, f64) {
    let (mut y, mut dy) = (x, 1.0);
    for _ in 0..SCALAR_ROUNDS {
        let (sin, cos) = y.sin_cos();
        dy = 0.9 * (cos * dy * x + sin);
        y = 0.9 * (sin * x + 0.1);
    }
    (y, dy)
}

impl Workload for Chain {
    fn step(&mut self) -> Result<(), String> {
        black_box(chain(black_box(self.x)));
        Ok(())
    }

    fn results(&mut self) -> Result<Results, String> {
        let (loss, slope) = chain(self.x);
        Ok(Results {
            loss,
            grads: vec![("x", vec![slope])],
            loss_after: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::central_difference_error;

    #[test]
    fn chain_matches_central_differences() {
        for x in [0.3, 0.7, 1.1] {
            let error =
                central_difference_error(|x| chain(x[0]).0, &[x], &[chain(x).1], &[1.0], 1e-5);
            assert!(error < 1e-8, "{x}: {error}");
        }
    }
}
