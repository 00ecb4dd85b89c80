"""Where a network mixes streams: y_j = sum over i of x_i g_ij, all x_i of one shape, every g_ij one
number a sample. Cross-connection and cross-prediction routers are such, and cross-stitches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from xgraph.ir.graph import Graph, Node, Value


@final
@dataclass(frozen=True, eq=False)
class Mix:
    values: tuple[Value, ...]
    gates: tuple[tuple[Value, ...], ...]
    """[i][j], each a vector of one number."""
    sums: tuple[Node, ...]
    inside: tuple[Node, ...]
    """The products, and what brings gates into shape; nothing else reads them."""


def mixes(graph: Graph) -> list[Mix]:
    """In no case do two of them share a node."""
    found: dict[tuple[Value, ...], list[tuple[Node, list[Value], list[Node]]]] = defaultdict(list)
    outputs = set(graph.outputs.values())
    taken: set[Node] = set()
    for node in graph.live():
        if node in taken:
            continue
        read = _sum(graph, node, outputs)
        if read is not None:
            values, gates, inside = read
            found[values].append((node, gates, inside))
            taken |= {node, *inside}
    return [_mix(values, each) for values, each in found.items()]


def _mix(values: tuple[Value, ...], each: list[tuple[Node, list[Value], list[Node]]]) -> Mix:
    gates = zip(*(gates for _, gates, _ in each), strict=True)
    inside = tuple(node for _, _, nodes in each for node in nodes)
    return Mix(values, tuple(gates), tuple(node for node, _, _ in each), inside)


def _sum(
    graph: Graph, node: Node, outputs: set[Value]
) -> tuple[tuple[Value, ...], list[Value], list[Node]] | None:
    if node.op.name != "add" or len({v.type for v in node.inputs}) > 1:
        return None
    values, gates, inside = [], [], []
    for term in node.inputs:
        product = term.node
        if (
            product.op.name != "mul"
            or len(product.inputs) != 2
            or not _is_only(graph, term, outputs)
        ):
            return None
        value, gate = product.inputs
        if value.type != node.output.type or value.type == gate.type:
            return None
        inside.append(product)
        for shaped in _shaped(gate):
            if not _is_only(graph, shaped.output, outputs):
                return None
            inside.append(shaped)
            (gate,) = shaped.inputs
        if tuple(gate.type.features) != (1,):
            return None
        values.append(value)
        gates.append(gate)
    return tuple(values), gates, inside[::-1]


def _shaped(gate: Value) -> Iterator[Node]:
    while gate.node.op.name == "reshape":
        yield gate.node
        (gate,) = gate.node.inputs


def _is_only(graph: Graph, value: Value, outputs: set[Value]) -> bool:
    return value not in outputs and len(graph.users(value)) == 1
