"""`tidy`: what is the same is computed once, and what does nothing not at all."""

from __future__ import annotations

from xgraph.ir.graph import Node, Value
from xgraph.optimize.network import Maker, Optimized


def tidy(network: Optimized) -> Optimized:
    """Common subexpressions become one, dropout and other identities go, as does what no output
    needs."""
    maker = Maker(network)
    known: dict[object, tuple[Value, ...]] = {}
    for node in network.graph.live():
        inputs = tuple(maker.values[v] for v in node.inputs)
        if _does_nothing(node):
            maker.values[node.output] = inputs[0]
            continue
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


def _does_nothing(node: Node) -> bool:
    attrs = node.resolved
    match node.op.name:
        case "dropout" | "identity":
            return True
        case "scale":
            return bool(attrs.factor == 1.0 and attrs.offset == 0.0)
        case "reshape" | "pad" | "slice" | "upsample":
            return len(node.inputs) == 1 and _spelt(node.output) == _spelt(node.inputs[0])
        case "transpose":
            return list(attrs.order) == sorted(attrs.order)
        case "concat" | "add" | "mul" | "max":
            return len(node.inputs) == 1
    return False
