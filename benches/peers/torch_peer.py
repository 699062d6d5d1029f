"""Retrograde's bench workloads on PyTorch, in three modes.

`eager`; `compile`: `torch.compile` of the loss, then `backward`, and the optimiser's own step, as most users write it;
`compile-step`: value, gradient and update in one compiled function by `torch.func`, up to twice as fast as `compile`.
"""

import argparse
import math

import numpy as np
import torch
import torch.nn.functional as F

import inputs
from common import Workload, main, record

NAMES = {"eager": "torch", "compile": "torch.compile", "compile-step": "torch.compile-step"}
MODE = None


def compiled(f):
    return f if MODE == "eager" else torch.compile(f, dynamic=False)


def leaf(array):
    return torch.from_numpy(array).requires_grad_()


def gradient_of(loss_of, leaves):
    """A workload from a scalar loss and its named leaves."""
    return by_transform(loss_of, leaves) if MODE == "compile-step" else by_backward(loss_of, leaves)


def by_backward(loss_of, leaves):
    loss_of = compiled(loss_of)

    def step():
        for x in leaves.values():
            x.grad = None
        loss = loss_of(*leaves.values())
        loss.backward()
        return loss

    def result():
        loss = step()
        return record(loss.item(), [(name, x.grad.numpy()) for name, x in leaves.items()])

    return Workload(step, result)


def by_transform(loss_of, leaves):
    program = compiled(torch.func.grad_and_value(loss_of, argnums=tuple(range(len(leaves)))))
    args = [x.detach() for x in leaves.values()]

    def step():
        return program(*args)

    def result():
        grads, loss = step()
        return record(loss.item(), [(name, g.numpy()) for name, g in zip(leaves, grads)])

    return Workload(step, result)


def tiny():
    return gradient_of(lambda x: 2.0 * torch.dot(x, x), {"x": torch.arange(4.0, requires_grad=True)})


def scalar_chain():
    def loss(x):
        y = x
        for _ in range(inputs.SCALAR_ROUNDS):
            y = torch.sin(y) * x + 0.1
            y = 0.9 * y
        return y

    return gradient_of(loss, {"x": torch.tensor(inputs.SCALAR_X, requires_grad=True)})


def chain_4m():
    def loss(x):
        return (torch.tanh(x * x + 0.5) * torch.sigmoid(x) + torch.exp(-x * x)).sum()

    return gradient_of(loss, {"x": leaf(inputs.chain())})


def black_scholes(dtype):
    spot, strike, maturity, sigma, rate = (torch.from_numpy(a) for a in inputs.options(dtype))

    def cdf(x):
        return 0.5 * (1.0 + torch.erf(x * math.sqrt(0.5)))

    def loss(spot, maturity, sigma, rate):
        deviation = sigma * torch.sqrt(maturity)
        d1 = (torch.log(spot / strike) + (rate + 0.5 * sigma * sigma) * maturity) / deviation
        d2 = d1 - deviation
        return (spot * cdf(d1) - strike * torch.exp(-rate * maturity) * cdf(d2)).sum()

    leaves = {"spot": spot, "maturity": maturity, "sigma": sigma, "rate": rate}
    return gradient_of(loss, {name: x.requires_grad_() for name, x in leaves.items()})


def mc_asian():
    normals = torch.from_numpy(inputs.asian_normals())
    strike, dt = inputs.ASIAN["strike"], inputs.ASIAN["maturity"] / inputs.STEPS

    # A loop over the steps: 9 ms eager where `cumsum` takes 30.
    def loss(s0, r, sigma):
        drift = (r - 0.5 * sigma * sigma) * dt
        deviation = sigma * math.sqrt(dt)
        log_spot = torch.log(s0).expand(inputs.PATHS)
        total = torch.zeros(inputs.PATHS)
        for z in normals.unbind(0):
            log_spot = log_spot + (drift + deviation * z)
            total = total + torch.exp(log_spot)
        payoff = torch.relu(total / inputs.STEPS - strike)
        return torch.exp(-r * inputs.ASIAN["maturity"]) * payoff.mean()

    leaves = {name: torch.tensor(inputs.ASIAN[name], requires_grad=True) for name in ("s0", "r", "sigma")}
    return gradient_of(loss, leaves)


def gmm_f64():
    (n, d, k), constant = inputs.GMM, inputs.mixture_constant()
    rows, columns = (torch.from_numpy(i) for i in inputs.triangle())
    leaves, points = inputs.mixture()
    points = torch.from_numpy(np.ascontiguousarray(np.concatenate([points.T, np.ones((1, n))])))

    # One product for all components, the points along the last axis: up to three times as fast as along the first.
    def loss(alpha, mean, diagonal, lower):
        scales = torch.exp(diagonal)
        below = torch.zeros(k, d, d, dtype=torch.float64).index_put((torch.arange(k)[:, None], rows, columns), lower)
        factors = below + torch.diag_embed(scales)
        centres = (factors * mean[:, None, :]).sum(2)
        maps = torch.cat([factors.reshape(k * d, d), -centres.reshape(k * d, 1)], 1)
        squares = (maps @ points).square().reshape(k, d, n).sum(1)
        main = (alpha + diagonal.sum(1))[:, None] - 0.5 * squares
        prior = 0.5 * (scales.square().sum() + lower.square().sum())
        return torch.logsumexp(main, 0).sum() - n * torch.logsumexp(alpha, 0) + prior + constant

    return gradient_of(loss, {name: leaf(array) for name, array in leaves.items()})


def logreg_hvp_f64():
    features, labels, weights, direction = (torch.from_numpy(a) for a in inputs.logreg())

    def loss(w):
        return F.binary_cross_entropy_with_logits(features @ w, labels)

    # Reverse over reverse is the quicker of the two in eager mode, and forward over reverse what compiles.
    def eager(w, v):
        w = w.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(w), w, create_graph=True)
        return torch.autograd.grad(gradient @ v, w)[0]

    def transformed(w, v):
        return torch.func.jvp(torch.func.grad(loss), (w,), (v,))[1]

    product_of = eager if MODE == "eager" else torch.compile(transformed, dynamic=False)

    def step():
        return product_of(weights, direction)

    def result():
        product = step()
        return record((direction @ product).item(), [("product", product.numpy())])

    return Workload(step, result)


def training(start, loss_of, linear, decay=None):
    """Training by Adam, or with a weight decay by AdamW. `start` maps names to arrays, `loss_of` takes the parameters in
    that order, `linear` names those that PyTorch users keep as [outputs, inputs], as `nn.Linear` does."""
    names = list(start)
    flip = [name in linear for name in names]
    fresh = [torch.from_numpy(p).t() if f else torch.from_numpy(p) for p, f in zip(start.values(), flip)]
    params = [p.clone(memory_format=torch.contiguous_format).requires_grad_() for p in fresh]
    state = {}
    adam = inputs.ADAM
    transformed = torch.func.grad_and_value(loss_of, argnums=tuple(range(len(params))))

    def whole_step(params, first, second, count):
        grads, loss = transformed(*params)
        count += 1
        rate = adam["lr"] / (1 - adam["beta1"] ** count)
        correction = torch.sqrt(1 - adam["beta2"] ** count)
        for p, m, v, g in zip(params, first, second, grads):
            m.mul_(adam["beta1"]).add_(g, alpha=1 - adam["beta1"])
            v.mul_(adam["beta2"]).addcmul_(g, g, value=1 - adam["beta2"])
            if decay is not None:
                p.mul_(1 - adam["lr"] * decay)
            p.sub_(rate * m / (v.sqrt() / correction + adam["eps"]))
        return loss

    whole_step = compiled(whole_step) if MODE == "compile-step" else None
    forward = compiled(loss_of) if MODE == "compile" else loss_of

    def reset():
        with torch.no_grad():
            for p, s in zip(params, fresh):
                p.copy_(s)
        if whole_step:
            state["now"] = [[p.detach() for p in params]] + [[torch.zeros_like(p) for p in params] for _ in range(2)]
            state["now"].append(torch.tensor(0.0))
        else:
            betas = (adam["beta1"], adam["beta2"])
            if decay is None:
                state["adam"] = torch.optim.Adam(params, adam["lr"], betas, adam["eps"], fused=True)
            else:
                state["adam"] = torch.optim.AdamW(params, adam["lr"], betas, adam["eps"], decay, fused=True)

    def step():
        if whole_step:
            with torch.no_grad():
                return whole_step(*state["now"])
        state["adam"].zero_grad(set_to_none=True)
        loss = forward(*params)
        loss.backward()
        state["adam"].step()
        return loss

    def result():
        reset()
        plain = torch.autograd.grad(forward(*params), params)
        grads = [(n, (g.t() if f else g).numpy().copy()) for n, f, g in zip(names, flip, plain)]
        first = step()
        for _ in range(inputs.STEPS_CHECKED):
            last = step()
        return record(first.item(), grads, last.item())

    return Workload(step, result, reset)


def linear_layers(x, params):
    for layer, (w, b) in enumerate(zip(params[::2], params[1::2])):
        x = F.linear(F.relu(x) if layer > 0 else x, w, b)
    return x


def mlp(batch):
    images, labels = (torch.from_numpy(a) for a in inputs.mlp_batch(batch))
    start = dict(zip(["w1", "b1", "w2", "b2", "w3", "b3"], inputs.mlp_params()))

    def loss_of(*params):
        return F.cross_entropy(linear_layers(images, params), labels)

    return training(start, loss_of, ("w1", "w2", "w3"))


def lenet(batch):
    images, labels = (torch.from_numpy(a) for a in inputs.lenet_batch(batch))
    names = ["c1", "cb1", "c2", "cb2", "w1", "b1", "w2", "b2", "w3", "b3"]

    def loss_of(c1, cb1, c2, cb2, *linear):
        h = F.max_pool2d(F.relu(F.conv2d(images, c1, cb1, padding=2)), 2)
        h = F.max_pool2d(F.relu(F.conv2d(h, c2, cb2)), 2)
        return F.cross_entropy(linear_layers(h.flatten(1), linear), labels)

    return training(dict(zip(names, inputs.lenet_params())), loss_of, ("w1", "w2", "w3"))


def gpt():
    start = inputs.gpt_params()
    names = list(start)
    tokens, labels = (torch.from_numpy(a) for a in inputs.gpt_batch())
    labels = labels.reshape(-1)
    width, heads = inputs.GPT["width"], inputs.GPT["heads"]

    def loss_of(*params):
        p = dict(zip(names, params))

        def norm(x, name):
            return F.layer_norm(x, (width,), p[f"{name}.weight"], p[f"{name}.bias"], 1e-5)

        def linear(x, name):
            return F.linear(x, p[f"{name}.weight"], p[f"{name}.bias"])

        def split(x):
            return x.view(*x.shape[:2], heads, width // heads).transpose(1, 2)

        x = F.embedding(tokens, p["tokens.weight"]) + p["positions.weight"]
        for k in range(inputs.GPT["layers"]):
            q, key, v = (split(y) for y in linear(norm(x, f"{k}.norm1"), f"{k}.attention.qkv").split(width, dim=2))
            y = F.scaled_dot_product_attention(q, key, v, is_causal=True)
            x = x + linear(y.transpose(1, 2).reshape(x.shape), f"{k}.attention.out")
            h = F.gelu(linear(norm(x, f"{k}.norm2"), f"{k}.up"), approximate="tanh")
            x = x + linear(h, f"{k}.down")
        logits = F.linear(norm(x, "norm"), p["tokens.weight"])
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), labels)

    dense = [name for name in names if start[name].ndim == 2 and "." in name.removesuffix(".weight")]
    return training(start, loss_of, dense, inputs.GPT_DECAY)


REGISTRY = {
    "tiny": tiny,
    "tiny_define_by_run": tiny,
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
# Define-by-run has nothing to compile. `scalar_chain` compiles in 20 s, once value and gradient are one function.
ABSENT = {"eager": (), "compile": ("tiny_define_by_run", "scalar_chain"), "compile-step": ("tiny_define_by_run",)}


def run():
    global MODE
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--mode", choices=tuple(NAMES), default="eager")
    MODE = parser.parse_known_args()[0].mode
    registry = {k: v for k, v in REGISTRY.items() if k not in ABSENT[MODE]}
    main(
        NAMES[MODE],
        torch.__version__,
        registry,
        torch.set_num_threads,
        lambda: torch.backends.cpu.get_cpu_capability().lower(),
    )


if __name__ == "__main__":
    run()
