"""What a gate looks for: the rows at which it is most and least open, and an input made to open it
(multi-path routing, Fig. 9)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from xgraph.data.feed import Feed
from xgraph.explain.hear import Heard
from xgraph.explain.taps import Tapped

Array = np.ndarray[Any, Any]
SHOWN = 4
"""Rows of each kind."""
FLAT = 0.01
"""A gate whose standard deviation is less looks for nothing."""
_STEPS, _RATE = 200, 0.05
"""Of the ascent: steps of Adam, and their size in standard deviations of the data."""
_FAR, _ROUGH = 0.02, 0.2
"""What an input costs that is far from the mean of the data, and one whose neighbours differ, both
squared and in variances: without, the ascent ends in noise."""


@final
@dataclass(frozen=True)
class Extreme:
    """A gate, and what it looks for."""

    router: int
    source: int
    target: int
    spread: float
    """The standard deviation of the gate over the rows."""
    top: Array
    """Rows at which it is most open, the first most; places in what was looked at."""
    bottom: Array
    made: Mapping[str, Array]
    """The input that was made to open it, without a batch."""
    reached: float
    """How open it is there."""


def extremes(
    tapped: Tapped,
    weights: Mapping[str, Array],
    feed: Feed,
    heard: Heard,
    count: int,
    seed: int = 0,
) -> list[Extreme]:
    """Of the gates that differ most from row to row, so many: of each router its first, then
    others."""
    chosen = _chosen(heard, count)
    if not chosen:
        return []
    made, reached = _ascended(tapped, weights, feed, heard, chosen)
    found = []
    for k, (router, source, target, spread) in enumerate(chosen):
        order = np.argsort(-heard.routed[router].gates[:, source, target], kind="stable")
        found.append(Extreme(
            router, source, target, spread, order[:SHOWN], order[::-1][:SHOWN],
            {name: value[k] for name, value in made.items()}, reached[k],
        ))  # fmt: skip
    return found


def _chosen(heard: Heard, count: int) -> list[tuple[int, int, int, float]]:
    each = [
        sorted(_spreads(number, routed.gates), key=lambda found: -found[3])
        for number, routed in enumerate(heard.routed)
    ]
    firsts = [found[0] for found in each if found]
    others = sorted((one for found in each for one in found[1:]), key=lambda found: -found[3])
    return [one for one in (*firsts, *others) if one[3] >= FLAT][:count]


def _spreads(router: int, gates: Array) -> Iterator[tuple[int, int, int, float]]:
    """Of two outputs, the second says what the first does."""
    _, m, n = gates.shape
    for i in range(m):
        for j in range(1 if n == 2 else n):
            yield router, i, j, float(gates[:, i, j].std())


def _ascended(
    tapped: Tapped,
    weights: Mapping[str, Array],
    feed: Feed,
    heard: Heard,
    chosen: Sequence[tuple[int, int, int, float]],
) -> tuple[dict[str, Array], list[float]]:
    """Inputs from the mean of the data along the gradient of the logarithm of a gate, one for each
    gate, within the range of the data. Integers are those of the first row."""
    import torch

    from xgraph.backends.torch import to_module

    names = list(tapped.low.inputs)
    rows = np.arange(min(len(heard.split), 256))
    data, _ = feed.take(heard.split, rows)
    outputs = list(tapped.low.outputs)
    module = to_module(tapped.low, dict(weights)).eval().requires_grad_(False)
    given, bounds = {}, {}
    for name in names:
        value = torch.from_numpy(data[name])
        if value.is_floating_point():
            start = value.mean(0, keepdim=True).repeat(len(chosen), *[1] * (value.ndim - 1))
            given[name] = start.clone().requires_grad_()
            bounds[name] = start, float(value.std()) or 1.0, float(value.min()), float(value.max())
        else:
            given[name] = value[:1].repeat(len(chosen), *[1] * (value.ndim - 1))
    learned = [{"params": [given[n]], "lr": _RATE * bounds[n][1]} for n in bounds]

    def gates() -> Any:
        found = dict(zip(outputs, module(*(given[name] for name in names)), strict=True))
        opened = []
        for k, (router, i, j, _) in enumerate(chosen):
            scores = found[tapped.routers[router].scores[i]]
            logs = torch.log_softmax(scores.reshape(len(chosen), -1, scores.shape[-1]), -1)
            opened.append(logs[k, :, j].mean())
        return torch.stack(opened)

    if learned:
        optimiser = torch.optim.Adam(learned)
        for _ in range(_STEPS):
            price = sum(_price((given[n] - b[0]) / b[1]) for n, b in bounds.items())
            loss = (price - gates()).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            with torch.no_grad():
                for name, (_, _, low, high) in bounds.items():
                    given[name].clamp_(low, high)
    with torch.no_grad():
        reached = gates().exp().tolist()
    return {name: value.detach().numpy() for name, value in given.items()}, reached


def _price(value: Any) -> Any:
    """Of inputs [K, ...] as multiples of the data's standard deviation, [K]."""
    found = _FAR * value.square().flatten(1).mean(1)
    for axis in range(2 if value.ndim > 2 else 1, value.ndim):
        if value.shape[axis] > 1:
            found = found + _ROUGH * value.diff(dim=axis).square().flatten(1).mean(1)
    return found
