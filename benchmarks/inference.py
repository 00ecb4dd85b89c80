"""How fast networks run, ours beside the alternatives, in one process.

    python benchmarks/inference.py [--only NAME ...] [--batches 1 8 64] [--seconds 2] [--compile]

Rows: the PyTorch module as it is written without optimisation (as one would write it by hand), the
same under `torch.compile`, `torch.onnx.export` of it in ONNX Runtime, our PyTorch at -O2, that
under `torch.compile`, our ONNX at -O0 and at -O2. Rows run in turns; medians. `torch.compile` takes
minutes, so those rows are made with `--compile` alone. The last column is the share of this
machine's rate of matrix products, which is measured first.
"""

from __future__ import annotations

import argparse
import logging
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import xgraph
from xgraph.backends.onnx import to_onnx
from xgraph.backends.runtime import Session
from xgraph.ir.graph import Graph
from xgraph.ir.types import evaluate
from xgraph.optimize.levels import optimize
from xgraph.report import live_cost
from xgraph.samples import sample_inputs
from xgraph.weights import initialise

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
NETWORKS: dict[str, tuple[str, dict[str, object]]] = {
    "BaseCNN-2-CC": ("basecnn_cc", {"paths": 2}),
    "BaseCNN-4-CC": ("basecnn_cc", {"paths": 4}),
    "BaseCNN-2-CP": ("basecnn_cp", {"paths": 2}),
    "BaseCNN-4-CP": ("basecnn_cp", {"paths": 4}),
    "ResNet20-4-CC": ("resnet_cifar_cc", {"paths": 4}),
    "XKerasNet": ("xkerasnet", {}),
    "XFlow": ("xflow", {}),
    "MFAS": ("avmnist_mfas", {}),
}
Run = Callable[[], Any]
PAUSE = 0.02
"""Seconds before each run, in which the threads of the last one stop waiting for more work; the
first run after it wakes those of its own, and is not timed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8, 64, 256])
    parser.add_argument("--seconds", type=float, default=2.0, help="of each row and batch")
    parser.add_argument("--compile", action="store_true", help="with rows of torch.compile")
    given = parser.parse_args()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    peak = products()
    print(
        f"{platform.machine()}, {torch.get_num_threads()} threads, PyTorch {torch.__version__}, ",
        end="",
    )
    print(f"matrix products at {peak / 1e9:.0f} GFLOP/s")
    for name in given.only:
        example, settings = NETWORKS[name]
        low = xgraph.lower(xgraph.parse(EXAMPLES / f"{example}.xg", settings))
        with tempfile.TemporaryDirectory() as folder:
            measured(name, low, given, Path(folder), peak)


def products() -> float:
    """Floating-point operations a second of large products of matrices."""
    a, b = torch.rand(1536, 1536), torch.rand(1536, 1536)
    times = []
    for _ in range(12):
        start = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - start)
    return 2 * 1536**3 / min(times)


def measured(name: str, low: Graph, given: Any, folder: Path, peak: float) -> None:
    """The table of one network."""
    weights = initialise(low, 0)
    made = optimize(low, "2")
    plain = xgraph.load(low, weights).eval()
    joined = xgraph.load(made.graph, made.weights(weights)).eval()
    compiled = {}
    if given.compile:
        compiled = {
            "torch.compile": torch.compile(plain),
            "-O2, torch.compile": torch.compile(joined),
        }
    sessions = {
        "torch.onnx.export, ONNX Runtime": Session(exported(plain, low, folder)),
        "xgraph ONNX -O0": Session(to_onnx(low, weights).SerializeToString()),
        "xgraph ONNX -O2": Session(to_onnx(made.graph, made.weights(weights)).SerializeToString()),
    }
    print(f"\n{name}: {len(low)} nodes, at -O2 {len(made.graph)}\n")
    print("| batch | row | ms | times as fast as eager | of the rate |\n|---:|---|---:|---:|---:|")
    for batch in given.batches:
        arrays = sample_inputs(low, batch, 0)
        tensors = [torch.from_numpy(arrays[key]) for key in low.inputs]
        runs = {
            "PyTorch, as it is written": module(plain, tensors),
            "xgraph PyTorch -O2": module(joined, tensors),
            **{label: module(one, tensors) for label, one in compiled.items()},
            **{label: session(one, arrays) for label, one in sessions.items()},
        }
        times = medians(runs, given.seconds)
        eager = times["PyTorch, as it is written"]
        work = 2 * evaluate(live_cost(low).macs, {}) * batch
        for label, seconds in times.items():
            print(
                f"| {batch} | {label} | {seconds * 1e3:.2f} | {eager / seconds:.2f}"
                f" | {work / seconds / peak:.0%} |", flush=True,
            )  # fmt: skip


def module(one: Any, tensors: list[torch.Tensor]) -> Run:
    def run() -> Any:
        with torch.inference_mode():
            return one(*tensors)

    return run


def session(one: Session, arrays: dict[str, np.ndarray[Any, Any]]) -> Run:
    return lambda: one.run(arrays)


def exported(plain: Any, low: Graph, folder: Path) -> Path:
    """What PyTorch's own exporter makes of the module."""
    path, inputs = folder / "exported.onnx", sample_inputs(low, 2, 0)
    batch = torch.export.Dim("batch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            plain, tuple(torch.from_numpy(inputs[key]) for key in low.inputs), path,
            dynamic_shapes=tuple({0: batch} for _ in low.inputs), verbose=False,
            input_names=list(low.inputs),
        )  # fmt: skip
    return path


def medians(runs: dict[str, Run], seconds: float) -> dict[str, float]:
    """Of runs in turns, for about so long each."""
    for run in runs.values():
        run(), run()
    start = time.perf_counter()
    for run in runs.values():
        run()
    turns = max(5, min(500, int(seconds * len(runs) / (time.perf_counter() - start))))
    found: dict[str, list[float]] = {label: [] for label in runs}
    for _ in range(turns):
        for label, run in runs.items():
            time.sleep(PAUSE)
            run()
            start = time.perf_counter()
            run()
            found[label].append(time.perf_counter() - start)
    return {label: statistics.median(times) for label, times in found.items()}


if __name__ == "__main__":
    main()
