"""A network as passes hand it on, and how a pass makes the next one: node by node, in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from xgraph.diagnostics import DiagnosticError, fail
from xgraph.ir.graph import Graph, Node, Value
from xgraph.ir.op import OpSpec, Param
from xgraph.ops import OPS
from xgraph.optimize.sources import Array, Arrays, Held, Source

_SLACK = 1e-3
"""Of the largest number of a parameter: what rounding on the way back may cost."""


@final
@dataclass(frozen=True)
class Optimized:
    """A tensor-level graph for inference, and what its parameters are made of."""

    graph: Graph
    sources: Mapping[str, Source]
    """By address; over the parameters of the network as it was written."""
    params: Mapping[str, Param] = field(default_factory=dict)
    """Those of that network. Some may be of no use here: they count batches, or belong to layers
    that no output needs."""

    @staticmethod
    def of(low: Graph) -> Optimized:
        """A network as it is."""
        params = dict(low.params())
        return Optimized(low, {address: Held(address) for address in params}, params)

    @property
    def is_plain(self) -> bool:
        """Whether its parameters are those of the network as it was written."""
        return self.sources == {address: Held(address) for address in self.params}

    @property
    def likeness(self) -> object:
        """What two networks, made of one by passes, have in common if they compute alike."""
        graph = self.graph
        places = {node: place for place, node in enumerate(graph.live())}

        def place(value: Value) -> tuple[int, int]:
            return places[value.node], value.index

        nodes = tuple(
            (node.op.name, node.address, node.resolved, tuple(map(place, node.inputs)))
            for node in places
        )
        return nodes, tuple(map(place, graph.outputs.values())), tuple(graph.meta.items())

    def weights(self, given: Mapping[str, Array]) -> Arrays:
        """Its weights, from those of the network as it was written; `DiagnosticError` where some
        are missing."""
        try:
            return {name: source.made(given) for name, source in self.sources.items()}
        except KeyError as error:
            raise self._missing(str(error.args[0]), "the network as it was written") from None

    def undone(self, own: Mapping[str, Array]) -> Arrays:
        """Weights for the network as it was written, from its own; `DiagnosticError` where some are
        missing, or were changed in what that network has no place for: zeros between paths."""
        found: Arrays = {name: _plain(param) for name, param in self.params.items()}
        for name, source in self.sources.items():
            if name not in own:
                raise self._missing(name, "this variant, optimised for one target and one batch")
            source.undo(np.asarray(own[name]), found)
        for name, made in self.weights(found).items():
            given = np.asarray(own[name])
            if given.size and np.abs(made - given).max() > _SLACK * np.abs(given).max():
                raise fail(
                    "lost-weights", f"`{name}` holds what the network as it was written cannot",
                    origin=self.graph.name, help="train that network, and optimise it afterwards",
                )  # fmt: skip
        return found

    def _missing(self, name: str, whose: str) -> DiagnosticError:
        return fail(
            "missing-weights", f"there is no `{name}` among these weights",
            origin=self.graph.name, help=f"give those of {whose}",
        )  # fmt: skip


def _plain(param: Param) -> Array:
    """What a parameter is that nothing tells: a variance 1, all else 0."""
    if param.kind == "counter":
        return np.zeros(param.shape, np.int64)
    is_variance = param.kind == "statistic" and param.init.name == "ones"
    return (np.ones if is_variance else np.zeros)(param.shape, np.float32)


@final
class Maker:
    """Makes the graph of a pass. What is old is known by its value, and `values` says what it is
    now."""

    def __init__(self, old: Optimized) -> None:
        self.old = old
        self.graph = Graph(old.graph.name, "tensor")
        self.graph.meta, self.graph.source_text = dict(old.graph.meta), old.graph.source_text
        self.values: dict[Value, Value] = {}
        self._sources: dict[Node, dict[str, Source]] = {}
        self._addresses = {node.address for node in old.graph.nodes()}

    def copy(self, node: Node) -> Node:
        """Take a node over as it is, with its parameters."""
        inputs = [self.values[v] for v in node.inputs]
        made = self.graph.add(
            node.op, inputs, node.resolved, ports=node.ports, address=node.address,
            scope=node.scope, span=node.span,
        )  # fmt: skip
        self._sources[made] = {p.name: Held(f"{node.address}.{p.name}") for p in node.params}
        self.values.update(zip(node.outputs, made.outputs, strict=True))
        return made

    def sources(self, node: Node) -> Mapping[str, Source]:
        """What the parameters of a new node are made of, over those of the old network."""
        return self._sources[node]

    def add(
        self,
        op: str | OpSpec,
        inputs: Iterable[Value],
        attrs: Mapping[str, Any],
        origin: Node,
        sources: Mapping[str, Source] | None = None,
        address: str | None = None,
        *,
        is_joint: bool = False,
    ) -> Value:
        """A new node in the place of `origin`, or of others too; `sources` are those of its
        parameters, over the parameters of the old network."""
        spec = OPS[op] if isinstance(op, str) else op
        if address is None:
            address = self.free(origin.address)
        scope = None if is_joint else origin.scope
        node = self.graph.add(spec, inputs, attrs, address=address, scope=scope, span=origin.span)
        assert {p.name for p in node.params} == set(sources or {}), (node, sources)
        self._sources[node] = dict(sources or {})
        return node.output

    def free(self, address: str) -> str:
        """An address like this one that no node has."""
        found, number = address, 1
        while found in self._addresses:
            number += 1
            found = f"{address}_{number}"
        self._addresses.add(found)
        return found

    def done(self) -> Optimized:
        """What outputs need of what was made."""
        graph = self.graph
        graph.outputs = {n: self.values[v] for n, v in self.old.graph.outputs.items()}
        graph.prune()
        sources = {
            f"{node.address}.{name}": source.over(self.old.sources)
            for node in graph.nodes()
            for name, source in self._sources[node].items()
        }
        return Optimized(graph, sources, self.old.params)
