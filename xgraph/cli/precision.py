"""What `compile` says and asks of reduced precision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xgraph.cli.common import F
from xgraph.cli.recipes import data_files, data_option, needs_training, recipe_of_weights

if TYPE_CHECKING:
    from xgraph.ir.graph import Graph
    from xgraph.precision import Precision
    from xgraph.train.quantise import Calibration

_OPTIONS = (
    click.option(
        "--precision", type=click.Choice(["fp32", "fp16", "bf16", "int8"]), default="fp32",
        show_default=True, help="Of the ONNX model; int8 takes --data.",
    ),
    click.option(
        "--max-error", type=float, metavar="X",
        help="Of a reduced precision, relative to an output's largest value; inf allows any."
        "  [default: 0.01 for fp16, 0.1 for bf16, 0.2 for int8]",
    ),
    data_option,
)  # fmt: skip


def precision_options(function: F) -> F:
    """--precision, --max-error and --data."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def calibration_of(
    graph: Graph, target: str, precision: Precision, max_error: float | None, data: str | None,
    weights: str | None, seed: int, out: Path,
) -> Calibration | None:  # fmt: skip
    """The rows that int8 is calibrated on; options that do not go together are diagnostics."""
    from xgraph import driver
    from xgraph.precision import check_options

    check_options(target, precision, max_error, data)
    if data is None:
        return None
    needs_training()
    from xgraph.data import open_data
    from xgraph.files import keep
    from xgraph.recipe import read_recipe
    from xgraph.train.quantise import Calibration

    arrays = driver.initial_weights(driver.tensor_graph(graph), weights, seed)
    keep(out, data_files(data))
    recipe = read_recipe(None, [])
    if weights is not None:
        recipe = recipe_of_weights(weights, recipe)
    return Calibration.of(graph, arrays, open_data(data), recipe, weights or data)


def told_scores(scores: dict[str, Any]) -> str:
    """A table of what `Calibration.scores` found."""
    width = max(map(len, scores["fp32"]))
    head = f"{scores['split']}: {scores['rows']:,} rows, through ONNX Runtime"
    rows = [
        f"  {name:<{width}}  {value:8.4f}  {scores['int8'][name]:8.4f}"
        for name, value in scores["fp32"].items()
    ]
    return "\n".join([head, f"  {'':<{width}}  {'fp32':>8}  {'int8':>8}", *rows])
