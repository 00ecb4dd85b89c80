"""All that there is to explain of a network with trained weights, as numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from xgraph.data.feed import Feed
from xgraph.data.split import Split
from xgraph.diagnostics import fail
from xgraph.explain.ablate import Ablation, ablations
from xgraph.explain.extremes import Extreme, extremes
from xgraph.explain.hear import Carried, Heard, hear, sample
from xgraph.explain.parallel import Parallel, parallels
from xgraph.explain.taps import tapped
from xgraph.ir.graph import Graph

Array = np.ndarray[Any, Any]
EMBEDDED = 400
"""Rows that t-SNE lays out."""


@final
@dataclass(frozen=True)
class Explanation:
    """What a network did with rows of a split."""

    network: str
    heard: Heard
    inputs: Mapping[str, Array]
    """Those rows, as the network takes them."""
    extremes: Sequence[Extreme]
    parallels: Sequence[Parallel]
    ablations: Sequence[Ablation]
    embeddings: Mapping[str, Array]
    """By the address of the connection, [rows, 2] of the first rows."""

    @property
    def classes(self) -> list[int]:
        labels = self.heard.labels
        return [] if labels is None else [int(c) for c in np.unique(labels)]

    @property
    def measure(self) -> tuple[str, float]:
        """What is told of the network and of its parts, and what all of it reaches."""
        return next(iter(self.heard.metrics.items()))

    def lost(self) -> list[tuple[str, str, str, str]]:
        """What is switched off, how, what is measured then, and the change."""
        (name, whole), rows = self.measure, []
        for one in self.ablations:
            value = one.metrics[name]
            margin = "" if one.margin is None or name != "accuracy" else f" ± {one.margin:.4f}"
            rows.append((one.title, one.off, f"{value:.4f}", f"{value - whole:+.4f}{margin}"))
        return rows

    def told(self) -> list[str]:
        """The same as lines."""
        (name, whole), rows = self.measure, self.lost()
        width = max((len(f"{title}, {off}") for title, off, *_ in rows), default=0)
        lines = [f"{name} {whole:.4f} on {len(self.heard.split):,} rows of {self.heard.split.name}"]
        for title, off, value, change in rows:
            part = f"{title}, {off}"
            lines.append(f"  {part:<{width}}  {value}  {change}")
        return lines

    def to_json(self) -> dict[str, Any]:
        """All numbers; gates and strengths by row, in the order of the split."""
        heard = self.heard
        return {
            "network": self.network,
            "split": heard.split.name,
            "rows": heard.split.rows.tolist(),
            "classes": None if heard.labels is None else heard.labels.tolist(),
            "metrics": dict(heard.metrics),
            "routers": [
                {
                    "address": one.router.address,
                    "title": one.router.title,
                    "gates": _plain(one.gates),
                    "inputs": _plain(one.inputs),
                    "outputs": _plain(one.outputs),
                }
                for one in heard.routed
            ],
            "extremes": [
                {
                    "router": heard.routed[one.router].router.address,
                    "input": one.source,
                    "output": one.target,
                    "spread": one.spread,
                    "top": heard.split.rows[one.top].tolist(),
                    "bottom": heard.split.rows[one.bottom].tolist(),
                    "made": {name: _plain(value) for name, value in one.made.items()},
                    "reached": one.reached,
                }
                for one in self.extremes
            ],
            "connections": [self._connection(one) for one in heard.carried],
            "parallel_weights": [
                {
                    "name": one.name,
                    "members": list(one.members),
                    "edges": _plain(one.edges),
                    "shares": _plain(one.shares),
                }
                for one in self.parallels
            ],
            "switched_off": [
                {"address": one.address, "title": one.title, "off": one.off,
                 "metrics": dict(one.metrics), "margin": one.margin}
                for one in self.ablations
            ],
        }  # fmt: skip

    def _connection(self, one: Carried) -> dict[str, Any]:
        address = one.connection.address
        embedded = self.embeddings.get(address)
        return {
            "address": address,
            "title": one.connection.title,
            "by": one.connection.by,
            "norms": _plain(one.norms),
            "shares": _plain(one.shares),
            "embedding": None if embedded is None else _plain(embedded),
            "maps": None if one.maps is None else _plain(one.maps),
        }


def _plain(values: Array) -> Any:
    """As JSON has it, which has no NaN."""
    found = np.round(np.asarray(values, np.float64), 6)
    plain = found.astype(object)
    plain[np.isnan(found)] = None
    return plain.tolist()


def explain(
    graph: Graph,
    weights: Mapping[str, Array],
    feed: Feed,
    split: Split,
    *,
    predict: Sequence[str] = (),
    rows: int = 1000,
    gates: int = 8,
    seed: int = 0,
    observe: Callable[[str], None] = lambda told: None,
) -> Explanation:
    """Run `rows` rows of a split through an architecture-level graph with trained weights, and tell
    what its routers and connections do with them. Inputs are made for `gates` gates.

    `DiagnosticError` where it has no router with gates, no connection and no parallel paths.
    """
    told = tapped(graph)
    parallel = list(parallels(graph, weights))
    if not (told.routers or told.connections or parallel):
        raise fail(
            "nothing-to-explain", "it has no routers with gates, connections or parallel paths",
            origin=graph.name, help="`xgraph show` lists what it is made of",
        )  # fmt: skip
    part = sample(split, rows)
    observe(f"{len(part):,} rows")
    heard = hear(graph, told, weights, feed, part, list(predict))
    inputs, _ = feed.take(part, np.arange(len(part)))
    observe("inputs that open gates")
    found = extremes(told, weights, feed, heard, gates)
    off = list(ablations(graph, weights, feed, heard, list(predict), observe))
    observe("t-SNE")
    return Explanation(graph.name, heard, inputs, found, parallel, off, _embedded(heard, seed))


def _embedded(heard: Heard, seed: int) -> dict[str, Array]:
    """Rows in the plane, near where what a connection brings is alike."""
    from sklearn.manifold import TSNE

    found = {}
    for one in heard.carried:
        values = one.values[:EMBEDDED].reshape(min(EMBEDDED, len(one.values)), -1)
        if len(values) < 4 or not values.std(0).any():  # all alike
            continue
        laid = TSNE(
            2, init="pca" if min(values.shape) > 1 else "random", random_state=seed,
            perplexity=min(30.0, (len(values) - 1) / 3),
        )  # fmt: skip
        found[one.connection.address] = np.asarray(laid.fit_transform(values.astype(np.float64)))
    return found
