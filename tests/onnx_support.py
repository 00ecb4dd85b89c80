"""What the ONNX tests share: small networks, random weights, and a run through ONNX Runtime."""

from __future__ import annotations

from typing import Any, final

import numpy as np
import numpy.typing as npt

from xgraph.backends.onnx import check, to_onnx
from xgraph.ir.graph import Graph, Value
from xgraph.ir.types import Dim, evaluate, symbol
from xgraph.ops import OPS
from xgraph.passes import lower
from xgraph.runtime import Session

Array = npt.NDArray[Any]
N, T, U = symbol("N"), symbol("T"), symbol("U")


@final
class Net:
    """Builds a graph: `net = Net(); x = net.input("x", 3, 8, 8); net.output(net("relu", x))`."""

    def __init__(self) -> None:
        self.graph = Graph("test")

    def input(self, name: str, *shape: Dim, dtype: str = "f32") -> Value:
        attrs = {"shape": (N, *shape), "dtype": dtype}
        return self.graph.add(OPS["input"], attrs=attrs, address=name).output

    def __call__(self, op: str, *values: Value, at: str = "", **attrs: Any) -> Value:
        spec = OPS[op]
        named = {k: attrs.pop(k) for k in ("lengths", "memory") if k in attrs}
        node = self.graph.add(
            spec,
            [*values, *named.values()],
            attrs,
            ports=spec.ports(len(values), named),
            address=at or f"net.{op}{len(self.graph)}",
        )
        return node.outputs[0]

    def output(self, value: Value, name: str = "y") -> Net:
        self.graph.outputs[name] = value
        return self

    def lowered(self) -> Graph:
        return lower(self.graph)


def random_weights(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """A weight for every parameter; running variances are positive."""
    rng = np.random.default_rng(seed)
    found: dict[str, Array] = {}
    for name, param in graph.params():
        values = rng.standard_normal(param.shape).astype(np.float32) * 0.5
        found[name] = np.abs(values) + 0.1 if name.endswith("running_var") else values
        if param.kind == "counter":
            found[name] = np.array(7, np.int64)
    return found


def random_inputs(graph: Graph, seed: int = 1, **sizes: int) -> dict[str, Array]:
    """A value for every input; integers are 0 to 4."""
    rng = np.random.default_rng(seed)
    found: dict[str, Array] = {}
    for name, value in graph.inputs.items():
        shape = [evaluate(dim, {"N": 1, **sizes}) for dim in value.type.shape]
        if value.type.dtype.value == "i64":
            found[name] = rng.integers(0, 5, shape)
        else:
            found[name] = rng.standard_normal(shape).astype(np.float32)
    return found


def run(
    graph: Graph, weights: dict[str, Array], inputs: dict[str, Array], opset: int | None = None
) -> dict[str, Array]:
    """Through ONNX and ONNX Runtime on the CPU; the model is checked on the way."""
    model = to_onnx(graph, weights, opset=opset)
    check(model)
    return Session(model.SerializeToString(), threads=1).run(inputs)
