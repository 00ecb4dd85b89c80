"""Random inputs that a network accepts: for checking backends against each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import permutations
from math import prod
from typing import Any

import numpy as np

from xgraph.diagnostics import fail
from xgraph.ir.graph import Graph, Node, Value
from xgraph.ir.types import BATCH, DType, Expr, evaluate

OPEN_SIZES = (12, 32, 64, 128, 512, 2048, 6, 3, 1)
"""The sizes that open axes may take where none is asked for: the first at which all fits."""
LARGEST = 2**28
"""The most numbers that a value may hold for a network to be run on samples."""

_MOVES = ("reshape", "transpose", "slice", "concat", "each_in", "each_out", "split", "flatten")


def open_axes(graph: Graph) -> list[str]:
    """The symbols in the shapes of the inputs, the batch not among them."""
    found: set[str] = set()
    for value in graph.inputs.values():
        for dim in value.type.shape:
            found |= dim.symbols if isinstance(dim, Expr) else set()
    return sorted(found - {BATCH})


def fitting_sizes(graph: Graph, batch: int = 2) -> dict[str, int] | None:
    """Sizes of the open axes at which no value of a tensor-level graph is empty or too large, and
    every slice is within its axis; None where none is found."""
    axes = open_axes(graph)
    for chosen in _choices(len(axes)):
        sizes = dict(zip(axes, chosen, strict=True))
        if _fits(graph, {BATCH: batch, **sizes}):
            return sizes
    return None


def check_axes(graph: Graph, given: Iterable[str]) -> None:
    """`DiagnosticError` for a name that is no open axis."""
    known = open_axes(graph)
    for name in given:
        if name not in known:
            told = f"its open axes are {', '.join(f'`{axis}`' for axis in known)}"
            raise fail(
                "unknown-axis", f"the network has no open axis `{name}`", origin=graph.name,
                help=told if known else "it has none",
            )  # fmt: skip


def sizes_at(
    graph: Graph, batch: int = 2, given: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Sizes of all open axes: those given, and others at which so many samples fit;
    `DiagnosticError` where there are none."""
    known, given = open_axes(graph), given or {}
    if given.keys() >= set(known):
        return dict(given)
    found = fitting_sizes(graph, batch)
    if found is None:
        axes = ", ".join(f"`{axis}`" for axis in known)
        raise fail(
            "bad-sizes", f"no sizes were found at which `{graph.name}` runs", origin=graph.name,
            help=f"give sizes to {axes}: in the `.xg`, or by `--size` where a command has it",
        )  # fmt: skip
    return {**found, **given}


def _choices(count: int) -> Iterator[tuple[int, ...]]:
    """Sizes for that many axes: one for all, and for two every pair too."""
    yield from ((size,) * count for size in (OPEN_SIZES if count else (0,)))
    if count == 2:
        yield from permutations(OPEN_SIZES, 2)


def _fits(graph: Graph, sizes: Mapping[str, int]) -> bool:
    return all(_is_sound(node, sizes) for node in graph.nodes())


def _is_sound(node: Node, sizes: Mapping[str, int]) -> bool:
    for value in node.outputs:
        shape = [evaluate(dim, sizes) for dim in value.type.shape]
        if min(shape) < 1 or prod(shape) > LARGEST:
            return False
    if node.op.name != "slice":
        return True
    attrs = node.resolved
    size = evaluate(node.inputs[0].type.features[attrs.axis], sizes)
    return all(-size <= end <= size for end in (attrs.start, attrs.stop) if end is not None)


def sample_inputs(
    graph: Graph, batch: int = 2, seed: int = 0, sizes: Mapping[str, int] | None = None
) -> dict[str, np.ndarray[Any, Any]]:
    """An array for each input of a tensor-level graph: normal numbers, and integers that are in
    range for what reads them (embedding rows, lengths of sequences).

    Open axes have the `sizes` given, or such as `sizes_at` finds.
    """
    values = {BATCH: batch, **sizes_at(graph, batch, sizes)}
    random = np.random.default_rng(seed)
    made: dict[str, np.ndarray[Any, Any]] = {}
    for name, value in graph.inputs.items():
        shape = [evaluate(dim, values) for dim in value.type.shape]
        if value.type.dtype is DType.F32:
            made[name] = random.standard_normal(shape, dtype=np.float32)
        else:
            low, high = _range(graph, value, values)
            made[name] = random.integers(low, high, shape, dtype=np.int64)
    return made


def _range(graph: Graph, value: Value, sizes: Mapping[str, int]) -> tuple[int, int]:
    """The integers, from low to below high, that every reader of `value` takes."""
    low, high = 0, 1000
    moved, left = {value}, [value]
    while left:
        for node, index in graph.users(left.pop()):
            if node.op.name == "embedding":
                high = min(high, node.resolved.count)
            elif node.ports[index] == "lengths":
                low, high = 1, min(high, _steps(node, sizes) + 1)
            elif node.op.name in _MOVES:
                left += [out for out in node.outputs if out not in moved]
                moved.update(node.outputs)
    return low, max(high, low + 1)


def _steps(node: Node, sizes: Mapping[str, int]) -> int:
    axis = node.resolved.get("axis", 0)
    return evaluate(node.inputs[0].type.features[axis], sizes)
