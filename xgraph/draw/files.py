"""Pictures and pages in files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

from xgraph.build import Limits
from xgraph.compare import Difference
from xgraph.diagnostics import DiagnosticError, fail
from xgraph.draw import holes
from xgraph.draw.difference import compared
from xgraph.draw.render import Picture, page, png
from xgraph.draw.scene import Sheet, sheet
from xgraph.driver import Network, Settings, as_graph
from xgraph.files import keep, named, write_whole
from xgraph.ir.graph import Graph
from xgraph.space import Space

KINDS = (".html", ".svg", ".png")


@final
@dataclass(frozen=True)
class Drawn:
    """What was written, and how many layers of it are within boxes that are closed."""

    path: Path
    hidden: int


def draw(
    network: Network | Space,
    out: Path | str,
    *,
    expand: bool = False,
    only: str | None = None,
    settings: Settings | None = None,
    limits: Limits | None = None,
) -> Drawn:
    """Draw a network, or a search space with its holes, as its super-layers in lanes, with
    connections and routers between: as a page (`.html`) or a picture (`.svg`, `.png`), by the name
    of the file.

    `expand` opens every box at first; `only` draws what is at an address: `image.b1`.
    `DiagnosticError` for mistakes in the network, and for names that say nothing of a kind.
    """
    path = _path(out)
    given = _read(network, settings)
    keep(path, given.files)
    found = _sheet(given, settings, limits)
    return _written(path, found if only is None else found.within(only), expand)


def page_of(network: Network | Space) -> str:
    """The page of a network or a search space, as a text."""
    return page(_sheet(_read(network, None)))


def _sheet(
    given: Graph | Space, settings: Settings | None = None, limits: Limits | None = None
) -> Sheet:
    return sheet(given) if isinstance(given, Graph) else holes.sheet(given, settings, limits)


def _read(network: Network | Space, settings: Settings | None) -> Graph | Space:
    """A network, or the space that a file or text turns out to be."""
    if isinstance(network, Space):
        return network
    try:
        return as_graph(network, settings)
    except DiagnosticError as error:
        if isinstance(network, Graph) or all(d.id != "a-space" for d in error.diagnostics):
            raise
    return Space.load(network)


def draw_diff(a: Network, b: Network, out: Path | str, *, expand: bool = False) -> Drawn:
    """Draw two networks beside each other, with what `b` has that `a` has not, and the other way
    round, in colours and by signs. Files and mistakes are as of `draw`.
    """
    path = _path(out)
    before, after = as_graph(a), as_graph(b)
    keep(path, [*before.files, *after.files])
    return _written(path, compared(Difference(before, after)), expand)


def _path(out: Path | str) -> Path:
    path = named(out, "output")
    if path.suffix.lower() not in KINDS:
        raise fail(
            "unknown-target", f"a picture is an {', '.join(KINDS[:-1])} or {KINDS[-1]}",
            origin=str(path), help="end the name of the file so",
        )  # fmt: skip
    return path


def _written(path: Path, sheet: Sheet, expand: bool) -> Drawn:
    if path.suffix.lower() == ".html":
        write_whole(path, page(sheet, expand=expand))
        return Drawn(path, 0)
    picture = Picture.of(sheet, expand=expand)
    write_whole(path, picture.svg if path.suffix.lower() == ".svg" else png(picture.svg))
    return Drawn(path, picture.hidden)
