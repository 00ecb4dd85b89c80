"""The pictures of a search: SVG that stands in a page, in the page's own ink.

No name from outside is drawn: the page says which colour is what, so that nothing has to be escaped
twice, and any script can be read.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, cycle
from typing import Any, final

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
"""Okabe and Ito's, which colour-blind people can tell apart, without what is pale on white. The
page has them as `--mark-0` and so on, somewhat lighter on a dark ground."""
DASHES = {"-": "none", "--": "6 3", "-.": "6 2 1 2", ":": "1.5 2.5"}
"""Lines, and their SVG."""
MARKS = {"o": "\N{BLACK CIRCLE}", "^": "\N{BLACK UP-POINTING TRIANGLE}",
         "s": "\N{BLACK SQUARE}", "D": "\N{BLACK DIAMOND}"}  # fmt: skip
"""Markers, and letters that look like them."""
_INK = "#010203"
"""Stands for the colour of the page's text."""
_STYLE: Any = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": "sans-serif",
    "grid.alpha": 0.15,
    "svg.fonttype": "none",
    "text.parse_math": False,
    **dict.fromkeys(
        ("axes.edgecolor", "axes.labelcolor", "grid.color", "text.color", "xtick.color",
         "ytick.color"), _INK,
    ),
}  # fmt: skip
_DATES = dict.fromkeys(("Creator", "Date", "Format", "Type"))


@final
@dataclass(frozen=True)
class Key:
    """An entry of a legend."""

    name: str
    color: str
    mark: str
    """Of DASHES or MARKS."""

    @property
    def ink(self) -> str:
        """The colour as the page has it."""
        return f"var(--mark-{PALETTE.index(self.color)})"

    @property
    def dashes(self) -> str | None:
        return DASHES.get(self.mark)

    @property
    def letter(self) -> str | None:
        return MARKS.get(self.mark)


def keys(names: Iterable[str], marks: Iterable[str]) -> list[Key]:
    """A colour and a mark for each name."""
    return [Key(*each) for each in zip(names, cycle(PALETTE), cycle(marks), strict=False)]


def _drawn(name: str, told: str, size: tuple[float, float], paint: Callable[[Any], None]) -> str:
    """An `<svg>` whose ids begin with `name`; `told` is for those who do not see it."""
    import matplotlib
    from matplotlib.figure import Figure

    buffer = io.StringIO()
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=size, layout="constrained")
        paint(figure)
        figure.savefig(buffer, format="svg", transparent=True, metadata=_DATES)
    return _inline(buffer.getvalue(), name, told, size[0])


def _inline(svg: str, name: str, told: str, width: float) -> str:
    """What matplotlib writes as a file, as a part of a page, at most so many inches wide."""
    body = svg[svg.index(">", svg.index("<svg")) + 1 :]
    body = re.sub(r"<style.*?</style>", "", body, flags=re.DOTALL)  # would hold for the page
    body = re.sub(r'((?<= id=")|(?<=url\(#)|(?<=href="#))', f"{name}-", body)
    body = body.strip().replace(_INK, "currentColor")
    for number, color in enumerate(PALETTE):
        body = body.replace(color.lower(), f"var(--mark-{number})")
    box = re.search(r'viewBox="[^"]*"', svg)
    head = f'class="plot" style="max-width: {width}in" role="img" aria-label="{told}"'
    return f"<svg {head} {box.group() if box else ''}>{body}"


# ------------------------------------------------------------------------------------ the search


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

    return _drawn("progress", "Best score so far against trials and seconds", (9, 3.4), paint)


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

    return _drawn("steps", f"{axis} of each trial and temperature by step", (9, 3.4), paint)


def guesses(pairs: Sequence[tuple[float, float]], axis: str) -> str:
    """What the surrogate said before, against what came."""

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        guessed, found = _columns(pairs)
        ends = min(guessed + found), max(guessed + found)
        axes.plot(ends, ends, ":", color=_INK, linewidth=1, alpha=0.6)
        axes.plot(guessed, found, "o", color=PALETTE[0], markersize=4, alpha=0.6, mew=0)
        axes.set_xlabel(f"guess of the {axis}")
        axes.set_ylabel(axis)

    return _drawn("guesses", f"{axis} against the surrogate's guess of it", (5, 4), paint)


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
            *_columns(corners), color=_INK, linewidth=1, drawstyle="steps-post",
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

    return _drawn("tradeoff", f"{axis} against parameters, with the Pareto front", (9, 3.8), paint)


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
