"""How long compiling takes, beside the alternatives, in one run.

    python benchmarks/compile.py [--repeats N] [--quick]

1. ResNet20-4-CC to an ONNX file: xgraph from the `.xg` text, against `torch.onnx.export` of the
   same network as a module that is already made.
2. A cold `xgraph check` of it, against the imports it cannot do without.
3. Build, verify and lower networks of 1k, 10k and 100k nodes, with the power of size that time
   grows with from each to the next.

Times are medians of interleaved runs.
"""

from __future__ import annotations

import argparse
import gc
import logging
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

from xgraph.build import Limits, build_source
from xgraph.driver import compile as compile_network
from xgraph.driver import load, parse
from xgraph.ir.verify import verify_or_raise
from xgraph.passes import lower
from xgraph.samples import sample_inputs
from xgraph.source import Source

ROOT = Path(__file__).resolve().parent.parent
RESNET = ROOT / "examples" / "resnet_cifar_cc.xg"
SETTINGS = {"paths": 4}


def interleaved(repeats: int, cases: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """The median seconds of each case, run in turns."""
    found: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(repeats):
        for name, case in cases.items():
            gc.collect()
            start = time.perf_counter()
            case()
            found[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in found.items()}


def row(name: str, seconds: float, ratio: str = "") -> None:
    print(f"  {name:<52} {seconds * 1000:>10.1f} ms  {ratio}")


def export(repeats: int) -> None:
    """ResNet20-4-CC to ONNX, ours and PyTorch's exporter."""
    import torch

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    graph = parse(RESNET, SETTINGS)
    module = load(graph).eval()
    arrays = sample_inputs(lower(graph), batch=2)
    inputs = tuple(torch.from_numpy(array) for array in arrays.values())
    batch = torch.export.Dim("batch")
    with tempfile.TemporaryDirectory() as folder:

        def ours() -> None:
            compile_network(
                RESNET, "onnx", Path(folder, "ours.onnx"), verify=False, settings=SETTINGS
            )

        def theirs() -> None:
            shapes = tuple({0: batch} for _ in inputs)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.onnx.export(
                    module, inputs, Path(folder, "theirs.onnx"), dynamic_shapes=shapes,
                    verbose=False,
                )  # fmt: skip

        ours(), theirs()  # first runs pay for imports
        times = interleaved(repeats, {"ours": ours, "theirs": theirs})
    print("ResNet20-4-CC to an ONNX file")
    row("xgraph, from the .xg text", times["ours"])
    row("torch.onnx.export, from the module", times["theirs"])
    print(f"  xgraph is {times['theirs'] / times['ours']:.1f} times as fast\n")


def cold_start(repeats: int) -> None:
    """`xgraph check` from nothing, and the imports it stands on."""

    def run(*arguments: str) -> Callable[[], object]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return lambda: subprocess.run(
            [sys.executable, *arguments], check=True, capture_output=True, env=environment
        )

    check = run("-m", "xgraph.cli", "check", str(RESNET))
    imports = run("-c", "import lark, networkx")
    check(), imports()
    times = interleaved(repeats, {"check": check, "imports": imports})
    print("Cold start")
    row("xgraph check resnet_cifar_cc.xg", times["check"])
    row('python -c "import lark, networkx"', times["imports"])
    print(f"  the check takes {times['check'] / times['imports']:.2f} times the imports\n")


def network_of(nodes: int) -> str:
    """A network of two connected streams with about `nodes` layers."""
    pairs = max(1, nodes // 20)
    lines = [
        "network large",
        "modality image: [4, 8, 8]",
        "block unit(f) { conv(f, 3) -> bn -> relu }",
    ]
    for stream in ("a", "b"):
        lines.append(f"superlayer {stream}(image) {{")
        lines += [f"  p{i}: unit(4) -> unit(4) -> relu -> tanh" for i in range(pairs)]
        lines.append("}")
    lines += [f"connect a.p{i} -> b.p{i} by add via conv(4, 1) -> relu" for i in range(pairs)]
    lines.append("output y = add(a, b)")
    return "\n".join(lines) + "\n"


def growth(sizes: list[int]) -> None:
    """Build, verify and lower, against the number of nodes."""
    print("Build + verify + lower")
    before: tuple[int, float] | None = None
    limits = Limits(nodes=10**7, steps=10**8)
    for size in sizes:
        source = Source("large.xg", network_of(size))
        best, count = math.inf, 0
        for _ in range(3 if size < 50_000 else 1):
            gc.collect()
            start = time.perf_counter()
            graph = build_source(source, limits=limits)
            verify_or_raise(graph, "build")
            low = lower(graph)
            verify_or_raise(low, "lower")
            best, count = min(best, time.perf_counter() - start), len(graph)
        power = ""
        if before is not None:
            exponent = math.log(best / before[1]) / math.log(count / before[0])
            power = f"grows with the power {exponent:.2f} of size"
        row(f"{count:,} nodes, {best / count * 1e6:.0f} us each", best, power)
        before = count, best
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description="How long compiling takes.")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one run each, small sizes")
    options = parser.parse_args()
    repeats = 1 if options.quick else options.repeats
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    export(repeats)
    cold_start(repeats)
    growth([1_000, 5_000] if options.quick else [1_000, 10_000, 100_000])


if __name__ == "__main__":
    main()
