"""The command that draws."""

from __future__ import annotations

from pathlib import Path

import click

from xgraph.cli.common import file_argument, guarded, limit_option, read_graph, set_option


@click.command(short_help="Draw a network as a picture or a page.")
@file_argument
@click.option("-o", "--out", metavar="PATH",
              help="An .svg, .png or .html; by default FILE's name here, as a page.")  # fmt: skip
@click.option("--expand", is_flag=True, help="Draw what blocks hold, too.")
@set_option
@limit_option
@guarded
def draw(
    file: str,
    out: str | None,
    expand: bool,
    settings: tuple[str, ...],
    limits: tuple[str, ...],
) -> None:
    """Draw FILE: super-layers as lanes, connections and routers between them. A page (.html) can be
    expanded and searched, and needs no network.

    Example: xgraph draw net.xg -o net.svg
    """
    from xgraph.draw import draw
    from xgraph.files import named

    graph = read_graph(file, settings, limits)
    path = Path(f"{graph.name if file == '-' else Path(file).stem}.html")
    drawn = draw(graph, path if out is None else named(out, "output"), expand=expand)
    click.echo(f"wrote {drawn.path}")
    if drawn.hidden:
        click.echo(f"{drawn.hidden:,} parts are in collapsed boxes, which `--expand` opens")
