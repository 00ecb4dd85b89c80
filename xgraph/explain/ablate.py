"""Which parts carry information: what is measured with each of them switched off."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from xgraph.data.feed import Feed
from xgraph.data.split import Split
from xgraph.explain.taps import gates, joins, routers, title_of
from xgraph.ir.graph import Graph, Node, Value
from xgraph.ops import OPS
from xgraph.passes import lower
from xgraph.train.evaluate import evaluate

Array = np.ndarray[Any, Any]


@final
@dataclass(frozen=True)
class Ablation:
    """What was measured without something."""

    address: str
    title: str
    off: str
    """In what way it was switched off."""
    metrics: Mapping[str, float]


def ablations(
    graph: Graph,
    weights: Mapping[str, Array],
    feed: Feed,
    split: Split,
    predict: list[str],
    observe: Callable[[str], None] | None = None,
) -> Iterator[Ablation]:
    """Of an architecture-level graph, of each connection and router by itself."""
    for address, title, off, low in _switched(graph):
        if observe is not None:
            observe(title)
        used = {name: weights[name] for name, _ in low.params()}
        found = evaluate(low, used, feed, split, predict=predict)
        yield Ablation(address, title, off, found.metrics)


def _switched(graph: Graph) -> Iterator[tuple[str, str, str, Graph]]:
    for join in joins(graph):
        yield join.address, title_of(join), "brings nothing", _without(graph, join)
    for router in routers(graph):
        low = lower(graph)
        for node in gates(low, router.address):
            _scale(low, node.inputs[0], [node])
        yield router.address, title_of(router), "even gates", low
        if len(router.inputs) == len(router.outputs) > 1:
            low = lower(graph)
            for i, node in enumerate(gates(low, router.address)):
                for share, _ in low.users(node.output):
                    if share.attrs["start"] != i:
                        _scale(low, share.output)
            yield router.address, title_of(router), "nothing crosses", low


def _without(graph: Graph, join: Node) -> Graph:
    """A graph in which a connection leaves the stream as it is; where it makes the stream wider,
    it brings zeros."""
    copied = graph.copy()
    node = copied.node(join.id)
    stream, brought = node.inputs
    if stream.type == node.output.type:
        copied.replace_uses(node.output, stream)
    else:
        _scale(copied, brought, [node])
    return lower(copied)


def _scale(graph: Graph, value: Value, readers: list[Node] | None = None) -> None:
    """Let readers of a value, all but given ones, read zeros."""
    zeros = graph.add(OPS["scale"], [value], {"factor": 0.0}, scope=value.node.scope).output
    for node, index in graph.users(value):
        if node is not zeros.node and (readers is None or node in readers):
            graph.replace_input(node, index, zeros)
