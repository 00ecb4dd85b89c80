"""The command that shows a folder in the browser."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from xgraph.cli.common import guarded
from xgraph.diagnostics import fail


@click.command("serve", short_help="Watch trainings and searches in the browser.")
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True,
              help="Where it listens; 0 is any that is free.")  # fmt: skip
@guarded
def serve_(folder: Path, port: int) -> None:
    """Show the trainings, searches and networks in DIR (by default, here) in the browser, as they
    go on. Nothing is changed, and only this machine can look. Ctrl-C ends it.

    Example: xgraph serve runs
    """
    from xgraph import driver

    if not folder.is_dir():
        raise fail("no-folder", "there is no such folder", origin=str(folder))
    for package in ("starlette", "uvicorn", "jinja2"):
        driver.require(package)
    from xgraph.serve.app import HOST, listen, serve

    with listen(port) as opened, suppress(KeyboardInterrupt):
        click.echo(f"http://{HOST}:{opened.getsockname()[1]}  (Ctrl-C ends)")
        serve(folder, opened)
