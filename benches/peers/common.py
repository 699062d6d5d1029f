"""What every Python peer shares: the command line, the timing method and the line it prints.

Method (the same as `benches/src/measure.rs`): two warm-up runs, then five batches of repeated steps; the best and the
median batch, seconds a step. Training restarts from fresh parameters before every batch, outside the timed region, and a
batch is at most 500 steps: trained for thousands of steps on one batch, softmax and Adam's moments go subnormal.
"""

import argparse
import ctypes
import json
import statistics
import sys
import time
import traceback

import numpy as np

BATCHES = 5
TRAINING_STEPS = 500
STEPS_WATCHED = 5


class Workload:
    """`step()` computes value and gradients and waits for them; `record()` returns them for the check.

    `reset()` restores fresh parameters; only training has any.
    """

    def __init__(self, step, record, reset=None):
        self.step, self.record, self.reset = step, record, reset


def record(loss, grads, loss_after=None):
    """A few numbers of the result that the Rust side compares with its f64 reference.

    Eight evenly spaced entries and the Euclidean norm of each gradient.
    """
    out = {"loss": float(loss), "grads": []}
    for name, grad in grads:
        flat = np.asarray(grad).reshape(-1)
        spread = [k * (flat.size - 1) // 7 for k in range(8)] if flat.size > 1 else [0]
        wide = flat.astype(np.float64)
        out["grads"].append(
            {"name": name, "norm": float(np.sqrt(np.dot(wide, wide))), "entries": [float(wide[i]) for i in spread]}
        )
    if loss_after is not None:
        out["loss_after"] = float(loss_after)
    return out


def _batch(step, count):
    start = time.perf_counter()
    for _ in range(count):
        step()
    return time.perf_counter() - start


def measure(work, quick):
    """Seconds a step of each batch."""
    budget = 0.02 if quick else 0.25
    reset = work.reset or (lambda: None)
    reset()
    work.step()
    work.step()
    count = 1
    while (took := _batch(work.step, count)) < budget / 10:
        count *= 2
    count = max(1, round(count * budget / took))
    if work.reset:
        count = min(count, TRAINING_STEPS)
    times = []
    for _ in range(BATCHES):
        reset()
        times.append(_batch(work.step, count) / count)
    return times


def _status(field):
    """Bytes, of a line of the kernel's account of this process."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(field):
                return 1024 * int(line.split()[1])
    raise RuntimeError(f"this system does not tell {field}")


def memory(build, before):
    """Bytes resident at the peak of a few steps beyond `before`, pages of files left out: as `benches/src/serve.rs`."""
    work = build()
    if work.reset:
        work.reset()
    for _ in range(STEPS_WATCHED):
        work.step()
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/clear_refs", "w") as control:
        control.write("5")
    for _ in range(STEPS_WATCHED):
        work.step()
    return max(0, _status("VmHWM:") - _status("RssFile:") - _status("RssShmem:") - before)


def main(peer, version, registry, configure, level):
    """Runs the workloads named on the command line (all of them without a name), one JSON line each.

    `registry` maps names to functions that build a `Workload`; `configure(threads)` runs before any is built.
    """
    parser = argparse.ArgumentParser(description=f"Retrograde's bench workloads on {peer}")
    parser.add_argument("--workload", action="append", default=[], metavar="NAME")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--memory", action="store_true", help="measure resident memory instead of time")
    parser.add_argument("--list", action="store_true", help="print the names of the workloads and stop")
    args, _ = parser.parse_known_args()
    if args.list:
        print("\n".join(registry))
        return
    if args.threads < 1:
        sys.exit("--threads must be at least 1")
    if unknown := [w for w in args.workload if w not in registry]:
        sys.exit(f"{peer} has no workload {', '.join(unknown)}; it has {', '.join(registry)}")
    configure(args.threads)
    failed = False
    for name in args.workload or registry:
        line = {"peer": peer, "version": version, "threads": args.threads, "level": level(), "workload": name}
        try:
            if args.memory:
                line["peak_bytes"] = memory(registry[name], _status("RssAnon:"))
                print(json.dumps(line), flush=True)
                continue
            start = time.perf_counter()
            work = registry[name]()
            result = work.record()
            line["prepare_s"] = time.perf_counter() - start
            times = measure(work, args.quick)
            line |= {"best_s": min(times), "median_s": statistics.median(times), "record": result}
        except Exception as error:  # a peer that breaks is a reported row, not the end of the run
            traceback.print_exc()
            line["failure"] = f"{type(error).__name__}: {error}".splitlines()[0]
            failed = True
        print(json.dumps(line), flush=True)
    sys.exit(1 if failed else 0)
