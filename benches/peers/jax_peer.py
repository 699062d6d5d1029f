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


def adam(params, grads, first, second, count):
    """Adam as `optax.adam` and PyTorch compute it."""
    beta1, beta2 = inputs.ADAM["beta1"], inputs.ADAM["beta2"]
    count = count + 1
    first = [beta1 * m + (1 - beta1) * g for m, g in zip(first, grads)]
    second = [beta2 * v + (1 - beta2) * g * g for v, g in zip(second, grads)]
    step = inputs.ADAM["lr"] / (1 - jnp.float32(beta1) ** count)
    correction = jnp.sqrt(1 - jnp.float32(beta2) ** count)
    params = [
        p - step * m / (jnp.sqrt(v) / correction + inputs.ADAM["eps"]) for p, m, v in zip(params, first, second)
    ]
    return params, first, second, count


def mlp(batch):
    names = ["w1", "b1", "w2", "b2", "w3", "b3"]
    start = inputs.mlp_params()
    images, labels = (jnp.asarray(a) for a in inputs.mlp_batch(batch))

    def loss_of(params, images, labels):
        w1, b1, w2, b2, w3, b3 = params
        h = jax.nn.relu(images @ w1 + b1)
        h = jax.nn.relu(h @ w2 + b2)
        logits = jax.nn.log_softmax(h @ w3 + b3)
        return -jnp.take_along_axis(logits, labels[:, None], axis=1).mean()

    def train(params, first, second, count, images, labels):
        loss, grads = jax.value_and_grad(loss_of)(params, images, labels)
        return loss, *adam(params, grads, first, second, count)

    # Donated: the update happens in place, as a JAX user who cares for speed writes it.
    train = jax.jit(train, donate_argnums=(0, 1, 2, 3))
    state = {}

    def reset():
        zeros = [np.zeros_like(p) for p in start]
        state["now"] = jax.block_until_ready(
            ([jnp.array(p) for p in start], [jnp.array(z) for z in zeros], [jnp.array(z) for z in zeros], jnp.float32(0))
        )

    def step():
        loss, *now = jax.block_until_ready(train(*state["now"], images, labels))
        state["now"] = now
        return loss

    def result():
        reset()
        grads = jax.jit(jax.grad(loss_of))(state["now"][0], images, labels)
        first = step()
        for _ in range(inputs.STEPS_CHECKED):
            last = step()
        return record(first, zip(names, grads), last)

    return Workload(step, result, reset)


REGISTRY = {
    "tiny": tiny,
    "scalar_chain": scalar_chain,
    "chain_4m": chain_4m,
    "black_scholes_1m": lambda: black_scholes(np.float32),
    "black_scholes_1m_f64": lambda: black_scholes(np.float64),
    "mc_asian": mc_asian,
    "mlp_b64": lambda: mlp(64),
    "mlp_b512": lambda: mlp(512),
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
