"""What a network says of rows: its outputs, and what is told of the taps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from xgraph.data.feed import Feed
from xgraph.data.split import Split
from xgraph.explain.taps import Connection, Router, Tapped
from xgraph.train.evaluate import collected, runner, scored

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
    """[rows, steps]"""
    shares: Array
    """[rows, steps]: the norm as a multiple of that of the stream it joins."""

    @property
    def maps(self) -> Array | None:
        """Of the first rows and channels, [rows, channels, ...], where it brings maps."""
        return self.values[: _MAPS[0], : _MAPS[1]] if self.values.ndim in (3, 4) else None


@final
@dataclass(frozen=True)
class Heard:
    split: Split
    """The rows that were looked at."""
    routed: tuple[Routed, ...]
    carried: tuple[Carried, ...]
    labels: Array | None
    """The class of each row, where an output tells one."""
    metrics: Mapping[str, float]


def sample(split: Split, rows: int) -> Split:
    """So many rows, evenly from all of them."""
    if rows >= len(split):
        return split
    return split.part(np.linspace(0, len(split) - 1, rows).round().astype(np.int64))


def hear(
    tapped: Tapped, weights: Mapping[str, Array], feed: Feed, split: Split, predict: list[str]
) -> Heard:
    """Run all rows of a split, and keep of each tap what is small."""
    run = runner(tapped.low, weights, "torch")

    def told(inputs: Mapping[str, Array]) -> dict[str, Array]:
        rows, found = len(next(iter(inputs.values()))), run(inputs)
        kept = {name: found[name] for name in tapped.outputs}
        # What runs once a step comes as rows times steps.
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
            kept[f"values {one.address}"] = brought.mean(1)
            kept[f"norms {one.address}"] = _norms(brought)
            kept[f"beside {one.address}"] = _norms(stream)
        return kept

    found, targets = collected(told, feed, split, _BATCH)
    main = feed.main
    outputs = {name: found[name] for name in tapped.outputs}
    return Heard(
        split,
        tuple(_routed(router, found) for router in tapped.routers),
        tuple(_carried(connection, found) for connection in tapped.connections),
        None if main is None else targets[main.output],
        scored(outputs, targets, feed, split, predict, 0).metrics,
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
    norms, beside = (found[f"{kind} {connection.address}"] for kind in ("norms", "beside"))
    return Carried(connection, found[f"values {connection.address}"], norms, _ratio(norms, beside))
