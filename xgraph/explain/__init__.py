"""What a trained network does with data: where it routes, what its gates look for, what its
connections carry."""

from xgraph.explain.explain import Explanation, explain

__all__ = ["Explanation", "explain"]
