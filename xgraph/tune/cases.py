"""Which cases are measured: a grid for the machine, or those that a network has."""

from __future__ import annotations

from collections.abc import Iterable

from xgraph.ir.graph import Graph
from xgraph.optimize.costs import Case, Costs
from xgraph.optimize.levels import optimize

BATCHES = (1, 8, 64)
_CONVS = (
    # channels read and made by a path, size of a picture
    (1, 16, 28), (3, 16, 32), (3, 32, 32), (8, 8, 32), (12, 12, 32), (16, 16, 32), (32, 32, 32),
    (24, 24, 16), (32, 32, 16), (32, 64, 16), (64, 64, 16), (48, 48, 8), (64, 64, 8),
    (64, 128, 8), (128, 128, 8),
)  # fmt: skip
_LINEARS = ((16, 4), (32, 32), (64, 64), (128, 64), (256, 10))


def grid() -> list[Case]:
    """Over the shapes that multi-path networks have."""
    convs = [
        Case("conv", count, inputs, outputs, (kernel, kernel), (size, size), batch)
        for batch in BATCHES
        for count in (2, 4)
        for inputs, outputs, size in _CONVS
        for kernel in ((3, 1) if inputs == outputs else (3,))
    ]
    linears = [
        Case("linear", count, inputs, outputs, (), (), batch)
        for batch in BATCHES
        for count in (2, 4, 8)
        for inputs, outputs in _LINEARS
    ]
    return [*convs, *linears]


def cases_of(low: Graph, batches: Iterable[int]) -> list[Case]:
    """Those that the passes have to decide about for a tensor-level graph."""
    found: dict[Case, None] = {}
    for batch in batches:
        optimize(low, "2", costs=Costs(batch=batch, observe=lambda case: found.setdefault(case)))
    return list(found)
