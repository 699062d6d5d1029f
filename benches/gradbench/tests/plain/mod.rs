//! The evals' functions as plain loops over numbers, written from their definitions: nothing here knows of Retrograde.

mod ba;
mod hand;

pub(crate) use ba::errors as bundle_errors;
pub(crate) use hand::{Skeleton, errors as hand_errors};

/// Numbers that look random, the same every time.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }
    /// The next, in `[low, high)`.
    pub(crate) fn next(&mut self, low: f64, high: f64) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        low + (high - low) * ((self.0 >> 11) as f64 / (1u64 << 53) as f64)
    }
    pub(crate) fn list(&mut self, n: usize, low: f64, high: f64) -> Vec<f64> {
        (0..n).map(|_| self.next(low, high)).collect()
    }
    pub(crate) fn rows(&mut self, n: usize, d: usize, low: f64, high: f64) -> Vec<Vec<f64>> {
        (0..n).map(|_| self.list(d, low, high)).collect()
    }
}

/// The gradient by central differences.
pub(crate) fn gradient(f: impl Fn(&[f64]) -> f64, x: &[f64]) -> Vec<f64> {
    jacobian(|x| vec![f(x)], x).concat()
}

/// The Jacobian by central differences, a row an output.
pub(crate) fn jacobian(f: impl Fn(&[f64]) -> Vec<f64>, x: &[f64]) -> Vec<Vec<f64>> {
    let mut rows = vec![vec![0.0; x.len()]; f(x).len()];
    for j in 0..x.len() {
        let h = 1e-6 * x[j].abs().max(1.0);
        let (mut up, mut down) = (x.to_vec(), x.to_vec());
        up[j] += h;
        down[j] -= h;
        for (row, (u, d)) in rows.iter_mut().zip(f(&up).iter().zip(f(&down))) {
            row[j] = (u - d) / (2.0 * h);
        }
    }
    rows
}

pub(crate) fn logsumexp(x: &[f64]) -> f64 {
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    max + x.iter().map(|x| (x - max).exp()).sum::<f64>().ln()
}

/// A mixture's parameters, in the order of `flat`: alpha `k`, mu and q `k d`, l `k d (d - 1) / 2`.
pub(crate) fn mixture(d: usize, k: usize, x: &[Vec<f64>], m: u32, gamma: f64, flat: &[f64]) -> f64 {
    let below = d * (d - 1) / 2;
    let (alpha, rest) = flat.split_at(k);
    let (mu, rest) = rest.split_at(k * d);
    let (q, l) = rest.split_at(k * d);
    // The factor of component c, from its definition: exponentials on the diagonal, `l` below it column by column.
    let factor = |c: usize| {
        let mut factor = vec![vec![0.0; d]; d];
        let mut lower = l[c * below..][..below].iter();
        for column in 0..d {
            factor[column][column] = q[c * d + column].exp();
            for row in &mut factor[column + 1..] {
                row[column] = *lower.next().expect("as many as there are places");
            }
        }
        factor
    };
    let factors: Vec<_> = (0..k).map(factor).collect();
    let sum_q = |c: usize| q[c * d..][..d].iter().sum::<f64>();
    let mut log = 0.0;
    for point in x {
        let terms: Vec<f64> = (0..k)
            .map(|c| {
                let image = factors[c].iter().map(|row| {
                    let centred = point.iter().zip(&mu[c * d..]).map(|(x, mu)| x - mu);
                    row.iter().zip(centred).map(|(a, b)| a * b).sum::<f64>()
                });
                alpha[c] + sum_q(c) - 0.5 * image.map(|y| y * y).sum::<f64>()
            })
            .collect();
        log += logsumexp(&terms) - logsumexp(alpha);
        log -= 0.5 * d as f64 * (2.0 * std::f64::consts::PI).ln();
    }
    let w = d as f64 + f64::from(m) + 1.0;
    for c in 0..k {
        let frobenius: f64 = factors[c].iter().flatten().map(|x| x * x).sum();
        let gammas: f64 = (0..d).map(|j| ln_gamma(0.5 * (w - j as f64))).sum();
        let ln_multigamma = 0.25 * (d * (d - 1)) as f64 * std::f64::consts::PI.ln() + gammas;
        log += w * d as f64 * (gamma / 2f64.sqrt()).ln() - ln_multigamma;
        log += f64::from(m) * sum_q(c) - 0.5 * gamma * gamma * frobenius;
    }
    log
}

/// `ln Gamma` by Stirling's series after shifting the argument up.
fn ln_gamma(mut x: f64) -> f64 {
    let mut shift = 0.0;
    while x < 20.0 {
        shift += x.ln();
        x += 1.0;
    }
    let series = 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3)) + 1.0 / (1260.0 * x.powi(5));
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series - shift
}

pub(crate) fn least_squares(n: usize, x: &[f64]) -> f64 {
    let residual = |i: usize| {
        let t = -1.0 + i as f64 * 2.0 / (n as f64 - 1.0);
        let sign = f64::from(i8::from(t > 0.0) - i8::from(t < 0.0));
        sign - x
            .iter()
            .enumerate()
            .map(|(j, x)| x * t.powi(j as i32))
            .sum::<f64>()
    };
    0.5 * (0..n).map(residual).map(|r| r * r).sum::<f64>()
}

/// The nearest centroid of a point, and its squared distance.
pub(crate) fn nearest(point: &[f64], centroids: &[Vec<f64>]) -> (usize, f64) {
    let square = |c: &Vec<f64>| {
        c.iter()
            .zip(point)
            .map(|(c, p)| (c - p) * (c - p))
            .sum::<f64>()
    };
    let distances = centroids.iter().map(square).enumerate();
    distances
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .expect("there are centroids")
}

/// The loss for layers of `bits` units, weights `flat`: those of the layers, then those in and out.
pub(crate) fn lstm(
    layers: usize,
    bits: usize,
    state: &[Vec<f64>],
    text: &[Vec<f64>],
    flat: &[f64],
) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let mut state = state.to_vec();
    let extra = &flat[8 * bits * layers..];
    let mut total = 0.0;
    for (now, next) in text.iter().zip(&text[1..]) {
        let mut x: Vec<f64> = (0..bits).map(|b| now[b] * extra[b]).collect();
        for layer in 0..layers {
            for b in 0..bits {
                let gate = |i: usize, of: f64| {
                    let at = |bias: usize| flat[8 * bits * layer + 4 * bits * bias + i * bits + b];
                    of * at(0) + at(1)
                };
                let hidden = state[2 * layer][b];
                let forget = sigmoid(gate(0, x[b]));
                let change = sigmoid(gate(1, hidden)) * gate(3, hidden).tanh();
                let cell = state[2 * layer + 1][b] * forget + change;
                state[2 * layer + 1][b] = cell;
                state[2 * layer][b] = sigmoid(gate(2, x[b])) * cell.tanh();
                x[b] = state[2 * layer][b];
            }
        }
        let predicted: Vec<f64> = (0..bits)
            .map(|b| x[b] * extra[bits + b] + extra[2 * bits + b])
            .collect();
        let sum = (predicted.iter().map(|p| p.exp()).sum::<f64>() + 2.0).ln();
        total += next
            .iter()
            .zip(predicted)
            .map(|(y, p)| y * (p - sum))
            .sum::<f64>();
    }
    -total / (bits * (text.len() - 1)) as f64
}

pub(crate) fn runge_kutta(x: &[f64], steps: usize) -> Vec<f64> {
    let h = 2.0 / steps as f64;
    let slope = |y: &[f64]| -> Vec<f64> {
        (0..x.len())
            .map(|i| if i == 0 { x[0] } else { x[i] * y[i - 1] })
            .collect()
    };
    let along = |y: &[f64], k: &[f64], h: f64| -> Vec<f64> {
        y.iter().zip(k).map(|(y, k)| y + h * k).collect()
    };
    let mut y = vec![0.0; x.len()];
    for _ in 0..steps {
        let k1 = slope(&y);
        let k2 = slope(&along(&y, &k1, 0.5 * h));
        let k3 = slope(&along(&y, &k2, 0.5 * h));
        let k4 = slope(&along(&y, &k3, h));
        for i in 0..y.len() {
            y[i] += h * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]) / 6.0;
        }
    }
    y
}

/// Leibniz's formula: a sum over all permutations.
pub(crate) fn determinant(a: &[f64], ell: usize) -> f64 {
    fn below(a: &[f64], ell: usize, row: usize, used: &mut Vec<usize>) -> f64 {
        if row == ell {
            return 1.0;
        }
        let mut sum = 0.0;
        for column in (0..ell).filter(|c| !used.contains(c)).collect::<Vec<_>>() {
            let inversions = used.iter().filter(|&&u| u > column).count();
            used.push(column);
            let sign = if inversions % 2 == 0 { 1.0 } else { -1.0 };
            sum += sign * a[row * ell + column] * below(a, ell, row + 1, used);
            used.pop();
        }
        sum
    }
    below(a, ell, 0, &mut Vec::new())
}

/// The square of where the particle crosses the axis.
pub(crate) fn miss(w: f64) -> f64 {
    let (mut x, mut v) = ([0.0, 8.0], [0.75, 0.0]);
    loop {
        // Charges of one sign repel: the force is away from each, by the square of the distance.
        let mut force = [0.0; 2];
        for charge in [[10.0, 10.0 - w], [10.0, 0.0]] {
            let d = [x[0] - charge[0], x[1] - charge[1]];
            let cube = (d[0] * d[0] + d[1] * d[1]).powf(1.5);
            force[0] += d[0] / cube;
            force[1] += d[1] / cube;
        }
        x = [x[0] + 0.1 * v[0], x[1] + 0.1 * v[1]];
        if x[1] <= 0.0 {
            let crossing = x[0] - x[1] / v[1] * v[0];
            return crossing * crossing;
        }
        v = [v[0] + 0.1 * force[0], v[1] + 0.1 * force[1]];
    }
}
