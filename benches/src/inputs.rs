//! The workloads' inputs and constants, computed bit for bit as `peers/inputs.py` computes them.
//!
//! Element `i` of stream `seed` is splitmix64's finaliser of a counter (Steele, Lea and Flood 2014), so any element can
//! be had without those before it. Only integer arithmetic and single IEEE operations in f64 follow; f32 inputs are
//! those of f64 rounded once, so both precisions of a workload see the same data.

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

const fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The first `count` 64-bit draws of stream `seed`.
fn bits(seed: u64, count: usize) -> impl Iterator<Item = u64> {
    let start = mix(seed.wrapping_mul(GOLDEN));
    (1..=count as u64).map(move |i| mix(start.wrapping_add(i.wrapping_mul(GOLDEN))))
}

/// Uniform in `[lo, hi)`, from the upper 53 bits of one draw an element.
pub fn uniform(seed: u64, count: usize, lo: f64, hi: f64) -> Vec<f64> {
    bits(seed, count)
        .map(|z| lo + (hi - lo) * ((z >> 11) as f64 / (1u64 << 53) as f64))
        .collect()
}

/// Mean 0, deviation `scale`: the sum of twelve 16-bit uniforms (Irwin-Hall), exact in integers.
///
/// Not a sampler's normal (its tails end at 6 deviations), but the same bits in every language.
pub fn normal(seed: u64, count: usize, scale: f64) -> Vec<f64> {
    let draws: Vec<u64> = bits(seed, 3 * count).collect();
    let quarters = |z: &u64| -> u64 { (0..4).map(|q| (z >> (16 * q)) & 0xFFFF).sum() };
    draws
        .chunks_exact(3)
        .map(|d| {
            let total: u64 = d.iter().map(quarters).sum();
            (total as f64 - 393_210.0) / 65_536.0 * scale
        })
        .collect()
}

/// Integers in `[0, below)`, from the upper 32 bits of one draw each.
pub fn integers(seed: u64, count: usize, below: u32) -> Vec<u32> {
    bits(seed, count)
        .map(|z| (((z >> 32) * u64::from(below)) >> 32) as u32)
        .collect()
}

/// The same data in f32.
pub fn to_f32(data: &[f64]) -> Vec<f32> {
    data.iter().map(|&x| x as f32).collect()
}

/// What an f32 workload sees, held in f64 for the reference.
pub fn rounded(data: Vec<f64>) -> Vec<f64> {
    data.into_iter().map(|x| f64::from(x as f32)).collect()
}

/// Elements of `chain_4m`.
pub const CHAIN_LEN: usize = 4_000_000;
/// Options of `black_scholes_1m`.
pub const OPTIONS: usize = 1_000_000;
/// Paths of `mc_asian`.
pub const PATHS: usize = 65_536;
/// Time steps of `mc_asian`.
pub const STEPS: usize = 64;
/// `x` of `scalar_chain`.
pub const SCALAR_X: f64 = 0.7;
/// Rounds of `scalar_chain`.
pub const SCALAR_ROUNDS: usize = 250;
/// Points, dimensions and components of `gmm_f64`.
pub const GMM: (usize, usize, usize) = (10_000, 10, 25);
/// Rows and columns of `logreg_hvp_f64`.
pub const LOGREG: (usize, usize) = (10_000, 100);
/// Widths of the layers of `mlp_b64` and `mlp_b512`.
pub const MLP_WIDTHS: [usize; 4] = [784, 256, 128, 10];
/// Channels of the images and of the two convolutions of `lenet_b64`.
pub const LENET_CHANNELS: [usize; 3] = [1, 6, 16];
/// Rows and columns of its images.
pub const LENET_SIDE: usize = 28;
/// Rows and columns of its kernels.
pub const LENET_KERNEL: usize = 5;
/// Widths of its linear layers.
pub const LENET_WIDTHS: [usize; 4] = [400, 120, 84, 10];
/// Losses of this many further steps on the same batch are compared, so that the optimiser is checked too.
pub const STEPS_CHECKED: usize = 5;

/// The Asian option of `mc_asian`: the three inputs that want a gradient, and the contract.
#[derive(Clone, Copy, Debug)]
pub struct Asian {
    /// Spot.
    pub s0: f64,
    /// Continuous rate.
    pub r: f64,
    /// Volatility.
    pub sigma: f64,
    /// Strike.
    pub strike: f64,
    /// Years to maturity.
    pub maturity: f64,
}

/// The option that `mc_asian` prices.
pub const ASIAN: Asian = Asian {
    s0: 100.0,
    r: 0.03,
    sigma: 0.2,
    strike: 100.0,
    maturity: 1.0,
};

/// Adam's constants.
#[derive(Clone, Copy, Debug)]
pub struct AdamConstants {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
}

/// The constants of every training workload.
pub const ADAM: AdamConstants = AdamConstants {
    lr: 1e-3,
    beta1: 0.9,
    beta2: 0.999,
    eps: 1e-8,
};

/// `x` of `chain_4m`, its first `count` elements.
pub fn chain(count: usize) -> Vec<f64> {
    uniform(9, count, -2.0, 2.0)
}

/// Columns of options: what `black_scholes_1m` prices.
#[derive(Clone, Debug)]
pub struct Options {
    /// Spot.
    pub spot: Vec<f64>,
    /// Strike, which wants no gradient.
    pub strike: Vec<f64>,
    /// Years to maturity.
    pub maturity: Vec<f64>,
    /// Volatility.
    pub sigma: Vec<f64>,
    /// Continuous rate.
    pub rate: Vec<f64>,
}

/// The first `count` options.
pub fn options(count: usize) -> Options {
    Options {
        spot: uniform(11, count, 80.0, 120.0),
        strike: uniform(12, count, 80.0, 120.0),
        maturity: uniform(13, count, 0.1, 2.0),
        sigma: uniform(14, count, 0.1, 0.5),
        rate: uniform(15, count, 0.0, 0.05),
    }
}

/// The normals of `mc_asian`, row-major `[STEPS, PATHS]`.
pub fn asian_normals() -> Vec<f64> {
    normal(21, STEPS * PATHS, 1.0)
}

/// A Gaussian mixture: what `gmm_f64` differentiates and the points it is fitted to, distributed as ADBench's.
#[derive(Clone, Debug)]
pub struct Mixture {
    /// Unnormalised log weights, `[K]`.
    pub alpha: Vec<f64>,
    /// Means, `[K, d]`.
    pub mean: Vec<f64>,
    /// Logarithms of the diagonals of the inverse covariance factors, `[K, d]`.
    pub diagonal: Vec<f64>,
    /// What is strictly below the diagonals, column by column, `[K, d (d - 1) / 2]`.
    pub lower: Vec<f64>,
    /// The points, `[n, d]`; they want no gradient.
    pub points: Vec<f64>,
}

/// `n` points in `d` dimensions and a mixture of `k` components.
pub fn mixture(n: usize, d: usize, k: usize) -> Mixture {
    Mixture {
        alpha: normal(51, k, 1.0),
        mean: uniform(52, k * d, 0.0, 1.0),
        diagonal: normal(53, k * d, 1.0),
        lower: normal(54, k * d * (d - 1) / 2, 1.0),
        points: normal(55, n * d, 1.0),
    }
}

/// The part of the objective that depends on no parameter, with ADBench's sign of the prior, `gamma = 1`, `m = 0`:
/// `-n d/2 ln 2 pi - k C`.
pub fn mixture_constant(n: usize, d: usize, k: usize) -> f64 {
    use std::f64::consts::{LN_2, PI};
    let (df, nu) = (d as f64, d as f64 + 1.0);
    let log_gamma: f64 = (0..d)
        .map(|j| libm::lgamma(0.5 * (nu - j as f64)))
        .sum::<f64>()
        + 0.25 * df * (df - 1.0) * PI.ln();
    let c = -0.5 * nu * df * LN_2 - log_gamma;
    -0.5 * n as f64 * df * (2.0 * PI).ln() - k as f64 * c
}

/// Features `[n, d]`, labels 0 or 1, weights and a direction of `logreg_hvp_f64`.
pub fn logreg(n: usize, d: usize) -> [Vec<f64>; 4] {
    [
        normal(61, n * d, 1.0),
        integers(62, n, 2).into_iter().map(f64::from).collect(),
        normal(63, d, 0.1),
        normal(64, d, 1.0),
    ]
}

/// Weights `[inputs, outputs]` (He-normal) and zero biases of a network, layer by layer: `w1 b1 w2 b2 ...`.
pub fn mlp_params(widths: &[usize]) -> Vec<Vec<f64>> {
    let mut params = Vec::new();
    for (layer, pair) in widths.windows(2).enumerate() {
        let scale = (2.0 / pair[0] as f64).sqrt();
        params.push(normal(31 + layer as u64, pair[0] * pair[1], scale));
        params.push(vec![0.0; pair[1]]);
    }
    params
}

/// Parameters of `lenet_b64`: weights `[outputs, channels, 5, 5]` (He-normal) and zero biases of the convolutions, then
/// those of the linear layers.
pub fn lenet_params() -> Vec<Vec<f64>> {
    let mut params = Vec::new();
    for (layer, pair) in LENET_CHANNELS.windows(2).enumerate() {
        let taps = pair[0] * LENET_KERNEL * LENET_KERNEL;
        let scale = (2.0 / taps as f64).sqrt();
        params.push(normal(51 + layer as u64, pair[1] * taps, scale));
        params.push(vec![0.0; pair[1]]);
    }
    params.extend(mlp_params(&LENET_WIDTHS));
    params
}

/// Images `[batch, inputs]` in `[0, 1)` and labels below `classes`.
pub fn mlp_batch(batch: usize, inputs: usize, classes: u32) -> (Vec<f64>, Vec<u32>) {
    (
        uniform(41, batch * inputs, 0.0, 1.0),
        integers(42, batch, classes),
    )
}

/// Sizes of `gpt`.
#[derive(Clone, Copy, Debug)]
pub struct Gpt {
    /// Blocks.
    pub layers: usize,
    /// Features of a position.
    pub width: usize,
    /// Heads of each attention.
    pub heads: usize,
    /// Positions of a sequence.
    pub context: usize,
    /// Sequences.
    pub batch: usize,
    /// Tokens there are.
    pub vocabulary: usize,
}

/// The model of `gpt`.
pub const GPT: Gpt = Gpt {
    layers: 4,
    width: 128,
    heads: 4,
    context: 64,
    batch: 12,
    vocabulary: 65,
};
/// Weight decay of `gpt`'s `AdamW`: PyTorch's default.
pub const GPT_DECAY: f64 = 0.01;

/// A parameter of `gpt` before the first step.
#[derive(Clone, Debug)]
pub struct GptParam {
    /// Its name, that of the layer included.
    pub name: &'static str,
    /// Its extents.
    pub dims: Vec<usize>,
    /// Its elements.
    pub values: Vec<f64>,
}

/// The parameters of a model of these sizes, in order. Weights are `[inputs, outputs]` and normal, with a smaller
/// deviation where a block adds to the residual stream, as in GPT-2; biases are 0, weights of normalisations 1.
pub fn gpt_params(of: &Gpt) -> Vec<GptParam> {
    let w = of.width;
    let residual = 0.02 / (2.0 * of.layers as f64).sqrt();
    // Name, extents, and the deviation of normal values or the value of all.
    let mut table: Vec<(String, Vec<usize>, Result<f64, f64>)> = vec![
        ("tokens.weight".into(), vec![of.vocabulary, w], Ok(0.02)),
        ("positions.weight".into(), vec![of.context, w], Ok(0.02)),
    ];
    for l in 0..of.layers {
        let mut layer = |name: &str, inputs: usize, outputs: usize, scale: f64| {
            let weight = if inputs == 0 {
                (vec![outputs], Err(1.0))
            } else {
                (vec![inputs, outputs], Ok(scale))
            };
            table.push((format!("{l}.{name}.weight"), weight.0, weight.1));
            table.push((format!("{l}.{name}.bias"), vec![outputs], Err(0.0)));
        };
        layer("norm1", 0, w, 0.0);
        layer("attention.qkv", w, 3 * w, 0.02);
        layer("attention.out", w, w, residual);
        layer("norm2", 0, w, 0.0);
        layer("up", w, 4 * w, 0.02);
        layer("down", 4 * w, w, residual);
    }
    table.push(("norm.weight".into(), vec![w], Err(1.0)));
    table.push(("norm.bias".into(), vec![w], Err(0.0)));
    let each = table
        .into_iter()
        .enumerate()
        .map(|(k, (name, dims, start))| {
            let count = dims.iter().product();
            GptParam {
                // Results name their gradients for as long as the process lives.
                name: name.leak(),
                values: match start {
                    Ok(deviation) => normal(61 + k as u64, count, deviation),
                    Err(all) => vec![all; count],
                },
                dims,
            }
        });
    each.collect()
}

/// Tokens `[batch, context]`, and those that should follow each.
pub fn gpt_batch(of: &Gpt) -> (Vec<u32>, Vec<u32>) {
    let count = of.batch * of.context;
    let draw = |seed| integers(seed, count, of.vocabulary as u32);
    (draw(51), draw(52))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are those that `peers/inputs.py` gives: should either side change its generator, gradients of
    /// different data would be compared.
    #[test]
    fn matches_the_python_peers() {
        let draws: Vec<u64> = bits(9, 3).collect();
        let expected = [
            0x0ea3_6f3c_c1d9_6075,
            0xa807_0f12_40cc_cffc,
            0x6792_d22a_5df1_ab3a,
        ];
        assert_eq!(draws, expected);
        assert_eq!(
            uniform(9, 2, -2.0, 2.0),
            [-1.7712747484843963, 0.6254308393719836]
        );
        assert_eq!(normal(21, 2, 1.0), [0.4110107421875, -2.096038818359375]);
        assert_eq!(integers(42, 6, 10), [6, 3, 5, 0, 8, 5]);
        let params = mlp_params(&MLP_WIDTHS);
        assert_eq!(params[0][5 * 256 + 7] as f32, 0.0384325310587883);
        assert_eq!(params[4][1279] as f32, -0.05100059509277344);
        let gpt = gpt_params(&GPT);
        assert_eq!((gpt.len(), gpt[5].name), (52, "0.attention.qkv.bias"));
        assert_eq!(gpt[4].values[1000] as f32, 0.033_200_379_461_050_034);
    }

    #[test]
    fn normals_have_mean_zero_and_deviation_one() {
        let z = normal(21, 100_000, 1.0);
        let mean = z.iter().sum::<f64>() / z.len() as f64;
        let variance = z.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / z.len() as f64;
        assert!(
            mean.abs() < 0.01 && (variance - 1.0).abs() < 0.02,
            "{mean} {variance}"
        );
    }
}
