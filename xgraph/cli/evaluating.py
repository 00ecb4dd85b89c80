"""The commands that measure networks on data: eval, crossval, probe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    recipe_of,
    recipe_option,
)
from xgraph.diagnostics import fail

if TYPE_CHECKING:
    from xgraph.train.evaluate import Evaluation


@click.command("eval", short_help="Measure trained weights on data.")
@file_argument
@click.option("--weights", metavar="FILE", required=True, help="A safetensors file.")
@data_option
@recipe_option
@override_option
@click.option("--split", default="test", show_default=True, help="The split that is measured.")
@click.option("--backend", type=click.Choice(["torch", "onnx"]), default="torch", show_default=True)
@click.option("-o", "--out", metavar="FILE", help="Also write all of it: a page (.html) or JSON.")
@set_option
@limit_option
@json_option
@guarded
def eval_(
    file: str,
    weights: str,
    data: str | None,
    recipe: str | None,
    overrides: tuple[str, ...],
    split: str,
    backend: Any,
    out: str | None,
    settings: tuple[str, ...],
    limits: tuple[str, ...],
    as_json: bool,
) -> None:
    """Measure the network of FILE with trained weights on a split; every row counts once.

    Weights that `xgraph train` wrote say how their inputs are made; for others a recipe does.

    Example: xgraph eval net.xg --weights runs/a/weights.safetensors --data digits/
    """
    needs_training()
    from xgraph.files import keep, named, write_whole
    from xgraph.train.evaluate import evaluate
    from xgraph.train.report import evaluation_page

    graph = read_graph(file, settings, limits)
    path = None if out is None else named(out, "output")
    if path is not None:
        keep(path, [weights, *graph.files, *data_files(str(data), recipe)])
        if path.suffix.lower() not in (".html", ".json"):
            raise fail(
                "unknown-target", "what is measured is written as .html or .json", origin=out,
                help="end the name of the file so",
            )  # fmt: skip
    arrays, made, feed, held = ready(graph, weights, data, recipe, overrides, split)
    found = evaluate(graph, arrays, feed, held, backend=backend, predict=made.predict)
    text = json.dumps(found.to_json(), indent=2)
    click.echo(text if as_json else told_of(found, backend=backend, long=True))
    if path is not None:
        page = path.suffix.lower() == ".html"
        about = {"network": file, "weights": weights, "data": data, "through": backend}
        whole = evaluation_page(graph.name, about, found.to_json()) if page else text + "\n"
        write_whole(path, whole.encode(errors="replace"))


def told_of(found: Evaluation, *, backend: str = "torch", long: bool = False) -> str:
    how = {"torch": "PyTorch", "onnx": "ONNX Runtime"}[backend]
    lines = [f"{found.split}: {found.rows:,} rows, through {how}"]
    width = max(map(len, found.metrics))
    for name, value in found.metrics.items():
        interval = ""
        if name == "accuracy" and found.interval:
            low, high = found.interval
            interval = f"  (95 % from {low:.4f} to {high:.4f})"
        lines.append(f"  {name:<{width}}  {value:.4f}{interval}")
    if long and found.confusion is not None and len(found.confusion) <= 40:
        lines += ["", "  class  precision  recall      f1    rows"]
        for row in found.classes:
            rates = f"{row['precision']:9.4f}  {row['recall']:6.4f}  {row['f1']:6.4f}"
            lines.append(f"  {row['class']:>5}  {rates}  {row['rows']:6}")
        size = max(5, len(str(found.confusion.max())) + 1)
        lines += ["", "  rows: true class; columns: predicted"]
        lines.append(" " * 8 + "".join(f"{i:>{size}}" for i in range(len(found.confusion))))
        for i, counts in enumerate(found.confusion):
            lines.append(f"  {i:>5} " + "".join(f"{n:>{size}}" for n in counts))
    return "\n".join(lines)


@click.command("crossval", short_help="Cross-validate a network, or two against each other.")
@file_argument
@click.option("--against", metavar="FILE", help="Another network, on the same folds.")
@data_option
@recipe_option
@override_option
@click.option("--folds", default=10, show_default=True, help="How many.")
@click.option("--leave-out", metavar="COLUMN", help="One group of this column at a time instead.")
@click.option("-o", "--out", metavar="DIR", required=True, help="A folder; done folds stay done.")
@set_option
@limit_option
@json_option
@guarded
def crossval(
    file: str,
    against: str | None,
    data: str | None,
    recipe: str | None,
    overrides: tuple[str, ...],
    folds: int,
    leave_out: str | None,
    out: str,
    settings: tuple[str, ...],
    limits: tuple[str, ...],
    as_json: bool,
) -> None:
    """Train the network of FILE on every fold with fresh weights, and test it on the rest.

    With --against, both are trained on the same folds, and a paired t-test tells whether they
    differ. Run it again to go on after a kill.

    Example: xgraph crossval a.xg --against b.xg --data digits/ -o folds
    """
    needs_training()
    from xgraph.claim import claimed
    from xgraph.data import open_data
    from xgraph.files import named, write_whole
    from xgraph.train.crossval import RESULTS, cross_validate

    if data is None:
        raise click.UsageError("give --data")
    networks = {Path(file).stem: read_graph(file, settings, limits)}
    if against is not None:
        name = Path(against).stem
        networks[name if name not in networks else f"{name}_2"] = read_graph(against, (), limits)
    folder = named(out, "output folder")

    def told(name: str, fold: int, score: float) -> None:
        click.echo(f"fold {fold}  {name}  {score:.4f}", err=as_json)

    with claimed(folder):
        found = cross_validate(
            networks, open_data(data), recipe_of(recipe, overrides), folder, count=folds,
            group=leave_out, told=told,
        )  # fmt: skip
        summary = found.summary()
        kept = json.dumps({**summary, "digest": found.digest}, indent=2)
        write_whole(folder / RESULTS, f"{kept}\n")
    click.echo(json.dumps(summary, indent=2) if as_json else _summary(summary))


def _summary(summary: dict[str, Any]) -> str:
    lines = []
    folds = len(next(iter(summary["scores"].values()))["folds"])
    told = {
        "scores": f"on the rows of {folds} folds",
        "best_epoch": "on rows held out to choose by",
    }
    for kind, what in told.items():
        for name, s in summary[kind].items():
            lines.append(f"{name}: {summary['metric']} {s['mean']:.4f} ± {s['std']:.4f} {what}")
    test = summary.get("paired_t_test")
    if test:
        p = (
            "the differences are all the same"
            if test["p"] is None
            else f"t {test['t']:.3f}, p {test['p']:.4f}"
        )
        first, second = summary["scores"]
        lines.append(
            f"paired t-test over {folds} folds: {first} less {second} is"
            f" {test['mean_difference']:+.4f}, {p}"
        )
    return "\n".join(lines)


@click.command("probe", short_help="Measure a linear classifier at each block end.")
@file_argument
@click.option("--weights", metavar="FILE", required=True, help="A safetensors file.")
@data_option
@recipe_option
@override_option
@click.option(
    "--at", default="combined", show_default=True, help="A rule of `xgraph places`, or names."
)
@click.option("--epochs", default=80, show_default=True, help="Of the classifier.")
@click.option("--flat", is_flag=True, help="Maps as they are, not their means.")
@set_option
@limit_option
@json_option
@guarded
def probe_(
    file: str,
    weights: str,
    data: str | None,
    recipe: str | None,
    overrides: tuple[str, ...],
    at: str,
    epochs: int,
    flat: bool,
    settings: tuple[str, ...],
    limits: tuple[str, ...],
    as_json: bool,
) -> None:
    """Tell how well a linear classifier does on the frozen activations at each block end.

    Example: xgraph probe net.xg --weights runs/a/weights.safetensors --data digits/
    """
    needs_training()
    from xgraph.data import open_data
    from xgraph.train.probe import probe

    graph = read_graph(file, settings, limits)
    arrays, _, feed, test = ready(graph, weights, data, recipe, overrides, "test")
    train = open_data(str(data)).training
    found = probe(
        graph, arrays, feed, train, test, at=tuple(at.split(",")) if "," in at else at,
        pool="none" if flat else "mean", epochs=epochs,
    )  # fmt: skip
    if as_json:
        click.echo(json.dumps([p.to_json() for p in found], indent=2))
        return
    click.echo(
        f"a linear classifier of {epochs} epochs, accuracy on the {len(test):,} rows of `test`"
    )
    width = max(len(p.place) for p in found)
    for p in found:
        click.echo(
            f"{p.place:<{width}}  depth {p.depth:>2}  {p.features:>6} features  {p.accuracy:.4f}"
        )
