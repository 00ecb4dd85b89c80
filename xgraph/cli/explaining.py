"""The command that explains trained networks."""

from __future__ import annotations

import json

import click

from xgraph.cli.common import (
    file_argument,
    guarded,
    json_option,
    limit_option,
    read_graph,
    set_option,
)
from xgraph.cli.recipes import (
    data_files,
    data_option,
    needs_training,
    override_option,
    ready,
    recipe_option,
)
from xgraph.diagnostics import fail


@click.command(short_help="Show what a trained network does with data.")
@file_argument
@click.option("--weights", metavar="FILE", required=True, help="A safetensors file.")
@data_option
@recipe_option
@override_option
@click.option("--split", default="test", show_default=True, help="The split that is looked at.")
@click.option("--rows", default=1000, show_default=True, type=click.IntRange(min=1),
              help="So many, evenly from all of the split.")  # fmt: skip
@click.option("--gates", default=8, show_default=True, type=click.IntRange(min=0),
              help="For so many, inputs are sought and made.")  # fmt: skip
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**32 - 1),
              help="Of t-SNE.")  # fmt: skip
@click.option("-o", "--out", metavar="DIR", default="explain", show_default=True,
              help="A folder for the page and the numbers.")  # fmt: skip
@set_option
@limit_option
@json_option
@guarded
def explain(
    file: str,
    weights: str,
    data: str | None,
    recipe: str | None,
    overrides: tuple[str, ...],
    split: str,
    rows: int,
    gates: int,
    seed: int,
    out: str,
    settings: tuple[str, ...],
    limits: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show what the network of FILE does with data: which ways its routers take, what opens their
    gates, what its connections bring, and how much is lost without each.

    Example: xgraph explain net.xg --weights runs/a/weights.safetensors --data digits/
    """
    needs_training()
    from xgraph.explain import explain
    from xgraph.explain.report import NUMBERS, PAGE, write_explanation
    from xgraph.files import keep, make_folder, named

    folder = named(out, "output folder")
    graph = read_graph(file, settings, limits)
    arrays, made, feed, held = ready(graph, weights, data, recipe, overrides, split)
    for name in (PAGE, NUMBERS):
        keep(folder / name, [weights, *graph.files, *data_files(str(data), recipe)])
        if (folder / name).is_dir():
            raise fail(
                "cannot-write", f"`{name}` is a folder here", origin=str(folder),
                help="choose another folder",
            )  # fmt: skip
    make_folder(folder)
    found = explain(
        graph, arrays, feed, held, predict=made.predict, rows=rows, gates=gates, seed=seed,
        observe=lambda told: click.echo(f"  {told}", err=True),
    )  # fmt: skip
    about = {"network": file, "weights": weights, "data": data, "seed of t-SNE": seed}
    write_explanation(folder, found, about)
    if as_json:
        click.echo(json.dumps(found.to_json()))
        return
    for line in found.told():
        click.echo(line)
    click.echo(f"wrote {folder / PAGE} and {folder / NUMBERS}")
