"""Retrograde's bench workloads on PyTorch: `--mode eager` or `--mode compile` (`torch.compile`)."""

import argparse
import math

import torch
import torch.nn.functional as F

import inputs
from common import Workload, main, record

MODE = None


def compiled(f):
    """`f` itself when eager; its gradients are then those of the graph that `torch.compile` traced."""
    return torch.compile(f, dynamic=False) if MODE == "compile" else f


def leaf(array):
    return torch.from_numpy(array).requires_grad_()


def backward_of(loss_of, leaves):
    """A workload from a scalar loss and its named leaves, by `backward`."""
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


def tiny():
    return backward_of(lambda x: 2.0 * torch.dot(x, x), {"x": torch.arange(4.0, requires_grad=True)})


def scalar_chain():
    def loss(x):
        y = x
        for _ in range(inputs.SCALAR_ROUNDS):
            y = torch.sin(y) * x + 0.1
            y = 0.9 * y
        return y

    return backward_of(loss, {"x": torch.tensor(inputs.SCALAR_X, requires_grad=True)})


def chain_4m():
    def loss(x):
        return (torch.tanh(x * x + 0.5) * torch.sigmoid(x) + torch.exp(-x * x)).sum()

    return backward_of(loss, {"x": leaf(inputs.chain())})


def black_scholes_1m():
    spot, strike, maturity, sigma, rate = (torch.from_numpy(a) for a in inputs.options())

    def cdf(x):
        return 0.5 * (1.0 + torch.erf(x * math.sqrt(0.5)))

    def loss(spot, maturity, sigma, rate):
        deviation = sigma * torch.sqrt(maturity)
        d1 = (torch.log(spot / strike) + (rate + 0.5 * sigma * sigma) * maturity) / deviation
        d2 = d1 - deviation
        return (spot * cdf(d1) - strike * torch.exp(-rate * maturity) * cdf(d2)).sum()

    leaves = {"spot": spot, "maturity": maturity, "sigma": sigma, "rate": rate}
    return backward_of(loss, {name: x.requires_grad_() for name, x in leaves.items()})


def mc_asian():
    normals = torch.from_numpy(inputs.asian_normals())
    strike, dt = inputs.ASIAN["strike"], inputs.ASIAN["maturity"] / inputs.STEPS

    def loss(s0, r, sigma):
        drift = (r - 0.5 * sigma * sigma) * dt
        paths = torch.log(s0) + torch.cumsum(drift + sigma * math.sqrt(dt) * normals, 0)
        payoff = torch.relu(torch.exp(paths).mean(0) - strike)
        return torch.exp(-r * inputs.ASIAN["maturity"]) * payoff.mean()

    leaves = {name: torch.tensor(inputs.ASIAN[name], requires_grad=True) for name in ("s0", "r", "sigma")}
    return backward_of(loss, leaves)


def mlp(batch):
    names = ["w1", "b1", "w2", "b2", "w3", "b3"]
    start = [torch.from_numpy(p) for p in inputs.mlp_params()]
    images, labels = (torch.from_numpy(a) for a in inputs.mlp_batch(batch))
    # `nn.Linear` keeps its weight as [outputs, inputs]: that is the layout PyTorch users have.
    params = [(p.t().contiguous() if p.dim() == 2 else p.clone()).requires_grad_() for p in start]
    state = {}

    def loss_of(w1, b1, w2, b2, w3, b3):
        h = F.relu(F.linear(images, w1, b1))
        h = F.relu(F.linear(h, w2, b2))
        return F.cross_entropy(F.linear(h, w3, b3), labels)

    loss_of = compiled(loss_of)

    def reset():
        with torch.no_grad():
            for p, s in zip(params, start):
                p.copy_(s.t() if p.dim() == 2 else s)
        betas = (inputs.ADAM["beta1"], inputs.ADAM["beta2"])
        state["adam"] = torch.optim.Adam(params, inputs.ADAM["lr"], betas, inputs.ADAM["eps"], fused=True)

    def step():
        state["adam"].zero_grad(set_to_none=True)
        loss = loss_of(*params)
        loss.backward()
        state["adam"].step()
        return loss

    def result():
        reset()
        first = step()
        grads = [(n, (p.grad.t() if p.dim() == 2 else p.grad).numpy().copy()) for n, p in zip(names, params)]
        for _ in range(inputs.STEPS_CHECKED):
            last = step()
        return record(first.item(), grads, last.item())

    return Workload(step, result, reset)


REGISTRY = {
    "tiny": tiny,
    "tiny_define_by_run": tiny,
    "scalar_chain": scalar_chain,
    "chain_4m": chain_4m,
    "black_scholes_1m": black_scholes_1m,
    "mc_asian": mc_asian,
    "mlp_b64": lambda: mlp(64),
    "mlp_b512": lambda: mlp(512),
}
# Not compiled: define-by-run has nothing to compile, and tracing 1,000 scalar operations takes minutes.
EAGER_ONLY = ("tiny_define_by_run", "scalar_chain")


def run():
    global MODE
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--mode", choices=("eager", "compile"), default="eager")
    MODE = parser.parse_known_args()[0].mode
    registry = {k: v for k, v in REGISTRY.items() if MODE == "eager" or k not in EAGER_ONLY}
    main(
        "torch" if MODE == "eager" else "torch.compile",
        torch.__version__,
        registry,
        torch.set_num_threads,
        lambda: torch.backends.cpu.get_cpu_capability().lower(),
    )


if __name__ == "__main__":
    run()
