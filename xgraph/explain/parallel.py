"""How the weights of parallel operations are spread (multi-path routing, Fig. 11)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from xgraph.build.names import written
from xgraph.ir import scope as scopes
from xgraph.ir.graph import Graph
from xgraph.passes import lower

Array = np.ndarray[Any, Any]
_BINS = 40


@final
@dataclass(frozen=True)
class Parallel:
    """One tensor of weights in each of several parallel super-layers."""

    name: str
    """As that of all: `path[*].c2.conv1.weight`."""
    members: tuple[str, ...]
    edges: Array
    """[bins + 1]"""
    shares: Array
    """[members, bins]: what share of the weights lies there."""


def parallels(graph: Graph, weights: Mapping[str, Array]) -> Iterator[Parallel]:
    """Of an architecture-level graph, all that multiply: biases and scales of norms are left
    out."""
    stems: dict[str, list[str]] = {}
    for scope in graph.scopes:
        if isinstance(scope, scopes.SuperLayer):
            stem, _, index = scope.address.rpartition(".")
            if index.isdigit():
                stems.setdefault(stem, []).append(scope.address)
    params, found = list(lower(graph).params()), dict[str, dict[str, Array]]()
    for stem, members in stems.items():
        for name, param in params:
            member = next((m for m in members if name.startswith(f"{m}.")), None)
            if member is not None and len(param.shape) > 1:
                rest = name.removeprefix(member)
                found.setdefault(f"{stem}[*]{rest}", {})[written(member)] = weights[name]
    for name, each in found.items():
        if len(each) > 1:
            low, high = min(w.min() for w in each.values()), max(w.max() for w in each.values())
            edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
            shares = [np.histogram(w, edges)[0] / w.size for w in each.values()]
            yield Parallel(name, tuple(each), edges, np.stack(shares))
