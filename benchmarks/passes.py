"""How long passes take, against the size of the network, and how fast spaces are sampled.

    python benchmarks/passes.py [--quick]

1. Each pass runs on networks of 1k, 10k and 100k layers; beside it stands the power of size with
   which its time grows, and its time as a multiple of building the same network from its text.
2. Each pass for inference, alone and all of `-O2` together, runs on four paths with routers between
   them, of 1k, 10k and 100k tensor-level nodes.
3. Networks of each example space, in a second: drawn and encoded, written as text, built.
"""

from __future__ import annotations

import argparse
import gc
import math
import os
import platform
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import xgraph
from xgraph.build import Limits, build_source
from xgraph.ir.graph import Graph
from xgraph.optimize.levels import PASSES, optimize
from xgraph.source import Source
from xgraph.space import Sample, Space

SPACES = Path(__file__).resolve().parent.parent / "examples" / "spaces"
LIMITS = Limits(nodes=10**7, steps=10**8)


def network_of(layers: int) -> str:
    """One super-layer of about so many layers, with a labelled place after every hundredth."""
    stages = max(1, layers // 20)
    body = []
    for i in range(stages):
        label = f"p{i // 5}: " if i % 5 == 4 else ""
        body.append(f"  {label}unit(8) -> unit(8) -> unit(8) -> unit(8) -> unit(8) -> unit(8)")
        body.append("  relu -> tanh")
    return (
        "\n".join(
            [
                "network large",
                "modality a: [2, 4, 4] with informativeness = 0.8",
                "modality b: [2, 4, 4] with informativeness = 0.6",
                "block unit(f) { conv(f, 3) -> bn -> relu }",
                "let joint = concat(a, b)",
                "superlayer net(joint) {",
                *body,
                "}",
                "fusion head(net) { flatten -> linear(10) }",
                "output y = head",
            ]
        )
        + "\n"
    )


def pipelines(layers: int) -> dict[str, str]:
    """Each pass, at ten places whatever the size, so that only the network grows."""
    labels = max(1, layers // 20) // 5
    some = [f"p{i * labels // 10}" for i in range(10)] if labels >= 10 else ["p0"]
    at = f"[{', '.join(dict.fromkeys(some))}]"
    return {
        "multipath": "multipath{paths=2}",
        "multipath,route": f"multipath{{paths=2}},route{{at={at}}}",
        "xsertion": f"xsertion{{at={at}}}",
        "connect": "connect{source=a target=net.p0}",
        "insert": 'insert{at=net.p0 layers="dropout(0.5)"}',
        "set": "set{layer=net.unit1.conv1 attribute=bias value=false}",
    }


def paths_of(nodes: int) -> str:
    """Four paths of about so many tensor-level nodes in all, with a router after every eight units:
    96 nodes of layers and 72 of the router."""
    stages = max(1, nodes // 168)
    units = " -> ".join(["unit(8)"] * 8)
    return (
        "\n".join(
            [
                "network paths",
                "modality a: [8, 4, 4]",
                "block unit(f) { conv(f, 3) -> bn -> relu }",
                "superlayer path[4](a) {",
                *(f"  p{i}: {units}" for i in range(stages)),
                "  globalavgpool -> linear(10)",
                "}",
                *(f"route cc path[*].p{i}" for i in range(stages)),
                "output y = mean(path[*])",
            ]
        )
        + "\n"
    )


def seconds(run: Callable[[], object], repeats: int) -> float:
    best = math.inf
    for _ in range(repeats):
        gc.collect()
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best


def built(layers: int) -> Graph:
    return build_source(Source("large.xg", network_of(layers)), limits=LIMITS)


def main() -> None:
    parser = argparse.ArgumentParser(description="How long passes take.")
    parser.add_argument("--quick", action="store_true", help="small sizes, one run each")
    quick = parser.parse_args().quick
    sizes = [1_000, 4_000] if quick else [1_000, 10_000, 100_000]
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    before: dict[str, tuple[int, float]] = {}
    for size in sizes:
        repeats = 3 if size < 50_000 else 1
        graph = built(size)
        print(f"{len(graph):,} layers")
        build = seconds(lambda size=size: built(size), repeats)
        report("build", len(graph), build, build, before)
        for name, pipeline in pipelines(size).items():
            took = seconds(lambda p=pipeline, g=graph: xgraph.apply(g, p), repeats)
            report(name, len(graph), took, build, before)
        print()
    for size in sizes:
        inference(size, 3 if size < 50_000 else 1, before)
    sampling(10 if quick else 50)


def inference(size: int, repeats: int, before: dict[str, tuple[int, float]]) -> None:
    """The passes on a tensor-level graph; `before` holds the times of the size before."""
    source = Source("paths.xg", paths_of(size))
    build = seconds(lambda: build_source(source, limits=LIMITS), repeats)
    low = xgraph.lower(build_source(source, limits=LIMITS))
    print(f"{len(low):,} tensor-level nodes")
    for name in ("-O2", *PASSES):
        took = seconds(lambda n=name: optimize(low, n.removeprefix("-O")), repeats)
        report(name, len(low), took, build, before)
    print()


def report(
    name: str, count: int, took: float, build: float, before: dict[str, tuple[int, float]]
) -> None:
    """A line, with the power of size since the size before."""
    power = ""
    if name in before:
        old_count, old = before[name]
        power = f"power {math.log(took / old) / math.log(count / old_count):.2f}"
    before[name] = count, took
    print(f"  {name:<18}{took * 1000:>12.1f} ms {took / build:>8.1f} builds   {power}")


def rate(work: Callable[[Sample], object], samples: Iterable[Sample]) -> float:
    """How many samples a second `work` is done with."""
    start, count = time.perf_counter(), 0
    for sample in samples:
        work(sample)
        count += 1
    return count / (time.perf_counter() - start)


def sampling(count: int) -> None:
    """The rates of every example space."""
    print(f"{'samples a second':24}{'encoded':>10}{'as text':>10}{'built':>10}")
    for path in sorted(SPACES.glob("*.xg")):
        space = Space.load(path)
        encoded = rate(lambda sample: sample.encoding, space.samples(100 * count))
        text = rate(lambda sample: sample.text, space.samples(count))
        made = rate(lambda sample: sample.graph(), space.samples(count))
        print(f"{path.stem:24}{encoded:10,.0f}{text:10,.0f}{made:10,.0f}")


if __name__ == "__main__":
    main()
