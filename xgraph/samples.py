"""Random inputs that a network accepts: for checking backends against each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from xgraph.ir.graph import Graph, Node, Value
from xgraph.ir.types import BATCH, DType, Expr, evaluate

OPEN_SIZE = 12
"""The size that open axes take where none is asked for."""

_MOVES = ("reshape", "transpose", "slice", "concat", "each_in", "each_out", "split", "flatten")


def open_axes(graph: Graph) -> list[str]:
    """The symbols in the shapes of the inputs, the batch not among them."""
    found: set[str] = set()
    for value in graph.inputs.values():
        for dim in value.type.shape:
            found |= dim.symbols if isinstance(dim, Expr) else set()
    return sorted(found - {BATCH})


def sample_inputs(
    graph: Graph, batch: int = 2, seed: int = 0, sizes: Mapping[str, int] | None = None
) -> dict[str, np.ndarray[Any, Any]]:
    """An array for each input of a tensor-level graph: normal numbers, and integers that are in
    range for what reads them (embedding rows, lengths of sequences)."""
    values = {BATCH: batch, **dict.fromkeys(open_axes(graph), OPEN_SIZE), **(sizes or {})}
    random = np.random.default_rng(seed)
    found: dict[str, np.ndarray[Any, Any]] = {}
    for name, value in graph.inputs.items():
        shape = [evaluate(dim, values) for dim in value.type.shape]
        if value.type.dtype is DType.F32:
            found[name] = random.standard_normal(shape, dtype=np.float32)
        else:
            low, high = _range(graph, value, values)
            found[name] = random.integers(low, high, shape, dtype=np.int64)
    return found


def _range(graph: Graph, value: Value, sizes: Mapping[str, int]) -> tuple[int, int]:
    """The integers, from low to below high, that every reader of `value` takes."""
    low, high = 0, 1000
    for node, index in graph.users(value):
        if node.op.name == "embedding":
            high = min(high, node.resolved.count)
        elif node.ports[index] == "lengths":
            low, high = 1, min(high, _steps(node, sizes) + 1)
        elif node.op.name in _MOVES:
            for out in node.outputs:
                inner_low, inner_high = _range(graph, out, sizes)
                low, high = max(low, inner_low), min(high, inner_high)
    return low, max(high, low + 1)


def _steps(node: Node, sizes: Mapping[str, int]) -> int:
    axis = node.resolved.get("axis", 0)
    return evaluate(node.inputs[0].type.features[axis], sizes)
