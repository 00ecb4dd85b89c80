"""Passes: each a function of the graph that gives a graph, one file a pass."""

from xgraph.passes.lower import lower

__all__ = ["lower"]
