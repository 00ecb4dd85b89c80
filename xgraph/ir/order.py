"""Questions about order that networkx answers, for graphs that are not built yet."""

from __future__ import annotations

from collections.abc import Iterable

import networkx as nx


def find_circle(edges: Iterable[tuple[int, int]]) -> list[int]:
    """Numbers that lead to one another in a circle; empty if there is none."""
    try:
        return [number for number, _ in nx.find_cycle(nx.DiGraph(edges))]
    except nx.NetworkXNoCycle:
        return []
