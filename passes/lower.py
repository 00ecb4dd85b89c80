"""From the architecture level to the tensor level: every composite becomes its expansion.

    %b = se(%a) {ratio=16}  @y.se1
becomes
    %b0 = reduce(%a) {how="mean", axis=(1, 2)}
    %b1 = linear(%b0) {units=4}  @y.se1.squeeze
    ...

What no output needs is left behind (the layers that a router replaces among it), points and
scopes' bookkeeping go, addresses stay.
"""

from __future__ import annotations

from typing import Any, final

from xgraph.collector import paused
from xgraph.ir.attrs import Attrs
from xgraph.ir.graph import Graph, Node, Value
from xgraph.ir.infer import split_named
from xgraph.ir.op import Args, OpSpec
from xgraph.ir.types import TensorType


def lower(graph: Graph) -> Graph:
    """The tensor-level graph that computes the outputs of `graph`.

    Nodes keep the address (composites' parts below it) and the scope of what they come from.
    """
    low = Graph(graph.name, "tensor")
    low.meta, low.source_text = dict(graph.meta), graph.source_text
    values: dict[Value, Value] = {}
    with paused():
        for node in graph.live():
            inputs = tuple(values[v] for v in node.inputs)
            outputs = _apply(low, node, node.op, inputs, node.ports, node.attrs, node.address)
            values.update(zip(node.outputs, outputs, strict=True))
    low.outputs = {name: values[v] for name, v in graph.outputs.items()}
    return low


def _apply(
    low: Graph,
    origin: Node,
    op: OpSpec,
    inputs: tuple[Value, ...],
    ports: tuple[str, ...],
    attrs: Attrs,
    address: str,
) -> tuple[Value, ...]:
    """Add `op`, expanded down to primitives, to `low`."""
    if op.expand is None:
        return low.add(
            op, inputs, attrs, ports=ports, address=address, scope=origin.scope, span=origin.span
        ).outputs
    types = Args((v.type for v in inputs), ports)
    builder = _Builder(low, origin, address)
    out = op.expand(builder, Args(inputs, ports), op.resolved(types, attrs))
    return out if isinstance(out, tuple) else (out,)


@final
class _Builder:
    """The `Expander` that adds to a graph; unlabelled parts get numbers."""

    def __init__(self, low: Graph, origin: Node, address: str) -> None:
        self._low = low
        self._origin = origin
        self._address = address
        self._count: dict[str, int] = {}

    def __call__(self, op: str, *inputs: Any, label: str | None = None, **attrs: Any) -> Any:
        (out,) = self.many(op, *inputs, label=label, **attrs)
        return out

    def many(
        self, op: str, *inputs: Any, label: str | None = None, **attrs: Any
    ) -> tuple[Value, ...]:
        spec = self._origin.op.table[op]
        given, ports, plain = split_named(spec, inputs, attrs)
        if label is None:
            self._count[op] = self._count.get(op, 0) + 1
            label = f"{op}{self._count[op]}"
        address = f"{self._address}.{label}"
        return _apply(self._low, self._origin, spec, given, ports, spec.check_attrs(plain), address)

    def type(self, value: Value) -> TensorType:
        return value.type
