"""What is fastest for one network here: variants of it, run in turns on the spot.

Cases (`measure`) tell what joining a layer saves; they cannot tell what a whole network makes of
caches, layouts and threads. So a network that matters is measured as a whole: which layers are
joined, in which layout, and in which parts of the batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from statistics import median
from typing import final

from xgraph.ir.graph import Graph
from xgraph.optimize.chunk import can_chunk
from xgraph.optimize.costs import Costs
from xgraph.optimize.levels import optimize
from xgraph.optimize.sources import Arrays
from xgraph.runtime.errors import measuring
from xgraph.timing import Run, interleaved
from xgraph.tune.runs import prepared
from xgraph.tune.store import cores

_SECONDS, _FINAL = 0.3, 1.8
"""Of trying one, and of those that came out best."""
_TURNS = 3
"""No fewer, however long one takes."""
_ROUNDS = 3
"""So many times are those that came out best made and timed: where memory comes to lie moves one
by some hundredths for as long as it lives."""
_BETTER = 0.98
"""What another variant must do with of the time of the simplest."""
_CHUNKS = (4, 8, 16, 32)
_BEST = 3
"""So many variants of the network are tried with parts of the batch."""


def choose(
    low: Graph, weights: Arrays, start: Costs, sizes: Mapping[str, int] | None = None
) -> Costs:
    """The costs by which `-O2` makes the variant that was fastest on random inputs, from those of
    the machine; `sizes` are those of open axes. `DiagnosticError` where memory is short."""
    with measuring(start.batch, low.name):
        return _chosen(low, start, _Variants(low, weights, sizes))


def _chosen(low: Graph, start: Costs, variants: _Variants) -> Costs:
    best = _fastest(variants.timed(_variants(start), _SECONDS, _TURNS))
    for i, each in enumerate(best):
        parts = list(_parts(low, each))
        if parts:
            best[i] = _fastest(variants.timed([each, *parts], _SECONDS, _TURNS))[0]
    final = _in_rounds(variants, [start, *best])
    chosen = min(final, key=final.__getitem__)
    return chosen if final[chosen] < _BETTER * final[start] else start


def _in_rounds(variants: _Variants, tried: list[Costs]) -> dict[Costs, float]:
    """The median seconds of each."""
    count = 1 if tried[0].target == "inductor" else _ROUNDS  # that takes minutes to make one
    rounds = []
    for turn in range(count):
        if turn > 0:
            variants.forget()
        rounds.append(variants.timed(tried, _FINAL / count, _TURNS))
    return {each: median(times[each] for times in rounds) for each in rounds[0]}


def _fastest(times: dict[Costs, float]) -> list[Costs]:
    return sorted(times, key=times.__getitem__)[:_BEST]


@final
class _Variants:
    """Variants of a network, ready to run. Those that came out best stay so; others give their
    memory back, which is much where batches are large."""

    def __init__(self, low: Graph, weights: Arrays, sizes: Mapping[str, int] | None) -> None:
        self._low, self._weights, self._sizes = low, weights, sizes
        self._runs: dict[str, Run] = {}
        self._names: dict[object, str] = {}

    def timed(self, tried: Iterable[Costs], seconds: float, least: int) -> dict[Costs, float]:
        """The seconds of each; of several that make the same, of the first."""
        found: dict[str, Costs] = {}
        for each in tried:
            found.setdefault(self._made(each), each)
        runs = {name: self._runs[name] for name in found}
        times = interleaved(runs, seconds * len(runs), least=least)
        told = {found[name]: seconds for name, seconds in times.items()}
        best = _fastest(told)
        self._runs = {name: run for name, run in runs.items() if found[name] in best}
        return told

    def forget(self) -> None:
        """Make all anew that are timed from here on."""
        self._runs.clear()

    def _made(self, costs: Costs) -> str:
        """The name of the variant that these costs make."""
        made = optimize(self._low, "2", costs=costs)
        name = self._names.setdefault(made.likeness, str(len(self._names)))
        if name not in self._runs:
            weights = made.weights(self._weights)
            self._runs[name] = prepared(made.graph, weights, costs.batch, costs.target, self._sizes)
        return name


def _variants(start: Costs) -> Iterator[Costs]:
    layouts = (False, True) if start.target == "torch" else (start.channels_last,)
    for joins in ("measured", "always", "never"):
        for last in layouts:
            yield replace(start, joins=joins, channels_last=last)


def _parts(low: Graph, each: Costs) -> Iterator[Costs]:
    """The variant, run in parts of the batch and on other threads."""
    if each.target in ("inductor", "cuda"):  # a compiler writes a loop out as often as it runs
        return
    chunks = [size for size in _CHUNKS if size < each.batch] if can_chunk(low) else []
    yield from (replace(each, chunk=size) for size in chunks if 2 * size <= each.batch)
    if each.target == "onnx" and cores() > 1:
        yield replace(each, threads=1)
        if can_chunk(low) and each.batch > 1:
            apart = replace(each, threads=1, workers=min(cores(), each.batch))
            yield apart
            yield from (
                replace(apart, chunk=size) for size in chunks if size * cores() < each.batch
            )
