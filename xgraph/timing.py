"""Times of runs, side by side: in turns, since a machine is not as fast at all times."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from math import ceil
from typing import Any, TypeAlias

Run: TypeAlias = Callable[[], Any]

REST = 0.06
"""Seconds before each turn of a run in which the threads of the last one stop waiting for more
work: ONNX Runtime's do so for 40 ms. What runs then wakes threads and processor, and is not timed.
"""
_TURN = 0.015
"""Seconds of a turn, and before it of waking up; short runs are timed several at once."""
_LONG = 0.2
"""Seconds of a run in which waking up is nothing."""


def interleaved(
    runs: Mapping[str, Run], seconds: float, *, rest: float | None = None, least: int = 5
) -> dict[str, float]:
    """The median seconds of each, of turns that take about so many seconds in all, and no less
    than so many turns."""
    rest = REST if rest is None else rest
    once = {label: _estimated(run) for label, run in runs.items()}
    calls = {label: max(1, ceil(_TURN / each)) for label, each in once.items()}
    first = {label: calls[label] if once[label] < _LONG else 0 for label in runs}
    turn = sum(rest + once[label] * (first[label] + calls[label]) for label in runs)
    found: dict[str, list[float]] = {label: [] for label in runs}
    for _ in range(max(least, int(seconds / turn))):
        for label, run in runs.items():
            time.sleep(rest)
            for _ in range(first[label]):
                run()
            start = time.perf_counter()
            for _ in range(calls[label]):
                run()
            found[label].append((time.perf_counter() - start) / calls[label])
    return {label: statistics.median(times) for label, times in found.items()}


def _estimated(run: Run) -> float:
    """The seconds of a run, after the first two or, of a long one, after the first."""
    run()
    for _ in range(2):
        start = time.perf_counter()
        run()
        once = time.perf_counter() - start
        if once > _LONG:
            break
    return once
