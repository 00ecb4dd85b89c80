"""The command that tells where the time of a network goes."""

from __future__ import annotations

import json
from typing import Any

import click

from xgraph.cli.common import (
    file_argument,
    guarded,
    json_option,
    limit_option,
    read_graph,
    set_option,
    size_option,
    weights_option,
)


@click.command("profile", short_help="Tell where the time of a network goes.")
@file_argument
@click.option("--batch", type=int, default=1, show_default=True, help="Samples that run at once.")
@size_option
@click.option("--backend", type=click.Choice(["onnx", "torch"]), default="onnx", show_default=True)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("-O", "optimize", default="0", show_default=True, metavar="LEVEL",
              help="Optimise for inference, as `compile` does.")  # fmt: skip
@click.option("--repeats", type=int, default=20, show_default=True, help="Runs that are measured.")
@set_option
@limit_option
@weights_option
@json_option
@guarded
def profile(
    file: str,
    batch: int,
    sizes: dict[str, int],
    backend: Any,
    device: Any,
    optimize: str,
    repeats: int,
    settings: tuple[str, ...],
    limits: tuple[str, ...],
    weights: str | None,
    as_json: bool,
) -> None:
    """Run FILE on random inputs, and tell what its parts take.

    Example: xgraph profile net.xg --batch 8 -O2
    """
    from xgraph.profile import profile

    graph = read_graph(file, settings, limits)
    found = profile(
        graph, batch=batch, sizes=sizes, backend=backend, device=device,
        optimize=optimize, weights=weights, repeats=repeats,
    )  # fmt: skip
    click.echo(json.dumps(found.to_json(), indent=2) if as_json else found.render())
