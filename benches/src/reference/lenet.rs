//! `lenet_b64`: two convolutions with relu and max-pooling, then a perceptron, by Adam.

use super::mlp::perceptron;
use super::training::{Network, Training};
use crate::inputs::{
    LENET_CHANNELS, LENET_KERNEL, LENET_SIDE, LENET_WIDTHS, lenet_params, mlp_batch, rounded,
};

/// Names of the parameters, in order.
const NAMES: [&str; 10] = ["c1", "cb1", "c2", "cb2", "w1", "b1", "w2", "b2", "w3", "b3"];

/// The network with one batch.
pub struct Convolutions {
    images: Vec<f64>,
    labels: Vec<u32>,
}

/// Training it.
pub type Lenet = Training<Convolutions>;

impl Lenet {
    /// The workload's, with this batch.
    pub fn new(batch: usize) -> Self {
        let pixels = LENET_SIDE * LENET_SIDE;
        let (images, labels) = mlp_batch(batch, pixels, LENET_WIDTHS[3] as u32);
        let network = Convolutions {
            images: rounded(images),
            labels,
        };
        let start = lenet_params().into_iter().map(rounded).collect();
        Self::from_start(network, start)
    }
}

/// One convolution with its relu and its pooling.
struct Layer {
    batch: usize,
    channels: usize,
    outputs: usize,
    /// Rows and columns of the images, and of what the convolution makes of them.
    side: usize,
    wide: usize,
    padding: usize,
}

impl Layer {
    /// Calls `f(image element, weight element, output element)` for every product.
    fn products(&self, mut f: impl FnMut(usize, usize, usize)) {
        for n in 0..self.batch {
            for o in 0..self.outputs {
                for c in 0..self.channels {
                    for i in 0..LENET_KERNEL {
                        for j in 0..LENET_KERNEL {
                            let tap =
                                ((o * self.channels + c) * LENET_KERNEL + i) * LENET_KERNEL + j;
                            for p in 0..self.wide {
                                for q in 0..self.wide {
                                    let (h, w) = (p + i, q + j);
                                    let inside = |at: usize| {
                                        (self.padding..self.padding + self.side).contains(&at)
                                    };
                                    if inside(h) && inside(w) {
                                        let (h, w) = (h - self.padding, w - self.padding);
                                        let plane = n * self.channels + c;
                                        let image = (plane * self.side + h) * self.side + w;
                                        let plane = n * self.outputs + o;
                                        f(image, tap, (plane * self.wide + p) * self.wide + q);
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// After relu and pooling: the largest of each 2 by 2, and where they stand.
    fn forward(&self, x: &[f64], weight: &[f64], bias: &[f64]) -> (Vec<f64>, Vec<usize>) {
        let plane = self.wide * self.wide;
        let mut y: Vec<f64> = (0..self.batch * self.outputs * plane)
            .map(|e| bias[e / plane % self.outputs])
            .collect();
        self.products(|image, tap, out| y[out] += x[image] * weight[tap]);
        let half = self.wide / 2;
        let pooled = (0..self.batch * self.outputs * half * half).map(|e| {
            let (q, p) = (2 * (e % half), 2 * (e / half % half));
            let first = e / (half * half) * plane + p * self.wide + q;
            let window = [first, first + 1, first + self.wide, first + self.wide + 1];
            let best = window
                .into_iter()
                .reduce(|a, b| if y[b].max(0.0) > y[a].max(0.0) { b } else { a });
            let best = best.unwrap_or(first);
            (y[best].max(0.0), best)
        });
        pooled.unzip()
    }

    /// Gradients of weight and bias, and of the images.
    fn backward(
        &self,
        x: &[f64],
        weight: &[f64],
        (pooled, places): &(Vec<f64>, Vec<usize>),
        delta: &[f64],
    ) -> [Vec<f64>; 3] {
        let plane = self.wide * self.wide;
        let mut g = vec![0.0; self.batch * self.outputs * plane];
        for ((&y, &at), &d) in pooled.iter().zip(places).zip(delta) {
            if y > 0.0 {
                g[at] += d;
            }
        }
        let mut bias = vec![0.0; self.outputs];
        for (e, g) in g.iter().enumerate() {
            bias[e / plane % self.outputs] += g;
        }
        let (mut dw, mut dx) = (vec![0.0; weight.len()], vec![0.0; x.len()]);
        self.products(|image, tap, out| {
            dw[tap] += x[image] * g[out];
            dx[image] += weight[tap] * g[out];
        });
        [dw, bias, dx]
    }
}

impl Network for Convolutions {
    const NAMES: &'static [&'static str] = &NAMES;

    fn loss_and_grads(&self, params: &[Vec<f64>]) -> (f64, Vec<Vec<f64>>) {
        let batch = self.labels.len();
        let [channels, first, second] = LENET_CHANNELS;
        let one = Layer {
            batch,
            channels,
            outputs: first,
            side: LENET_SIDE,
            wide: LENET_SIDE,
            padding: 2,
        };
        let two = Layer {
            batch,
            channels: first,
            outputs: second,
            side: LENET_SIDE / 2,
            wide: LENET_SIDE / 2 + 1 - LENET_KERNEL,
            padding: 0,
        };
        let a = one.forward(&self.images, &params[0], &params[1]);
        let b = two.forward(&a.0, &params[2], &params[3]);
        let (loss, linear, delta) = perceptron(&LENET_WIDTHS, &b.0, &self.labels, &params[4..]);
        let [dw2, db2, delta] = two.backward(&a.0, &params[2], &b, &delta);
        let [dw1, db1, _] = one.backward(&self.images, &params[0], &a, &delta);
        let mut grads = vec![dw1, db1, dw2, db2];
        grads.extend(linear);
        (loss, grads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::uniform;
    use crate::reference::central_difference_error;

    #[test]
    fn gradients_match_central_differences() {
        let work = Lenet::new(3);
        let (_, grads) = work.loss_and_grads();
        for k in 0..work.params.len() {
            let at = work.params[k].clone();
            let direction = uniform(k as u64, at.len(), -1.0, 1.0);
            let shifted = |p: &[f64]| {
                let mut other = Lenet::new(3);
                other.params[k] = p.to_vec();
                other.loss_and_grads().0
            };
            let error = central_difference_error(shifted, &at, &grads[k], &direction, 1e-7);
            assert!(error < 1e-6, "{}: {error}", NAMES[k]);
        }
    }
}
