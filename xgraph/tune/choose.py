"""What is fastest for one network here: variants of it, run in turns on the spot.

Cases (`measure`) tell what joining a layer saves; they cannot tell what a whole network makes of
caches, layouts and threads. So a network that matters is measured as a whole: which layers are
joined, in which layout, and in which parts of the batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from xgraph.ir.graph import Graph
from xgraph.optimize.chunk import can_chunk
from xgraph.optimize.costs import Costs
from xgraph.optimize.levels import optimize
from xgraph.optimize.sources import Arrays
from xgraph.timing import Run, interleaved
from xgraph.tune.runs import prepared
from xgraph.tune.store import cores

_SECONDS, _FINAL = 0.3, 1.5
"""Of trying one, and of those that came out best: a machine is often slower for a while."""
_BETTER = 0.98
"""What another variant must do with of the time of the simplest."""
_CHUNKS = (4, 8, 16, 32)
_BEST = 3
"""So many variants of the network are tried with parts of the batch."""


def choose(low: Graph, weights: Arrays, start: Costs) -> Costs:
    """The costs by which `-O2` makes the variant that was fastest on random inputs, from those of
    the machine."""
    best = _fastest(_timed(low, weights, _variants(start)))
    parts = [part for each in best for part in (each, *_parts(low, each))]
    final = _timed(low, weights, [start, *_fastest(_timed(low, weights, parts))], _FINAL)
    chosen = min(final, key=final.__getitem__)
    return chosen if final[chosen] < _BETTER * final[start] else start


def _fastest(times: dict[Costs, float]) -> list[Costs]:
    return sorted(times, key=times.__getitem__)[:_BEST]


def _timed(
    low: Graph, weights: Arrays, tried: Iterable[Costs], seconds: float = _SECONDS
) -> dict[Costs, float]:
    """The seconds of each; of several that make the same, of the first."""
    runs: dict[str, Run] = {}
    names: dict[object, str] = {}
    found: dict[str, Costs] = {}
    for each in tried:
        made = optimize(low, "2", costs=each)
        name = names.setdefault(_shape(made.graph), str(len(names)))
        if name not in runs:
            found[name] = each
            runs[name] = prepared(made.graph, made.weights(weights), each.batch, each.target)
    times = interleaved(runs, seconds * len(runs))
    return {found[name]: seconds for name, seconds in times.items()}


def _shape(graph: Graph) -> object:
    """What makes two variants one."""
    return tuple((node.op.name, node.address) for node in graph.nodes()), tuple(graph.meta.items())


def _variants(start: Costs) -> Iterator[Costs]:
    layouts = (False, True) if start.target == "torch" else (False,)
    for joins in ("measured", "always", "never"):
        for last in layouts:
            yield replace(start, joins=joins, channels_last=last)


def _parts(low: Graph, each: Costs) -> Iterator[Costs]:
    """The variant, run in parts of the batch and on other threads."""
    if each.target == "cuda":
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
