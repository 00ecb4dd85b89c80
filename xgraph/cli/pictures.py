"""The command that draws."""

from __future__ import annotations

from pathlib import Path

import click

from xgraph.build import read_settings
from xgraph.cli.common import (
    file_argument,
    guarded,
    limit_option,
    read_limits,
    set_option,
    show_diagnostics,
)


@click.command(short_help="Draw a network or space as a picture or a page.")
@file_argument
@click.option("-o", "--out", metavar="PATH",
              help="An .svg, .png or .html; by default FILE's name here, as a page.")  # fmt: skip
@click.option("--expand", is_flag=True, help="Draw what blocks hold, too.")
@click.option("--only", metavar="ADDRESS", help="Draw what is there alone, as image.b1.")
@set_option
@limit_option
@guarded
def draw(
    file: str,
    out: str | None,
    expand: bool,
    only: str | None,
    settings: tuple[str, ...],
    limits: tuple[str, ...],
) -> None:
    """Draw FILE, a network or a search space: super-layers as lanes, connections and routers
    between them. A page (.html) can be expanded and searched, and needs no network.

    Example: xgraph draw net.xg -o net.svg
    """
    from xgraph import driver
    from xgraph.draw import draw
    from xgraph.files import named

    source, folder = driver.read_source(file)
    given = read_settings(settings)
    graph, report = driver.check(source, given, folder=folder, limits=read_limits(limits))
    space = driver.space_of(source, folder, report)
    if space is None:
        report.raise_errors()
        show_diagnostics(report.warnings)
    network = space or graph
    path = Path(f"{network.name if file == '-' else Path(file).stem}.html")
    drawn = draw(
        network, path if out is None else named(out, "output"),
        expand=expand, only=only, settings=given if space else None, limits=read_limits(limits),
    )  # fmt: skip
    click.echo(f"wrote {drawn.path}")
    if drawn.hidden:
        click.echo(f"{drawn.hidden:,} parts are in collapsed boxes, which `--expand` opens")
