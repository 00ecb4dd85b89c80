"""What `xgraph train` costs beside a loop written by hand, and how much memory it takes.

    python benchmarks/train.py [--quick]

1. Steps a second of xgraph's loop (checkpoints, metrics, progress and all) against a bare loop of
   PyTorch over the same module, the same memory-mapped arrays and the same batches, by turns.
2. Memory: an epoch over a memory-mapped set four times as large as the memory that the process may
   take for its data (the limit is the system's, RLIMIT_DATA, and more would end it).
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

import xgraph
from xgraph.data import open_data
from xgraph.data.feed import Order
from xgraph.recipe import read_recipe
from xgraph.train.fit import fit
from xgraph.train.plan import Plan, plan
from xgraph.weights import initialise

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
BATCH = 64
Weights: TypeAlias = "dict[str, np.ndarray[Any, Any]]"
MIB = 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and smaller runs")
    parser.add_argument("--memory", metavar="DATA", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.memory:
        one_epoch_within_limits(Path(given.memory))
        return
    cores = os.cpu_count()
    print(f"{platform.machine()}, {cores} cores, Python {platform.python_version()},", end=" ")
    print(f"PyTorch {torch.__version__}, batches of {BATCH}\n")
    with tempfile.TemporaryDirectory() as folder:
        print("steps a second              xgraph   by hand   overhead")
        rounds = 3 if given.quick else 9
        for name, settings, rows in NETWORKS:
            compare(name, settings, rows, Path(folder), rounds)
        print("\nmemory")
        measure_memory(Path(folder), 512 if given.quick else 1024)


NETWORKS = [
    ("digits", {}, 6400),
    ("avmnist_late", {"c": 4}, 640),
    ("kerasnet", {}, 320),
]
"""Example, its settings, and the rows of an epoch."""


def compare(name: str, settings: dict[str, int], rows: int, folder: Path, rounds: int) -> None:
    """Print the steps a second of both loops, medians over alternating epochs."""
    graph = xgraph.parse(EXAMPLES / f"{name}.xg", settings)
    made = planned(graph, folder / name, rows)
    weights = initialise(xgraph.lower(graph), 0)
    loops: dict[str, Callable[[], float]] = {
        "xgraph": lambda: ours(made, weights, folder),
        "by hand": lambda: by_hand(made, weights, folder / name),
    }
    taken: dict[str, list[float]] = {loop: [] for loop in loops}
    for loop in loops.values():
        loop()
    for _ in range(rounds):
        for loop, run in loops.items():
            taken[loop].append(run())
    a, b = (statistics.median(seconds) for seconds in taken.values())
    ratios = [x / y for x, y in zip(*taken.values(), strict=True)]
    steps = len(Order(len(made.train), BATCH, 0, 0).rows())
    overhead = statistics.median(ratios) - 1
    print(f"{name:<24} {steps / a:9.1f} {steps / b:9.1f} {overhead:9.1%}")


def planned(graph: xgraph.Graph, folder: Path, rows: int) -> Plan:
    """A plan over random numbers in files, of which the validation has few."""
    rng = np.random.default_rng(0)
    for split, count in (("train", rows), ("val", BATCH)):
        (folder / split).mkdir(parents=True)
        for name, value in graph.inputs.items():
            sizes = [size for size in value.type.features if isinstance(size, int)]
            np.save(
                folder / split / f"{name}.npy", rng.normal(size=(count, *sizes)).astype(np.float32)
            )
        np.save(folder / split / "label.npy", rng.integers(0, 10, count))
    first = next(iter(graph.outputs))
    told = ["epochs=1", f"batch={BATCH}", f"losses={{{first}: cross-entropy}}", "keep=last"]
    return plan(graph, open_data(folder), read_recipe(None, told), allow_leaks=True)


class Times:
    """Notes when the steps of an epoch begin and end; validation and what follows is not a step."""

    stop = False

    def epoch_begins(self, number: int, batches: int, done: int) -> None:
        self.batches = batches
        self.began = time.perf_counter()

    def step(self, progress: object, loss: float | None) -> None:
        self.ended = time.perf_counter()

    def epoch_ends(self, history: list[dict[str, object]]) -> None: ...


def ours(made: Plan, weights: Weights, folder: Path) -> float:
    """Seconds of the steps of an epoch."""
    times = Times()
    path = folder / "checkpoint.safetensors"
    path.unlink(missing_ok=True)
    fit(made, dict(weights), watch=times, checkpoint=path)
    return times.ended - times.began


def by_hand(made: Plan, weights: Weights, folder: Path) -> float:
    """The same steps as one would write them."""
    columns = {
        port.name: np.load(folder / "train" / f"{port.column}.npy", mmap_mode="r")
        for port in made.feed.ports
    }
    labels = np.load(folder / "train" / "label.npy")
    low = xgraph.lower(made.graph)
    first = made.feed.targets[0].output
    for name in list(low.outputs):
        if name != first:
            del low.outputs[name]
    low.prune()
    kept = {address: weights[address] for address, _ in low.params()}
    module = xgraph.load(low, kept)
    optimizer = torch.optim.Adam(module.parameters(), 1e-3, fused=True)
    module.train()
    began = time.perf_counter()
    for rows in Order(len(labels), BATCH, 0, 0).rows():
        inputs = [torch.from_numpy(columns[name][rows]) for name in low.inputs]
        target = torch.from_numpy(labels[rows])
        optimizer.zero_grad()
        loss = F.cross_entropy(module(*inputs), target)
        if not torch.isfinite(loss):
            raise RuntimeError("the loss is not finite")
        torch.autograd.backward([loss])
        optimizer.step()
    return time.perf_counter() - began


# ---------------------------------------------------------------------------------------- memory

FLAT = """network flat
modality x: [65536]
superlayer net(x) { linear(10) }
output y = net
"""


def measure_memory(folder: Path, mebibytes: int) -> None:
    """Train in a process of its own over a set of that many MiB, within a quarter of it."""
    data = folder / "large"
    (data / "train").mkdir(parents=True)
    rows = mebibytes * MIB // (65536 * 4)
    x = np.lib.format.open_memmap(
        data / "train" / "x.npy", "w+", np.dtype(np.float32), (rows, 65536)
    )
    rng = np.random.default_rng(0)
    for row in range(rows):
        x[row] = rng.random(65536, np.float32)
    x.flush()
    del x
    np.save(data / "train" / "label.npy", np.arange(rows) % 10)
    print(f"  set, mapped from disk                {mebibytes:6} MiB")
    subprocess.run([sys.executable, __file__, "--memory", str(data)], check=True)


def one_epoch_within_limits(data: Path) -> None:
    """Check and train, with a limit on what is taken beyond what the libraries have."""
    size = sum(path.stat().st_size for path in data.rglob("*.npy"))
    graph = xgraph.parse(FLAT)
    weights = initialise(xgraph.lower(graph), 0)
    recipe = read_recipe(None, ["epochs=1", "batch=32"])
    # What libraries take when they are first used, threads and all, is not the loader's.
    fit(plan(graph, open_data(data), recipe, fraction=0.1, allow_leaks=True), weights)
    before = data_size()
    allowed = before + size // 4
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
    made = plan(graph, open_data(data), recipe)
    fit(made, weights)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"  allowed for data, of a process       {(allowed - before) // MIB:6} MiB")
    print(f"  taken when the epoch was done        {(data_size() - before) // MIB:6} MiB")
    print(f"  most resident, mapped pages included {peak:6} MiB (the system takes those back)")


def data_size() -> int:
    """Bytes of the process that RLIMIT_DATA counts."""
    status = Path("/proc/self/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmData:")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
