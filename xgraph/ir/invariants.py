"""What holds for every graph between passes; `xgraph.ir.verify` is where it is asked for.

All problems are collected, each with its node. The cost is linear in the graph.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import final

import networkx as nx

from xgraph.ir.graph import Graph, Level, Node, Value
from xgraph.ir.infer import infer_types
from xgraph.ir.op import Fault


@final
@dataclass(frozen=True)
class Problem:
    """One broken invariant and, where there is one, the node that breaks it."""

    node: Node | None
    message: str

    def __str__(self) -> str:
        return f"{self.node.name}: {self.message}" if self.node else self.message


@final
@dataclass(frozen=True)
class Legal:
    """What the nodes of a level may be."""

    composites: bool
    rebinds: bool


LEGAL: Mapping[Level, Legal] = {
    "architecture": Legal(composites=True, rebinds=True),
    "tensor": Legal(composites=False, rebinds=False),
}

_ADDRESS = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")


def problems(graph: Graph, level: Level) -> Iterator[Problem]:
    """Everything that is wrong with `graph` as one of `level`."""
    if graph.level != level:
        yield Problem(None, f"this is a graph of the {graph.level} level, not of the {level} level")
    yield from _cycle(graph)
    view = graph.view
    nodes = [graph.node(number) for number in view]
    for node in nodes:
        wiring = list(_wiring(graph, view, node))
        yield from wiring or _types(node)
        yield from _legality(graph, node, LEGAL[level])
    yield from _addresses(nodes)
    yield from _interface(graph, nodes)
    yield from _scopes(graph, nodes, level)


def _cycle(graph: Graph) -> Iterator[Problem]:
    if not nx.is_directed_acyclic_graph(graph.view):
        around = [graph.node(edge[0]).name for edge in nx.find_cycle(graph.view)]
        yield Problem(None, "nodes read each other in a circle: " + " -> ".join(around))


def _is_within(graph: Graph, value: Value) -> bool:
    outputs = value.node.outputs
    return value.node in graph and value.index < len(outputs) and outputs[value.index] is value


def _wiring(graph: Graph, view: nx.MultiDiGraph[int], node: Node) -> Iterator[Problem]:
    """Inputs are values of the graph, edges agree with them, ports fit the op."""
    strangers = [v for v in node.inputs if not _is_within(graph, v)]
    for value in strangers:
        yield Problem(node, f"it reads {value!r}, which is not in the graph")
    edges = {(source, key) for source, _, key in view.in_edges(node.id, keys=True)}
    if not strangers and edges != {(v.node.id, i) for i, v in enumerate(node.inputs)}:
        yield Problem(node, f"its edges {sorted(edges)} do not follow its inputs {node.inputs}")
    named = {port.name for port in node.op.optional_ports}
    optional = [port for port in node.ports if port in named]
    try:
        expected = node.op.ports(len(node.inputs) - len(optional), optional)
    except Fault as fault:
        yield Problem(node, fault.message)
        return
    if node.ports != expected or len(set(optional)) != len(optional):
        yield Problem(node, f"its ports {node.ports} are not those of `{node.op.name}`")


def _types(node: Node) -> Iterator[Problem]:
    stored = tuple(value.type for value in node.outputs)
    try:
        types = infer_types(node.op, node.input_types, node.attrs)
    except Exception as error:  # a rule that crashes is a problem like any other
        crash = "" if isinstance(error, Fault) else f"its rule fails, {type(error).__name__}: "
        yield Problem(node, f"{crash}{error}")
        return
    if types != stored:
        told, true = (", ".join(map(str, each)) for each in (stored, types))
        yield Problem(node, f"its type is said to be {told}, and is {true}")
    elif node.params and not node.address:
        yield Problem(node, "it owns parameters and has no address")


def _legality(graph: Graph, node: Node, legal: Legal) -> Iterator[Problem]:
    if node.op.is_composite:
        if not legal.composites:
            yield Problem(node, f"`{node.op.name}` is a composite, which this level has not")
        elif not node.address:
            yield Problem(node, "it is a composite and has no address for its parts")
    if node.rebinds and not legal.rebinds:
        yield Problem(node, "it replaces the streams of points, which this level has not")
    if len(node.rebinds) not in (0, len(node.outputs)):
        yield Problem(node, f"it replaces {len(node.rebinds)} streams with {len(node.outputs)}")
    for name in node.rebinds:
        if name not in graph.points:
            yield Problem(node, f"it replaces the stream of `{name}`, which is no point")


def _addresses(nodes: list[Node]) -> Iterator[Problem]:
    owner: dict[str, Node] = {}
    for node in nodes:
        if not node.address:
            continue
        if not _ADDRESS.fullmatch(node.address):
            yield Problem(node, "its address is not made of names with dots between")
        if owner.setdefault(node.address, node) is not node:
            yield Problem(node, "another node has the same address")


def _interface(graph: Graph, nodes: list[Node]) -> Iterator[Problem]:
    """Outputs and points are in the graph; inputs are its `input` nodes, in their order."""
    for what, values in (("output", graph.outputs), ("point", graph.points)):
        for name, value in values.items():
            if not _is_within(graph, value):
                yield Problem(None, f"{what} `{name}` is {value!r}, which is not in the graph")
    inputs = sorted((node for node in nodes if node.op.name == "input"), key=lambda node: node.id)
    listed = [(name, value.node.id) for name, value in graph.inputs.items()]
    if listed != [(node.address, node.id) for node in inputs]:
        names = ", ".join(node.name for node in inputs)
        yield Problem(None, f"inputs are listed as {', '.join(graph.inputs)}, and are {names}")


def _scopes(graph: Graph, nodes: list[Node], level: Level) -> Iterator[Problem]:
    known = set()
    for scope in graph.scopes:
        if scope in known:
            yield Problem(None, f"{scope.kind} `{scope.address}` is listed twice")
        if scope.parent is not None and scope.parent not in known:
            yield Problem(None, f"{scope.kind} `{scope.address}` is listed before its parent")
        known.add(scope)
    if level == "architecture" and known:
        for node in nodes:
            if node.scope not in known:
                yield Problem(node, "its scope is not one of the graph's")
