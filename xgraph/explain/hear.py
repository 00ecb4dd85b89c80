"""What a network says of rows: its outputs, and what is told of the taps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from xgraph.data.feed import Feed
from xgraph.data.split import Rows, Split
from xgraph.diagnostics import fail
from xgraph.explain.taps import Connection, Router, Tapped
from xgraph.ir.graph import Graph
from xgraph.train.evaluate import evaluate, runner
from xgraph.train.fit import running

Array = np.ndarray[Any, Any]
_BATCH = 64
_MAPS = 3, 8


@final
@dataclass(frozen=True)
class Routed:
    """What a router did with each row."""

    router: Router
    gates: Array
    """[rows, m, n]: the share of input i that goes to output j; over j they sum to 1."""
    inputs: Array
    """[rows, m]: the mean absolute value of each input, against that of the strongest."""
    outputs: Array
    """[rows, n]: the same of the outputs."""


@final
@dataclass(frozen=True)
class Carried:
    """What a connection brought for each row."""

    connection: Connection
    values: Array
    """[rows, ...]: the mean over steps, where it runs once a step."""
    norms: Array
    """[rows, steps]; NaN behind the last step of rows that have fewer."""
    shares: Array
    """[rows, steps]: the norm as a multiple of that of the stream it joins."""

    @property
    def maps(self) -> Array | None:
        """Of the first rows and channels, [rows, channels, ...], where it brings maps."""
        is_map = self.values.ndim in (3, 4) and self.values.shape[-1] > 1
        return self.values[: _MAPS[0], : _MAPS[1]] if is_map else None


@final
@dataclass(frozen=True)
class Heard:
    split: Split
    """The rows that were looked at."""
    routed: tuple[Routed, ...]
    carried: tuple[Carried, ...]
    labels: Array | None
    """The class of each row, where an output tells one."""
    predictions: Array
    """The class of each row, or the numbers predicted."""
    metrics: Mapping[str, float]


def sample(split: Split, rows: int) -> Split:
    """So many rows, evenly from all of them."""
    if rows >= len(split):
        return split
    return split.part(np.linspace(0, len(split) - 1, rows).round().astype(np.int64))


def hear(
    graph: Graph,
    tapped: Tapped,
    weights: Mapping[str, Array],
    feed: Feed,
    split: Split,
    predict: list[str],
) -> Heard:
    """Run all rows of a split, and keep of each tap what is small; `DiagnosticError` where numbers
    overflow."""
    run = runner(tapped.low, weights, "torch")
    parts: dict[str, list[Array]] = {}
    order = []
    for rows in _batches(feed, split):
        order.append(rows)
        inputs = {port.name: port.take(split, rows) for port in feed.ports}
        with running(f"a batch of `{split.name}`", inputs):
            found = run(inputs)
        for name, value in _kept(tapped, found, len(rows)).items():
            if not np.isfinite(value).all():
                raise fail(
                    "not-finite", f"numbers of `{name.rpartition(' ')[2]}` are not finite",
                    origin=graph.name, help="look at the weights and at the range of the data",
                )  # fmt: skip
            parts.setdefault(name, []).append(value)
    back = np.argsort(np.concatenate(order))
    found = {name: _joined(each)[back] for name, each in parts.items()}
    measured = evaluate(graph, weights, feed, split, predict=predict)
    main = feed.main
    return Heard(
        split,
        tuple(_routed(router, found) for router in tapped.routers),
        tuple(_carried(connection, found) for connection in tapped.connections),
        None if main is None else main.take(split, np.arange(len(split))),
        measured.predictions,
        measured.metrics,
    )


def _batches(feed: Feed, split: Split) -> Iterator[Rows]:
    """All rows, those of one length together, so that none is filled up."""
    every = np.arange(len(split))
    lengths = [split.lengths(port.column, every) for port in feed.ports]
    known = np.stack([each for each in lengths if each is not None] or [np.zeros(len(split))])
    _, groups = np.unique(known, axis=1, return_inverse=True)
    for group in range(groups.max() + 1):
        rows = every[groups.ravel() == group]
        yield from (rows[first : first + _BATCH] for first in range(0, len(rows), _BATCH))


def _kept(tapped: Tapped, found: Mapping[str, Array], rows: int) -> dict[str, Array]:
    """What runs once a step comes as rows times steps."""
    kept: dict[str, Array] = {}
    for router in tapped.routers:
        gates = np.stack([found[name] for name in router.gates], -2)
        kept[f"gates {router.address}"] = gates.reshape(rows, -1, *gates.shape[-2:]).mean(1)
        strengths = [np.abs(found[name]).reshape(rows, -1).mean(1) for name in router.streams]
        kept[f"streams {router.address}"] = np.stack(strengths, 1)
    for one in tapped.connections:
        steps = len(found[one.carried]) // rows
        brought, stream = (
            found[name].reshape(rows, steps, *found[name].shape[1:])
            for name in (one.carried, one.stream)
        )
        norms, beside = _norms(brought), _norms(stream)
        kept[f"values {one.address}"] = brought.mean(1)
        kept[f"norms {one.address}"] = norms
        kept[f"shares {one.address}"] = _ratio(norms, beside)
    return kept


def _joined(parts: list[Array]) -> Array:
    """Batches of different lengths: [rows, steps] with NaN behind the last step, and values
    without the axes that differ."""
    shapes = {part.shape[1:] for part in parts}
    if len(shapes) == 1:
        return np.concatenate(parts)
    if parts[0].ndim > 2:
        return np.concatenate([part.reshape(*part.shape[:2], -1).mean(2) for part in parts])
    longest = max(part.shape[1] for part in parts)
    return np.concatenate(
        [
            np.pad(part, ((0, 0), (0, longest - part.shape[1])), constant_values=np.nan)
            for part in parts
        ]
    )


def _norms(values: Array) -> Array:
    return np.asarray(np.linalg.norm(values.reshape(*values.shape[:2], -1), axis=2))


def _routed(router: Router, found: Mapping[str, Array]) -> Routed:
    streams = found[f"streams {router.address}"]
    inputs, outputs = np.split(streams, [len(router.gates)], axis=1)
    return Routed(router, found[f"gates {router.address}"], _relative(inputs), _relative(outputs))


def _relative(strengths: Array) -> Array:
    return _ratio(strengths, np.broadcast_to(strengths.max(1, keepdims=True), strengths.shape))


def _ratio(a: Array, b: Array) -> Array:
    """0 where `b` is."""
    found: Array = np.divide(a, b, out=np.zeros_like(a), where=b > 0)
    return found


def _carried(connection: Connection, found: Mapping[str, Array]) -> Carried:
    at = connection.address
    return Carried(connection, found[f"values {at}"], found[f"norms {at}"], found[f"shares {at}"])
