"""Pictures and pages in files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

from xgraph.diagnostics import fail
from xgraph.draw.render import Picture, page, png
from xgraph.draw.scene import scene
from xgraph.driver import Network, Settings, as_graph
from xgraph.files import keep, named, write_whole

KINDS = (".html", ".svg", ".png")


@final
@dataclass(frozen=True)
class Drawn:
    """What was written, and how many layers of it are within boxes that are closed."""

    path: Path
    hidden: int


def draw(
    network: Network,
    out: Path | str,
    *,
    expand: bool = False,
    settings: Settings | None = None,
) -> Drawn:
    """Draw a network as its super-layers in lanes, with connections and routers between: as a page
    (`.html`) or a picture (`.svg`, `.png`), by the name of the file.

    `expand` opens every box at first. `DiagnosticError` for mistakes in the network, and for names
    that say nothing of a kind.
    """
    path = named(out, "output")
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise fail(
            "unknown-target", f"a picture is an {', '.join(KINDS[:-1])} or {KINDS[-1]}",
            origin=str(path), help="end the name of the file so",
        )  # fmt: skip
    graph = as_graph(network, settings)
    keep(path, graph.files)
    whole = scene(graph)
    if kind == ".html":
        write_whole(path, page(whole, expand=expand))
        return Drawn(path, 0)
    picture = Picture.of(whole, expand=expand)
    write_whole(path, picture.svg if kind == ".svg" else png(picture.svg))
    return Drawn(path, picture.hidden)
