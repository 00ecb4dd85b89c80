"""What commands share that read data and a recipe: their options, both read, and `recipes`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xgraph.cli.common import (
    F,
    guarded,
    show_diagnostics,
)
from xgraph.diagnostics import Diagnostic, fail

if TYPE_CHECKING:
    from xgraph.recipe import Recipe

data_option = click.option(
    "--data", metavar="DATA", help="A folder, an .npz or Parquet file, or package.module:function."
)

recipe_option = click.option(
    "--recipe", "-r", metavar="RECIPE", help="A YAML file, or a name that `xgraph recipes` lists."
)

override_option = click.option(
    "--override", "overrides", multiple=True, metavar="KEY=VALUE",
    help="Change a key of the recipe: optimizer.lr=0.01.",
)  # fmt: skip

leaks_option = click.option(
    "--allow-leaks", is_flag=True, help="Take rows that two splits share as they are."
)

fraction_option = click.option(
    "--fraction", type=float, default=1.0, help="Train on this share of every class."
)

accelerator_option = click.option(
    "--accelerator", default="auto", show_default=True, help="Lightning's: cpu, cuda, mps."
)

_SHORT: tuple[tuple[str, Any, str], ...] = (
    ("--epochs", int, "Short for --override epochs=N."),
    ("--batch", int, "Short for --override batch=N."),
    ("--lr", float, "Short for --override optimizer.lr=X."),
    ("--seed", int, "Short for --override seed=N."),
    ("--precision", str, "Short for --override precision=32|bf16|16."),
)


def short_options(function: F) -> F:
    """The flags that are short for keys of the recipe."""
    for flag, kind, told in reversed(_SHORT):
        function = click.option(flag, type=kind, help=told)(function)
    return function


def recipe_of(recipe: str | None, overrides: tuple[str, ...], **short: Any) -> Recipe:
    """A recipe with its overrides; those of short flags come last."""
    from xgraph.recipe import read_recipe

    flags = [
        f"{key.replace('__', '.')}={value}" for key, value in short.items() if value is not None
    ]
    return read_recipe(recipe, [*overrides, *flags])


def recipe_of_weights(weights: str, told: Recipe) -> Recipe:
    """A recipe with what weights say of how their inputs are made; a warning where nothing does."""
    from xgraph.train.run import stored_recipe
    from xgraph.weights import metadata

    stored = stored_recipe(metadata(Path(weights)), weights)
    if stored is not None:
        return told.model_copy(update={k: v for k, v in stored.items() if not getattr(told, k)})
    if not told.inputs:
        show_diagnostics(
            [
                Diagnostic(
                    "raw-inputs", "nothing says how inputs were made for these weights: they are"
                    " taken as they are", severity="warning", origin=weights,
                    help="the `recipe.yaml` of the training says it, if there is one: give it as"
                    " `--recipe`, where the command has that",
                )
            ]
        )  # fmt: skip
    return told


def needs_training() -> None:
    from importlib.util import find_spec

    for package in ("torch", "lightning_fabric", "torchmetrics", "pydantic", "yaml"):
        if find_spec(package) is None:
            raise fail(
                "missing-extra", f"this needs the package `{package}`, which is not installed",
                origin=package, help="pip install 'xgraph[train]'",
            )  # fmt: skip


def data_files(data: str, recipe: str | None = None) -> list[Path]:
    """What a command reads besides the network and its weights."""
    where = Path(data)
    files = list(where.rglob("*")) if where.is_dir() else [where]
    return [path for path in (*files, *([Path(recipe)] if recipe else [])) if path.is_file()]


def ready(
    graph: Any, weights: str, data: str | None, recipe: str | None, overrides: tuple[str, ...],
    split: str,
) -> tuple[Any, Recipe, Any, Any]:  # fmt: skip
    """Weights, recipe, feed and split, checked against each other."""
    from xgraph import driver
    from xgraph.data import open_data
    from xgraph.train.evaluate import fed

    if data is None:
        raise click.UsageError("give --data")
    arrays = driver.initial_weights(driver.tensor_graph(graph), weights)
    told = recipe_of_weights(weights, recipe_of(recipe, overrides))
    held = open_data(data).split(split)
    return arrays, told, fed(graph, told, held, weights), held


@click.command("recipes", short_help="List the recipes that come with xgraph.")
@click.argument("name", required=False)
@guarded
def recipes(name: str | None) -> None:
    """List the recipes of the papers, or print one: NAME.

    Example: xgraph recipes multipath > mine.yaml
    """
    needs_training()
    from xgraph.diagnostics import did_you_mean
    from xgraph.recipe import presets

    known = presets()
    if name is None:
        width = max(map(len, known))
        for key, text in known.items():
            click.echo(f"{key:<{width}}  {_first_sentence(text)}")
        return
    if name not in known:
        raise fail("unknown-recipe", f"no recipe is called `{name}`", origin=name,
                   help=did_you_mean(name, known) or f"there are {', '.join(known)}")  # fmt: skip
    click.echo(known[name], nl=False)


def _first_sentence(text: str) -> str:
    comment = " ".join(
        line.removeprefix("#").strip() for line in text.splitlines() if line[:1] == "#"
    )
    return comment.partition(" (")[0]
