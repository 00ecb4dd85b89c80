"""What a rule sees of the graph and of the model: one node, what it reads, what it may add."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, final

import numpy as np

from xgraph.backends.onnx.emitter import Array, Emitter
from xgraph.ir.attrs import Attrs
from xgraph.ir.graph import Node
from xgraph.ir.types import Dim, Expr, TensorType

if TYPE_CHECKING:
    import onnx


@final
class Site:
    """Where a rule writes: a node of the graph, what it reads and what it may add."""

    def __init__(self, emitter: Emitter, node: Node) -> None:
        self.emitter = emitter
        self.node = node
        self.inputs = tuple(emitter.values[v] for v in node.inputs)
        self.written: dict[str, onnx.NodeProto] = {}
        """The operators added, by the value they give."""

    @property
    def x(self) -> str:
        """The first input."""
        return self.inputs[0]

    @property
    def type(self) -> TensorType:
        """The type of the first input."""
        return self.node.inputs[0].type

    @property
    def attrs(self) -> Attrs:
        return self.node.resolved

    @property
    def opset(self) -> int:
        return self.emitter.opset

    def port(self, name: str) -> str | None:
        """An optional input."""
        return self.inputs[self.node.ports.index(name)] if name in self.node.ports else None

    def op(self, op: str, *inputs: str, **attrs: Any) -> str:
        """Add an operator; the name of what it gives."""
        node = self.emitter.operator(op, inputs, f"{self.node.address}/{op}", **attrs)
        self.written[node.output[-1]] = node
        return str(node.output[-1])

    def weights(self) -> dict[str, Array]:
        """The values of the node's own parameters."""
        found = ((p, f"{self.node.address}.{p.name}") for p in self.node.params)
        return {p.name: self.emitter.weight(n, p) for p, n in found if p.kind != "counter"}

    def params(self) -> list[str]:
        """The node's own parameters as tensors of the model, in order of declaration."""
        own = self.weights().items()
        return [self.emitter.tensor(f"{self.node.address}.{name}", array) for name, array in own]

    def derived(self, name: str, array: Array) -> str:
        """Add a tensor made from the node's parameters, where ONNX wants another layout."""
        address = self.emitter.names.fresh(f"{self.node.address}.{name}")
        return self.emitter.tensor(address, array)

    def ints(self, values: Iterable[int]) -> str:
        """A constant list of integers: axes, shapes, offsets."""
        return self.emitter.ints(values)

    def integer(self, value: int) -> str:
        """A constant integer."""
        return self.emitter.constant(f"int[{value}]", np.array(value, np.int64))

    def numbers(self, values: Sequence[float]) -> str:
        """A constant list of numbers."""
        text = ",".join(f"{v:g}" for v in values)
        return self.emitter.constant(f"numbers[{text}]", np.array(values, np.float32))

    def number(self, value: float) -> str:
        """A constant number."""
        return self.emitter.constant(f"number[{value:g}]", np.array(value, np.float32))

    def ones(self, shape: Sequence[int]) -> str:
        return self.emitter.constant(f"ones{shape}", np.ones(shape, np.float32))

    def zeros(self, shape: Sequence[int]) -> str:
        return self.emitter.constant(f"zeros{shape}", np.zeros(shape, np.float32))

    def reshape(self, x: str, before: Sequence[Dim], after: Sequence[Dim]) -> str:
        """Bring `x` from one shape to another of as many numbers, both with the batch.

        Sizes known only at run time are copied from the same place or left open where that
        does; only a second open one is read from the running network.
        """
        if tuple(before) == tuple(after):
            return x
        sizes = [_copied(before, axis, dim) for axis, dim in enumerate(after)]
        unknown = [axis for axis, dim in enumerate(sizes) if isinstance(dim, Expr)]
        if unknown:
            sizes[unknown[0]] = -1
        if len(unknown) < 2:
            return self.op("Reshape", x, self.ints(d for d in sizes if not isinstance(d, Expr)))
        shape = self.op("Concat", *(self.emitter.size(d) for d in sizes), axis=0)
        return self.op("Reshape", x, shape)


def _copied(before: Sequence[Dim], axis: int, dim: Dim) -> Dim:
    """0, which copies the size at the same place, where `dim` is open and stood there before."""
    same = isinstance(dim, Expr) and axis < len(before) and before[axis] == dim
    return 0 if same else dim
