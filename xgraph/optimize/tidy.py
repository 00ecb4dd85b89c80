"""`tidy`: what is the same is computed once, and what nothing needs not at all."""

from __future__ import annotations

from xgraph.ir.graph import Value
from xgraph.optimize.network import Maker, Optimized


def tidy(network: Optimized) -> Optimized:
    """Common subexpressions become one, and what no output needs goes."""
    maker = Maker(network)
    known: dict[object, tuple[Value, ...]] = {}
    for node in network.graph.live():
        inputs = tuple(maker.values[v] for v in node.inputs)
        types = tuple(_spelt(value) for value in node.outputs)
        key = (node.op.name, inputs, node.ports, tuple(node.resolved.items()), types)
        is_itself = bool(node.params) or node.op.name in ("input", "parameter")
        if not is_itself and key in known:
            maker.values.update(zip(node.outputs, known[key], strict=True))
            continue
        maker.copy(node)
        known[key] = tuple(maker.values[v] for v in node.outputs)
    return maker.done()


def _spelt(value: Value) -> str:
    """Its type, with the names of axes: `each` looks for one by its name."""
    return str(value.type.shape)
