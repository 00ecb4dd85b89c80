"""Runs a network on random inputs and tells what its parts take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal, final

from xgraph import driver
from xgraph.diagnostics import fail
from xgraph.given import integer, kind_of, one_of
from xgraph.ir.graph import Graph
from xgraph.profile.places import Line, Places
from xgraph.profile.runs import Array, Measured
from xgraph.report import Summary
from xgraph.samples import check_axes, sample_inputs, sizes_at

WARM_UP = 3
"""Runs before those that count."""
MOST = 2**31 - 1
"""The largest batch or axis."""


@final
@dataclass(frozen=True)
class Profile:
    """Times in seconds, medians over the runs. Those of top lines and `rest` add up to `total`."""

    network: str
    backend: str
    device: str
    batch: int
    sizes: Mapping[str, int]
    """Of open axes."""
    optimize: str
    repeats: int
    lines: list[Line]
    rest: Mapping[str, float]
    """What belongs to no part: kernels whose names tell none, and what stands between kernels."""
    layout: float
    """Of all kernels, those that only bring arrays into another order."""
    plain: float
    """What a run takes that is not measured part by part."""

    @property
    def total(self) -> float:
        return sum(line.seconds for line in self.lines) + sum(self.rest.values())

    def to_json(self) -> dict[str, Any]:
        """Times in milliseconds, shares of 1."""
        return {
            "network": self.network, "backend": self.backend, "device": self.device,
            "batch": self.batch, "sizes": dict(self.sizes), "optimize": self.optimize,
            "repeats": self.repeats, "milliseconds": self.total * 1e3,
            "layout_milliseconds": self.layout * 1e3, "plain_milliseconds": self.plain * 1e3,
            "rest": {name: self._json(took) for name, took in self.rest.items()},
            "parts": [self._json_line(line) for line in self.lines],
        }  # fmt: skip

    def _json(self, took: float) -> dict[str, float]:
        return {"milliseconds": took * 1e3, "share": self._share(took)}

    def _json_line(self, line: Line) -> dict[str, Any]:
        found = {"kind": line.part.kind, "name": line.part.name, **self._json(line.seconds)}
        if line.lines:
            found["parts"] = [self._json_line(inner) for inner in line.lines]
        return found

    def _share(self, took: float) -> float:
        return took / self.total if self.total else 0.0

    def render(self) -> str:
        """The lines as text: a tree with columns."""
        rows = [("", "ms", "%")]
        for depth, line in (inner for top in self.lines for inner in top.walk()):
            rows.append(("  " * depth + line.part.title, *self._figures(line.seconds)))
        rows += [(name, *self._figures(took)) for name, took in self.rest.items()]
        rows.append(("total", *self._figures(self.total)))
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        lines = [f"network {self.network}, {self._told()}"]
        lines += [
            f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}".rstrip() for a, b, c in rows
        ]
        lines.insert(-1, "-" * (sum(widths) + 4))
        if self.layout:
            share = f"{self.layout * 1e3:,.3f} ms ({self._share(self.layout):.1%})"
            lines.append(f"{share} of it bring arrays into the order that kernels want")
        lines.append(f"a run that is not measured takes {self.plain * 1e3:,.3f} ms")
        return "\n".join(lines)

    def _told(self) -> str:
        sizes = "".join(f", {name} = {size}" for name, size in self.sizes.items())
        level = f", -O {self.optimize}" if self.optimize != "0" else ""
        return f"batch {self.batch}{sizes}, {self.backend} on {self.device}{level}"

    def _figures(self, took: float) -> tuple[str, str]:
        return (f"{took * 1e3:,.3f}", f"{self._share(took):.1%}"[:-1]) if took else ("", "")


def profile(
    network: driver.Network,
    *,
    batch: int = 1,
    sizes: Mapping[str, int] | None = None,
    backend: Literal["onnx", "torch"] = "onnx",
    device: Literal["cpu", "cuda"] = "cpu",
    optimize: str = "0",
    weights: driver.Weights | None = None,
    repeats: int = 20,
    settings: driver.Settings | None = None,
) -> Profile:
    """How long the parts of a network take on random inputs; `sizes` are those of open axes, by
    default the first at which the network runs.

    `DiagnosticError` where it does not run, or not on this device.
    """
    one_of("backend", backend, ("onnx", "torch"))
    one_of("device", device, ("cpu", "cuda"))
    given = {} if sizes is None else sizes
    if not isinstance(given, Mapping):
        raise fail("bad-option", f"`sizes` are numbers by axis, not {kind_of(given)}")
    if not isinstance(optimize, str):
        raise fail("bad-option", f"`optimize` is a text such as '2', not {kind_of(optimize)}")
    for name, value in {"batch": batch, "repeats": repeats, **given}.items():
        _check_count(name, value)
    graph = driver.as_graph(network, settings)
    if graph.level != "architecture":
        raise fail(
            "not-a-network", f"{graph!r} has no parts to be told of", origin=graph.name,
            help="give the graph that it was lowered from",
        )  # fmt: skip
    low = driver.tensor_graph(graph)
    made = driver.optimized(low, optimize, backend, device, batch)
    own = made.weights(driver.initial_weights(low, weights))
    check_axes(low, given)
    chosen = sizes_at(low, batch, given)
    inputs = _inputs(low, batch, chosen)
    places = Places(Summary(graph).parts, made.graph)
    found = _measured(made.graph, own, inputs, backend, device, WARM_UP + repeats, places)
    runs = found.runs[WARM_UP:] or found.runs
    names = {name for run in runs for name in run.parts}
    seconds = {name: median([run.parts.get(name, 0.0) for run in runs]) for name in names}
    rest = {
        "other kernels": median([run.unnamed for run in runs]),
        "between kernels": median([run.between for run in runs]),
    }
    return Profile(
        graph.name, backend, device, batch, chosen, optimize, repeats,
        places.tree(seconds), {name: took for name, took in rest.items() if took},
        median([run.layout for run in runs]), median(found.plain[WARM_UP:]),
    )  # fmt: skip


def _check_count(name: str, value: object) -> None:
    if not 1 <= integer(name, value) <= MOST:
        raise fail("bad-option", f"`{name}` is from 1 to {MOST:,}, not {value}")


def _inputs(low: Graph, batch: int, sizes: Mapping[str, int]) -> dict[str, Array]:
    try:
        return sample_inputs(low, batch, sizes=sizes)
    except ValueError as error:  # numpy cannot count so many numbers, or some size is below 0
        raise fail(
            "bad-sizes", f"its inputs cannot be made: {error}", origin=low.name,
            help="give other sizes, or a smaller batch",
        ) from None  # fmt: skip


def _measured(
    graph: Graph,
    weights: Mapping[str, Array],
    inputs: Mapping[str, Array],
    backend: str,
    device: str,
    repeats: int,
    places: Places,
) -> Measured:
    if backend == "torch":
        driver.require("torch")
        driver.require_device(device)
        from xgraph.profile.modules import measure_modules

        return measure_modules(graph, weights, inputs, repeats, places.of, device)
    if device != "cpu":
        raise fail(
            "bad-option",
            "ONNX Runtime tells how long it takes to hand work to a GPU, not how long that works",
            origin=f"--device {device}",
            help="`--backend torch` tells that",
        )
    driver.require("onnx")
    driver.require("onnxruntime")
    from xgraph.profile.kernels import measure_kernels

    return measure_kernels(graph, weights, inputs, repeats, places.of)
