"""Which passes run, by their names or by a level."""

from __future__ import annotations

from collections.abc import Callable

from xgraph.collector import paused
from xgraph.diagnostics import did_you_mean, fail
from xgraph.ir.graph import Graph
from xgraph.ir.verify import verify_or_raise
from xgraph.optimize.channels import channels_last
from xgraph.optimize.chunk import chunk_batch
from xgraph.optimize.constants import fold_constants
from xgraph.optimize.costs import Costs
from xgraph.optimize.in_place import in_place
from xgraph.optimize.layers import fold_concats
from xgraph.optimize.layout import keep_blocks
from xgraph.optimize.network import Optimized
from xgraph.optimize.norms import fold_norms
from xgraph.optimize.paths import join_paths
from xgraph.optimize.pools import part_pools
from xgraph.optimize.simplify import simplify
from xgraph.optimize.tidy import tidy

FIXED: dict[str, Callable[[Optimized], Optimized]] = {
    "tidy": tidy,
    "simplify": simplify,
    "fold-constants": fold_constants,
    "fold-norms": fold_norms,
    "fold-concats": fold_concats,
}
CHOOSING: dict[str, Callable[[Optimized, Costs], Optimized]] = {
    "join-paths": join_paths,
    "keep-blocks": keep_blocks,
    "part-pools": part_pools,
    "channels-last": channels_last,
    "in-place": in_place,
    "chunk-batch": chunk_batch,
}
"""By what a machine is fast at."""
PASSES = (*FIXED, *CHOOSING)
_ALWAYS = ("tidy", "simplify", "fold-norms", "fold-concats")
LEVELS = {
    "0": (),
    "1": (*_ALWAYS, "fold-constants", "tidy"),
    "2": (
        *_ALWAYS,
        "join-paths",
        "simplify",
        "fold-norms",
        "fold-constants",
        "tidy",
        "keep-blocks",
        "part-pools",
        "channels-last",
        "in-place",
        "chunk-batch",
    ),
}

Observer = Callable[[str, Optimized, Optimized], None]
"""Told of each pass that ran, of what it was given, and of what it made."""


def optimize(
    low: Graph, told: str = "2", observe: Observer | None = None, costs: Costs | None = None
) -> Optimized:
    """A tensor-level graph after the passes of a level, or of a list of names; where they choose,
    by these costs.

    The result is for inference: batch normalisation uses its statistics, and dropout is gone.
    `DiagnosticError` for a name that is none.
    """
    found = Optimized.of(low)
    with paused():  # a pass leaves nothing behind but the graph before it
        for name in names(told):
            fixed = FIXED.get(name)
            made = fixed(found) if fixed else CHOOSING[name](found, costs or Costs())
            verify_or_raise(made.graph, name)
            if observe is not None:
                observe(name, found, made)
            found = made
    return found


def names(told: str) -> tuple[str, ...]:
    """The passes of `2`, or of `tidy,fold-norms`."""
    if told in LEVELS:
        return LEVELS[told]
    found = tuple(part.strip() for part in told.split(","))
    for name in found:
        if name not in PASSES:
            known = f"a level, {', '.join(LEVELS)}, or passes: {', '.join(PASSES)}"
            raise fail(
                "unknown-pass", f"`{name}` is no optimisation", origin=f"-O {told}",
                help=did_you_mean(name, PASSES) or known,
            )  # fmt: skip
    return found
