"""The workloads' inputs, computed bit for bit as `benches/src/inputs.rs` computes them.

Element `i` of stream `seed` is splitmix64's finaliser of a counter (Steele, Lea, Flood 2014), so any element can be had
without those before it. Only integer arithmetic and single IEEE operations in f64 follow; f32 inputs are those of f64
rounded once, so both precisions of a workload see the same data.
"""

import math

import numpy as np

GOLDEN = 0x9E3779B97F4A7C15


def _mix(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def bits(seed, count):
    """`count` 64-bit draws of stream `seed`."""
    with np.errstate(over="ignore"):
        start = _mix(np.array([seed], np.uint64) * np.uint64(GOLDEN))
        counter = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(GOLDEN)
        return _mix(start + counter)


def uniform(seed, shape, lo, hi, dtype=np.float32):
    """Uniform in [lo, hi), from the upper 53 bits of one draw an element."""
    u = (bits(seed, int(np.prod(shape))) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return (lo + (hi - lo) * u).astype(dtype).reshape(shape)


def normal(seed, shape, scale=1.0, dtype=np.float32):
    """Mean 0, deviation `scale`: the sum of twelve 16-bit uniforms (Irwin-Hall), exact in integers.

    Not a sampler's normal (its tails end at 6 deviations), but the same bits in every language.
    """
    count = int(np.prod(shape))
    draws = bits(seed, 3 * count).reshape(count, 3)
    total = np.zeros(count, np.int64)
    for quarter in range(4):
        piece = (draws >> np.uint64(16 * quarter)) & np.uint64(0xFFFF)
        total += piece.astype(np.int64).sum(axis=1)
    return ((total - 393210).astype(np.float64) / 65536.0 * scale).astype(dtype).reshape(shape)


def integers(seed, count, below):
    """Integers in [0, below), from the upper 32 bits of one draw each."""
    return ((bits(seed, count) >> np.uint64(32)) * np.uint64(below) >> np.uint64(32)).astype(np.int64)


CHAIN_LEN = 4_000_000
OPTIONS = 1_000_000
PATHS, STEPS = 65_536, 64
GMM = (10_000, 10, 25)
LOGREG = (10_000, 100)
ASIAN = {"s0": 100.0, "r": 0.03, "sigma": 0.2, "strike": 100.0, "maturity": 1.0}
SCALAR_X, SCALAR_ROUNDS = 0.7, 250
MLP_WIDTHS = (784, 256, 128, 10)
GPT = {"layers": 4, "width": 128, "heads": 4, "context": 64, "batch": 12, "vocabulary": 65}
GPT_DECAY = 0.01
LENET_CHANNELS, LENET_WIDTHS = (1, 6, 16), (400, 120, 84, 10)
ADAM = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
# Losses of this many further steps on the same batch are compared, so the optimiser is checked too.
STEPS_CHECKED = 5


def chain():
    return uniform(9, (CHAIN_LEN,), -2.0, 2.0)


def options(dtype=np.float32):
    """Spot, strike, maturity, volatility and rate of each option."""
    ranges = [(80.0, 120.0), (80.0, 120.0), (0.1, 2.0), (0.1, 0.5), (0.0, 0.05)]
    return [uniform(11 + k, (OPTIONS,), lo, hi, dtype) for k, (lo, hi) in enumerate(ranges)]


def asian_normals():
    return normal(21, (STEPS, PATHS))


def mixture():
    """Log weights, means, log diagonals, lower triangles column by column, and the points of `gmm_f64`."""
    n, d, k = GMM
    return {
        "alpha": normal(51, (k,), dtype=np.float64),
        "mean": uniform(52, (k, d), 0.0, 1.0, np.float64),
        "diagonal": normal(53, (k, d), dtype=np.float64),
        "lower": normal(54, (k, d * (d - 1) // 2), dtype=np.float64),
    }, normal(55, (n, d), dtype=np.float64)


def mixture_constant():
    """The part of ADBench's objective that depends on no parameter, gamma = 1 and m = 0."""
    n, d, k = GMM
    nu = d + 1
    log_gamma = sum(math.lgamma(0.5 * (nu - j)) for j in range(d)) + 0.25 * d * (d - 1) * math.log(math.pi)
    c = -0.5 * nu * d * math.log(2.0) - log_gamma
    return -0.5 * n * d * math.log(2.0 * math.pi) - k * c


def triangle():
    """Rows and columns of the strictly lower entries, column by column."""
    d = GMM[1]
    pairs = [(row, column) for column in range(d) for row in range(column + 1, d)]
    return np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])


def logreg():
    """Features, labels 0 or 1, weights and a direction."""
    n, d = LOGREG
    labels = integers(62, n, 2).astype(np.float64)
    wide = {"dtype": np.float64}
    return normal(61, (n, d), **wide), labels, normal(63, (d,), 0.1, **wide), normal(64, (d,), **wide)


def mlp_params(widths=MLP_WIDTHS):
    """Weights are [inputs, outputs], He-normal; biases zero."""
    layers = []
    for k, (n_in, n_out) in enumerate(zip(widths, widths[1:])):
        layers.append(normal(31 + k, (n_in, n_out), float(np.sqrt(np.float64(2.0) / n_in))))
        layers.append(np.zeros(n_out, np.float32))
    return layers


def mlp_batch(batch):
    return uniform(41, (batch, MLP_WIDTHS[0]), 0.0, 1.0), integers(42, batch, MLP_WIDTHS[-1])


def lenet_params():
    """Weights of the convolutions are [outputs, channels, rows, columns], He-normal; then the linear layers'."""
    layers = []
    for k, (n_in, n_out) in enumerate(zip(LENET_CHANNELS, LENET_CHANNELS[1:])):
        scale = float(np.sqrt(np.float64(2.0) / (n_in * 25)))
        layers.append(normal(51 + k, (n_out, n_in, 5, 5), scale))
        layers.append(np.zeros(n_out, np.float32))
    return layers + mlp_params(LENET_WIDTHS)


def lenet_batch(batch):
    images, labels = mlp_batch(batch)
    return images.reshape(batch, 1, 28, 28), labels


def gpt_params():
    """Names and values in order. Weights are [inputs, outputs] and normal, smaller where a block adds to the stream."""
    width = GPT["width"]
    residual = 0.02 / float(np.sqrt(2.0 * GPT["layers"]))
    table = [("tokens.weight", (GPT["vocabulary"], width), 0.02), ("positions.weight", (GPT["context"], width), 0.02)]

    def layer(name, n_in, n_out, scale):
        table.append((f"{name}.weight", (n_in, n_out) if n_in else (n_out,), scale))
        table.append((f"{name}.bias", (n_out,), None))

    for k in range(GPT["layers"]):
        layer(f"{k}.norm1", 0, width, None)
        layer(f"{k}.attention.qkv", width, 3 * width, 0.02)
        layer(f"{k}.attention.out", width, width, residual)
        layer(f"{k}.norm2", 0, width, None)
        layer(f"{k}.up", width, 4 * width, 0.02)
        layer(f"{k}.down", 4 * width, width, residual)
    layer("norm", 0, width, None)

    def values(k, name, shape, scale):
        if scale is not None:
            return normal(61 + k, shape, scale)
        return np.full(shape, 1.0 if name.endswith("weight") else 0.0, np.float32)

    return {name: values(k, name, shape, scale) for k, (name, shape, scale) in enumerate(table)}


def gpt_batch():
    shape = (GPT["batch"], GPT["context"])
    return [integers(seed, shape[0] * shape[1], GPT["vocabulary"]).reshape(shape) for seed in (51, 52)]
