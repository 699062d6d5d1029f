"""Retrograde's bench workloads on JAX: every step is one `jit` program of value and gradients."""

import argparse
import math
import os

# XLA reads the size of its thread pool from the number of processors the process may use, once, when it starts; so the
# threads must be known before `jax` is imported.
_parser = argparse.ArgumentParser(add_help=False)
_parser.add_argument("--threads", type=int, default=2)
_threads = max(_parser.parse_known_args()[0].threads, 1)
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:_threads])
os.environ["JAX_PLATFORMS"] = "cpu"

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import inputs  # noqa: E402
from common import Workload, main, record  # noqa: E402

# For the f64 workloads; f32 ones hold f32 arrays and stay f32.
jax.config.update("jax_enable_x64", True)


def gradient_of(loss_of, leaves, data=()):
    """A workload from a scalar loss of its named leaves, in order, and of data that want no gradient."""
    program = jax.jit(jax.value_and_grad(loss_of, argnums=tuple(range(len(leaves)))))
    args = [jax.block_until_ready(jnp.asarray(x)) for x in (*leaves.values(), *data)]

    def step():
        return jax.block_until_ready(program(*args))

    def result():
        loss, grads = step()
        return record(loss, zip(leaves, grads))

    return Workload(step, result)


def tiny():
    return gradient_of(lambda x: 2.0 * jnp.dot(x, x), {"x": np.arange(4, dtype=np.float32)})


def scalar_chain():
    # `scan` rather than a loop unrolled by the trace: three times as fast.
    def loss(x):
        def round_of(y, _):
            y = jnp.sin(y) * x + 0.1
            return 0.9 * y, None

        return jax.lax.scan(round_of, x, None, length=inputs.SCALAR_ROUNDS)[0]

    return gradient_of(loss, {"x": np.float32(inputs.SCALAR_X)})


def chain_4m():
    def loss(x):
        return (jnp.tanh(x * x + 0.5) * jax.nn.sigmoid(x) + jnp.exp(-x * x)).sum()

    return gradient_of(loss, {"x": inputs.chain()})


def black_scholes(dtype):
    spot, strike, maturity, sigma, rate = inputs.options(dtype)

    def cdf(x):
        return 0.5 * (1.0 + jax.lax.erf(x * math.sqrt(0.5)))

    def loss(spot, maturity, sigma, rate, strike):
        deviation = sigma * jnp.sqrt(maturity)
        d1 = (jnp.log(spot / strike) + (rate + 0.5 * sigma * sigma) * maturity) / deviation
        d2 = d1 - deviation
        return (spot * cdf(d1) - strike * jnp.exp(-rate * maturity) * cdf(d2)).sum()

    leaves = {"spot": spot, "maturity": maturity, "sigma": sigma, "rate": rate}
    return gradient_of(loss, leaves, (strike,))


def mc_asian():
    strike, dt = inputs.ASIAN["strike"], inputs.ASIAN["maturity"] / inputs.STEPS

    # `scan` over the steps: 12 ms where `cumsum`, a product with a triangular matrix and an unrolled loop take 39 to 52.
    def loss(s0, r, sigma, normals):
        drift = (r - 0.5 * sigma * sigma) * dt
        deviation = sigma * math.sqrt(dt)

        def advance(carry, z):
            log_spot, total = carry
            log_spot = log_spot + (drift + deviation * z)
            return (log_spot, total + jnp.exp(log_spot)), None

        start = jnp.full(inputs.PATHS, jnp.log(s0)), jnp.zeros(inputs.PATHS, jnp.float32)
        (_, total), _ = jax.lax.scan(advance, start, normals)
        payoff = jax.nn.relu(total / inputs.STEPS - strike)
        return jnp.exp(-r * inputs.ASIAN["maturity"]) * payoff.mean()

    leaves = {name: np.float32(inputs.ASIAN[name]) for name in ("s0", "r", "sigma")}
    return gradient_of(loss, leaves, (inputs.asian_normals(),))


def gmm_f64():
    (n, d, k), (rows, columns), constant = inputs.GMM, inputs.triangle(), inputs.mixture_constant()
    leaves, points = inputs.mixture()
    diagonals = np.arange(d)
    columns_of_points = np.ascontiguousarray(np.concatenate([points.T, np.ones((1, n))]))

    # One product for all components, the points along the last axis: a tenth faster than along the first.
    def loss(alpha, mean, diagonal, lower, points):
        scales = jnp.exp(diagonal)
        factors = jnp.zeros((k, d, d)).at[:, diagonals, diagonals].set(scales).at[:, rows, columns].set(lower)
        centres = (factors * mean[:, None, :]).sum(2)
        maps = jnp.concatenate([factors.reshape(k * d, d), -centres.reshape(k * d, 1)], 1)
        squares = jnp.square(maps @ points).reshape(k, d, n).sum(1)
        main = (alpha + diagonal.sum(1))[:, None] - 0.5 * squares
        prior = 0.5 * (jnp.square(scales).sum() + jnp.square(lower).sum())
        likelihood = jax.nn.logsumexp(main, axis=0).sum() - n * jax.nn.logsumexp(alpha)
        return likelihood + prior + constant

    return gradient_of(loss, leaves, (columns_of_points,))


def logreg_hvp_f64():
    features, labels, weights, direction = (jnp.asarray(a) for a in inputs.logreg())

    def product_of(features, labels, weights, direction):
        def loss(w):
            z = features @ w
            return (jax.nn.softplus(z) - labels * z).mean()

        return jax.jvp(jax.grad(loss), (weights,), (direction,))[1]

    program = jax.jit(product_of)

    def step():
        return jax.block_until_ready(program(features, labels, weights, direction))

    def result():
        product = step()
        return record(direction @ product, [("product", product)])

    return Workload(step, result)


def adam(params, grads, first, second, count, decay):
    """Adam as `optax.adam` and PyTorch compute it; with a decay, AdamW as PyTorch does."""
    beta1, beta2 = inputs.ADAM["beta1"], inputs.ADAM["beta2"]
    count = count + 1
    first = [beta1 * m + (1 - beta1) * g for m, g in zip(first, grads)]
    second = [beta2 * v + (1 - beta2) * g * g for v, g in zip(second, grads)]
    step = inputs.ADAM["lr"] / (1 - jnp.float32(beta1) ** count)
    correction = jnp.sqrt(1 - jnp.float32(beta2) ** count)
    kept = 1 - inputs.ADAM["lr"] * decay
    params = [
        p * kept - step * m / (jnp.sqrt(v) / correction + inputs.ADAM["eps"]) for p, m, v in zip(params, first, second)
    ]
    return params, first, second, count


def training(start, loss_of, data, decay=0.0):
    """Training steps of `loss_of(parameters, *data)` from the arrays that `start` maps names to."""
    names, start = list(start), list(start.values())
    data = [jnp.asarray(a) for a in data]

    def train(params, first, second, count, *data):
        loss, grads = jax.value_and_grad(loss_of)(params, *data)
        return loss, *adam(params, grads, first, second, count, decay)

    # Donated: the update happens in place, as a JAX user who cares for speed writes it.
    train = jax.jit(train, donate_argnums=(0, 1, 2, 3))
    state = {}

    def reset():
        zeros = [np.zeros_like(p) for p in start]
        state["now"] = jax.block_until_ready(
            ([jnp.array(p) for p in start], [jnp.array(z) for z in zeros], [jnp.array(z) for z in zeros], jnp.float32(0))
        )

    def step():
        loss, *now = jax.block_until_ready(train(*state["now"], *data))
        state["now"] = now
        return loss

    def result():
        reset()
        grads = jax.jit(jax.grad(loss_of))(state["now"][0], *data)
        first = step()
        for _ in range(inputs.STEPS_CHECKED):
            last = step()
        return record(first, zip(names, grads), last)

    return Workload(step, result, reset)


def linear_layers(x, params):
    for layer, (w, b) in enumerate(zip(params[::2], params[1::2])):
        x = (jax.nn.relu(x) if layer > 0 else x) @ w + b
    return x


def cross_entropy(logits, labels):
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], axis=-1).mean()


def mlp(batch):
    def loss_of(params, images, labels):
        return cross_entropy(linear_layers(images, params), labels)

    start = dict(zip(["w1", "b1", "w2", "b2", "w3", "b3"], inputs.mlp_params()))
    return training(start, loss_of, inputs.mlp_batch(batch))


def lenet(batch):
    names = ["c1", "cb1", "c2", "cb2", "w1", "b1", "w2", "b2", "w3", "b3"]

    def layer(x, w, b, padding):
        sides = [(padding, padding)] * 2
        x = jax.lax.conv_general_dilated(x, w, (1, 1), sides) + b[:, None, None]
        return jax.lax.reduce_window(jax.nn.relu(x), -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")

    def loss_of(params, images, labels):
        c1, cb1, c2, cb2, *linear = params
        h = layer(layer(images, c1, cb1, 2), c2, cb2, 0)
        return cross_entropy(linear_layers(h.reshape(len(h), -1), linear), labels)

    return training(dict(zip(names, inputs.lenet_params())), loss_of, inputs.lenet_batch(batch))


def gpt():
    start = inputs.gpt_params()
    width, heads = inputs.GPT["width"], inputs.GPT["heads"]

    def loss_of(params, tokens, labels):
        p = dict(zip(start, params))

        def norm(x, name):
            centred = x - x.mean(axis=-1, keepdims=True)
            scaled = centred * jax.lax.rsqrt((centred * centred).mean(axis=-1, keepdims=True) + 1e-5)
            return scaled * p[f"{name}.weight"] + p[f"{name}.bias"]

        def linear(x, name):
            return x @ p[f"{name}.weight"] + p[f"{name}.bias"]

        x = p["tokens.weight"][tokens] + p["positions.weight"]
        for k in range(inputs.GPT["layers"]):
            qkv = linear(norm(x, f"{k}.norm1"), f"{k}.attention.qkv")
            q, key, v = (y.reshape(*y.shape[:2], heads, width // heads) for y in jnp.split(qkv, 3, axis=2))
            y = jax.nn.dot_product_attention(q, key, v, is_causal=True)
            x = x + linear(y.reshape(x.shape), f"{k}.attention.out")
            h = jax.nn.gelu(linear(norm(x, f"{k}.norm2"), f"{k}.up"), approximate=True)
            x = x + linear(h, f"{k}.down")
        return cross_entropy(norm(x, "norm") @ p["tokens.weight"].T, labels)

    return training(start, loss_of, inputs.gpt_batch(), inputs.GPT_DECAY)


REGISTRY = {
    "tiny": tiny,
    "scalar_chain": scalar_chain,
    "chain_4m": chain_4m,
    "black_scholes_1m": lambda: black_scholes(np.float32),
    "black_scholes_1m_f64": lambda: black_scholes(np.float64),
    "mc_asian": mc_asian,
    "mlp_b64": lambda: mlp(64),
    "mlp_b512": lambda: mlp(512),
    "lenet_b64": lambda: lenet(64),
    "gpt": gpt,
    "gmm_f64": gmm_f64,
    "logreg_hvp_f64": logreg_hvp_f64,
}


def level():
    """JAX does not tell its instruction set: the widest, unless XLA_FLAGS lowered it."""
    for flag in os.environ.get("XLA_FLAGS", "").split():
        if flag.startswith("--xla_cpu_max_isa="):
            return flag.partition("=")[2].lower()
    return "native"


if __name__ == "__main__":
    main("jax", jax.__version__, REGISTRY, lambda threads: None, level)
