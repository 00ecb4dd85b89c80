"""The Pareto front: the trials that no other beats in everything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite

from xgraph.search.study import OBJECTIVES, Trial


def front(trials: Iterable[Trial], objectives: Sequence[str] = ("score", "params")) -> list[Trial]:
    """Those than which no other is as good in all objectives and better in one, the best score
    first; of several that are equal in all, the first trial. The score is to be large, all else
    small; what failed, or lacks one of them, is left out."""
    costs = [
        (_costs(trial, objectives), trial.number, trial)
        for trial in trials
        if all(_value(trial, name) is not None for name in objectives)
    ]
    found: list[tuple[tuple[float, ...], Trial]] = []
    # What beats a trial sorts before it, so one look at what is found already is enough.
    for mine, _, trial in sorted(costs, key=lambda entry: entry[:2]):
        if not any(_is_as_good(other, mine) for other, _ in found):
            found.append((mine, trial))
    return [trial for _, trial in found]


def known(trials: Iterable[Trial]) -> list[str]:
    """The objectives that every trial with a score has."""
    scored = [trial for trial in trials if _value(trial, "score") is not None]
    return [
        name
        for name in OBJECTIVES
        if scored and all(_value(trial, name) is not None for trial in scored)
    ]


def _value(trial: Trial, name: str) -> float | None:
    if trial.score is None or not isfinite(trial.score):
        return None
    value: float | None = getattr(trial, name)
    # Where axes are open, MACs are no number, and kept as 0.
    return None if name == "macs" and value == 0 else value


def _costs(trial: Trial, objectives: Sequence[str]) -> tuple[float, ...]:
    values = {name: _value(trial, name) or 0 for name in objectives}
    return tuple(-value if name == "score" else value for name, value in values.items())


def _is_as_good(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return all(left <= right for left, right in zip(a, b, strict=True))
