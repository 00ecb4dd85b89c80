"""Which passes run, by their names or by a level."""

from __future__ import annotations

from collections.abc import Callable

from xgraph.collector import paused
from xgraph.diagnostics import did_you_mean, fail
from xgraph.ir.graph import Graph
from xgraph.ir.verify import verify_or_raise
from xgraph.optimize.network import Optimized
from xgraph.optimize.norms import fold_norms
from xgraph.optimize.paths import join_paths
from xgraph.optimize.tidy import tidy

PASSES: dict[str, Callable[[Optimized], Optimized]] = {
    "tidy": tidy,
    "fold-norms": fold_norms,
    "join-paths": join_paths,
}
LEVELS = {
    "0": (),
    "1": ("tidy", "fold-norms"),
    "2": ("tidy", "fold-norms", "join-paths", "tidy"),
}

Observer = Callable[[str, Optimized, Optimized], None]
"""Told of each pass that ran, of what it was given, and of what it made."""


def optimize(low: Graph, told: str = "2", observe: Observer | None = None) -> Optimized:
    """A tensor-level graph after the passes of a level, or of a list of names.

    The result is for inference: batch normalisation uses its statistics, and dropout is gone.
    `DiagnosticError` for a name that is none.
    """
    found = Optimized.of(low)
    for name in names(told):
        with paused():
            made = PASSES[name](found)
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
