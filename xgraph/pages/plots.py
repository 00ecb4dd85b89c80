"""Plots as SVG that stands in a page, in the page's own ink.

No name from outside is drawn: the page says which colour is what, so that nothing has to be escaped
twice, and any script can be read.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import cycle
from typing import Any, final

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
"""Okabe and Ito's, which colour-blind people can tell apart, without what is pale on white. The
page has them as `--mark-0` and so on, somewhat lighter on a dark ground."""
DASHES = {"-": "none", "--": "6 3", "-.": "6 2 1 2", ":": "1.5 2.5"}
"""Lines, and their SVG."""
MARKS = {"o": "\N{BLACK CIRCLE}", "^": "\N{BLACK UP-POINTING TRIANGLE}",
         "s": "\N{BLACK SQUARE}", "D": "\N{BLACK DIAMOND}"}  # fmt: skip
"""Markers, and letters that look like them."""
INK = "#010203"
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
         "ytick.color"), INK,
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
        return "currentColor" if self.color == INK else f"var(--mark-{PALETTE.index(self.color)})"

    @property
    def dashes(self) -> str | None:
        return DASHES.get(self.mark)

    @property
    def letter(self) -> str | None:
        return MARKS.get(self.mark)


def keys(names: Iterable[str], marks: Iterable[str]) -> list[Key]:
    """A colour and a mark for each name."""
    return [Key(*each) for each in zip(names, cycle(PALETTE), cycle(marks), strict=False)]


def drawn(name: str, told: str, size: tuple[float, float], paint: Callable[[Any], None]) -> str:
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
    body = body.strip().replace(INK, "currentColor")
    for number, color in enumerate(PALETTE):
        body = body.replace(color.lower(), f"var(--mark-{number})")
    box = re.search(r'viewBox="[^"]*"', svg)
    head = f'class="plot" style="max-width: {width}in" role="img" aria-label="{told}"'
    return f"<svg {head} {box.group() if box else ''}>{body}"
