"""How long a network takes for one sample on this machine, measured once and kept.

What was measured is in RUN/latency.json, so that a search that goes on meets the same numbers.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from statistics import median
from typing import final

from xgraph import driver
from xgraph.diagnostics import fail
from xgraph.files import read_text, write_whole
from xgraph.ir.canonical import canonical
from xgraph.ir.graph import Graph
from xgraph.samples import sample_inputs
from xgraph.train.evaluate import runner

NAME = "latency.json"
_RUNS = 15


@final
class Stopwatch:
    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._known: dict[str, float] = {}
        if self._path.exists():
            try:
                found = json.loads(read_text(self._path).text)
                self._known = {str(key): float(value) for key, value in found.items()}
            except (ValueError, TypeError, AttributeError):
                raise fail(
                    "bad-study", "this holds no times of networks", origin=str(self._path),
                    help="remove it: they are measured anew",
                ) from None  # fmt: skip

    def seconds(self, graph: Graph) -> float:
        """Of one sample through ONNX Runtime, the median of some runs."""
        key = canonical(graph)
        if key not in self._known:
            low = driver.tensor_graph(graph)
            run = runner(low, driver.initial_weights(low, None, 0), "onnx")
            inputs = sample_inputs(low, batch=1)
            times = []
            for _ in range(1 + _RUNS):
                began = time.perf_counter()
                run(inputs)
                times.append(time.perf_counter() - began)
            self._known[key] = median(times[1:])
            write_whole(self._path, json.dumps(self._known, indent=1) + "\n")
        return self._known[key]
