//! `gpt`: a small transformer with mean cross-entropy and `AdamW`, by plain loops.

use crate::inputs::{ADAM, GPT_DECAY, Gpt as Sizes, STEPS_CHECKED, gpt_batch, gpt_params, rounded};
use crate::results::Results;
use crate::workload::Workload;
use std::hint::black_box;

/// Added to variances.
const EPS: f64 = 1e-5;
/// Parameters of a block.
const PER_BLOCK: usize = 12;

/// Training on one batch.
pub struct Gpt {
    of: Sizes,
    tokens: Vec<u32>,
    next: Vec<u32>,
    names: Vec<&'static str>,
    start: Vec<Vec<f64>>,
    params: Vec<Vec<f64>>,
    first: Vec<Vec<f64>>,
    second: Vec<Vec<f64>>,
    steps: i32,
}

/// What a block's backward pass needs of its forward pass; rows of the batch throughout.
struct Kept {
    x: Vec<f64>,
    norm1: Vec<f64>,
    qkv: Vec<f64>,
    weights: Vec<f64>,
    heads: Vec<f64>,
    middle: Vec<f64>,
    norm2: Vec<f64>,
    up: Vec<f64>,
    gelu: Vec<f64>,
}

/// `x w + b`, rows of `x`.
fn linear(x: &[f64], w: &[f64], b: &[f64]) -> Vec<f64> {
    let (n_in, n_out) = (w.len() / b.len(), b.len());
    let mut out = Vec::with_capacity(x.len() / n_in * n_out);
    for row in x.chunks_exact(n_in) {
        let mut sums = b.to_vec();
        for (x, w) in row.iter().zip(w.chunks_exact(n_out)) {
            add_scaled(&mut sums, *x, w);
        }
        out.extend(sums);
    }
    out
}

/// The adjoint of `x` under [`linear`]; adds those of `w` and `b` to `grads`.
fn linear_back(x: &[f64], w: &[f64], g: &[f64], grads: &mut [Vec<f64>]) -> Vec<f64> {
    let [gw, gb] = grads else {
        unreachable!("a weight and a bias")
    };
    let (n_in, n_out) = (w.len() / gb.len(), gb.len());
    let mut before = Vec::with_capacity(x.len());
    for (row, d) in x.chunks_exact(n_in).zip(g.chunks_exact(n_out)) {
        for (x, to) in row.iter().zip(gw.chunks_exact_mut(n_out)) {
            add_scaled(to, *x, d);
        }
        add_scaled(gb, 1.0, d);
        before.extend(w.chunks_exact(n_out).map(|w| dot(w, d)));
    }
    before
}

/// Mean and reciprocal deviation of a row.
fn moments(row: &[f64]) -> (f64, f64) {
    let n = row.len() as f64;
    let mean = row.iter().sum::<f64>() / n;
    let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
    (mean, 1.0 / (variance + EPS).sqrt())
}

fn norm(x: &[f64], w: &[f64], b: &[f64]) -> Vec<f64> {
    let mut out = Vec::with_capacity(x.len());
    for row in x.chunks_exact(w.len()) {
        let (mean, scale) = moments(row);
        let each = row.iter().zip(w).zip(b);
        out.extend(each.map(|((x, w), b)| (x - mean) * scale * w + b));
    }
    out
}

/// Adds the adjoint of `x` under [`norm`] to `to`, and those of weight and bias to `grads`.
fn norm_back(x: &[f64], w: &[f64], g: &[f64], grads: &mut [Vec<f64>], to: &mut [f64]) {
    let [gw, gb] = grads else {
        unreachable!("a weight and a bias")
    };
    let n = w.len();
    let rows = x
        .chunks_exact(n)
        .zip(g.chunks_exact(n))
        .zip(to.chunks_exact_mut(n));
    for ((row, d), to) in rows {
        let (mean, scale) = moments(row);
        let normal: Vec<f64> = row.iter().map(|x| (x - mean) * scale).collect();
        let inner: Vec<f64> = d.iter().zip(w).map(|(d, w)| d * w).collect();
        let along = dot(&inner, &normal) / n as f64;
        let mean = inner.iter().sum::<f64>() / n as f64;
        for i in 0..n {
            gw[i] += d[i] * normal[i];
            gb[i] += d[i];
            to[i] += scale * (inner[i] - mean - normal[i] * along);
        }
    }
}

/// `x / 2 (1 + tanh(c (x + 0.044715 x^3)))` and its derivative.
fn gelu(x: f64) -> (f64, f64) {
    let c = (2.0 / std::f64::consts::PI).sqrt();
    let t = (c * (x + 0.044715 * x * x * x)).tanh();
    let slope = c * (1.0 + 3.0 * 0.044715 * x * x);
    (
        0.5 * x * (1.0 + t),
        0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * slope,
    )
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

fn add_scaled(to: &mut [f64], scale: f64, row: &[f64]) {
    for (t, r) in to.iter_mut().zip(row) {
        *t += scale * r;
    }
}

fn sum(x: &[f64], y: &[f64]) -> Vec<f64> {
    x.iter().zip(y).map(|(x, y)| x + y).collect()
}

/// `exp(x - max) / sum`, in place; returns `max + ln(sum)`.
fn softmax(row: &mut [f64]) -> f64 {
    let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    row.iter_mut().for_each(|x| *x = (*x - top).exp());
    let sum: f64 = row.iter().sum();
    row.iter_mut().for_each(|x| *x /= sum);
    top + sum.ln()
}

impl Gpt {
    /// A model of these sizes.
    pub fn new(of: Sizes) -> Self {
        let (tokens, next) = gpt_batch(&of);
        let (names, start): (Vec<_>, Vec<_>) = gpt_params(&of)
            .into_iter()
            .map(|p| (p.name, rounded(p.values)))
            .unzip();
        let zeros: Vec<_> = start.iter().map(|p| vec![0.0; p.len()]).collect();
        Self {
            of,
            tokens,
            next,
            names,
            params: start.clone(),
            start,
            first: zeros.clone(),
            second: zeros,
            steps: 0,
        }
    }

    /// Start of every (sequence, head, query): its number among them, and the rows of its sequence.
    fn each_query(&self) -> impl Iterator<Item = (usize, usize, usize, usize)> + use<> {
        let Sizes {
            batch,
            heads,
            context,
            ..
        } = self.of;
        (0..batch).flat_map(move |s| {
            (0..heads).flat_map(move |h| {
                (0..context)
                    .map(move |i| (((s * heads + h) * context + i) * context, s * context, h, i))
            })
        })
    }

    /// The attention's weights `[batch, heads, context, context]` (zero after the diagonal) and the heads' outputs.
    fn attend(&self, qkv: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let Sizes {
            width,
            heads,
            context,
            batch,
            ..
        } = self.of;
        let d = width / heads;
        let mut weights = vec![0.0; batch * heads * context * context];
        let mut out = vec![0.0; batch * context * width];
        for (at, rows, h, i) in self.each_query() {
            let part = |row: usize, which: usize| {
                let start = (rows + row) * 3 * width + which * width + h * d;
                &qkv[start..start + d]
            };
            let row = &mut weights[at..=at + i];
            for (j, w) in row.iter_mut().enumerate() {
                *w = dot(part(i, 0), part(j, 1)) / (d as f64).sqrt();
            }
            softmax(row);
            let to = (rows + i) * width + h * d;
            for (j, w) in row.iter().enumerate() {
                add_scaled(&mut out[to..to + d], *w, part(j, 2));
            }
        }
        (weights, out)
    }

    /// The adjoint of `qkv` under [`attend`](Self::attend).
    fn attend_back(&self, qkv: &[f64], weights: &[f64], g: &[f64]) -> Vec<f64> {
        let Sizes { width, heads, .. } = self.of;
        let d = width / heads;
        let mut back = vec![0.0; qkv.len()];
        for (at, rows, h, i) in self.each_query() {
            let place = |row: usize, which: usize| {
                let start = (rows + row) * 3 * width + which * width + h * d;
                start..start + d
            };
            let row = &weights[at..=at + i];
            let from = (rows + i) * width + h * d;
            let g = &g[from..from + d];
            let inner: Vec<f64> = (0..=i).map(|j| dot(g, &qkv[place(j, 2)])).collect();
            let mean = dot(&inner, row);
            for (j, &w) in row.iter().enumerate() {
                add_scaled(&mut back[place(j, 2)], w, g);
                let score = w * (inner[j] - mean) / (d as f64).sqrt();
                add_scaled(&mut back[place(i, 0)], score, &qkv[place(j, 1)]);
                add_scaled(&mut back[place(j, 1)], score, &qkv[place(i, 0)]);
            }
        }
        back
    }

    fn forward(&self) -> (Vec<Kept>, Vec<f64>) {
        let Sizes {
            width,
            context,
            layers,
            ..
        } = self.of;
        let p = &self.params;
        let mut x = Vec::with_capacity(self.tokens.len() * width);
        for (i, &token) in self.tokens.iter().enumerate() {
            let row = |of: &[f64], at: usize| of[at * width..(at + 1) * width].to_vec();
            x.extend(sum(&row(&p[0], token as usize), &row(&p[1], i % context)));
        }
        let mut kept = Vec::new();
        for l in 0..layers {
            let p = &p[2 + l * PER_BLOCK..][..PER_BLOCK];
            let norm1 = norm(&x, &p[0], &p[1]);
            let qkv = linear(&norm1, &p[2], &p[3]);
            let (weights, heads) = self.attend(&qkv);
            let middle = sum(&x, &linear(&heads, &p[4], &p[5]));
            let norm2 = norm(&middle, &p[6], &p[7]);
            let up = linear(&norm2, &p[8], &p[9]);
            let gelu: Vec<f64> = up.iter().map(|&x| gelu(x).0).collect();
            let after = sum(&middle, &linear(&gelu, &p[10], &p[11]));
            let x = std::mem::replace(&mut x, after);
            kept.push(Kept {
                x,
                norm1,
                qkv,
                weights,
                heads,
                middle,
                norm2,
                up,
                gelu,
            });
        }
        (kept, x)
    }

    fn loss_and_grads(&self) -> (f64, Vec<Vec<f64>>) {
        let Sizes {
            width,
            context,
            vocabulary,
            layers,
            ..
        } = self.of;
        let p = &self.params;
        let last = 2 + layers * PER_BLOCK;
        let (kept, x) = self.forward();
        let mut grads: Vec<_> = p.iter().map(|p| vec![0.0; p.len()]).collect();

        let normal = norm(&x, &p[last], &p[last + 1]);
        let count = self.next.len() as f64;
        let (mut loss, mut g) = (0.0, vec![0.0; x.len()]);
        for (i, &label) in self.next.iter().enumerate() {
            let row = i * width..(i + 1) * width;
            let tokens = p[0].chunks_exact(width);
            let mut logits: Vec<f64> = tokens.map(|t| dot(t, &normal[row.clone()])).collect();
            let of_label = logits[label as usize];
            loss += (softmax(&mut logits) - of_label) / count;
            logits[label as usize] -= 1.0;
            for t in 0..vocabulary {
                let token = t * width..(t + 1) * width;
                let seed = logits[t] / count;
                add_scaled(&mut g[row.clone()], seed, &p[0][token.clone()]);
                add_scaled(&mut grads[0][token], seed, &normal[row.clone()]);
            }
        }
        let mut delta = vec![0.0; x.len()];
        norm_back(&x, &p[last], &g, &mut grads[last..], &mut delta);

        for (l, kept) in kept.iter().enumerate().rev() {
            let p = &p[2 + l * PER_BLOCK..][..PER_BLOCK];
            let grads = &mut grads[2 + l * PER_BLOCK..][..PER_BLOCK];
            let mut g = linear_back(&kept.gelu, &p[10], &delta, &mut grads[10..12]);
            g.iter_mut()
                .zip(&kept.up)
                .for_each(|(g, &x)| *g *= gelu(x).1);
            let g = linear_back(&kept.norm2, &p[8], &g, &mut grads[8..10]);
            norm_back(&kept.middle, &p[6], &g, &mut grads[6..8], &mut delta);
            let g = linear_back(&kept.heads, &p[4], &delta, &mut grads[4..6]);
            let g = self.attend_back(&kept.qkv, &kept.weights, &g);
            let g = linear_back(&kept.norm1, &p[2], &g, &mut grads[2..4]);
            norm_back(&kept.x, &p[0], &g, &mut grads[0..2], &mut delta);
        }
        for ((i, &token), d) in self
            .tokens
            .iter()
            .enumerate()
            .zip(delta.chunks_exact(width))
        {
            let at = |row: usize| row * width..(row + 1) * width;
            add_scaled(&mut grads[0][at(token as usize)], 1.0, d);
            add_scaled(&mut grads[1][at(i % context)], 1.0, d);
        }
        (loss, grads)
    }

    fn train(&mut self) -> (f64, Vec<Vec<f64>>) {
        let (loss, grads) = self.loss_and_grads();
        self.steps += 1;
        let correct1 = 1.0 - ADAM.beta1.powi(self.steps);
        let correct2 = 1.0 - ADAM.beta2.powi(self.steps);
        for (k, grad) in grads.iter().enumerate() {
            let moments = self.first[k].iter_mut().zip(&mut self.second[k]);
            for ((p, (m, v)), g) in self.params[k].iter_mut().zip(moments).zip(grad) {
                *m = ADAM.beta1 * *m + (1.0 - ADAM.beta1) * g;
                *v = ADAM.beta2 * *v + (1.0 - ADAM.beta2) * g * g;
                *p -= ADAM.lr * GPT_DECAY * *p;
                *p -= ADAM.lr * (*m / correct1) / ((*v / correct2).sqrt() + ADAM.eps);
            }
        }
        (loss, grads)
    }
}

impl Workload for Gpt {
    fn reset(&mut self) -> Result<(), String> {
        self.params.clone_from(&self.start);
        for moment in self.first.iter_mut().chain(&mut self.second) {
            moment.fill(0.0);
        }
        self.steps = 0;
        Ok(())
    }

    fn step(&mut self) -> Result<(), String> {
        black_box(self.train().0);
        Ok(())
    }

    fn results(&mut self) -> Result<Results, String> {
        self.reset()?;
        let (loss, grads) = self.train();
        let mut after = loss;
        for _ in 0..STEPS_CHECKED {
            after = self.train().0;
        }
        Ok(Results {
            loss,
            grads: self.names.iter().copied().zip(grads).collect(),
            loss_after: Some(after),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::uniform;
    use crate::reference::central_difference_error;

    const SMALL: Sizes = Sizes {
        layers: 2,
        width: 6,
        heads: 2,
        context: 5,
        batch: 2,
        vocabulary: 7,
    };

    /// Far from the small initial values, where attention is nearly uniform and every bias 0.
    fn spread_out() -> Gpt {
        let mut work = Gpt::new(SMALL);
        for (k, p) in work.params.iter_mut().enumerate() {
            *p = uniform(100 + k as u64, p.len(), -1.0, 1.0);
        }
        work
    }

    #[test]
    fn gradients_match_central_differences() {
        let work = spread_out();
        let (_, grads) = work.loss_and_grads();
        for k in 0..work.params.len() {
            let at = work.params[k].clone();
            let direction = uniform(k as u64, at.len(), -1.0, 1.0);
            let shifted = |p: &[f64]| {
                let mut other = spread_out();
                other.params[k] = p.to_vec();
                other.loss_and_grads().0
            };
            let error = central_difference_error(shifted, &at, &grads[k], &direction, 1e-5);
            assert!(error < 1e-6, "{}: {error}", work.names[k]);
        }
    }

    #[test]
    fn training_lowers_the_loss_and_reset_restores_it() {
        let mut work = Gpt::new(SMALL);
        let first = work.results().unwrap();
        assert!(first.loss_after.unwrap() < first.loss);
        assert_eq!(work.results().unwrap().loss, first.loss);
    }
}
