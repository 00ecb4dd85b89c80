"""What the tests of the PyTorch backend build and check with."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from xgraph.backends.torch import to_module, to_source
from xgraph.ir.graph import Graph, Value
from xgraph.ir.infer import split_named
from xgraph.ir.scope import Scope
from xgraph.ir.types import Dim, symbol
from xgraph.ops import OPS
from xgraph.passes import lower

N = symbol("N")


@final
class Net:
    """A graph under construction."""

    def __init__(self, name: str = "net") -> None:
        self.graph = Graph(name)
        self.scope: Scope | None = None

    def input(self, name: str, *features: Dim, dtype: str = "f32") -> Value:
        attrs = {"shape": (N, *features), "dtype": dtype}
        return self.graph.add(OPS["input"], attrs=attrs, address=name).output

    def add(self, op: str, *inputs: Value, address: str, **attrs: Any) -> Value:
        """Apply an op of one output; optional inputs are given by keyword."""
        (value,) = self.many(op, *inputs, address=address, **attrs)
        return value

    def many(self, op: str, *inputs: Value, address: str, **attrs: Any) -> tuple[Value, ...]:
        given, ports, plain = split_named(OPS[op], inputs, attrs)
        node = self.graph.add(OPS[op], given, plain, ports=ports, address=address, scope=self.scope)
        return node.outputs

    def output(self, name: str, value: Value) -> None:
        self.graph.outputs[name] = value

    def lowered(self) -> Graph:
        return lower(self.graph)


def weights_of(graph: Graph, seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """Random weights by address."""
    rng = np.random.default_rng(seed)
    return {
        name: _values(rng, param.kind, param.name, param.shape) for name, param in graph.params()
    }


def _values(rng: np.random.Generator, kind: str, name: str, shape: tuple[int, ...]) -> Any:
    if kind == "counter":
        return np.array(3, np.int64)
    if name == "running_var":
        return rng.uniform(0.5, 2.0, shape).astype(np.float32)
    return (rng.standard_normal(shape) * 0.5).astype(np.float32)


def check(graph: Graph) -> str:
    """The source of `graph`, after what holds for every source was seen to hold."""
    source = to_source(graph)
    assert source == to_source(graph)
    assert max(map(len, source.splitlines())) <= 100
    assert is_formatted(source)
    state = to_module(graph).state_dict()
    wanted = {name: param.shape for name, param in graph.params()}
    assert {name: tuple(value.shape) for name, value in state.items()} == wanted
    return source


def is_formatted(source: str) -> bool:
    """Whether the formatter would leave the source as it is."""
    beside = Path(sys.executable).parent
    ruff = shutil.which("ruff", path=beside) or shutil.which("ruff")
    if ruff is None:
        return True
    command = [ruff, "format", "--isolated", "--line-length", "100", "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=True)
    return done.stdout == source


def run(graph: Graph, *inputs: Tensor, weights: Mapping[str, Any] | None = None) -> Any:
    """What the network gives in evaluation."""
    module = to_module(graph, weights or weights_of(graph)).eval()
    with torch.no_grad():
        return module(*inputs)
