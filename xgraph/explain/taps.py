"""Where a network is listened to: gates, streams and connections as outputs of their own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any, final

import numpy as np

from xgraph.build.names import written
from xgraph.compare import owner
from xgraph.ir import scope as scopes
from xgraph.ir.graph import Graph, Node, Value
from xgraph.passes import lower

Array = np.ndarray[Any, Any]
GATED = ("cc", "cp")
"""Routers whose gates depend on the data."""


@final
@dataclass(frozen=True)
class Router:
    """A router with data-dependent gates, m streams in and n out."""

    address: str
    title: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    """What the streams belong to: super-layers and modalities."""
    hidden: int
    """Features within a gate."""
    streams: tuple[str, ...]
    """The outputs that are its inputs, m, and its own, n."""
    gates: tuple[str, ...]
    """The outputs that are the gates of each input, [N, n]."""
    scores: tuple[str, ...]
    """The same before the softmax."""

    def crosses(self, source: int, target: int) -> bool:
        """Whether a gate leads from one super-layer to another."""
        return self.sources[source] != self.targets[target]

    @property
    def is_between(self) -> bool:
        """Whether each target has a source of its own, and what comes from others."""
        own = [
            [not self.crosses(i, j) for i in range(len(self.sources))]
            for j in range(len(self.targets))
        ]
        return all(map(any, own)) and not all(map(all, own))


@final
@dataclass(frozen=True)
class Connection:
    """A connection, at one of its targets."""

    address: str
    title: str
    by: str
    stream: str
    """The output that is what it joins."""
    carried: str
    """The output that is what it brings there."""


@final
@dataclass(frozen=True)
class Tapped:
    """A tensor-level graph that tells more than its outputs."""

    low: Graph
    outputs: tuple[str, ...]
    """Those of the network itself."""
    routers: tuple[Router, ...]
    connections: tuple[Connection, ...]


def tapped(graph: Graph) -> Tapped:
    """Of an architecture-level graph, all routers with gates and all connections that an output
    needs."""
    found = _Taps(graph)
    routed = [(node, found.add_all((*node.inputs, *node.outputs))) for node in routers(graph)]
    connections = tuple(
        Connection(
            node.address, title_of(node), node.op.name,
            found.add(node.inputs[0]), found.add(node.inputs[1]),
        )
        for node in joins(graph)
    )  # fmt: skip
    low = lower(found.graph)
    taps = _Taps(low)
    gated, known = [], gates(taps.graph)
    for node, streams in routed:
        softmaxes = known[node.address]
        gated.append(Router(
            node.address, title_of(node), *_ends(node), int(node.attrs["hidden"]), streams,
            taps.add_all(each.output for each in softmaxes),
            taps.add_all(each.inputs[0] for each in softmaxes),
        ))  # fmt: skip
    return Tapped(taps.graph, tuple(graph.outputs), tuple(gated), connections)


def routers(graph: Graph) -> list[Node]:
    return [node for node in graph.live() if node.rebinds and node.op.name in GATED]


def plain_routers(graph: Graph) -> list[Node]:
    """Those whose shares are the same whatever the input."""
    return [
        node for node in graph.live()
        if node.rebinds and isinstance(node.scope, scopes.Route) and node.op.name not in GATED
    ]  # fmt: skip


def joins(graph: Graph) -> list[Node]:
    """Where connections come in: the stream first, then what they bring."""
    return [
        node for node in graph.live() if node.rebinds and isinstance(node.scope, scopes.Connect)
    ]


def gates(low: Graph) -> dict[str, list[Node]]:
    """The softmax of each input, by the address of the router."""
    found: dict[str, list[Node]] = {}
    for node in low.nodes():
        if node.op.name == "softmax":
            found.setdefault(node.address.rpartition(".")[0], []).append(node)
    return found


@final
class _Taps:
    """A copy of a graph that gets outputs."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph.copy()
        self._names: dict[tuple[int, int], str] = {}
        self._fresh = (f"tap{number}" for number in count())

    def add_all(self, values: Iterable[Value]) -> tuple[str, ...]:
        return tuple(self.add(value) for value in values)

    def add(self, value: Value) -> str:
        """The name under which a value of the graph, or of the one it was copied from, comes."""
        place = value.node.id, value.index
        if place not in self._names:
            name = next(n for n in self._fresh if n not in self.graph.outputs)
            self.graph.outputs[name] = self.graph.node(place[0]).outputs[place[1]]
            self._names[place] = name
        return self._names[place]


def _ends(node: Node) -> tuple[tuple[str, ...], tuple[str, ...]]:
    scope = node.scope
    assert isinstance(scope, scopes.Route)
    return tuple(map(owner, scope.sources)), tuple(map(owner, scope.targets))


def title_of(node: Node) -> str:
    """Of a router or a connection at a target: what flows from where to where."""
    scope = node.scope
    if isinstance(scope, scopes.Connect):
        return f"{written(scope.source)} -> {written(node.rebinds[0])}"
    assert isinstance(scope, scopes.Route)
    sources, targets = (", ".join(map(written, names)) for names in (scope.sources, scope.targets))
    return sources if sources == targets else f"{sources} -> {targets}"
