"""The pictures of a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, final

from xgraph.pages.plots import INK, PALETTE, Key, drawn


@final
@dataclass(frozen=True)
class Run:
    """A phase of several trials: of each, its score or None, and its seconds."""

    scores: Sequence[float | None]
    seconds: Sequence[float]

    def best(self) -> list[float | None]:
        """Of what was known after each trial."""
        return list(accumulate(self.scores, _better))

    def spent(self) -> list[float]:
        return list(accumulate(self.seconds))


def _better(a: float | None, b: float | None) -> float | None:
    return max((x for x in (a, b) if x is not None), default=None)


def progress(
    runs: Sequence[tuple[Key, Run]], levels: Sequence[tuple[Key, float]], axis: str
) -> str:
    """The best so far by trials and by seconds; `levels` are single networks."""

    def paint(figure: Any) -> None:
        left, right = figure.subplots(1, 2, sharey=True)
        for key, run in runs:
            best = [float("nan") if value is None else value for value in run.best()]
            style = {"color": key.color, "linestyle": key.mark, "drawstyle": "steps-post",
                     "marker": "." if len(best) < 50 else ""}  # fmt: skip
            left.plot(range(1, len(best) + 1), best, **style)
            right.plot(run.spent(), best, **style)
        for axes, label in ((left, "trials"), (right, "seconds of evaluation")):
            for key, score in levels:
                axes.axhline(score, color=key.color, linestyle=key.mark, linewidth=1.2)
            axes.set_xlabel(label)
        left.set_ylabel(f"best {axis} so far")
        left.xaxis.get_major_locator().set_params(integer=True)

    return drawn("progress", "Best score so far against trials and seconds", (9, 3.4), paint)


def steps(points: Sequence[tuple[int, float]], heat: Sequence[tuple[int, float]], axis: str) -> str:
    """What each step found, and the temperature it drew at (MFAS, Fig. 5)."""

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        axes.plot(*_columns(points), "o", color=PALETTE[0], markersize=4, alpha=0.6, mew=0)
        axes.set_xlabel("step")
        axes.set_ylabel(axis)
        axes.xaxis.get_major_locator().set_params(integer=True)
        other = axes.twinx()
        other.plot(*_columns(heat), "--s", color=PALETTE[5], markersize=3, linewidth=1.4)
        other.set_ylabel("temperature")
        other.set_ylim(bottom=0)
        other.grid(False)

    return drawn("steps", f"{axis} of each trial and temperature by step", (9, 3.4), paint)


def guesses(pairs: Sequence[tuple[float, float]], axis: str) -> str:
    """What the surrogate said before, against what came."""

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        guessed, found = _columns(pairs)
        ends = min(guessed + found), max(guessed + found)
        axes.plot(ends, ends, ":", color=INK, linewidth=1, alpha=0.6)
        axes.plot(guessed, found, "o", color=PALETTE[0], markersize=4, alpha=0.6, mew=0)
        axes.set_xlabel(f"guess of the {axis}")
        axes.set_ylabel(axis)

    return drawn("guesses", f"{axis} against the surrogate's guess of it", (5, 4), paint)


def tradeoff(
    groups: Sequence[tuple[Key, Sequence[tuple[float, float]]]],
    front: Sequence[tuple[float, float]],
    axis: str,
) -> str:
    """Scores against parameters; the front as a line, its networks ringed."""

    from matplotlib.ticker import EngFormatter

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        corners = sorted(front)
        axes.plot(
            *_columns(corners), color=INK, linewidth=1, drawstyle="steps-post",
            marker="o", markersize=10, markerfacecolor="none",
        )  # fmt: skip
        for key, points in groups:
            axes.plot(*_columns(points), key.mark, color=key.color, markersize=5, alpha=0.75, mew=0)
        params = [x for _, points in groups for x, _ in points]
        if min(params) > 0 and max(params) > 20 * min(params):
            axes.set_xscale("log")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.set_xlabel("parameters")
        axes.set_ylabel(axis)

    return drawn("tradeoff", f"{axis} against parameters, with the Pareto front", (9, 3.8), paint)


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
