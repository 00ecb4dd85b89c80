"""Where a network mixes streams: y_j = sum over i of g_ij x_i, every g_ij one number, a sample's as
in cross-connections or a parameter as in cross-stitch; or y_j = sum over i of g_ij f_ij(x_i) with a
layer f_ij for each pair, as in cross-predictions (Tissera et al., 2021, equations 6 and 3)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import final

from xgraph.ir.graph import Graph, Node, Value


@final
@dataclass(frozen=True, eq=False)
class Mix:
    values: tuple[Value, ...]
    """x_i."""
    gates: tuple[tuple[Value, ...], ...]
    """[i][j], each of one number."""
    layers: tuple[tuple[Node, ...], ...] | None
    """[i][j], all alike; None where there are none."""
    sums: tuple[Node, ...]
    inside: tuple[Node, ...]
    """Layers, products, and what brings gates into shape; nothing else reads them."""


@final
@dataclass
class _Sum:
    """One y_j."""

    node: Node
    values: list[Value] = field(default_factory=list)
    gates: list[Value] = field(default_factory=list)
    layers: list[Node] = field(default_factory=list)
    inside: list[Node] = field(default_factory=list)


def mixes(graph: Graph) -> list[Mix]:
    """Sums of one depth, so that none needs another, whose gates are alike.
    In no case do two of them share a node."""
    found: dict[object, list[_Sum]] = defaultdict(list)
    finder = _Finder(graph)
    for node, depth in depths(graph).items():
        made = finder.sum(node)
        if made is not None:
            like = [_likeness(layer) for layer in made.layers[:1]]
            kinds = frozenset(gate.type for gate in made.gates)
            found[depth, tuple(made.values), tuple(like), kinds].append(made)
    return [_mix(each) for each in found.values()]


def depths(graph: Graph) -> dict[Node, int]:
    """How many nodes lie before each at most: of two at one depth, neither needs the other."""
    found: dict[Node, int] = {}
    for node in graph.live():
        found[node] = 1 + max((found[v.node] for v in node.inputs), default=0)
    return found


def _mix(sums: list[_Sum]) -> Mix:
    inside = tuple(node for one in sums for node in one.inside)
    gates = tuple(zip(*(one.gates for one in sums), strict=True))
    layers = tuple(zip(*(one.layers for one in sums), strict=True)) or None
    return Mix(tuple(sums[0].values), gates, layers, tuple(one.node for one in sums), inside)


@final
class _Finder:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._outputs = set(graph.outputs.values())

    def sum(self, node: Node) -> _Sum | None:
        """The sum of products that a node is, if it is one."""
        if node.op.name != "add" or len({v.type for v in node.inputs}) > 1:
            return None
        found = _Sum(node)
        for term in node.inputs:
            if not self._product(term, node, found):
                return None
        if self._are_layers(found.values):
            found.layers = [value.node for value in found.values]
            found.values = [layer.inputs[0] for layer in found.layers]
            found.inside = [*found.layers, *found.inside]
        return found

    def _product(self, term: Value, node: Node, found: _Sum) -> bool:
        product = term.node
        if product.op.name != "mul" or len(product.inputs) != 2 or not self._is_only(term):
            return False
        value, gate = product.inputs
        if value.type != node.output.type or value.type == gate.type:
            return False
        shaped = list(_shaped(gate))
        if not all(self._is_only(each.output) for each in shaped):
            return False
        gate = shaped[-1].inputs[0] if shaped else gate
        if any(size != 1 for size in gate.type.features):
            return False
        found.values.append(value)
        found.gates.append(gate)
        found.inside += [*shaped[::-1], product]
        return True

    def _are_layers(self, values: list[Value]) -> bool:
        """Whether they are layers of one kind that nothing else reads, and that can be one."""
        nodes = [value.node for value in values]
        return (
            len({_likeness(node) for node in nodes}) == 1
            and len(set(nodes)) == len(nodes)
            and all(map(self._is_only, values))
            and (
                (nodes[0].op.name == "conv" and nodes[0].resolved.groups == 1)
                or (nodes[0].op.name == "linear" and nodes[0].output.type.rank == 1)
            )
        )

    def _is_only(self, value: Value) -> bool:
        return value not in self._outputs and len(self._graph.users(value)) == 1


def _likeness(node: Node) -> object:
    types = tuple(value.type for value in node.inputs)
    return node.op.name, tuple(node.resolved.items()), types


def _shaped(gate: Value) -> Iterator[Node]:
    while gate.node.op.name == "reshape":
        yield gate.node
        (gate,) = gate.node.inputs
