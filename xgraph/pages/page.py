"""A report as a page: sections of notes, tables, figures with their numbers, and networks.

The page holds all that it shows: pictures as SVG, their numbers as CSV, styles, no script. A policy
in its head forbids to load anything, and the same parts give the same bytes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, ClassVar, TypeAlias, final

from xgraph.pages.plots import Key

Cell: TypeAlias = "str | int | float | None"


@final
@dataclass(frozen=True)
class Note:
    """A paragraph."""

    kind: ClassVar = "note"
    text: str


@final
@dataclass(frozen=True)
class Table:
    kind: ClassVar = "table"
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@final
@dataclass(frozen=True)
class Figure:
    kind: ClassVar = "figure"
    picture: str
    """SVG, of `plots.drawn`."""
    keys: Sequence[Key] = ()
    """The legend of the picture."""
    numbers: str = ""
    """Those of the picture, as CSV."""
    caption: str = ""


@final
@dataclass(frozen=True)
class Drawing:
    """A network, drawn."""

    kind: ClassVar = "drawing"
    picture: str
    """SVG."""


@final
@dataclass(frozen=True)
class Code:
    kind: ClassVar = "code"
    text: str


@final
@dataclass(frozen=True)
class Fold:
    """What a reader opens."""

    kind: ClassVar = "fold"
    title: str
    parts: Sequence[Part]
    is_open: bool = False


Part: TypeAlias = "Note | Table | Figure | Drawing | Code | Fold"


@final
@dataclass(frozen=True)
class Section:
    title: str
    parts: Sequence[Part]


def page(
    title: str, facts: Mapping[str, object], sections: Iterable[Section], *, verdict: str = ""
) -> str:
    """The page as HTML. `verdict` is what there is to know of all, in a sentence; `facts` are what
    the head says, a line an entry: values are texts, numbers, lists, or mappings of these."""
    found: str = _template().render(
        title=title, verdict=verdict, sections=list(sections),
        facts={name: told(value) for name, value in facts.items()},
    )  # fmt: skip
    return found


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["cell"] = _cell
    text = (files("xgraph.pages") / "page.html.jinja").read_text("utf-8")
    return environment.from_string(text)


def told(value: object, depth: int = 0) -> str:
    """A value of the head as text; what is deep within it is not told."""
    if depth > 3:
        return "..."
    if isinstance(value, Mapping):
        each = ((name, one) for name, one in value.items() if one is not None)
        return ", ".join(f"{name} {told(one, depth + 1)}" for name, one in each)
    if isinstance(value, (list, tuple)):
        return ", ".join(told(one, depth + 1) for one in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) and value >= 10_000 else str(value)


def _cell(value: Cell) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3g}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else value


def csv_of(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return buffer.getvalue()
