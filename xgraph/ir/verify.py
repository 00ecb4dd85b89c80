"""Is this graph sound? Asked between passes, and of every graph that is read back."""

from __future__ import annotations

from xgraph.collector import paused
from xgraph.diagnostics import InternalError
from xgraph.ir.graph import Graph, Level
from xgraph.ir.invariants import Problem, problems
from xgraph.ir.text import dump

__all__ = ["Problem", "verify", "verify_or_raise"]


def verify(graph: Graph, level: Level | None = None) -> list[Problem]:
    """Every broken invariant of `graph`, as one of `level` (its own unless given)."""
    with paused():
        return list(problems(graph, level or graph.level))


def verify_or_raise(graph: Graph, stage: str, level: Level | None = None) -> None:
    """`InternalError` that names `stage` and holds the graph's text, unless it is sound."""
    if found := verify(graph, level):
        lines = "".join(f"\n  {problem}" for problem in found)
        raise InternalError(stage, f"the graph is not sound:{lines}", _text(graph))


def _text(graph: Graph) -> str:
    try:
        return dump(graph)
    except Exception as error:  # whatever is wrong with it, the problems must be told
        return f"(the graph cannot be printed: {type(error).__name__}: {error})"
