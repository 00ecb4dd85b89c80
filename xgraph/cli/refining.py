"""The commands that train many networks for one: measure, refine."""

from __future__ import annotations

import shutil
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xgraph.cli.common import (
    file_argument,
    graph_of,
    guarded,
    limit_option,
    read_graph,
    set_option,
)
from xgraph.cli.evaluating import told_of
from xgraph.cli.recipes import (
    accelerator_option,
    data_option,
    fraction_option,
    leaks_option,
    needs_training,
    override_option,
    recipe_of,
    recipe_option,
    short_options,
)
from xgraph.cli.watching import INTERRUPTED, watching
from xgraph.diagnostics import fail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xgraph.cli.watching import Bar
    from xgraph.recipe import Recipe
    from xgraph.search.xsertion.generations import Generation
    from xgraph.search.xsertion.measure import Measured
    from xgraph.search.xsertion.refine import Result
    from xgraph.source import Source

xsertion_option = click.option(
    "--xsertion", "options", default="", metavar="OPTIONS",
    help="Further options of the pass: 'at=after-pooling dropout=0' (`xgraph passes xsertion`).",
)  # fmt: skip


def _recipe(recipe: str | None, overrides: tuple[str, ...], short: dict[str, Any]) -> Recipe:
    lr = short.pop("lr")
    return recipe_of(recipe, overrides, **short, optimizer__lr=lr)


def _pass(options: str, **given: float) -> Any:
    """The `xsertion` of a command; its mistakes show the text."""
    from xgraph.passes import Pipeline

    told = " ".join([*(f"{key}={value:g}" for key, value in given.items()), options]).strip()
    text = f"xsertion{{{told}}}"
    passes = Pipeline.parse(text).passes
    if len(passes) != 1:
        raise fail("bad-option", "`xsertion` stands alone here, with its options", origin=text)
    return passes[0], text


@contextmanager
def _stoppable(goes_on: str) -> Iterator[Bar]:
    """A bar for all trainings, and what to say when Ctrl-C ends one of them."""
    from xgraph.train.fit import Stopped

    with watching(None, silent=False, lines=False) as watch:
        try:
            yield watch
        except Stopped as stopped:
            watch.close()
            click.echo(f"{watch.about}{stopped}; go on with{goes_on}")
            sys.exit(INTERRUPTED)


def _begins(watch: Bar, what: str) -> None:
    watch.about = f"{what}: "


@click.command("measure", short_help="Measure how informative each modality is.")
@file_argument
@data_option
@recipe_option
@override_option
@click.option("-o", "--out", metavar="PATH", required=True, help="The .xg to write.")
@short_options
@fraction_option
@click.option("--repeat", type=click.IntRange(1), default=1, show_default=True,
              help="Seeds, of which the mean is taken.")  # fmt: skip
@click.option("--work", metavar="DIR", help="Where trainings are kept; else they go in the end.")
@xsertion_option
@accelerator_option
@leaks_option
@set_option
@limit_option
@guarded
def measure_(
    file: str,
    data: str | None,
    recipe: str | None,
    overrides: tuple[str, ...],
    out: str,
    fraction: float,
    repeat: int,
    work: str | None,
    options: str,
    accelerator: str,
    allow_leaks: bool,
    settings: tuple[str, ...],
    limits: tuple[str, ...],
    **short: Any,
) -> None:
    """Train the network of FILE on each modality alone, and write into the text what it reached.

    The best validation accuracy of all epochs is the modality's `informativeness`, by which
    `xgraph apply xsertion` scales and connects. Run it again to go on after a kill.

    Example: xgraph measure kerasnet.xg --data cifar/ -r xsertion -o measured.xg
    """
    needs_training()
    from xgraph import driver
    from xgraph.claim import claimed
    from xgraph.data import open_data
    from xgraph.files import keep, named, write_whole
    from xgraph.search.xsertion.measure import Measurement, with_informativeness
    from xgraph.train.fit import make_fabric

    if data is None:
        raise click.UsageError("give --data")
    if (path := named(out, "output")).suffix != ".xg":
        raise click.UsageError(f"-o {out}: a network is written to a .xg file")
    told = _recipe(recipe, overrides, short)
    source, folder = driver.read_source(file)
    graph = graph_of(source, folder, settings, limits)
    keep(path, graph.files)
    _check_uses(source, folder, path)
    measurement = Measurement.of(
        graph, open_data(data), told, _pass(options)[0], repeat=repeat, fraction=fraction,
        allow_leaks=allow_leaks,
    )  # fmt: skip
    with_informativeness(source, dict.fromkeys(measurement.lanes.modalities, 1.0))  # it can be
    bench = named(work, "work folder") if work is not None else path.with_suffix(".measure")
    fabric = make_fabric(told.precision, accelerator)
    with claimed(bench), _stoppable(" the same command") as watch:
        found = measurement.run(
            bench, fabric=fabric, watch=watch, begins=partial(_begins, watch), told=_tell_measured
        )
        text = with_informativeness(source, {m.modality: m.informativeness for m in found})
        write_whole(path, text)
        if work is None:
            shutil.rmtree(bench, ignore_errors=True)
    click.echo(f"wrote {out}")


def _check_uses(source: Source, folder: Path, out: Path) -> None:
    """What is written reads the same files as what was read."""
    from xgraph.diagnostics import Report
    from xgraph.grammar import parse
    from xgraph.grammar import tree as t

    uses = [d for d in parse(source, Report()).declarations if isinstance(d, t.Use)]
    if uses and out.parent.resolve() != folder.resolve():
        raise fail(
            "bad-output", f"the network uses `{uses[0].path.value}`, found from its own folder",
            origin=str(out), help=f"write it beside `{source.name}`",
        )  # fmt: skip


def _tell_measured(measured: Measured) -> None:
    runs = ", ".join(f"{accuracy:.4f}" for accuracy in measured.accuracies)
    of = f"  (of {runs})" if len(measured.accuracies) > 1 else ""
    click.echo(f"{measured.modality}: {measured.informativeness:.4f}{of}")


@click.command("refine", short_help="Let the weights of connections climb.")
@click.argument("file", required=False)
@data_option
@recipe_option
@override_option
@click.option("-o", "--out", metavar="RUN", required=True, help="The folder of the refinement.")
@click.option("--resume", is_flag=True, help="Go on with the refinement in RUN.")
@click.option("--alpha", type=float, help="Of `xsertion`: for widths. [default: 1]")
@click.option("--beta", type=float, help="Of `xsertion`: for the weights begun with. [default: 2]")
@xsertion_option
@click.option("--iterations", type=click.IntRange(0), help="Steps of the weights. [default: 15]")
@click.option("--rate", type=click.FloatRange(0, min_open=True),
              help="Of a step: so far a weight moves, about. [default: 0.1]")  # fmt: skip
@click.option("--repeat", type=click.IntRange(1), help="Trainings of a generation. [default: 3]")
@click.option("--pair-epochs", type=click.IntRange(1),
              help="Of a pair's model, at most. [default: 30]")  # fmt: skip
@click.option("--pretrain", type=click.Choice(["plain", "connected", "none"]),
              help="What the first models inherit: the network without connections (paper), with"
              " those of Eq. 2 (program), nothing. [default: plain]")  # fmt: skip
@click.option("--as-published", is_flag=True,
              help="Repeat four faults of the authors' program (docs/refine.md).")  # fmt: skip
@short_options
@fraction_option
@accelerator_option
@leaks_option
@set_option
@limit_option
@guarded
def refine_(
    file: str | None,
    data: str | None,
    recipe: str | None,
    overrides: tuple[str, ...],
    out: str,
    resume: bool,
    alpha: float | None,
    beta: float | None,
    options: str,
    iterations: int | None,
    rate: float | None,
    repeat: int | None,
    pair_epochs: int | None,
    pretrain: str | None,
    as_published: bool,
    fraction: float,
    accelerator: str,
    allow_leaks: bool,
    settings: tuple[str, ...],
    limits: tuple[str, ...],
    **short: Any,
) -> None:
    """Search better weights for the connections that `xsertion` makes of FILE, pair by pair.

    Each step trains a model of two modalities; the network of all then takes the best weights of
    each pair and is trained, into RUN. `xgraph refine --resume -o RUN` goes on after a kill.

    Example: xgraph refine measured.xg --data cifar/ -r xsertion -o runs/refined
    """
    needs_training()
    from xgraph.claim import claimed
    from xgraph.data import open_data
    from xgraph.files import named
    from xgraph.search.xsertion.refine import Options, resume_refinement, start_refinement
    from xgraph.train.fit import make_fabric

    folder = named(out, "output folder")
    given: dict[str, Any] = {
        "iterations": iterations, "rate": rate, "repeat": repeat, "pair_epochs": pair_epochs,
        "pretrain": pretrain, "as_published": as_published or None,
        "allow_leaks": allow_leaks or None, "fraction": fraction if fraction != 1 else None,
    }  # fmt: skip
    given = {key: value for key, value in given.items() if value is not None}
    if resume:
        others = (recipe, overrides, alpha, beta, options, *given, *short.values())
        if any(other is not None and other not in ((), "") for other in others):
            raise click.UsageError("--resume goes on with what RUN holds: leave its options out")
    elif file is None or data is None:
        raise click.UsageError("give the network and --data, or --resume")
    graph = read_graph(file, settings, limits) if file is not None else None
    opened = open_data(data) if data is not None else None
    with claimed(folder):
        if resume:
            refinement = resume_refinement(folder, graph, opened)
        else:
            assert graph is not None
            assert opened is not None
            _, text = _pass(options, alpha=_or(alpha, 1.0), beta=_or(beta, 2.0))
            told = _recipe(recipe, overrides, short)
            asked = Options(xsertion=text, **given)
            refinement = start_refinement(folder, graph, opened, told, asked)
        fabric = make_fabric(refinement.plan.recipe.precision, accelerator)
        with _stoppable(f": xgraph refine --resume -o {folder}") as watch:
            result = refinement.run(
                fabric, watch, begins=partial(_begins, watch), told=_tell_generation
            )
    _tell_result(result, folder)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _tell_generation(pair: str, generation: Generation) -> None:
    weights = " ".join(f"{weight:.4f}" for weight in generation.weights)
    filters = " ".join(map(str, generation.filters))
    known = f", as generation {generation.same_as}" if generation.same_as is not None else ""
    click.echo(
        f"generation {generation.number}  {pair}  weights {weights}  filters {filters}"
        f"  accuracy {generation.accuracy:.4f}{known}"
    )


def _tell_result(result: Result, folder: Path) -> None:
    for pair, generation in result.best.items():
        weights = " and ".join(f"{weight:.4f}" for weight in generation.weights)
        click.echo(f"{pair}: generation {generation.number} is the best, with weights {weights}")
    if result.test is not None:
        click.echo(told_of(result.test))
    click.echo(f"wrote {folder / 'net.xg'}, {folder / 'weights.safetensors'} and more")
